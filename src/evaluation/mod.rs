//! Offline evaluation: prompts in, one record per verification step out, and every metric a fold over the records.

mod accepted_length;
mod best;
mod bootstrap;
mod calibration;
mod comparison;
mod context;
mod diagnosis;
mod finished_run;
mod gates;
mod in_flight;
mod metrics;
mod order;
mod outcome;
mod pages;
mod paired;
mod pairing;
mod records;
mod report;
mod request;
mod request_report;
mod resumption;
mod rule;
mod run;
mod run_comparison;
mod schema;
mod setting;
mod table;
mod tally;
mod turns;

pub use accepted_length::AcceptedLength;
pub use best::{
    BUDGETS, Best, BestSetting, EngineFlags, LatencyModel, Measured, OtherMachine, Recommendation,
    RequestSurvey, SURVEYED_DEPTH, SURVEYED_TREES, Shape, SimulatedStep, Simulation, SurveyFacts,
    SurveyedText, WidthTime, calibrate, simulate,
};
pub use bootstrap::{Interval, Resampling};
pub use calibration::{Calibration, CalibrationBin};
pub use comparison::{AcceptanceDifference, Comparison, Difference, Reference, read_references};
pub use context::ContextReport;
pub use diagnosis::{Cause, DepthFigures, Evidence, Statement, Told, diagnose};
pub use finished_run::FinishedRun;
pub use gates::{Gate, GateFailure};
pub use metrics::{Better, Metric, MetricValue};
pub use order::shuffled;
pub use outcome::{Event, Outcome, OutputRecord};
pub use pages::PageForm;
pub use paired::{Paired, PairedDifference};
pub use records::{RECORDS_SCHEMA, Records, RecordsWriter, read_records};
pub use report::{
    Acceptance, CategoryReport, Counts, Guarantee, Latency, Lossless, REPORT_SCHEMA, Report,
};
pub use request::{RequestFigures, StepFigures};
pub use request_report::RequestReport;
pub use resumption::{Resumption, copy_kept};
pub use run::{Evaluation, Options, request_seed};
pub use run_comparison::{
    COMPARISON_SCHEMA, CategoryDifference, ComparedRun, MetricDifference, PromptCheck,
    RequestDifference, RunComparison, SettingDifference, Verdict,
};
pub use schema::Document;
pub use setting::{PenaltiesSetting, SamplingSetting, Setting};
pub use table::write_table;
pub use turns::places;
