//! Decoding with speculation: draft a chain, verify it in one pass, keep what agrees.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use speculators_formats::{Diagnostic, codes};
use speculators_kernels::cpu;

use super::drafter::Drafter;
use super::limits::Limits;
use super::plain::{lap, room, stop_if};
use super::record::{Chooser, Generation, NearTie, StepRecord};
use super::sequence::Sequence;
use crate::Result;
use crate::models::{Choice, DraftHead, Verifier};

/// The longest chain that can be drafted: with its root it fills two words of a mask.
pub const MAX_SPECULATIVE_TOKENS: usize = 63;

/// Continues a prompt greedily with `num_speculative_tokens` draft tokens per verifier pass. The output is that of
/// [`generate`](super::generate()). Setting `cancelled` ends it between two steps.
///
/// # Errors
///
/// As for [`generate`](super::generate()); a diagnostic for a number of draft tokens that is not from 1 to
/// [`MAX_SPECULATIVE_TOKENS`].
pub fn speculate(
    verifier: &Verifier,
    head: &DraftHead,
    prompt: &[u32],
    limits: &Limits,
    num_speculative_tokens: usize,
    cancelled: &AtomicBool,
) -> Result<Generation> {
    speculate_with(
        verifier,
        head,
        prompt,
        limits,
        num_speculative_tokens,
        cancelled,
        &mut |_, _| {},
    )
}

/// As [`speculate`]; `progress` hears of new tokens as they come, with the step that made them (the first token comes
/// from the prompt pass, which is no step).
///
/// # Errors
///
/// As for [`speculate`].
pub fn speculate_with(
    verifier: &Verifier,
    head: &DraftHead,
    prompt: &[u32],
    limits: &Limits,
    num_speculative_tokens: usize,
    cancelled: &AtomicBool,
    progress: &mut dyn FnMut(&[u32], Option<&StepRecord>),
) -> Result<Generation> {
    limits.check(verifier, prompt)?;
    check_count(num_speculative_tokens)?;
    let start = Instant::now();
    let room = room(prompt.len(), limits, num_speculative_tokens);
    let mut sequence = Sequence::new(verifier, head.auxiliary_layers(), room)?;
    let mut drafter = Drafter::new(head, room)?;
    let first = sequence.prefill(prompt, |positions, pass, next| {
        stop_if(cancelled)?;
        // The features of a position go with the token after it.
        let mut following =
            prompt[positions.start + 1..prompt.len().min(positions.end + 1)].to_vec();
        following.extend(next);
        drafter.extend(&following, pass.auxiliary())
    })?;
    let (_, mut finish) = sequence.advance(prompt.len() - 1, &[first], limits);
    progress(&[first], None);
    let prefill = start.elapsed();

    let reach = limits
        .context_length
        .min(head.description().max_position_embeddings);
    // Positions that the last verifier pass has covered, rejected ones included.
    let mut covered = prompt.len();
    let mut fresh: Vec<u32> = Vec::new();
    let mut choices = Vec::new();
    let mut drafted = Vec::new();
    let mut steps = Vec::new();
    let finish = loop {
        if let Some(finish) = finish {
            break finish;
        }
        stop_if(cancelled)?;
        let begin = Instant::now();
        let mut mark = begin;
        let context_length = sequence.len();
        if covered + num_speculative_tokens <= reach {
            if !fresh.is_empty() {
                // Of the rows that were verified, the accepted ones come first.
                let width = head.auxiliary_layers().len() * verifier.config().hidden_size;
                drafter.extend(&fresh, &sequence.auxiliary()[..fresh.len() * width])?;
            }
            drafter.draft(num_speculative_tokens, &mut choices)?;
            drafted.clear();
            drafted.extend(choices.iter().map(|choice| choice.token));
        } else {
            // Where a chain would lead beyond what the head can see, vLLM has token 0 verified in its place, and
            // counts it.
            choices.clear();
            drafted.clear();
            drafted.resize(num_speculative_tokens, 0);
        }
        // What is verified must leave room in the context for the token after it.
        drafted.truncate((limits.context_length - 1).saturating_sub(context_length));
        let draft = lap(&mut mark);

        let mut chain: Vec<u32> = sequence.last().into_iter().collect();
        chain.extend_from_slice(&drafted);
        let parents: Vec<i32> = (-1..drafted.len() as i32).collect();
        let verified = sequence.choices(&chain)?;
        let targets: Vec<u32> = verified.iter().map(|choice| choice.token).collect();
        let accepted = cpu::accept(&parents, &chain, &targets)?;
        let near_ties = near_ties(&choices, verified, accepted.path.len());
        let verify = lap(&mut mark);

        fresh.clear();
        fresh.extend(accepted.path.iter().map(|node| chain[*node]));
        fresh.push(accepted.bonus);
        covered = context_length + drafted.len();
        let (emitted, finished) = sequence.advance(context_length - 1, &fresh, limits);
        finish = finished;
        let step = StepRecord {
            context_length,
            proposed: drafted.clone(),
            accepted: accepted.path.len(),
            emitted,
            near_ties,
            draft,
            verify,
            other: begin.elapsed().saturating_sub(draft + verify),
        };
        progress(&fresh[..emitted], Some(&step));
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

/// The close choices of a step that mattered: all drafted ones up to the first that was rejected, and the verifier's
/// there.
fn near_ties(drafted: &[Choice], verified: &[Choice], accepted: usize) -> Vec<NearTie> {
    let relevant = |by, choices: &[Choice]| {
        choices
            .iter()
            .take(accepted + 1)
            .enumerate()
            .filter(|(_, choice)| choice.is_near_tie())
            .map(|(depth, &choice)| NearTie { by, depth, choice })
            .collect::<Vec<_>>()
    };
    let mut near_ties = relevant(Chooser::Head, drafted);
    near_ties.extend(relevant(Chooser::Verifier, verified));
    near_ties
}

fn check_count(tokens: usize) -> Result<()> {
    if (1..=MAX_SPECULATIVE_TOKENS).contains(&tokens) {
        return Ok(());
    }
    let title = format!(
        "{tokens} draft tokens per step were asked for, 1 to {MAX_SPECULATIVE_TOKENS} are possible"
    );
    Err(Diagnostic::error(codes::USAGE, title).into())
}
