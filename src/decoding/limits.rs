//! When an output ends.

use speculators_formats::{Diagnostic, codes};

use super::record::FinishReason;
use super::stop::StopStrings;
use crate::Result;
use crate::models::Verifier;

/// When an output ends.
#[derive(Clone, Debug)]
pub struct Limits<'a> {
    /// The most tokens to emit.
    pub max_new_tokens: usize,
    /// The most tokens that prompt and output may have together (`max_model_len` in vLLM).
    pub context_length: usize,
    /// Tokens that end a text; they are emitted, and nothing after them.
    pub end_token_ids: Vec<u32>,
    /// Strings that end a text.
    pub stop: Option<StopStrings<'a>>,
}

impl Limits<'_> {
    /// The verifier's own end tokens and context, and a limit on new tokens.
    #[must_use]
    pub fn new(verifier: &Verifier, max_new_tokens: usize) -> Limits<'static> {
        let config = verifier.config();
        Limits {
            max_new_tokens,
            context_length: config.max_position_embeddings,
            end_token_ids: config.eos_token_ids.clone(),
            stop: None,
        }
    }

    /// Whether the output ends with its last token, where it has `total` tokens together with the prompt.
    pub(crate) fn finish(&self, output: &[u32], total: usize) -> Result<Option<FinishReason>> {
        let ends = |token: &u32| self.end_token_ids.contains(token);
        Ok(if output.last().is_some_and(ends) {
            Some(FinishReason::EndToken)
        } else if let Some(stop) = &self.stop
            && stop.end(output)?
        {
            Some(FinishReason::StopString)
        } else if total >= self.context_length {
            Some(FinishReason::ContextLength)
        } else if output.len() >= self.max_new_tokens {
            Some(FinishReason::MaxNewTokens)
        } else {
            None
        })
    }

    /// That a prompt can be run at all.
    pub(crate) fn check(&self, verifier: &Verifier, prompt: &[u32]) -> Result<()> {
        let vocab_size = verifier.config().vocab_size;
        let problem = if prompt.is_empty() || prompt.len() >= self.context_length {
            let (tokens, longest) = (prompt.len(), self.context_length.saturating_sub(1));
            Diagnostic::error(
                codes::PROMPT_TOO_LONG,
                format!("the prompt has {tokens} tokens, 1 to {longest} can be continued"),
            )
        } else if let Some(token) = prompt.iter().find(|token| **token as usize >= vocab_size) {
            Diagnostic::error(
                codes::PROMPT_MALFORMED,
                format!("the prompt holds token id {token}, the verifier has {vocab_size} tokens"),
            )
        } else {
            return Ok(());
        };
        Err(problem.into())
    }
}
