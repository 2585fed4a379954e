//! The token that stands for one not drafted yet: given, the tokenizer's own, or a row of the embedding that no token uses.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::InitRequest;
use crate::config::ConfigFile;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::speculator::Algorithm;
use crate::{Result, codes};

const KEY: &str = "mask_token_id";

/// Bytes of the longest `tokenizer.json` that is read.
const LONGEST: u64 = 256 << 20;

/// Files that may name a mask token, most trusted first.
const SETTINGS: [&str; 2] = ["tokenizer_config.json", "special_tokens_map.json"];

/// The id, for kinds that need one.
///
/// # Errors
/// S418 for one outside the vocabulary, S442 where nothing certain can be found.
pub(super) fn decide(
    request: &InitRequest,
    vocab_size: usize,
    decisions: &mut Vec<Decision>,
) -> Result<Option<usize>> {
    if request.algorithm == Algorithm::Eagle3 {
        return Ok(None);
    }
    if let Some(given) = request.mask_token_id {
        if given >= vocab_size {
            let title = format!("mask token {given} lies outside the vocabulary of {vocab_size}");
            return Err(Diagnostic::error(codes::MASK_TOKEN, title).into());
        }
        return Ok(Some(given));
    }
    let dir = request.verifier.as_path();
    let path = dir.join("tokenizer.json");
    if !path.exists() {
        return Err(unknown(
            request.algorithm,
            "the verifier's directory has no `tokenizer.json`",
        )
        .at(Place::file(dir))
        .into());
    }
    let tokenizer = ConfigFile::read_up_to(&path, LONGEST)?;
    let tokens = Tokens::of(&tokenizer);
    if let Some((text, id)) = own(dir, &tokens)?
        && id < vocab_size
    {
        let reason = format!("the tokenizer's own mask token, `{text}`");
        decisions.push(Decision::settled(KEY, id, reason));
        return Ok(Some(id));
    }
    let count = tokens.ids.len();
    let whole = tokens.ids.last().is_some_and(|last| last + 1 == count);
    if whole && count < vocab_size {
        let reason = format!(
            "the first row of the embedding that no token uses: the tokenizer has {count} tokens, the embedding {vocab_size} rows"
        );
        decisions.push(Decision::settled(KEY, count, reason));
        return Ok(Some(count));
    }
    let why = if count >= vocab_size {
        format!(
            "the tokenizer has no mask token, and its {count} tokens leave no row of the embedding ({vocab_size}) unused"
        )
    } else {
        format!("the tokenizer has no mask token, and the ids of its {count} tokens have gaps")
    };
    Err(unknown(request.algorithm, &why)
        .at(Place::file(&path))
        .note("a token that occurs in texts, such as the padding or the end of a text, would be learned as \"draft here\" and mean something else as well")
        .into())
}

fn unknown(algorithm: Algorithm, why: &str) -> Diagnostic {
    Diagnostic::error(
        codes::MASK_TOKEN_OPEN,
        format!("nothing says which token stands for one that a head of kind `{algorithm}` has not drafted yet"),
    )
    .note(why.to_owned())
    .help("name a token that does not occur in texts, such as a reserved one: `--mask-token-id`")
}

/// The mask token that a tokenizer names, with its id.
fn own(dir: &Path, tokens: &Tokens<'_>) -> Result<Option<(String, usize)>, Diagnostic> {
    for name in SETTINGS {
        let path = dir.join(name);
        if !path.exists() {
            continue;
        }
        let settings = ConfigFile::read_up_to(&path, LONGEST)?;
        let written = settings.root().get("mask_token");
        let text = written.and_then(|written| match written {
            Value::String(text) => Some(text.as_str()),
            other => other.get("content").and_then(Value::as_str),
        });
        if let Some(text) = text
            && let Some(id) = tokens.id(text)
        {
            return Ok(Some((text.to_owned(), id)));
        }
    }
    Ok(None)
}

/// The tokens of a `tokenizer.json`.
struct Tokens<'a> {
    model: Option<&'a Value>,
    added: &'a [Value],
    ids: BTreeSet<usize>,
}

impl<'a> Tokens<'a> {
    fn of(file: &'a ConfigFile) -> Tokens<'a> {
        let model = file.value.get("model").and_then(|model| model.get("vocab"));
        let added = file.value.get("added_tokens").and_then(Value::as_array);
        let mut tokens = Tokens {
            model,
            added: added.map(Vec::as_slice).unwrap_or_default(),
            ids: BTreeSet::new(),
        };
        match model {
            Some(Value::Object(vocabulary)) => {
                tokens.ids.extend(vocabulary.values().filter_map(id))
            }
            // Of unigram models the place in the list is the id.
            Some(Value::Array(pieces)) => tokens.ids.extend(0..pieces.len()),
            _ => {}
        }
        tokens
            .ids
            .extend(tokens.added.iter().filter_map(|added| id(added.get("id")?)));
        tokens
    }

    fn id(&self, text: &str) -> Option<usize> {
        let added = |added: &&Value| added.get("content").and_then(Value::as_str) == Some(text);
        if let Some(added) = self.added.iter().find(added) {
            return id(added.get("id")?);
        }
        match self.model? {
            Value::Object(vocabulary) => id(vocabulary.get(text)?),
            Value::Array(pieces) => pieces
                .iter()
                .position(|piece| piece.get(0).and_then(Value::as_str) == Some(text)),
            _ => None,
        }
    }
}

fn id(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}
