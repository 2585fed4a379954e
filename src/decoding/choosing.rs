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

/// The tokens of a text, each once and ascending, counted for penalties.
pub(crate) fn occurrences(prompt: &[u32], output: &[u32]) -> Vec<Occurrence> {
    let mut in_output: BTreeMap<u32, u32> = prompt.iter().map(|token| (*token, 0)).collect();
    for token in output {
        *in_output.entry(*token).or_default() += 1;
    }
    let counts = in_output.into_iter();
    counts
        .map(|(token, in_output)| Occurrence { token, in_output })
        .collect()
}
