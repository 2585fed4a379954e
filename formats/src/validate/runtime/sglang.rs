//! SGLang 0.5.23, from its sources as far as EAGLE-3 heads go.
//!
//! It reads the layout of the head's trainer: a Llama config whose `architectures` names the class, and `midlayer.*`.
//! Tensors it has no place for are skipped and places no tensor is found for stay as they are, both in silence; so what
//! would stop another loader is an error here too.

use super::commands::{directory, verifier, windows};
use super::{Assessment, Fit, Subject};
use crate::eagle::EagleHead;
use crate::head::{DraftLayer, Head};
use crate::speculator::{Algorithm, Speculator};
use crate::verifier::HiddenAct;

const IDS: &str = "eagle_aux_hidden_state_layer_ids";
const CLASS: &str = "LlamaForCausalLMEagle3";
const REMEDY: &str = "rewrite it with `speculators convert --to sglang`";

pub(super) fn assess(subject: &Subject<'_>, out: &mut Assessment) {
    if let Some(Speculator::Eagle(head)) = subject.speculator {
        eagle(subject, head, out);
        return;
    }
    let root = subject.config.root();
    let speculators = root.get("speculators_model_type").is_some();
    let before = out.findings.len();
    if let Some(head) = subject.head() {
        represented(head, out);
    }
    let possible = out.findings.len() == before;
    if speculators {
        let finding = out.refuse(
            "SGLang does not read the speculators layout".to_owned(),
            root.place("speculators_model_type"),
        );
        finding.notes.push(
            "it finds a config class by `model_type` and the head by `architectures`, and the layout has neither"
                .to_owned(),
        );
        if possible && subject.head().is_some() {
            finding.help = Some(REMEDY.to_owned());
        }
        return;
    }
    let Some(head) = subject.head() else {
        return; // another finding says what keeps the head from being opened, or nothing is known about its kind
    };
    out.judged = true;
    class(subject, CLASS, out);
    width(subject, head, out);
    ids(subject, head, out);
    names(head, out);
    shared(subject, head, out);
    out.commands.push(launch(
        subject,
        "EAGLE3",
        head.description.speculative_tokens,
    ));
}

fn launch(subject: &Subject<'_>, algorithm: &str, tokens: usize) -> String {
    launched(
        &verifier(subject),
        &directory(subject.dir),
        algorithm,
        tokens,
    )
}

/// The command for a head that SGLang reads, drafting a chain of so many tokens; the number of draft tokens that SGLang is
/// given counts the root, too. Verifier and head are words of a shell.
#[must_use]
pub fn launched(verifier: &str, head: &str, algorithm: &str, tokens: usize) -> String {
    format!(
        "python -m sglang.launch_server --model-path {verifier} --speculative-algorithm {algorithm} \
         --speculative-draft-model-path {head} --speculative-num-steps {tokens} --speculative-eagle-topk 1 \
         --speculative-num-draft-tokens {}",
        tokens + 1,
    )
}

/// What no config can make SGLang do.
fn represented(head: &Head, out: &mut Assessment) {
    let description = &head.description;
    let config = head.checkpoint.config();
    let place = |canonical: &str| {
        let name = head.tensors.get(canonical);
        head.checkpoint
            .place(name.map_or(canonical, String::as_str))
    };
    if description.norm_before_residual {
        out.stop(
            "`norm_before_residual` is true, and SGLang adds the state before the norm".to_owned(),
            config.place_of("norm_before_residual"),
        );
    }
    if description.norm_before_fc {
        out.misplaced(
            "SGLang skips `input_norm.weight`: it has no norm over the joined states".to_owned(),
            place("input_norm.weight"),
        );
    }
    if description.algorithm == Algorithm::PEagle {
        out.misplaced(
            "SGLang skips `mask_hidden`: it lets a head of this class draft one token after another"
                .to_owned(),
            place("mask_hidden"),
        );
    }
    if description.draft_layer == DraftLayer::Qwen3 {
        out.misplaced(
            "SGLang skips `layers.0.self_attn.q_norm.weight`: its layers do not normalize q and k"
                .to_owned(),
            place("layers.0.self_attn.q_norm.weight"),
        );
    }
    if description.attention_bias {
        out.misplaced(
            "SGLang skips `layers.0.self_attn.q_proj.bias`: its first layer has no such biases"
                .to_owned(),
            place("layers.0.self_attn.q_proj.bias"),
        );
    }
    if description.mlp_bias {
        out.misplaced(
            "SGLang skips `layers.0.mlp.gate_proj.bias`: its layers have no such biases".to_owned(),
            place("layers.0.mlp.gate_proj.bias"),
        );
    }
    if description.hidden_act != HiddenAct::Silu {
        out.stop(
            "SGLang runs draft layers with `silu` only".to_owned(),
            config.place_of("hidden_act"),
        );
    }
    if description.sliding_window.iter().any(Option::is_some) {
        out.assume(
            "sliding_window",
            "full attention",
            Fit::Wrong(windows(&description.sliding_window)),
            config.place_of("sliding_window"),
            "its draft layers have no window",
        );
    }
    if description.aux_layer_ids.first() == Some(&0) {
        out.stop(
            "the head reads the embeddings (layer 0), and SGLang can only read what a layer puts out"
                .to_owned(),
            config.place_of(IDS),
        );
    }
}

/// A head of EAGLE-1, whose class adds a bias after `fc` unless it is told not to.
fn eagle(subject: &Subject<'_>, head: &EagleHead, out: &mut Assessment) {
    const CLASSES: [&str; 2] = ["LlamaForCausalLMEagle", "Qwen2ForCausalLMEagle"];
    out.judged = true;
    let root = subject.config.root();
    if root.get("speculators_model_type").is_some() {
        out.refuse(
            "SGLang does not read the speculators layout".to_owned(),
            root.place("speculators_model_type"),
        )
        .help = Some("rewrite it with `speculators convert --to eagle`".to_owned());
        return;
    }
    let listed = root.str_list("architectures").ok().flatten();
    let first = listed.as_ref().and_then(|listed| listed.first());
    let wanted = match first {
        Some(first) if CLASSES.contains(&first.as_str()) => first.clone(),
        Some(first) if first.starts_with("Qwen2") => CLASSES[1].to_owned(),
        _ => CLASSES[0].to_owned(),
    };
    class(subject, &wanted, out);
    let bias = root.bool("bias").ok().flatten().unwrap_or(true);
    if bias && !head.description.fc_bias {
        let finding = out.misplaced(
            "SGLang makes room for `fc.bias`, which the checkpoint does not have".to_owned(),
            head.checkpoint.weights_place(),
        );
        finding
            .notes
            .push("a tensor that is not found keeps what memory held, without a word".to_owned());
        finding.help = Some("set `bias` to false".to_owned());
    }
    let norms = head.tensors.iter().find(|(canonical, _)| {
        canonical.ends_with("_layernorm.weight") && !canonical.starts_with("layers.")
    });
    if let Some((_, name)) = norms {
        out.misplaced(
            format!("SGLang skips `{name}`: its EAGLE-1 heads have no such norm"),
            head.checkpoint.place(name),
        );
    }
    out.commands.push(launch(subject, "EAGLE", 3));
}

fn class(subject: &Subject<'_>, wanted: &str, out: &mut Assessment) {
    let root = subject.config.root();
    let listed = root
        .str_list("architectures")
        .ok()
        .flatten()
        .unwrap_or_default();
    if listed.first().is_none_or(|first| first != wanted) {
        let named = listed.first().map_or("nothing", String::as_str);
        let finding = out.refuse(
            format!("SGLang finds the head by the architecture `{wanted}`, but the config names `{named}`"),
            subject.config.place_of("architectures"),
        );
        finding
            .notes
            .push("another class loads the tensors under other names, or skips them".to_owned());
        finding.help = Some(format!("set `architectures` to `[\"{wanted}\"]`"));
    }
    if root.get("model_type").is_none() {
        out.stop(
            "`model_type` is not set, and SGLang finds no config class without it".to_owned(),
            subject.config.place_of("architectures"),
        )
        .help = Some("set it to `llama`".to_owned());
    }
    if root.bool("tie_word_embeddings") == Ok(Some(true))
        && subject
            .head()
            .is_some_and(|head| head.tensors.contains_key("lm_head.weight"))
    {
        out.assume(
            "lm_head.weight",
            "the embedding",
            Fit::Wrong("an output matrix of its own".to_owned()),
            root.place("tie_word_embeddings"),
            "`tie_word_embeddings` is true",
        );
    }
    if root.bool("bias") != Ok(Some(true))
        && let Some(head) = subject.head()
        && let Some(name) = head.tensors.get("fc.bias")
    {
        out.misplaced(
            format!("SGLang skips `{name}`, because `bias` is not set"),
            head.checkpoint.place(name),
        )
        .help = Some("set `bias` to true".to_owned());
    }
}

/// How many states `fc` is built for.
fn width(subject: &Subject<'_>, head: &Head, out: &mut Assessment) {
    let root = subject.config.root();
    let ids = |key: &str| {
        let list = root.usize_list(key).ok().flatten();
        list.map(|list| list.len()).filter(|count| *count > 0)
    };
    let taken = root.usize("num_aux_hidden_states").ok().flatten();
    let taken = taken
        .or_else(|| ids(&format!("eagle_config.{IDS}")))
        .or_else(|| ids(IDS))
        .unwrap_or(3);
    let target = head.description.target_hidden_size;
    let inputs = head
        .tensor("fc.weight")
        .and_then(|fc| fc.shape.get(1).copied());
    let has = inputs
        .and_then(|inputs| inputs.checked_div(target))
        .unwrap_or(taken);
    if taken != has {
        out.stop(
            format!("SGLang builds `fc` for {taken} states, but the head reads {has}"),
            subject.config.place_of("num_aux_hidden_states"),
        )
        .help = Some(format!("set `num_aux_hidden_states` to {has}"));
    }
}

/// Ids of `eagle_config` name the layer whose output is read; ids at the top are counted and otherwise ignored.
fn ids(subject: &Subject<'_>, head: &Head, out: &mut Assessment) {
    let root = subject.config.root();
    let nested = format!("eagle_config.{IDS}");
    let has = &head.description.aux_layer_ids;
    let layers = subject
        .verifier
        .map(|(verifier, _)| verifier.num_hidden_layers);
    match root.usize_list(&nested).ok().flatten() {
        Some(ids) if !ids.is_empty() => {
            // gpt-oss heads are known to count otherwise, which shows where an id is the number of layers.
            let past = layers.is_some_and(|layers| ids.contains(&layers));
            let taken: Vec<usize> = ids
                .iter()
                .map(|id| if past { *id } else { id + 1 })
                .collect();
            if taken != *has {
                out.assume(
                    IDS,
                    format!("{taken:?}"),
                    Fit::Wrong(format!("{has:?}")),
                    root.place(&nested),
                    "it reads the output of the layers that `eagle_config` names",
                );
            }
        }
        _ => {
            let top = root.get(IDS).is_some();
            let reason = if top {
                "it counts the ids at the top of the config and does not read them"
            } else {
                "the config lists no ids"
            };
            let place = subject
                .config
                .place_of(if top { IDS } else { "architectures" });
            match layers {
                Some(layers) => {
                    let taken = vec![2, layers / 2, layers.saturating_sub(3)];
                    let fit = if taken != *has {
                        Fit::Wrong(format!("{has:?}"))
                    } else if top {
                        Fit::Right
                    } else {
                        Fit::Unknown
                    };
                    out.assume(IDS, format!("{taken:?}"), fit, place, reason);
                }
                None => out.assume(IDS, "2, n/2 and n - 3", Fit::Unknown, place, reason),
            }
        }
    }
}

fn names(head: &Head, out: &mut Assessment) {
    let strange = |name: &&String| {
        ["module.", "draft_model."]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    if let Some(name) = head.tensors.values().find(strange) {
        out.misplaced(
            format!("SGLang skips `{name}`: it knows no such prefix"),
            head.checkpoint.place(name),
        )
        .help = Some(REMEDY.to_owned());
    }
    for (canonical, name) in &head.tensors {
        let later =
            canonical.ends_with(".input_layernorm.weight") && !canonical.starts_with("layers.0.");
        if later && name.ends_with("input_layernorm.weight") {
            let finding = out.misplaced(
                format!("SGLang looks for the norm `{name}` under `hidden_norm`"),
                head.checkpoint.place(name),
            );
            finding.notes.push(
                "layers after the first are given one input, whose norm it calls so".to_owned(),
            );
            finding.help = Some(REMEDY.to_owned());
        }
    }
}

fn shared(subject: &Subject<'_>, head: &Head, out: &mut Assessment) {
    if !head.description.own_embeddings {
        out.assume(
            "embed_tokens.weight",
            "the verifier's",
            Fit::Right,
            head.checkpoint.weights_place(),
            "the checkpoint has none of its own",
        );
    }
    let root = subject.config.root();
    let written = root.bool("norm_output").ok().flatten().unwrap_or(false);
    if written != head.description.norm_output {
        out.assume(
            "norm_output",
            written,
            Fit::Wrong(head.description.norm_output.to_string()),
            root.place("norm_output"),
            "it reads the key as it stands",
        );
    }
}
