//! How a token is chosen from logits.

use crate::{Error, Result};

/// How a token is chosen from a row of logits.
///
/// With a temperature the token is `argmax(logit / temperature + g)` over the tokens that the filters leave, with
/// Gumbel noise `g` that depends only on the seed, the position and the token. It therefore has the distribution of
/// ordinary sampling, and the draw for a position is the same whatever was drafted there.
///
/// The filters apply in the order min-p, top-k, top-p, each to what the one before has left, and each breaks ties in
/// favour of the smaller id.
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

    pub(crate) fn check(&self) -> Result<()> {
        let domain = |what, expected, found: f32, good: bool| {
            if good {
                Ok(())
            } else {
                Err(Error::Sampling {
                    what,
                    expected,
                    found,
                })
            }
        };
        let t = self.temperature;
        domain(
            "temperature",
            "a finite number of at least 0",
            t,
            t.is_finite() && t >= 0.0,
        )?;
        domain(
            "top_p",
            "a number above 0 and at most 1",
            self.top_p,
            self.top_p > 0.0 && self.top_p <= 1.0,
        )?;
        domain(
            "min_p",
            "a number from 0 to 1",
            self.min_p,
            (0.0..=1.0).contains(&self.min_p),
        )
    }
}
