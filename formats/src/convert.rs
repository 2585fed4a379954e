//! Any layout → the speculators layout: first a closed plan, then one atomic write.
//!
//! [`plan`] decides everything and writes nothing: each source tensor gets a destination or is dropped by name, each
//! destination tensor gets its bytes. [`Plan::write`] streams the tensors from the memory-mapped source into a temporary
//! directory beside the output, reads it back, and renames it into place.

use std::path::{Path, PathBuf};

use safetensors::Dtype;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::{Dropped, Head, HeadDescription};
use crate::options::ReadOptions;
use crate::rope::RopeScaling;
use crate::verifier::VerifierFacts;
use crate::{Checkpoint, Result, codes};

pub(crate) mod config;
mod output;
mod write;

/// What to convert, for which verifier, and where to.
#[derive(Clone, Debug)]
pub struct ConvertRequest {
    /// Directory of the head, in any layout [`Head::open`] reads.
    pub source: PathBuf,
    /// Directory of the verifier; its config is enough, and its family need not be one this version can run.
    pub verifier: PathBuf,
    /// Directory to write.
    pub output: PathBuf,
    /// Overrides for what the source does not say.
    pub options: ReadOptions,
    /// Draft tokens per step to write; `None` keeps what the source asks for, or 3.
    pub speculative_tokens: Option<usize>,
    /// Replaces an existing output once the new one is complete.
    pub force: bool,
    /// Name of the verifier to write into the config: a Hub name, or a path.
    pub verifier_name: String,
}

/// What happens to one destination tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Same name, same bytes.
    Copied,
    /// Another name, same bytes.
    Renamed,
    /// Built from what the source says in another form: a vocabulary map.
    Built,
}

/// One destination tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name in the source; `None` where the source has no such tensor.
    pub source: Option<String>,
    /// Name in the output.
    pub destination: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Dtype in the output.
    #[serde(serialize_with = "dtype_name")]
    pub dtype: Dtype,
    /// What happens to it.
    pub action: Action,
    /// Bytes in the output.
    pub bytes: u64,
    #[serde(skip)]
    built: Option<Vec<u8>>,
}

/// A decided conversion.
#[derive(Debug)]
pub struct Plan {
    head: Head,
    facts: VerifierFacts,
    output: PathBuf,
    force: bool,
    description: HeadDescription,
    rows: Vec<Row>,
    dropped: Vec<Dropped>,
    decisions: Vec<Decision>,
    config: Map<String, Value>,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct ConvertReport {
    /// The directory.
    pub output: PathBuf,
    /// Bytes of `model.safetensors`, header included.
    pub bytes: u64,
    /// One row per tensor, in the order of the file.
    pub rows: Vec<Row>,
    /// Source tensors that were left out.
    pub dropped: Vec<Dropped>,
    /// What had to be decided.
    pub decisions: Vec<Decision>,
    /// The head as it was written.
    pub description: HeadDescription,
}

/// Decides a conversion without writing anything.
///
/// # Errors
/// Every problem of the source as [`Head::open`] reports them; S101 to S106 for the verifier; S108 for an output that is
/// there, or that is the source; S412 for a part that the speculators layout has no place for.
pub fn plan(request: &ConvertRequest) -> Result<Plan> {
    let mut problems = output::check(request);
    if request.speculative_tokens == Some(0) {
        problems.push(Diagnostic::error(
            codes::USAGE,
            "the number of draft tokens is 0, but has to be positive",
        ));
    }
    let facts = VerifierFacts::read(&request.verifier)
        .map_err(|found| problems.extend(found))
        .ok();
    let checkpoint = Checkpoint::open(&request.source)
        .map_err(|found| problems.extend(found))
        .ok();
    let (Some(facts), Some(checkpoint)) = (facts, checkpoint) else {
        return Err(problems);
    };
    let head = match Head::resolve(checkpoint, Some(&facts), &request.options) {
        Ok(head) if problems.is_empty() => head,
        Ok(_) => return Err(problems),
        Err(found) => {
            problems.extend(found);
            return Err(problems);
        }
    };
    let mut plan = Plan {
        description: head.description.clone(),
        decisions: head.decisions.clone(),
        dropped: head.dropped.clone(),
        head,
        facts,
        output: request.output.clone(),
        force: request.force,
        rows: Vec::new(),
        config: Map::new(),
    };
    plan.settle(request)?;
    plan.lay_out()?;
    plan.drop_config_keys();
    plan.config = config::build(&plan, request);
    Ok(plan)
}

impl Plan {
    /// One row per destination tensor, in the order of the file.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Source tensors that are left out, with reasons.
    #[must_use]
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// What had to be decided, with reasons.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// The source.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The head as it will be written.
    #[must_use]
    pub fn description(&self) -> &HeadDescription {
        &self.description
    }

    /// The `config.json` that will be written.
    #[must_use]
    pub fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    /// Directory to be written.
    #[must_use]
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// Bytes of tensor data to be written.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.rows.iter().map(|row| row.bytes).sum()
    }

    /// The bytes of a row: from the source's mapping, or built.
    fn data<'a>(&'a self, row: &'a Row) -> &'a [u8] {
        let from_source = || {
            self.head
                .tensor(&row.destination)
                .map_or(&[][..], |view| view.data)
        };
        row.built.as_deref().unwrap_or_else(from_source)
    }

    /// Adapts the description to what the layout and the verifier ask for.
    fn settle(&mut self, request: &ConvertRequest) -> Result<()> {
        if let Some(tokens) = request.speculative_tokens {
            self.description.speculative_tokens = tokens;
        }
        let (own, verifier) = (
            self.description.max_position_embeddings,
            self.facts.max_position_embeddings,
        );
        if own < verifier {
            // Runtimes size their tables by it; a head that states less than its verifier fails on long texts.
            if matches!(self.description.rope.scaling, RopeScaling::Dynamic { .. }) {
                let reason =
                    "raising it to the verifier's would change the frequencies of dynamic scaling";
                self.decisions
                    .push(Decision::settled("max_position_embeddings", own, reason));
            } else {
                let reason =
                    format!("the source says {own}; the verifier serves texts of {verifier}");
                self.decisions.push(Decision::settled(
                    "max_position_embeddings",
                    verifier,
                    reason,
                ));
                self.description.max_position_embeddings = verifier;
            }
        }
        if self.description.fc_bias {
            let bias = self.head.tensor("fc.bias");
            if bias.is_some_and(|bias| bias.data.iter().any(|byte| *byte != 0)) {
                return Err(Diagnostic::error(
                    codes::NOT_REPRESENTABLE,
                    "`fc` has a bias, and the speculators layout has no place for one",
                )
                .at(self
                    .head
                    .checkpoint
                    .place(bias.map_or("fc.bias", |bias| bias.name)))
                .note("neither vLLM nor the Python package adds a bias after `fc`")
                .into());
            }
            self.description.fc_bias = false;
            let name = bias.map_or("fc.bias", |bias| bias.name).to_owned();
            self.dropped.push(Dropped {
                name,
                reason: "it is zero throughout, and the layout has no place for it".to_owned(),
            });
        }
        Ok(())
    }

    /// The rows, in the order of the file: by dtype, larger first, then by name.
    fn lay_out(&mut self) -> Result<()> {
        let map = self.head.vocabulary_map()?;
        for (canonical, source) in &self.head.tensors {
            let Some(view) = self.head.tensor(canonical) else {
                continue;
            };
            match canonical.as_str() {
                "fc.bias" => {}
                // Below, from the map.
                "d2t" | "t2d" if map.is_some() => {}
                "d2t" | "t2d" => self.dropped.push(Dropped {
                    name: source.clone(),
                    reason: "the vocabulary is not reduced, and loaders expect no map then"
                        .to_owned(),
                }),
                _ => self.rows.push(Row {
                    source: Some(source.clone()),
                    destination: canonical.clone(),
                    shape: view.shape.to_vec(),
                    dtype: view.dtype,
                    action: if canonical == source {
                        Action::Copied
                    } else {
                        Action::Renamed
                    },
                    bytes: view.data.len() as u64,
                    built: None,
                }),
            }
        }
        if let Some(map) = map {
            let offsets: Vec<u8> = map.offsets().flat_map(i64::to_le_bytes).collect();
            let members: Vec<u8> = map.members().into_iter().map(u8::from).collect();
            for (name, dtype, length, bytes) in [
                ("d2t", Dtype::I64, map.draft_to_target.len(), offsets),
                ("t2d", Dtype::BOOL, map.vocab_size, members),
            ] {
                let source = self.head.tensors.get(name).cloned();
                let same = self
                    .head
                    .tensor(name)
                    .is_some_and(|view| view.dtype == dtype && view.data == bytes);
                let action = match source.as_deref() {
                    Some(source) if same && source == name => Action::Copied,
                    Some(_) if same => Action::Renamed,
                    _ => Action::Built,
                };
                self.rows.push(Row {
                    source,
                    destination: name.to_owned(),
                    shape: vec![length],
                    dtype,
                    action,
                    bytes: bytes.len() as u64,
                    built: (!same).then_some(bytes),
                });
            }
        }
        self.rows.sort_by(|a, b| {
            b.dtype
                .cmp(&a.dtype)
                .then_with(|| a.destination.cmp(&b.destination))
        });
        Ok(())
    }

    /// Says which keys of the source's config have no place in the output.
    fn drop_config_keys(&mut self) {
        let file = self.head.checkpoint.config();
        let unknown = file
            .value
            .keys()
            .filter(|key| !config::KNOWN_KEYS.contains(&key.as_str()));
        let decoder = file
            .value
            .get("transformer_layer_config")
            .and_then(Value::as_object);
        let nested = decoder
            .into_iter()
            .flat_map(Map::keys)
            .filter(|key| !config::KNOWN_KEYS.contains(&key.as_str()));
        let nested = nested.map(|key| format!("transformer_layer_config.{key}"));
        let reason =
            "the speculators layout has no such key, and nothing this version knows depends on it";
        let dropped: Vec<Decision> = unknown
            .cloned()
            .chain(nested)
            .map(|key| Decision::settled(key, "left out", reason))
            .collect();
        self.decisions.extend(dropped);
    }
}

fn dtype_name<S: serde::Serializer>(dtype: &Dtype, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{dtype:?}"))
}

#[cfg(test)]
mod tests;
