//! Files of a checkpoint: looked at before they are opened, read up to a limit, mapped or held in memory.
//!
//! A directory from a stranger may hold anything under the name of a config or of weights. Opening a named pipe waits for
//! somebody to write into it, and opening a device may do something; so neither is opened.

use std::fs::Metadata;
use std::io::{Read, Write};
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::Mmap;

use crate::codes;
use crate::config::{file_name, unreadable};
use crate::diagnostic::{Diagnostic, Place};

/// Bytes of a file.
#[derive(Debug)]
pub(crate) enum Content {
    /// The file stays open, to be read from as well.
    Mapped(Mmap, fs_err::File),
    Held(Vec<u8>),
}

/// Bytes that are looked at once, from beginning to end.
///
/// Touching a mapped page for the first time costs more than copying it: reading a file through its mapping takes a third
/// more time than reading it block by block into a buffer that stays in the processor's cache.
#[derive(Clone, Copy)]
pub(crate) struct Stretch<'a> {
    data: &'a [u8],
    /// The file they lie in, and where in it.
    origin: Option<(&'a fs_err::File, u64)>,
}

impl<'a> Stretch<'a> {
    /// Bytes in memory.
    pub fn held(data: &'a [u8]) -> Stretch<'a> {
        Stretch { data, origin: None }
    }

    pub fn len(self) -> usize {
        self.data.len()
    }

    /// Only those in a range.
    pub fn cut(self, range: Range<usize>) -> Stretch<'a> {
        Stretch {
            origin: self
                .origin
                .map(|(file, begin)| (file, begin + range.start as u64)),
            data: self.data.get(range).unwrap_or_default(),
        }
    }

    /// A part of them: read into the buffer if they lie in a file, else where they are.
    pub fn part<'b>(&'b self, range: Range<usize>, buffer: &'b mut Vec<u8>) -> &'b [u8] {
        let part = self.data.get(range.clone()).unwrap_or_default();
        if let Some((file, begin)) = self.origin {
            buffer.resize(part.len(), 0);
            if fill(file, begin + range.start as u64, buffer) {
                return buffer;
            }
        }
        part
    }
}

impl Stretch<'_> {
    /// Appends a part of them to a file, block by block through a buffer that stays in the processor's cache; that is faster
    /// than writing from the mapping, and than having the kernel copy from file to file.
    ///
    /// # Errors
    /// Those of writing.
    pub fn append_to(
        self,
        range: Range<usize>,
        goal: &mut fs_err::File,
        buffer: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        const BLOCK: usize = 256 << 10;
        let end = range.end;
        for begin in range.step_by(BLOCK) {
            goal.write_all(self.part(begin..end.min(begin + BLOCK), buffer))?;
        }
        Ok(())
    }
}

/// Whether the buffer could be filled from the file.
#[cfg(unix)]
fn fill(file: &fs_err::File, at: u64, buffer: &mut [u8]) -> bool {
    use std::os::unix::fs::FileExt;
    file.file().read_exact_at(buffer, at).is_ok()
}

/// Whether the buffer could be filled from the file.
#[cfg(not(unix))]
fn fill(_: &fs_err::File, _: u64, _: &mut [u8]) -> bool {
    false
}

impl Content {
    /// Bytes to be looked at once; found in the file if they are a slice of its mapping.
    pub fn stretch<'a>(&'a self, data: &'a [u8]) -> Stretch<'a> {
        let Content::Mapped(map, file) = self else {
            return Stretch::held(data);
        };
        let begin = data.as_ptr().addr().checked_sub(map.as_ptr().addr());
        let begin = begin.filter(|begin| begin.saturating_add(data.len()) <= map.len());
        Stretch {
            data,
            origin: begin.map(|begin| (file, begin as u64)),
        }
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Content::Mapped(map, _) => map,
            Content::Held(bytes) => bytes,
        }
    }
}

/// Whether anything has this name, be it a link that leads nowhere: what is there and cannot be read is not passed over.
pub(crate) fn is_there(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok()
}

/// Maps a file into memory.
pub(crate) fn map(path: &Path) -> Result<Content, Diagnostic> {
    let file = open(path)?;
    // SAFETY: a mapping is undefined behaviour if the file shrinks or changes while it is mapped. Checkpoints are written
    // once and renamed into place (by this tool and by the Hub's cache), the mapping is read-only and private, and copying
    // tens of gigabytes to rule out a writer that does neither would defeat the purpose. Every slice into the mapping is
    // bounds-checked against its length at the time of mapping, and nothing that was checked is relied upon to still be
    // the same: text is checked again when it is read.
    #[expect(unsafe_code, reason = "memory-mapped weights")]
    let map = unsafe { Mmap::map(file.file()) }.map_err(|error| unreadable(path, &error))?;
    Ok(Content::Mapped(map, file))
}

/// Reads a file of text that has no business being longer than `longest` bytes.
pub(crate) fn read(path: &Path, longest: u64) -> Result<Vec<u8>, Diagnostic> {
    let file = open(path)?;
    let failed = |error: std::io::Error| unreadable(path, &error);
    let length = file.metadata().map_err(failed)?.len();
    if length > longest {
        return Err(too_long(path, &length.to_string(), longest));
    }
    let mut bytes = Vec::new();
    // The length is what the file system says, and a file may grow: the limit holds for what is read, too.
    file.take(longest + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > longest {
        return Err(too_long(path, &format!("more than {longest}"), longest));
    }
    Ok(bytes)
}

/// Opens a file, following links, and nothing but a file.
pub(crate) fn open(path: &Path) -> Result<fs_err::File, Diagnostic> {
    let metadata = fs_err::metadata(path).map_err(|error| dangling(path, &error))?;
    if !metadata.is_file() {
        return Err(Diagnostic::error(
            codes::FILE_MISSING,
            format!("`{}` is {}, not a file", file_name(path), kind(&metadata)),
        )
        .at(Place::file(path)));
    }
    fs_err::File::open(path).map_err(|error| unreadable(path, &error))
}

/// S101, which tells a link that leads nowhere from a file that is not there.
fn dangling(path: &Path, error: &std::io::Error) -> Diagnostic {
    let problem = unreadable(path, error);
    match fs_err::read_link(path) {
        Ok(goal) => problem
            .note(format!("it is a link to `{}`", goal.display()))
            .help("the file the link leads to was removed, or the links were copied without it; fetch the checkpoint again"),
        Err(_) => problem,
    }
}

fn too_long(path: &Path, length: &str, longest: u64) -> Diagnostic {
    Diagnostic::error(
        codes::JSON_MALFORMED,
        format!(
            "`{}` has {length} bytes, but is read up to {longest}",
            file_name(path)
        ),
    )
    .at(Place::file(path))
    .note("no model needs nearly as much; the file is probably something else")
}

/// What something that is not a file is.
#[cfg(unix)]
fn kind(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// What something that is not a file is.
#[cfg(not(unix))]
fn kind(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        "a directory"
    } else {
        "something else"
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
