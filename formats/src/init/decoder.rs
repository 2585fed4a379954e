//! The draft layers of a new head: the verifier's sizes, in the form that runtimes have layers for.

use serde_json::{Map, Value};

use super::InitRequest;
use super::options::layers;
use super::rotary::{self, Wanted};
use super::verifier::Verifier;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::DraftLayer;
use crate::rope::{Rope, RopeAxes};
use crate::speculator::Algorithm;
use crate::verifier::HiddenAct;
use crate::{Result, codes};

/// Width of the attention window that the Python package takes.
const WINDOW: usize = 2048;

/// The decoder of a head.
#[derive(Debug)]
pub(super) struct Decoder {
    pub draft_layer: DraftLayer,
    pub num_hidden_layers: usize,
    pub intermediate_size: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub hidden_act: HiddenAct,
    /// As they are written.
    pub rope_parameters: Map<String, Value>,
    /// As they are understood.
    pub rope: Rope,
    pub rope_axes: Option<RopeAxes>,
    /// Width of the window, used or not.
    pub window: usize,
    /// Per layer its window.
    pub sliding_window: Vec<Option<usize>>,
}

/// Decides the layers.
///
/// # Errors
/// S443 for attention heads that cannot be parted, S412 and S446 for a rotary embedding that drafts are not run with.
pub(super) fn decide(
    request: &InitRequest,
    verifier: &Verifier,
    decisions: &mut Vec<Decision>,
) -> Result<Decoder> {
    let mut problems = Vec::new();
    let draft_layer = request.draft_arch.unwrap_or_else(|| {
        let (layer, name) = if request.algorithm == Algorithm::Eagle3 {
            (DraftLayer::Llama, "llama")
        } else {
            (DraftLayer::Qwen3, "qwen3")
        };
        let reason = format!("what the Python package takes for `{}`", request.algorithm);
        decisions.push(Decision::settled("draft_arch", name, reason));
        layer
    });
    let num_hidden_layers = layers(request);
    if request.num_layers.is_none() {
        let reason = format!("what the Python package takes for `{}`", request.algorithm);
        decisions.push(Decision::settled(
            "num_hidden_layers",
            num_hidden_layers,
            reason,
        ));
    }
    let hidden_act = request.hidden_act.unwrap_or_else(|| {
        let reason = "what runtimes run in draft layers, whatever the verifier has";
        decisions.push(Decision::settled("hidden_act", "silu", reason));
        HiddenAct::Silu
    });
    let geometry = geometry(verifier, decisions);
    let geometry = geometry.map_err(|problem| problems.push(problem)).ok();
    let sliding_window = windows(request, num_hidden_layers, decisions);
    let intermediate_size = verifier.intermediate_size.unwrap_or_else(|| {
        let width = 3 * verifier.hidden_size;
        let reason = format!(
            "3 x hidden_size = 3 x {}: all layers of the verifier are made of experts, and a draft layer is not",
            verifier.hidden_size
        );
        decisions.push(Decision::guessed("intermediate_size", width, reason));
        width
    });
    let Some((heads, shared, head_dim)) = geometry else {
        return Err(problems);
    };
    let wanted = Wanted {
        head_dim,
        parallel: request.algorithm != Algorithm::Eagle3,
    };
    let rope_parameters = rotary::of_head(verifier.rotary.clone(), wanted, decisions)
        .map_err(|problem| problem.at(verifier.place()))?;
    let (rope, rope_axes) = rotary::resolved(
        &rope_parameters,
        verifier.max_position_embeddings,
        &verifier.path,
    )?;
    Ok(Decoder {
        draft_layer,
        num_hidden_layers,
        intermediate_size,
        num_attention_heads: heads,
        num_key_value_heads: shared,
        head_dim,
        hidden_act,
        rope_parameters,
        rope,
        rope_axes,
        window: request.sliding_window.unwrap_or(WINDOW),
        sliding_window,
    })
}

/// Query heads, key and value heads, and channels per head.
fn geometry(
    verifier: &Verifier,
    decisions: &mut Vec<Decision>,
) -> Result<(usize, usize, usize), Diagnostic> {
    let hidden = verifier.hidden_size;
    let (mut heads, mut shared) = (verifier.num_attention_heads, verifier.num_key_value_heads);
    let refused =
        |title: String| Diagnostic::error(codes::DRAFT_GEOMETRY, title).at(verifier.place());
    if let Some(channels) = verifier.head_dim
        && !hidden.is_multiple_of(heads)
        && hidden.is_multiple_of(channels)
    {
        let reason = format!(
            "hidden_size / head_dim = {hidden} / {channels}: the verifier's {heads} heads do not part its width evenly"
        );
        heads = hidden / channels;
        decisions.push(Decision::settled("num_attention_heads", heads, reason));
        if !heads.is_multiple_of(shared) {
            let reason = format!(
                "as many as query heads: {heads} heads cannot share the verifier's {shared} evenly"
            );
            shared = heads;
            decisions.push(Decision::settled("num_key_value_heads", shared, reason));
        }
    }
    if !heads.is_multiple_of(shared) {
        return Err(refused(format!(
            "{heads} query heads cannot share {shared} key and value heads evenly"
        ))
        .note("no runtime has such a draft layer"));
    }
    let channels = match verifier.head_dim {
        Some(channels) => channels,
        None if hidden.is_multiple_of(heads) => hidden / heads,
        None => {
            return Err(refused(format!(
                "a width of {hidden} cannot be parted into {heads} heads, and `head_dim` is not written down"
            )));
        }
    };
    if !channels.is_multiple_of(2) {
        return Err(refused(format!(
            "a head has {channels} channels, which cannot be rotated in pairs"
        )));
    }
    Ok((heads, shared, channels))
}

/// Per layer its window: all slide that are not to see everything.
fn windows(
    request: &InitRequest,
    layers: usize,
    decisions: &mut Vec<Decision>,
) -> Vec<Option<usize>> {
    let window = request.sliding_window.unwrap_or(WINDOW);
    let windows: Vec<Option<usize>> = (0..layers)
        .map(|layer| (!request.full_attention_layers.contains(&layer)).then_some(window))
        .collect();
    if request.sliding_window.is_none() && windows.iter().any(Option::is_some) {
        let reason = "what the Python package takes; `--full-attention-layers` names layers that see everything";
        decisions.push(Decision::settled("sliding_window", window, reason));
    }
    windows
}
