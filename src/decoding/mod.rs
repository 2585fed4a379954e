//! Decoding, plainly and with speculation.
//!
//! Speculation drafts a chain or a tree of tokens with an EAGLE-3 head, has the verifier look at all of them in one
//! pass, and keeps those that the verifier would have chosen itself. Because a row's bits do not depend on the rows
//! beside it, the output is that of plain decoding, token for token, ties included. Where tokens are sampled, the noise
//! depends on the seed and the position alone, so that the verifier would have drawn the same token without any draft:
//! then, too, both give the same tokens. Other rules ([`Verification`]) keep the distribution of the output instead, and
//! two, called lossy, not even that.
//!
//! Counting follows vLLM's engine (v1): the first token comes from the prompt pass; each later step counts the draft
//! tokens it had verified and how many of them were accepted, even where the end of the text or a limit then cuts
//! the output short. A step without draft tokens (they do not fit into the context) is no draft in its statistics.

mod calibration;
mod choosing;
mod drafter;
mod growth;
mod limits;
mod observation;
mod plain;
mod record;
mod sequence;
mod speculation;
mod static_tree;
mod stop;
mod strategy;
mod survey;
mod verification;

pub use calibration::{CALIBRATION_SCHEMA, Calibration, Curve, RANK_CLASSES};
pub use choosing::Choosing;
pub use limits::Limits;
pub(crate) use plain::stop_if;
pub use plain::{generate, generate_with, next_logits};
pub use record::{Chooser, DepthRecord, FinishReason, Generation, NearTie, StepRecord};
pub use speculation::{Speculation, speculate, speculate_with};
pub use speculators_kernels::{Penalties, Sampling};
pub use static_tree::StaticTree;
pub use stop::StopStrings;
pub use strategy::{
    Drafting, DynamicTree, MAX_SPECULATIVE_TOKENS, MAX_TREE_TOKENS, MAX_TREE_WIDTH, Strategy,
};
pub use survey::{PositionSurvey, SurveyOptions, TreePlaces, survey};
pub use verification::Verification;
