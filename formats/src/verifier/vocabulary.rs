//! What a verifier's configs say about its vocabulary, whatever its family.

use std::path::Path;

use crate::config::ConfigFile;
use crate::diagnostic::Diagnostic;
use crate::{Result, checkpoint, codes};

/// The vocabulary that token counts and maps are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierVocabulary {
    /// Rows of the embedding, in tokens; those that only pad it included.
    pub vocab_size: usize,
    /// Ids that end a text by any of `generation_config.json` and `config.json`, in that order, each once.
    pub eos_token_ids: Vec<u32>,
}

impl VerifierVocabulary {
    /// Reads `config.json`, and `generation_config.json` where there is one. In a multimodal config, the text model counts.
    ///
    /// # Errors
    /// S101 if the directory or its config is missing, S104 and S105 for a config that is malformed, S106 if the size is not
    /// there.
    pub fn read(dir: impl AsRef<Path>) -> Result<VerifierVocabulary> {
        let dir = dir.as_ref();
        checkpoint::directory(dir)?;
        let config = ConfigFile::read(dir.join("config.json"))?;
        let generation = dir.join("generation_config.json");
        let generation = if generation.exists() {
            Some(ConfigFile::read(generation)?)
        } else {
            None
        };
        let root = config.root();
        let section = root.section("text_config")?.unwrap_or_else(|| root.clone());
        let Some(vocab_size) = section.usize("vocab_size")?.filter(|size| *size > 0) else {
            let title = format!(
                "`{}` of the verifier is missing, and nothing can stand in for it",
                section.name("vocab_size")
            );
            let problem = Diagnostic::error(codes::CONFIG_KEY_MISSING, title);
            return Err(problem.at(section.place("vocab_size")).into());
        };
        let mut eos_token_ids = Vec::new();
        let generation = generation.as_ref().map(ConfigFile::root);
        for part in [generation.as_ref(), Some(&section), Some(&root)]
            .into_iter()
            .flatten()
        {
            for id in part.one_or_many("eos_token_id")?.unwrap_or_default() {
                match u32::try_from(id) {
                    Ok(id) if !eos_token_ids.contains(&id) => eos_token_ids.push(id),
                    _ => {}
                }
            }
        }
        Ok(VerifierVocabulary {
            vocab_size,
            eos_token_ids,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Scratch, verifier_config};

    #[test]
    fn every_id_that_ends_a_text_is_found_once() {
        let scratch = Scratch::new();
        scratch.write("config.json", verifier_config().to_string().as_bytes());
        scratch.write("generation_config.json", br#"{"eos_token_id": [2, 41]}"#);
        let found = VerifierVocabulary::read(scratch.root()).unwrap();
        assert_eq!(
            (found.vocab_size, found.eos_token_ids),
            (64, vec![2, 41, 40])
        );
    }

    #[test]
    fn the_text_model_of_a_multimodal_config_counts() {
        let scratch = Scratch::new();
        let config = json!({"eos_token_id": 7, "vocab_size": 3, "text_config": {"vocab_size": 99, "eos_token_id": 5}});
        scratch.write("config.json", config.to_string().as_bytes());
        let found = VerifierVocabulary::read(scratch.root()).unwrap();
        assert_eq!((found.vocab_size, found.eos_token_ids), (99, vec![5, 7]));
        scratch.write("config.json", b"{}");
        let missing = VerifierVocabulary::read(scratch.root()).unwrap_err();
        assert_eq!(missing[0].code, codes::CONFIG_KEY_MISSING);
    }
}
