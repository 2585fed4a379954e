//! What `generate` works with: a verifier, its tokenizer, and a head for it.

use std::path::{Path, PathBuf};

use speculators::decoding::{Choosing, Drafting, Verification};
use speculators::demo;
use speculators::models::{DraftHead, Verifier};
use speculators::text::TextModel;
use speculators_formats::{Diagnostic, Head, ReadOptions, VerifierConfig, codes};
use tempfile::TempDir;

use super::GenerateArguments;
use crate::demonstration;
use crate::failure::Failure;
use crate::models::{self, Need};
use crate::session::Session;

/// What the demonstration's models are called in reports.
const DEMONSTRATION: [&str; 2] = ["demonstration verifier", "demonstration head"];

/// The models of a run, loaded.
pub struct Models {
    /// The verifier as the user named it.
    pub verifier_name: String,
    /// The verifier.
    pub verifier: Verifier,
    /// Its tokenizer and chat template.
    pub text: TextModel,
    /// What drafts for it; nothing with `--no-speculation`.
    pub speculator: Option<Speculator>,
    /// How tokens are chosen.
    pub choosing: Choosing,
}

/// A head and how it is used.
pub struct Speculator {
    /// The head as the user named it.
    pub name: String,
    /// The head.
    pub head: DraftHead,
    /// What it proposes in each step.
    pub drafting: Drafting,
    /// What of it is kept.
    pub verification: Verification,
}

impl Models {
    /// Loads what the arguments name: configs and tokenizer first, for what is wrong with them need not wait for
    /// gigabytes of weights.
    pub fn load(arguments: &GenerateArguments, session: &Session) -> Result<Models, Failure> {
        let sources = Sources::find(arguments, session)?;
        let config = VerifierConfig::read(&sources.verifier)?;
        let opened = sources
            .speculator
            .as_deref()
            .map(|directory| Head::open(directory, Some(&config), &ReadOptions::default()))
            .transpose()?;
        let text = TextModel::load(&sources.verifier)?;
        let decisions = opened.iter().flat_map(|opened| &opened.decisions);
        for decision in decisions {
            let line = format!(
                "{} = {} ({})",
                decision.subject, decision.value, decision.reason
            );
            match decision.guess {
                true => session.say(&format!("guessed: {line}")),
                false => session.detail(&format!("resolved: {line}")),
            }
        }
        let own_length = opened
            .as_ref()
            .map(|opened| opened.description.speculative_tokens);
        if arguments.strategy.calibrates() {
            return Err(Diagnostic::error(
                codes::USAGE,
                "`--tree calibrated` needs `--calibration` here",
            )
            .note("how often the head is right is measured on many prompts, as `eval` has them")
            .help("write it with `eval --best --write-calibration FILE.json`")
            .into());
        }
        let strategy = own_length
            .map(|length| arguments.strategy.resolve(length, false, session))
            .transpose()?;
        let verifier = Verifier::load(&sources.verifier)?;
        session.show(verifier.warnings());
        let (choosing, speculator) = match (strategy, opened) {
            (Some(strategy), Some(opened)) => {
                let choosing = strategy.choosing();
                let speculator = Speculator {
                    name: sources.speculator_name,
                    head: DraftHead::load(&opened, &verifier)?,
                    verification: strategy.verification,
                    drafting: strategy.drafting,
                };
                (choosing, Some(speculator))
            }
            _ => (arguments.strategy.choosing(false, session), None),
        };
        Ok(Models {
            verifier_name: sources.verifier_name,
            verifier,
            text,
            speculator,
            choosing,
        })
    }

    /// The most draft tokens that a step can accept.
    pub fn positions(&self) -> usize {
        self.speculator
            .as_ref()
            .map_or(0, |speculator| speculator.drafting.depth())
    }
}

/// Where the models lie: in the user's directories, or in a temporary one.
struct Sources {
    verifier: PathBuf,
    speculator: Option<PathBuf>,
    verifier_name: String,
    speculator_name: String,
    /// Keeps the unpacked demonstration alive while it is read.
    _unpacked: Option<TempDir>,
}

impl Sources {
    fn find(arguments: &GenerateArguments, session: &Session) -> Result<Sources, Failure> {
        let speculates = !arguments.no_speculation;
        let Some(verifier) = arguments.verifier.as_deref() else {
            let unpacked = demonstration::unpack()?;
            let [verifier_name, speculator_name] = DEMONSTRATION.map(str::to_owned);
            return Ok(Sources {
                verifier: unpacked.path().join(demo::VERIFIER),
                speculator: speculates.then(|| unpacked.path().join(demo::SPECULATOR)),
                verifier_name,
                speculator_name,
                _unpacked: Some(unpacked),
            });
        };
        let local = |named: &Path| -> Result<PathBuf, Failure> {
            let mut directory = named.to_path_buf();
            models::localize(&mut directory, Need::Everything, session)?;
            Ok(directory)
        };
        let speculator = arguments.speculator.as_deref().filter(|_| speculates);
        Ok(Sources {
            verifier: local(verifier)?,
            verifier_name: verifier.display().to_string(),
            speculator_name: speculator.map_or_else(String::new, |path| path.display().to_string()),
            speculator: speculator.map(local).transpose()?,
            _unpacked: None,
        })
    }
}
