//! Offline evaluation: prompts in, one record per verification step out, and every metric a fold over the records.

mod bootstrap;
mod comparison;
mod context;
mod diagnosis;
mod gates;
mod metrics;
mod paired;
mod records;
mod report;
mod request;
mod rule;
mod run;
mod setting;
mod tally;

pub use bootstrap::{Interval, Resampling};
pub use comparison::{AcceptanceDifference, Comparison, Difference, Reference, read_references};
pub use context::ContextReport;
pub use diagnosis::{Cause, DepthFigures, Evidence, Statement, Told, diagnose};
pub use gates::{Gate, GateFailure};
pub use metrics::{Better, Metric, MetricValue};
pub use paired::{Paired, PairedDifference};
pub use records::{RECORDS_SCHEMA, Records, RecordsWriter, read_records};
pub use report::{Acceptance, CategoryReport, Counts, Latency, Lossless, Report};
pub use request::{RequestFigures, StepFigures};
pub use run::{Evaluation, Event, Options, Outcome, OutputRecord};
pub use setting::{SamplingSetting, Setting};
