//! Every metric by its name: what it is, whose it is, and how it is made from the records. The field uses a dozen
//! numbers called acceptance length; they differ by the bonus token, by averaging over steps or over requests, and by
//! what an end of text cuts off.
//!
//! A step accepts `a` draft tokens and emits `e`: one more than it accepts, fewer where an end of text or the limit
//! cuts. Sums run over the steps of all requests (pooled) unless the definition says otherwise.

use schemars::JsonSchema;
use serde::Serialize;

use crate::evaluation::bootstrap::Bootstrap;
use crate::evaluation::rule::{Rule, Samples};
use crate::evaluation::tally::Tally;
use crate::evaluation::{Interval, RequestFigures};

/// Which way a metric improves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// A metric: name and definition, and the rule by which it is made.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name, as gates and the report spell it. Draft tokens of a step are counted from 0.
    pub name: String,
    /// How it is made, in one line.
    pub definition: String,
    /// Who calls this number theirs.
    pub whose: &'static str,
    /// Which way it improves.
    pub better: Better,
    /// One of the few that a short table shows.
    pub short: bool,
    /// Made of times, which say nothing where requests have waited for each other.
    pub timed: bool,
    pub(crate) rule: Rule,
}

/// A metric of a run.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct MetricValue {
    /// Name of the metric.
    pub name: String,
    /// Its value; null where the run holds nothing to make it of.
    pub value: Option<f64>,
    /// Between what the value lies in 95 of 100 runs over other prompts like these; null where that cannot be said.
    pub interval: Option<Interval>,
    /// How the metric is made.
    pub definition: String,
    /// Who calls this number theirs.
    pub whose: &'static str,
    /// Which way it improves.
    pub better: Better,
    /// One of the few that a short table shows.
    #[serde(skip)]
    pub short: bool,
}

impl Metric {
    /// All metrics of runs with so many draft tokens in a row, in the order of reports.
    #[must_use]
    pub fn all(positions: usize) -> Vec<Metric> {
        let mut metrics = lengths();
        metrics.extend(rates());
        for position in 0..positions {
            metrics.extend(by_position(position));
        }
        let timed = throughput().into_iter().chain(percentiles());
        metrics.extend(timed.map(|metric| Metric {
            timed: true,
            ..metric
        }));
        metrics
    }

    /// The metric without a value, where nothing can be said.
    pub(crate) fn unknown(&self) -> MetricValue {
        self.with(None, None)
    }

    /// The value and its interval; `tallies` are those of the requests.
    pub(crate) fn value(
        &self,
        requests: &[RequestFigures],
        tallies: &[Tally],
        bootstrap: &Bootstrap,
    ) -> MetricValue {
        let parts = self.rule.parts(tallies);
        let interval = parts.and_then(|parts| bootstrap.interval(&parts));
        self.with(self.rule.value(requests, tallies), interval)
    }

    fn with(&self, value: Option<f64>, interval: Option<Interval>) -> MetricValue {
        MetricValue {
            name: self.name.clone(),
            value,
            interval,
            definition: self.definition.clone(),
            whose: self.whose,
            better: self.better,
            short: self.short,
        }
    }
}

fn metric(
    name: impl Into<String>,
    rule: Rule,
    definition: impl Into<String>,
    whose: &'static str,
) -> Metric {
    Metric {
        name: name.into(),
        definition: definition.into(),
        whose,
        better: Better::Higher,
        short: false,
        timed: false,
        rule,
    }
}

impl Metric {
    fn short(self) -> Metric {
        Metric {
            short: true,
            ..self
        }
    }

    fn lower(self) -> Metric {
        Metric {
            better: Better::Lower,
            ..self
        }
    }
}

/// What the field calls acceptance length.
fn lengths() -> Vec<Metric> {
    vec![
        metric(
            "mean_length",
            Rule::pooled(1.0, |tally| tally.accepted, |tally| tally.steps),
            "1 + sum of a / steps with a draft; counts what an end of text cuts off",
            "vLLM mean acceptance length",
        )
        .short(),
        metric(
            "tau",
            Rule::pooled(0.0, |tally| tally.emitted, |tally| tally.passes),
            "sum of e / steps: bonus token included, after cutting",
            "EAGLE papers τ, SpecInfer block efficiency",
        )
        .short(),
        metric(
            "eagle_logged_length",
            Rule::pooled(0.0, |tally| tally.accepted, |tally| tally.passes),
            "sum of a / steps: no bonus token, before an end of text cuts",
            "EAGLE evaluation logs",
        ),
        metric(
            "specbench_mean_accepted_tokens",
            Rule::pooled(1.0, |tally| tally.accepted, |tally| tally.passes),
            "sum of (a + 1) / steps, before an end of text cuts",
            "Spec-Bench #mean accepted tokens",
        ),
        metric(
            "hass_tau",
            Rule::request_mean(1.0, |tally| tally.accepted, |tally| tally.passes),
            "mean over requests of 1 + mean a",
            "HASS τ",
        ),
        metric(
            "modelopt_length",
            Rule::request_mean(0.0, |tally| tally.emitted, |tally| tally.passes),
            "mean over requests of mean e",
            "ModelOpt specdec_bench AL",
        ),
        metric(
            "sglang_accept_length",
            Rule::pooled(0.0, |tally| tally.output, |tally| tally.passes),
            "output tokens / steps; the token of the prompt pass counts, its pass does not",
            "SGLang accept length, SpecForge benchmarks",
        )
        .short(),
        metric(
            "specforge_average_length",
            Rule::request_mean(0.0, |tally| tally.output, |tally| tally.passes),
            "mean over requests of output tokens / steps",
            "SpecForge average acceptance length",
        ),
        metric(
            "specforge_simulated_length",
            Rule::pooled(0.0, |tally| tally.accepted, |tally| tally.steps),
            "a0 + a0·a1 + …, no bonus token; of decoded text, where training has given text",
            "SpecForge training logs",
        ),
    ]
}

fn rates() -> Vec<Metric> {
    vec![
        metric(
            "acceptance_rate",
            Rule::pooled(0.0, |tally| tally.accepted, |tally| tally.tested),
            "a / depths put to the test, accepted or first rejected: mean of Σ min(p, q) when greedy",
            "Leviathan α",
        )
        .short(),
        metric(
            "draft_rate",
            Rule::pooled(0.0, |tally| tally.accepted, |tally| tally.drafted),
            "sum of a / draft tokens; falls with the length of drafts, says nothing of trees",
            "vLLM, TensorRT-LLM and llama.cpp draft acceptance rate",
        ),
    ]
}

fn by_position(position: usize) -> [Metric; 3] {
    let depth = position + 1;
    [
        metric(
            format!("per_position.{position}"),
            Rule::at(
                position,
                |tally, at| tally.reached[at],
                |tally, _| tally.steps,
            ),
            format!("steps that accept at least {depth} / all steps with a draft"),
            "vLLM and llama.cpp per position, ModelOpt joint",
        ),
        metric(
            format!("conditional.{position}"),
            Rule::at(
                position,
                |tally, at| tally.reached[at],
                |tally, at| match at {
                    0 => tally.steps,
                    _ => tally.reached[at - 1],
                },
            ),
            format!("steps that accept at least {depth} / those that accept at least {position}"),
            "EAGLE n-α, ModelOpt conditional, speculators cond_acc",
        ),
        metric(
            format!("per_proposed.{position}"),
            Rule::at(
                position,
                |tally, at| tally.reached[at],
                |tally, at| tally.offered[at],
            ),
            format!("steps that accept at least {depth} / those that propose as many"),
            "vLLM, by its counter of draft tokens per position",
        ),
    ]
}

fn throughput() -> Vec<Metric> {
    vec![
        metric(
            "tokens_per_second",
            Rule::pooled(0.0, after_the_first, |tally| tally.decode),
            "tokens after the first / their time, pooled",
            "this program",
        )
        .short(),
        metric(
            "plain_tokens_per_second",
            Rule::pooled(0.0, after_the_first, |tally| tally.plain_decode),
            "the same without speculation, on this engine",
            "this program",
        ),
        metric(
            "speedup",
            Rule::pooled(0.0, |tally| tally.plain_decode, |tally| tally.decode),
            "time of plain decoding / time with speculation, prompt passes left out",
            "this program",
        )
        .short(),
        metric(
            "eagle_speedup",
            Rule::RatioOfRequestMeans {
                part: |tally| tally.output,
                above: |tally| tally.prefill + tally.decode,
                below: |tally| tally.plain_prefill + tally.plain_decode,
            },
            "mean over requests of tokens/s / the same of plain decoding, prompt passes included",
            "EAGLE, Spec-Bench, HASS speed-up ratio",
        ),
        metric(
            "ttft_ms.mean",
            Rule::request_mean(0.0, |tally| tally.prefill * 1e3, |_| 1.0),
            "time to the first token, mean over requests",
            "vLLM and SGLang benchmarks TTFT",
        )
        .lower(),
        metric(
            "tpot_ms.mean",
            Rule::request_mean(0.0, |tally| tally.decode * 1e3, after_the_first),
            "time after the first token / tokens after it, mean over requests",
            "vLLM benchmark TPOT, AIPerf inter-token latency",
        )
        .lower(),
    ]
}

fn after_the_first(tally: &Tally) -> f64 {
    (tally.output - 1.0).max(0.0)
}

/// Latencies by their distribution.
fn percentiles() -> Vec<Metric> {
    let mut metrics = Vec::new();
    for (kind, samples, definition, whose) in [
        (
            "ttft_ms",
            Samples::FirstToken,
            "time to the first token",
            "vLLM and SGLang benchmarks TTFT",
        ),
        (
            "inter_token_ms",
            Samples::Token,
            "time per token: that of its step in equal parts",
            "this program",
        ),
        (
            "arrival_gap_ms",
            Samples::Step,
            "time between arrivals: that of a step, however many its tokens",
            "vLLM benchmark ITL",
        ),
    ] {
        for percent in [50_u8, 90, 99] {
            let metric = metric(
                format!("{kind}.p{percent}"),
                Rule::Percentile { samples, percent },
                format!("{definition}; {percent} % take at most this"),
                whose,
            )
            .lower();
            let short = percent == 50 && kind != "arrival_gap_ms";
            metrics.push(if short { metric.short() } else { metric });
        }
    }
    metrics
}

#[cfg(test)]
mod tests;
