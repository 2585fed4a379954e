//! The page that explains a checkpoint on the Hub.

use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::Value;
use speculators_formats::{Diagnostic, codes};

use crate::Result;

const TEMPLATE: &str = include_str!("card.md.j2");

/// What a card says.
#[derive(Clone, Debug, Serialize)]
pub struct Card {
    /// Name of the repository.
    pub title: String,
    /// Kind of head.
    pub algorithm: String,
    /// The verifier's name, in words.
    pub verifier: Option<String>,
    /// The verifier's repository, where it has one.
    pub base_model: Option<String>,
    /// Sizes and choices: what and how much.
    pub facts: Vec<(String, String)>,
    /// Acceptance, where it was measured.
    pub evaluation: Option<Evaluation>,
    /// How to serve it.
    pub runtimes: Vec<Serving>,
    /// The verdict of the validation.
    pub validated: String,
}

/// How one runtime serves it.
#[derive(Clone, Debug, Serialize)]
pub struct Serving {
    /// The runtime.
    pub name: String,
    /// The version its rules were taken from.
    pub version: String,
    /// For a shell.
    pub commands: Vec<String>,
}

/// What an evaluation found, in the figures a card shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    requests: u64,
    drafted: u64,
    verifier: String,
    per_position: Vec<String>,
    mean_length: String,
    categories: Vec<(String, u64, String)>,
}

impl Evaluation {
    /// Takes the figures out of a report of `speculators eval --format json`; `None` where it is something else.
    #[must_use]
    pub fn of(report: &Value) -> Option<Evaluation> {
        let schema = report.get("schema")?.as_str()?;
        if !schema.starts_with("speculators.eval/") {
            return None;
        }
        let (setting, acceptance) = (report.get("setting")?, report.get("acceptance")?);
        let shares = acceptance.get("per_position")?.as_array()?;
        let percent = |share: &Value| Some(format!("{:.1} %", 100.0 * share.as_f64()?));
        let length = |of: &Value| Some(format!("{:.2}", of.get("mean_length")?.as_f64()?));
        let requests = |of: &Value| of.get("counts")?.get("requests")?.as_u64();
        let category = |of: &Value| {
            let name = of.get("category")?.as_str()?.to_owned();
            Some((name, requests(of)?, length(of.get("acceptance")?)?))
        };
        let categories = report.get("categories").and_then(Value::as_array);
        // A local path tells nobody anything, and is nobody's business.
        let verifier = setting.get("verifier")?.as_str()?;
        let verifier = verifier.rsplit('/').next().unwrap_or(verifier);
        Some(Evaluation {
            requests: requests(report)?,
            drafted: setting.get("num_speculative_tokens")?.as_u64()?,
            verifier: verifier.to_owned(),
            per_position: shares.iter().map(percent).collect::<Option<_>>()?,
            mean_length: length(acceptance)?,
            categories: categories
                .map(|all| all.iter().filter_map(category).collect())
                .unwrap_or_default(),
        })
    }
}

impl Card {
    /// As Markdown, with the fields the Hub reads at its top.
    ///
    /// # Errors
    /// S001 where a value cannot be shown; that is a fault of the program.
    pub fn render(&self) -> Result<String> {
        let rendered = Environment::new().render_str(TEMPLATE, minijinja::Value::from(Serde(self)));
        rendered.map_err(|error| {
            Diagnostic::error(codes::USAGE, "the model card cannot be written")
                .note(format!("{error:#}"))
                .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn card(evaluation: Option<Evaluation>) -> Card {
        Card {
            title: "me/head".to_owned(),
            algorithm: "eagle3".to_owned(),
            verifier: Some("`acme/large`".to_owned()),
            base_model: Some("acme/large".to_owned()),
            facts: vec![("Layers".to_owned(), "1".to_owned())],
            evaluation,
            runtimes: vec![Serving {
                name: "vLLM".to_owned(),
                version: "0.32".to_owned(),
                commands: vec!["vllm serve me/head".to_owned()],
            }],
            validated: "no errors, 0 warnings".to_owned(),
        }
    }

    #[test]
    fn a_card_with_and_without_an_evaluation() {
        let plain = card(None).render().unwrap();
        assert!(plain.starts_with("---\nlibrary_name: speculators\n"));
        assert!(plain.contains("base_model: acme/large\n"));
        assert!(plain.contains("| Layers | 1 |\n"));
        assert!(plain.contains("```bash\nvllm serve me/head\n```"));
        assert!(!plain.contains("## Acceptance"));
        let report = json!({
            "schema": "speculators.eval/1",
            "setting": { "verifier": "/home/me/large", "num_speculative_tokens": 3 },
            "counts": { "requests": 24 },
            "acceptance": { "per_position": [0.909, 0.5], "mean_length": 2.409 },
            "categories": [{ "category": "code", "counts": { "requests": 4 }, "acceptance": { "mean_length": 3.0 } }],
        });
        let measured = card(Evaluation::of(&report)).render().unwrap();
        for part in [
            "against large.",
            "| accepted | 90.9 % | 50.0 % |",
            "**2.41**",
            "| code | 4 | 3.00 |",
        ] {
            assert!(measured.contains(part), "{part} in {measured}");
        }
        assert!(!measured.contains("/home/me"));
        assert_eq!(Evaluation::of(&json!({"schema": "other/1"})), None);
    }
}
