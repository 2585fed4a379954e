//! Penalties for tokens that have occurred.

use crate::{Result, sampling::domain};

/// Penalties for tokens that have occurred, in the definitions of vLLM; see [`penalize`](crate::cpu::penalize).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalties {
    /// Divides positive logits of tokens in prompt or output, and multiplies the others; 1 changes nothing.
    pub repetition: f32,
    /// Taken off the logit of a token for each time it is in the output; 0 changes nothing.
    pub frequency: f32,
    /// Taken off the logit of a token that is in the output; 0 changes nothing.
    pub presence: f32,
}

impl Penalties {
    /// Penalties that change nothing.
    #[must_use]
    pub fn none() -> Penalties {
        Penalties {
            repetition: 1.0,
            frequency: 0.0,
            presence: 0.0,
        }
    }

    /// Whether they change nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Penalties::none()
    }

    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        let repetition = self.repetition;
        domain(
            operation,
            "repetition penalty",
            "a finite number above 0",
            repetition,
            repetition.is_finite() && repetition > 0.0,
        )?;
        for (what, value) in [
            ("frequency penalty", self.frequency),
            ("presence penalty", self.presence),
        ] {
            domain(operation, what, "a finite number", value, value.is_finite())?;
        }
        Ok(())
    }
}

/// A token that has occurred in the text so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The token.
    pub token: u32,
    /// How often it is in the output; 0 for a token that is in the prompt only.
    pub in_output: u32,
}
