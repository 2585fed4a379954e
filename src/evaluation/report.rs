//! The evaluation report: every number is a fold over the records of steps, and says by its name whose definition it follows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::evaluation::{Comparison, Outcome, Setting};

/// Plain counts, pooled over requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize)]
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

/// Whether speculation changed anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lossless {
    /// Requests whose tokens were compared with plain decoding.
    pub checked: usize,
    /// Requests whose tokens differ; anything but 0 is a bug.
    pub mismatched: usize,
    /// The ids of those requests.
    pub mismatched_ids: Vec<String>,
}

/// Counts and acceptance of one category of prompts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CategoryReport {
    /// The category.
    pub category: String,
    /// Its counts.
    pub counts: Counts,
    /// Its acceptance.
    pub acceptance: Acceptance,
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name and version of this structure.
    pub schema: &'static str,
    /// What was run.
    pub setting: Setting,
    /// Pooled counts.
    pub counts: Counts,
    /// Pooled acceptance.
    pub acceptance: Acceptance,
    /// Times.
    pub latency: Latency,
    /// The check against plain decoding.
    pub lossless: Lossless,
    /// The same by category, where prompts name any.
    pub categories: Vec<CategoryReport>,
    /// Agreement with reference outputs, where some were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

impl Report {
    /// Folds the outcomes of a run.
    #[must_use]
    pub fn fold(setting: Setting, outcomes: &[Outcome], comparison: Option<Comparison>) -> Report {
        let positions = setting.drafting.depth();
        let counts = Counts::fold(outcomes.iter(), positions);
        let mut by_category: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
        for outcome in outcomes {
            if let Some(category) = &outcome.category {
                by_category.entry(category).or_default().push(outcome);
            }
        }
        let categories = by_category
            .into_iter()
            .map(|(category, outcomes)| {
                let counts = Counts::fold(outcomes.into_iter(), positions);
                CategoryReport {
                    category: category.to_owned(),
                    acceptance: counts.acceptance(),
                    counts,
                }
            })
            .collect();
        Report {
            schema: "speculators.eval/1",
            acceptance: counts.acceptance(),
            latency: Latency::fold(outcomes, &counts),
            lossless: Lossless::fold(outcomes),
            counts,
            categories,
            setting,
            comparison,
        }
    }
}

impl Counts {
    fn fold<'a>(outcomes: impl Iterator<Item = &'a Outcome>, positions: usize) -> Counts {
        let mut counts = Counts {
            drafted_per_position: vec![0; positions],
            accepted_per_position: vec![0; positions],
            ..Counts::default()
        };
        for outcome in outcomes {
            counts.requests += 1;
            counts.output_tokens += outcome.output_token_ids.len();
            for step in &outcome.steps {
                counts.steps += usize::from(!step.proposed.is_empty());
                counts.drafted += step.proposed.len();
                let depths = counts.drafted_per_position.iter_mut();
                for (drafted, proposed) in depths.zip(&step.proposed_per_depth) {
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

    fn acceptance(&self) -> Acceptance {
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
    fn fold(outcomes: &[Outcome], counts: &Counts) -> Latency {
        let mut prefill = Duration::ZERO;
        let mut speculative = Duration::ZERO;
        let mut plain = Duration::ZERO;
        let (mut draft, mut verify, mut other) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let mut tokens = 0;
        for outcome in outcomes {
            prefill += outcome.prefill;
            speculative += outcome.decode;
            plain += outcome.plain_decode;
            tokens += outcome.output_token_ids.len().saturating_sub(1);
            for step in &outcome.steps {
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
    fn fold(outcomes: &[Outcome]) -> Lossless {
        let mismatched_ids: Vec<String> = outcomes
            .iter()
            .filter(|outcome| !outcome.lossless)
            .map(|outcome| outcome.id.clone())
            .collect();
        Lossless {
            checked: outcomes.len(),
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decoding::{Drafting, DynamicTree, Sampling, StepRecord};

    fn step(proposed: usize, accepted: usize, emitted: usize) -> StepRecord {
        StepRecord {
            proposed: vec![0; proposed],
            proposed_per_depth: vec![1; proposed],
            accepted,
            emitted,
            ..StepRecord::default()
        }
    }

    fn outcome(id: &str, category: Option<&str>, steps: Vec<StepRecord>) -> Outcome {
        let output: usize = 1 + steps.iter().map(|step| step.emitted).sum::<usize>();
        Outcome {
            id: id.into(),
            category: category.map(str::to_owned),
            output_token_ids: vec![7; output],
            steps,
            decode: Duration::from_millis(100),
            plain_decode: Duration::from_millis(200),
            lossless: true,
            ..Outcome::default()
        }
    }

    fn setting() -> Setting {
        Setting {
            verifier: String::new(),
            speculator: String::new(),
            layout: String::new(),
            num_speculative_tokens: 3,
            drafting: Drafting::Chain {
                num_speculative_tokens: 3,
            },
            sampling: Sampling::greedy().into(),
            max_new_tokens: 8,
            dtype: String::new(),
            instruction_set: String::new(),
            threads: 1,
        }
    }

    #[test]
    fn acceptance_follows_the_definitions_of_vllm() {
        // Two requests, pooled: the second step's third accepted token is cut by the limit but still counts.
        let outcomes = [
            outcome("a", None, vec![step(3, 3, 4), step(3, 3, 2)]),
            outcome("b", None, vec![step(3, 1, 2), step(3, 0, 1)]),
        ];
        let report = Report::fold(setting(), &outcomes, None);
        assert_eq!(report.counts.drafted_per_position, [4, 4, 4]);
        assert_eq!(report.counts.accepted_per_position, [3, 2, 2]);
        assert_eq!(
            (
                report.counts.steps,
                report.counts.drafted,
                report.counts.accepted
            ),
            (4, 12, 7)
        );
        assert_eq!(
            (report.counts.emitted, report.counts.output_tokens),
            (9, 11)
        );
        assert_eq!(report.acceptance.per_position, [0.75, 0.5, 0.5]);
        assert_eq!(report.acceptance.conditional, [0.75, 2.0 / 3.0, 1.0]);
        assert!((report.acceptance.mean_length - 2.75).abs() < 1e-12);
        assert!((report.acceptance.draft_rate - 7.0 / 12.0).abs() < 1e-12);
        assert!((report.latency.speedup - 2.0).abs() < 1e-12);
    }

    #[test]
    fn trees_are_counted_by_depth() {
        let tree = |accepted| StepRecord {
            proposed: vec![0; 6],
            proposed_per_depth: vec![3, 2, 1],
            accepted,
            emitted: accepted + 1,
            ..StepRecord::default()
        };
        let setting = Setting {
            num_speculative_tokens: 6,
            drafting: Drafting::DynamicTree(DynamicTree {
                top_k: 3,
                depth: 3,
                budget: 6,
            }),
            ..setting()
        };
        let outcomes = [outcome("a", None, vec![tree(3), tree(0), tree(1)])];
        let report = Report::fold(setting, &outcomes, None);
        assert_eq!(report.counts.drafted, 18);
        assert_eq!(report.counts.drafted_per_position, [9, 6, 3]);
        assert_eq!(report.counts.accepted_per_position, [2, 1, 1]);
        assert!((report.acceptance.mean_length - (1.0 + 4.0 / 3.0)).abs() < 1e-12);
        let written = serde_json::to_value(&report.setting).unwrap();
        let drafting = json!({"method": "dynamic_tree", "top_k": 3, "depth": 3, "budget": 6});
        assert_eq!(written["drafting"], drafting);
        assert_eq!(written["sampling"]["temperature"], json!(0.0));
    }

    #[test]
    fn categories_partition_the_counts() {
        let outcomes = [
            outcome("a", Some("code"), vec![step(3, 2, 3)]),
            outcome("b", Some("dialogue"), vec![step(3, 0, 1)]),
        ];
        let report = Report::fold(setting(), &outcomes, None);
        let names: Vec<&str> = report
            .categories
            .iter()
            .map(|category| category.category.as_str())
            .collect();
        assert_eq!(names, ["code", "dialogue"]);
        assert_eq!(
            report
                .categories
                .iter()
                .map(|category| category.counts.accepted)
                .sum::<usize>(),
            2
        );
    }

    #[test]
    fn a_run_without_steps_divides_by_nothing() {
        let report = Report::fold(setting(), &[], None);
        assert!((report.acceptance.mean_length - 1.0).abs() < 1e-12);
        assert_eq!(report.acceptance.per_position, [0.0, 0.0, 0.0]);
    }
}
