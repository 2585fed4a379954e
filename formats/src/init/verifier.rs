//! What a verifier's config says about a head to be made for it.
//!
//! Any decoder family will do: a head takes sizes and the rotary embedding over, and nothing that would have to be run.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::rotary;
use crate::config::{ConfigFile, Section};
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::rope::Rope;
use crate::verifier::family::{Family, HeadDim};
use crate::verifier::{MOST_LAYERS, VerifierFacts, not_a_head};
use crate::{Result, codes};

/// Standard deviation of weights where a config names none; every class of transformers takes it.
const INITIALIZER_RANGE: f64 = 0.02;

/// Keys by which a config shows that its layers are made of experts.
const EXPERTS: [&str; 4] = [
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "moe_intermediate_size",
];

/// A verifier as far as a head depends on it.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    /// Its `config.json`, for findings.
    pub path: PathBuf,
    pub vocab_size: usize,
    pub hidden_size: usize,
    /// MLP width; `None` where all layers are made of experts.
    pub intermediate_size: Option<usize>,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    /// Channels per head, where they are written down or fixed by the family.
    pub head_dim: Option<usize>,
    pub max_position_embeddings: usize,
    pub rms_norm_eps: f64,
    pub initializer_range: f64,
    /// One set of rotary parameters, spelled as transformers 5 does.
    pub rotary: Map<String, Value>,
    pub architectures: Vec<String>,
    pub bos_token_id: Option<usize>,
    pub eos_token_ids: Vec<usize>,
    /// What its config left to the defaults of its family.
    pub decisions: Vec<Decision>,
}

impl Verifier {
    /// Reads the decoder of a config, which may lie under `text_config`.
    ///
    /// # Errors
    /// S105 and S106 for its keys; S410 for what is no verifier; S446 for a family whose defaults are not known and that
    /// leaves keys to them.
    pub fn read(config: &ConfigFile) -> Result<Verifier> {
        let root = config.root();
        not_a_head(&root)?;
        let section = root.section("text_config")?.unwrap_or_else(|| root.clone());
        let name = section.str("model_type")?.or(root.str("model_type")?);
        let mut reader = Reader {
            section: &section,
            family: name.and_then(Family::of),
            name: name.unwrap_or("none"),
            problems: Vec::new(),
            decisions: Vec::new(),
        };
        let verifier = reader.verifier(&root);
        let Reader {
            problems,
            decisions,
            ..
        } = reader;
        match verifier {
            Some(verifier) if problems.is_empty() => Ok(Verifier {
                decisions,
                ..verifier
            }),
            _ => Err(problems),
        }
    }

    /// The numbers that opening a head is checked against.
    pub fn facts(&self, rope: Rope) -> VerifierFacts {
        VerifierFacts {
            architectures: self.architectures.clone(),
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            num_hidden_layers: self.num_hidden_layers,
            max_position_embeddings: self.max_position_embeddings,
            rms_norm_eps: Some(self.rms_norm_eps),
            rope: Some(rope),
            bos_token_id: self.bos_token_id,
            eos_token_ids: Vec::new(),
        }
    }

    /// Where findings about it point.
    pub fn place(&self) -> Place {
        Place::file(&self.path)
    }
}

/// Collects every problem instead of stopping at the first.
struct Reader<'a> {
    section: &'a Section<'a>,
    family: Option<&'static Family>,
    /// `model_type`.
    name: &'a str,
    problems: Vec<Diagnostic>,
    decisions: Vec<Decision>,
}

impl Reader<'_> {
    fn verifier(&mut self, root: &Section<'_>) -> Option<Verifier> {
        let family = self.family;
        let vocab_size = self.size("vocab_size", family.and_then(|family| family.vocab_size));
        let hidden_size = self.size("hidden_size", None);
        let num_hidden_layers = self.size("num_hidden_layers", None);
        let heads = family.and_then(|family| family.num_attention_heads);
        let num_attention_heads = self.size("num_attention_heads", heads);
        let max_position_embeddings = self.size(
            "max_position_embeddings",
            family.map(|family| family.max_position_embeddings),
        );
        let rms_norm_eps = self.rms_norm_eps();
        let num_key_value_heads = self.key_value_heads(num_attention_heads);
        let head_dim = self.head_dim();
        let intermediate_size = self.intermediate_size();
        let initializer_range = self.keep(self.section.f64("initializer_range"))?;
        let rotary = rotary::of_verifier(self.section, family, &mut self.decisions);
        let rotary = self.keep(rotary);
        let architectures = self.keep(root.str_list("architectures"))?;
        let bos = self.keep(self.section.usize("bos_token_id"))?;
        let mut eos = self.keep(self.section.one_or_many("eos_token_id"))?;
        if eos.is_none() {
            eos = self.keep(root.one_or_many("eos_token_id"))?;
        }
        let num_hidden_layers = num_hidden_layers?;
        if num_hidden_layers > MOST_LAYERS {
            self.refuse_size("num_hidden_layers", num_hidden_layers);
        }
        Some(Verifier {
            path: root.file().path().to_path_buf(),
            vocab_size: vocab_size?,
            hidden_size: hidden_size?,
            intermediate_size: intermediate_size?,
            num_hidden_layers,
            num_attention_heads: num_attention_heads?,
            num_key_value_heads: num_key_value_heads?,
            head_dim: head_dim?,
            max_position_embeddings: max_position_embeddings?,
            rms_norm_eps: rms_norm_eps?,
            initializer_range: initializer_range.unwrap_or(INITIALIZER_RANGE),
            rotary: rotary?,
            architectures: architectures.unwrap_or_default(),
            bos_token_id: bos,
            eos_token_ids: eos.unwrap_or_default(),
            decisions: Vec::new(),
        })
    }

    fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// A size that is written down, or the family's.
    fn size(&mut self, key: &str, default: Option<usize>) -> Option<usize> {
        match self.keep(self.section.usize(key))? {
            Some(0) => {
                self.refuse_size(key, 0);
                None
            }
            Some(size) => Some(size),
            None => match default {
                Some(size) => {
                    self.assume(key, size);
                    Some(size)
                }
                None => {
                    self.missing(key);
                    None
                }
            },
        }
    }

    fn refuse_size(&mut self, key: &str, size: usize) {
        let title = format!("`{}` of the verifier is {size}", self.section.name(key));
        let place = self.section.place(key);
        self.problems
            .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(place));
    }

    fn rms_norm_eps(&mut self) -> Option<f64> {
        const KEY: &str = "rms_norm_eps";
        let written = self.keep(self.section.f64(KEY))?;
        match (written, self.family) {
            (Some(eps), _) if eps > 0.0 => Some(eps),
            (Some(eps), _) => {
                let title = format!("`{KEY}` of the verifier is {eps}, but has to be positive");
                let place = self.section.place(KEY);
                self.problems
                    .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(place));
                None
            }
            (None, Some(family)) => {
                self.assume(KEY, family.rms_norm_eps);
                Some(family.rms_norm_eps)
            }
            (None, None) => {
                self.missing(KEY);
                None
            }
        }
    }

    fn key_value_heads(&mut self, heads: Option<usize>) -> Option<usize> {
        const KEY: &str = "num_key_value_heads";
        let null = self.section.map().contains_key(KEY);
        let default = match self.family {
            Some(family) if !null => family.num_key_value_heads.or(heads),
            // Null is as many as query heads in every family.
            _ if null => heads,
            _ => None,
        };
        if self.section.get(KEY).is_none() && heads.is_none() {
            return None;
        }
        self.size(KEY, default)
    }

    fn head_dim(&mut self) -> Option<Option<usize>> {
        const KEY: &str = "head_dim";
        let null = self.section.map().contains_key(KEY);
        match self.keep(self.section.usize(KEY))? {
            Some(0) => {
                self.refuse_size(KEY, 0);
                None
            }
            Some(channels) => Some(Some(channels)),
            None if null => Some(None),
            None => match self.family.map(|family| family.head_dim) {
                Some(HeadDim::Fixed(channels)) => {
                    self.assume(KEY, channels);
                    Some(Some(channels))
                }
                Some(HeadDim::Key(key)) => {
                    let channels = self.size(key, None)?;
                    let reason =
                        format!("the config does not say; this family has as many as `{key}`");
                    self.decisions
                        .push(Decision::settled(KEY, channels, reason));
                    Some(Some(channels))
                }
                Some(HeadDim::Parted) | None => Some(None),
            },
        }
    }

    /// The width of a dense MLP, or none where there are experts only.
    fn intermediate_size(&mut self) -> Option<Option<usize>> {
        const KEY: &str = "intermediate_size";
        let experts = EXPERTS.iter().any(|key| self.section.get(key).is_some());
        if self.section.get(KEY).is_none() && experts {
            return Some(None);
        }
        self.size(KEY, None).map(Some)
    }

    fn assume(&mut self, key: &str, value: impl ToString) {
        let reason = format!(
            "the verifier's config does not say; configs of family `{}` mean this then",
            self.name
        );
        self.decisions.push(Decision::settled(key, value, reason));
    }

    fn missing(&mut self, key: &str) {
        let name = self.section.name(key);
        let place = self.section.place("model_type");
        let problem = if self.family.is_some() {
            let title =
                format!("`{name}` of the verifier is missing, and nothing can stand in for it");
            Diagnostic::error(codes::CONFIG_KEY_MISSING, title)
        } else {
            let title = format!(
                "`{name}` is missing, and what family `{}` takes then is not known",
                self.name
            );
            Diagnostic::error(codes::FAMILY_UNKNOWN, title).help(
                "add the key to a copy of the verifier's config, with the value its runtime takes",
            )
        };
        self.problems.push(problem.at(place));
    }
}
