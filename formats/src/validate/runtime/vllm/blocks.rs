//! P-EAGLE heads and block drafters in vLLM: what the config alone decides.

use serde_json::Value;

use super::super::{Assessment, Fit, Subject};
use crate::codes;
use crate::config::Section;
use crate::diagnostic::Diagnostic;
use crate::speculator::Speculator;

/// Keys that the reader of each kind asks for without a default.
fn required(kind: &str) -> &'static [&'static str] {
    match kind {
        "peagle" => &["mask_token_id"],
        "dflash" => &["aux_hidden_state_layer_ids", "mask_token_id"],
        "dflash2" => &[
            "aux_hidden_state_layer_ids",
            "mask_token_id",
            "conv_kernel_size",
            "conv_group_size",
            "selector_rank",
            "selector_top_k",
        ],
        "dspark" => &["aux_hidden_state_layer_ids", "mask_token_id", "markov_rank"],
        _ => &[],
    }
}

pub(super) fn check(subject: &Subject<'_>, kind: &str, out: &mut Assessment) {
    let root = subject.config.root();
    for key in required(kind) {
        if root.get(key).is_none() {
            out.stop(
                format!("`{key}` is not set, and vLLM has no default for it"),
                root.place("speculators_model_type"),
            );
        }
    }
    match kind {
        "peagle" => peagle(&root, out),
        "dspark" => {
            dspark(&root, out);
            output_matrix(subject, out);
        }
        _ => dflash(&root, kind, out),
    }
    if kind != "peagle" {
        ids(&root, out);
    }
}

fn peagle(root: &Section<'_>, out: &mut Assessment) {
    for key in ["fc_norm", "norm_output"] {
        if root.bool(key) == Ok(Some(true)) {
            out.stop(
                format!("`{key}` is true, and vLLM does not read it for heads of this kind"),
                root.place(key),
            );
        }
    }
}

fn dflash(root: &Section<'_>, kind: &str, out: &mut Assessment) {
    if root.bool("sample_from_anchor") == Ok(Some(true)) {
        out.stop(
            format!("`sample_from_anchor` is true, and vLLM runs `{kind}` heads from a known anchor only"),
            root.place("sample_from_anchor"),
        );
    }
    let slides = sliding(root);
    let full = slides.contains(&false);
    if full && slides.contains(&true) && kind == "dflash" {
        out.findings.push(
            Diagnostic::warning(
                codes::RUNTIME_CONFIG,
                "some layers have a window and some have none, which takes vLLM's newer runner",
            )
            .at(root.place("transformer_layer_config"))
            .help("start it with `VLLM_USE_V2_MODEL_RUNNER=1` in the environment"),
        );
    }
    if root.bool("sliding_window_non_causal") == Ok(Some(false)) && full {
        out.assume(
            "sliding_window_non_causal",
            "false, for layers of full attention too",
            Fit::Wrong("full attention without a mask inside the block".to_owned()),
            root.place("sliding_window_non_causal"),
            "it has one switch for all layers, where training masks the sliding ones only",
        );
    }
    if kind == "dflash2" {
        let draft = root.usize("draft_vocab_size").ok().flatten();
        let target = root
            .usize("transformer_layer_config.vocab_size")
            .ok()
            .flatten();
        if let (Some(draft), Some(target)) = (draft, target)
            && draft != target
        {
            out.stop(
                format!("the draft vocabulary has {draft} of {target} tokens, and vLLM runs `dflash2` heads with all of them only"),
                root.place("draft_vocab_size"),
            );
        }
    }
}

fn dspark(root: &Section<'_>, out: &mut Assessment) {
    match root.str("markov_head_type") {
        Ok(Some("vanilla") | None) | Err(_) => {}
        Ok(Some(other)) => {
            out.stop(
                format!(
                    "the Markov head is of type `{other}`, and vLLM has a place for `vanilla` only"
                ),
                root.place("markov_head_type"),
            );
        }
    }
    if root.usize("markov_rank") == Ok(Some(0)) {
        out.stop(
            "`markov_rank` is 0, and vLLM runs no `dspark` head without a Markov head".to_owned(),
            root.place("markov_rank"),
        );
    }
    if root.get("sample_from_anchor").is_none() {
        out.assume(
            "sample_from_anchor",
            false,
            Fit::Unknown,
            root.place("speculators_model_type"),
            "the config does not say; it takes false then, the Python package `speculators` true",
        );
    }
    let slides = sliding(root).contains(&true);
    if root.bool("sliding_window_non_causal") == Ok(Some(true)) && slides {
        out.assume(
            "sliding_window_non_causal",
            "false",
            Fit::Wrong("true".to_owned()),
            root.place("sliding_window_non_causal"),
            "it does not read the key for this kind: sliding layers are masked, others are not",
        );
    }
}

/// Other kinds share the verifier's output matrix where they have none.
fn output_matrix(subject: &Subject<'_>, out: &mut Assessment) {
    if let Some(Speculator::Block(head)) = subject.speculator
        && !head.description.own_lm_head
    {
        out.misplaced(
            "vLLM asks a `dspark` head for `lm_head.weight`, which the checkpoint does not have"
                .to_owned(),
            head.checkpoint.weights_place(),
        );
    }
}

/// The ids as they reach the verifier: as a set, in ascending order.
fn ids(root: &Section<'_>, out: &mut Assessment) {
    const IDS: &str = "aux_hidden_state_layer_ids";
    let Ok(Some(listed)) = root.usize_list(IDS) else {
        return;
    };
    let mut taken = listed.clone();
    taken.sort_unstable();
    taken.dedup();
    if taken.len() < listed.len() {
        out.stop(
            format!(
                "`{IDS}` lists {} ids of which {} differ, and vLLM captures each state once",
                listed.len(),
                taken.len()
            ),
            root.place(IDS),
        );
    } else if taken != listed {
        out.assume(
            IDS,
            format!("{taken:?}"),
            Fit::Wrong(format!("{listed:?}")),
            root.place(IDS),
            "it concatenates the states in ascending order, whatever the order of the list",
        );
    }
}

/// Per draft layer, whether it slides.
fn sliding(root: &Section<'_>) -> Vec<bool> {
    let layers = root
        .usize("transformer_layer_config.num_hidden_layers")
        .ok()
        .flatten()
        .unwrap_or(1);
    let types = root
        .get("transformer_layer_config.layer_types")
        .and_then(Value::as_array);
    (0..layers.min(crate::verifier::MOST_LAYERS))
        .map(|layer| {
            types
                .and_then(|types| types.get(layer))
                .and_then(Value::as_str)
                == Some("sliding_attention")
        })
        .collect()
}
