//! One look at everything a head has, joined into one list of findings.

use std::ops::ControlFlow;
use std::path::Path;

use super::pairing::{self, Paired};
use super::runtime::{self, Subject};
use super::verdict::verdict;
use super::{ValidateOptions, ValidationReport, maps, policy, serving, values};
use crate::checkpoint::Checkpoint;
use crate::codes;
use crate::config::ConfigFile;
use crate::diagnostic::{Diagnostic, Level};
use crate::head::Layout;
use crate::mtp::{self, MtpHead, NormGain};
use crate::speculator::Speculator;
use crate::verifier::VerifierConfig;

/// Looks at everything, and fills in the report.
pub(super) fn judge(
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
            report.diagnostics.extend(about_head(&speculator, pair));
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
    report.verdict = verdict(options, report, &about_verifier);
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
        let scanned = values::scan(checkpoint, step)?;
        report.count_scanned(&scanned);
        let found = values::check(checkpoint, &scanned, NormGain::Weight);
        report.diagnostics.extend(found);
    }
    ControlFlow::Continue(())
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
        let scanned = mtp::judge::scan(head, step)?;
        report.count_scanned(&scanned);
        let found = mtp::judge::values(head, &scanned);
        report.diagnostics.extend(found);
    }
    match verifier.map(|path| mtp::judge::pairing(head, path)) {
        Some(Err(found)) => return ControlFlow::Continue(found),
        Some(Ok(found)) => report.diagnostics.extend(found),
        None => {}
    }
    ControlFlow::Continue(Vec::new())
}

/// What needs to know which tensor is which, and what the verifier is.
fn about_head(
    speculator: &Speculator,
    verifier: Option<(&VerifierConfig, &Path)>,
) -> Vec<Diagnostic> {
    let config = verifier.map(|(config, _)| config);
    let (mut found, paired) = match speculator {
        Speculator::Eagle3(head) => (serving::auxiliary(head, config), Paired::from(head)),
        Speculator::Block(head) => (head.findings(), Paired::from(head)),
        Speculator::Eagle(_) | Speculator::Mtp(_) => return Vec::new(),
    };
    let map = speculator.vocabulary_map();
    found.extend(map.and_then(|map| maps::check(speculator.checkpoint(), map)));
    if let Some((config, path)) = verifier {
        found.extend(pairing::check(&paired, map, config, path));
    }
    found
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
