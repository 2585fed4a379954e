//! One HTTP/1.1 request as it comes in.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::faults::Door;
use super::text;

/// Longer heads are not read.
const HEAD_LIMIT: u64 = 64 << 10;

/// The head of a request.
#[derive(Debug)]
pub struct Request {
    pub door: Door,
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// Reads a head; nothing where the other side has closed the connection.
    pub fn read(door: Door, stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut head = stream.take(HEAD_LIMIT);
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::Error::other(format!("no request line: {line:?}")));
        };
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            head.read_line(&mut line)?;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        let query = target.split_once('?').map_or("", |(_, query)| query);
        Ok(Some(Self {
            door,
            method,
            query: text::query(query),
            headers,
            target,
        }))
    }

    /// The path as sent.
    pub fn raw_path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(&self.target, |(path, _)| path)
    }

    /// The parts of the path between slashes, each decoded after the split: a branch named
    /// `refs/pr/1` is one part.
    pub fn segments(&self) -> Vec<String> {
        let parts = self.raw_path().split('/');
        parts
            .filter(|part| !part.is_empty())
            .map(text::decode)
            .collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        Some(&headers.find(|(key, _)| key == name)?.1)
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.iter();
        Some(&pairs.find(|(key, _)| key == name)?.1)
    }

    /// The token of the `Authorization` header.
    pub fn token(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// Whether the connection is to be closed after the answer.
    pub fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// The body of a request, read as it comes.
pub struct Body<'a> {
    stream: &'a mut BufReader<TcpStream>,
    chunked: bool,
    /// Bytes left of the body, or of its current chunk; nothing after the last chunk.
    left: Option<u64>,
    /// Bytes of the body that were read.
    pub received: u64,
}

impl<'a> Body<'a> {
    /// The body that belongs to a head. One that waits for leave to send is given it.
    pub fn of(request: &Request, stream: &'a mut BufReader<TcpStream>) -> io::Result<Self> {
        if request.header("expect").is_some() {
            stream
                .get_mut()
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let coding = request.header("transfer-encoding");
        let chunked = coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let length = request.header("content-length");
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        Ok(Self {
            stream,
            chunked,
            left: Some(if chunked { 0 } else { length }),
            received: 0,
        })
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunked && self.left == Some(0) {
            self.left = next_chunk(self.stream)?;
        }
        let Some(left) = self.left.filter(|left| *left > 0 && !buffer.is_empty()) else {
            return Ok(0);
        };
        let read = self.stream.by_ref().take(left).read(buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.received += read as u64;
        self.left = Some(left - read as u64);
        if self.chunked && self.left == Some(0) {
            self.stream.read_line(&mut String::new())?;
        }
        Ok(read)
    }
}

/// The size of the chunk that begins here; nothing at the end of the body.
fn next_chunk(stream: &mut BufReader<TcpStream>) -> io::Result<Option<u64>> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let digits = line.split(';').next().unwrap_or("").trim();
    let size = u64::from_str_radix(digits, 16).map_err(io::Error::other)?;
    if size > 0 {
        return Ok(Some(size));
    }
    // Trailers, and the empty line after them.
    while !line.trim_end().is_empty() {
        line.clear();
        stream.read_line(&mut line)?;
    }
    Ok(None)
}
