//! Decoding one token at a time: the baseline, and what speculation must agree with.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use speculators_kernels::{Sampling, VerifyTree, cpu};

use super::choosing::Choosing;
use super::limits::Limits;
use super::record::{Generation, StepRecord};
use super::sequence::Sequence;
use crate::models::Verifier;
use crate::{Error, Result};

/// Continues a prompt greedily, one token per verifier pass. Setting `cancelled` ends it between two tokens.
///
/// # Errors
///
/// As for [`generate_with`].
pub fn generate(
    verifier: &Verifier,
    prompt: &[u32],
    limits: &Limits<'_>,
    cancelled: &AtomicBool,
) -> Result<Generation> {
    let choosing = Sampling::greedy();
    generate_with(
        verifier,
        prompt,
        limits,
        choosing,
        cancelled,
        &mut |_, _| {},
    )
}

/// As [`generate`], choosing tokens as told; `progress` hears of new tokens as they come, with the step that made
/// them (the first token comes from the prompt pass, which is no step).
///
/// # Errors
///
/// A diagnostic for a prompt that is empty, too long or holds unknown tokens; [`Error::Kernel`] for a `choosing` that
/// cannot be; [`Error::Interrupted`].
pub fn generate_with(
    verifier: &Verifier,
    prompt: &[u32],
    limits: &Limits<'_>,
    choosing: impl Into<Choosing>,
    cancelled: &AtomicBool,
    progress: &mut dyn FnMut(&[u32], Option<&StepRecord>),
) -> Result<Generation> {
    limits.check(verifier, prompt)?;
    let start = Instant::now();
    let mut sequence = Sequence::new(
        verifier,
        &[],
        choosing.into(),
        room(prompt.len(), limits, 0),
    )?;
    let first = sequence.prefill(prompt, |_, _, _| stop_if(cancelled))?;
    let (_, mut finish) = sequence.push([first], limits)?;
    progress(&[first], None);
    let prefill = start.elapsed();
    let mut steps = Vec::new();
    let finish = loop {
        if let Some(finish) = finish {
            break finish;
        }
        stop_if(cancelled)?;
        let begin = Instant::now();
        let context_length = sequence.len();
        let tree = VerifyTree::chain(sequence.tokens()[context_length - 1], &[]);
        let accepted = cpu::accept(&tree.parents, &tree.tokens, sequence.verify(&tree)?)?;
        let verify = begin.elapsed();
        finish = sequence.accept(&tree, &accepted, limits)?.1;
        let step = StepRecord {
            context_length,
            emitted: 1,
            verify,
            other: begin.elapsed().saturating_sub(verify),
            ..StepRecord::default()
        };
        progress(&[accepted.bonus], Some(&step));
        steps.push(step);
    };
    Ok(Generation {
        output_token_ids: sequence.output().to_vec(),
        steps,
        finish,
        prefill,
        total: start.elapsed(),
    })
}

/// The verifier's logits after some tokens, `[vocab]`, rounded as it rounds them: for judging how close a call was.
///
/// # Errors
///
/// A diagnostic where there are no tokens, too many, or unknown ones.
pub fn next_logits(verifier: &Verifier, tokens: &[u32]) -> Result<Vec<f32>> {
    // What fills the whole context can still be looked at, though not continued.
    let limits = Limits {
        context_length: verifier.config().max_position_embeddings + 1,
        ..Limits::new(verifier, 1)
    };
    limits.check(verifier, tokens)?;
    let mut sequence = Sequence::new(verifier, &[], Sampling::greedy().into(), tokens.len())?;
    sequence.prefill(tokens, |_, _, _| Ok(()))?;
    Ok(sequence.logits().to_vec())
}

/// Tokens there will be at most, where that is a sensible number to make room for.
pub(crate) fn room(prompt: usize, limits: &Limits<'_>, draft: usize) -> usize {
    limits
        .context_length
        .min(prompt.saturating_add(limits.max_new_tokens.min(4096)) + draft)
}

pub(crate) fn stop_if(cancelled: &AtomicBool) -> Result<()> {
    if cancelled.load(Ordering::Relaxed) {
        Err(Error::Interrupted)
    } else {
        Ok(())
    }
}

/// Time since `*mark`, which moves to now.
pub(crate) fn lap(mark: &mut Instant) -> Duration {
    let now = Instant::now();
    now - std::mem::replace(mark, now)
}
