//! One request in sums: few enough to keep in a report, and all that metrics are made of, so that two reports can be
//! compared request by request.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evaluation::RequestFigures;
use crate::evaluation::request::microseconds;
use crate::evaluation::tally::{Tally, count};

/// The sums over the steps of one request.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct RequestReport {
    /// Request id.
    pub id: String,
    /// Category of the prompt.
    pub category: Option<String>,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Begin of the SHA-256 digest of the prompt's token ids; null where the records have none.
    pub prompt_digest: Option<String>,
    /// Tokens of the output, the one from the prompt pass included.
    pub output_tokens: usize,
    /// Verification steps.
    pub passes: usize,
    /// Those that had draft tokens to verify.
    pub steps: usize,
    /// Draft tokens proposed.
    pub drafted: usize,
    /// Draft tokens accepted, those included that an end of text or the limit then cut.
    pub accepted: usize,
    /// Depths at which a draft was put to the test: the accepted ones, and the one that was rejected.
    pub tested: usize,
    /// Tokens that came out of steps, after cutting.
    pub emitted: usize,
    /// Steps that accepted at least 1, 2, … draft tokens.
    pub accepted_per_position: Vec<usize>,
    /// Steps that proposed at least 1, 2, … draft tokens in a row.
    pub proposed_per_position: Vec<usize>,
    /// Microseconds of the prompt pass.
    #[serde(rename = "prefill_us", with = "microseconds")]
    #[schemars(with = "f64")]
    pub prefill: Duration,
    /// Microseconds of all later steps with speculation.
    #[serde(rename = "decode_us", with = "microseconds")]
    #[schemars(with = "f64")]
    pub decode: Duration,
    /// Microseconds of the prompt pass with plain decoding.
    #[serde(rename = "plain_prefill_us", with = "microseconds")]
    #[schemars(with = "f64")]
    pub plain_prefill: Duration,
    /// Microseconds of all later tokens with plain decoding.
    #[serde(rename = "plain_decode_us", with = "microseconds")]
    #[schemars(with = "f64")]
    pub plain_decode: Duration,
    /// Both gave the same tokens.
    pub lossless: bool,
}

impl RequestReport {
    /// Sums up a request, with figures for `positions` draft tokens in a row.
    #[must_use]
    pub fn of(request: &RequestFigures, positions: usize) -> RequestReport {
        let mut report = RequestReport {
            id: request.id.clone(),
            category: request.category.clone(),
            prompt_tokens: request.prompt_tokens,
            prompt_digest: request.prompt_digest.clone(),
            output_tokens: request.output_tokens,
            accepted_per_position: vec![0; positions],
            proposed_per_position: vec![0; positions],
            prefill: request.prefill,
            decode: request.decode,
            plain_prefill: request.plain_prefill,
            plain_decode: request.plain_decode,
            lossless: request.lossless,
            ..RequestReport::default()
        };
        for step in &request.steps {
            let depth = step.proposed.len();
            report.passes += 1;
            report.steps += usize::from(depth > 0);
            report.drafted += step.proposed.iter().sum::<usize>();
            report.accepted += step.accepted;
            report.tested += depth.min(step.accepted + 1);
            report.emitted += step.emitted;
            for accepted in report.accepted_per_position.iter_mut().take(step.accepted) {
                *accepted += 1;
            }
            for proposed in report.proposed_per_position.iter_mut().take(depth) {
                *proposed += 1;
            }
        }
        report
    }

    /// 1 + accepted / steps; none where no step had a draft.
    #[must_use]
    pub fn mean_length(&self) -> Option<f64> {
        (self.steps > 0).then(|| 1.0 + count(self.accepted) / count(self.steps))
    }

    /// Time of plain decoding over that with speculation, prompt passes left out; none where there was no time.
    #[must_use]
    pub fn speedup(&self) -> Option<f64> {
        (!self.decode.is_zero() && !self.plain_decode.is_zero())
            .then(|| self.plain_decode.as_secs_f64() / self.decode.as_secs_f64())
    }

    /// What metrics are made of, for the first `positions` draft tokens.
    pub(crate) fn tally(&self, positions: usize) -> Tally {
        let first = |sums: &[usize]| {
            let padded = sums.iter().copied().chain(std::iter::repeat(0));
            padded.take(positions).map(count).collect()
        };
        Tally {
            passes: count(self.passes),
            steps: count(self.steps),
            drafted: count(self.drafted),
            accepted: count(self.accepted),
            tested: count(self.tested),
            emitted: count(self.emitted),
            reached: first(&self.accepted_per_position),
            offered: first(&self.proposed_per_position),
            output: count(self.output_tokens),
            prefill: self.prefill.as_secs_f64(),
            decode: self.decode.as_secs_f64(),
            plain_prefill: self.plain_prefill.as_secs_f64(),
            plain_decode: self.plain_decode.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::StepFigures;

    #[test]
    fn the_sums_are_those_that_metrics_are_made_of() {
        let step = |proposed: &[usize], accepted, emitted| StepFigures {
            proposed: proposed.to_vec(),
            accepted,
            emitted,
            ..StepFigures::default()
        };
        let request = RequestFigures {
            output_tokens: 9,
            decode: Duration::from_micros(7),
            plain_decode: Duration::from_micros(14),
            steps: vec![
                step(&[3, 2, 1], 2, 3),
                step(&[1, 1, 1], 3, 2),
                step(&[1, 1], 0, 1),
                step(&[], 0, 1),
            ],
            ..RequestFigures::default()
        };
        for positions in [2, 3, 5] {
            let report = RequestReport::of(&request, 3);
            let mut tally = Tally::of(&request, positions);
            // What a report does not hold any more counts as not reached.
            for sums in [&mut tally.reached, &mut tally.offered] {
                sums.iter_mut().skip(3).for_each(|sum| *sum = 0.0);
            }
            assert_eq!(report.tally(positions), tally);
        }
        let report = RequestReport::of(&request, 3);
        assert_eq!(report.mean_length(), Some(1.0 + 5.0 / 3.0));
        assert_eq!(report.speedup(), Some(2.0));
        assert_eq!(RequestReport::default().mean_length(), None);
        assert_eq!(RequestReport::default().speedup(), None);
    }
}
