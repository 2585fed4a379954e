//! The container of a PyTorch file: a zip archive whose entries are stored as they are, so that each lies in the
//! mapped file as one slice.
//!
//! ```text
//! <folder>/data.pkl      the objects, tensors by reference
//! <folder>/data/<key>    the bytes of one storage
//! <folder>/byteorder     `little` or `big`; absent before PyTorch 2.1
//! ```
//!
//! Checksums are not compared: PyTorch can be told to leave them out, and computing one would read a file that is meant
//! to be streamed. Sizes are.

use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::{malformed, resave, shorten};
use crate::codes;
use crate::config::file_name;
use crate::diagnostic::{Diagnostic, Place};

/// First bytes of a zip archive, as PyTorch itself recognizes its files.
const ZIP: &[u8] = b"PK\x03\x04";

/// First bytes of a file from before PyTorch 1.6: a pickle of the number 0x1950a86a20f9469cfc6c.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// Signature of the record a zip archive ends with, and the longest that record gets.
const END: &[u8] = b"PK\x05\x06";
const LONGEST_END: usize = 22 + 65_535;

/// Where the entries lie.
#[derive(Debug)]
pub(super) struct Archive {
    folder: String,
    entries: HashMap<String, Range<usize>>,
}

impl Archive {
    /// Reads the directory of the archive that is mapped as `bytes`.
    pub fn read(path: &Path, bytes: &[u8]) -> Result<Archive, Diagnostic> {
        recognize(path, bytes)?;
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            if ends(bytes) {
                broken(path, &error)
            } else {
                truncated(path, bytes.len())
            }
        })?;
        let name = file_name(path);
        if zip.has_duplicate_names() {
            return Err(malformed(
                Place::file(path),
                format!("`{name}` holds two entries of the same name"),
            )
            .note("which of them is meant depends on the program that reads the archive"));
        }
        if zip.offset() > 0 {
            return Err(malformed(
                Place::file(path),
                format!("`{name}` holds a zip archive from byte {}", zip.offset()),
            )
            .note("what lies before it would be taken for the beginning of the file by other programs"));
        }
        let mut entries = HashMap::new();
        for position in 0..zip.len() {
            let (entry, range) = locate(path, bytes.len(), &mut zip, position)?;
            entries.insert(entry, range);
        }
        apart(path, &entries, zip.central_directory_start())?;
        let folder = folder(path, &entries)?;
        let archive = Archive { folder, entries };
        archive.byte_order(path, bytes)?;
        Ok(archive)
    }

    /// The bytes of the file that hold an entry; `name` is relative to the folder of the archive.
    pub fn entry(&self, name: &str) -> Option<Range<usize>> {
        self.entries.get(&self.name(name)).cloned()
    }

    /// The full name of an entry.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// A place inside the archive, written `path!entry`.
    pub fn place(&self, path: &Path, name: &str) -> Place {
        place(path, &self.name(name))
    }

    fn byte_order(&self, path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
        let Some(order) = self
            .entry("byteorder")
            .and_then(|range| bytes.get(range))
            .map(<[u8]>::trim_ascii)
        else {
            return Ok(());
        };
        if order == b"little" {
            return Ok(());
        }
        let order = shorten(&String::from_utf8_lossy(&order[..order.len().min(64)]));
        Err(malformed(
            self.place(path, "byteorder"),
            format!("the numbers in `{}` are {order}-endian", file_name(path)),
        )
        .note("only little-endian files are read")
        .help(resave(path)))
    }
}

fn place(path: &Path, entry: &str) -> Place {
    let mut inside = path.as_os_str().to_owned();
    inside.push("!");
    inside.push(entry);
    Place::file(inside)
}

/// Tells a PyTorch file from the things that are mistaken for one.
fn recognize(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    if bytes.starts_with(ZIP) {
        return Ok(());
    }
    let name = file_name(path);
    let at = Place::file(path);
    if bytes.starts_with(LEGACY) {
        return Err(malformed(
            at,
            format!("`{name}` is in the format from before PyTorch 1.6"),
        )
        .note("it is a sequence of pickles; only the zip archives that PyTorch has written since 1.6 are read")
        .help(resave(path)));
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(malformed(
            at,
            format!("`{name}` is a Git LFS pointer, not the tensors themselves"),
        )
        .help("run `git lfs pull` in the repository it came from"));
    }
    if ZIP.starts_with(bytes) {
        return Err(truncated(path, bytes.len()));
    }
    if bytes.first() == Some(&0x80) {
        return Err(malformed(
            at,
            format!("`{name}` is a bare pickle, not an archive of `torch.save`"),
        )
        .note("a bare pickle has no place for tensors"));
    }
    let first: Vec<String> = bytes
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Err(
        malformed(at, format!("`{name}` is not a PyTorch file")).note(format!(
            "a zip archive begins with the bytes 50 4b 03 04, this file with {}",
            first.join(" ")
        )),
    )
}

/// Finds one entry in the file, without reading it.
fn locate(
    path: &Path,
    length: usize,
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    position: usize,
) -> Result<(String, Range<usize>), Diagnostic> {
    let file = zip
        .by_index_raw(position)
        .map_err(|error| broken(path, &error))?;
    let name = match file.name() {
        Ok(name) => name.into_owned(),
        Err(error) => return Err(broken(path, &error)),
    };
    let shown = shorten(&name);
    let at = place(path, &shown);
    if file.encrypted() {
        return Err(malformed(at, format!("`{shown}` is encrypted")).help(resave(path)));
    }
    if file.compression() != CompressionMethod::Stored {
        return Err(malformed(
            at,
            format!("`{shown}` is compressed, but PyTorch stores entries as they are"),
        )
        .note(format!(
            "it takes {} bytes in the archive and claims {} when unpacked",
            file.compressed_size(),
            file.size()
        ))
        .help(resave(path)));
    }
    if file.size() != file.compressed_size() {
        return Err(malformed(
            at,
            format!(
                "`{shown}` is stored as it is, but claims {} bytes for the {} it takes",
                file.size(),
                file.compressed_size()
            ),
        ));
    }
    let range = file
        .data_start()
        .and_then(|begin| Some(begin..begin.checked_add(file.size())?))
        .filter(|range| range.end <= length as u64)
        .and_then(|range| {
            Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
        });
    match range {
        Some(range) => Ok((name, range)),
        None => Err(Diagnostic::error(
            codes::FILE_TRUNCATED,
            format!("`{shown}` goes on after the end of `{}`", file_name(path)),
        )
        .at(at)
        .note(format!(
            "the archive gives it {} bytes; the whole file has {length}",
            file.size()
        ))
        .help("the download or copy was cut short; fetch the file again")),
    }
}

/// Checks that no two entries share bytes, with each other or with the directory: a change to one would be a change to the
/// other, and a small file could hold any amount of data.
fn apart(
    path: &Path,
    entries: &HashMap<String, Range<usize>>,
    directory: u64,
) -> Result<(), Diagnostic> {
    let mut ranges: Vec<(&Range<usize>, &String)> = entries
        .iter()
        .filter(|(_, range)| !range.is_empty())
        .map(|(entry, range)| (range, entry))
        .collect();
    ranges.sort_by_key(|(range, entry)| (range.start, range.end, *entry));
    let shared = |entry: &str, other: &str, end: usize, start: u64| {
        malformed(
            place(path, &shorten(entry)),
            format!("`{}` overlaps {other}", shorten(entry)),
        )
        .note(format!(
            "it ends at byte {end} of the archive; what it overlaps begins at {start}"
        ))
    };
    for pair in ranges.windows(2) {
        if let [(range, entry), (next, other)] = pair
            && range.end > next.start
        {
            let other = format!("`{}`", shorten(other));
            return Err(shared(entry, &other, range.end, next.start as u64));
        }
    }
    match ranges.last() {
        Some((range, entry)) if range.end as u64 > directory => Err(shared(
            entry,
            "the directory of the archive",
            range.end,
            directory,
        )),
        _ => Ok(()),
    }
}

/// The one folder that all entries of a PyTorch file are in.
fn folder(path: &Path, entries: &HashMap<String, Range<usize>>) -> Result<String, Diagnostic> {
    let mut folders = entries.keys().filter_map(|entry| {
        entry
            .strip_suffix("/data.pkl")
            .filter(|folder| !folder.contains('/'))
    });
    let name = file_name(path);
    let folder = match (folders.next(), folders.next()) {
        (Some(folder), None) => folder.to_owned(),
        (Some(_), Some(_)) => {
            return Err(malformed(
                Place::file(path),
                format!("`{name}` has `data.pkl` in two folders"),
            ));
        }
        (None, _) => {
            return Err(malformed(
                Place::file(path),
                format!(
                    "`{name}` is a zip archive of {} entries, but none is `data.pkl`",
                    entries.len()
                ),
            )
            .help("check that this is a file written by `torch.save`"));
        }
    };
    let outside = entries.keys().filter(|entry| !inside(&folder, entry)).min();
    if let Some(outside) = outside {
        return Err(malformed(
            place(path, &shorten(outside)),
            format!(
                "`{}` lies outside `{}`, the folder of the archive",
                shorten(outside),
                shorten(&folder)
            ),
        )
        .note("PyTorch puts everything into one folder"));
    }
    if entries.contains_key(&format!("{folder}/constants.pkl")) {
        return Err(malformed(
            Place::file(path),
            format!("`{name}` is a TorchScript program, not a dictionary of tensors"),
        )
        .help(
            "save the weights alone: `torch.save(torch.jit.load(path).state_dict(), 'weights.pt')`",
        ));
    }
    Ok(folder)
}

/// Whether an entry lies in the folder, by a name that leads nowhere else.
fn inside(folder: &str, entry: &str) -> bool {
    let Some(rest) = entry
        .strip_prefix(folder)
        .and_then(|rest| rest.strip_prefix('/'))
    else {
        return false;
    };
    !entry.contains(['\\', '\0']) && rest.split('/').all(|part| part != ".." && part != ".")
}

/// Whether the record that closes a zip archive is there at all.
fn ends(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(LONGEST_END)..];
    tail.windows(END.len()).any(|window| window == END)
}

fn truncated(path: &Path, length: usize) -> Diagnostic {
    Diagnostic::error(
        codes::FILE_TRUNCATED,
        format!("`{}` ends before its directory does", file_name(path)),
    )
    .at(Place::file(path))
    .note(format!(
        "a zip archive has its directory at the end; it is not in the {length} bytes that are there"
    ))
    .help("the download or copy was cut short; fetch the file again")
}

fn broken(path: &Path, error: &zip::result::ZipError) -> Diagnostic {
    malformed(
        Place::file(path),
        format!("the directory of `{}` is malformed", file_name(path)),
    )
    .note(shorten(&error.to_string()))
    .help("the file was damaged on its way; fetch it again")
}
