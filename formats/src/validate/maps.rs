//! Findings about vocabulary maps that can be read but should give pause.

use crate::checkpoint::Checkpoint;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::vocabulary::VocabularyMap;

pub(super) fn check(checkpoint: &Checkpoint, map: &VocabularyMap) -> Option<Diagnostic> {
    let targets = &map.draft_to_target;
    let draft = targets.windows(2).position(|pair| pair[0] > pair[1])?;
    let (before, after) = (targets.get(draft)?, targets.get(draft + 1)?);
    let title = format!(
        "draft tokens {draft} and {} stand for {before} and {after}, in descending order",
        draft + 1
    );
    Some(
        Diagnostic::warning(codes::MAP_UNSORTED, title)
            .at(checkpoint.place("d2t"))
            .note("serving does not mind; trainers expect the rows of `lm_head` in ascending order of verifier tokens"),
    )
}
