//! An EAGLE-1, EAGLE-2 or HASS head in vLLM.

use super::super::{Assessment, Fit, Subject};
use super::{command, native};
use crate::eagle::EagleHead;
use crate::verifier::HiddenAct;

/// Architectures of EAGLE-1 heads with ordinary attention.
const ARCHITECTURES: [&str; 2] = ["EagleLlamaForCausalLM", "EagleMistralForCausalLM"];

pub(super) fn assess(subject: &Subject<'_>, head: &EagleHead, out: &mut Assessment) {
    out.judged = true;
    native::architecture(subject, "Eagle", &ARCHITECTURES, out);
    native::prefixes(&head.checkpoint, head.tensors.values(), out);
    let strange = head.tensors.iter().filter(|(canonical, _)| {
        *canonical == "fc.bias"
            || canonical.ends_with("_layernorm.weight") && !canonical.starts_with("layers.")
    });
    for (_, name) in strange {
        let finding = out.misplaced(
            format!("vLLM has no place for `{name}`"),
            head.checkpoint.place(name),
        );
        finding.notes.push(
            "its EAGLE-1 heads have neither a bias after `fc` nor norms of their own".to_owned(),
        );
    }
    if head.description.hidden_act != HiddenAct::Silu {
        out.stop(
            "vLLM runs draft layers with `silu` only".to_owned(),
            subject.config.place_of("hidden_act"),
        );
    }
    for tensor in ["embed_tokens.weight", "lm_head.weight"] {
        if !head.tensors.contains_key(tensor) {
            out.assume(
                tensor,
                "the verifier's",
                Fit::Right,
                head.checkpoint.weights_place(),
                "the checkpoint has none of its own",
            );
        }
    }
    out.commands.push(command(subject, "eagle", false));
}
