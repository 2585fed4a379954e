//! An EAGLE-3 head as llama.cpp keeps it in a GGUF file: metadata, tensors, and what cannot be kept.
//!
//! What can be kept is what llama.cpp's loader and graph of architecture `eagle3` do: one Llama layer, three verifier
//! states, a norm before `fc` or none, either residual, no biases. Everything else is refused by name; a file that loads
//! and drafts wrongly is worse than none.

use std::ops::Range;
use std::path::Path;

use safetensors::Dtype;

use super::write::{Metadata, Outline};
use super::{eagle3, rotary, tokenizer};
use crate::Result;
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::head::{DraftLayer, Dropped, Head, HeadDescription};
use crate::rope::RopeScaling;
use crate::verifier::{FloatType, HiddenAct};

/// Verifier states that llama.cpp joins for a head, no more and no fewer.
const STATES: usize = 3;

/// Version of the quantization formats, which llama.cpp's converter writes into every file.
const QUANTIZATION_VERSION: u32 = 2;

/// A head laid out as a GGUF file.
#[derive(Debug)]
pub(crate) struct Export {
    /// The head as it reads back from the file.
    pub description: HeadDescription,
    /// Metadata; the caller may add to it.
    pub metadata: Metadata,
    /// Tensors in the order of the file.
    pub tensors: Vec<Part>,
    /// Source tensors that are left out.
    pub dropped: Vec<Dropped>,
    /// What had to be decided.
    pub decisions: Vec<Decision>,
}

/// One tensor of the file.
#[derive(Debug)]
pub(crate) struct Part {
    /// Name, dtype and shape in the file.
    pub outline: Outline,
    /// Canonical name of the tensor it is made of, if it is made of one.
    pub canonical: Option<&'static str>,
    /// How it is made.
    pub make: Make,
}

/// How a tensor of the file is made.
#[derive(Debug)]
pub(crate) enum Make {
    /// The source's bytes.
    Copy,
    /// These byte ranges of the source, in order.
    Ranges(Vec<Range<usize>>),
    /// The source's numbers in single precision, exactly.
    Widen,
    /// These bytes.
    Built(Vec<u8>),
}

impl Export {
    /// Lays out a head for the verifier in `verifier`, or says what cannot be kept.
    ///
    /// # Errors
    /// S412 for each part of the head that llama.cpp has no place for; whatever is wrong with the verifier's tokenizer.
    pub fn new(head: &Head, description: &HeadDescription, verifier: &Path) -> Result<Export> {
        let mut export = Export {
            description: description.clone(),
            metadata: Metadata::new(),
            tensors: Vec::new(),
            dropped: Vec::new(),
            decisions: Vec::new(),
        };
        let mut problems = export.refusals(head);
        export.describe().unwrap_or_else(|what| {
            let title = format!("the rotary embedding {what}");
            problems.push(refusal(head, title));
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        export.lay_out(head)?;
        let vocabulary = export.description.vocab_size;
        tokenizer::add(
            verifier,
            vocabulary,
            &mut export.metadata,
            &mut export.decisions,
        )?;
        Ok(export)
    }

    /// What the file has no place for. Settles what amounts to the same.
    fn refusals(&mut self, head: &Head) -> Vec<Diagnostic> {
        let it = self.description.clone();
        let mut found = Vec::new();
        let mut refuse = |is: bool, title: &str| {
            if is {
                found.push(refusal(head, title.to_owned()));
            }
        };
        let layers = it.num_hidden_layers;
        refuse(
            layers != 1,
            &format!("the head has {layers} layers, and llama.cpp runs one"),
        );
        let states = it.aux_layer_ids.len();
        refuse(
            states != STATES,
            &format!(
                "the head reads {states} states of the verifier, and llama.cpp joins {STATES}"
            ),
        );
        refuse(
            it.draft_layer != DraftLayer::Llama,
            "q and k are normalized per head (`q_norm`, `k_norm`), and llama.cpp does not do that in heads",
        );
        refuse(
            it.norm_output,
            "`norm_output` is true, and llama.cpp feeds the state before the norm to the next step",
        );
        refuse(
            it.fc_norm,
            "`fc_norm` is true, and llama.cpp has one norm over all states only",
        );
        refuse(
            it.attention_bias,
            "q, k, v and o have biases, and llama.cpp adds none in heads",
        );
        refuse(
            it.mlp_bias,
            "the MLP has biases, and llama.cpp adds none in heads",
        );
        refuse(
            it.hidden_act != HiddenAct::Silu,
            &format!(
                "the gate's activation is {:?}, and llama.cpp's is SiLU",
                it.hidden_act
            ),
        );
        let bias = head.tensor("fc.bias").filter(|_| it.fc_bias);
        refuse(
            bias.is_some_and(|bias| bias.data.iter().any(|byte| *byte != 0)),
            "`fc` has a bias, and llama.cpp adds none",
        );
        let windows: Vec<usize> = it.sliding_window.iter().copied().flatten().collect();
        for window in &windows {
            refuse(
                *window < it.max_position_embeddings,
                &format!("attention is limited to {window} tokens, and llama.cpp's heads see all"),
            );
        }
        if let Some(bias) = bias {
            self.dropped.push(Dropped {
                name: bias.name.to_owned(),
                reason: "it is zero throughout, and the file has no place for it".to_owned(),
            });
            self.description.fc_bias = false;
        }
        if let Some(window) = windows.first() {
            self.decisions.push(Decision::settled(
                "sliding_window",
                "left out",
                format!(
                    "a window of {window} tokens limits nothing in texts of {}",
                    it.max_position_embeddings
                ),
            ));
            self.description.sliding_window = vec![None; layers];
        }
        found
    }

    /// The sizes and switches, and general facts. Fails where the rotary embedding cannot be written.
    fn describe(&mut self) -> std::result::Result<(), String> {
        let it = &mut self.description;
        let metadata = &mut self.metadata;
        metadata.text("general.architecture", eagle3::ARCHITECTURE);
        metadata.text("general.type", "model");
        metadata.u32("general.quantization_version", QUANTIZATION_VERSION);
        metadata.u32(
            "general.file_type",
            match it.dtype {
                FloatType::Float32 => 0,
                FloatType::Float16 => 1,
                FloatType::Bfloat16 => 32,
            },
        );
        // Sizes were read as numbers of 32 bits.
        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        for (key, value) in [
            ("eagle3.block_count", it.num_hidden_layers),
            ("eagle3.context_length", it.max_position_embeddings),
            ("eagle3.embedding_length", it.hidden_size),
            ("eagle3.feed_forward_length", it.intermediate_size),
            ("eagle3.attention.head_count", it.num_attention_heads),
            ("eagle3.attention.head_count_kv", it.num_key_value_heads),
            ("eagle3.attention.key_length", it.head_dim),
            ("eagle3.attention.value_length", it.head_dim),
            ("eagle3.rope.dimension_count", it.head_dim),
            ("eagle3.target_hidden_size", it.target_hidden_size),
            ("eagle3.vocab_size", it.vocab_size),
            (eagle3::own::SPECULATIVE_TOKENS, it.speculative_tokens),
        ] {
            metadata.u32(key, size(value));
        }
        let ids: Vec<i32> = it
            .aux_layer_ids
            .iter()
            .map(|id| i32::try_from(*id).unwrap_or(i32::MAX))
            .collect();
        metadata.i32s(eagle3::LAYERS, &ids);
        metadata.boolean("eagle3.norm_before_residual", it.norm_before_residual);
        metadata.boolean("eagle3.norm_before_fc", it.norm_before_fc);
        let eps = it.rms_norm_eps;
        it.rms_norm_eps = rotary::single(metadata, "eagle3.attention.layer_norm_rms_epsilon", eps);
        let rope = rotary::write(&it.rope, metadata)?;
        for (subject, given, written) in [
            ("rms_norm_eps", eps, it.rms_norm_eps),
            ("rope_theta", it.rope.theta, rope.theta),
        ] {
            if given.to_bits() != written.to_bits() {
                let reason = format!("the source says {given}; a GGUF file has single precision");
                self.decisions
                    .push(Decision::settled(subject, written, reason));
            }
        }
        it.rope = rope;
        Ok(())
    }

    fn lay_out(&mut self, head: &Head) -> Result<()> {
        let map = head.vocabulary_map()?;
        for (canonical, name) in eagle3::NAMES {
            match name {
                eagle3::TOKENS => {
                    let Some(map) = &map else { continue };
                    let tokens = map.draft_to_target.iter();
                    let bytes: Vec<u8> = tokens
                        .flat_map(|token| i64::from(*token).to_le_bytes())
                        .collect();
                    self.tensors.push(Part {
                        outline: outline(name, Dtype::I64, &[map.draft_to_target.len()]),
                        canonical: head.tensor(canonical).map(|_| canonical),
                        make: Make::Built(bytes),
                    });
                }
                eagle3::ROPE_FACTORS => self.rope_factors(),
                _ => {
                    if let Some(part) = self.part(head, canonical, name) {
                        self.tensors.push(part);
                    }
                }
            }
        }
        for (canonical, source) in &head.tensors {
            let reason = match canonical.as_str() {
                "t2d" => "llama.cpp needs `d2t` only, and this follows from it",
                "d2t" if map.is_none() => "the vocabulary is not reduced",
                _ => continue,
            };
            self.dropped.push(Dropped {
                name: source.clone(),
                reason: reason.to_owned(),
            });
        }
        Ok(())
    }

    /// A tensor that is there in the source.
    fn part(&self, head: &Head, canonical: &'static str, name: &str) -> Option<Part> {
        let view = head.tensor(canonical)?;
        let rows = view.shape.first().copied().unwrap_or(1);
        // llama.cpp's operations take vectors in single precision only.
        let vector = view.shape.len() == 1;
        let make = match name {
            eagle3::QUERIES => Make::Ranges(eagle3::interleaved_ranges(
                rows,
                self.description.num_attention_heads,
                view.data.len(),
            )),
            eagle3::KEYS => Make::Ranges(eagle3::interleaved_ranges(
                rows,
                self.description.num_key_value_heads,
                view.data.len(),
            )),
            _ if vector && view.dtype != Dtype::F32 => Make::Widen,
            _ => Make::Copy,
        };
        let dtype = if vector { Dtype::F32 } else { view.dtype };
        Some(Part {
            outline: outline(name, dtype, view.shape),
            canonical: Some(canonical),
            make,
        })
    }

    fn rope_factors(&mut self) {
        let it = &self.description;
        if !matches!(it.rope.scaling, RopeScaling::Llama3 { .. }) {
            return;
        }
        let divisors = rotary::divisors(&it.rope, it.head_dim);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the tensor is in single precision"
        )]
        let bytes = divisors
            .iter()
            .flat_map(|divisor| (*divisor as f32).to_le_bytes());
        self.tensors.push(Part {
            outline: outline(eagle3::ROPE_FACTORS, Dtype::F32, &[divisors.len()]),
            canonical: None,
            make: Make::Built(bytes.collect()),
        });
    }
}

fn outline(name: &str, dtype: Dtype, shape: &[usize]) -> Outline {
    Outline {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
    }
}

fn refusal(head: &Head, title: String) -> Diagnostic {
    Diagnostic::error(codes::NOT_REPRESENTABLE, title)
        .at(Place::file(head.checkpoint.config().path()))
        .note("a GGUF file that leaves this out would load and draft wrongly")
}
