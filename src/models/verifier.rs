//! The served model: one decoder for the Llama family, with its auxiliary hidden states laid open.
//!
//! Between two layers the residual stream is kept in two parts, as serving engines do: what has been summed up so
//! far, and the output of the last block, which the next norm adds. `x_k`, the stream after `k` layers, is therefore
//! complete when layer `k` (or for the last `k` the final norm) has added it.

mod shapes;

use std::path::Path;
use std::sync::Arc;

use speculators_formats::{Checkpoint, Diagnostic, Place, VerifierConfig, codes};
use speculators_kernels::{EmbeddingTable, cpu};

use super::attention::Pass;
use super::cache::Cache;
use super::layer::Layer;
use super::precision::Precision;
use super::rotary::Rotary;
use super::scratch::{LayerScratch, Scratch};
use super::weights::{Linear, Weights};
use crate::Result;
use shapes::{attention_shape, mlp_shape};

/// A verifier in memory. It holds no state of a text: that is in [`Cache`] and [`VerifierPass`].
#[derive(Debug)]
pub struct Verifier {
    config: VerifierConfig,
    precision: Precision,
    embeddings: Arc<EmbeddingTable>, // [vocab, hidden]
    layers: Vec<Layer>,
    norm: Vec<f32>,       // [hidden]
    lm_head: Arc<Linear>, // [vocab, hidden]
    rotary: Rotary,
    warnings: Vec<Diagnostic>,
}

/// Results of a pass over some tokens, and the buffers it needs. Use one again and again.
#[derive(Debug, Default)]
pub struct VerifierPass {
    rows: usize,
    hidden_width: usize,
    auxiliary_width: usize,
    residual: Scratch,
    delta: Scratch,
    normed: Scratch,
    auxiliary: Scratch,
    layer: LayerScratch,
}

impl VerifierPass {
    /// `[rows, hidden]`: the stream after the final norm, which [`Verifier::logits`] takes.
    #[must_use]
    pub fn hidden(&self) -> &[f32] {
        self.normed.get(self.rows * self.hidden_width)
    }

    /// `[rows, layers * hidden]`: for each row the auxiliary hidden states side by side, in the order asked for.
    #[must_use]
    pub fn auxiliary(&self) -> &[f32] {
        self.auxiliary.get(self.rows * self.auxiliary_width)
    }

    /// Of the rows keeps these, which ascend, moved together.
    pub(crate) fn keep_rows(&mut self, rows: &[usize]) {
        let widths = [
            (&mut self.normed, self.hidden_width),
            (&mut self.auxiliary, self.auxiliary_width),
        ];
        for (buffer, width) in widths {
            let values = buffer.take(self.rows * width);
            for (to, from) in rows.iter().enumerate().filter(|(to, from)| to != *from) {
                values.copy_within(from * width..(from + 1) * width, to * width);
            }
        }
        self.rows = rows.len();
    }

    /// One row of [`VerifierPass::hidden`].
    #[must_use]
    pub fn hidden_row(&self, row: usize) -> &[f32] {
        &self.hidden()[row * self.hidden_width..(row + 1) * self.hidden_width]
    }
}

impl Verifier {
    /// Reads config and weights of a directory, in the number format that the config names.
    ///
    /// # Errors
    ///
    /// [`Error::Diagnostics`](crate::Error::Diagnostics) with a diagnostic for each thing that is missing, misshaped or not supported.
    pub fn load(directory: impl AsRef<Path>) -> Result<Verifier> {
        let config = VerifierConfig::read(directory.as_ref())?;
        let precision = config.dtype.into();
        Verifier::from_checkpoint(&Checkpoint::open(directory.as_ref())?, config, precision)
    }

    /// The same, in another number format than the config names.
    ///
    /// # Errors
    ///
    /// As for [`Verifier::load`].
    pub fn load_as(directory: impl AsRef<Path>, precision: Precision) -> Result<Verifier> {
        let config = VerifierConfig::read(directory.as_ref())?;
        Verifier::from_checkpoint(&Checkpoint::open(directory.as_ref())?, config, precision)
    }

    /// Reads the weights of an open checkpoint.
    ///
    /// # Errors
    ///
    /// As for [`Verifier::load`].
    pub fn from_checkpoint(
        checkpoint: &Checkpoint,
        config: VerifierConfig,
        precision: Precision,
    ) -> Result<Verifier> {
        let weights = Weights::new(checkpoint, precision);
        // Checkpoints of the bare decoder, without `lm_head`, lack the prefix.
        let prefix =
            if !weights.has("model.embed_tokens.weight") && weights.has("embed_tokens.weight") {
                ""
            } else {
                "model."
            };
        if !checkpoint.names().any(|name| name.contains("layers.")) {
            let title = format!(
                "the verifier holds none of its {} layers",
                config.num_hidden_layers
            );
            return Err(Diagnostic::error(codes::TENSOR_MISSING, title)
                .at(Place::file(checkpoint.root()))
                .note("a directory that `speculators pull --only` makes is enough to start, convert and validate a head, not to run one")
                .help("fetch the verifier whole: leave out `--only`")
                .into());
        }
        let hidden = config.hidden_size;
        let embed_name = format!("{prefix}embed_tokens.weight");
        let embeddings = weights.embeddings(&embed_name, config.vocab_size, hidden)?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| {
                let name = format!("{prefix}layers.{index}");
                for buffer in ["rotary_emb.inv_freq", "masked_bias", "bias"] {
                    weights.ignore(&format!("{name}.self_attn.{buffer}"));
                }
                Layer::load(
                    &weights,
                    &name,
                    attention_shape(&config, index, precision.rounding()),
                    mlp_shape(&config, precision.rounding()),
                )
            })
            .collect::<Result<Vec<_>>>()?;
        let norm = weights.vector(&format!("{prefix}norm.weight"), hidden);
        // A tied checkpoint may carry a copy of the embedding; the embedding is what counts.
        let tied = config.tie_word_embeddings;
        weights.ignore("lm_head.weight");
        weights.ignore(&format!("{prefix}rotary_emb.inv_freq"));
        let head = if tied {
            embed_name.trim_end_matches(".weight")
        } else {
            "lm_head"
        };
        let lm_head = weights.linear(&[(head.to_string(), config.vocab_size)], hidden, false)?;
        let warnings = weights
            .finish(checkpoint.names())?
            .into_iter()
            .map(|name| {
                Diagnostic::warning(
                    codes::TENSOR_UNEXPECTED,
                    format!("`{name}` belongs to no part of the verifier"),
                )
                .at(Place::tensor(checkpoint.root(), name))
                .note("it is not used")
            })
            .collect();
        let rotary = Rotary::new(
            &config.rope,
            config.head_dim,
            config.max_position_embeddings,
            precision.rounding(),
        );
        Ok(Verifier {
            precision,
            embeddings: Arc::new(embeddings),
            layers,
            norm,
            lm_head: Arc::new(lm_head),
            rotary,
            warnings,
            config,
        })
    }

    /// What its config says.
    #[must_use]
    pub fn config(&self) -> &VerifierConfig {
        &self.config
    }

    /// The number format it computes in.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// What was odd about the checkpoint.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// An empty cache with room for `capacity` tokens; it grows.
    ///
    /// # Errors
    ///
    /// When memory is refused.
    pub fn cache(&self, capacity: usize) -> Result<Cache> {
        let config = &self.config;
        Cache::new(
            self.precision,
            config.num_hidden_layers,
            config.num_key_value_heads,
            config.head_dim,
            capacity,
        )
    }

    /// Runs some tokens after those in the cache and appends their keys and values.
    ///
    /// `positions` has one entry per token. `visible` says which tokens of this pass each of them sees: one row of
    /// `tokens.len().div_ceil(32)` words each, bit `j` for token `j`, itself included
    /// ([`causal_bits`](speculators_kernels::causal_bits) for a plain text); all tokens in the cache are seen.
    /// `auxiliary` are the `k` of the `x_k` that [`VerifierPass::auxiliary`] will hold: 0 is the embedding, the
    /// number of layers is the stream before the final norm.
    ///
    /// # Errors
    ///
    /// When a token or an auxiliary layer does not exist, or the lengths differ.
    pub fn forward(
        &self,
        tokens: &[u32],
        positions: &[u32],
        visible: &[u32],
        cache: &mut Cache,
        auxiliary: &[usize],
        pass: &mut VerifierPass,
    ) -> Result<()> {
        let rows = tokens.len();
        same_rows("Verifier::forward", "positions", rows, positions.len())?;
        in_pool(|| self.run(tokens, positions, visible, cache, auxiliary, pass))
    }

    fn run(
        &self,
        tokens: &[u32],
        positions: &[u32],
        visible: &[u32],
        cache: &mut Cache,
        auxiliary: &[usize],
        pass: &mut VerifierPass,
    ) -> Result<()> {
        let (rows, hidden) = (tokens.len(), self.config.hidden_size);
        let last = positions.iter().copied().max().unwrap_or(0) as usize;
        let rope = self.rotary.table(last + 1);
        let shared = Pass {
            positions,
            tail_positions: positions,
            visible,
            rope: &rope,
        };
        let (epsilon, rounding) = (self.config.rms_norm_eps as f32, self.precision.rounding());

        pass.rows = rows;
        pass.hidden_width = hidden;
        pass.auxiliary_width = auxiliary.len() * hidden;
        let residual = pass.residual.take(rows * hidden);
        let delta = pass.delta.take(rows * hidden);
        let normed = pass.normed.take(rows * hidden);
        let features = pass.auxiliary.take(rows * auxiliary.len() * hidden);

        cpu::embed(&self.embeddings, tokens, residual)?;
        for (index, layer) in self.layers.iter().enumerate() {
            if index == 0 {
                cpu::rms_norm(residual, &layer.input_norm, epsilon, rounding, normed)?;
            } else {
                cpu::add_rms_norm(
                    delta,
                    residual,
                    &layer.input_norm,
                    epsilon,
                    rounding,
                    normed,
                )?;
            }
            keep(residual, hidden, auxiliary, index, features);
            layer.attention.forward(
                &shared,
                normed,
                cache.layer_mut(index),
                &mut pass.layer,
                delta,
            )?;
            cpu::add_rms_norm(
                delta,
                residual,
                &layer.post_attention_norm,
                epsilon,
                rounding,
                normed,
            )?;
            layer.mlp.forward(normed, &mut pass.layer, delta)?;
        }
        cpu::add_rms_norm(delta, residual, &self.norm, epsilon, rounding, normed)?;
        keep(residual, hidden, auxiliary, self.layers.len(), features);
        Ok(())
    }

    /// Logits `[rows, vocab]` of rows of [`VerifierPass::hidden`], rounded to the number format.
    ///
    /// # Errors
    ///
    /// When `hidden` is not a whole number of rows.
    pub fn logits(&self, hidden: &[f32], logits: &mut Vec<f32>) -> Result<()> {
        let rows = hidden.len() / self.config.hidden_size;
        logits.resize(rows * self.config.vocab_size, 0.0);
        cpu::linear(
            &self.lm_head.weight,
            None,
            hidden,
            self.precision.rounding(),
            logits,
        )?;
        Ok(())
    }

    pub(crate) fn embeddings(&self) -> &Arc<EmbeddingTable> {
        &self.embeddings
    }

    pub(crate) fn lm_head(&self) -> &Arc<Linear> {
        &self.lm_head
    }
}

/// Does some work on a thread of the pool: from there an operation need not wake the pool first, which would be done
/// a few times for each layer.
pub(crate) fn in_pool<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}

/// `found == expected`, or an error that names the argument.
pub(crate) fn same_rows(
    operation: &'static str,
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(speculators_kernels::Error::Shape {
        operation,
        what,
        expected,
        found,
    }
    .into())
}

/// Copies the stream after `layer` layers to where it was asked for.
fn keep(residual: &[f32], hidden: usize, auxiliary: &[usize], layer: usize, features: &mut [f32]) {
    for (place, _) in auxiliary
        .iter()
        .enumerate()
        .filter(|(_, wanted)| **wanted == layer)
    {
        let rows = residual
            .chunks_exact(hidden)
            .zip(features.chunks_exact_mut(auxiliary.len() * hidden));
        for (row, features) in rows {
            features[place * hidden..(place + 1) * hidden].copy_from_slice(row);
        }
    }
}
