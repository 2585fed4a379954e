//! The turns of a prompt, each asked after the answer to the one before, and the names of the requests they make.

use std::collections::BTreeSet;

use serde_json::Map;
use speculators_formats::{Diagnostic, codes};

use crate::Result;
use crate::text::{Message, Prompt, PromptBody};

/// Where a prompt stands: single prompts have one turn, `turns` prompts one after another.
#[derive(Default)]
pub(crate) struct Turns {
    pub(crate) begun: usize,
    pub(crate) conversation: Vec<Message>,
}

impl Turns {
    /// Begins the next turn, if there is one.
    pub(crate) fn next(&mut self, prompt: &Prompt) -> bool {
        if self.begun == turns_of(prompt) {
            return false;
        }
        if let PromptBody::Turns(turns) = &prompt.body {
            self.conversation.push(message("user", &turns[self.begun]));
        }
        self.begun += 1;
        true
    }

    pub(crate) fn answer(&mut self, text: &str) {
        self.conversation.push(message("assistant", text));
    }
}

/// Requests that a prompt makes.
pub(crate) fn turns_of(prompt: &Prompt) -> usize {
    match &prompt.body {
        PromptBody::Turns(turns) => turns.len(),
        _ => 1,
    }
}

/// Id of the request that a turn of a prompt is, counted from 0.
pub(crate) fn request_id(prompt: &Prompt, turn: usize) -> String {
    match turn {
        0 => prompt.id.clone(),
        turn => format!("{}/{}", prompt.id, turn + 1),
    }
}

/// The places of all requests of some prompts, named by their indices, in the order in which they are run one at a
/// time: which prompt, and which of its turns.
#[must_use]
pub fn places(prompts: &[Prompt], order: &[usize]) -> Vec<[usize; 2]> {
    let turns = |&prompt: &usize| (0..turns_of(&prompts[prompt])).map(move |turn| [prompt, turn]);
    order.iter().flat_map(turns).collect()
}

/// That no two requests have the same id.
pub(crate) fn check_ids(prompts: &[Prompt], order: &[usize]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for [prompt, turn] in places(prompts, order) {
        let id = request_id(&prompts[prompt], turn);
        if seen.contains(&id) {
            let title = format!("two requests have the id `{id}`");
            return Err(Diagnostic::error(codes::REQUESTS_NAMELESS, title)
                .note("with `--resume` and `--concurrency` requests are told apart by their ids")
                .into());
        }
        seen.insert(id);
    }
    Ok(())
}

fn message(role: &str, content: &str) -> Message {
    let mut message = Map::new();
    message.insert("role".into(), role.into());
    message.insert("content".into(), content.into());
    message
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::text::{PromptOptions, PromptSet};

    #[test]
    fn requests_of_the_same_name_are_found_among_turns_too() {
        let text = concat!(
            "{\"id\": \"a\", \"turns\": [\"one\", \"two\"]}\n",
            "{\"id\": \"b\", \"prompt\": \"x\"}\n",
            "{\"id\": \"a/2\", \"prompt\": \"x\"}\n",
        );
        let prompts = PromptSet::parse(Path::new("p"), text, PromptOptions::default())
            .unwrap()
            .prompts;
        assert_eq!(places(&prompts, &[1, 0]), [[1, 0], [0, 0], [0, 1]]);
        assert!(check_ids(&prompts, &[0, 1]).is_ok());
        assert!(check_ids(&prompts, &[2, 1]).is_ok());
        assert!(check_ids(&prompts, &[0, 2]).is_err());
    }
}
