//! One HTTP/1.1 answer, and how it is sent: as it should be, or not.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::faults::Kind;
use super::request::Request;

/// Bytes handed to the system at a time; what was sent is known to this granularity where
/// the other side goes away.
const PIECE: u64 = 1 << 20;

#[derive(Debug)]
pub enum Content {
    Bytes(Vec<u8>),
    /// A part of a file.
    File {
        file: PathBuf,
        size: u64,
        range: Range<u64>,
    },
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub content: Content,
}

impl Response {
    pub fn new(status: u16, content: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content: Content::Bytes(content.into()),
        }
    }

    pub fn json(value: &Value) -> Self {
        Self::new(200, value.to_string()).with("Content-Type", "application/json; charset=utf-8")
    }

    /// A refusal as the Hub words it: the reason both in headers and as JSON.
    pub fn refusal(status: u16, code: Option<&str>, message: &str) -> Self {
        let mut response = Self::json(&json!({ "error": message }));
        response.status = status;
        if let Some(code) = code {
            response = response.with("X-Error-Code", code);
        }
        response.with("X-Error-Message", message)
    }

    pub fn redirect(status: u16, location: &str) -> Self {
        Self::new(status, format!("Redirecting to {location}")).with("Location", location)
    }

    /// A file, or the part of it that the request's `Range` asks for.
    pub fn file(request: &Request, file: PathBuf, size: u64) -> Self {
        let whole = Content::File {
            file,
            size,
            range: 0..size,
        };
        let mut response = Self::new(200, "").with("Accept-Ranges", "bytes");
        response.content = whole;
        let Some(wanted) = request.header("range").and_then(|range| span(range, size)) else {
            return response;
        };
        if wanted.is_empty() {
            return Self::new(416, "").with("Content-Range", &format!("bytes */{size}"));
        }
        let last = wanted.end - 1;
        if let Content::File { range, .. } = &mut response.content {
            *range = wanted.clone();
        }
        response.status = 206;
        response.with(
            "Content-Range",
            &format!("bytes {}-{last}/{size}", wanted.start),
        )
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn length(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File { range, .. } => range.end - range.start,
        }
    }

    /// Whether a fault of the body, or of the `ETag`, can show in this answer.
    pub fn suffers(&self, kind: &Kind, method: &str) -> bool {
        match kind {
            Kind::Etag(_) => self.headers.iter().any(|(name, _)| is_tag(name)),
            Kind::WholeFile => self.status == 206,
            Kind::Cut(_) | Kind::Length(_) | Kind::Flip(_) | Kind::Drip(..) => {
                method != "HEAD" && matches!(self.status, 200 | 206) && self.length() > 0
            }
            Kind::Status(_) | Kind::Answer(_) | Kind::Silence | Kind::Loop => false,
        }
    }

    /// Applies those faults that change the answer itself and not its way.
    pub fn spoil(&mut self, kind: &Kind) {
        match kind {
            Kind::Etag(wrong) => {
                let tags = self.headers.iter_mut();
                for (_, value) in tags.filter(|(name, _)| is_tag(name)) {
                    *value = format!("\"{wrong}\"");
                }
            }
            Kind::WholeFile => {
                if let Content::File { size, range, .. } = &mut self.content {
                    *range = 0..*size;
                }
                self.status = 200;
                self.headers.retain(|(name, _)| name != "Content-Range");
            }
            _ => {}
        }
    }

    /// Sends the answer and counts the bytes of its body. True where the connection is good for
    /// another request; an error means that the other side has gone away.
    pub fn send(
        self,
        stream: &mut TcpStream,
        request: &Request,
        fault: Option<&Kind>,
        bytes: &mut u64,
    ) -> io::Result<bool> {
        let length = self.length();
        let declared = match fault {
            Some(Kind::Length(change)) => length.saturating_add_signed(*change),
            _ => length,
        };
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {declared}\r\n\r\n"));
        stream.write_all(head.as_bytes())?;
        if request.method == "HEAD" {
            return Ok(true);
        }
        let limit = match fault {
            Some(Kind::Cut(after)) => *after,
            _ => declared,
        };
        let end = limit.min(length);
        match self.content {
            Content::Bytes(content) => {
                let mut source = io::Cursor::new(content);
                copy(&mut source, stream, 0, end, fault, bytes)?;
            }
            Content::File { file, range, .. } => {
                let mut source = std::fs::File::open(file)?;
                source.seek(SeekFrom::Start(range.start))?;
                if matches!(fault, Some(Kind::Flip(_) | Kind::Drip(..))) {
                    copy(&mut source, stream, range.start, end, fault, bytes)?;
                } else {
                    // Between a file and a socket the system copies by itself.
                    while *bytes < end {
                        let piece = PIECE.min(end - *bytes);
                        let copied = io::copy(&mut (&mut source).take(piece), stream)?;
                        if copied == 0 {
                            break;
                        }
                        *bytes += copied;
                    }
                }
            }
        }
        Ok(*bytes == declared)
    }
}

/// Copies `length` bytes through memory, with a wrong bit or with pauses. `start` is the offset
/// of the first one in the file.
fn copy(
    source: &mut impl Read,
    stream: &mut TcpStream,
    start: u64,
    length: u64,
    fault: Option<&Kind>,
    bytes: &mut u64,
) -> io::Result<()> {
    let piece = match fault {
        Some(Kind::Drip(piece, _)) => (*piece).max(1),
        _ => PIECE as usize,
    };
    let mut buffer = vec![0; piece];
    while *bytes < length {
        let wanted = (length - *bytes).min(piece as u64) as usize;
        let read = source.read(&mut buffer[..wanted])?;
        if read == 0 {
            break;
        }
        if let Some(Kind::Flip(offset)) = fault {
            let here = start + *bytes;
            if (here..here + read as u64).contains(offset) {
                buffer[(offset - here) as usize] ^= 1;
            }
        }
        stream.write_all(&buffer[..read])?;
        *bytes += read as u64;
        if let Some(Kind::Drip(_, pause)) = fault {
            std::thread::sleep(*pause);
        }
    }
    Ok(())
}

/// The bytes a `Range` header asks for: an empty range where there are none, nothing where the
/// header is to be ignored (other units, several ranges, malformed).
fn span(header: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let length: u64 = last.parse().ok()?;
        return Some(size.saturating_sub(length)..size);
    }
    let first: u64 = first.parse().ok()?;
    let last = match last {
        "" => u64::MAX,
        last => last.parse().ok()?,
    };
    if last < first {
        return None;
    }
    Some(first.min(size)..last.saturating_add(1).min(size))
}

/// Whether a header names the content.
fn is_tag(name: &str) -> bool {
    matches!(name, "ETag" | "X-Linked-ETag")
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        416 => "Range Not Satisfiable",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "",
    }
}
