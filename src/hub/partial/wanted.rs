//! Which tensors are wanted: the ones heads share, by their role; any others, by name or pattern.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobMatcher};
use speculators_formats::verifier::tensors::{Located, SharedTensor, locate};
use speculators_formats::{ConfigFile, Diagnostic, codes};

use super::RemoteTensor;
use super::headers::{Headers, Shards};
use crate::Result;

/// The tensors somebody asks for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    shared: Vec<SharedTensor>,
    patterns: Vec<GlobMatcher>,
}

impl Wanted {
    /// `embed_tokens`, `lm_head` and `norm` stand for the tensors of that role, whatever they are called; anything else is
    /// a name, or a pattern over names.
    ///
    /// # Errors
    /// S519 for a pattern that is none, or where nothing is named.
    pub fn parse(words: &[String]) -> Result<Wanted, Diagnostic> {
        let mut wanted = Wanted::default();
        for word in words {
            let shared = SharedTensor::ALL
                .into_iter()
                .find(|shared| shared.keyword() == word);
            if let Some(shared) = shared {
                wanted.shared.push(shared);
                continue;
            }
            let pattern = Glob::new(word).map_err(|error| {
                Diagnostic::error(codes::HUB_SELECTION, "a pattern cannot be used")
                    .note(error.to_string())
            })?;
            wanted.patterns.push(pattern.compile_matcher());
        }
        wanted.shared.sort_unstable();
        wanted.shared.dedup();
        if wanted.shared.is_empty() && wanted.patterns.is_empty() {
            return Err(Diagnostic::error(
                codes::HUB_SELECTION,
                "`--only` names no tensor",
            ));
        }
        Ok(wanted)
    }

    /// The tensors that heads share.
    #[must_use]
    pub fn shared() -> Wanted {
        Wanted {
            shared: SharedTensor::ALL.to_vec(),
            patterns: Vec::new(),
        }
    }

    /// Finds the tensors, reading the headers of no more shards than have to be; in the order they will lie in.
    pub(super) fn resolve(
        &self,
        headers: &Headers<'_>,
        config: &ConfigFile,
    ) -> Result<(Vec<RemoteTensor>, Vec<Located>)> {
        let tensors = self.candidates(headers)?;
        let listed: Vec<(&str, &[usize])> = tensors
            .values()
            .map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice()))
            .collect();
        let located = locate(&self.shared, &listed, config)?;
        let mut chosen: BTreeSet<&str> = located.iter().map(|found| found.name.as_str()).collect();
        for pattern in &self.patterns {
            let before = chosen.len();
            let matching = tensors.keys().filter(|name| pattern.is_match(name));
            let matching: Vec<&str> = matching.map(String::as_str).collect();
            chosen.extend(&matching);
            if matching.is_empty() && chosen.len() == before {
                return Err(Diagnostic::error(
                    codes::HUB_SELECTION,
                    format!(
                        "no tensor of `{}` matches `{}`",
                        headers.repository,
                        pattern.glob()
                    ),
                )
                .note("`embed_tokens`, `lm_head` and `norm` stand for roles, anything else is compared with whole names")
                .into());
            }
        }
        let mut chosen: Vec<RemoteTensor> = chosen
            .into_iter()
            .filter_map(|name| tensors.get(name).cloned())
            .collect();
        // As the reference library orders them, so that every tensor is aligned.
        chosen.sort_by(|one, other| {
            (other.dtype.bitsize().cmp(&one.dtype.bitsize()))
                .then_with(|| one.name.cmp(&other.name))
        });
        Ok((chosen, located))
    }

    /// Every tensor that may be wanted, by name.
    fn candidates(&self, headers: &Headers<'_>) -> Result<BTreeMap<String, RemoteTensor>> {
        let mut tensors = BTreeMap::new();
        let files: BTreeSet<String> = match headers.shards()? {
            Shards::Listed(files) => files.into_iter().collect(),
            Shards::Indexed(map) => self
                .names(&map)
                .into_iter()
                .filter_map(|name| map.get(name).cloned())
                .collect(),
        };
        for file in files {
            for tensor in headers.tensors(&file)? {
                if let Some(other) = tensors.insert(tensor.name.clone(), tensor.clone()) {
                    return Err(Diagnostic::error(
                        codes::INDEX_MALFORMED,
                        format!("`{}` lies in two files", tensor.name),
                    )
                    .note(format!("`{}` and `{}`", other.file, tensor.file))
                    .into());
                }
            }
        }
        Ok(tensors)
    }

    /// Names in an index that have to be looked at.
    fn names<'a>(&self, map: &'a BTreeMap<String, String>) -> BTreeSet<&'a str> {
        let all = || map.keys().map(String::as_str);
        let mut names: BTreeSet<&str> = all()
            .filter(|name| self.patterns.iter().any(|pattern| pattern.is_match(name)))
            .collect();
        if self.shared.is_empty() {
            return names;
        }
        // The embedding tells where the norm is, and what a tied head is.
        let embeddings = SharedTensor::EmbedTokens.candidates(all(), None);
        for shared in &self.shared {
            let near: Vec<Option<&str>> = match shared {
                SharedTensor::Norm => embeddings.iter().map(|name| Some(*name)).collect(),
                _ => vec![None],
            };
            for embedding in near {
                names.extend(shared.candidates(all(), embedding));
            }
        }
        names.extend(embeddings);
        names
    }
}
