//! The questions that metadata leaves open, and the answers that are seen in the field.

use serde::Serialize;
use speculators_formats::{MapEntries, Rope, RopeScaling, VerifierConfig};

use super::reading::Reading;

/// Origin of the answer that a config gives.
pub(crate) const DECLARED: &str = "declared";
/// Origin of the answer that the verifier's config gives.
pub(crate) const THE_VERIFIERS: &str = "the verifier's";

/// Bases that models are trained with, Llama 2's first; a head is at times trained with another than its config says.
const THETAS: [f64; 5] = [10_000.0, 500_000.0, 1_000_000.0, 5_000_000.0, 10_000_000.0];

/// Something that no tensor's shape shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Which verifier layers are read, and how their ids count.
    AuxLayers,
    /// Whether the first layer's residual is the normalized fc output.
    NormBeforeResidual,
    /// Whether the normalized or the plain output goes to the next draft step.
    NormOutput,
    /// Whether the states are normalized together before `fc`.
    NormBeforeFc,
    /// Whether each state is normalized before `fc`.
    FcNorm,
    /// The rotary embedding.
    Rope,
    /// Whether `d2t` holds offsets or verifier tokens.
    VocabularyMap,
}

impl Question {
    /// All of them, those with the largest effect first: it is in this order that they are searched.
    pub const ALL: [Question; 7] = [
        Question::VocabularyMap,
        Question::NormBeforeResidual,
        Question::NormOutput,
        Question::AuxLayers,
        Question::NormBeforeFc,
        Question::FcNorm,
        Question::Rope,
    ];

    /// The key in a config, or the tensor, that answers it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Question::AuxLayers => "eagle_aux_hidden_state_layer_ids",
            Question::NormBeforeResidual => "norm_before_residual",
            Question::NormOutput => "norm_output",
            Question::NormBeforeFc => "norm_before_fc",
            Question::FcNorm => "fc_norm",
            Question::Rope => "rope_parameters",
            Question::VocabularyMap => "d2t",
        }
    }

    /// The answer of a reading, in words.
    #[must_use]
    pub fn answer(self, reading: &Reading) -> String {
        match self {
            Question::AuxLayers => format!("{:?}", reading.aux_layer_ids),
            Question::NormBeforeResidual => reading.norm_before_residual.to_string(),
            Question::NormOutput => reading.norm_output.to_string(),
            Question::NormBeforeFc => reading.norm_before_fc.to_string(),
            Question::FcNorm => reading.fc_norm.to_string(),
            Question::Rope => rope(&reading.rope),
            Question::VocabularyMap => match reading.map_entries {
                Some(MapEntries::Absolute) => "absolute".to_owned(),
                Some(MapEntries::Offsets) => "offsets".to_owned(),
                None => "none".to_owned(),
            },
        }
    }

    /// `reading` with the answer of `other`.
    #[must_use]
    pub fn take(self, reading: &Reading, other: &Reading) -> Reading {
        let mut taken = reading.clone();
        match self {
            Question::AuxLayers => taken.aux_layer_ids.clone_from(&other.aux_layer_ids),
            Question::NormBeforeResidual => {
                taken.norm_before_residual = other.norm_before_residual;
            }
            Question::NormOutput => taken.norm_output = other.norm_output,
            Question::NormBeforeFc => taken.norm_before_fc = other.norm_before_fc,
            Question::FcNorm => taken.fc_norm = other.fc_norm,
            Question::Rope => taken.rope.clone_from(&other.rope),
            Question::VocabularyMap => taken.map_entries = other.map_entries,
        }
        taken
    }

    /// `reading` with each answer that is tried, each once; the first is the declared one, where it can be run.
    #[must_use]
    pub fn candidates(self, reading: &Reading, choices: &Choices) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        let mut add = |origin: &str, change: &dyn Fn(&mut Reading)| {
            let mut reading = reading.clone();
            change(&mut reading);
            if !found.iter().any(|known| known.reading == reading) {
                found.push(Candidate {
                    origin: origin.to_owned(),
                    reading,
                });
            }
        };
        let declared = &choices.declared;
        let mut flag = |declared: bool, change: &dyn Fn(&mut Reading, bool)| {
            add(DECLARED, &|reading| change(reading, declared));
            add("the other way", &|reading| change(reading, !declared));
        };
        match self {
            Question::NormBeforeResidual => {
                flag(declared.norm_before_residual, &|reading, answer| {
                    reading.norm_before_residual = answer;
                });
            }
            Question::NormOutput => flag(declared.norm_output, &|reading, answer| {
                reading.norm_output = answer;
            }),
            Question::NormBeforeFc if choices.input_norm => {
                flag(declared.norm_before_fc, &|reading, answer| {
                    reading.norm_before_fc = answer;
                });
            }
            Question::FcNorm if choices.fc_norms => flag(declared.fc_norm, &|reading, answer| {
                reading.fc_norm = answer;
            }),
            Question::NormBeforeFc | Question::FcNorm => {}
            Question::AuxLayers => {
                for (origin, ids) in choices.layers() {
                    add(origin, &|reading| reading.aux_layer_ids.clone_from(&ids));
                }
            }
            Question::Rope => {
                for (origin, rope) in choices.ropes() {
                    add(&origin, &|reading| reading.rope.clone_from(&rope));
                }
            }
            Question::VocabularyMap => {
                for entries in &choices.map_entries {
                    let stated = declared.map_entries == Some(*entries);
                    let origin = if stated { DECLARED } else { "the other way" };
                    add(origin, &|reading| reading.map_entries = Some(*entries));
                }
            }
        }
        found
    }
}

/// One answer to a question, all others given.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Where the answer comes from.
    pub origin: String,
    /// All answers.
    pub reading: Reading,
}

/// What there is to choose from for one head and its verifier.
#[derive(Clone, Debug)]
pub struct Choices {
    /// What the config says, or what readers take where it says nothing.
    pub declared: Reading,
    /// Layers of the verifier.
    pub layers: usize,
    /// The verifier's rotary embedding.
    pub verifier_rope: Rope,
    /// The head has a norm over all states, which could be used or not.
    pub input_norm: bool,
    /// The head has a norm for each state, which could be used or not.
    pub fc_norms: bool,
    /// Readings of `d2t` that give a map at all, the declared one first.
    pub map_entries: Vec<MapEntries>,
}

impl Choices {
    /// Those of a head as declared.
    #[must_use]
    pub fn new(declared: Reading, verifier: &VerifierConfig) -> Choices {
        Choices {
            declared,
            layers: verifier.num_hidden_layers,
            verifier_rope: verifier.rope.clone(),
            input_norm: false,
            fc_norms: false,
            map_entries: Vec::new(),
        }
    }

    /// Every layer that a candidate reads, ascending.
    #[must_use]
    pub fn union(&self) -> Vec<usize> {
        let mut layers: Vec<usize> = self.layers().into_iter().flat_map(|(_, ids)| ids).collect();
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    /// The declared layers, those one off either way, and the default of the field in each way of counting.
    fn layers(&self) -> Vec<(&'static str, Vec<usize>)> {
        let declared = &self.declared.aux_layer_ids;
        let shifted = |ids: &[usize], by: isize| -> Option<Vec<usize>> {
            ids.iter().map(|id| id.checked_add_signed(by)).collect()
        };
        let n = self.layers;
        let default = [Some(2), Some(n / 2), n.checked_sub(3)];
        let default: Option<Vec<usize>> = default.into_iter().collect();
        let default = default.unwrap_or_default();
        let listed = [
            (DECLARED, Some(declared.clone())),
            ("one lower", shifted(declared, -1)),
            ("one higher", shifted(declared, 1)),
            ("the default 2, n/2, n-3", Some(default.clone())),
            ("the default, one higher", shifted(&default, 1)),
            ("the default, one lower", shifted(&default, -1)),
        ];
        let sound = |ids: &Vec<usize>| {
            ids.len() == declared.len()
                && ids.windows(2).all(|pair| pair[0] < pair[1])
                && ids.iter().all(|id| *id <= n)
        };
        listed
            .into_iter()
            .filter_map(|(origin, ids)| Some((origin, ids?)))
            .filter(|(_, ids)| sound(ids))
            .collect()
    }

    /// The declared embedding, the verifier's, each with and without its scaling, and the bases of the field.
    fn ropes(&self) -> Vec<(String, Rope)> {
        let (declared, verifier) = (&self.declared.rope, &self.verifier_rope);
        let scaled = |theta: f64, like: &Rope| Rope {
            theta,
            ..like.clone()
        };
        let plain = |theta: f64| Rope {
            scaling: RopeScaling::Default,
            ..scaled(theta, declared)
        };
        let mut ropes = vec![
            (DECLARED.to_owned(), declared.clone()),
            (THE_VERIFIERS.to_owned(), verifier.clone()),
            ("declared, unscaled".to_owned(), plain(declared.theta)),
            ("the verifier's, unscaled".to_owned(), plain(verifier.theta)),
            (
                "declared theta, the verifier's scaling".to_owned(),
                scaled(declared.theta, verifier),
            ),
            (
                "the verifier's theta, declared scaling".to_owned(),
                scaled(verifier.theta, declared),
            ),
        ];
        for theta in THETAS {
            ropes.push(("a common theta".to_owned(), plain(theta)));
            ropes.push((
                "a common theta, declared scaling".to_owned(),
                scaled(theta, declared),
            ));
        }
        ropes
    }
}

fn rope(rope: &Rope) -> String {
    let kind = match rope.scaling {
        RopeScaling::Default => return format!("theta {}", rope.theta),
        RopeScaling::Linear { factor } => format!("linear x{factor}"),
        RopeScaling::Dynamic { factor, .. } => format!("dynamic x{factor}"),
        RopeScaling::Llama3 { factor, .. } => format!("llama3 x{factor}"),
        RopeScaling::Yarn { factor, .. } => format!("yarn x{factor}"),
    };
    format!("theta {}, {kind}", rope.theta)
}
