//! Which of the simulated settings to take.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{BestSetting, Shape};
use crate::evaluation::RequestFigures;

/// The setting that should be fastest on this machine.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Recommendation {
    /// The setting of greatest predicted speed-up, which may be less than 1.
    pub setting: BestSetting,
    /// Whether it should be faster than plain decoding; if not, nothing that was simulated is.
    pub beats_plain: bool,
    /// What came of running it, where it was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// A recommended setting, run.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Measured {
    /// Requests run.
    pub requests: usize,
    /// 1 + accepted / steps.
    pub mean_length: f64,
    /// Tokens per second over those of plain decoding, prompt passes left out.
    pub speed_up: f64,
    /// Requests whose tokens differ from plain decoding; anything but 0 is a bug.
    pub mismatched: usize,
}

/// What would be best on a machine where a pass of the verifier takes one unit of time at every width, and a pass of the
/// head a fixed part of it: a verifier bound by the memory that it is read from, at a batch of one.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct OtherMachine {
    /// Time of a pass of the head over that of the verifier.
    pub cost_ratio: f64,
    /// Of each shape the fastest setting, best first; `predicted_speed_up` is that on the other machine.
    pub fastest: Vec<BestSetting>,
    /// All settings, with their predictions for that machine.
    #[serde(skip)]
    pub(super) settings: Vec<BestSetting>,
}

impl Recommendation {
    /// To take a setting whose speed-up was predicted.
    pub(super) fn of(setting: &BestSetting) -> Recommendation {
        Recommendation {
            beats_plain: setting.predicted_speed_up.is_some_and(|speed| speed > 1.0),
            setting: setting.clone(),
            measured: None,
        }
    }
}

impl Measured {
    /// Of the requests of a run.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn of(requests: &[RequestFigures]) -> Measured {
        let steps = requests.iter().flat_map(|request| &request.steps);
        let steps: Vec<usize> = steps
            .filter(|step| !step.proposed.is_empty())
            .map(|step| step.accepted)
            .collect();
        let accepted: usize = steps.iter().sum();
        let plain: Duration = requests.iter().map(|request| request.plain_decode).sum();
        let decode: Duration = requests.iter().map(|request| request.decode).sum();
        Measured {
            requests: requests.len(),
            mean_length: 1.0 + accepted as f64 / steps.len().max(1) as f64,
            speed_up: plain.as_secs_f64() / decode.as_secs_f64().max(f64::MIN_POSITIVE),
            mismatched: requests.iter().filter(|request| !request.lossless).count(),
        }
    }
}

impl OtherMachine {
    pub(super) fn find(cost_ratio: f64, settings: &[BestSetting]) -> OtherMachine {
        #[expect(clippy::cast_precision_loss, reason = "a depth is small")]
        let elsewhere = |setting: &BestSetting| BestSetting {
            predicted_step_ms: None,
            // The head runs once for each level.
            predicted_speed_up: Some(
                setting.mean_length / (1.0 + cost_ratio * setting.depth as f64),
            ),
            ..setting.clone()
        };
        let settings: Vec<BestSetting> = settings.iter().map(elsewhere).collect();
        OtherMachine {
            cost_ratio,
            fastest: fastest(&settings),
            settings,
        }
    }
}

/// Of each shape the setting of greatest predicted speed-up, best first; nothing without predictions.
pub(super) fn fastest(settings: &[BestSetting]) -> Vec<BestSetting> {
    let shapes = [
        Shape::Chain,
        Shape::Static,
        Shape::Dynamic,
        Shape::Calibrated,
    ];
    let of = |shape| {
        settings
            .iter()
            .filter(move |setting| setting.shape == shape)
    };
    let mut found: Vec<BestSetting> = shapes
        .into_iter()
        .filter_map(|shape| fastest_of(of(shape)).cloned())
        .collect();
    found.sort_by(|a, b| speed(b).total_cmp(&speed(a)));
    found
}

/// The setting of greatest predicted speed-up; of equal ones the first.
pub(super) fn fastest_of<'a>(
    settings: impl Iterator<Item = &'a BestSetting>,
) -> Option<&'a BestSetting> {
    let predicted = settings.filter(|setting| setting.predicted_speed_up.is_some());
    predicted.reduce(|best, other| match speed(other) > speed(best) {
        true => other,
        false => best,
    })
}

/// Of each shape and each budget the setting of greatest mean length; of equal ones the shallowest, then the narrowest.
pub(super) fn frontier(settings: &[BestSetting]) -> Vec<BestSetting> {
    let mut found: Vec<BestSetting> = settings.to_vec();
    found.sort_by(|a, b| {
        let group = (a.shape, a.budget).cmp(&(b.shape, b.budget));
        let length = b.mean_length.total_cmp(&a.mean_length);
        let narrow = (a.depth, a.top_k).cmp(&(b.depth, b.top_k));
        group.then(length).then(narrow)
    });
    found.dedup_by_key(|setting| (setting.shape, setting.budget));
    found
}

fn speed(setting: &BestSetting) -> f64 {
    setting.predicted_speed_up.unwrap_or(0.0)
}
