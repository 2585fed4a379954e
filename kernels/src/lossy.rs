//! Rules of verification that change the distribution of the output. Their types say so, and their results are not
//! [`Accepted`](crate::Accepted), so that nothing can use them unawares.

use crate::{Result, sampling::domain};

/// Typical acceptance (Medusa, arXiv 2401.10774, section 2.3.1): a token is accepted where its probability is above
/// `min(epsilon, delta * exp(-entropy))`. **Changes the distribution of the output.**
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossyTypical {
    /// What is always probable enough.
    pub epsilon: f32,
    /// The share of the typical probability, `exp(-entropy)`, that is probable enough.
    pub delta: f32,
}

impl LossyTypical {
    /// The values of Medusa: 0.09 and its root.
    #[must_use]
    pub fn medusa() -> LossyTypical {
        LossyTypical {
            epsilon: 0.09,
            delta: 0.3,
        }
    }

    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        unit(operation, "epsilon", self.epsilon)?;
        unit(operation, "delta", self.delta)
    }
}

/// The thresholds of SGLang (`speculative_accept_threshold_single` and `_acc`). **Change the distribution of the
/// output** unless both are 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossyThresholds {
    /// A token at least this probable is accepted.
    pub single: f32,
    /// Divides the probability that a token and its siblings before it have together.
    pub accumulated: f32,
}

impl LossyThresholds {
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        unit(operation, "single", self.single)?;
        unit(operation, "accumulated", self.accumulated)
    }
}

fn unit(operation: &'static str, what: &'static str, value: f32) -> Result<()> {
    domain(
        operation,
        what,
        "a number above 0 and at most 1",
        value,
        value > 0.0 && value <= 1.0,
    )
}

/// What a lossy rule has accepted: as [`Accepted`](crate::Accepted), but not what plain decoding would give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossyAccepted {
    /// The accepted nodes from the first below the root downwards, ascending; the root is not among them.
    pub path: Vec<usize>,
    /// The token that follows the last accepted node (or the root).
    pub bonus: u32,
}
