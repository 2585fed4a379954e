//! llama.cpp 0.5.0, read from its sources: what an EAGLE-3 head has to be for its GGUF loader.

use super::commands::{quoted, windows};
use super::{Assessment, Fit, Subject};
use crate::head::{DraftLayer, Head, Layout};
use crate::speculator::{Algorithm, Speculator};
use crate::verifier::HiddenAct;

const IDS: &str = "eagle_aux_hidden_state_layer_ids";

pub(super) fn assess(subject: &Subject<'_>, out: &mut Assessment) {
    if let Some(Speculator::Eagle(_)) = subject.speculator {
        out.refuse(
            "llama.cpp runs no EAGLE-1 heads".to_owned(),
            crate::Place::file(subject.dir),
        );
        return;
    }
    let before = out.findings.len();
    if let Some(head) = subject.head() {
        represented(head, out);
    }
    if let Some(head) = subject.head().filter(|head| head.layout == Layout::Gguf) {
        let file = head
            .checkpoint
            .files()
            .first()
            .map_or(subject.dir, |path| path);
        out.judged = true;
        out.commands.push(format!(
            "llama-speculative-simple -m VERIFIER.gguf -md {} --spec-type draft-eagle3 --draft-max {}",
            quoted(&file.display().to_string()),
            head.description.speculative_tokens
        ));
        return;
    }
    let possible = subject.head().is_some() && out.findings.len() == before;
    let finding = out.refuse(
        "llama.cpp reads GGUF files, and this is none".to_owned(),
        crate::Place::file(subject.dir),
    );
    if possible {
        finding
            .notes
            .push("the head can be written as one: nothing in it is beyond the format".to_owned());
        finding.help = Some("convert it with `speculators convert --to gguf`".to_owned());
    } else if subject.head().is_some() {
        finding
            .notes
            .push("the other findings say what keeps it from being written as one".to_owned());
    }
}

/// What the architecture `eagle3` of a GGUF file has no place for.
fn represented(head: &Head, out: &mut Assessment) {
    let description = &head.description;
    let config = head.checkpoint.config();
    let place = |canonical: &str| {
        let name = head.tensors.get(canonical);
        head.checkpoint
            .place(name.map_or(canonical, String::as_str))
    };
    if description.num_hidden_layers != 1 {
        out.stop(
            format!(
                "the head has {} layers, and llama.cpp runs heads of one",
                description.num_hidden_layers
            ),
            config.place_of("num_hidden_layers"),
        );
    }
    let states = description.aux_layer_ids.len();
    if !matches!(states, 0 | 3) {
        out.stop(
            format!("the head reads {states} states, and llama.cpp gives a head three"),
            config.place_of(IDS),
        );
    }
    if description.norm_output {
        out.stop(
            "`norm_output` is true, and llama.cpp feeds the state before the norm back".to_owned(),
            config.place_of("norm_output"),
        );
    }
    if description.hidden_act != HiddenAct::Silu {
        out.stop(
            "llama.cpp runs heads with `silu` only".to_owned(),
            config.place_of("hidden_act"),
        );
    }
    let missing = [
        (description.algorithm == Algorithm::PEagle, "mask_hidden"),
        (description.fc_norm, "fc_norm.0.weight"),
        (description.fc_bias, "fc.bias"),
        (
            description.draft_layer == DraftLayer::Qwen3,
            "layers.0.self_attn.q_norm.weight",
        ),
        (description.attention_bias, "layers.0.self_attn.q_proj.bias"),
        (description.mlp_bias, "layers.0.mlp.gate_proj.bias"),
    ];
    for (has, tensor) in missing {
        if has {
            out.misplaced(
                format!("llama.cpp has no place for `{tensor}`"),
                place(tensor),
            );
        }
    }
    if description.sliding_window.iter().any(Option::is_some) {
        out.assume(
            "sliding_window",
            "full attention",
            Fit::Wrong(windows(&description.sliding_window)),
            config.place_of("sliding_window"),
            "its heads have no window",
        );
    }
}
