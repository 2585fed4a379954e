//! The verifier's tokenizer and chat template, as its directory holds them.

use std::path::Path;

use serde_json::{Map, Value};
use speculators_formats::{Diagnostic, Place, codes};
use tokenizers::Tokenizer;

use crate::Result;
use crate::text::{ChatTemplate, Message};

/// `tokenizer.json`, loaded.
pub struct TextTokenizer {
    inner: Tokenizer,
}

impl TextTokenizer {
    /// Loads `tokenizer.json` from a verifier's directory.
    ///
    /// # Errors
    /// A diagnostic where the file is missing or is not a tokenizer.
    pub fn load(directory: &Path) -> Result<TextTokenizer> {
        let path = directory.join("tokenizer.json");
        if !path.is_file() {
            return Err(Diagnostic::error(codes::TOKENIZER, "the verifier has no `tokenizer.json`")
                .at(Place::file(&path))
                .help("copy the tokenizer files beside the weights, or give prompts as `prompt_token_ids`")
                .into());
        }
        let inner = Tokenizer::from_file(&path).map_err(|error| {
            Diagnostic::error(
                codes::TOKENIZER,
                "`tokenizer.json` is not a tokenizer this build can load",
            )
            .at(Place::file(&path))
            .note(error.to_string())
        })?;
        Ok(TextTokenizer { inner })
    }

    /// Token ids of a text; `special` adds what the tokenizer puts around a plain prompt (a beginning-of-text token, say).
    ///
    /// # Errors
    /// A diagnostic where the tokenizer refuses the text.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, special).map_err(|error| {
            Diagnostic::error(codes::TOKENIZER, "the tokenizer refuses a text")
                .note(error.to_string())
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of token ids, special tokens left out.
    ///
    /// # Errors
    /// A diagnostic where the tokenizer cannot decode an id.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        Ok(self.inner.decode(ids, true).map_err(|error| {
            Diagnostic::error(codes::TOKENIZER, "the tokenizer cannot decode its own ids")
                .note(error.to_string())
        })?)
    }

    /// Tokens that were added to the tokenizer beside its vocabulary, ascending by id: those with a meaning of their own, and
    /// others that are never split.
    #[must_use]
    pub fn added_tokens(&self) -> Vec<AddedToken> {
        let added = self.inner.get_added_tokens_decoder();
        let mut tokens: Vec<AddedToken> = added
            .into_iter()
            .map(|(id, token)| AddedToken {
                id,
                text: token.content,
                special: token.special,
            })
            .collect();
        tokens.sort_by_key(|token| token.id);
        tokens
    }

    /// The tokenizer's own spelling of one id, special tokens included.
    #[must_use]
    pub fn piece(&self, id: u32) -> String {
        self.inner
            .decode(&[id], false)
            .unwrap_or_else(|_| format!("<{id}>"))
    }
}

/// A token that was added to a tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedToken {
    /// Its id.
    pub id: u32,
    /// How it is written.
    pub text: String,
    /// Whether it is left out where tokens are turned into text.
    pub special: bool,
}

/// Tokenizer and chat template of a verifier: everything between a prompt as people write it and token ids.
pub struct TextModel {
    /// The tokenizer.
    pub tokenizer: TextTokenizer,
    template: Option<ChatTemplate>,
    directory: std::path::PathBuf,
}

impl TextModel {
    /// Loads tokenizer and, where there is one, chat template from a verifier's directory.
    ///
    /// # Errors
    /// Diagnostics for files that are missing or malformed. A missing chat template is only an error once it is needed.
    pub fn load(directory: &Path) -> Result<TextModel> {
        Ok(TextModel {
            tokenizer: TextTokenizer::load(directory)?,
            template: ChatTemplate::load(directory)?,
            directory: directory.to_path_buf(),
        })
    }

    /// Token ids of a plain prompt.
    ///
    /// # Errors
    /// See [`TextTokenizer::encode`].
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.encode(text, true)
    }

    /// Token ids of a conversation, ending where the assistant is to go on.
    ///
    /// # Errors
    /// A diagnostic where there is no chat template or it refuses the conversation.
    pub fn encode_chat(
        &self,
        messages: &[Message],
        tools: Option<&Value>,
        extra: &Map<String, Value>,
    ) -> Result<Vec<u32>> {
        self.encode_conversation(messages, tools, true, extra)
    }

    /// Token ids of a conversation as it stands; `generation` adds the opening of the assistant's turn.
    ///
    /// # Errors
    /// As [`TextModel::encode_chat`].
    pub fn encode_conversation(
        &self,
        messages: &[Message],
        tools: Option<&Value>,
        generation: bool,
        extra: &Map<String, Value>,
    ) -> Result<Vec<u32>> {
        let template = self.chat_template()?;
        let text = template.render(messages, tools, generation, extra)?;
        self.tokenizer.encode(&text, false)
    }

    /// The chat template.
    ///
    /// # Errors
    /// A diagnostic where there is none.
    pub fn chat_template(&self) -> Result<&ChatTemplate> {
        let missing = || {
            Diagnostic::error(codes::TOKENIZER, "the prompt is a conversation, but the verifier has no chat template")
                .at(Place::file(self.directory.join("tokenizer_config.json")))
                .note("looked for `chat_template.jinja`, then `chat_template` in `tokenizer_config.json`")
                .help("use an instruction-tuned verifier, or give prompts as `prompt` or `prompt_token_ids`")
        };
        Ok(self.template.as_ref().ok_or_else(missing)?)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Golden {
        Text {
            text: String,
            ids: Vec<u32>,
            ids_with_special_tokens: Vec<u32>,
            decoded: String,
            decoded_without_special_tokens: String,
        },
        Conversation {
            messages: Vec<Message>,
            add_generation_prompt: bool,
            rendered: String,
            ids: Vec<u32>,
        },
    }

    #[test]
    fn encodings_and_conversations_are_those_of_transformers() {
        let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"));
        let model = TextModel::load(&fixtures.join("verifier")).unwrap();
        let golden = fs_err::read_to_string(fixtures.join("golden/tokenizer.jsonl")).unwrap();
        let (mut texts, mut conversations) = (0, 0);
        for line in golden.lines() {
            match serde_json::from_str(line).unwrap() {
                Golden::Text {
                    text,
                    ids,
                    ids_with_special_tokens,
                    decoded,
                    decoded_without_special_tokens,
                } => {
                    let tokenizer = &model.tokenizer;
                    assert_eq!(tokenizer.encode(&text, false).unwrap(), ids, "{text}");
                    assert_eq!(
                        model.encode_prompt(&text).unwrap(),
                        ids_with_special_tokens,
                        "{text}"
                    );
                    assert_eq!(tokenizer.inner.decode(&ids, false).unwrap(), decoded);
                    assert_eq!(
                        tokenizer.decode(&ids).unwrap(),
                        decoded_without_special_tokens
                    );
                    texts += 1;
                }
                Golden::Conversation {
                    messages,
                    add_generation_prompt,
                    rendered,
                    ids,
                } => {
                    let none = Map::new();
                    let template = model.chat_template().unwrap();
                    let ours = template.render(&messages, None, add_generation_prompt, &none);
                    assert_eq!(ours.unwrap(), rendered);
                    let ours =
                        model.encode_conversation(&messages, None, add_generation_prompt, &none);
                    assert_eq!(ours.unwrap(), ids, "{rendered}");
                    conversations += 1;
                }
            }
        }
        assert_eq!((texts, conversations), (20, 14));
    }
}
