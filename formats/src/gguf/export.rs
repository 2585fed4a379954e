//! What the metadata of a GGUF file says about an EAGLE-3 head, and what it cannot say.
//!
//! What can be said is what llama.cpp's loader and graph of architecture `eagle3` do: one Llama layer, three verifier
//! states, one norm before `fc` or none, either residual, no biases. Everything else is refused by name; a file that loads
//! and drafts wrongly is worse than none.

use super::write::Metadata;
use super::{eagle3, rotary};
use crate::decision::Decision;
use crate::head::{DraftLayer, HeadDescription};
use crate::speculator::Algorithm;
use crate::verifier::{FloatType, HiddenAct};

/// Verifier states that llama.cpp joins for a head, no more and no fewer.
const STATES: usize = 3;

/// Version of the quantization formats, which llama.cpp's converter writes into every file.
const QUANTIZATION_VERSION: u32 = 2;

/// What of a head llama.cpp does not do, in words that follow "the head has".
pub(crate) fn unsayable(head: &HeadDescription) -> Vec<String> {
    let mut list = Vec::new();
    let mut refuse = |condition: bool, what: String| {
        if condition {
            list.push(what);
        }
    };
    refuse(
        head.algorithm == Algorithm::PEagle,
        "a learned state for parallel drafting (P-EAGLE)".to_owned(),
    );
    refuse(
        head.num_hidden_layers != 1,
        format!("{} layers instead of one", head.num_hidden_layers),
    );
    refuse(
        head.aux_layer_ids.len() != STATES,
        format!(
            "{} auxiliary layers instead of {STATES}",
            head.aux_layer_ids.len()
        ),
    );
    refuse(
        head.draft_layer == DraftLayer::Qwen3,
        "query and key norms in its layers (Qwen 3)".to_owned(),
    );
    refuse(
        head.norm_output,
        "a normalized output that is fed back (`norm_output`)".to_owned(),
    );
    refuse(
        head.fc_norm,
        "norms of the single states before `fc` (`fc_norm`)".to_owned(),
    );
    refuse(
        head.rope_axes.is_some(),
        "positions on several axes (`mrope_section`)".to_owned(),
    );
    refuse(head.attention_bias, "biases in its attention".to_owned());
    refuse(head.mlp_bias, "biases in its MLP".to_owned());
    refuse(
        head.hidden_act != HiddenAct::Silu,
        "another activation than SiLU".to_owned(),
    );
    for window in limiting(head) {
        refuse(true, format!("an attention window of {window} tokens"));
    }
    if let Err(what) = rotary::write(&head.rope, &mut Metadata::new()) {
        refuse(true, what);
    }
    list
}

/// Windows that are shorter than the longest text.
fn limiting(head: &HeadDescription) -> impl Iterator<Item = usize> {
    let windows = head.sliding_window.iter().copied().flatten();
    windows.filter(|window| *window < head.max_position_embeddings)
}

/// The metadata, and in `head` what reading them gives back: numbers are rounded to single precision.
///
/// # Errors
/// Never for a head in which nothing is [`unsayable`].
pub(crate) fn metadata(
    head: &mut HeadDescription,
    verifier_name: &str,
    decisions: &mut Vec<Decision>,
) -> Result<Metadata, String> {
    let mut metadata = Metadata::new();
    metadata.text("general.architecture", eagle3::ARCHITECTURE);
    metadata.text("general.type", "model");
    metadata.u32("general.quantization_version", QUANTIZATION_VERSION);
    metadata.u32(
        "general.file_type",
        match head.dtype {
            FloatType::Float32 => 0,
            FloatType::Float16 => 1,
            FloatType::Bfloat16 => 32,
        },
    );
    for (key, value) in [
        ("eagle3.block_count", head.num_hidden_layers),
        ("eagle3.context_length", head.max_position_embeddings),
        ("eagle3.embedding_length", head.hidden_size),
        ("eagle3.feed_forward_length", head.intermediate_size),
        ("eagle3.attention.head_count", head.num_attention_heads),
        ("eagle3.attention.head_count_kv", head.num_key_value_heads),
        ("eagle3.attention.key_length", head.head_dim),
        ("eagle3.attention.value_length", head.head_dim),
        ("eagle3.rope.dimension_count", head.head_dim),
        ("eagle3.target_hidden_size", head.target_hidden_size),
        ("eagle3.vocab_size", head.vocab_size),
        (eagle3::own::SPECULATIVE_TOKENS, head.speculative_tokens),
    ] {
        // Sizes were read as numbers of 32 bits.
        metadata.u32(key, u32::try_from(value).unwrap_or(u32::MAX));
    }
    let ids = head.aux_layer_ids.iter();
    let ids: Vec<i32> = ids
        .map(|id| i32::try_from(*id).unwrap_or(i32::MAX))
        .collect();
    metadata.i32s(eagle3::LAYERS, &ids);
    metadata.boolean("eagle3.norm_before_residual", head.norm_before_residual);
    metadata.boolean("eagle3.norm_before_fc", head.norm_before_fc);
    metadata.text(eagle3::own::VERIFIER, verifier_name);
    let eps = rotary::single(
        &mut metadata,
        "eagle3.attention.layer_norm_rms_epsilon",
        head.rms_norm_eps,
    );
    let rope = rotary::write(&head.rope, &mut metadata)?;
    for (subject, given, written) in [
        ("rms_norm_eps", head.rms_norm_eps, eps),
        ("rope_theta", head.rope.theta, rope.theta),
    ] {
        if given.to_bits() != written.to_bits() {
            let reason = format!("the source says {given}; a GGUF file has single precision");
            decisions.push(Decision::settled(subject, written, reason));
        }
    }
    (head.rms_norm_eps, head.rope) = (eps, rope);
    if let Some(window) = head.sliding_window.iter().flatten().next() {
        let texts = head.max_position_embeddings;
        let reason = format!("a window of {window} tokens limits nothing in texts of {texts}");
        decisions.push(Decision::settled("sliding_window", "left out", reason));
        head.sliding_window = vec![None; head.num_hidden_layers];
    }
    Ok(metadata)
}
