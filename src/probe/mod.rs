//! Metadata resolved by measurement: which reading of a head agrees best with its verifier.
//!
//! The tensors of an EAGLE-3 head do not show which verifier layers it was trained on, what is normalized on the way, or
//! which rotary embedding its queries and keys are turned by; configs say it wrongly or not at all. A head read wrongly
//! loads, serves, and drafts badly. Here it is read in every way that is seen in the field, and each reading is held
//! against about a thousand tokens that the verifier wrote itself:
//!
//! 1. The verifier continues some prompts greedily, and its states are kept, once for all readings ([`Text`]).
//! 2. At each position the head, given the true states, drafts three tokens along the verifier's own ([`Position`]).
//! 3. Readings are compared by the mean log-probability of the verifier's tokens, paired by position, with a standard
//!    error over blocks of neighbouring positions ([`Difference`]). It tells apart what the count of accepted tokens
//!    alone does not: shifting the layers by one may cost a tenth of a nat and not one favourite in fifty. Logits are
//!    first brought to the sharpness that suits the reading best, so that it does not matter how sure a head is.
//! 4. The best reading is searched one question at a time and in combinations of layers and norms; then each question is
//!    judged around it ([`Answer`]). A difference within three standard errors is no answer.

mod agreement;
mod correction;
mod prompts;
mod question;
mod reading;
mod rollout;
mod run;
mod search;
mod subject;
mod text;
mod verdict;

pub use agreement::{Agreement, Difference, Estimate, Figures};
pub use prompts::encode;
pub use question::{Candidate, Choices, Question};
pub use reading::Reading;
pub use rollout::{DEPTH, Guess, Position, SHARPNESS};
pub use run::{Findings, probe, write_texts};
pub use subject::Subject;
pub use text::Text;
pub use verdict::{Answer, Standing, Tried, Verdict};
