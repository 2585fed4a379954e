//! An EAGLE-3 or P-EAGLE head in vLLM: which states of the verifier it is given, which norms it runs, where its tensors go.

use safetensors::Dtype;

use super::super::{Assessment, Fit, Subject};
use crate::config::Section;
use crate::head::{DraftLayer, Head, Layout};
use crate::speculator::Algorithm;
use crate::verifier::FloatType;

const IDS: &str = "eagle_aux_hidden_state_layer_ids";

/// Rules for the speculators layout.
pub(super) fn check(subject: &Subject<'_>, out: &mut Assessment) {
    let Some(head) = subject.head() else {
        return;
    };
    let root = subject.config.root();
    let decoder = root.section("transformer_layer_config").ok().flatten();
    let decoder = decoder.as_ref().unwrap_or(&root);
    let listed = root.usize_list(IDS).ok().flatten().unwrap_or_default();
    width(head, decoder, &listed, out);
    if listed.is_empty() {
        default_ids(subject, head, out);
    }
    norms(subject, head, out);
    tensors(subject, head, out);
    shared(subject, head, out);
}

/// How many states `fc` is built for: a Llama head does not look at the list of ids of the speculators layout.
pub(super) fn width(head: &Head, decoder: &Section<'_>, listed: &[usize], out: &mut Assessment) {
    let count = |key: &str| decoder.usize(key).ok().flatten();
    let nested = decoder.get("eagle_config.eagle_aux_hidden_state_layer_ids");
    let nested = nested.and_then(|ids| ids.as_array()).map(Vec::len);
    let qwen3 = head.description.draft_layer == DraftLayer::Qwen3;
    let mut taken = if qwen3 { count("num_aux_layers") } else { None };
    taken = taken.or_else(|| count("num_aux_hidden_states"));
    if qwen3 && !listed.is_empty() {
        taken = taken.or(Some(listed.len()));
    }
    taken = taken.or(nested.filter(|count| *count > 0));
    let has = head.description.aux_layer_ids.len();
    // Before a verifier is known the ids may be; the width of `fc` tells their number all the same.
    let target = head.description.target_hidden_size;
    let inputs = head
        .tensor("fc.weight")
        .and_then(|fc| fc.shape.get(1).copied());
    let has = inputs
        .and_then(|inputs| inputs.checked_div(target))
        .unwrap_or(has);
    let key = decoder.name("num_aux_hidden_states");
    let place = decoder.place("num_aux_hidden_states");
    match taken {
        Some(taken) if taken == has => {}
        None if has == 3 => out.assume(
            &key,
            3,
            Fit::Right,
            head.checkpoint.config().place_of(IDS),
            "it counts the states by this key and takes three without it",
        ),
        taken => {
            let taken_or_default = taken.unwrap_or(3);
            let finding = out.stop(
                format!("vLLM builds `fc` for {taken_or_default} states, but the head reads {has}"),
                if taken.is_some() {
                    place
                } else {
                    head.checkpoint.config().place_of(IDS)
                },
            );
            finding.notes.push(format!(
                "{taken_or_default} x {target} = {} input columns, but `fc.weight` has {}",
                taken_or_default * target,
                has * target
            ));
            finding.help = Some(format!("set `{key}` to {has}"));
        }
    }
}

/// Without ids vLLM asks the verifier's model class, and all of them give the same answer.
pub(super) fn default_ids(subject: &Subject<'_>, head: &Head, out: &mut Assessment) {
    let place = subject.config.place_of("speculators_model_type");
    let reason = "the config lists no ids; it takes the verifier's layers 2, n/2 and n - 3 then";
    match subject.verifier {
        Some((verifier, _)) => {
            let layers = verifier.num_hidden_layers;
            let taken = vec![2, layers / 2, layers.saturating_sub(3)];
            // The description guesses by the same rule, so that agreement proves nothing.
            let fit = if taken == head.description.aux_layer_ids {
                Fit::Unknown
            } else {
                Fit::Wrong(format!("{:?}", head.description.aux_layer_ids))
            };
            out.assume(IDS, format!("{taken:?}"), fit, place, reason);
        }
        None => out.assume(IDS, "2, n/2 and n - 3", Fit::Unknown, place, reason),
    }
}

/// The flags as vLLM reads them at the top of the config, against what the head was found to have.
pub(super) fn norms(subject: &Subject<'_>, head: &Head, out: &mut Assessment) {
    let root = subject.config.root();
    let description = &head.description;
    let written = |key: &str| root.bool(key).ok().flatten();
    // The default of the layout is true for one kind only.
    let default = head.layout == Layout::Speculators && description.algorithm == Algorithm::Eagle3;
    let flags = [
        (
            "norm_before_residual",
            description.norm_before_residual,
            default,
        ),
        ("norm_output", description.norm_output, false),
    ];
    for (key, has, default) in flags {
        let guessed = head
            .decisions
            .iter()
            .any(|decision| decision.guess && decision.subject == key);
        match written(key) {
            Some(taken) if taken != has => {
                let reason = "the config says so, and it reads the key as it stands";
                out.assume(
                    key,
                    taken,
                    Fit::Wrong(has.to_string()),
                    root.place(key),
                    reason,
                );
            }
            None if guessed || default != has => {
                let fit = if guessed {
                    Fit::Unknown
                } else {
                    Fit::Wrong(has.to_string())
                };
                let reason = "the config does not say at the top level, and this is its default";
                out.assume(key, default, fit, root.place("architectures"), reason);
            }
            _ => {}
        }
    }
    let nested = root.bool("eagle_config.norm_before_fc").ok().flatten();
    let before = nested.or(written("norm_before_fc")).unwrap_or(false);
    if description.norm_before_fc && !before {
        let reason = "the config does not set the flag at the top level, and without it \
                      `input_norm.weight` is skipped in silence";
        out.assume(
            "norm_before_fc",
            false,
            Fit::Wrong("true".to_owned()),
            head.checkpoint.place("input_norm.weight"),
            reason,
        );
    }
    let read = description.algorithm == Algorithm::Eagle3;
    if read && description.fc_norm && written("fc_norm") != Some(true) {
        out.misplaced(
            "vLLM has no place for `fc_norm.*`, because `fc_norm` is not set at the top of the config"
                .to_owned(),
            head.checkpoint.place("fc_norm.0.weight"),
        )
        .help = Some("set `fc_norm` to true".to_owned());
    }
}

/// Tensors that stop the loader, which takes no name it did not make room for.
pub(super) fn tensors(subject: &Subject<'_>, head: &Head, out: &mut Assessment) {
    let place = |canonical: &str| {
        let name = head.tensors.get(canonical);
        head.checkpoint
            .place(name.map_or(canonical, String::as_str))
    };
    if head.tensors.contains_key("fc.bias") {
        out.misplaced(
            "vLLM has no place for `fc.bias`: its `fc` carries none".to_owned(),
            place("fc.bias"),
        );
    }
    if head.description.draft_layer == DraftLayer::Qwen3 && head.description.attention_bias {
        out.misplaced(
            "vLLM has no place for `layers.0.self_attn.o_proj.bias`: its Qwen 3 layers carry none"
                .to_owned(),
            place("layers.0.self_attn.o_proj.bias"),
        );
    }
    let target = subject
        .verifier
        .map_or(head.description.vocab_size, |(verifier, _)| {
            verifier.vocab_size
        });
    if head.tensors.contains_key("d2t") && head.description.draft_vocab_size == target {
        out.misplaced(
            format!(
                "vLLM has no place for `d2t`, because the draft vocabulary has all {target} tokens"
            ),
            place("d2t"),
        )
        .help = Some("leave `d2t` and `t2d` out of the checkpoint".to_owned());
    }
}

/// What it takes from the verifier.
pub(super) fn shared(subject: &Subject<'_>, head: &Head, out: &mut Assessment) {
    if !head.description.own_embeddings {
        out.assume(
            "embed_tokens.weight",
            "the verifier's",
            Fit::Right,
            head.checkpoint.weights_place(),
            "the checkpoint has none of its own",
        );
    }
    let Some((verifier, _)) = subject.verifier else {
        return;
    };
    let config = &head.checkpoint.config();
    let place = |key: &str| {
        let nested = format!("transformer_layer_config.{key}");
        if config.position_of(&nested).is_some() {
            config.place_of(&nested)
        } else {
            config.place_of(key)
        }
    };
    let (ours, theirs) = (
        head.description.max_position_embeddings,
        verifier.max_position_embeddings,
    );
    if ours < theirs {
        out.assume(
            "max_position_embeddings",
            format!("the verifier's {theirs}"),
            Fit::Right,
            place("max_position_embeddings"),
            &format!("the head's {ours} would leave its table of rotations too short"),
        );
    }
    let stored = head.tensor("fc.weight").map(|fc| fc.dtype);
    let kept = matches!(
        (stored, verifier.dtype),
        (Some(Dtype::F32), FloatType::Float32)
            | (Some(Dtype::F16), FloatType::Float16)
            | (Some(Dtype::BF16), FloatType::Bfloat16)
    );
    if !kept && let Some(stored) = stored {
        out.assume(
            "dtype",
            format!("{:?}", verifier.dtype).to_lowercase(),
            Fit::Right,
            place("dtype"),
            &format!("the head runs in the verifier's type; its {stored:?} tensors are converted on loading"),
        );
    }
}
