//! Findings about vocabulary maps that can be read but should give pause.

use crate::checkpoint::Checkpoint;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::head::Layout;
use crate::speculator::Speculator;
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

/// Maps that this program rebuilds from one another, and that loaders of the speculators layout do not.
pub(super) fn missing(speculator: &Speculator) -> Option<Diagnostic> {
    if speculator.layout() != Layout::Speculators || speculator.vocabulary_map().is_none() {
        return None;
    }
    let absent = |name: &str| !speculator.tensors().contains_key(name);
    let place = speculator.checkpoint().weights_place();
    if absent("d2t") {
        let title = "`d2t` is missing, although the vocabulary is reduced";
        return Some(
            Diagnostic::error(codes::MAP_MISSING, title)
                .at(place)
                .note("vLLM takes draft token d for verifier token d then")
                .help("convert the head again: `d2t` is rebuilt from `t2d`, if the rows of `lm_head` are in ascending order"),
        );
    }
    absent("t2d").then(|| {
        Diagnostic::warning(
            codes::MAP_MISSING,
            "`t2d` is missing, although the vocabulary is reduced",
        )
        .at(place)
        .note("vLLM does without it; the Python package fails, or leaves it undefined")
        .help("convert the head again: `t2d` is rebuilt from `d2t`")
    })
}
