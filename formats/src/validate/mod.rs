//! Will this head load, and will the verifier accept what it drafts?
//!
//! Whatever keeps a head from being opened is found by [`Head::open`] and [`Checkpoint::open`]; here it is joined with
//! what only a look at the values, at both vocabulary maps and at the verifier can tell. Everything is looked at in one
//! run: where the head cannot be opened, its values and its serving configuration still are. For one particular runtime,
//! [`runtime`] says more.

mod block;
mod maps;
mod pairing;
mod policy;
pub mod runtime;
mod serving;
#[cfg(test)]
mod tests;
pub(crate) mod values;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::block::BlockHead;
use crate::checkpoint::Checkpoint;
use crate::codes::{self, Code};
use crate::config::ConfigFile;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Level};
use crate::head::{Head, Layout};
use crate::mtp::{self, MtpHead, NormGain};
use crate::options::ReadOptions;
use crate::speculator::{Algorithm, Description, Speculator};
use crate::verifier::VerifierConfig;
use crate::weights;

pub(crate) use block::unusable_mask_token;
pub use policy::Silenced;
use runtime::{Runtime, RuntimeReport, Subject};

/// What to look at, and how strictly.
#[derive(Clone, Debug, Default)]
pub struct ValidateOptions {
    /// A warning makes the head not valid.
    pub deny_warnings: bool,
    /// Headers and configs only: the values of the weights are not read.
    pub skip_values: bool,
    /// How the head is read where its config leaves something open.
    pub read: ReadOptions,
    /// Codes of which every finding is an error.
    pub deny: Vec<Code>,
    /// Codes whose findings are counted and not reported. A head that cannot be opened does not become valid by it.
    pub allow: Vec<Code>,
    /// The runtime that is to serve the head.
    pub runtime: Option<Runtime>,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It loads, and nothing speaks against it.
    Valid,
    /// It will not load, or it will draft wrong tokens.
    NotValid,
    /// It could not be judged: it is not there, cannot be read, or is not a head this version knows.
    CouldNotTell,
}

impl Verdict {
    /// Exit status of a program that answers with this verdict.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Valid => 0,
            Verdict::NotValid => 1,
            Verdict::CouldNotTell => 2,
        }
    }

    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::NotValid => "not valid",
            Verdict::CouldNotTell => "could not tell",
        }
    }

    /// The verdict on several checkpoints: one that is known to be bad outweighs one that could not be judged, and that
    /// outweighs any number of good ones.
    #[must_use]
    pub fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Valid => 0,
            Verdict::CouldNotTell => 1,
            Verdict::NotValid => 2,
        };
        verdicts
            .into_iter()
            .max_by_key(rank)
            .unwrap_or(Verdict::Valid)
    }
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct ValidationReport {
    /// Name and version of this structure.
    pub schema: &'static str,
    /// The answer.
    pub verdict: Verdict,
    /// The checkpoint, as given.
    pub path: PathBuf,
    /// The verifier it was paired with, as given.
    pub verifier: Option<PathBuf>,
    /// Kind of head, if it could be opened.
    pub algorithm: Option<Algorithm>,
    /// Recognized layout, if the head could be opened.
    pub layout: Option<Layout>,
    /// The head, if it could be opened.
    pub head: Option<Description>,
    /// What had to be resolved to open it.
    pub decisions: Vec<Decision>,
    /// Tensors in the files.
    pub tensors: usize,
    /// Tensors whose values were read.
    pub tensors_scanned: usize,
    /// Bytes of those.
    pub bytes_scanned: u64,
    /// What is to be expected of the runtime that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeReport>,
    /// How many findings of which codes are not listed, because they are allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub silenced: Vec<Silenced>,
    /// Findings, errors first, causes before consequences.
    pub diagnostics: Vec<Diagnostic>,
}

impl ValidationReport {
    /// Findings of one level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.level == level)
            .count()
    }
}

/// Judges the head in `dir`, alone or with the verifier in another directory.
#[must_use]
pub fn validate(
    dir: &Path,
    verifier: Option<&Path>,
    options: &ValidateOptions,
) -> ValidationReport {
    let mut report = empty(dir, verifier);
    // Nobody breaks it off.
    let _ = judge(options, &mut |_, _| ControlFlow::Continue(()), &mut report);
    report
}

/// The same, told of its progress: `step` is given the bytes of weights that were read and those that will be, and
/// breaks it off. Nothing is known of a head of which not all was looked at.
pub fn validate_until(
    dir: &Path,
    verifier: Option<&Path>,
    options: &ValidateOptions,
    step: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Option<ValidationReport> {
    let mut report = empty(dir, verifier);
    let ended = judge(options, step, &mut report);
    ended.is_continue().then_some(report)
}

fn empty(dir: &Path, verifier: Option<&Path>) -> ValidationReport {
    ValidationReport {
        schema: "speculators.validate/1",
        verdict: Verdict::Valid,
        path: dir.to_path_buf(),
        verifier: verifier.map(Path::to_path_buf),
        algorithm: None,
        layout: None,
        head: None,
        decisions: Vec::new(),
        tensors: 0,
        tensors_scanned: 0,
        bytes_scanned: 0,
        runtime: None,
        silenced: Vec::new(),
        diagnostics: Vec::new(),
    }
}

fn judge(
    options: &ValidateOptions,
    step: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    report: &mut ValidationReport,
) -> ControlFlow<()> {
    let (dir, verifier) = (report.path.clone(), report.verifier.clone());
    let verifier = verifier.as_deref();
    let (config, mut about_verifier) = match verifier.map(VerifierConfig::read).transpose() {
        Ok(config) => (config, Vec::new()),
        Err(found) => (None, found),
    };
    let pair = config.as_ref().zip(verifier);
    match Speculator::open(&dir, config.as_ref(), &options.read) {
        Ok(speculator) => {
            let checkpoint = speculator.checkpoint();
            if let Speculator::Mtp(head) = &speculator {
                about_verifier = judge_mtp(head, verifier, options, step, report)?;
            } else {
                judge_contents(checkpoint, options, step, report)?;
            }
            report.diagnostics.extend(maps::missing(&speculator));
            match &speculator {
                Speculator::Eagle3(head) => judge_head(head, pair, report),
                Speculator::Block(head) => judge_block(head, pair, report),
                Speculator::Eagle(_) | Speculator::Mtp(_) => {}
            }
            let config = checkpoint.config();
            judge_runtime(options, config, Some(&speculator), pair, report);
            report.algorithm = Some(speculator.algorithm());
            report.layout = Some(speculator.layout());
            report.head = Some(speculator.description());
            report.decisions = speculator.decisions().to_vec();
        }
        Err(found) => {
            report.diagnostics.extend(found);
            let settled = report
                .diagnostics
                .iter()
                .any(|diagnostic| diagnostic.code == codes::LAYOUT_UNKNOWN);
            match Checkpoint::open(&dir) {
                // The values of a whole verifier say nothing about the layer, nor does a verifier this version cannot run.
                Ok(checkpoint) if mtp::present(&checkpoint) => about_verifier.clear(),
                Ok(checkpoint) if !settled => judge_contents(&checkpoint, options, step, report)?,
                _ => {}
            }
            match ConfigFile::read(dir.join("config.json")) {
                Ok(config) => judge_runtime(options, &config, None, pair, report),
                Err(_) => report.runtime = options.runtime.map(runtime::unread),
            }
        }
    }
    suppress(&mut report.diagnostics);
    report.silenced = policy::apply(options, &mut report.diagnostics, &mut about_verifier);
    report.verdict = verdict(&dir, options, report, &about_verifier);
    report.diagnostics.extend(about_verifier);
    report
        .diagnostics
        .sort_by_key(|diagnostic| std::cmp::Reverse(diagnostic.level));
    ControlFlow::Continue(())
}

/// What needs no more than the files.
fn judge_contents(
    checkpoint: &Checkpoint,
    options: &ValidateOptions,
    step: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    report: &mut ValidationReport,
) -> ControlFlow<()> {
    report.tensors = checkpoint.names().count();
    report
        .diagnostics
        .extend(serving::check(checkpoint.config()));
    if !options.skip_values {
        let scanned = match values::scan(checkpoint, step) {
            ControlFlow::Continue(scanned) => scanned,
            ControlFlow::Break(()) => return ControlFlow::Break(()),
        };
        report.tensors_scanned = scanned.len();
        report.bytes_scanned = scanned
            .iter()
            .map(|(tensor, _)| tensor.data.len() as u64)
            .sum();
        report
            .diagnostics
            .extend(values::check(checkpoint, &scanned, NormGain::Weight));
    }
    ControlFlow::Continue(())
}

/// What depends on who is to serve the head.
fn judge_runtime(
    options: &ValidateOptions,
    config: &ConfigFile,
    speculator: Option<&Speculator>,
    verifier: Option<(&VerifierConfig, &Path)>,
    report: &mut ValidationReport,
) {
    let Some(runtime) = options.runtime else {
        return;
    };
    let sound = report.count(Level::Error) == 0;
    let subject = Subject {
        dir: &report.path,
        config,
        speculator,
        verifier,
    };
    let (about, found) = runtime::assess(runtime, &subject, sound);
    report.runtime = Some(about);
    report.diagnostics.extend(found);
}

/// The same for an MTP layer, whose verifier is of a family this version may not run; gives what keeps that verifier from
/// being judged with it.
fn judge_mtp(
    head: &MtpHead,
    verifier: Option<&Path>,
    options: &ValidateOptions,
    step: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    report: &mut ValidationReport,
) -> ControlFlow<(), Vec<Diagnostic>> {
    report.tensors = head.tensors.len() + head.dropped.len();
    if head.layout == Layout::Speculators {
        report
            .diagnostics
            .extend(serving::check(head.checkpoint.config()));
    }
    report.diagnostics.extend(mtp::judge::config(head));
    if !options.skip_values {
        let scanned = match mtp::judge::scan(head, step) {
            ControlFlow::Continue(scanned) => scanned,
            ControlFlow::Break(()) => return ControlFlow::Break(()),
        };
        report.tensors_scanned = scanned.len();
        report.bytes_scanned = scanned
            .iter()
            .map(|(tensor, _)| tensor.data.len() as u64)
            .sum();
        report
            .diagnostics
            .extend(mtp::judge::values(head, &scanned));
    }
    match verifier.map(|path| mtp::judge::pairing(head, path)) {
        Some(Err(found)) => return ControlFlow::Continue(found),
        Some(Ok(found)) => report.diagnostics.extend(found),
        None => {}
    }
    ControlFlow::Continue(Vec::new())
}

/// What needs to know which tensor is which.
fn judge_head(
    head: &Head,
    verifier: Option<(&VerifierConfig, &Path)>,
    report: &mut ValidationReport,
) {
    report.diagnostics.extend(serving::aux_layers(head));
    report.diagnostics.extend(serving::mask_token(head));
    if let Some((config, _)) = verifier {
        report
            .diagnostics
            .extend(serving::lifted_aux_layers(head, config));
    }
    let map = head.vocabulary_map();
    if let Some(map) = map {
        report
            .diagnostics
            .extend(maps::check(&head.checkpoint, map));
    }
    if let Some((config, path)) = verifier {
        report
            .diagnostics
            .extend(pairing::check(head, map, config, path));
    }
}

/// The same for a block drafter.
fn judge_block(
    head: &BlockHead,
    verifier: Option<(&VerifierConfig, &Path)>,
    report: &mut ValidationReport,
) {
    report.diagnostics.extend(head.findings());
    let map = head.vocabulary_map();
    if let Some(map) = map {
        report
            .diagnostics
            .extend(maps::check(&head.checkpoint, map));
    }
    if let Some((config, path)) = verifier {
        report
            .diagnostics
            .extend(pairing::check(head, map, config, path));
    }
}

/// Takes out what is said twice, and what only follows from another verifier being meant.
fn suppress(findings: &mut Vec<Diagnostic>) {
    if findings
        .iter()
        .any(|finding| finding.code == codes::HIDDEN_SIZE)
    {
        findings.retain(|finding| {
            !matches!(
                finding.code,
                codes::AUX_LAYER_RANGE | codes::AUX_LAYERS_MISSING
            )
        });
    }
    let mut position = 0;
    while position < findings.len() {
        let (before, rest) = findings.split_at(position);
        if rest.first().is_some_and(|finding| before.contains(finding)) {
            findings.remove(position);
        } else {
            position += 1;
        }
    }
}

fn verdict(
    dir: &Path,
    options: &ValidateOptions,
    report: &ValidationReport,
    about_verifier: &[Diagnostic],
) -> Verdict {
    let least = if options.deny_warnings {
        Level::Warning
    } else {
        Level::Error
    };
    let against = || {
        report
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.level >= least)
    };
    if against().any(|diagnostic| settles(dir, diagnostic)) {
        Verdict::NotValid
    } else if against().next().is_some() || !about_verifier.is_empty() || report.head.is_none() {
        Verdict::CouldNotTell
    } else {
        Verdict::Valid
    }
}

/// Whether a finding says something about the head, or only that this program could not look at it.
fn settles(dir: &Path, diagnostic: &Diagnostic) -> bool {
    match diagnostic.code {
        codes::LAYOUT_UNKNOWN | codes::WEIGHTS_NAME | codes::GGUF_UNSUPPORTED => false,
        codes::FILE_MISSING => {
            is_checkpoint(dir)
                && !diagnostic
                    .place
                    .as_ref()
                    .is_some_and(|place| locked(&place.path))
        }
        _ => true,
    }
}

/// Whether there is anything in the directory that a head has.
fn is_checkpoint(dir: &Path) -> bool {
    let entries = fs_err::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| {
        let name = name.to_string_lossy();
        name == "config.json" || weights::is_weights(&name)
    })
}

/// Whether something is there that may not be read, as opposed to not being there.
fn locked(path: &Path) -> bool {
    match fs_err::metadata(path) {
        Ok(metadata) => metadata.is_file(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}
