//! What would be best: the mean length of every chain and tree from one survey of a run, times from a few measured
//! passes, and from both the setting that should be fastest.

mod calibration;
mod engines;
mod latency;
mod recommendation;
mod shapes;
mod simulation;
mod survey;

use schemars::JsonSchema;
use serde::Serialize;

pub use calibration::calibrate;
pub use engines::EngineFlags;
pub use latency::{LatencyModel, WidthTime};
pub use recommendation::{Measured, OtherMachine, Recommendation};
pub(crate) use simulation::Surveys;
pub use simulation::{RequestSurvey, SimulatedStep, Simulation, simulate};
pub use survey::{SURVEYED_TREES, SurveyedText};

use crate::decoding::{Calibration, Drafting, DynamicTree, StaticTree};
use speculators_formats::{Diagnostic, codes};

/// Draft tokens per step for which the best setting of each shape is looked for. 59 and the root are EAGLE's 60.
pub const BUDGETS: [usize; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 24, 32, 48, 59];

/// Tokens that the head is followed from each position: the longest chain that is simulated.
pub const SURVEYED_DEPTH: usize = 10;

/// What can be drafted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// One token after the other.
    Chain,
    /// The tree of the most frequent paths, the same for each step.
    Static,
    /// A tree that grows where the head is surest.
    Dynamic,
    /// A tree that grows where the head is most often right.
    Calibrated,
}

/// A setting, and what it would do.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct BestSetting {
    /// What is drafted.
    pub shape: Shape,
    /// Draft tokens per step.
    pub budget: usize,
    /// The longest path, in draft tokens.
    pub depth: usize,
    /// Nodes expanded per level, and children of each; of dynamic trees only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// 1 + accepted / steps, in steps that follow from each other as those of a run do; of static and calibrated trees
    /// on the requests that they were not made from.
    pub mean_length: f64,
    /// Time of a step by the latency model, milliseconds.
    pub predicted_step_ms: Option<f64>,
    /// Tokens per second by the latency model, over those of plain decoding.
    pub predicted_speed_up: Option<f64>,
}

/// What the figures rest on.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct SurveyFacts {
    /// Requests surveyed.
    pub requests: usize,
    /// Positions surveyed.
    pub positions: usize,
    /// Every position was surveyed, so that simulated steps are those of a run. Otherwise mean lengths are averages over
    /// positions, and steps do not begin at positions by chance alone.
    pub exact: bool,
    /// Static and calibrated trees were made from one half of the requests and measured on the other, both ways round.
    /// Not with a single request: then they are praised by what they were made from.
    pub cross_validated: bool,
}

/// What would be best.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Best {
    /// What the figures rest on.
    pub survey: SurveyFacts,
    /// Of each shape and each budget the setting of greatest mean length, of equal ones the shallowest.
    pub frontier: Vec<BestSetting>,
    /// Of each shape the setting of greatest predicted speed-up, best first; empty where nothing was timed.
    pub fastest: Vec<BestSetting>,
    /// Times that the predictions are made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyModel>,
    /// What to run on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommendation: Option<Recommendation>,
    /// What to run on a machine of a given cost ratio, where one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_machine: Option<OtherMachine>,
    /// What to tell serving engines.
    pub engines: Vec<EngineFlags>,
    /// The static tree that is fastest, or longest where nothing was timed; made from all requests.
    #[serde(skip)]
    pub static_tree: Option<StaticTree>,
    /// How often the head is right; made from all requests.
    #[serde(skip)]
    pub calibration: Option<Calibration>,
}

impl Best {
    /// Finds the best settings from a survey; `latency` is of this machine, `cost_ratio` the time of a pass of the head
    /// over that of the verifier on another one, and `speculator` what engines are to be told of the head.
    ///
    /// # Errors
    /// A diagnostic where there is no surveyed position.
    pub fn find(
        requests: &[RequestSurvey],
        latency: Option<LatencyModel>,
        cost_ratio: Option<f64>,
        speculator: &str,
    ) -> crate::Result<Best> {
        let positions = requests.iter().map(|request| request.positions.len()).sum();
        if positions == 0 {
            return Err(
                Diagnostic::error(codes::SURVEY_EMPTY, "no position was surveyed")
                    .note(format!(
                        "there are {} requests; a step can begin where an output has 2 tokens or more",
                        requests.len()
                    ))
                    .help("run `eval --best`, with `--records` if it is to be looked at again later")
                    .into(),
            );
        }
        let every = shapes::simulated(requests)?;
        let timed: Vec<BestSetting> = every
            .iter()
            .map(|candidate| candidate.setting(latency.as_ref()))
            .collect();
        let fastest = recommendation::fastest(&timed);
        let other_machine = cost_ratio.map(|ratio| OtherMachine::find(ratio, &timed));
        let engines = engines::flags(&timed, other_machine.as_ref(), speculator);
        let tree = |setting: &BestSetting| setting.shape == Shape::Static;
        let frontier = recommendation::frontier(&timed);
        let tree = fastest
            .iter()
            .find(|setting| tree(setting))
            .or_else(|| frontier.iter().rev().find(|setting| tree(setting)));
        let static_tree = tree
            .map(|setting| shapes::best_tree(requests.iter(), setting.budget, setting.depth))
            .transpose()?
            .flatten();
        Ok(Best {
            survey: SurveyFacts {
                requests: requests.len(),
                positions,
                exact: requests.iter().all(RequestSurvey::is_gapless),
                cross_validated: requests.len() > 1,
            },
            recommendation: fastest.first().map(Recommendation::of),
            frontier,
            fastest,
            latency,
            other_machine,
            engines,
            static_tree,
            calibration: Some(calibrate(requests.iter())?),
        })
    }
}

impl BestSetting {
    /// What to draft; `best` has the tree and the calibration.
    #[must_use]
    pub fn drafting(&self, best: &Best) -> Option<Drafting> {
        let calibration = match self.shape {
            Shape::Chain => {
                return Some(Drafting::Chain {
                    num_speculative_tokens: self.budget,
                });
            }
            Shape::Static => return best.static_tree.clone().map(Drafting::StaticTree),
            Shape::Dynamic => None,
            Shape::Calibrated => Some(best.calibration.clone()?),
        };
        Some(Drafting::DynamicTree(DynamicTree {
            top_k: self.top_k?,
            depth: self.depth,
            budget: self.budget,
            calibration,
        }))
    }
}

#[cfg(test)]
mod tests;
