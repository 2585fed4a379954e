//! Which tokens of a conversation are the assistant's.
//!
//! Templates do not say. As the Python package does it, the conversation up to an answer is rendered with the opening of the
//! assistant's turn, and then with the answer: what the second has more is the answer, down to the last token the template
//! closes it with. Each answer is taken with the history as it is rendered for that answer, since templates may drop
//! parts of earlier turns.

use speculators_formats::codes;

use super::line::{Conversation, Problem};
use crate::Result;
use crate::text::TextModel;

/// What was found in a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Answers with something before them and room for at least one token.
    pub answers: u64,
    /// Those that begin otherwise than the template opens them.
    pub diverging: u64,
}

impl Conversation {
    /// Token ids of the whole conversation.
    pub fn whole(&self, model: &TextModel) -> Result<Vec<u32>> {
        self.first(model, self.messages.len(), false)
    }

    /// Token ids of the first turns, with the opening of an answer or without.
    fn first(&self, model: &TextModel, turns: usize, generation: bool) -> Result<Vec<u32>> {
        let messages = self.messages.get(..turns).unwrap_or_default();
        model.encode_conversation(messages, self.tools.as_ref(), generation, &self.variables)
    }
}

/// Adds the tokens of all answers, each from where it begins to the end of the conversation so far, and no token beyond the
/// first `limit` of it.
///
/// # Errors
/// S713 where an answer cannot be told from what comes before it; S701 where the template refuses the conversation.
pub(super) fn answers(
    model: &TextModel,
    conversation: &Conversation,
    limit: usize,
    tokens: &mut Vec<u32>,
) -> std::result::Result<Found, Problem> {
    let mut found = Found::default();
    for (turn, message) in conversation.messages.iter().enumerate() {
        // An answer to nothing is only history.
        if turn == 0 || message.get("role").is_none_or(|role| role != "assistant") {
            continue;
        }
        let prompt = conversation.first(model, turn, true)?;
        if prompt.len() >= limit {
            continue;
        }
        let full = conversation.first(model, turn + 1, false)?;
        let mut begin = prompt.len();
        if !full.starts_with(&prompt) {
            begin = common(&prompt, &full);
            let history = conversation.first(model, turn, false)?;
            if begin < history.len() || !full.starts_with(&history) {
                let differ = common(&history, &full).min(begin);
                return Err(Problem {
                    code: codes::SPANS_UNSTABLE,
                    notes: vec![format!(
                        "up to it, the conversation has {} tokens; rendered together with it, it differs from token {differ} on",
                        history.len()
                    )],
                    ..Problem::new(format!(
                        "turn {} cannot be told from what comes before it",
                        turn + 1
                    ))
                });
            }
            found.diverging += 1;
        }
        found.answers += 1;
        let end = full.len().min(limit);
        tokens.extend(full.get(begin..end).unwrap_or_default());
    }
    Ok(found)
}

/// How many tokens two lists have in common at their beginning.
fn common(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}
