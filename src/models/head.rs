//! The EAGLE-3 head (arXiv 2503.01840), in every variant the checkpoints of the Python package know.
//!
//! For the token at position `i + 1` it reads the verifier's auxiliary states at position `i`:
//!
//! ```text
//! g = fc(auxiliary)            norm_before_fc: of their joint RMS norm; fc_norm: of one RMS norm each
//! e = input_layernorm(embedding of token i + 1);  h = hidden_norm(g)
//! r = h if norm_before_residual else g
//! u = r + attention([e | h])   at position i, with a cache of its own
//! y = u + mlp(post_attention_layernorm(u)), then any further layers, which are ordinary
//! z = norm(y);  logits = lm_head(z)
//! ```
//!
//! A later draft step takes `y` (`z` with `norm_output`) in place of `g`: the verifier has not seen that token yet.

mod fit;
mod output;
mod pass;
mod shapes;

use std::sync::Arc;

use speculators_formats::{Head, HeadDescription};
use speculators_kernels::{DraftVocabulary, EmbeddingTable, cpu};

use super::cache::Cache;
use super::choice::{Choice, choose};
use super::layer::Layer;
use super::precision::Precision;
use super::rotary::Rotary;
use super::scratch::{LayerScratch, Scratch};
use super::verifier::Verifier;
use super::weights::{Linear, Weights};
use crate::Result;

/// A head in memory, ready to draft for one verifier.
#[derive(Debug)]
pub struct DraftHead {
    description: HeadDescription,
    precision: Precision,
    embeddings: Arc<EmbeddingTable>, // [vocab, hidden]
    input_norm: Option<Vec<f32>>,    // [auxiliary layers * target hidden]
    fc_norms: Vec<Vec<f32>>,         // [auxiliary layers] of [target hidden], or none
    fc: Linear,                      // [hidden, auxiliary layers * target hidden]
    hidden_norm: Vec<f32>,           // [hidden]
    layers: Vec<Layer>,
    norm: Vec<f32>,              // [hidden]
    lm_head: Arc<Linear>,        // [draft vocab, hidden], rows in the order of their verifier ids
    vocabulary: DraftVocabulary, // [draft vocab], verifier ids ascending
    rotary: Rotary,
}

/// Results of a pass of a head, and the buffers it needs. Use one again and again.
#[derive(Debug, Default)]
pub struct HeadPass {
    rows: usize,
    width: usize,
    residual: Scratch,
    delta: Scratch,
    normed: Scratch,
    joined: Scratch,
    fused: Scratch,
    chunk: Scratch,
    normed_chunk: Scratch,
    layer: LayerScratch,
    logits: Vec<f32>,
    choices: Vec<Choice>,
}

impl HeadPass {
    /// `[rows, hidden]` after the final norm, for [`DraftHead::logits`].
    #[must_use]
    pub fn hidden(&self) -> &[f32] {
        self.normed.get(self.rows * self.width)
    }

    /// `[rows, draft vocab]` of the last [`DraftHead::rank`] or [`DraftHead::propose`], as [`DraftHead::logits`] gives
    /// them.
    #[must_use]
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }
}

impl DraftHead {
    /// Packs the weights of a head that is to draft for `verifier`, in the verifier's number format.
    ///
    /// # Errors
    ///
    /// [`Error::Diagnostics`](crate::Error::Diagnostics) with a diagnostic for each tensor that is missing or misshaped, and where the head does
    /// not fit the verifier.
    pub fn load(head: &Head, verifier: &Verifier) -> Result<DraftHead> {
        let description = head.description.clone();
        let precision = verifier.precision();
        let weights = Weights::new(head, precision);
        for problem in fit::misfits(head, verifier) {
            weights.report(problem);
        }
        let (hidden, target) = (description.hidden_size, description.target_hidden_size);
        let auxiliary = description.aux_layer_ids.len();
        let embeddings = if description.own_embeddings {
            Arc::new(weights.embeddings("embed_tokens.weight", description.vocab_size, hidden)?)
        } else {
            Arc::clone(verifier.embeddings())
        };
        let input_norm = description
            .norm_before_fc
            .then(|| weights.vector("input_norm.weight", auxiliary * target));
        let fc_norms = match description.fc_norm {
            true => (0..auxiliary)
                .map(|index| weights.vector(&format!("fc_norm.{index}.weight"), target))
                .collect(),
            false => Vec::new(),
        };
        let fc = weights.linear(
            &[("fc".to_string(), hidden)],
            auxiliary * target,
            description.fc_bias,
        )?;
        let hidden_norm = weights.vector("layers.0.hidden_norm.weight", hidden);
        let layers = (0..description.num_hidden_layers)
            .map(|index| {
                let (attention, mlp) = shapes::shapes(&description, index, precision);
                Layer::load(&weights, &format!("layers.{index}"), attention, mlp)
            })
            .collect::<Result<Vec<_>>>()?;
        let norm = weights.vector("norm.weight", hidden);
        let (lm_head, vocabulary) = output::output(head, &weights, verifier)?;
        weights.finish(std::iter::empty())?;
        let rotary = Rotary::new(
            &description.rope,
            description.head_dim,
            description.max_position_embeddings,
            precision.rounding(),
        );
        Ok(DraftHead {
            description,
            precision,
            embeddings,
            input_norm,
            fc_norms,
            fc,
            hidden_norm,
            layers,
            norm,
            lm_head,
            vocabulary,
            rotary,
        })
    }

    /// Takes the same weights for those of a head described otherwise. Only what no weight's shape shows may differ:
    /// which layers are read (not how many), what is normalized (a norm that was not loaded stays off), the rotary
    /// embedding.
    pub(crate) fn describe_as(&mut self, description: HeadDescription) {
        self.rotary = Rotary::new(
            &description.rope,
            description.head_dim,
            description.max_position_embeddings,
            self.precision.rounding(),
        );
        self.description = description;
    }

    /// What it is.
    #[must_use]
    pub fn description(&self) -> &HeadDescription {
        &self.description
    }

    /// The verifier layers it reads, for [`Verifier::forward`].
    #[must_use]
    pub fn auxiliary_layers(&self) -> &[usize] {
        &self.description.aux_layer_ids
    }

    /// An empty cache with room for `capacity` tokens; it grows.
    ///
    /// # Errors
    ///
    /// When memory is refused.
    pub fn cache(&self, capacity: usize) -> Result<Cache> {
        let description = &self.description;
        Cache::new(
            self.precision,
            description.num_hidden_layers,
            description.num_key_value_heads,
            description.head_dim,
            capacity,
        )
    }

    /// Reduces auxiliary states `[rows, layers * target hidden]` to features `[rows, hidden]`.
    ///
    /// # Errors
    ///
    /// When `auxiliary` is not a whole number of rows.
    pub fn fuse(
        &self,
        auxiliary: &[f32],
        pass: &mut HeadPass,
        features: &mut Vec<f32>,
    ) -> Result<()> {
        let width = self.fc.weight.inputs();
        let rows = auxiliary.len() / width;
        let (epsilon, rounding) = (
            self.description.rms_norm_eps as f32,
            self.precision.rounding(),
        );
        features.resize(rows * self.description.hidden_size, 0.0);
        let mut input = auxiliary;
        let input_norm = self.input_norm.as_ref();
        if let Some(weight) = input_norm.filter(|_| self.description.norm_before_fc) {
            let fused = pass.fused.take(rows * width);
            cpu::rms_norm(auxiliary, weight, epsilon, rounding, fused)?;
            input = fused;
        } else if !self.fc_norms.is_empty() && self.description.fc_norm {
            let target = self.description.target_hidden_size;
            let fused = pass.fused.take(rows * width);
            let chunk = pass.chunk.take(rows * target);
            let normed = pass.normed_chunk.take(rows * target);
            for (index, weight) in self.fc_norms.iter().enumerate() {
                let columns = index * target..(index + 1) * target;
                for (row, chunk) in auxiliary
                    .chunks_exact(width)
                    .zip(chunk.chunks_exact_mut(target))
                {
                    chunk.copy_from_slice(&row[columns.clone()]);
                }
                cpu::rms_norm(chunk, weight, epsilon, rounding, normed)?;
                for (row, normed) in fused
                    .chunks_exact_mut(width)
                    .zip(normed.chunks_exact(target))
                {
                    row[columns.clone()].copy_from_slice(normed);
                }
            }
            input = fused;
        }
        cpu::linear(
            &self.fc.weight,
            self.fc.bias.as_deref(),
            input,
            rounding,
            features,
        )?;
        Ok(())
    }

    /// Logits `[rows, draft vocab]` of rows of [`HeadPass::hidden`], in ascending order of verifier ids.
    ///
    /// # Errors
    ///
    /// When `hidden` is not a whole number of rows.
    pub fn logits(&self, hidden: &[f32], logits: &mut Vec<f32>) -> Result<()> {
        logits.resize(
            hidden.len() / self.description.hidden_size * self.lm_head.weight.outputs(),
            0.0,
        );
        cpu::linear(
            &self.lm_head.weight,
            None,
            hidden,
            self.precision.rounding(),
            logits,
        )?;
        Ok(())
    }

    /// The verifier ids that the columns of [`DraftHead::logits`] stand for; none where both vocabularies are one.
    #[must_use]
    pub fn verifier_ids(&self) -> Option<&[u32]> {
        self.vocabulary.verifier_ids()
    }

    /// Which of the verifier's tokens the columns of [`DraftHead::logits`] stand for.
    #[must_use]
    pub fn vocabulary(&self) -> &DraftVocabulary {
        &self.vocabulary
    }

    /// The `count` most likely tokens after each of the last `rows` rows of the pass, best first and the smaller on a
    /// tie: verifier ids and log-probabilities over the draft vocabulary, `[rows, count]` both.
    ///
    /// # Errors
    ///
    /// When the draft vocabulary has fewer than `count` tokens.
    pub fn rank(
        &self,
        rows: usize,
        count: usize,
        pass: &mut HeadPass,
        tokens: &mut Vec<u32>,
        log_probabilities: &mut Vec<f32>,
    ) -> Result<()> {
        let width = self.lm_head.weight.outputs();
        let first = pass.rows.saturating_sub(rows) * pass.width;
        let hidden = &pass.normed.get(pass.rows * pass.width)[first..];
        self.logits(hidden, &mut pass.logits)?;
        tokens.resize(rows * count, 0);
        log_probabilities.resize(rows * count, 0.0);
        cpu::top_k(&pass.logits, width, count, tokens, log_probabilities)?;
        let mut totals = vec![0.0; rows];
        cpu::log_sum_exp(&pass.logits, width, &mut totals)?;
        for (row, total) in log_probabilities.chunks_exact_mut(count).zip(totals) {
            row.iter_mut().for_each(|logit| *logit -= total);
        }
        if let Some(ids) = self.verifier_ids() {
            for token in tokens {
                *token = ids[*token as usize];
            }
        }
        Ok(())
    }

    /// The most likely token after the last row of the pass, in verifier ids.
    ///
    /// # Errors
    ///
    /// None after a pass.
    pub fn propose(&self, pass: &mut HeadPass) -> Result<Choice> {
        let last = pass.rows.saturating_sub(1) * pass.width;
        let width = self.lm_head.weight.outputs();
        pass.logits.resize(width, 0.0);
        let hidden = &pass.normed.get(pass.rows * pass.width)[last..];
        cpu::linear(
            &self.lm_head.weight,
            None,
            hidden,
            self.precision.rounding(),
            &mut pass.logits,
        )?;
        let name = |column: u32| match self.verifier_ids() {
            Some(ids) => ids[column as usize],
            None => column,
        };
        choose(&pass.logits, width, name, &mut pass.choices)?;
        Ok(pass.choices[0])
    }
}
