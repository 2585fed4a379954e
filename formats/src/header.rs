//! The header of a safetensors file, parsed with its own diagnostics.
//!
//! The file is `u64 length · JSON of that length · data`. Everything a file may claim is checked before a byte of data is
//! looked at: a hostile or cut file ends in a finding, never in a panic or a wrong slice.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::config::file_name;
use crate::diagnostic::{Diagnostic, Place};
use crate::pickle::shorten;
use crate::{codes, json};

/// Longest header the reference implementation accepts, in bytes.
pub const LONGEST: u64 = 100_000_000;

/// Longest name of a tensor.
const LONGEST_NAME: usize = 1024;

/// Most bytes a header may say about one tensor.
const LONGEST_ENTRY: usize = 4096;

/// One tensor as the header describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the tensor.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Its first byte, counted from the start of the file.
    pub begin: usize,
    /// The byte after its last.
    pub end: usize,
}

/// Parses and checks the header of a file whose bytes are all there; `path` is used in findings only. The tensors come in
/// the order they lie in.
///
/// # Errors
/// S102 for a file that is cut short, S103 for everything else that is wrong with the header.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    parse_head(path, bytes, bytes.len())
}

/// The same where only the beginning of a file of this length is at hand.
///
/// # Errors
/// As [`parse`]; S103 where the header goes beyond what is at hand.
pub fn parse_head(path: &Path, bytes: &[u8], length: usize) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    let (header, data_start) = json(path, bytes)?;
    let Fields(fields) = serde_json::from_str(header).map_err(|error| {
        vec![
            malformed(
                path,
                "the header is not a JSON object of tensors".to_owned(),
            )
            .note(format!("column {}: {error}", error.column())),
        ]
    })?;
    let mut problems = Vec::new();
    let mut entries = Vec::with_capacity(fields.len());
    for (name, text) in fields {
        if name == "__metadata__" {
            problems.extend(metadata(path, text));
            continue;
        }
        match entry(path, name, text, data_start) {
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(twice(path, &entries));
    if problems.is_empty() {
        ranges(path, &mut entries, data_start, length, &mut problems);
    }
    if problems.is_empty() {
        Ok(entries)
    } else {
        Err(problems)
    }
}

/// The JSON part and where the data begin.
fn json<'a>(path: &Path, bytes: &'a [u8]) -> Result<(&'a str, usize), Diagnostic> {
    let name = file_name(path);
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(malformed(
            path,
            format!("`{name}` is a Git LFS pointer, not the tensors themselves"),
        )
        .note(format!(
            "the file is {} bytes of text that names the real file",
            bytes.len()
        ))
        .help("run `git lfs pull` in the repository it came from"));
    }
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(Diagnostic::error(
            codes::FILE_TRUNCATED,
            format!(
                "`{name}` is {} bytes long, but the length of the header alone takes 8",
                bytes.len()
            ),
        )
        .at(Place::file(path))
        .help("the download or copy was cut short; fetch the file again"));
    };
    let length = u64::from_le_bytes(*length);
    if length > LONGEST {
        return Err(malformed(path, format!("`{name}` claims a header of {length} bytes"))
            .note(format!("the format allows {LONGEST}; the first 8 bytes are probably not a length at all"))
            .help("check that this is a safetensors file"));
    }
    // Fits: not more than LONGEST.
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Some(header) = rest.get(..length) else {
        return Err(malformed(
            path,
            format!(
                "`{name}` claims a header of {length} bytes, but only {} bytes follow the claim",
                rest.len()
            ),
        )
        .help(
            "the download or copy was cut short, or this is no safetensors file; fetch it again",
        ));
    };
    let header = std::str::from_utf8(header).map_err(|error| {
        malformed(path, format!("the header of `{name}` is not UTF-8")).note(format!(
            "the first byte that is not is byte {} of the file",
            8 + error.valid_up_to()
        ))
    })?;
    if !header.starts_with('{') {
        return Err(malformed(
            path,
            format!("the header of `{name}` does not begin with `{{`"),
        ));
    }
    Ok((header, 8 + length))
}

/// What is wrong with the free-form part: it may hold text under names and nothing else.
fn metadata(path: &Path, text: &str) -> Option<Diagnostic> {
    type Texts = Option<BTreeMap<String, String>>;
    serde_json::from_str::<Texts>(text).err().map(|error| {
        malformed(
            path,
            "`__metadata__` in the header is not an object of text".to_owned(),
        )
        .note(format!("column {} of it: {error}", error.column()))
    })
}

/// The first name that is there twice.
fn twice(path: &Path, entries: &[Entry]) -> Option<Diagnostic> {
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    let pair = names.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(malformed(
        path,
        format!("the header names `{}` twice", pair[0]),
    ))
}

fn entry(path: &Path, name: String, text: &str, data_start: usize) -> Result<Entry, Diagnostic> {
    if name.len() > LONGEST_NAME || name.contains(char::is_control) {
        return Err(malformed(
            path,
            format!("the header names a tensor `{}`", shorten(&name)),
        )
        .note(format!(
            "a name has at most {LONGEST_NAME} bytes and no control characters; this one has {} bytes",
            name.len()
        )));
    }
    if text.len() > LONGEST_ENTRY {
        return Err(malformed(
            path,
            format!("the header says {} bytes about `{name}`", text.len()),
        )
        .note(format!(
            "dtype, shape and byte range take up to {LONGEST_ENTRY}"
        )));
    }
    let value = json::parse(text).map_err(|error| {
        malformed(
            path,
            format!("what the header says about `{name}` is not what is said about a tensor"),
        )
        .note(format!("column {} of it: {error}", error.column()))
    })?;
    let place = Place::tensor(path, &name);
    let bad = |what: String| Diagnostic::error(codes::HEADER_MALFORMED, what).at(place.clone());
    let dtype = value.get("dtype").and_then(Value::as_str);
    let dtype = dtype.ok_or_else(|| bad(format!("the header gives no dtype for `{name}`")))?;
    let dtype = Dtype::deserialize(Value::from(dtype)).map_err(|_| {
        bad(format!(
            "`{name}` has dtype `{}`, which is not known",
            shorten(dtype)
        ))
    })?;
    let shape = sizes(value.get("shape"))
        .ok_or_else(|| bad(format!("the header gives no shape for `{name}`")))?;
    let offsets = sizes(value.get("data_offsets"));
    let Some(&[begin, end]) = offsets.as_deref() else {
        return Err(bad(format!("the header gives no byte range for `{name}`")));
    };
    if begin > end {
        return Err(bad(format!(
            "the byte range of `{name}` ends at {end}, before its start at {begin}"
        )));
    }
    // Zeros aside: whoever multiplies the sizes in another order must not overflow before a zero comes.
    let most = shape
        .iter()
        .try_fold(dtype.bitsize(), |bits, &size| bits.checked_mul(size.max(1)));
    let bits = most.map(|most| if shape.contains(&0) { 0 } else { most });
    let bytes = bits
        .filter(|bits| bits.is_multiple_of(8))
        .map(|bits| bits / 8);
    if bytes != Some(end - begin) {
        let sum = format!("{} x {} bits", product(&shape), dtype.bitsize());
        let found = end - begin;
        return Err(match bytes {
            Some(bytes) => bad(format!(
                "`{name}` takes {bytes} bytes by its shape, but {found} by its byte range"
            ))
            .note(format!(
                "{dtype:?} {shape:?}: {sum} = {bytes} bytes; {begin}..{end} = {found} bytes"
            )),
            None => bad(format!(
                "the size of `{name}` is not a number of bytes that can be addressed"
            ))
            .note(format!("{dtype:?} {shape:?}: {sum}")),
        });
    }
    match (data_start.checked_add(begin), data_start.checked_add(end)) {
        (Some(begin), Some(end)) => Ok(Entry {
            name,
            dtype,
            shape,
            begin,
            end,
        }),
        _ => Err(bad(format!(
            "the byte range of `{name}`, {begin}..{end}, is beyond any file"
        ))),
    }
}

/// Tensors lie one after another, without gap or overlap, and fill the file to its end.
fn ranges(
    path: &Path,
    entries: &mut [Entry],
    data_start: usize,
    length: usize,
    problems: &mut Vec<Diagnostic>,
) {
    entries.sort_by_key(|entry| (entry.begin, entry.end));
    let mut at = data_start;
    let mut previous = "the header";
    for entry in entries.iter() {
        if entry.begin != at {
            let (begin, before) = (entry.begin - data_start, at - data_start);
            let relation = if entry.begin < at {
                "overlaps"
            } else {
                "leaves a gap after"
            };
            problems.push(
                Diagnostic::error(
                    codes::HEADER_MALFORMED,
                    format!("`{}` {relation} `{previous}`", entry.name),
                )
                .at(Place::tensor(path, &entry.name))
                .note(format!(
                    "it begins at data byte {begin}; what lies before it ends at {before}"
                )),
            );
            return;
        }
        at = entry.end;
        previous = &entry.name;
    }
    if at > length {
        let last = entries
            .iter()
            .find(|entry| entry.end > length)
            .unwrap_or(&entries[entries.len() - 1]);
        problems.push(
            Diagnostic::error(
                codes::FILE_TRUNCATED,
                format!("`{}` ends before its last tensor does", file_name(path)),
            )
            .at(Place::tensor(path, &last.name))
            .note(format!(
                "the header places `{}` at bytes {}..{} of the file",
                last.name, last.begin, last.end
            ))
            .note(format!(
                "the file has {length} bytes, {} fewer than the header needs ({at})",
                at - length
            ))
            .help("the download or copy was cut short; fetch the file again"),
        );
    } else if at < length {
        problems.push(
            malformed(
                path,
                format!(
                    "`{}` goes on for {} bytes after its last tensor",
                    file_name(path),
                    length - at
                ),
            )
            .note(format!(
                "the header accounts for {at} bytes, the file has {length}"
            )),
        );
    }
}

fn sizes(value: Option<&Value>) -> Option<Vec<usize>> {
    value?
        .as_array()?
        .iter()
        .map(|size| size.as_u64().and_then(|size| usize::try_from(size).ok()))
        .collect()
}

fn product(shape: &[usize]) -> String {
    if shape.is_empty() {
        "1".to_owned()
    } else {
        shape
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join(" x ")
    }
}

fn malformed(path: &Path, title: String) -> Diagnostic {
    Diagnostic::error(codes::HEADER_MALFORMED, title).at(Place::file(path))
}

/// An object whose fields are kept in order, doubles included: a map would swallow a tensor that is named twice. What each
/// field says stays text until its turn comes, so that a header takes little more memory than its own length.
struct Fields<'a>(Vec<(String, &'a str)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Fields<'de>, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    fields.push((name, value.get()));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A file's length field and header for these tensors, which lie one after another in this order: padded with spaces to
/// eight bytes, as the reference library writes them.
#[must_use]
pub fn encode<'a>(
    metadata: Map<String, Value>,
    tensors: impl Iterator<Item = (&'a str, Dtype, &'a [usize], u64)>,
) -> Vec<u8> {
    let mut map = Map::new();
    map.insert("__metadata__".to_owned(), Value::Object(metadata));
    let mut at = 0;
    for (name, dtype, shape, bytes) in tensors {
        let end = at + bytes;
        let entry =
            json!({ "dtype": format!("{dtype:?}"), "shape": shape, "data_offsets": [at, end] });
        map.insert(name.to_owned(), entry);
        at = end;
    }
    let mut header = Value::Object(map).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.append(&mut header);
    file
}

#[cfg(test)]
mod tests;
