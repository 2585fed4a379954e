//! What the parts of a resolution share: the sources, and what was found and decided so far.
//!
//! EAGLE-1, EAGLE-3 and block drafters are resolved by the same steps; each family adds its own beside them.

use serde_json::Value;

use super::Layout;
use super::layout::{Origin, Recognized};
use crate::Result;
use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::config::Section;
use crate::convert::provenance;
use crate::decision::{self, Decision};
use crate::diagnostic::Diagnostic;
use crate::options::ReadOptions;
use crate::speculator::Algorithm;
use crate::verifier::VerifierFacts;

/// The part of a config in the speculators layout that describes the decoder.
const DECODER: &str = "transformer_layer_config";

/// Everything the parts of the resolution share.
pub(crate) struct Resolver<'a> {
    pub checkpoint: &'a Checkpoint,
    pub recognized: &'a Recognized,
    pub origin: Origin,
    /// The whole config.
    pub root: Section<'a>,
    /// The part that describes the decoder: `transformer_layer_config`, or the whole.
    pub decoder: Section<'a>,
    pub verifier: Option<&'a VerifierFacts>,
    pub options: &'a ReadOptions,
    pub problems: Vec<Diagnostic>,
    pub decisions: Vec<Decision>,
}

impl<'a> Resolver<'a> {
    /// A resolution with nothing found yet beyond what was recognized.
    ///
    /// # Errors
    /// S105 or S106 for a config in the speculators layout without the object that describes the decoder.
    pub fn new(
        checkpoint: &'a Checkpoint,
        recognized: &'a Recognized,
        verifier: Option<&'a VerifierFacts>,
        options: &'a ReadOptions,
    ) -> Result<Resolver<'a>, Diagnostic> {
        let root = checkpoint.config().root();
        let decoder = match recognized.layout {
            Layout::Speculators | Layout::Gguf => root.section(DECODER)?.ok_or_else(|| {
                Diagnostic::error(codes::CONFIG_KEY_MISSING, format!("`{DECODER}` is missing"))
                    .at(root.place("speculators_model_type"))
                    .note("it holds the sizes of the draft layers")
            })?,
            // Up to version 0.5 the Python package had a layout for EAGLE-1 with this key, too.
            Layout::Eagle => root.section(DECODER)?.unwrap_or_else(|| root.clone()),
            _ => root.clone(),
        };
        Ok(Resolver {
            checkpoint,
            recognized,
            origin: recognized.origin,
            root,
            decoder,
            verifier,
            options,
            problems: Vec::new(),
            decisions: recognized.decisions.clone(),
        })
    }

    /// Whether a config is wrong in a way that makes shapes look wrong that are right.
    pub fn misled(&self) -> bool {
        self.problems.iter().any(|problem| {
            matches!(
                problem.code,
                codes::CONFIG_TYPE | codes::CONFIG_KEY_MISSING | codes::LAYOUT_UNKNOWN
            )
        })
    }

    /// What was decided, if nothing stands against the head, which is of the kind given.
    ///
    /// # Errors
    /// As [`decision::finish`].
    pub fn finish(self, algorithm: Algorithm) -> Result<Vec<Decision>> {
        let config = self.checkpoint.config();
        decision::finish(
            algorithm,
            self.decisions,
            self.problems,
            self.options,
            config,
        )
    }

    /// A value; a problem with it is noted.
    pub fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// A tensor by its canonical name.
    pub fn view(&self, canonical: &str) -> Option<TensorView<'a>> {
        self.checkpoint
            .tensor(self.recognized.names.get(canonical)?)
    }

    /// Whether there is a tensor of this canonical name.
    pub fn has(&self, canonical: &str) -> bool {
        self.recognized.names.contains_key(canonical)
    }

    /// One dimension of a matrix.
    pub fn dimension(&self, canonical: &str, axis: usize) -> Option<usize> {
        self.view(canonical)
            .filter(|view| view.shape.len() == 2)
            .map(|view| view.shape[axis])
    }

    /// A fact that the converter which wrote a foreign layout recorded beside it.
    pub fn recorded(&self, key: &str) -> Option<&'a Value> {
        self.root
            .get(&format!("{}.{key}", provenance::RECORDED))
            .filter(|_| self.foreign())
    }

    /// Whether counts are read off the tensors, because the config may be copied from another model.
    pub fn foreign(&self) -> bool {
        // The config of a GGUF file is put together in the speculators spelling, and says as much.
        !matches!(self.recognized.layout, Layout::Speculators | Layout::Gguf)
    }

    /// Two statements about the decoder that exclude each other.
    pub fn contradiction(&mut self, key: &str, title: String) -> &mut Diagnostic {
        let place = self.decoder.place(key);
        self.problems
            .push(Diagnostic::error(codes::NOT_REPRESENTABLE, title).at(place));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// What head and verifier have to agree on.
    pub fn fits_verifier(&mut self, target_hidden_size: usize, vocab_size: usize) {
        let Some(verifier) = self.verifier else {
            return;
        };
        if target_hidden_size != verifier.hidden_size {
            let key = if self.root.get("target_hidden_size").is_some() {
                self.root.place("target_hidden_size")
            } else {
                self.decoder.place("hidden_size")
            };
            self.problems.push(
                Diagnostic::error(
                    codes::HIDDEN_SIZE,
                    format!(
                        "the head reads a hidden size of {target_hidden_size}, but the verifier has {}",
                        verifier.hidden_size
                    ),
                )
                .at(key),
            );
        }
        if vocab_size != verifier.vocab_size {
            self.problems.push(
                Diagnostic::error(
                    codes::VOCABULARY,
                    format!(
                        "the head was built for {vocab_size} tokens, but the verifier has {}",
                        verifier.vocab_size
                    ),
                )
                .at(self.decoder.place("vocab_size")),
            );
        }
    }
}
