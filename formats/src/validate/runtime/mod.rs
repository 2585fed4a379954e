//! Will one particular runtime load the checkpoint, and what will it take for granted that the config does not say?
//!
//! A runtime reads a few keys of the config by name, fills in the rest without a word, and loads tensors by name. What it
//! reads and what it fills in differs from runtime to runtime and from the description this crate arrives at, which is why
//! a head that is sound in itself can draft wrong tokens in one of them. The rules are the runtimes' own code put into
//! sentences; each file names the version it was read from.
//!
//! Three kinds of findings come out: an error where the runtime stops (S501, S503, S504), a warning where it goes on with
//! something that is wrong for this head or that nobody can check (S502, S505), and information where it fills in what
//! is right (S502).

mod assessment;
mod commands;
mod llama_cpp;
pub mod sglang;
#[cfg(test)]
mod tests;
mod vllm;

use std::path::Path;

use serde::Serialize;

use crate::config::ConfigFile;
use crate::diagnostic::{Diagnostic, Level};
use crate::head::Head;
use crate::speculator::Speculator;
use crate::verifier::VerifierConfig;

pub use assessment::Assumption;
use assessment::{Assessment, Fit};

/// A program that serves a verifier with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Runtime {
    /// vLLM.
    #[serde(rename = "vllm")]
    Vllm,
    /// SGLang.
    #[serde(rename = "sglang")]
    Sglang,
    /// llama.cpp.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
}

impl Runtime {
    /// As its authors write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Vllm => "vLLM",
            Runtime::Sglang => "SGLang",
            Runtime::LlamaCpp => "llama.cpp",
        }
    }

    /// The version whose behaviour the rules describe.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Runtime::Vllm => "0.32",
            Runtime::Sglang => "0.5.23",
            Runtime::LlamaCpp => "0.5.0",
        }
    }
}

/// Whether the runtime loads the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loads {
    /// It does, and what it takes for granted is right.
    Yes,
    /// It does, and a warning says what is wrong or cannot be checked.
    WithFindings,
    /// It stops with an error, or loads something else than the head.
    No,
    /// The checkpoint could not be read far enough to tell, or nothing is known about its kind in this runtime.
    CouldNotTell,
}

/// What is to be expected of a runtime.
#[derive(Clone, Debug, Serialize)]
pub struct RuntimeReport {
    /// The runtime.
    pub name: Runtime,
    /// Version whose behaviour the rules describe.
    pub version: &'static str,
    /// Whether it loads the checkpoint.
    pub loads: Loads,
    /// What it takes without being told.
    pub assumptions: Vec<Assumption>,
    /// Commands that serve the head, the shortest first; none where it does not load.
    pub commands: Vec<String>,
}

/// What there is to judge.
pub(super) struct Subject<'a> {
    /// The directory, as given.
    pub dir: &'a Path,
    /// Its config.
    pub config: &'a ConfigFile,
    /// The speculator, if this version knows its kind and could open it.
    pub speculator: Option<&'a Speculator>,
    /// The verifier, if one was given and could be read.
    pub verifier: Option<(&'a VerifierConfig, &'a Path)>,
}

impl<'a> Subject<'a> {
    /// The head, if it is EAGLE-3 or P-EAGLE.
    pub fn head(&self) -> Option<&'a Head> {
        match self.speculator {
            Some(Speculator::Eagle3(head)) => Some(head),
            _ => None,
        }
    }
}

/// Holds a checkpoint against one runtime. `sound` is false where an error was found already.
pub(super) fn assess(
    runtime: Runtime,
    subject: &Subject<'_>,
    sound: bool,
) -> (RuntimeReport, Vec<Diagnostic>) {
    let mut assessment = Assessment::new(runtime);
    match runtime {
        Runtime::Vllm => vllm::assess(subject, &mut assessment),
        Runtime::Sglang => sglang::assess(subject, &mut assessment),
        Runtime::LlamaCpp => llama_cpp::assess(subject, &mut assessment),
    }
    let worst = assessment
        .findings
        .iter()
        .map(|finding| finding.level)
        .max();
    let loads = match worst {
        Some(Level::Error) => Loads::No,
        _ if subject.speculator.is_none() || !assessment.judged || !sound => Loads::CouldNotTell,
        Some(Level::Warning) => Loads::WithFindings,
        _ => Loads::Yes,
    };
    if !matches!(loads, Loads::Yes | Loads::WithFindings) {
        assessment.commands.clear();
    }
    let report = RuntimeReport {
        name: runtime,
        version: runtime.version(),
        loads,
        assumptions: assessment.assumptions,
        commands: assessment.commands,
    };
    (report, assessment.findings)
}

/// What a runtime makes of a checkpoint of which not even the config can be read: nothing that could be known here.
pub(super) fn unread(runtime: Runtime) -> RuntimeReport {
    RuntimeReport {
        name: runtime,
        version: runtime.version(),
        loads: Loads::CouldNotTell,
        assumptions: Vec::new(),
        commands: Vec::new(),
    }
}
