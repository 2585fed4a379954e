//! The verifier's tokenizer, as llama.cpp keeps it in the file of a draft.
//!
//! For EAGLE-3 the draft's tokenizer never splits a text. llama.cpp takes the number of its tokens for the width of the
//! logits that draft tokens are scattered into, and shows their text. The file still carries all of it, because
//! llama.cpp's own converter writes it and other uses of the file (`draft-simple`) compare it with the verifier's.

use std::path::Path;

use serde_json::{Map, Value};

use super::write::Metadata;
use crate::Result;
use crate::codes;
use crate::config::{ConfigFile, Section};
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;

mod family;
mod special;

/// More tokens than any vocabulary has; what a config claims beyond it is not allocated.
const MOST_TOKENS: usize = 1 << 24;

/// Bytes of the longest `tokenizer.json` that is read; those of 250 000 tokens have 35 million.
const LONGEST: u64 = 256 << 20;

/// Kinds of tokens, by llama.cpp's numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal = 1,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// Adds the tokenizer of the verifier in `dir`, which has `vocab_size` tokens.
///
/// # Errors
/// S101 where there is no `tokenizer.json`, S104 and S105 where it is malformed, S412 for a kind of tokenizer that this
/// version does not write, S402 for one with more tokens than the verifier.
pub(crate) fn add(
    dir: &Path,
    vocab_size: usize,
    metadata: &mut Metadata,
    decisions: &mut Vec<Decision>,
) -> Result<()> {
    let file = ConfigFile::read_up_to(&dir.join("tokenizer.json"), LONGEST)?;
    let settings = dir.join("tokenizer_config.json");
    let settings = if settings.exists() {
        Some(ConfigFile::read(settings)?)
    } else {
        None
    };
    let root = file.root();
    let model = root.section("model")?.unwrap_or_else(|| root.clone());
    let kind = model.str("type")?.unwrap_or("none");
    let byte_fallback = model.bool("byte_fallback")?.unwrap_or(false);
    if kind != "BPE" {
        return Err(Diagnostic::error(
            codes::NOT_REPRESENTABLE,
            format!(
                "the verifier's tokenizer is of kind `{kind}`, which is not written to GGUF files"
            ),
        )
        .at(model.place("type"))
        .note("byte-level BPE and BPE with byte fallback are written")
        .into());
    }
    if vocab_size > MOST_TOKENS {
        return Err(Diagnostic::error(
            codes::VOCABULARY,
            format!("the verifier claims {vocab_size} tokens, more than any vocabulary has"),
        )
        .at(model.place("vocab"))
        .into());
    }
    let tokens = tokens(&root, &model, vocab_size, byte_fallback)?;
    let scores = byte_fallback.then(|| vec![-1000.0; tokens.len()]);
    let (texts, kinds): (Vec<&str>, Vec<i32>) = tokens
        .iter()
        .map(|(text, kind)| (text.as_str(), *kind as i32))
        .unzip();
    if let Some(settings) = &settings
        && let Some(prefix) = settings.get_bool("add_prefix_space")?
    {
        metadata.boolean("tokenizer.ggml.add_space_prefix", prefix);
    }
    if let Some(scores) = scores {
        metadata.text("tokenizer.ggml.model", "llama");
        metadata.text("tokenizer.ggml.pre", "default");
        metadata.texts("tokenizer.ggml.tokens", &texts);
        metadata.f32s("tokenizer.ggml.scores", &scores);
        metadata.i32s("tokenizer.ggml.token_type", &kinds);
    } else {
        let family = family::recognize(root.map().get("pre_tokenizer"), decisions);
        metadata.text("tokenizer.ggml.model", "gpt2");
        metadata.text("tokenizer.ggml.pre", family);
        metadata.texts("tokenizer.ggml.tokens", &texts);
        metadata.i32s("tokenizer.ggml.token_type", &kinds);
        metadata.texts("tokenizer.ggml.merges", &merges(&model)?);
    }
    special::add(dir, &root, settings.as_ref(), metadata)?;
    Ok(())
}

/// Text and kind of every token; ids that no token has are filled up.
fn tokens(
    root: &Section<'_>,
    model: &Section<'_>,
    vocab_size: usize,
    byte_fallback: bool,
) -> Result<Vec<(String, Kind)>> {
    let mut tokens: Vec<Option<(String, Kind)>> = vec![None; vocab_size];
    let mut put = |text: &str, id: Option<u64>, kind: Kind| {
        let slot = id
            .and_then(|id| usize::try_from(id).ok())
            .and_then(|id| tokens.get_mut(id));
        match slot {
            Some(slot) => {
                *slot = Some((text.to_owned(), kind));
                Ok(())
            }
            None => Err(Diagnostic::error(
                codes::VOCABULARY,
                format!(
                    "the tokenizer gives `{}` the id {}, but the verifier has {vocab_size} tokens",
                    text.escape_debug().take(40).collect::<String>(),
                    id.map_or_else(|| "null".to_owned(), |id| id.to_string())
                ),
            )
            .at(model.place("vocab"))),
        }
    };
    let empty = Map::new();
    let vocabulary = model.section("vocab")?;
    for (text, id) in vocabulary.as_ref().map_or(&empty, Section::map) {
        let kind = if byte_fallback && is_byte(text) {
            Kind::Byte
        } else {
            Kind::Normal
        };
        put(text, id.as_u64(), kind)?;
    }
    for added in added_tokens(root) {
        let Some(text) = added.get("content").and_then(Value::as_str) else {
            continue;
        };
        let special = added.get("special").and_then(Value::as_bool) == Some(true);
        let id = added.get("id").and_then(Value::as_u64);
        if special || looks_special(text) {
            put(text, id, Kind::Control)?;
        } else {
            // Spaces of user-defined tokens are spelled out there.
            put(&text.replace('\u{2581}', " "), id, Kind::UserDefined)?;
        }
    }
    let filled = tokens.into_iter().enumerate();
    Ok(filled
        .map(|(id, token)| token.unwrap_or_else(|| (format!("[PAD{id}]"), Kind::Unused)))
        .collect())
}

/// The list `added_tokens`.
fn added_tokens<'a>(root: &Section<'a>) -> impl Iterator<Item = &'a Value> + use<'a> {
    let list = root.map().get("added_tokens").and_then(Value::as_array);
    list.into_iter().flatten()
}

/// Tokens that are meant to be special although they are not marked so.
fn looks_special(text: &str) -> bool {
    let wrapped = |open: &str, close: &str| text.starts_with(open) && text.ends_with(close);
    matches!(text, "<pad>" | "<mask>" | "<2mass>" | "[@BOS@]")
        || wrapped("<|", "|>")
        || wrapped("<\u{ff5c}", "\u{ff5c}>")
        || wrapped("<unused", ">")
}

/// `<0x0A>`: one byte of a character that has no token.
fn is_byte(text: &str) -> bool {
    let digits = text
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| {
        digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The merges, each as two parts with a space between; a space inside a part is written as its byte-level letter.
fn merges(model: &Section<'_>) -> Result<Vec<String>, Diagnostic> {
    let bad = |position: usize| {
        Diagnostic::error(
            codes::CONFIG_TYPE,
            format!("merge {position} of the tokenizer is not a pair of tokens"),
        )
        .at(model.place("merges"))
    };
    let list = model.get("merges").and_then(Value::as_array);
    let list = list.into_iter().flatten().enumerate();
    let read = |(position, merge): (usize, &Value)| match merge {
        Value::String(merge) => Ok(merge.clone()),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(first), Value::String(second)] => Ok(format!(
                "{} {}",
                first.replace(' ', "\u{120}"),
                second.replace(' ', "\u{120}")
            )),
            _ => Err(bad(position)),
        },
        _ => Err(bad(position)),
    };
    list.map(read).collect()
}

#[cfg(test)]
mod tests;
