//! What was measured of one request: the figures of each of its steps, and those of the whole. Every metric is a fold
//! over these, whether they come from a run or from a records file.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::decoding::{DepthRecord, StepRecord};
use crate::evaluation::Outcome;

/// One verification step, in figures.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct StepFigures {
    /// Tokens before the step: prompt and output so far.
    pub context_length: usize,
    /// Draft tokens at depth 1, 2, …, none of them 0: a one for each token of a chain. Empty where nothing was drafted.
    pub proposed: Vec<usize>,
    /// Draft tokens that the verifier agreed with, those included that an end of text or the limit then cut.
    pub accepted: usize,
    /// Tokens added to the output, after cutting.
    pub emitted: usize,
    /// What verifier and head held of the tokens that came out at depth 1, 2, …: as far as the draft was accepted and
    /// one further, within what was drafted. Empty in files from before this was recorded.
    #[serde(default)]
    pub path: Vec<DepthRecord>,
    /// Time of the head.
    #[serde(rename = "draft_us", with = "microseconds")]
    #[schemars(with = "f64")]
    pub draft: Duration,
    /// Time of the verifier.
    #[serde(rename = "verify_us", with = "microseconds")]
    #[schemars(with = "f64")]
    pub verify: Duration,
    /// Time of everything else.
    #[serde(rename = "other_us", with = "microseconds")]
    #[schemars(with = "f64")]
    pub other: Duration,
}

/// One request, in figures.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct RequestFigures {
    /// Which prompt of the file, and which of its turns, both from 0: the order of reports.
    #[serde(default)]
    pub place: [usize; 2],
    /// Request id.
    pub id: String,
    /// Category of the prompt.
    pub category: Option<String>,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Begin of the SHA-256 digest of the prompt's token ids, by which two runs show that they had the same prompt;
    /// older records have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_digest: Option<String>,
    /// Tokens of the output, the one from the prompt pass included.
    pub output_tokens: usize,
    /// Time of the prompt pass, which ends with the first token.
    #[serde(rename = "prefill_us", with = "microseconds")]
    #[schemars(with = "f64")]
    pub prefill: Duration,
    /// Time of all later steps with speculation.
    #[serde(rename = "decode_us", with = "microseconds")]
    #[schemars(with = "f64")]
    pub decode: Duration,
    /// Time of the prompt pass with plain decoding.
    #[serde(rename = "plain_prefill_us", with = "microseconds")]
    #[schemars(with = "f64")]
    pub plain_prefill: Duration,
    /// Time of all later tokens with plain decoding; where it gave another number of them, scaled to as many as with
    /// speculation.
    #[serde(rename = "plain_decode_us", with = "microseconds")]
    #[schemars(with = "f64")]
    pub plain_decode: Duration,
    /// Both gave the same tokens.
    pub lossless: bool,
    /// Its steps; on lines of their own in a records file.
    #[serde(skip)]
    pub steps: Vec<StepFigures>,
}

impl StepFigures {
    /// Time of the whole step.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.draft + self.verify + self.other
    }
}

impl From<&StepRecord> for StepFigures {
    fn from(step: &StepRecord) -> StepFigures {
        StepFigures {
            context_length: step.context_length,
            proposed: step
                .proposed_per_depth
                .iter()
                .copied()
                .take_while(|&proposed| proposed > 0)
                .collect(),
            accepted: step.accepted,
            emitted: step.emitted,
            path: step.path.clone(),
            draft: step.draft,
            verify: step.verify,
            other: step.other,
        }
    }
}

impl From<&Outcome> for RequestFigures {
    fn from(outcome: &Outcome) -> RequestFigures {
        RequestFigures {
            place: outcome.place,
            id: outcome.id.clone(),
            category: outcome.category.clone(),
            prompt_tokens: outcome.prompt_token_ids.len(),
            prompt_digest: Some(digest(&outcome.prompt_token_ids)),
            output_tokens: outcome.output_token_ids.len(),
            prefill: outcome.prefill,
            decode: outcome.decode,
            plain_prefill: outcome.plain_prefill,
            plain_decode: outcome.plain_decode,
            lossless: outcome.lossless,
            steps: outcome.steps.iter().map(StepFigures::from).collect(),
        }
    }
}

/// The first eight bytes of the SHA-256 of token ids (little-endian, four bytes each), in hexadecimal digits.
fn digest(tokens: &[u32]) -> String {
    let mut hasher = Sha256::new();
    for token in tokens {
        hasher.update(token.to_le_bytes());
    }
    let digest = hasher.finalize();
    let start = digest.iter().take(8);
    start.map(|byte| format!("{byte:02x}")).collect()
}

/// Durations as microseconds with three decimals, which is every nanosecond of them.
pub(crate) mod microseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::cast_precision_loss, reason = "exact for a hundred days")]
    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_nanos() as f64 / 1e3)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "looked at before"
    )]
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let time = f64::deserialize(deserializer)?;
        if (0.0..1e15).contains(&time) {
            Ok(Duration::from_nanos((time * 1e3).round() as u64))
        } else {
            Err(serde::de::Error::custom(format!(
                "{time} is no time in microseconds"
            )))
        }
    }
}
