//! `model.safetensors.index.json` and `pytorch_model.bin.index.json`: which tensor lies in which shard.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde_json::Value;

use crate::codes;
use crate::config::{ConfigFile, file_name};
use crate::diagnostic::{Diagnostic, Place};
use crate::pickle::shorten;

/// Name of the index of safetensors files.
pub const SAFETENSORS: &str = "model.safetensors.index.json";

/// Name of the index of PyTorch files.
pub(crate) const PICKLES: &str = "pytorch_model.bin.index.json";

/// Longest index that is read, in bytes. The largest models have some 200 000 tensors, at a hundred bytes each.
pub const LONGEST: u64 = 64 << 20;

/// A parsed index.
pub(crate) struct Index {
    file: ConfigFile,
    map: BTreeMap<String, String>,
    /// Shard names, sorted.
    pub shards: Vec<String>,
}

/// Reads an index and checks that it names only files beside itself.
pub(crate) fn read(path: &Path) -> Result<Index, Vec<Diagnostic>> {
    let file = ConfigFile::read_up_to(path, LONGEST)?;
    let map = weight_map(&file)?;
    let shards: BTreeSet<String> = map.values().cloned().collect();
    Ok(Index {
        file,
        map,
        shards: shards.into_iter().collect(),
    })
}

/// Of each tensor that an index names, the file beside the index in which it lies.
///
/// # Errors
/// S107 where the index has no `weight_map`, names no tensor, or places one anywhere but in a file beside it; S105 where
/// `weight_map` is no object.
pub fn weight_map(index: &ConfigFile) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let malformed = |title: String| {
        Diagnostic::error(codes::INDEX_MALFORMED, title).at(Place::file(&index.path))
    };
    let Some(entries) = index.root().section("weight_map")? else {
        let title = format!("`{}` has no `weight_map`", file_name(&index.path));
        return Err(malformed(title).into());
    };
    let mut problems = Vec::new();
    let mut map = BTreeMap::new();
    for (tensor, shard) in entries.map() {
        match shard.as_str() {
            Some(shard) if is_file_name(shard) => {
                map.insert(tensor.clone(), shard.to_owned());
            }
            _ => problems.push(malformed(format!(
                "the index places `{}` in {}, which is not the name of a file beside it",
                shorten(tensor),
                shown(shard)
            ))),
        }
    }
    if map.is_empty() && problems.is_empty() {
        problems.push(malformed("the index names no tensor".to_owned()));
    }
    if problems.is_empty() {
        Ok(map)
    } else {
        Err(problems)
    }
}

impl Index {
    /// The shard a tensor is said to lie in.
    pub fn shard_of(&self, tensor: &str) -> Option<&String> {
        self.map.get(tensor)
    }

    /// S107 for a shard that is not there.
    pub fn missing(&self, shard: &String) -> Diagnostic {
        let tensors = self.map.values().filter(|place| *place == shard).count();
        Diagnostic::error(
            codes::INDEX_MALFORMED,
            format!("the index places {tensors} tensors in `{shard}`, which is missing"),
        )
        .at(Place::file(&self.file.path))
        .help("fetch the missing file")
    }

    /// A place for findings about the whole checkpoint.
    pub fn place(&self) -> Place {
        Place::file(&self.file.path)
    }

    /// What the index says of a shard, against what the shard itself holds.
    pub fn compare<'a>(
        &self,
        shard: &String,
        path: &Path,
        held: impl Iterator<Item = &'a str>,
    ) -> Vec<Diagnostic> {
        let held: BTreeSet<&str> = held.collect();
        let missing: Vec<&str> = self
            .map
            .iter()
            .filter(|(tensor, place)| *place == shard && !held.contains(tensor.as_str()))
            .map(|(tensor, _)| tensor.as_str())
            .collect();
        let elsewhere: Vec<&str> = held
            .iter()
            .copied()
            .filter(|tensor| self.shard_of(tensor).is_some_and(|place| place != shard))
            .collect();
        let unlisted: Vec<&str> = held
            .iter()
            .copied()
            .filter(|tensor| self.shard_of(tensor).is_none())
            .collect();
        let mut problems = Vec::new();
        if let Some(first) = missing.first() {
            let title = format!(
                "the index places {} tensors in `{shard}` that are not there",
                missing.len()
            );
            problems.push(
                Diagnostic::error(codes::INDEX_MALFORMED, title)
                    .at(self.place())
                    .note(format!("the first is `{}`", shorten(first)))
                    .help("shards and index are of different versions; fetch the checkpoint again"),
            );
        }
        for (tensors, what) in [
            (elsewhere, "the index places elsewhere"),
            (unlisted, "the index does not list"),
        ] {
            if let Some(first) = tensors.first() {
                let title = format!("`{shard}` holds {} tensors that {what}", tensors.len());
                problems.push(
                    Diagnostic::error(codes::INDEX_MALFORMED, title)
                        .at(Place::tensor(path, *first))
                        .note(format!("the first is `{}`", shorten(first))),
                );
            }
        }
        problems
    }
}

/// One plain component: no directory, no root, no way up, on no system. The file itself may be a link, as everything in
/// the Hub's cache is: where it leads was decided by whoever made the directory, not by whoever wrote the index.
fn is_file_name(name: &str) -> bool {
    if name.contains(|letter: char| matches!(letter, '/' | '\\' | ':') || letter.is_control()) {
        return false;
    }
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part.to_str() == Some(name))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(
        || shorten(&value.to_string()),
        |text| format!("`{}`", shorten(text)),
    )
}
