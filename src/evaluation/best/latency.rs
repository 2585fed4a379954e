//! How long passes take, measured: of the verifier and of the head, at several widths.
//!
//! A step is one pass of the verifier over the draft and the last token, one pass of the head over the tokens that the
//! step before brought, and one pass of the head for each further level of the draft. Widths between measured ones are
//! taken on the straight line between them.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use speculators_kernels::causal_bits;

use crate::Result;
use crate::evaluation::{Evaluation, SurveyedText};
use crate::models::{Cache, HeadPass, VerifierPass};

/// Rows of the verifier's passes that are timed.
const VERIFY: [usize; 8] = [1, 2, 4, 8, 16, 32, 48, 64];
/// Rows of the head's passes over tokens that the verifier has seen.
const SETTLE: [usize; 4] = [1, 2, 4, 8];
/// Rows of the head's passes over draft tokens.
const DRAFT: [usize; 6] = [1, 2, 4, 8, 16, 32];
/// Of each draft token, this many successors are ranked.
const RANKED: usize = 10;
/// Rounds over all widths; one is not counted.
const ROUNDS: [usize; 2] = [4, 22];
/// After the fewest rounds, rounds are made up to this time.
const ENOUGH: Duration = Duration::from_secs(4);
/// Passes quicker than this are made twice, and the second one counts.
const QUICK: Duration = Duration::from_millis(20);
/// Rows of a pass over the context.
const CHUNK: usize = 256;

/// Time of a pass of some width.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct WidthTime {
    /// Tokens in the pass.
    pub rows: usize,
    /// Median time, milliseconds.
    pub ms: f64,
    /// Half of the passes lie within this range around it, milliseconds.
    pub spread_ms: f64,
}

/// Times of passes on this machine.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct LatencyModel {
    /// Tokens before each pass.
    pub context_length: usize,
    /// Passes that each time is the median of.
    pub rounds: usize,
    /// Of the verifier, logits and choice of every row included.
    pub verify: Vec<WidthTime>,
    /// Of the head over tokens the verifier has seen, with the first draft token.
    pub settle: Vec<WidthTime>,
    /// Of the head over draft tokens, with the ranking of what follows each.
    pub draft: Vec<WidthTime>,
    /// All else in a step of the run, milliseconds: mean.
    pub other_ms: f64,
}

impl LatencyModel {
    /// Time of a step that drafts `budget` tokens, milliseconds: `mean_length` tokens came from the step before, and the
    /// head passes over `passes` rows each after its first pass.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "widths are small")]
    pub fn step_ms(&self, mean_length: f64, budget: usize, passes: &[usize]) -> f64 {
        let drafts = passes.iter().map(|rows| at(&self.draft, *rows as f64));
        at(&self.verify, (budget + 1) as f64)
            + at(&self.settle, mean_length)
            + drafts.sum::<f64>()
            + self.other_ms
    }

    /// Time of a token of plain decoding, milliseconds.
    #[must_use]
    pub fn plain_ms(&self) -> f64 {
        at(&self.verify, 1.0) + self.other_ms
    }
}

/// The time of a width: on the line between its neighbours, behind the last one on the line through the last two.
#[expect(clippy::cast_precision_loss, reason = "widths are small")]
fn at(times: &[WidthTime], rows: f64) -> f64 {
    let behind = times.partition_point(|time| (time.rows as f64) < rows);
    let right = behind.clamp(1, times.len().saturating_sub(1).max(1));
    match (times.get(right - 1), times.get(right)) {
        (Some(low), Some(high)) => {
            let share = (rows - low.rows as f64) / (high.rows - low.rows) as f64;
            (low.ms + share * (high.ms - low.ms)).max(0.0)
        }
        (Some(only), None) => only.ms,
        (None, _) => 0.0,
    }
}

impl Evaluation<'_> {
    /// Times passes of the loaded models behind the middle position of a survey of `texts`; `other` is the time of a
    /// step of the run in which neither model ran. None where no output is long enough.
    ///
    /// # Errors
    /// When memory is refused; [`Error::Interrupted`](crate::Error::Interrupted).
    pub fn time_passes(
        &self,
        texts: &[SurveyedText],
        other: Duration,
        cancelled: &AtomicBool,
    ) -> Result<Option<LatencyModel>> {
        let Some(tokens) = typical(texts) else {
            return Ok(None);
        };
        let longest = self.verifier.config().max_position_embeddings;
        let reach = self.head.description().max_position_embeddings;
        let widest = VERIFY[VERIFY.len() - 1];
        let most = longest.min(reach).saturating_sub(widest + 1);
        let mut bench = Bench::new(self, &tokens[..tokens.len().min(most.max(2))])?;
        bench.rounds(longest.min(reach), cancelled)?;
        Ok(Some(bench.model(other)))
    }
}

/// Prompt and output up to the middle of all positions, of the request that comes next to it.
fn typical(texts: &[SurveyedText]) -> Option<Vec<u32>> {
    let long = texts.iter().filter(|text| text.output_token_ids.len() > 1);
    let mut texts: Vec<(usize, &SurveyedText)> = long
        .map(|text| {
            let half = text.output_token_ids.len() / 2;
            (text.prompt_token_ids.len() + half, text)
        })
        .collect();
    texts.sort_by_key(|(length, _)| *length);
    let (length, text) = texts.get(texts.len() / 2)?;
    let tokens = [&text.prompt_token_ids[..], &text.output_token_ids].concat();
    Some(tokens[..*length].to_vec())
}

/// Both models behind a context, and what was measured.
struct Bench<'a> {
    evaluation: &'a Evaluation<'a>,
    context_length: usize,
    caches: [Cache; 2],
    verifier_pass: VerifierPass,
    head_pass: HeadPass,
    /// Of the last position of the context.
    auxiliary: Vec<f32>,
    features: Vec<f32>,
    token: u32,
    logits: Vec<f32>,
    ids: Vec<u32>,
    scores: Vec<f32>,
    /// Of each kind of pass and each width, the times.
    times: [Vec<(usize, Vec<Duration>)>; 3],
}

impl<'a> Bench<'a> {
    fn new(evaluation: &'a Evaluation<'a>, context: &[u32]) -> Result<Bench<'a>> {
        let (verifier, head) = (evaluation.verifier, evaluation.head);
        let mut bench = Bench {
            evaluation,
            context_length: context.len(),
            caches: [verifier.cache(context.len())?, head.cache(context.len())?],
            verifier_pass: VerifierPass::default(),
            head_pass: HeadPass::default(),
            auxiliary: Vec::new(),
            features: Vec::new(),
            token: context[context.len() - 1],
            logits: Vec::new(),
            ids: Vec::new(),
            scores: Vec::new(),
            times: [Vec::new(), Vec::new(), Vec::new()],
        };
        for chunk in context.chunks(CHUNK) {
            bench.verify(chunk)?;
            bench.auxiliary = bench.verifier_pass.auxiliary().to_vec();
            bench.settle(chunk)?;
        }
        let width = bench.auxiliary.len() / context.chunks(CHUNK).last().map_or(1, <[u32]>::len);
        bench.auxiliary.truncate(width);
        let hidden = head.description().hidden_size;
        bench.features.truncate(hidden);
        Ok(bench)
    }

    fn verify(&mut self, tokens: &[u32]) -> Result<()> {
        let verifier = self.evaluation.verifier;
        let cache = &mut self.caches[0];
        let positions = positions(cache.len(), tokens.len());
        verifier.forward(
            tokens,
            &positions,
            &causal_bits(tokens.len()),
            cache,
            self.evaluation.head.auxiliary_layers(),
            &mut self.verifier_pass,
        )
    }

    fn settle(&mut self, tokens: &[u32]) -> Result<()> {
        let head = self.evaluation.head;
        head.fuse(&self.auxiliary, &mut self.head_pass, &mut self.features)?;
        self.draft(tokens)
    }

    fn draft(&mut self, tokens: &[u32]) -> Result<()> {
        let cache = &mut self.caches[1];
        let positions = positions(cache.len(), tokens.len());
        self.evaluation.head.forward(
            tokens,
            &positions,
            &causal_bits(tokens.len()),
            &mut self.features,
            cache,
            &mut self.head_pass,
        )
    }

    /// Rounds over all widths that fit before `end`, so that whatever else the machine does falls on all of them.
    fn rounds(&mut self, end: usize, cancelled: &AtomicBool) -> Result<()> {
        let fitting = |widths: &[usize]| -> Vec<(usize, Vec<Duration>)> {
            let room = end.saturating_sub(self.context_length).max(1);
            let widths = widths.iter().filter(|rows| **rows <= room);
            widths.map(|rows| (*rows, Vec::new())).collect()
        };
        self.times = [fitting(&VERIFY), fitting(&SETTLE), fitting(&DRAFT)];
        let begin = Instant::now();
        for round in 0..ROUNDS[1] {
            if round >= ROUNDS[0] && begin.elapsed() > ENOUGH {
                break;
            }
            for kind in 0..self.times.len() {
                for width in 0..self.times[kind].len() {
                    crate::decoding::stop_if(cancelled)?;
                    let rows = self.times[kind][width].0;
                    let mut time = self.time(kind, rows)?;
                    // A small model lies in the caches of the processor while it runs, and this pass followed another.
                    if time < QUICK {
                        time = self.time(kind, rows)?;
                    }
                    if round > 0 {
                        self.times[kind][width].1.push(time);
                    }
                }
            }
        }
        Ok(())
    }

    fn time(&mut self, kind: usize, rows: usize) -> Result<Duration> {
        for cache in &mut self.caches {
            cache.truncate(self.context_length);
        }
        let (verifier, head) = (self.evaluation.verifier, self.evaluation.head);
        let tokens = vec![self.token; rows];
        let auxiliary = self.auxiliary.repeat(rows);
        let features = self.features.repeat(rows);
        let ranked = RANKED.min(head.description().draft_vocab_size);
        let one = std::mem::replace(&mut self.auxiliary, auxiliary);
        let feature = std::mem::replace(&mut self.features, features);
        let begin = Instant::now();
        match kind {
            0 => {
                self.verify(&tokens)?;
                verifier.logits(self.verifier_pass.hidden(), &mut self.logits)?;
                let width = verifier.config().vocab_size;
                crate::models::choose(&self.logits, width, |token| token, &mut Vec::new())?;
            }
            1 => {
                self.settle(&tokens)?;
                head.propose(&mut self.head_pass)?;
            }
            _ => {
                self.draft(&tokens)?;
                let (ids, scores) = (&mut self.ids, &mut self.scores);
                head.rank(rows, ranked, &mut self.head_pass, ids, scores)?;
            }
        }
        let time = begin.elapsed();
        (self.auxiliary, self.features) = (one, feature);
        Ok(time)
    }

    fn model(self, other: Duration) -> LatencyModel {
        let rounds = self.times[0].first().map_or(0, |(_, times)| times.len());
        let [verify, settle, draft] = self.times.map(|widths| {
            let widths = widths.into_iter();
            widths.map(|(rows, times)| median(rows, times)).collect()
        });
        LatencyModel {
            context_length: self.context_length,
            rounds,
            verify,
            settle,
            draft,
            other_ms: milliseconds(other),
        }
    }
}

fn positions(from: usize, count: usize) -> Vec<u32> {
    (from as u32..(from + count) as u32).collect()
}

fn median(rows: usize, mut times: Vec<Duration>) -> WidthTime {
    times.sort_unstable();
    let at = |part: usize| {
        let place = (times.len() * part / 4).min(times.len().saturating_sub(1));
        times.get(place).map_or(0.0, |time| milliseconds(*time))
    };
    WidthTime {
        rows,
        ms: at(2),
        spread_ms: at(3) - at(1),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(points: &[(usize, f64)]) -> Vec<WidthTime> {
        let time = |(rows, ms): &(usize, f64)| WidthTime {
            rows: *rows,
            ms: *ms,
            spread_ms: 0.0,
        };
        points.iter().map(time).collect()
    }

    #[test]
    fn times_lie_on_straight_lines() {
        let measured = times(&[(1, 10.0), (2, 10.0), (4, 14.0)]);
        for (rows, ms) in [
            (1.0, 10.0),
            (1.5, 10.0),
            (3.0, 12.0),
            (4.0, 14.0),
            (6.0, 18.0),
        ] {
            assert!((at(&measured, rows) - ms).abs() < 1e-12, "{rows}");
        }
        assert!((at(&measured[..1], 5.0) - 10.0).abs() < 1e-12);
    }

    #[test]
    fn a_step_is_one_pass_of_the_verifier_and_one_of_the_head_for_each_level() {
        let model = LatencyModel {
            context_length: 9,
            rounds: 3,
            verify: times(&[(1, 10.0), (11, 20.0)]),
            settle: times(&[(1, 1.0), (2, 3.0)]),
            draft: times(&[(1, 2.0), (5, 6.0)]),
            other_ms: 0.5,
        };
        // 5 rows are verified, 1.5 settled, and two levels have 1 and 3 nodes.
        let expected = 14.0 + 2.0 + 2.0 + 4.0 + 0.5;
        assert!((model.step_ms(1.5, 4, &[1, 3]) - expected).abs() < 1e-12);
        assert!((model.plain_ms() - 10.5).abs() < 1e-12);
    }
}
