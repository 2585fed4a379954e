//! `model.safetensors.index.json`: which tensor lies in which shard.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde_json::Value;

use crate::codes;
use crate::config::{ConfigFile, file_name};
use crate::diagnostic::{Diagnostic, Place};
use crate::header::Entry;

/// Name of the index file.
pub(crate) const FILE: &str = "model.safetensors.index.json";

/// A parsed index.
pub(crate) struct Index {
    file: ConfigFile,
    map: BTreeMap<String, String>,
    /// Shard names, sorted.
    pub shards: Vec<String>,
}

/// Reads an index and checks that it names only files beside itself.
pub(crate) fn read(path: &Path) -> Result<Index, Vec<Diagnostic>> {
    let file = ConfigFile::read(path)?;
    let Some(entries) = file.root().section("weight_map")? else {
        return Err(Diagnostic::error(
            codes::INDEX_MALFORMED,
            format!("`{}` has no `weight_map`", file_name(path)),
        )
        .at(Place::file(path))
        .into());
    };
    let mut problems = Vec::new();
    let mut map = BTreeMap::new();
    for (tensor, shard) in entries.map() {
        match shard.as_str() {
            Some(shard) if is_file_name(shard) => {
                map.insert(tensor.clone(), shard.to_owned());
            }
            _ => problems.push(
                Diagnostic::error(
                    codes::INDEX_MALFORMED,
                    format!("the index places `{tensor}` in {}, which is not the name of a file beside it", shown(shard)),
                )
                .at(Place::file(path)),
            ),
        }
    }
    if map.is_empty() && problems.is_empty() {
        problems.push(
            Diagnostic::error(codes::INDEX_MALFORMED, "the index names no tensor")
                .at(Place::file(path)),
        );
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let shards: BTreeSet<String> = map.values().cloned().collect();
    Ok(Index {
        file,
        map,
        shards: shards.into_iter().collect(),
    })
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

    /// What the index says of a shard, against the shard's own header.
    pub fn compare(&self, shard: &String, path: &Path, entries: &[Entry]) -> Vec<Diagnostic> {
        let held: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let missing: Vec<&str> = self
            .map
            .iter()
            .filter(|(tensor, place)| *place == shard && !held.contains(tensor.as_str()))
            .map(|(tensor, _)| tensor.as_str())
            .collect();
        let unlisted: Vec<&str> = held
            .iter()
            .copied()
            .filter(|tensor| !self.map.contains_key(*tensor))
            .collect();
        let mut problems = Vec::new();
        if let Some(first) = missing.first() {
            problems.push(
                Diagnostic::error(
                    codes::INDEX_MALFORMED,
                    format!(
                        "the index places {} tensors in `{shard}` that are not there",
                        missing.len()
                    ),
                )
                .at(Place::file(&self.file.path))
                .note(format!("the first is `{first}`"))
                .help("shards and index are of different versions; fetch the checkpoint again"),
            );
        }
        if let Some(first) = unlisted.first() {
            problems.push(
                Diagnostic::error(
                    codes::INDEX_MALFORMED,
                    format!(
                        "`{shard}` holds {} tensors that the index does not list",
                        unlisted.len()
                    ),
                )
                .at(Place::tensor(path, *first))
                .note(format!("the first is `{first}`")),
            );
        }
        problems
    }
}

/// One plain component: no directory, no root, no way up.
fn is_file_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part.to_str() == Some(name))
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), |text| format!("`{text}`"))
}
