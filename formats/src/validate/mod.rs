//! Will this head load, and will the verifier accept what it drafts?
//!
//! Whatever keeps a head from being opened is found by [`crate::Head::open`] and [`crate::Checkpoint::open`]; here it
//! is joined with what only a look at the values, at both vocabulary maps and at the verifier can tell. Everything is
//! looked at in one run: where the head cannot be opened, its values and its serving configuration still are. For one
//! particular runtime, [`runtime`] says more.

mod block;
mod judge;
mod maps;
mod pairing;
mod policy;
mod report;
pub mod runtime;
mod serving;
#[cfg(test)]
mod tests;
pub(crate) mod values;
mod verdict;

use std::ops::ControlFlow;
use std::path::Path;

use crate::codes::Code;
use crate::options::ReadOptions;

pub(crate) use block::unusable_mask_token;
use judge::judge;
pub use policy::Silenced;
pub use report::ValidationReport;
use runtime::Runtime;
pub use verdict::Verdict;

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

/// Judges the head in `dir`, alone or with the verifier in another directory.
#[must_use]
pub fn validate(
    dir: &Path,
    verifier: Option<&Path>,
    options: &ValidateOptions,
) -> ValidationReport {
    let mut report = ValidationReport::empty(dir, verifier);
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
    let mut report = ValidationReport::empty(dir, verifier);
    let ended = judge(options, step, &mut report);
    ended.is_continue().then_some(report)
}
