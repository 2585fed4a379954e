//! Tokens that are in the map whatever their count.

use speculators::text::{TextModel, chat_tokens};
use speculators_formats::verifier::VerifierVocabulary;
use speculators_formats::{Diagnostic, codes};

use super::VocabArguments;
use crate::failure::Failure;

/// What `--force-include` comes to.
#[derive(Debug, Default)]
pub struct Forced {
    /// All tokens, ascending, each once.
    pub ids: Vec<u32>,
    /// Those that end a text, known whether they are forced or not.
    pub eos: Vec<u32>,
    /// Those of the chat template, likewise.
    pub chat: Vec<u32>,
    /// What could not be known.
    pub notes: Vec<Diagnostic>,
}

impl Forced {
    /// Finds the tokens. A group that was asked for and cannot be known is an error; one that is only there by default is
    /// said to be missing.
    pub fn resolve(
        arguments: &VocabArguments,
        verifier: Option<&VerifierVocabulary>,
        model: Option<&TextModel>,
    ) -> Result<Forced, Failure> {
        let mut forced = Forced::default();
        let eos = verifier.map(|verifier| verifier.eos_token_ids.clone());
        let eos = eos.filter(|eos| !eos.is_empty());
        let chat = match model.map(chat_tokens) {
            Some(Ok(tokens)) => Some(tokens.into_iter().map(|token| token.id).collect::<Vec<_>>()),
            _ => None,
        };
        forced.eos = eos.clone().unwrap_or_default();
        forced.chat = chat.clone().unwrap_or_default();
        if arguments.draft_vocab_size.is_none() || arguments.no_force_include {
            return Ok(forced);
        }
        let default = ["eos".to_owned(), "chat".to_owned()];
        let asked = !arguments.force_include.is_empty();
        let wanted = if asked {
            &arguments.force_include[..]
        } else {
            &default[..]
        };
        for word in wanted.iter().map(|word| word.trim()) {
            let (ids, unknown) = match word {
                "none" if wanted.len() == 1 => continue,
                "eos" => (eos.clone(), "no token is known to end a text"),
                "chat" => (chat.clone(), "no token is known to be of a chat template"),
                id => (Some(vec![parse(id)?]), ""),
            };
            match ids {
                Some(ids) => forced.ids.extend(ids),
                None if asked => return Err(unknown_group(word, unknown, true).into()),
                None => forced.notes.push(unknown_group(word, unknown, false)),
            }
        }
        forced.ids.sort_unstable();
        forced.ids.dedup();
        Ok(forced)
    }
}

fn parse(word: &str) -> Result<u32, Diagnostic> {
    word.parse().map_err(|_| {
        Diagnostic::error(
            codes::FORCED_TOKEN,
            format!("`{word}` is neither a token id nor `eos`, `chat` or `none`"),
        )
        .note("`none` stands alone")
    })
}

fn unknown_group(word: &str, title: &str, asked: bool) -> Diagnostic {
    let title = format!("{title}, so none is included for it");
    let problem = if asked {
        Diagnostic::error(
            codes::FORCED_TOKEN,
            title.replace(", so none is included for it", ""),
        )
    } else {
        Diagnostic::warning(codes::FORCED_TOKEN, title)
    };
    let source = match word {
        "eos" => {
            "they are `eos_token_id` in the verifier's `generation_config.json` and `config.json`"
        }
        _ => "they are added tokens of the verifier's tokenizer that its chat template writes",
    };
    problem
        .note(source)
        .help("name the verifier with `--verifier`, or the tokens by id with `--force-include`")
}
