//! Sources cut into batches of whole lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use speculators_formats::digest::Running;
use speculators_formats::{Diagnostic, Place, codes};

use super::{Source, SourceRead};
use crate::Result;

/// Bytes of a batch, which one thread works on at a time.
const BATCH: usize = 64 << 10;

/// Batches of a wave, which are worked on while the next one is read.
const WAVE: usize = 64;

/// Longest line that is read: a conversation has a few thousand bytes, a long one a few million.
pub(super) const LONGEST_LINE: usize = 64 << 20;

/// How files begin that are compressed, and what unpacks them.
const COMPRESSED: [(&[u8], &str, &str); 4] = [
    (b"\x1f\x8b", "gzip", "gzip -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
    (b"\xfd7zXZ", "xz", "xz -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
];

/// Whole lines of one source.
pub(super) struct Batch {
    /// Position of the source.
    pub source: usize,
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

/// A line of a batch.
struct Line {
    /// Counted from 1.
    number: usize,
    /// Its bytes; nothing for a line that is too long to be read.
    span: Option<Range<usize>>,
}

impl Batch {
    /// Numbers and bytes of the lines; no bytes for one that is too long.
    pub fn lines(&self) -> impl Iterator<Item = (usize, Option<&[u8]>)> {
        self.lines.iter().map(|line| {
            let bytes = line.span.clone().and_then(|span| self.bytes.get(span));
            (line.number, bytes)
        })
    }
}

/// Reads one source after another.
pub(super) struct Reader<'a> {
    sources: &'a [Source],
    open: Option<Open>,
    /// Sources that were opened.
    begun: usize,
    finished: Vec<SourceRead>,
    bytes: u64,
}

/// A source that is being read.
struct Open {
    input: BufReader<Digested>,
    lines: usize,
}

/// Takes a digest of what passes through.
struct Digested {
    input: Box<dyn Read + Send>,
    digest: Running,
    bytes: u64,
}

impl Read for Digested {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.digest.update(buffer.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }
}

impl<'a> Reader<'a> {
    pub fn new(sources: &'a [Source]) -> Reader<'a> {
        Reader {
            sources,
            open: None,
            begun: 0,
            finished: Vec::new(),
            bytes: 0,
        }
    }

    /// Bytes of all lines so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was read to its end.
    pub fn finish(self) -> Vec<SourceRead> {
        self.finished
    }

    /// The next batches; none at the end of the last source.
    pub fn next_wave(&mut self) -> Result<Vec<Batch>> {
        let mut wave = Vec::new();
        while wave.len() < WAVE {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => match self.sources.get(self.begun) {
                    Some(source) => {
                        self.begun += 1;
                        Open::new(source)?
                    }
                    None => break,
                },
            };
            let index = self.begun - 1;
            let path = self.sources.get(index).map_or(Path::new(""), Source::path);
            let batch = open.batch(index).map_err(|error| failed(path, &error))?;
            self.bytes += batch.0;
            if batch.1.lines.is_empty() {
                self.finished.push(SourceRead {
                    path: path.to_path_buf(),
                    bytes: open.input.get_ref().bytes,
                    lines: open.lines as u64,
                    blake3: open.input.get_ref().digest.finish(),
                });
            } else {
                wave.push(batch.1);
                self.open = Some(open);
            }
        }
        Ok(wave)
    }
}

impl Open {
    fn new(source: &Source) -> Result<Open> {
        let input: Box<dyn Read + Send> = match source {
            Source::Stdin => Box::new(io::stdin()),
            Source::File(path) => {
                let opened = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
                    true => Err(io::ErrorKind::IsADirectory.into()),
                    false => Ok(file),
                });
                Box::new(opened.map_err(|error| failed(path, &error))?)
            }
        };
        let input = Digested {
            input,
            digest: Running::default(),
            bytes: 0,
        };
        let mut input = BufReader::with_capacity(256 << 10, input);
        let path = source.path();
        let beginning = input.fill_buf().map_err(|error| failed(path, &error))?;
        for (magic, name, unpack) in COMPRESSED {
            if beginning.starts_with(magic) {
                let shown = path.display();
                return Err(Diagnostic::error(
                    codes::DATA_MALFORMED,
                    format!("`{shown}` is compressed with {name}"),
                )
                .at(Place::file(path))
                .help(format!(
                    "unpack it on the way: `{unpack} {shown} | speculators vocab - …`"
                ))
                .into());
            }
        }
        Ok(Open { input, lines: 0 })
    }

    /// The next lines and how many bytes they are; none at the end.
    fn batch(&mut self, source: usize) -> io::Result<(u64, Batch)> {
        let (mut bytes, mut lines, mut total) = (Vec::new(), Vec::new(), 0);
        while bytes.len() < BATCH {
            let begin = bytes.len();
            let limit = LONGEST_LINE as u64 + 1;
            let count = (&mut self.input)
                .take(limit)
                .read_until(b'\n', &mut bytes)?;
            if count == 0 {
                break;
            }
            total += count as u64;
            self.lines += 1;
            let whole = bytes.last() == Some(&b'\n') || count <= LONGEST_LINE;
            if !whole {
                bytes.truncate(begin);
                total += self.skip_line()?;
            }
            lines.push(Line {
                number: self.lines,
                span: whole.then_some(begin..bytes.len()),
            });
        }
        let batch = Batch {
            source,
            bytes,
            lines,
        };
        Ok((total, batch))
    }

    /// Reads on to the end of a line without keeping it.
    fn skip_line(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(buffer.len(), |end| end + 1);
            self.input.consume(count);
            skipped += count as u64;
            if end.is_some() || count == 0 {
                return Ok(skipped);
            }
        }
    }
}

/// S101 with what the operating system said.
fn failed(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(codes::FILE_MISSING, "the data cannot be read")
        .at(Place::file(path))
        .note(error.to_string())
}
