//! What came of one request, and what a run tells as it goes.

use std::time::Duration;

use serde::Serialize;

use crate::decoding::StepRecord;

/// What came of one request.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Which prompt of the file, and which of its turns, both from 0: the order of reports.
    pub place: [usize; 2],
    /// The prompt's id; later turns of a `turns` prompt are `id/2`, `id/3`, ….
    pub id: String,
    /// The prompt's category.
    pub category: Option<String>,
    /// Prompt, in tokens.
    pub prompt_token_ids: Vec<u32>,
    /// Output, in tokens.
    pub output_token_ids: Vec<u32>,
    /// Output as text, where the verifier has a tokenizer.
    pub text: Option<String>,
    /// One record per verification step.
    pub steps: Vec<StepRecord>,
    /// Time of the prompt pass.
    pub prefill: Duration,
    /// Time of all later steps with speculation.
    pub decode: Duration,
    /// Time of the prompt pass with plain decoding.
    pub plain_prefill: Duration,
    /// Time of all later tokens with plain decoding; where it gave another number of them, scaled to as many as with
    /// speculation.
    pub plain_decode: Duration,
    /// Both gave the same tokens.
    pub lossless: bool,
    /// Seed of the noise of this request.
    pub seed: u64,
}

/// What a run tells as it goes.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A verification step of the request under way.
    Step {
        /// Request id.
        id: &'a str,
        /// The prompt's category.
        category: Option<&'a str>,
        /// Counted from 0 in each request.
        index: usize,
        /// What came of it.
        step: &'a StepRecord,
    },
    /// A request is complete.
    Finished(&'a Outcome),
}

/// One line of `--outputs`.
#[derive(Clone, Debug, Serialize)]
pub struct OutputRecord<'a> {
    /// Request id.
    pub id: &'a str,
    /// Prompt, in tokens.
    pub prompt_token_ids: &'a [u32],
    /// Output, in tokens.
    pub output_token_ids: &'a [u32],
    /// Output as text; null where the verifier has no tokenizer.
    pub text: Option<&'a str>,
    /// Draft tokens accepted, step by step.
    pub accepted_per_step: Vec<usize>,
}

impl Outcome {
    /// The line that `--outputs` writes.
    #[must_use]
    pub fn record(&self) -> OutputRecord<'_> {
        OutputRecord {
            id: &self.id,
            prompt_token_ids: &self.prompt_token_ids,
            output_token_ids: &self.output_token_ids,
            text: self.text.as_deref(),
            accepted_per_step: self.steps.iter().map(|step| step.accepted).collect(),
        }
    }
}
