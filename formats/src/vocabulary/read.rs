//! Files of token counts: what `vocab` writes, what the Python package writes, and what is easily written by hand.

use std::io::Read;
use std::path::Path;

use safetensors::Dtype;
use serde_json::Value as Json;

use super::counts::TokenCounts;
use super::elements::{chunks, flat, integers};
use super::numpy::{self, NumpyFile};
use crate::checkpoint::TensorView;
use crate::config::{ConfigFile, file_name, unreadable};
use crate::diagnostic::{Diagnostic, Place};
use crate::pickle::{PickleFile, Value, shorten};
use crate::{Result, codes, file, header};

/// The tensor of a safetensors file.
pub(super) const TENSOR: &str = "token_freq";

impl TokenCounts {
    /// Reads a file of counts for a vocabulary of this size. Which kind of file it is, its first bytes tell:
    ///
    /// - NumPy (`.npy`): a list with a whole number for each token;
    /// - safetensors: such a list named `token_freq`;
    /// - PyTorch (`.pt`): `{token: count}`, as the Python package saves it;
    /// - JSON: `{"token": count}`.
    ///
    /// The first two tell the size of the vocabulary themselves; if it is given as well, it has to be the same.
    ///
    /// # Errors
    /// S101 and S102 as for any file, S103 for a safetensors file and S104 for JSON that is malformed, S112 and S113 for a
    /// PyTorch file that is hostile or malformed, S203, S204 and S311 for arrays that are not lists of whole numbers, S312
    /// for counts that are none, S313 where they are not those of the vocabulary.
    pub fn read(path: impl AsRef<Path>, vocab_size: Option<usize>) -> Result<TokenCounts> {
        let path = path.as_ref();
        let counts = match beginning(path)? {
            bytes if bytes.starts_with(numpy::MAGIC) => {
                listed(&NumpyFile::open(path)?.view(TENSOR), vocab_size)
            }
            bytes if bytes.starts_with(b"PK") => pickled(path, vocab_size),
            bytes if bytes.trim_ascii_start().starts_with(b"{") => json(path, vocab_size),
            _ => return safetensors(path, vocab_size),
        };
        let placed = |problem: Diagnostic| match problem.place {
            Some(_) => problem,
            None => problem.at(Place::file(path)),
        };
        Ok(counts.map_err(placed)?)
    }
}

/// The first bytes of a file, which was checked to be one.
fn beginning(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    let failed = |error: std::io::Error| unreadable(path, &error);
    let mut bytes = Vec::new();
    let file = file::open(path)?;
    file.take(8).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn safetensors(path: &Path, vocab_size: Option<usize>) -> Result<TokenCounts> {
    let content = file::map(path)?;
    let entries = header::parse(path, &content)?;
    let Some(entry) = entries.iter().find(|entry| entry.name == TENSOR) else {
        return Err(Diagnostic::error(
            codes::TENSOR_MISSING,
            format!(
                "`{}` has {} tensors, but no `{TENSOR}`",
                file_name(path),
                entries.len()
            ),
        )
        .at(Place::file(path))
        .into());
    };
    let view = TensorView {
        name: &entry.name,
        dtype: entry.dtype,
        shape: &entry.shape,
        data: content.get(entry.begin..entry.end).unwrap_or_default(),
        path,
    };
    let placed = |problem: Diagnostic| match problem.place {
        Some(_) => problem,
        None => problem.at(Place::tensor(path, TENSOR)),
    };
    Ok(listed(&view, vocab_size).map_err(placed)?)
}

/// A list with a number for each token.
fn listed(view: &TensorView<'_>, vocab_size: Option<usize>) -> Result<TokenCounts, Diagnostic> {
    let counts: Vec<u64> = if view.dtype == Dtype::U64 {
        flat(view)?;
        chunks(view.data).map(u64::from_le_bytes).collect()
    } else {
        let counts = integers(view)?.into_iter().enumerate();
        counts
            .map(|(token, count)| {
                u64::try_from(count).map_err(|_| no_count(&format!("token {token}"), count))
            })
            .collect::<Result<_, _>>()?
    };
    if let Some(vocab_size) = vocab_size.filter(|size| *size != counts.len()) {
        return Err(Diagnostic::error(
            codes::COUNTS_RANGE,
            format!(
                "`{}` counts {} tokens, but the vocabulary has {vocab_size}",
                file_name(view.path),
                counts.len()
            ),
        )
        .note("the list has a number for each token, from 0 on")
        .note("`vocab_size` of a verifier includes tokens that only pad its embedding; a tokenizer does not count them"));
    }
    TokenCounts::from_list(&counts)
}

/// `{token: count}` of PyTorch.
fn pickled(path: &Path, vocab_size: Option<usize>) -> Result<TokenCounts, Diagnostic> {
    let file = PickleFile::open(path)?;
    let place = file.place("");
    let place = Place {
        tensor: None,
        ..place
    };
    let wrong = |title: String| {
        Diagnostic::error(codes::COUNTS_MALFORMED, title)
            .at(place.clone())
            .note("counts are saved as a dictionary of whole numbers, `torch.save({token: count}, …)`")
    };
    let Value::Dict(found) = file.value() else {
        return Err(wrong(format!(
            "`{}` holds something other than a dictionary",
            file_name(path)
        )));
    };
    let mut counts = std::collections::BTreeMap::new();
    for (token, count) in found.iter() {
        let Value::Int(token) = token else {
            return Err(wrong(format!(
                "`{}` counts {}, which is no token",
                file_name(path),
                told(token)
            )));
        };
        let key = token_of(&token.to_string(), token)?;
        match count {
            Value::Int(count) => {
                let count =
                    u64::try_from(count).map_err(|_| no_count(&format!("token {token}"), count))?;
                // Of a key that is set twice, Python keeps the later value.
                counts.insert(key, count);
            }
            other => {
                return Err(wrong(format!(
                    "the count of token {token} is {}",
                    told(other)
                )));
            }
        }
    }
    TokenCounts::new(known(path, vocab_size)?, counts.into_iter().collect())
}

/// `{"token": count}`.
fn json(path: &Path, vocab_size: Option<usize>) -> Result<TokenCounts, Diagnostic> {
    let file = ConfigFile::read(path)?;
    let mut entries = Vec::with_capacity(file.value.len());
    for (key, count) in &file.value {
        let token = key.parse::<u32>().ok();
        // One spelling only: `7` and `07` would be the same token under two keys.
        let Some(token) = token.filter(|token| token.to_string() == *key) else {
            return Err(Diagnostic::error(
                codes::COUNTS_MALFORMED,
                format!("`{}` is no token id", shorten(key)),
            )
            .at(file.place_of(key)));
        };
        let Some(number) = count.as_u64() else {
            let shown = match count {
                Json::Number(number) => number.to_string(),
                _ => "something other than a number".to_owned(),
            };
            return Err(no_count(&format!("token {token}"), shown).at(file.place_of(key)));
        };
        entries.push((token, number));
    }
    TokenCounts::new(known(path, vocab_size)?, entries)
}

/// S313 where only the tokens that occur are listed and nobody says how many there are.
fn known(path: &Path, vocab_size: Option<usize>) -> Result<usize, Diagnostic> {
    vocab_size.ok_or_else(|| {
        Diagnostic::error(
            codes::COUNTS_RANGE,
            format!(
                "`{}` does not say how many tokens the vocabulary has",
                file_name(path)
            ),
        )
        .note("it lists only tokens that occur")
    })
}

fn token_of(shown: &str, token: i64) -> Result<u32, Diagnostic> {
    u32::try_from(token).map_err(|_| {
        Diagnostic::error(
            codes::COUNTS_MALFORMED,
            format!("{shown} is counted, which is no token id"),
        )
    })
}

fn no_count(what: &str, count: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(
        codes::COUNTS_MALFORMED,
        format!("{what} is counted {count} times, which is no count"),
    )
}

/// A value that is not the expected whole number.
fn told(value: Value<'_>) -> &'static str {
    match value {
        Value::Int(_) | Value::LongInt(_) => "a number of more than 64 bits",
        Value::Float(_) => "a fraction",
        Value::Str(_) => "text",
        Value::Tensor => "a tensor",
        _ => "something other than a number",
    }
}
