//! What a runtime's rules write into: findings, assumptions and commands.

use serde::Serialize;

use super::Runtime;
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};

/// Something a runtime takes without being told, or in spite of what it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// What it is about, by config key or tensor name.
    pub subject: String,
    /// What the runtime takes.
    pub taken: String,
    /// What the head was made with, where that is known.
    pub head: Option<String>,
    /// Whether the two agree, where that can be known.
    pub holds: Option<bool>,
    /// Why the runtime takes it.
    pub reason: String,
}

/// How an assumption fits the head.
pub(super) enum Fit {
    /// The head was made with the same.
    Right,
    /// The head was made with something else.
    Wrong(String),
    /// Nothing in the checkpoint says what the head was made with.
    Unknown,
}

impl Fit {
    /// Compares what is taken with what the head has.
    pub fn of<T: PartialEq + std::fmt::Debug>(taken: &T, head: &T) -> Fit {
        if taken == head {
            Fit::Right
        } else {
            Fit::Wrong(format!("{head:?}"))
        }
    }
}

/// The outcome of a runtime's rules, while they run.
pub(super) struct Assessment {
    runtime: Runtime,
    /// Whether there were rules for a checkpoint of this kind.
    pub judged: bool,
    pub findings: Vec<Diagnostic>,
    pub assumptions: Vec<Assumption>,
    pub commands: Vec<String>,
}

impl Assessment {
    pub fn new(runtime: Runtime) -> Assessment {
        Assessment {
            runtime,
            judged: false,
            findings: Vec::new(),
            assumptions: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// As its authors write it.
    pub fn name(&self) -> &'static str {
        self.runtime.name()
    }

    /// S502: information where it fits the head, a warning where it does not or nobody can tell.
    pub fn assume(
        &mut self,
        subject: &str,
        taken: impl std::fmt::Display,
        fit: Fit,
        place: Place,
        reason: &str,
    ) {
        let name = self.name();
        let title = format!("{name} takes {taken} for `{subject}`");
        let (finding, head, holds) = match fit {
            Fit::Right => (
                Diagnostic::info(codes::RUNTIME_ASSUMES, title),
                Some(taken.to_string()),
                Some(true),
            ),
            Fit::Wrong(head) => (
                Diagnostic::warning(
                    codes::RUNTIME_ASSUMES,
                    format!("{title}, but the head has {head}"),
                ),
                Some(head),
                Some(false),
            ),
            Fit::Unknown => (
                Diagnostic::warning(codes::RUNTIME_ASSUMES, title)
                    .note("nothing in the checkpoint says whether that is right"),
                None,
                None,
            ),
        };
        self.findings.push(finding.at(place).note(reason));
        self.assumptions.push(Assumption {
            subject: subject.to_owned(),
            taken: taken.to_string(),
            head,
            holds,
            reason: reason.to_owned(),
        });
    }

    /// S501: another kind of checkpoint is asked for.
    pub fn refuse(&mut self, title: String, place: Place) -> &mut Diagnostic {
        self.push(Diagnostic::error(codes::RUNTIME_KIND, title).at(place))
    }

    /// S503: a value of the config stops the runtime.
    pub fn stop(&mut self, title: String, place: Place) -> &mut Diagnostic {
        self.push(Diagnostic::error(codes::RUNTIME_CONFIG, title).at(place))
    }

    /// S504: the runtime has no place for a tensor, or looks for it under another name.
    pub fn misplaced(&mut self, title: String, place: Place) -> &mut Diagnostic {
        self.push(Diagnostic::error(codes::RUNTIME_TENSOR, title).at(place))
    }

    /// S505: about the verifier that the checkpoint names.
    pub fn verifier(&mut self, title: String, place: Place) -> &mut Diagnostic {
        self.push(Diagnostic::warning(codes::RUNTIME_VERIFIER, title).at(place))
    }

    fn push(&mut self, finding: Diagnostic) -> &mut Diagnostic {
        let last = self.findings.len();
        self.findings.push(finding);
        &mut self.findings[last]
    }
}
