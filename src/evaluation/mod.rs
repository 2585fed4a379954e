//! Offline evaluation: prompts in, one record per verification step out, and every metric a fold over the records.

mod comparison;
mod report;
mod run;
mod setting;

pub use comparison::{AcceptanceDifference, Comparison, Difference, Reference, read_references};
pub use report::{Acceptance, CategoryReport, Counts, Latency, Lossless, Report};
pub use run::{Evaluation, Options, Outcome, OutputRecord};
pub use setting::{SamplingSetting, Setting};
