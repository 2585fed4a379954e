//! The tokens that hold a conversation together: what a chat template writes between the turns and around calls of tools.

use serde_json::{Map, json};

use super::{AddedToken, Message, TextModel};
use crate::Result;

/// Tokens added to the tokenizer that the chat template writes, ascending by id.
///
/// These are the special tokens, and tokens in angle brackets such as `<think>`, that occur in the text of the template or in
/// what it makes of a short conversation: a template may put a token together from parts, or take it from a variable. Of a
/// model that reserves hundreds of special tokens, those that no conversation has are not among them.
///
/// # Errors
/// A diagnostic where there is no chat template.
pub fn chat_tokens(model: &TextModel) -> Result<Vec<AddedToken>> {
    let source = model.chat_template()?.source();
    let mut rendered = Vec::new();
    for roles in [
        ["system", "user", "assistant", "user"].as_slice(),
        // Some templates refuse the system's turn.
        &["user", "assistant", "user"],
    ] {
        let messages: Vec<Message> = roles
            .iter()
            .filter_map(|role| json!({ "role": role, "content": "a" }).as_object().cloned())
            .collect();
        // What the template refuses, it writes nothing of.
        let ids = model.encode_conversation(&messages, None, true, &Map::new());
        rendered.extend(ids.unwrap_or_default());
    }
    let mut tokens = model.tokenizer.added_tokens();
    tokens.retain(|token| {
        let marker = token.special || (token.text.starts_with('<') && token.text.ends_with('>'));
        marker && (source.contains(&token.text) || rendered.contains(&token.id))
    });
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn tokens_that_a_template_puts_together_are_found() {
        let verifier = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/verifier"));
        let tokens = chat_tokens(&TextModel::load(verifier).unwrap()).unwrap();
        let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        // Padding, 5, is in no conversation.
        assert_eq!(ids, [0, 1, 2, 3, 4]);
        assert_eq!(tokens[4].text, "<|end|>");
    }
}
