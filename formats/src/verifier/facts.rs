//! The few numbers of a verifier that a head has to agree with.
//!
//! Running a verifier takes a supported family; converting a head for it does not. Hence these are read from any decoder
//! config, known family or not, quantized or not.

use std::path::Path;

use super::family::Family;
use super::{VerifierConfig, not_a_head};
use crate::config::{ConfigFile, Section};
use crate::diagnostic::Diagnostic;
use crate::rope::Rope;
use crate::{Result, checkpoint, codes};

/// What a head depends on.
#[derive(Clone, Debug)]
pub(crate) struct VerifierFacts {
    pub architectures: Vec<String>,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub max_position_embeddings: usize,
    pub rms_norm_eps: Option<f64>,
    /// The rotary embedding, if its type is one this version knows.
    pub rope: Option<Rope>,
    pub bos_token_id: Option<usize>,
    pub eos_token_ids: Vec<u32>,
}

impl VerifierFacts {
    /// Reads `config.json`, and `generation_config.json` where there is one; refuses a head's (S410).
    pub fn read(dir: &Path) -> Result<VerifierFacts> {
        checkpoint::directory(dir)?;
        let config = ConfigFile::read(dir.join("config.json"))?;
        let generation = dir.join("generation_config.json");
        let generation = if generation.exists() {
            Some(ConfigFile::read(generation)?)
        } else {
            None
        };
        let root = config.root();
        not_a_head(&root)?;
        let section = root.section("text_config")?.unwrap_or_else(|| root.clone());
        let family = section.str("model_type")?.and_then(Family::of);
        let mut problems = Vec::new();
        // Some families leave out what is the default of their class.
        let usual = family.and_then(|family| family.vocab_size);
        let mut size = |key: &str| match (section.usize(key), usual) {
            (Ok(Some(size)), _) if size > 0 => size,
            (Ok(None), Some(usual)) if key == "vocab_size" => usual,
            (Ok(_), _) => {
                problems.push(missing(&section, key));
                1
            }
            (Err(problem), _) => {
                problems.push(problem);
                1
            }
        };
        let (vocab_size, hidden_size) = (size("vocab_size"), size("hidden_size"));
        let num_hidden_layers = size("num_hidden_layers");
        if !problems.is_empty() {
            return Err(problems);
        }
        let generation = generation.as_ref().map(ConfigFile::root);
        let mut eos = None;
        for part in [generation.as_ref(), Some(&section), Some(&root)]
            .into_iter()
            .flatten()
        {
            eos = match eos {
                Some(found) => Some(found),
                None => part.one_or_many("eos_token_id")?,
            };
        }
        Ok(VerifierFacts {
            architectures: root.str_list("architectures")?.unwrap_or_default(),
            vocab_size,
            hidden_size,
            num_hidden_layers,
            max_position_embeddings: section.usize("max_position_embeddings")?.unwrap_or(0),
            rms_norm_eps: section.f64("rms_norm_eps")?,
            rope: Rope::from_config(&section).ok().map(|(rope, _)| rope),
            bos_token_id: section.usize("bos_token_id")?,
            eos_token_ids: eos
                .unwrap_or_default()
                .into_iter()
                .filter_map(|id| u32::try_from(id).ok())
                .collect(),
        })
    }
}

impl From<&VerifierConfig> for VerifierFacts {
    fn from(config: &VerifierConfig) -> VerifierFacts {
        VerifierFacts {
            architectures: config.architectures.clone(),
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            num_hidden_layers: config.num_hidden_layers,
            max_position_embeddings: config.max_position_embeddings,
            rms_norm_eps: Some(config.rms_norm_eps),
            rope: Some(config.rope.clone()),
            bos_token_id: None,
            eos_token_ids: config.eos_token_ids.clone(),
        }
    }
}

fn missing(section: &Section<'_>, key: &str) -> Diagnostic {
    let title = format!(
        "`{}` of the verifier is missing, and nothing can stand in for it",
        section.name(key)
    );
    Diagnostic::error(codes::CONFIG_KEY_MISSING, title).at(section.place(key))
}
