//! The sums of one request that metrics are made of, so that resampling requests adds numbers up instead of walking
//! over steps again.

use std::time::Duration;

use crate::evaluation::{RequestFigures, StepFigures};

/// Sums over the steps of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// All verification steps.
    pub(crate) passes: f64,
    /// Those that had draft tokens to verify.
    pub(crate) steps: f64,
    /// Draft tokens proposed.
    pub(crate) drafted: f64,
    /// Draft tokens accepted, before cutting.
    pub(crate) accepted: f64,
    /// Depths at which a draft was put to the test: the accepted ones, and the one that was rejected.
    pub(crate) tested: f64,
    /// Tokens emitted, after cutting.
    pub(crate) emitted: f64,
    /// Steps that accepted at least 1, 2, … draft tokens.
    pub(crate) reached: Vec<f64>,
    /// Steps that proposed at least 1, 2, … draft tokens in a row.
    pub(crate) offered: Vec<f64>,
    /// Tokens of the output, the one from the prompt pass included.
    pub(crate) output: f64,
    /// Seconds of the prompt pass.
    pub(crate) prefill: f64,
    /// Seconds of all steps.
    pub(crate) decode: f64,
    /// Seconds of the prompt pass with plain decoding.
    pub(crate) plain_prefill: f64,
    /// Seconds of all later tokens with plain decoding.
    pub(crate) plain_decode: f64,
}

impl Tally {
    /// Sums up a request, with figures for `positions` draft tokens in a row.
    pub(crate) fn of(request: &RequestFigures, positions: usize) -> Tally {
        let mut tally = Tally::of_steps(request.steps.iter(), positions);
        tally.output = count(request.output_tokens);
        tally.prefill = request.prefill.as_secs_f64();
        tally.decode = request.decode.as_secs_f64();
        tally.plain_prefill = request.plain_prefill.as_secs_f64();
        tally.plain_decode = request.plain_decode.as_secs_f64();
        tally
    }

    /// Sums up some steps of a request; what belongs to the whole request stays 0.
    pub(crate) fn of_steps<'a>(
        steps: impl Iterator<Item = &'a StepFigures>,
        positions: usize,
    ) -> Tally {
        let mut tally = Tally {
            reached: vec![0.0; positions],
            offered: vec![0.0; positions],
            ..Tally::default()
        };
        for step in steps {
            let depth = step.proposed.len();
            tally.passes += 1.0;
            tally.steps += f64::from(u8::from(depth > 0));
            tally.drafted += count(step.proposed.iter().sum());
            tally.accepted += count(step.accepted);
            tally.tested += count(depth.min(step.accepted + 1));
            tally.emitted += count(step.emitted);
            for reached in tally.reached.iter_mut().take(step.accepted) {
                *reached += 1.0;
            }
            for offered in tally.offered.iter_mut().take(depth) {
                *offered += 1.0;
            }
        }
        tally
    }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn count(count: usize) -> f64 {
    count as f64
}

/// Milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
