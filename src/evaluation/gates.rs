//! Limits that a metric must not fall below, for pipelines.

use schemars::JsonSchema;
use serde::Serialize;
use speculators_formats::{Diagnostic, codes};
use strsim::levenshtein;

use crate::Result;
use crate::evaluation::{Better, Metric, MetricValue};

/// A metric and the least it may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Name of the metric.
    pub metric: String,
    /// What it must reach.
    pub limit: f64,
}

/// A gate that a run did not pass.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct GateFailure {
    /// Name of the metric.
    pub metric: String,
    /// Its value; null where the run holds nothing to make it of.
    pub value: Option<f64>,
    /// What it had to reach.
    pub limit: f64,
    /// By how much it falls short.
    pub short_by: Option<f64>,
}

impl Gate {
    /// Reads `NAME=LIMIT`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Gate, String> {
        let (metric, limit) = text
            .split_once('=')
            .ok_or("expected NAME=LIMIT, such as mean_length=2.5")?;
        let limit: f64 = limit
            .trim()
            .parse()
            .map_err(|_| format!("`{limit}` is not a number"))?;
        if !limit.is_finite() {
            return Err(format!("{limit} is no limit"));
        }
        Ok(Gate {
            metric: metric.trim().to_owned(),
            limit,
        })
    }

    /// Looks for names that runs with so many draft tokens in a row have no metric for, before anything runs.
    ///
    /// # Errors
    /// A diagnostic for each such name, for each metric where less is better, and for each one made of times where
    /// `concurrency` requests at a time leave none to measure.
    pub fn check(gates: &[Gate], positions: usize, concurrency: usize) -> Result<()> {
        let metrics = Metric::all(positions);
        let mut found = Vec::new();
        for Gate { metric: name, .. } in gates {
            match metrics.iter().find(|metric| metric.name == *name) {
                None => found.push(unknown(name, &metrics, positions)),
                Some(metric) if metric.better == Better::Lower => found.push(
                    Diagnostic::error(
                        codes::USAGE,
                        format!("`{name}` is better when it is less, so no lower limit guards it"),
                    )
                    .note(format!("it is {}", metric.definition))
                    .help("guard `tokens_per_second` or `speedup` instead"),
                ),
                Some(metric) if metric.timed && concurrency != 1 => found.push(
                    Diagnostic::error(
                        codes::USAGE,
                        format!("`{name}` is not measured with {concurrency} requests in flight"),
                    )
                    .note("requests that run at the same time wait for each other")
                    .help("leave out `--concurrency`, or the gate"),
                ),
                Some(_) => {}
            }
        }
        if found.is_empty() {
            Ok(())
        } else {
            Err(found.into())
        }
    }

    /// What this gate finds in the metrics of a run; nothing where it is passed. A metric without value does not pass.
    #[must_use]
    pub fn failure(&self, metrics: &[MetricValue]) -> Option<GateFailure> {
        let value = metrics
            .iter()
            .find(|metric| metric.name == self.metric)
            .and_then(|metric| metric.value);
        match value {
            Some(value) if value >= self.limit => None,
            _ => Some(GateFailure {
                metric: self.metric.clone(),
                value,
                limit: self.limit,
                short_by: value.map(|value| self.limit - value),
            }),
        }
    }
}

fn unknown(name: &str, metrics: &[Metric], positions: usize) -> Diagnostic {
    let diagnostic = Diagnostic::error(codes::USAGE, format!("there is no metric `{name}`"));
    let position = name
        .split_once('.')
        .and_then(|(_, position)| position.parse::<usize>().ok());
    if let Some(position) = position.filter(|&position| position >= positions) {
        return diagnostic.note(format!(
            "steps have {positions} draft tokens, counted from 0, so that the last position is {}, not {position}",
            positions.saturating_sub(1)
        ));
    }
    let nearest = metrics
        .iter()
        .min_by_key(|metric| levenshtein(name, &metric.name));
    match nearest {
        Some(nearest) => diagnostic
            .note(format!("the nearest name is `{}`", nearest.name))
            .help("`speculators eval --demo --metrics all` lists every metric"),
        None => diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(gate: &str) -> Diagnostic {
        match Gate::check(&[Gate::parse(gate).unwrap()], 3, 1) {
            Err(crate::Error::Diagnostics(mut found)) => found.remove(0),
            other => panic!("{gate}: {other:?}"),
        }
    }

    fn measured(name: &str, value: Option<f64>) -> Vec<MetricValue> {
        vec![MetricValue {
            name: name.to_owned(),
            value,
            interval: None,
            definition: String::new(),
            whose: "",
            better: Better::Higher,
            short: false,
        }]
    }

    #[test]
    fn an_unknown_name_is_told_with_the_nearest_one() {
        let notes = trouble("mean_lenght=2.5").notes;
        assert!(notes[0].contains("`mean_length`"), "{notes:?}");
        let notes = trouble("per-position.1=0.5").notes;
        assert!(notes[0].contains("`per_position.1`"), "{notes:?}");
        let notes = trouble("per_position.3=0.5").notes;
        assert!(
            notes[0].contains("the last position is 2, not 3"),
            "{notes:?}"
        );
        assert!(
            trouble("ttft_ms.p50=3")
                .title
                .contains("better when it is less")
        );
        let known = ["mean_length=2.5", "per_position.2=0.1", "conditional.0=1"];
        let known = known.map(|gate| Gate::parse(gate).unwrap());
        assert!(Gate::check(&known, 3, 1).is_ok());
    }

    #[test]
    fn a_gate_is_passed_at_its_limit_and_tells_by_how_much_it_is_not() {
        let gate = Gate::parse("mean_length = 2.5").unwrap();
        assert_eq!(gate.failure(&measured("mean_length", Some(2.5))), None);
        let failure = gate.failure(&measured("mean_length", Some(2.25))).unwrap();
        assert_eq!(failure.short_by, Some(0.25));
        // Nothing measured is not a pass.
        let failure = gate.failure(&measured("mean_length", None)).unwrap();
        assert_eq!((failure.value, failure.short_by), (None, None));
        for broken in ["mean_length", "mean_length=much", "mean_length=NaN"] {
            assert!(Gate::parse(broken).is_err(), "{broken}");
        }
    }
}
