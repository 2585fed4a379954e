//! Greedy decoding, plainly and with speculation.
//!
//! Speculation drafts a chain of tokens with an EAGLE-3 head, has the verifier look at all of them in one pass, and
//! keeps those that the verifier would have chosen itself. Because a row's bits do not depend on the rows beside it,
//! the output is that of plain decoding, token for token, ties included.
//!
//! Counting follows vLLM's engine (v1): the first token comes from the prompt pass; each later step counts the draft
//! tokens it had verified and how many of them were accepted, even where the end of the text or a limit then cuts
//! the output short. A step without draft tokens (they do not fit into the context) is no draft in its statistics.

mod drafter;
mod limits;
mod plain;
mod record;
mod sequence;
mod speculation;

pub use limits::Limits;
pub use plain::{generate, generate_with, next_logits};
pub use record::{Chooser, FinishReason, Generation, NearTie, StepRecord};
pub use speculation::{MAX_SPECULATIVE_TOKENS, speculate, speculate_with};
