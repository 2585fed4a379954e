//! What a kind of head has beside its decoder layers, and the description that both make up.

use super::decoder::Decoder;
use super::options::usage;
use super::verifier::Verifier;
use super::{InitRequest, mask_token};
use crate::block::{BlockDescription, Drafter, MarkovHead};
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::{HeadDescription, default_layers};
use crate::speculator::{Algorithm, Description};
use crate::verifier::FloatType;
use crate::vocabulary::VocabularyMap;
use crate::{Result, codes};

/// Tokens per step that the Python package trains EAGLE-3 and P-EAGLE for.
const EAGLE3_TOKENS: usize = 3;
const PEAGLE_TOKENS: usize = 8;

/// Positions of a block, and rank of the Markov bias, that it takes.
const DFLASH_BLOCK: usize = 16;
const DSPARK_BLOCK: usize = 8;
const MARKOV_RANK: usize = 256;

/// The parts that differ between kinds.
#[derive(Debug)]
pub(super) struct Kind {
    pub aux_layer_ids: Vec<usize>,
    pub mask_token_id: Option<usize>,
    pub speculative_tokens: usize,
    pub dtype: FloatType,
    pub parts: Parts,
}

#[derive(Debug)]
pub(super) enum Parts {
    /// EAGLE-3 and P-EAGLE.
    Eagle {
        norm_before_residual: bool,
        norm_before_fc: bool,
        fc_norm: bool,
        norm_output: bool,
    },
    /// DFlash and DSpark.
    Block {
        drafter: Drafter,
        block_size: usize,
        sample_from_anchor: bool,
        sliding_window_non_causal: bool,
    },
}

/// Decides the parts.
///
/// # Errors
/// S001 for options that contradict each other or the verifier, S403 and S404 for auxiliary layers, S441 and S442 where the
/// verifier leaves open which layers are read or which token stands for one not drafted yet.
pub(super) fn decide(
    request: &InitRequest,
    verifier: &Verifier,
    decisions: &mut Vec<Decision>,
) -> Result<Kind> {
    let mut problems = Vec::new();
    let dtype = request.dtype.unwrap_or_else(|| {
        let reason = "what the Python package saves a fresh head in";
        decisions.push(Decision::settled("dtype", "bfloat16", reason));
        FloatType::Bfloat16
    });
    let aux_layers = aux_layers(request, verifier, decisions);
    let aux_layer_ids = aux_layers.map_err(|problem| problems.push(problem)).ok();
    let mask = mask_token::decide(request, verifier.vocab_size, decisions);
    let mask_token_id = mask.map_err(|found| problems.extend(found)).ok();
    let parts = if request.is_block() {
        block(request, decisions)
    } else {
        eagle(request, decisions)
    };
    let parts = parts.map_err(|found| problems.extend(found)).ok();
    let (Some(aux_layer_ids), Some(mask_token_id), Some((parts, speculative_tokens))) =
        (aux_layer_ids, mask_token_id, parts)
    else {
        return Err(problems);
    };
    Ok(Kind {
        aux_layer_ids,
        mask_token_id,
        speculative_tokens,
        dtype,
        parts,
    })
}

/// The verifier's layers that the head reads, ascending.
fn aux_layers(
    request: &InitRequest,
    verifier: &Verifier,
    decisions: &mut Vec<Decision>,
) -> Result<Vec<usize>, Diagnostic> {
    let layers = verifier.num_hidden_layers;
    let counted = format!("ids count the layers that have run, from 0 to {layers}");
    let Some(given) = &request.aux_layers else {
        let Some(usual) = default_layers(layers) else {
            let ids = [2, layers / 2, layers.saturating_sub(3)];
            return Err(Diagnostic::error(
                codes::AUX_LAYERS_COLLIDE,
                format!("the usual auxiliary layers {ids:?} of a verifier of {layers} layers are not three in ascending order"),
            )
            .at(verifier.place())
            .note("they are 2, n/2 and n-3")
            .note(counted)
            .help("name them: `--aux-layers`"));
        };
        let reason = format!(
            "2, n/2 and n-3 of {layers}, what the Python package takes; ids count the layers that have run"
        );
        decisions.push(Decision::settled(
            "aux_layer_ids",
            format!("{usual:?}"),
            reason,
        ));
        return Ok(usual);
    };
    let mut ids = given.clone();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() != given.len() || ids.is_empty() {
        let title = format!(
            "`--aux-layers` names {} different layers in {} ids",
            ids.len(),
            given.len()
        );
        return Err(Diagnostic::error(codes::AUX_LAYER_COUNT, title).note(counted));
    }
    if let Some(last) = ids.last().filter(|last| **last > layers) {
        let title =
            format!("auxiliary layer {last} lies outside the verifier, which has {layers} layers");
        return Err(Diagnostic::error(codes::AUX_LAYER_RANGE, title)
            .at(verifier.place())
            .note(counted));
    }
    if ids != *given {
        let reason = format!(
            "given as {given:?}, but every runtime concatenates the states in ascending order"
        );
        decisions.push(Decision::settled(
            "aux_layer_ids",
            format!("{ids:?}"),
            reason,
        ));
    }
    Ok(ids)
}

/// The norms and flags of EAGLE-3 and P-EAGLE, and tokens per step.
fn eagle(request: &InitRequest, decisions: &mut Vec<Decision>) -> Result<(Parts, usize)> {
    let eagle3 = request.algorithm == Algorithm::Eagle3;
    let usual = format!("what the Python package takes for `{}`", request.algorithm);
    let mut flag = |key: &str, given: Option<bool>, default: bool, reason: &str| {
        given.unwrap_or_else(|| {
            decisions.push(Decision::settled(key, default, reason));
            default
        })
    };
    let norm_before_residual = flag(
        "norm_before_residual",
        request.norm_before_residual,
        true,
        &usual,
    );
    let fc_norm = flag("fc_norm", request.fc_norm, false, &usual);
    let norm_before_fc = if fc_norm {
        let reason = "`fc_norm` takes its place";
        flag("norm_before_fc", request.norm_before_fc, false, reason)
    } else {
        flag("norm_before_fc", request.norm_before_fc, eagle3, &usual)
    };
    let norm_output = flag("norm_output", request.norm_output, eagle3, &usual);
    let tokens = if eagle3 { EAGLE3_TOKENS } else { PEAGLE_TOKENS };
    let tokens = request.speculative_tokens.unwrap_or_else(|| {
        decisions.push(Decision::settled("speculative_tokens", tokens, usual));
        tokens
    });
    let parts = Parts::Eagle {
        norm_before_residual,
        norm_before_fc,
        fc_norm,
        norm_output,
    };
    Ok((parts, tokens))
}

/// The block, what fills it, and tokens per step.
fn block(request: &InitRequest, decisions: &mut Vec<Decision>) -> Result<(Parts, usize)> {
    let dspark = request.algorithm == Algorithm::DSpark;
    let usual = format!("what the Python package takes for `{}`", request.algorithm);
    let block_size = request.block_size.unwrap_or_else(|| {
        let size = if dspark { DSPARK_BLOCK } else { DFLASH_BLOCK };
        decisions.push(Decision::settled("block_size", size, usual.clone()));
        size
    });
    let sample_from_anchor = request.sample_from_anchor.unwrap_or_else(|| {
        decisions.push(Decision::settled(
            "sample_from_anchor",
            dspark,
            usual.clone(),
        ));
        dspark
    });
    let held = if sample_from_anchor {
        block_size
    } else {
        block_size.saturating_sub(1)
    };
    let mut problems = Vec::new();
    if held == 0 {
        problems.push(usage(format!(
            "a block of {block_size} positions holds no token to be drafted"
        )));
    }
    let speculative_tokens = request.speculative_tokens.unwrap_or(held);
    if speculative_tokens > held {
        problems.push(usage(format!(
            "{speculative_tokens} draft tokens are asked for, but a block of {block_size} holds {held}"
        )));
    }
    let slides = (0..super::options::layers(request))
        .any(|layer| !request.full_attention_layers.contains(&layer));
    let sliding_window_non_causal = request.sliding_window_non_causal.unwrap_or_else(|| {
        let reason = if slides {
            usual.clone()
        } else {
            "no layer slides, and vLLM goes by it for layers that do not: these see the whole block"
                .to_owned()
        };
        decisions.push(Decision::settled(
            "sliding_window_non_causal",
            !slides,
            reason,
        ));
        !slides
    });
    let drafter = if dspark {
        self::dspark(request, &usual, decisions).map_err(|problem| problems.push(problem))
    } else {
        Ok(Drafter::DFlash)
    };
    match drafter {
        Ok(drafter) if problems.is_empty() => Ok((
            Parts::Block {
                drafter,
                block_size,
                sample_from_anchor,
                sliding_window_non_causal,
            },
            speculative_tokens,
        )),
        _ => Err(problems),
    }
}

fn dspark(
    request: &InitRequest,
    usual: &str,
    decisions: &mut Vec<Decision>,
) -> Result<Drafter, Diagnostic> {
    let markov_rank = request.markov_rank.unwrap_or_else(|| {
        decisions.push(Decision::settled("markov_rank", MARKOV_RANK, usual));
        MARKOV_RANK
    });
    let markov_head_type = request.markov_head_type.unwrap_or_else(|| {
        decisions.push(Decision::settled("markov_head_type", "vanilla", usual));
        MarkovHead::Vanilla
    });
    let enable_confidence_head = request.enable_confidence_head.unwrap_or_else(|| {
        decisions.push(Decision::settled("enable_confidence_head", true, usual));
        true
    });
    let possible = markov_rank > 0;
    if request.confidence_head_with_markov == Some(true) && enable_confidence_head && !possible {
        return Err(usage(
            "the confidence head is to read the embedding of the previous token, but `--markov-rank 0` leaves none".to_owned(),
        ));
    }
    let confidence_head_with_markov = request.confidence_head_with_markov.unwrap_or_else(|| {
        let reason = if possible {
            usual
        } else {
            "with `markov_rank` 0 there is no embedding of the previous token"
        };
        decisions.push(Decision::settled(
            "confidence_head_with_markov",
            possible,
            reason,
        ));
        possible
    });
    Ok(Drafter::DSpark {
        markov_rank,
        markov_head_type,
        enable_confidence_head,
        confidence_head_with_markov,
    })
}

/// Everything that is decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft<'a> {
    pub request: &'a InitRequest,
    pub verifier: &'a Verifier,
    pub decoder: &'a Decoder,
    pub kind: &'a Kind,
    /// The vocabulary, where it is reduced.
    pub map: Option<&'a VocabularyMap>,
}

impl Draft<'_> {
    pub fn draft_vocab_size(&self) -> usize {
        self.map
            .map_or(self.verifier.vocab_size, |map| map.draft_to_target.len())
    }

    /// The description that all of it makes up.
    pub fn description(&self) -> Description {
        let Draft {
            request,
            verifier,
            decoder,
            kind,
            ..
        } = *self;
        match kind.parts {
            Parts::Eagle {
                norm_before_residual,
                norm_before_fc,
                fc_norm,
                norm_output,
            } => Description::Eagle3(HeadDescription {
                algorithm: request.algorithm,
                mask_token_id: kind.mask_token_id,
                draft_layer: decoder.draft_layer,
                num_hidden_layers: decoder.num_hidden_layers,
                hidden_size: verifier.hidden_size,
                target_hidden_size: verifier.hidden_size,
                intermediate_size: decoder.intermediate_size,
                num_attention_heads: decoder.num_attention_heads,
                num_key_value_heads: decoder.num_key_value_heads,
                head_dim: decoder.head_dim,
                vocab_size: verifier.vocab_size,
                draft_vocab_size: self.draft_vocab_size(),
                rms_norm_eps: verifier.rms_norm_eps,
                rope: decoder.rope.clone(),
                rope_axes: decoder.rope_axes.clone(),
                max_position_embeddings: verifier.max_position_embeddings,
                hidden_act: decoder.hidden_act,
                attention_bias: false,
                mlp_bias: false,
                fc_bias: false,
                sliding_window: decoder.sliding_window.clone(),
                aux_layer_ids: kind.aux_layer_ids.clone(),
                norm_before_residual,
                norm_before_fc,
                fc_norm,
                norm_output,
                own_embeddings: true,
                dtype: kind.dtype,
                speculative_tokens: kind.speculative_tokens,
            }),
            Parts::Block {
                ref drafter,
                block_size,
                sample_from_anchor,
                sliding_window_non_causal,
            } => Description::Block(BlockDescription {
                drafter: drafter.clone(),
                num_hidden_layers: decoder.num_hidden_layers,
                hidden_size: verifier.hidden_size,
                target_hidden_size: verifier.hidden_size,
                intermediate_size: decoder.intermediate_size,
                num_attention_heads: decoder.num_attention_heads,
                num_key_value_heads: decoder.num_key_value_heads,
                head_dim: decoder.head_dim,
                vocab_size: verifier.vocab_size,
                draft_vocab_size: self.draft_vocab_size(),
                rms_norm_eps: verifier.rms_norm_eps,
                rope: decoder.rope.clone(),
                max_position_embeddings: verifier.max_position_embeddings,
                hidden_act: decoder.hidden_act,
                attention_bias: false,
                sliding_window: decoder.sliding_window.clone(),
                sliding_window_non_causal,
                block_size,
                sample_from_anchor,
                mask_token_id: kind.mask_token_id,
                aux_layer_ids: kind.aux_layer_ids.clone(),
                own_embeddings: false,
                // Runtimes take the verifier's whole matrix, but cannot take rows of it.
                own_lm_head: self.map.is_some(),
                dtype: kind.dtype,
                speculative_tokens: kind.speculative_tokens,
            }),
        }
    }
}
