//! The evaluation report: every number is a fold over the records of steps, and says by its name whose definition it follows.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::decoding::Verification;
use crate::evaluation::bootstrap::Bootstrap;
use crate::evaluation::tally::Tally;
use crate::evaluation::{
    AcceptedLength, Best, Calibration, Comparison, ContextReport, GateFailure, Interval, Metric,
    MetricValue, Paired, RequestFigures, RequestReport, Resampling, Setting,
};

/// Name and version of the report's form.
pub const REPORT_SCHEMA: &str = "speculators.eval/1";

/// Plain counts, pooled over requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Counts {
    /// Requests decoded; each turn of a `turns` prompt is one.
    pub requests: usize,
    /// Verification steps that had draft tokens to verify; the last step before a full context may have none.
    pub steps: usize,
    /// Draft tokens proposed.
    pub drafted: usize,
    /// How many of them were proposed 1, 2, … tokens after the text: in a chain one for each step, but for those that
    /// the context leaves no room for.
    pub drafted_per_position: Vec<usize>,
    /// Draft tokens that verification accepted, including those cut afterwards by an end-of-text token or the limit
    /// (as vLLM counts).
    pub accepted: usize,
    /// Tokens that came out of verification steps: accepted and bonus, cut at end of text and at the limit. The first
    /// token of each request comes from the prompt pass and is not among them.
    pub emitted: usize,
    /// Tokens that came out in all: `emitted` and the first token of each request.
    pub output_tokens: usize,
    /// Steps that accepted at least 1, 2, … draft tokens.
    pub accepted_per_position: Vec<usize>,
}

/// Acceptance, in vLLM's definitions.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Acceptance {
    /// Share of steps that accepted at least 1, 2, … draft tokens.
    pub per_position: Vec<f64>,
    /// Of the steps that accepted the token before, the share that accepted this one.
    pub conditional: Vec<f64>,
    /// 1 + accepted / steps, pooled over requests: draft tokens and the bonus token.
    pub mean_length: f64,
    /// accepted / drafted.
    pub draft_rate: f64,
}

/// Times, on this machine and this engine.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Latency {
    /// Mean time of the prompt pass per request, milliseconds.
    pub prefill_ms: f64,
    /// Mean time to draft per step, milliseconds.
    pub draft_ms: f64,
    /// Mean time of the verifier pass per step, milliseconds.
    pub verify_ms: f64,
    /// Mean time of everything else per step, milliseconds.
    pub other_ms: f64,
    /// Mean time per token of plain decoding, milliseconds.
    pub plain_token_ms: f64,
    /// Tokens per second with speculation, prompt passes left out.
    pub tokens_per_second: f64,
    /// Tokens per second of plain decoding on the same engine, prompt passes left out.
    pub plain_tokens_per_second: f64,
    /// The one over the other.
    pub speedup: f64,
}

/// What speculation leaves as it would be without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// Every token; it is compared.
    #[default]
    Tokens,
    /// The distribution of the output, by the rule of verification. Tokens are drawn anew, and differ.
    Distribution,
    /// Nothing: the rule is lossy.
    Nothing,
}

/// Whether speculation changed anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Lossless {
    /// What is to stay the same. Only tokens can be compared request by request.
    pub guarantee: Guarantee,
    /// Requests whose tokens were compared with plain decoding.
    pub checked: usize,
    /// Requests whose tokens differ; anything but 0 is a bug.
    pub mismatched: usize,
    /// The ids of those requests.
    pub mismatched_ids: Vec<String>,
}

/// Counts and acceptance of one category of prompts.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct CategoryReport {
    /// The category.
    pub category: String,
    /// Its counts.
    pub counts: Counts,
    /// Its acceptance.
    pub acceptance: Acceptance,
    /// Between what its mean length lies in 95 of 100 runs over other prompts like these.
    pub mean_length_interval: Option<Interval>,
    /// Its metrics, by name; null where there is nothing to make one of.
    #[schemars(with = "std::collections::BTreeMap<String, Option<f64>>")]
    pub metrics: Map<String, Value>,
}

/// The whole report.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Report {
    /// Name and version of this structure.
    #[schemars(extend("const" = REPORT_SCHEMA))]
    pub schema: &'static str,
    /// Version of the program that made the report.
    pub version: &'static str,
    /// The command that made the run, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What was run.
    pub setting: Setting,
    /// Pooled counts.
    pub counts: Counts,
    /// Pooled acceptance.
    pub acceptance: Acceptance,
    /// Times of single streams; null where several requests were in flight, since they have waited for each other.
    pub latency: Option<Latency>,
    /// The check against plain decoding.
    pub lossless: Lossless,
    /// The same by category, where prompts name any.
    pub categories: Vec<CategoryReport>,
    /// Every metric by its name, with its definition.
    pub metrics: Vec<MetricValue>,
    /// How their intervals were made.
    pub resampling: Resampling,
    /// Acceptance by the number of tokens before a step.
    pub context_lengths: Vec<ContextReport>,
    /// How often steps accept 0, 1, 2, … draft tokens.
    pub accepted_lengths: Vec<AcceptedLength>,
    /// How far the probabilities of the head can be believed, where the records have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The sums of each request, which two reports are compared by.
    pub requests: Vec<RequestReport>,
    /// Differences from the records of another run, where some were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Paired>,
    /// Limits that were not reached, where some were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_gates: Option<Vec<GateFailure>>,
    /// What would be best, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// Agreement with reference outputs, where some were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

impl Report {
    /// Folds the figures of a run.
    #[must_use]
    pub fn fold(
        setting: Setting,
        requests: &[RequestFigures],
        comparison: Option<Comparison>,
    ) -> Report {
        let positions = setting.positions();
        let counts = Counts::fold(requests, positions);
        let single_stream = setting.is_single_stream();
        let categories: BTreeSet<&String> = requests
            .iter()
            .filter_map(|request| request.category.as_ref())
            .collect();
        // One after another, so that there is never more than one category twice in memory.
        let categories = categories
            .into_iter()
            .map(|category| {
                let of_it = requests.iter();
                let of_it = of_it.filter(|request| request.category.as_ref() == Some(category));
                let of_it: Vec<RequestFigures> = of_it.cloned().collect();
                CategoryReport::fold(category, &of_it, &setting)
            })
            .collect();
        Report {
            schema: REPORT_SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            command: None,
            acceptance: counts.acceptance(),
            latency: single_stream.then(|| Latency::fold(requests, &counts)),
            lossless: Lossless::fold(requests, &setting),
            metrics: measure(requests, &setting),
            resampling: Resampling::MADE,
            context_lengths: ContextReport::fold(requests, positions),
            accepted_lengths: AcceptedLength::fold(requests, positions),
            calibration: Calibration::fold(requests),
            requests: requests
                .iter()
                .map(|request| RequestReport::of(request, positions))
                .collect(),
            against: None,
            failed_gates: None,
            best: None,
            counts,
            categories,
            setting,
            comparison,
        }
    }

    /// The metric of this name.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&MetricValue> {
        self.metrics.iter().find(|metric| metric.name == name)
    }
}

/// Every metric over these requests.
fn measure(requests: &[RequestFigures], setting: &Setting) -> Vec<MetricValue> {
    let positions = setting.positions();
    let tallies: Vec<Tally> = requests
        .iter()
        .map(|request| Tally::of(request, positions))
        .collect();
    let bootstrap = Bootstrap::new(requests.len());
    Metric::all(positions)
        .iter()
        .map(|metric| match metric.timed && !setting.is_single_stream() {
            true => metric.unknown(),
            false => metric.value(requests, &tallies, &bootstrap),
        })
        .collect()
}

impl CategoryReport {
    fn fold(category: &str, requests: &[RequestFigures], setting: &Setting) -> CategoryReport {
        let counts = Counts::fold(requests, setting.positions());
        let measured = measure(requests, setting);
        let mean_length = measured.iter().find(|metric| metric.name == "mean_length");
        CategoryReport {
            category: category.to_owned(),
            acceptance: counts.acceptance(),
            counts,
            mean_length_interval: mean_length.and_then(|metric| metric.interval),
            metrics: measured
                .into_iter()
                .map(|metric| (metric.name, metric.value.into()))
                .collect(),
        }
    }
}

impl Counts {
    /// Adds up the steps of requests; `positions` are the most draft tokens that a step can accept.
    #[must_use]
    pub fn fold(requests: &[RequestFigures], positions: usize) -> Counts {
        let mut counts = Counts {
            drafted_per_position: vec![0; positions],
            accepted_per_position: vec![0; positions],
            ..Counts::default()
        };
        for request in requests {
            counts.requests += 1;
            counts.output_tokens += request.output_tokens;
            for step in &request.steps {
                counts.steps += usize::from(!step.proposed.is_empty());
                counts.drafted += step.proposed.iter().sum::<usize>();
                let depths = counts.drafted_per_position.iter_mut();
                for (drafted, proposed) in depths.zip(&step.proposed) {
                    *drafted += proposed;
                }
                counts.accepted += step.accepted;
                counts.emitted += step.emitted;
                for position in counts.accepted_per_position.iter_mut().take(step.accepted) {
                    *position += 1;
                }
            }
        }
        counts
    }

    /// The shares that these counts make.
    #[must_use]
    pub fn acceptance(&self) -> Acceptance {
        let per_position: Vec<f64> = self
            .accepted_per_position
            .iter()
            .map(|&accepted| ratio(accepted, self.steps))
            .collect();
        let before = std::iter::once(&self.steps).chain(&self.accepted_per_position);
        let conditional = self
            .accepted_per_position
            .iter()
            .zip(before)
            .map(|(&accepted, &before)| ratio(accepted, before))
            .collect();
        Acceptance {
            per_position,
            conditional,
            mean_length: 1.0 + ratio(self.accepted, self.steps),
            draft_rate: ratio(self.accepted, self.drafted),
        }
    }
}

impl Latency {
    fn fold(requests: &[RequestFigures], counts: &Counts) -> Latency {
        let mut prefill = Duration::ZERO;
        let mut speculative = Duration::ZERO;
        let mut plain = Duration::ZERO;
        let (mut draft, mut verify, mut other) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let mut tokens = 0;
        for request in requests {
            prefill += request.prefill;
            speculative += request.decode;
            plain += request.plain_decode;
            tokens += request.output_tokens.saturating_sub(1);
            for step in &request.steps {
                draft += step.draft;
                verify += step.verify;
                other += step.other;
            }
        }
        Latency {
            prefill_ms: milliseconds(prefill, counts.requests),
            draft_ms: milliseconds(draft, counts.steps),
            verify_ms: milliseconds(verify, counts.steps),
            other_ms: milliseconds(other, counts.steps),
            plain_token_ms: milliseconds(plain, tokens),
            tokens_per_second: per_second(tokens, speculative),
            plain_tokens_per_second: per_second(tokens, plain),
            speedup: if speculative.is_zero() {
                0.0
            } else {
                plain.as_secs_f64() / speculative.as_secs_f64()
            },
        }
    }
}

impl Lossless {
    fn fold(requests: &[RequestFigures], setting: &Setting) -> Lossless {
        let guarantee = match setting.verification {
            Verification::Match => Guarantee::Tokens,
            rule if rule.is_lossy() => Guarantee::Nothing,
            _ => Guarantee::Distribution,
        };
        if guarantee != Guarantee::Tokens {
            return Lossless {
                guarantee,
                ..Lossless::default()
            };
        }
        let mismatched_ids: Vec<String> = requests
            .iter()
            .filter(|request| !request.lossless)
            .map(|request| request.id.clone())
            .collect();
        Lossless {
            guarantee,
            checked: requests.len(),
            mismatched: mismatched_ids.len(),
            mismatched_ids,
        }
    }
}

/// A share; 0 where there is nothing to share.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn milliseconds(total: Duration, count: usize) -> f64 {
    if count == 0 {
        0.0
    } else {
        total.as_secs_f64() * 1e3 / count as f64
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn per_second(count: usize, total: Duration) -> f64 {
    if total.is_zero() {
        0.0
    } else {
        count as f64 / total.as_secs_f64()
    }
}

#[cfg(test)]
mod tests;
