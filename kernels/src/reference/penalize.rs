use crate::{Error, Occurrence, Penalties, Result, shape};

/// Applies penalties to logits `[paths.len(), width]` in place, the first step of [`Sampling`](crate::Sampling).
///
/// `seen` are the tokens of prompt and output up to the root, each once, ascending. `paths` are, for each row, the draft
/// tokens on the way from below the root to its node, that node included: they count as output, since at their node
/// they would be. (The root was emitted and is in `seen`; its row has an empty path.)
///
/// A token that has occurred in prompt or output is multiplied by `1 / repetition` if its logit is positive and by
/// `repetition` if not; then `frequency` is taken off for each time it is in the output, and `presence` if it is there
/// at all. This is vLLM's order and its arithmetic (`vllm/model_executor/layers/utils.py`, `apply_penalties`).
///
/// # Errors
///
/// [`Error::Sampling`], [`Error::Shape`], [`Error::Multiple`], [`Error::Range`] for a token beyond `width`,
/// [`Error::Order`] when `seen` does not ascend.
pub fn penalize(
    logits: &mut [f32],
    width: usize,
    penalties: &Penalties,
    seen: &[Occurrence],
    paths: &[&[u32]],
) -> Result<()> {
    check(logits, width, penalties, seen, paths)?;
    if penalties.is_none() {
        return Ok(());
    }
    for (row, path) in logits.chunks_exact_mut(width).zip(paths) {
        for occurrence in seen {
            let token = occurrence.token;
            let on_path = path.iter().filter(|other| **other == token).count();
            let x = &mut row[token as usize];
            *x = penalized(*x, penalties, occurrence.in_output as usize + on_path);
        }
        for (index, token) in path.iter().enumerate() {
            let known = seen
                .binary_search_by_key(token, |other| other.token)
                .is_ok();
            if !known && !path[..index].contains(token) {
                let count = path.iter().filter(|other| *other == token).count();
                let x = &mut row[*token as usize];
                *x = penalized(*x, penalties, count);
            }
        }
    }
    Ok(())
}

/// The logit of a token that has occurred, `in_output` times in the output.
fn penalized(logit: f32, penalties: &Penalties, in_output: usize) -> f32 {
    let repetition = penalties.repetition;
    let factor = if logit > 0.0 {
        1.0 / repetition
    } else {
        repetition
    };
    let present = f32::from(u8::from(in_output > 0));
    logit * factor - penalties.frequency * in_output as f32 - penalties.presence * present
}

fn check(
    logits: &[f32],
    width: usize,
    penalties: &Penalties,
    seen: &[Occurrence],
    paths: &[&[u32]],
) -> Result<()> {
    const OPERATION: &str = "penalize";
    penalties.check(OPERATION)?;
    let rows = shape::rows(OPERATION, "logits", width, logits.len())?;
    shape::equal(OPERATION, "paths", rows, paths.len())?;
    for (index, occurrence) in seen.iter().enumerate() {
        shape::below(OPERATION, "token seen", width, occurrence.token as usize)?;
        if index > 0 && seen[index - 1].token >= occurrence.token {
            return Err(Error::Order {
                operation: OPERATION,
                what: "tokens seen",
                index,
                previous: seen[index - 1].token as usize,
                found: occurrence.token as usize,
            });
        }
    }
    for token in paths.iter().copied().flatten() {
        shape::below(OPERATION, "token of a path", width, *token as usize)?;
    }
    Ok(())
}
