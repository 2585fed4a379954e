//! Offline evaluation: prompts in, one record per verification step out, and every metric a fold over the records.

mod best;
mod bootstrap;
mod comparison;
mod context;
mod gates;
mod in_flight;
mod metrics;
mod order;
mod outcome;
mod paired;
mod records;
mod report;
mod request;
mod resumption;
mod rule;
mod run;
mod setting;
mod table;
mod tally;
mod turns;

pub use best::{
    BUDGETS, Best, BestSetting, EngineFlags, LatencyModel, Measured, OtherMachine, Recommendation,
    RequestSurvey, SURVEYED_DEPTH, SURVEYED_TREES, Shape, SimulatedStep, Simulation, SurveyFacts,
    SurveyedText, WidthTime, calibrate, simulate,
};
pub use bootstrap::{Interval, Resampling};
pub use comparison::{AcceptanceDifference, Comparison, Difference, Reference, read_references};
pub use context::ContextReport;
pub use gates::{Gate, GateFailure};
pub use metrics::{Better, Metric, MetricValue};
pub use order::shuffled;
pub use outcome::{Event, Outcome, OutputRecord};
pub use paired::{Paired, PairedDifference};
pub use records::{RECORDS_SCHEMA, Records, RecordsWriter, read_records};
pub use report::{Acceptance, CategoryReport, Counts, Guarantee, Latency, Lossless, Report};
pub use request::{RequestFigures, StepFigures};
pub use resumption::{Resumption, copy_kept};
pub use run::{Evaluation, Options, request_seed};
pub use setting::{PenaltiesSetting, SamplingSetting, Setting};
pub use table::write_table;
pub use turns::places;
