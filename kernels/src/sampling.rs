//! How a token is chosen from logits.

use crate::{Error, Result};

/// How a token is chosen from a row of logits.
///
/// What a token is drawn from, the distribution `p` of all rules of verification, has one definition, in the order of
/// vLLM (`vllm/v1/sample/sampler.py`):
///
/// 1. penalties on the raw logits: repetition, frequency, presence ([`penalize`](crate::cpu::penalize), which changes
///    the logits in place and is the caller's to apply first; it matters at temperature 0 as well);
/// 2. division by the temperature; at 0, `p` is the largest logit and the rest plays no part;
/// 3. min-p, then top-k, then top-p, each on what the one before has left, ties in favour of the smaller id;
/// 4. softmax.
///
/// [`probabilities`](crate::cpu::probabilities) writes it down, [`sample`](crate::cpu::sample) draws from it:
/// `argmax(logit / temperature + g)` over the tokens that are left, with Gumbel noise `g` that depends only on the
/// seed, the position and the token. The draw for a position is the same whatever was drafted there.
///
/// NaN logits have probability 0. Where the largest logit is infinite, or there is none, the first of the largest has
/// probability 1. Exactly `top_k` tokens are left at ties, as by vLLM's Triton kernel; its PyTorch version leaves all
/// that tie with the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 chooses the largest logit (the smallest id on ties).
    pub temperature: f32,
    /// Keeps the `top_k` most probable tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the most probable tokens until their sum reaches this; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least this probable relative to the most probable one; 0 keeps all.
    pub min_p: f32,
    /// Chooses the noise.
    pub seed: u64,
}

impl Sampling {
    /// The largest logit, the smallest id on ties.
    #[must_use]
    pub fn greedy() -> Sampling {
        Sampling {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: 0,
        }
    }

    /// Samples at a temperature without filters.
    #[must_use]
    pub fn with_temperature(temperature: f32, seed: u64) -> Sampling {
        Sampling {
            temperature,
            seed,
            ..Sampling::greedy()
        }
    }

    /// Whether the noise and the filters play no part.
    #[must_use]
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0
    }

    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        let t = self.temperature;
        domain(
            operation,
            "temperature",
            "a finite number of at least 0",
            t,
            t.is_finite() && t >= 0.0,
        )?;
        domain(
            operation,
            "top_p",
            "a number above 0 and at most 1",
            self.top_p,
            self.top_p > 0.0 && self.top_p <= 1.0,
        )?;
        domain(
            operation,
            "min_p",
            "a number from 0 to 1",
            self.min_p,
            (0.0..=1.0).contains(&self.min_p),
        )
    }
}

/// That a parameter is in its domain, or [`Error::Sampling`].
pub(crate) fn domain(
    operation: &'static str,
    what: &'static str,
    expected: &'static str,
    found: f32,
    good: bool,
) -> Result<()> {
    if good {
        Ok(())
    } else {
        Err(Error::Sampling {
            operation,
            what,
            expected,
            found,
        })
    }
}
