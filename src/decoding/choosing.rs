//! How the verifier chooses a token, plainly or at a node of a draft.

use std::collections::BTreeMap;

use speculators_kernels::{Occurrence, Penalties, Sampling};

/// How the verifier chooses a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choosing {
    /// What it is drawn from.
    pub sampling: Sampling,
    /// What is taken off the logits of tokens that have occurred, before anything else.
    pub penalties: Penalties,
}

impl From<Sampling> for Choosing {
    fn from(sampling: Sampling) -> Choosing {
        Choosing {
            sampling,
            penalties: Penalties::none(),
        }
    }
}

impl From<&Sampling> for Choosing {
    fn from(sampling: &Sampling) -> Choosing {
        (*sampling).into()
    }
}

/// The tokens of a text, counted for penalties.
#[derive(Debug, Default)]
pub(crate) struct Occurrences {
    in_output: BTreeMap<u32, u32>,
}

impl Occurrences {
    /// Tokens of the prompt.
    pub(crate) fn prompt(&mut self, tokens: &[u32]) {
        for token in tokens {
            self.in_output.entry(*token).or_default();
        }
    }

    /// A token of the output.
    pub(crate) fn output(&mut self, token: u32) {
        *self.in_output.entry(token).or_default() += 1;
    }

    /// Each token once, ascending.
    pub(crate) fn list(&self) -> Vec<Occurrence> {
        let counts = self.in_output.iter();
        counts
            .map(|(&token, &in_output)| Occurrence { token, in_output })
            .collect()
    }
}
