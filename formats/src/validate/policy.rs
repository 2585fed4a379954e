//! What a caller makes of codes: findings that are to count as errors, and findings that are known and accepted.

use serde::Serialize;

use super::ValidateOptions;
use crate::codes::Code;
use crate::diagnostic::{Diagnostic, Level};

/// Findings that were left out of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Silenced {
    /// Their code.
    pub code: Code,
    /// How many there were.
    pub count: usize,
}

/// Raises and silences, and says how many findings of which codes are silenced, in the order of the options.
pub(super) fn apply(
    options: &ValidateOptions,
    about_head: &mut Vec<Diagnostic>,
    about_verifier: &mut Vec<Diagnostic>,
) -> Vec<Silenced> {
    let mut silenced: Vec<Silenced> = Vec::new();
    for code in &options.allow {
        if silenced.iter().any(|known| known.code == *code) {
            continue;
        }
        let before = about_head.len() + about_verifier.len();
        about_head.retain(|finding| finding.code != *code);
        about_verifier.retain(|finding| finding.code != *code);
        let count = before - about_head.len() - about_verifier.len();
        silenced.push(Silenced { code: *code, count });
    }
    silenced.retain(|silenced| silenced.count > 0);
    for finding in about_head.iter_mut().chain(about_verifier) {
        if options.deny.contains(&finding.code) {
            finding.level = Level::Error;
        }
    }
    silenced
}
