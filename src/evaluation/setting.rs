//! What was run, as the evaluation report says it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decoding::{Drafting, Penalties, Sampling, Strategy, Verification};

/// What was run.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Setting {
    /// The verifier, as named by the user.
    pub verifier: String,
    /// The speculator, as named by the user.
    pub speculator: String,
    /// The layout the speculator was recognized in.
    pub layout: String,
    /// Draft tokens proposed per step; of a tree, the most.
    pub num_speculative_tokens: usize,
    /// What is proposed in each step.
    pub drafting: Drafting,
    /// How tokens are chosen.
    pub sampling: SamplingSetting,
    /// Which draft tokens are kept.
    #[serde(default)]
    pub verification: Verification,
    /// What is taken off the logits of tokens that have occurred; none where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalties: Option<PenaltiesSetting>,
    /// Strings that end an output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Output limit per request, in tokens.
    pub max_new_tokens: usize,
    /// Dtype that activations are rounded to.
    pub dtype: String,
    /// Instruction set of the kernels.
    pub instruction_set: String,
    /// Worker threads.
    pub threads: usize,
    /// Requests in flight at a time. Only where it is 1 do times hold for a single stream.
    #[serde(default = "one_at_a_time")]
    pub concurrency: usize,
    /// What the order of the prompts was drawn by; none where it is that of their file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffle_seed: Option<u64>,
}

/// As it was before it could be chosen.
fn one_at_a_time() -> usize {
    1
}

impl Setting {
    /// The most draft tokens that a step can accept.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.drafting.depth()
    }

    /// Whether times are those of a single stream, and say something of latency.
    #[must_use]
    pub fn is_single_stream(&self) -> bool {
        self.concurrency == 1
    }

    /// Of a greedy run with a chain.
    #[cfg(test)]
    pub(crate) fn of_chain(num_speculative_tokens: usize) -> Setting {
        Setting {
            verifier: String::new(),
            speculator: String::new(),
            layout: String::new(),
            num_speculative_tokens,
            drafting: Drafting::Chain {
                num_speculative_tokens,
            },
            sampling: Sampling::greedy().into(),
            verification: Verification::Match,
            penalties: None,
            stop: Vec::new(),
            max_new_tokens: 8,
            dtype: String::new(),
            instruction_set: String::new(),
            threads: 1,
            concurrency: 1,
            shuffle_seed: None,
        }
    }
}

/// What is taken off the logits of tokens that have occurred, in the terms of serving engines.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct PenaltiesSetting {
    /// Divides positive logits of tokens in prompt or output, and multiplies the others.
    pub repetition: f32,
    /// Taken off for each time that a token is in the output.
    pub frequency: f32,
    /// Taken off where a token is in the output.
    pub presence: f32,
}

impl PenaltiesSetting {
    /// None where they change nothing.
    #[must_use]
    pub fn of(strategy: &Strategy) -> Option<PenaltiesSetting> {
        let Penalties {
            repetition,
            frequency,
            presence,
        } = strategy.penalties;
        (!strategy.penalties.is_none()).then_some(PenaltiesSetting {
            repetition,
            frequency,
            presence,
        })
    }
}

/// How tokens are chosen, in the terms of serving engines.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct SamplingSetting {
    /// 0 is greedy, and then nothing else plays a part.
    pub temperature: f32,
    /// Only the most probable tokens; 0 is all.
    pub top_k: usize,
    /// Only the most probable tokens that add up to this; 1 is all.
    pub top_p: f32,
    /// Only tokens this probable relative to the most probable one; 0 is all.
    pub min_p: f32,
    /// What the noise of the run depends on.
    pub seed: u64,
}

impl From<Sampling> for SamplingSetting {
    fn from(sampling: Sampling) -> SamplingSetting {
        let Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            seed,
        } = sampling;
        SamplingSetting {
            temperature,
            top_k,
            top_p,
            min_p,
            seed,
        }
    }
}

impl fmt::Display for SamplingSetting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.temperature == 0.0 {
            return formatter.write_str("greedy");
        }
        write!(formatter, "temperature {}", self.temperature)?;
        if self.top_k > 0 {
            write!(formatter, ", top-k {}", self.top_k)?;
        }
        if self.top_p < 1.0 {
            write!(formatter, ", top-p {}", self.top_p)?;
        }
        if self.min_p > 0.0 {
            write!(formatter, ", min-p {}", self.min_p)?;
        }
        write!(formatter, ", seed {}", self.seed)
    }
}

impl fmt::Display for PenaltiesSetting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PenaltiesSetting {
            repetition,
            frequency,
            presence,
        } = self;
        write!(
            formatter,
            "penalties: repetition {repetition}, frequency {frequency}, presence {presence}"
        )
    }
}
