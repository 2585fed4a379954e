//! The `conversion` object in a converted config: where the head came from and what was decided on the way.
//!
//! Programs that read the layouts keep or ignore keys they do not know. A head that is converted again keeps the record of
//! the first time under `earlier`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Draft, Row, Target, foreign};
use crate::checkpoint::Checkpoint;
use crate::config::file_name;
use crate::file::Stretch;
use crate::speculator::Speculator;

/// The key in the config.
pub(crate) const KEY: &str = "conversion";

/// Facts in the record that a foreign layout says ambiguously or not at all: path from the top of the config.
pub(crate) const RECORDED: &str = "conversion.canonical";
/// Auxiliary layers, counted as layers that have run.
pub(crate) const AUX_LAYERS: &str = "aux_layer_ids";
/// Whether the normalized output is fed back.
pub(crate) const NORM_OUTPUT: &str = "norm_output";
/// Draft tokens per step.
pub(crate) const SPECULATIVE_TOKENS: &str = "speculative_tokens";

/// The record, without the digests of the files, which are known once they have been read.
pub(super) fn record(speculator: &Speculator, draft: &Draft, target: Target) -> Value {
    let checkpoint = speculator.checkpoint();
    let mut value = json!({
        "converter": concat!("speculators ", env!("CARGO_PKG_VERSION")),
        "decisions": draft.decisions,
        "dropped_tensors": draft.dropped,
        "source_bytes": checkpoint.bytes(),
        "source_files": files(&used(checkpoint, &draft.rows)),
        "source_layout": speculator.layout(),
        "target": target,
    });
    if target != Target::Speculators {
        value["canonical"] = foreign::recorded(&draft.description);
    }
    if let Some(earlier) = checkpoint.config().value.get(KEY) {
        value["earlier"] = earlier.clone();
    }
    value
}

/// Name and size of each file that something was taken from.
fn files(contents: &[(&Path, Stretch<'_>)]) -> Value {
    contents
        .iter()
        .map(|(path, bytes)| json!({ "bytes": bytes.len(), "name": file_name(path) }))
        .collect()
}

/// The config, and the weight files that hold a tensor of the rows: of a whole verifier, most shards are not touched.
pub(super) fn used<'a>(checkpoint: &'a Checkpoint, rows: &[Row]) -> Vec<(&'a Path, Stretch<'a>)> {
    let touched: BTreeSet<&Path> = rows
        .iter()
        .flat_map(Row::sources)
        .filter_map(|name| checkpoint.tensor(name))
        .map(|view| view.path)
        .collect();
    let mut contents = checkpoint.contents();
    contents.retain(|(path, _)| *path == checkpoint.config().path() || touched.contains(path));
    contents
}

/// Puts the digests into a config with a record.
pub(super) fn add_digests(config: &mut Map<String, Value>, digests: Vec<String>) {
    let files = config
        .get_mut(KEY)
        .and_then(|record| record.get_mut("source_files"))
        .and_then(Value::as_array_mut);
    for (file, digest) in files.into_iter().flatten().zip(digests) {
        file["blake3"] = Value::String(digest);
    }
}
