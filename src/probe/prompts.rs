//! Prompts made into tokens: the first turn of each is enough to have the verifier write.

use serde_json::Map;
use speculators_formats::{Diagnostic, codes};

use crate::Result;
use crate::text::{Message, Prompt, PromptBody, TextModel};

/// The token ids of each prompt, in order; of several turns the first.
///
/// # Errors
/// Where there is no tokenizer or chat template for them, or it refuses them.
pub fn encode(prompts: &[Prompt], text: Option<&TextModel>) -> Result<Vec<Vec<u32>>> {
    let model = || {
        text.ok_or_else(|| {
            Diagnostic::error(
                codes::TOKENIZER,
                "the prompts are text, but the verifier has no tokenizer",
            )
        })
    };
    prompts
        .iter()
        .map(|prompt| {
            let extra = &prompt.template_variables;
            match &prompt.body {
                PromptBody::Tokens(tokens) => Ok(tokens.clone()),
                PromptBody::Text(text) => model()?.encode_prompt(text),
                PromptBody::Messages { messages, tools } => {
                    model()?.encode_chat(messages, tools.as_ref(), extra)
                }
                PromptBody::Turns(turns) => {
                    let first = turns.first().map(String::as_str).unwrap_or_default();
                    let mut asked: Message = Map::new();
                    asked.insert("role".into(), "user".into());
                    asked.insert("content".into(), first.into());
                    model()?.encode_chat(&[asked], None, extra)
                }
            }
        })
        .collect()
}
