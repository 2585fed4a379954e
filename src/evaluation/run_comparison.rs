//! Two finished runs, compared prompt by prompt, out of their reports or records alone. What makes prompts easy or hard
//! is the same in both and cancels, so that far smaller differences can be told from chance than by two intervals.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use speculators_formats::{Diagnostic, codes};

use crate::Result;
use crate::decoding::Verification;
use crate::evaluation::paired::differences;
use crate::evaluation::pairing::{Pairing, same_prompt};
use crate::evaluation::{
    Better, FinishedRun, Interval, Metric, PairedDifference, RequestReport, Setting,
};

/// Name and version of the comparison's form.
pub const COMPARISON_SCHEMA: &str = "speculators.compare/1";

/// What differs between two runs. Every difference is the second less the first.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct RunComparison {
    /// Name and version of this structure.
    #[schemars(extend("const" = COMPARISON_SCHEMA))]
    pub schema: &'static str,
    /// Version of the program that made the comparison.
    pub version: &'static str,
    /// The run that is compared with.
    pub first: ComparedRun,
    /// The run that is compared.
    pub second: ComparedRun,
    /// What was set otherwise.
    pub settings: Vec<SettingDifference>,
    /// Requests of the same prompt in both runs; only these are compared.
    pub paired: usize,
    /// Ids of requests that only the first run has.
    pub only_first: Vec<String>,
    /// Ids of requests that only the second run has.
    pub only_second: Vec<String>,
    /// Ids of requests that both have, but with another prompt: left out.
    pub other_prompts: Vec<String>,
    /// Prompts were compared by their tokens (`digest`), or, where a run has no digests, by how many tokens they have.
    pub prompts_by: PromptCheck,
    /// Each metric that both have, over the paired requests; those made of times only where both ran one at a time.
    pub metrics: Vec<MetricDifference>,
    /// Mean length by category.
    pub categories: Vec<CategoryDifference>,
    /// Mean length of each paired request.
    pub requests: Vec<RequestDifference>,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct ComparedRun {
    /// The file, as named by the user.
    pub file: String,
    /// What was run.
    pub setting: Setting,
    /// Its requests.
    pub requests: usize,
    /// Those whose tokens were not those of plain decoding.
    pub mismatched: usize,
}

/// By what prompts were held to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptCheck {
    /// A digest of the tokens.
    Digest,
    /// The number of tokens, for want of digests.
    TokenCount,
}

/// Something that was set otherwise.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct SettingDifference {
    /// Its key in `setting`.
    pub name: String,
    /// In the first run.
    pub first: Value,
    /// In the second run.
    pub second: Value,
}

/// What a difference amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The interval leaves out 0, and the second run is better.
    Better,
    /// The interval leaves out 0, and the second run is worse.
    Worse,
    /// The interval holds 0.
    MayBeChance,
    /// No request differs.
    Equal,
    /// Too few requests for an interval.
    Unknown,
}

/// A metric over the requests of both runs.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct MetricDifference {
    /// Name of the metric.
    pub name: String,
    /// How it is made.
    pub definition: String,
    /// Who calls this number theirs.
    pub whose: String,
    /// Which way it improves.
    pub better: Better,
    /// In the first run.
    pub first: f64,
    /// In the second run.
    pub second: f64,
    /// Second less first.
    pub difference: f64,
    /// Between what the difference lies in 95 of 100 runs over other prompts like these.
    pub interval: Option<Interval>,
    /// What that amounts to.
    pub verdict: Verdict,
    /// One of the few that a short table shows.
    #[serde(skip)]
    pub short: bool,
}

/// The mean length of one category in both runs.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct CategoryDifference {
    /// The category.
    pub category: String,
    /// Paired requests in it.
    pub paired: usize,
    /// In the first run.
    pub first: f64,
    /// In the second run.
    pub second: f64,
    /// Second less first.
    pub difference: f64,
    /// Between what the difference lies in 95 of 100 runs over other prompts like these.
    pub interval: Option<Interval>,
    /// What that amounts to.
    pub verdict: Verdict,
}

/// The mean length of one request in both runs.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct RequestDifference {
    /// Request id.
    pub id: String,
    /// Category of the prompt.
    pub category: Option<String>,
    /// In the first run; null where no step had a draft.
    pub first: Option<f64>,
    /// In the second run.
    pub second: Option<f64>,
    /// Second less first.
    pub difference: Option<f64>,
}

impl Verdict {
    fn of(difference: &PairedDifference, better: Better) -> Verdict {
        match difference.interval {
            None => Verdict::Unknown,
            Some([0.0, 0.0]) => Verdict::Equal,
            Some(_) if !difference.is_clear() => Verdict::MayBeChance,
            Some(_) if (difference.difference > 0.0) == (better == Better::Higher) => {
                Verdict::Better
            }
            Some(_) => Verdict::Worse,
        }
    }

    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Better => "clearly better",
            Verdict::Worse => "clearly worse",
            Verdict::MayBeChance => "may be chance",
            Verdict::Equal => "equal",
            Verdict::Unknown => "too few requests",
        }
    }
}

impl RunComparison {
    /// Compares two runs over the prompts that both have.
    ///
    /// # Errors
    /// A diagnostic where they have no prompt in common.
    pub fn make(first: &FinishedRun, second: &FinishedRun) -> Result<RunComparison> {
        let mut pairing = Pairing::make(&first.requests, &second.requests);
        let candidates = std::mem::take(&mut pairing.pairs);
        let digests = |request: &RequestReport| request.prompt_digest.is_some();
        let by_digest = candidates
            .iter()
            .all(|(one, other)| digests(one) && digests(other));
        let (pairs, others): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|(one, other)| same_prompt(one, other));
        if pairs.is_empty() {
            return Err(nothing_in_common(first, second, others.len()).into());
        }
        let positions = first.setting.positions().min(second.setting.positions());
        let times_tell = first.setting.is_single_stream() && second.setting.is_single_stream();
        let ids = |requests: &[&RequestReport]| {
            requests.iter().map(|request| request.id.clone()).collect()
        };
        Ok(RunComparison {
            schema: COMPARISON_SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            first: ComparedRun::of(first),
            second: ComparedRun::of(second),
            settings: settings(&first.setting, &second.setting),
            paired: pairs.len(),
            only_first: ids(&pairing.only_first),
            only_second: ids(&pairing.only_second),
            other_prompts: others.iter().map(|(one, _)| one.id.clone()).collect(),
            prompts_by: if by_digest {
                PromptCheck::Digest
            } else {
                PromptCheck::TokenCount
            },
            metrics: metrics(&pairs, positions, times_tell),
            categories: categories(&pairs, positions, times_tell),
            requests: pairs
                .iter()
                .map(|(one, other)| RequestDifference::of(one, other))
                .collect(),
        })
    }

    /// The metric of this name.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&MetricDifference> {
        self.metrics.iter().find(|metric| metric.name == name)
    }
}

impl ComparedRun {
    fn of(run: &FinishedRun) -> ComparedRun {
        ComparedRun {
            file: run.file.clone(),
            setting: run.setting.clone(),
            requests: run.requests.len(),
            mismatched: match run.setting.verification {
                Verification::Match => run
                    .requests
                    .iter()
                    .filter(|request| !request.lossless)
                    .count(),
                // Tokens are drawn anew, and cannot be compared.
                _ => 0,
            },
        }
    }
}

impl RequestDifference {
    fn of(first: &RequestReport, second: &RequestReport) -> RequestDifference {
        let (one, other) = (first.mean_length(), second.mean_length());
        RequestDifference {
            id: first.id.clone(),
            category: first.category.clone(),
            first: one,
            second: other,
            difference: one.zip(other).map(|(one, other)| other - one),
        }
    }
}

type Pairs<'a> = [(&'a RequestReport, &'a RequestReport)];

/// `differences` counts what is here less what is there, and here the second run is the one that is compared.
fn turned<'a>(pairs: &Pairs<'a>) -> Vec<(&'a RequestReport, &'a RequestReport)> {
    pairs
        .iter()
        .map(|&(first, second)| (second, first))
        .collect()
}

fn metrics(pairs: &Pairs<'_>, positions: usize, times_tell: bool) -> Vec<MetricDifference> {
    let mut differences = differences(&turned(pairs), positions, times_tell)
        .into_iter()
        .peekable();
    let mut found = Vec::new();
    for metric in Metric::all(positions) {
        if let Some(difference) = differences.next_if(|difference| difference.name == metric.name) {
            found.push(MetricDifference {
                verdict: Verdict::of(&difference, metric.better),
                name: metric.name,
                definition: metric.definition,
                whose: metric.whose.to_owned(),
                better: metric.better,
                first: difference.there,
                second: difference.here,
                difference: difference.difference,
                interval: difference.interval,
                short: metric.short,
            });
        }
    }
    found
}

fn categories(pairs: &Pairs<'_>, positions: usize, times_tell: bool) -> Vec<CategoryDifference> {
    let mut names: Vec<&String> = pairs
        .iter()
        .filter_map(|(one, _)| one.category.as_ref())
        .collect();
    names.sort();
    names.dedup();
    let of = |name: &String| {
        let own = pairs
            .iter()
            .filter(|(one, _)| one.category.as_ref() == Some(name));
        let own: Vec<_> = own.copied().collect();
        let difference = differences(&turned(&own), positions, times_tell)
            .into_iter()
            .find(|difference| difference.name == "mean_length")?;
        Some(CategoryDifference {
            category: name.clone(),
            paired: own.len(),
            first: difference.there,
            second: difference.here,
            verdict: Verdict::of(&difference, Better::Higher),
            difference: difference.difference,
            interval: difference.interval,
        })
    };
    names.into_iter().filter_map(of).collect()
}

/// The keys of both settings whose values differ.
fn settings(first: &Setting, second: &Setting) -> Vec<SettingDifference> {
    let written = |setting: &Setting| match serde_json::to_value(setting) {
        Ok(Value::Object(keys)) => keys,
        _ => serde_json::Map::new(),
    };
    let (first, second) = (written(first), written(second));
    let mut names: Vec<&String> = first.keys().collect();
    names.extend(second.keys().filter(|name| !first.contains_key(*name)));
    let value = |keys: &serde_json::Map<String, Value>, name: &String| {
        keys.get(name).cloned().unwrap_or(Value::Null)
    };
    names
        .into_iter()
        .map(|name| SettingDifference {
            name: name.clone(),
            first: value(&first, name),
            second: value(&second, name),
        })
        .filter(|difference| difference.first != difference.second)
        .collect()
}

fn nothing_in_common(first: &FinishedRun, second: &FinishedRun, others: usize) -> Diagnostic {
    let title = format!(
        "the two runs have no prompt in common: {} requests in one, {} in the other",
        first.requests.len(),
        second.requests.len()
    );
    let diagnostic = Diagnostic::error(codes::NOTHING_IN_COMMON, title);
    let diagnostic = match others {
        0 => diagnostic.note("requests are paired by `id`, and none is in both"),
        count => diagnostic.note(format!(
            "{count} ids are in both, each with other prompt tokens"
        )),
    };
    diagnostic.help(
        "compare runs over the same prompts file, with the same verifier's tokenizer and template",
    )
}

#[cfg(test)]
mod tests;
