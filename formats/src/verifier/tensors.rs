//! The tensors of a verifier that heads share, whatever its family calls them.
//!
//! Only names, shapes and the config are looked at, so that the answer is the same for a checkpoint on disk and for the
//! headers of one that is still on the Hub.

use serde::Serialize;

use crate::checkpoint::{Checkpoint, TensorView};
use crate::config::ConfigFile;
use crate::diagnostic::{Diagnostic, Place};
use crate::{Result, codes};

mod shared;

pub use shared::SharedTensor;

/// How a tensor was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Under a name that model families use for it.
    Known,
    /// It is the only one whose name ends as such a tensor's does.
    Suffix,
    /// It is the only one of several such names that has the shape the config asks for.
    Shape,
    /// `lm_head` is the embedding, as `tie_word_embeddings` says.
    Tied,
    /// `lm_head` is taken to be the embedding: there is none, and the config does not say that there should be.
    TakenAsTied,
}

/// A shared tensor of one verifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Located {
    /// Which one.
    pub tensor: SharedTensor,
    /// Its name in the checkpoint.
    pub name: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// How it was found.
    pub found: Found,
}

impl Found {
    /// The reason in words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Found::Known => "a known name",
            Found::Suffix => "the only name that ends so",
            Found::Shape => "the only one of several that has the shape the config asks for",
            Found::Tied => "`tie_word_embeddings` is true",
            Found::TakenAsTied => {
                "there is no tensor of that name, and `tie_word_embeddings` is not stated"
            }
        }
    }
}

/// Finds shared tensors among the listed names and shapes, in the order they are asked for.
///
/// # Errors
/// S201 where one is missing, or where several could be it and their shapes do not tell them apart.
pub fn locate(
    wanted: &[SharedTensor],
    listed: &[(&str, &[usize])],
    config: &ConfigFile,
) -> Result<Vec<Located>> {
    let search = Search { listed, config };
    let embedding = search.find(SharedTensor::EmbedTokens, None);
    let mut located = Vec::with_capacity(wanted.len());
    let mut problems = Vec::new();
    for &tensor in wanted {
        let beside = embedding.as_ref().ok();
        let result = match tensor {
            SharedTensor::EmbedTokens => embedding.clone(),
            SharedTensor::LmHead => search.lm_head(&embedding),
            SharedTensor::Norm => search.find(tensor, beside.map(|found| found.name.as_str())),
        };
        match result {
            Ok(found) => located.push(found),
            Err(problem) if problems.contains(&problem) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(located)
    } else {
        Err(problems)
    }
}

/// The token embedding of a verifier on disk, `[vocab_size, hidden_size]`.
///
/// # Errors
/// As [`locate`].
pub(crate) fn embedding(checkpoint: &Checkpoint) -> Result<TensorView<'_>> {
    let views: Vec<TensorView<'_>> = checkpoint
        .names()
        .filter(|name| name.ends_with(".weight"))
        .filter_map(|name| checkpoint.tensor(name))
        .collect();
    let listed: Vec<(&str, &[usize])> = views.iter().map(|view| (view.name, view.shape)).collect();
    let located = locate(&[SharedTensor::EmbedTokens], &listed, checkpoint.config())?;
    located
        .first()
        .and_then(|found| checkpoint.tensor(&found.name))
        .ok_or_else(|| {
            vec![
                Diagnostic::error(
                    codes::TENSOR_MISSING,
                    "the verifier's token embedding cannot be read",
                )
                .at(Place::file(checkpoint.root())),
            ]
        })
}

struct Search<'a> {
    listed: &'a [(&'a str, &'a [usize])],
    config: &'a ConfigFile,
}

impl Search<'_> {
    fn find(
        &self,
        tensor: SharedTensor,
        embedding: Option<&str>,
    ) -> std::result::Result<Located, Diagnostic> {
        let names = self.listed.iter().map(|(name, _)| *name);
        let candidates = tensor.candidates(names, embedding);
        let (name, found) = match candidates.as_slice() {
            [] => return Err(self.missing(tensor)),
            [only] => {
                let known = tensor.suffix().is_none() || tensor.known().contains(only);
                (*only, if known { Found::Known } else { Found::Suffix })
            }
            several => (self.by_shape(tensor, several)?, Found::Shape),
        };
        Ok(Located {
            tensor,
            name: name.to_owned(),
            shape: self.shape(name).to_vec(),
            found,
        })
    }

    /// `lm_head` is the embedding where the config ties them, because that is what runtimes then compute with, even if
    /// the checkpoint holds a tensor of that name as well.
    fn lm_head(
        &self,
        embedding: &std::result::Result<Located, Diagnostic>,
    ) -> std::result::Result<Located, Diagnostic> {
        let tensor = SharedTensor::LmHead;
        let stated = self.stated_ties()?;
        let names = self.listed.iter().map(|(name, _)| *name);
        let none = tensor.candidates(names, None).is_empty();
        let found = match stated.as_slice() {
            [] if none => Found::TakenAsTied,
            [] => return self.find(tensor, None),
            ties if ties.iter().all(|tied| *tied) => Found::Tied,
            ties if none && ties.contains(&true) => Found::Tied,
            _ => return self.find(tensor, None),
        };
        embedding.clone().map(|embedding| Located {
            tensor,
            found,
            ..embedding
        })
    }

    /// What the config says about tied embeddings, of the whole model and of its language tower.
    fn stated_ties(&self) -> std::result::Result<Vec<bool>, Diagnostic> {
        let root = self.config.root();
        let mut stated: Vec<bool> = root.bool("tie_word_embeddings")?.into_iter().collect();
        if let Some(tower) = root.section("text_config")? {
            stated.extend(tower.bool("tie_word_embeddings")?);
        }
        Ok(stated)
    }

    fn by_shape<'a>(
        &self,
        tensor: SharedTensor,
        several: &[&'a str],
    ) -> std::result::Result<&'a str, Diagnostic> {
        let root = self.config.root();
        let section = root.section("text_config")?.unwrap_or_else(|| root.clone());
        let expected = [section.usize("vocab_size")?, section.usize("hidden_size")?];
        let fits = |name: &&&str| {
            let shape = self.shape(name);
            shape.len() == 2
                && expected
                    .iter()
                    .zip(shape)
                    .all(|(expected, size)| *expected == Some(*size))
        };
        let fitting: Vec<&&str> = several.iter().filter(fits).collect();
        if let [only] = fitting.as_slice() {
            return Ok(**only);
        }
        let title = format!(
            "{} tensors of the verifier could be its `{tensor}`, and their shapes do not tell which",
            several.len()
        );
        let mut problem = Diagnostic::error(codes::TENSOR_MISSING, title)
            .at(Place::file(self.config.path()))
            .help("`pull --only` with the exact names of the right tensors makes a directory that holds no others");
        for name in several {
            problem = problem.note(format!("`{name}` {:?}", self.shape(name)));
        }
        Err(problem)
    }

    fn shape(&self, name: &str) -> &[usize] {
        self.listed
            .iter()
            .find(|(listed, _)| *listed == name)
            .map_or(&[], |(_, shape)| shape)
    }

    fn missing(&self, tensor: SharedTensor) -> Diagnostic {
        let known: Vec<String> = tensor
            .known()
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let title = format!("the verifier has no `{tensor}` under a known name");
        Diagnostic::error(codes::TENSOR_MISSING, title)
            .at(Place::file(self.config.path()))
            .note(format!("looked for {}", known.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: &[usize] = &[32, 8];
    const FLAT: &[usize] = &[8];

    fn config(text: &str) -> ConfigFile {
        ConfigFile::from_text("config.json", text.to_owned()).unwrap()
    }

    fn names(located: &[Located]) -> Vec<(&str, Found)> {
        located
            .iter()
            .map(|found| (found.name.as_str(), found.found))
            .collect()
    }

    #[test]
    fn the_three_tensors_of_a_plain_model() {
        let listed = [
            ("lm_head.weight", WIDE),
            ("model.embed_tokens.weight", WIDE),
            ("model.layers.0.input_layernorm.weight", FLAT),
            ("model.norm.weight", FLAT),
        ];
        let config = config(r#"{"vocab_size": 32, "hidden_size": 8}"#);
        let found = locate(&SharedTensor::ALL, &listed, &config).unwrap();
        assert_eq!(
            names(&found),
            [
                ("model.embed_tokens.weight", Found::Known),
                ("lm_head.weight", Found::Known),
                ("model.norm.weight", Found::Known)
            ]
        );
    }

    #[test]
    fn a_tied_head_is_the_embedding_even_where_a_copy_is_stored() {
        let listed = [
            ("lm_head.weight", WIDE),
            ("model.embed_tokens.weight", WIDE),
        ];
        let tied = config(r#"{"tie_word_embeddings": true}"#);
        for listed in [&listed[..], &listed[1..]] {
            let found = locate(&[SharedTensor::LmHead], listed, &tied).unwrap();
            assert_eq!(names(&found), [("model.embed_tokens.weight", Found::Tied)]);
        }
    }

    #[test]
    fn a_missing_head_is_an_error_only_where_the_config_denies_a_tie() {
        let listed = [("model.embed_tokens.weight", WIDE)];
        let found = locate(&[SharedTensor::LmHead], &listed, &config("{}")).unwrap();
        assert_eq!(found[0].found, Found::TakenAsTied);
        let denied = config(r#"{"tie_word_embeddings": false}"#);
        let problems = locate(&[SharedTensor::LmHead], &listed, &denied).unwrap_err();
        assert_eq!(problems[0].code, codes::TENSOR_MISSING);
    }

    #[test]
    fn towers_of_unknown_families_are_told_apart_by_shape() {
        let small: &[usize] = &[4, 8];
        let listed = [
            ("audio.embed_tokens.weight", small),
            ("talker.text.embed_tokens.weight", WIDE),
            ("talker.text.norm.weight", FLAT),
            ("vision.norm.weight", FLAT),
        ];
        let config = config(r#"{"text_config": {"vocab_size": 32, "hidden_size": 8}}"#);
        let wanted = [SharedTensor::EmbedTokens, SharedTensor::Norm];
        let found = locate(&wanted, &listed, &config).unwrap();
        assert_eq!(
            names(&found),
            [
                ("talker.text.embed_tokens.weight", Found::Shape),
                ("talker.text.norm.weight", Found::Known)
            ]
        );
    }

    #[test]
    fn two_of_the_same_shape_are_refused_with_both_names() {
        let listed = [
            ("a.embed_tokens.weight", WIDE),
            ("b.embed_tokens.weight", WIDE),
        ];
        let config = config(r#"{"vocab_size": 32, "hidden_size": 8}"#);
        let problems = locate(&SharedTensor::ALL, &listed, &config).unwrap_err();
        assert!(problems[0].title.starts_with("2 tensors"));
        assert_eq!(problems[0].notes.len(), 2);
    }
}
