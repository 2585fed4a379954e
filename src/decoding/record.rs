//! What a run of decoding leaves behind.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::models::Choice;

/// One verifier pass after the prompt's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepRecord {
    /// Tokens before the step: prompt and output so far.
    pub context_length: usize,
    /// Draft tokens that were verified, parents before their children; none in plain decoding.
    pub proposed: Vec<u32>,
    /// How many of them were 1, 2, … tokens away from the text: one each in a chain.
    pub proposed_per_depth: Vec<usize>,
    /// How many of them the verifier agreed with, from the first on: the length of the accepted path.
    pub accepted: usize,
    /// Tokens added to the output: one more than accepted, fewer where the text ended among them.
    pub emitted: usize,
    /// What verifier and head held of the tokens that came out at depth 1, 2, …: as far as the draft was accepted and
    /// one further, within what was drafted.
    pub path: Vec<DepthRecord>,
    /// Choices that rounding may have decided: the verifier's where it did not sample, and the head's in a chain.
    pub near_ties: Vec<NearTie>,
    /// Time of the head: taking in the tokens of the step before, and drafting.
    pub draft: Duration,
    /// Time of the verifier.
    pub verify: Duration,
    /// Time of everything else.
    pub other: Duration,
}

/// What verifier and head held of a token that came out where a draft token was put to the test.
///
/// Probabilities are those tokens are sampled from, after temperature and filters; at temperature 0, where there is
/// no chance, those of temperature 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct DepthRecord {
    /// Place of the token in the head's order, 0 being its favourite; none where it is not in the draft vocabulary.
    pub rank: Option<usize>,
    /// The verifier's probability of it.
    pub p: f32,
    /// The head's probability of it, 0 outside its vocabulary.
    pub q: f32,
    /// The head's probability of its favourite.
    pub top_q: f32,
    /// `Σ min(p, q)` over the vocabulary: the chance that rejection sampling accepts a token drawn by the head here
    /// (β of Leviathan et al., arXiv 2211.17192, definition 3.1).
    pub overlap: f32,
}

/// Who made a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Chooser {
    /// The head, when it drafted.
    Head,
    /// The verifier.
    Verifier,
}

/// A choice between logits within one bfloat16 step of each other: another engine may have taken the other token.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize)]
pub struct NearTie {
    /// Who chose.
    pub by: Chooser,
    /// After how many draft tokens of the step.
    pub depth: usize,
    /// Between what.
    #[serde(flatten)]
    pub choice: Choice,
}

/// Why an output ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// With an end token, which is the last of the output.
    EndToken,
    /// With a string that was to end it, which the last token of the output has completed.
    StopString,
    /// At the limit on new tokens.
    MaxNewTokens,
    /// Prompt and output fill the context.
    ContextLength,
}

impl FinishReason {
    /// As serving engines call it: `stop` or `length`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FinishReason::EndToken | FinishReason::StopString => "stop",
            FinishReason::MaxNewTokens | FinishReason::ContextLength => "length",
        }
    }
}

/// An output and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// The output, an end token included.
    pub output_token_ids: Vec<u32>,
    /// One record per step after the prompt pass, which emits the first token.
    pub steps: Vec<StepRecord>,
    /// Why it ended.
    pub finish: FinishReason,
    /// Time of the prompt pass, the head's included.
    pub prefill: Duration,
    /// Time of everything.
    pub total: Duration,
}
