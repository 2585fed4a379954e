//! The header of a GGUF file, read without trusting anything in it.
//!
//! `magic · version · number of tensors · number of metadata values · the values · the tensors · padding · data`. Every
//! length and count is held against the bytes that are left before it is used, nothing is allocated by what the file
//! claims, and tensors have to lie as the format asks: in order, aligned, without gap or overlap, up to the end.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use super::types::{self, ValueType};
use super::value::{self, Value};
use crate::codes;
use crate::config::file_name;
use crate::diagnostic::{Diagnostic, Place};
use crate::header::Entry;

/// The first four bytes of every file.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";
/// Alignment of tensors where the file names no other.
pub(super) const ALIGNMENT: usize = 32;
/// Names of tensors are shorter than this, or llama.cpp has no room for them.
pub(super) const LONGEST_NAME: usize = 64;
/// Dimensions of a tensor.
pub(super) const MOST_DIMENSIONS: usize = 4;
/// Longest key the format allows.
const LONGEST_KEY: usize = 65_535;
/// More metadata values, or tensors, than any model has.
const MOST_ENTRIES: u64 = 65_536;
/// Key of the alignment.
const ALIGNMENT_KEY: &str = "general.alignment";

/// A metadata value: its key, and where its bytes are.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub key: String,
    pub kind: ValueType,
    /// The value itself; of an array, its elements.
    pub range: Range<usize>,
    /// Type and number of an array's elements.
    pub elements: Option<(ValueType, usize)>,
}

/// What a header says.
#[derive(Debug)]
pub(super) struct Contents {
    pub version: u32,
    pub fields: Vec<Field>,
    /// Sorted by name.
    pub tensors: Vec<Entry>,
}

/// Parses and checks the header of a file that is mapped as `bytes`.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Contents, Diagnostic> {
    let mut cursor = Cursor { path, bytes, at: 0 };
    let version = cursor.version()?;
    let tensors = cursor.count("tensors")?;
    let values = cursor.count("metadata values")?;
    let mut fields = Vec::new();
    let mut keys = BTreeSet::new();
    for _ in 0..values {
        let field = cursor.field()?;
        if !keys.insert(field.key.clone()) {
            return Err(cursor.malformed(format!("the key `{}` is there twice", field.key)));
        }
        fields.push(field);
    }
    let alignment = cursor.alignment(&fields)?;
    let mut infos = Vec::new();
    let mut names = BTreeSet::new();
    for _ in 0..tensors {
        let info = cursor.tensor()?;
        if !names.insert(info.name.clone()) {
            return Err(cursor.malformed(format!("the tensor `{}` is there twice", info.name)));
        }
        infos.push(info);
    }
    refuse_quantized(path, &infos)?;
    let tensors = cursor.place_tensors(infos, alignment)?;
    Ok(Contents {
        version,
        fields,
        tensors,
    })
}

/// A tensor as the header describes it.
struct Info {
    name: String,
    /// Row-major, that is, the reverse of the file's order.
    shape: Vec<usize>,
    kind: u32,
    offset: u64,
}

struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn malformed(&self, title: String) -> Diagnostic {
        Diagnostic::error(codes::GGUF_MALFORMED, title)
            .at(Place::file(self.path))
            .note(format!("byte {} of the file", self.at))
    }

    fn unsupported(&self, title: String) -> Diagnostic {
        Diagnostic::error(codes::GGUF_UNSUPPORTED, title).at(Place::file(self.path))
    }

    /// The next bytes, if the file has as many.
    fn take(&mut self, length: u64, what: &str) -> Result<&'a [u8], Diagnostic> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let wanted = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length));
        let Some(wanted) = wanted else {
            return Err(self.malformed(format!(
                "{what} takes {length} bytes, but `{}` has only {} left",
                file_name(self.path),
                rest.len()
            )));
        };
        self.at += wanted.len();
        Ok(wanted)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Diagnostic> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }

    fn u64(&mut self, what: &str) -> Result<u64, Diagnostic> {
        let bytes = self.take(8, what)?;
        Ok(u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }

    /// A string that has to be UTF-8 and may not be longer than `longest`.
    fn name(&mut self, what: &str, longest: usize) -> Result<String, Diagnostic> {
        let length = self.u64(what)?;
        if length == 0 || length > longest as u64 {
            return Err(self.malformed(format!(
                "{what} has {length} bytes, but 1 to {longest} are allowed"
            )));
        }
        let bytes = self.take(length, what)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.malformed(format!("{what} is not UTF-8"))),
        }
    }

    fn version(&mut self) -> Result<u32, Diagnostic> {
        let name = file_name(self.path);
        if self.bytes.starts_with(b"version https://git-lfs") {
            let title = format!("`{name}` is a Git LFS pointer, not the model itself");
            return Err(self
                .malformed(title)
                .help("run `git lfs pull` in the repository it came from"));
        }
        if self.take(4, "the magic number")? != MAGIC {
            return Err(self.malformed(format!("`{name}` does not begin with `GGUF`")));
        }
        let version = self.u32("the version")?;
        match version {
            2 | 3 => Ok(version),
            _ if matches!(version.swap_bytes(), 1..=3) => {
                Err(self.unsupported(format!("`{name}` is in big-endian byte order")))
            }
            _ => Err(self
                .unsupported(format!("`{name}` is of version {version} of the format"))
                .note("versions 2 and 3 are read; they are all that llama.cpp has written since August 2023")),
        }
    }

    fn count(&mut self, what: &str) -> Result<u64, Diagnostic> {
        let count = self.u64("the header")?;
        if count > MOST_ENTRIES {
            return Err(self
                .malformed(format!("the file claims {count} {what}"))
                .note(format!("no model has more than {MOST_ENTRIES}")));
        }
        Ok(count)
    }

    fn value_type(&mut self, key: &str) -> Result<ValueType, Diagnostic> {
        let number = self.u32("the type of a value")?;
        ValueType::from_number(number).ok_or_else(|| {
            self.malformed(format!(
                "the value of `{key}` is of type {number}, which is not known"
            ))
        })
    }

    fn field(&mut self) -> Result<Field, Diagnostic> {
        let key = self.name("a key", LONGEST_KEY)?;
        let kind = self.value_type(&key)?;
        let mut field = Field {
            key,
            kind,
            range: self.at..self.at,
            elements: None,
        };
        if kind == ValueType::Array {
            let element = self.value_type(&field.key)?;
            if element == ValueType::Array {
                let title = format!("the value of `{}` is an array of arrays", field.key);
                return Err(self.malformed(title));
            }
            let count = self.u64("the length of an array")?;
            let begin = self.at;
            self.skip(&field.key, element, count)?;
            field.range = begin..self.at;
            // Fits: each element took at least a byte of the file.
            field.elements = Some((element, usize::try_from(count).unwrap_or_default()));
        } else {
            let begin = self.at;
            self.skip(&field.key, kind, 1)?;
            field.range = begin..self.at;
        }
        Ok(field)
    }

    /// Passes over values of one type.
    fn skip(&mut self, key: &str, kind: ValueType, count: u64) -> Result<(), Diagnostic> {
        let what = format!("the value of `{key}`");
        let Some(size) = kind.size() else {
            // Ends with the file at the latest: each string takes eight bytes or more.
            for _ in 0..count {
                let length = self.u64(&what)?;
                self.take(length, &what)?;
            }
            return Ok(());
        };
        let bytes = self.take(count.saturating_mul(size as u64), &what)?;
        if kind == ValueType::Bool
            && let Some(wrong) = bytes.iter().find(|byte| **byte > 1)
        {
            return Err(self.malformed(format!(
                "{what} is the truth value {wrong}, but only 0 and 1 are truth values"
            )));
        }
        Ok(())
    }

    fn alignment(&self, fields: &[Field]) -> Result<usize, Diagnostic> {
        let Some(field) = fields.iter().find(|field| field.key == ALIGNMENT_KEY) else {
            return Ok(ALIGNMENT);
        };
        let bytes = self.bytes.get(field.range.clone()).unwrap_or_default();
        let found = value::split(field.kind, bytes).map(|(value, _)| value);
        match found {
            // Wide enough for any device; a larger one would only be padding.
            Some(Value::U32(alignment)) if alignment.is_power_of_two() && alignment <= 1 << 16 => {
                Ok(alignment as usize)
            }
            _ => Err(self
                .malformed(format!(
                    "`{ALIGNMENT_KEY}` is no alignment: {}",
                    found.map_or_else(|| "a list".to_owned(), |value| format!("{value:?}"))
                ))
                .note(
                    "it has to be a power of two of at most 65536, as an unsigned number of 32 bits",
                )),
        }
    }

    fn tensor(&mut self) -> Result<Info, Diagnostic> {
        let name = self.name("the name of a tensor", LONGEST_NAME - 1)?;
        let what = format!("the description of `{name}`");
        let dimensions = self.u32(&what)?;
        if dimensions as usize > MOST_DIMENSIONS {
            return Err(self.malformed(format!(
                "`{name}` has {dimensions} dimensions, but at most {MOST_DIMENSIONS} are allowed"
            )));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let size = self.u64(&what)?;
            let fits = usize::try_from(size)
                .ok()
                .filter(|size| i64::try_from(*size).is_ok());
            let Some(size) = fits else {
                return Err(
                    self.malformed(format!("`{name}` has {size} elements in one dimension"))
                );
            };
            shape.push(size);
        }
        shape.reverse();
        let kind = self.u32(&what)?;
        if types::plain(kind).is_none() && types::quantized(kind).is_none() {
            return Err(self.malformed(format!("`{name}` is of type {kind}, which is not known")));
        }
        let offset = self.u64(&what)?;
        Ok(Info {
            name,
            shape,
            kind,
            offset,
        })
    }

    /// Holds the places of the tensors against each other and against the end of the file.
    fn place_tensors(&self, infos: Vec<Info>, alignment: usize) -> Result<Vec<Entry>, Diagnostic> {
        if infos.is_empty() {
            return Ok(Vec::new());
        }
        // Cannot overflow: the header lies in the file, and the alignment is small.
        let start = self.at.next_multiple_of(alignment);
        let (mut expected, mut previous) = (0_usize, "the header".to_owned());
        let mut entries = Vec::new();
        for info in infos {
            let place = Place::tensor(self.path, &info.name);
            let bad = |title| Diagnostic::error(codes::GGUF_MALFORMED, title).at(place.clone());
            let Some(dtype) = types::plain(info.kind) else {
                continue;
            };
            let bytes = info
                .shape
                .iter()
                .try_fold(dtype.bitsize() / 8, |bytes, size| bytes.checked_mul(*size));
            let end = bytes.and_then(|bytes| expected.checked_add(bytes));
            let padded = end.and_then(|end| end.checked_next_multiple_of(alignment));
            let (Some(end), Some(padded)) = (end, padded) else {
                return Err(bad(format!(
                    "the size of `{}` is not a number of bytes that can be addressed",
                    info.name
                ))
                .note(format!("{dtype:?} {:?}", info.shape)));
            };
            if info.offset != expected as u64 {
                let relation = if info.offset < expected as u64 {
                    "overlaps"
                } else {
                    "leaves a gap after"
                };
                return Err(bad(format!("`{}` {relation} {previous}", info.name)).note(format!(
                    "it begins at data byte {}; what lies before it ends at {expected}, padding to {alignment} bytes included",
                    info.offset
                )));
            }
            match (start.checked_add(expected), start.checked_add(end)) {
                (Some(begin), Some(end)) if end <= self.bytes.len() => entries.push(Entry {
                    name: info.name.clone(),
                    dtype,
                    shape: info.shape,
                    begin,
                    end,
                }),
                (_, needed) => return Err(self.cut_short(&info.name, needed)),
            }
            previous = format!("`{}`", info.name);
            expected = padded;
        }
        // The padding after the last tensor is often left out.
        let end = start.saturating_add(expected);
        if end < self.bytes.len() {
            return Err(self.malformed(format!(
                "`{}` goes on for {} bytes after its last tensor",
                file_name(self.path),
                self.bytes.len() - end
            )));
        }
        // From here on they are looked for by name.
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn cut_short(&self, tensor: &str, needed: Option<usize>) -> Diagnostic {
        let length = self.bytes.len();
        let problem = Diagnostic::error(
            codes::FILE_TRUNCATED,
            format!(
                "`{}` ends before its last tensor does",
                file_name(self.path)
            ),
        )
        .at(Place::tensor(self.path, tensor))
        .help("the download or copy was cut short; fetch the file again");
        match needed {
            Some(needed) => problem.note(format!(
                "the file has {length} bytes, {} fewer than `{tensor}` needs ({needed})",
                needed.saturating_sub(length)
            )),
            None => problem.note(format!(
                "the file has {length} bytes; `{tensor}` would end beyond any file"
            )),
        }
    }
}

/// S115 for blocks of quantized numbers: reading them needs arithmetic, and a head comes from a checkpoint without them.
fn refuse_quantized(path: &Path, infos: &[Info]) -> Result<(), Diagnostic> {
    let mut found = infos
        .iter()
        .filter_map(|info| Some((info, types::quantized(info.kind)?)));
    let Some((first, kind)) = found.next() else {
        return Ok(());
    };
    Err(Diagnostic::error(
        codes::GGUF_UNSUPPORTED,
        format!(
            "{} tensors are quantized, the first is `{}` as {kind}",
            1 + found.count(),
            first.name
        ),
    )
    .at(Place::tensor(path, &first.name))
    .note("F32, F16, BF16, F64 and whole numbers are read")
    .help("start from the file it was quantized from"))
}
