//! The report for people: findings, what is to be expected of the runtime, and the verdict on a line of its own.

use std::io::Write;

use speculators_formats::Level;
use speculators_formats::validate::runtime::{Loads, RuntimeReport};
use speculators_formats::validate::{ValidationReport, Verdict};

use super::Findings;
use crate::failure::Failure;
use crate::{render, tables};

pub(super) fn write(findings: &Findings, output: &mut impl Write) -> Result<(), Failure> {
    for report in &findings.reports {
        for diagnostic in &report.diagnostics {
            writeln!(output, "{}\n", render::diagnostic(diagnostic))?;
        }
        if let Some(runtime) = &report.runtime {
            writeln!(output, "{}", expectation(runtime))?;
            for command in &runtime.commands {
                writeln!(output, "  {command}")?;
            }
            writeln!(output)?;
        }
        if let Some(line) = silenced(report) {
            writeln!(output, "{line}")?;
        }
        writeln!(output, "{}", verdict(report))?;
    }
    if findings.reports.len() > 1 {
        writeln!(output, "{}", summary(&findings.reports))?;
    }
    Ok(())
}

/// `DIR: valid (0 errors, 1 warning; values of 13 of 15 tensors read, 7.4 KiB)`.
pub(super) fn verdict(report: &ValidationReport) -> String {
    format!(
        "{}: {} ({}, {}; values of {} of {} tensors read, {})",
        report.path.display(),
        report.verdict.as_str(),
        counted(report.count(Level::Error), "error"),
        counted(report.count(Level::Warning), "warning"),
        report.tensors_scanned,
        report.tensors,
        tables::bytes(report.bytes_scanned)
    )
}

/// How many findings were left out; nothing where none were.
pub(super) fn silenced(report: &ValidationReport) -> Option<String> {
    let counts = report.silenced.iter();
    let counts: Vec<String> = counts
        .map(|silenced| {
            format!(
                "{} of {}",
                counted(silenced.count, "finding"),
                silenced.code
            )
        })
        .collect();
    (!counts.is_empty()).then(|| format!("allowed and not shown: {}", counts.join(", ")))
}

/// `vLLM 0.32 loads it`.
pub(super) fn expectation(runtime: &RuntimeReport) -> String {
    let what = match runtime.loads {
        Loads::Yes => "loads it",
        Loads::WithFindings => "loads it, but see the warnings",
        Loads::No => "does not load it",
        Loads::CouldNotTell => "may or may not load it; it could not be told",
    };
    let ending = if runtime.commands.is_empty() { "" } else { ":" };
    format!("{} {} {what}{ending}", runtime.name.name(), runtime.version)
}

/// `3 checkpoints: 2 valid, 1 not valid`.
fn summary(reports: &[ValidationReport]) -> String {
    let verdicts = [Verdict::Valid, Verdict::NotValid, Verdict::CouldNotTell];
    let counts: Vec<String> = verdicts
        .into_iter()
        .filter_map(|verdict| {
            let count = reports
                .iter()
                .filter(|report| report.verdict == verdict)
                .count();
            (count > 0).then(|| format!("{count} {}", verdict.as_str()))
        })
        .collect();
    format!("{} checkpoints: {}", reports.len(), counts.join(", "))
}

/// A count with its noun.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}
