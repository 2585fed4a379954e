//! A head in the layout of its trainer: its config goes through a class of transformers, its architecture through a list
//! of names, its tensors to modules of the same names.

use super::super::{Assessment, Fit, Subject};
use super::{command, eagle3};
use crate::checkpoint::Checkpoint;
use crate::head::Head;
use crate::speculator::Algorithm;

const IDS: &str = "eagle_aux_hidden_state_layer_ids";

/// Architectures of EAGLE-3 heads with ordinary attention.
const ARCHITECTURES: [&str; 6] = [
    "Eagle3LlamaForCausalLM",
    "LlamaForCausalLMEagle3",
    "Eagle3MiniMaxM2ForCausalLM",
    "Eagle3Qwen2_5vlForCausalLM",
    "Eagle3Qwen3vlForCausalLM",
    "Eagle3Qwen3ForCausalLM",
];

pub(super) fn assess(subject: &Subject<'_>, head: &Head, out: &mut Assessment) {
    out.judged = true;
    let root = subject.config.root();
    architecture(subject, "Eagle3", &ARCHITECTURES, out);
    if root
        .map()
        .get("target_hidden_size")
        .is_some_and(serde_json::Value::is_null)
    {
        out.stop(
            "`target_hidden_size` is null, and vLLM multiplies it by the number of states"
                .to_owned(),
            root.place("target_hidden_size"),
        )
        .help = Some("leave the key out where the widths are equal".to_owned());
    }
    eagle3::width(
        head,
        &root,
        &root.usize_list(IDS).ok().flatten().unwrap_or_default(),
        out,
    );
    ids(subject, head, out);
    eagle3::norms(subject, head, out);
    names(head, out);
    biases(subject, head, out);
    eagle3::tensors(subject, head, out);
    eagle3::shared(subject, head, out);
    let parallel = head.description.algorithm == Algorithm::PEagle;
    if parallel
        && ["mask_token_id", "pard_token", "ptd_token_id"]
            .iter()
            .all(|key| root.get(key).is_none())
    {
        out.stop(
            "vLLM reads no mask token: `pard_token` is not set, nor any other name of it"
                .to_owned(),
            subject.config.place_of("architectures"),
        )
        .help = head
            .description
            .mask_token_id
            .map(|token| format!("set `pard_token` to {token}"));
    }
    out.commands.push(command(subject, "eagle3", parallel));
}

/// The method's name is put before an architecture that does not have it yet; what results has to be on the list.
pub(super) fn architecture(
    subject: &Subject<'_>,
    prefix: &str,
    known: &[&str],
    out: &mut Assessment,
) {
    let root = subject.config.root();
    let place = subject.config.place_of("architectures");
    let wrapped = root.get("model").is_some();
    if root.get("model_type").is_none() {
        out.stop(
            "`model_type` is not set, and vLLM finds no config class without it".to_owned(),
            place.clone(),
        )
        .help = Some("set it to `llama`".to_owned());
    }
    let key = if wrapped {
        "model.architectures"
    } else {
        "architectures"
    };
    let listed = root.str_list(key).ok().flatten();
    let Some(first) = listed.as_ref().and_then(|listed| listed.first()) else {
        out.refuse(
            format!("vLLM chooses the head by `{key}`, which is not set"),
            place,
        );
        return;
    };
    let taken = if first.starts_with(prefix) || prefix == "Eagle3" && first.ends_with(prefix) {
        first.clone()
    } else {
        format!("{prefix}{first}")
    };
    if !known.contains(&taken.as_str()) {
        let finding = out.refuse(format!("vLLM knows no architecture `{taken}`"), place);
        if taken != *first {
            finding.notes.push(format!(
                "the config says `{first}`, and vLLM puts `{prefix}` before it"
            ));
        }
    }
}

/// Ids are taken as the speculators layout counts them, wherever they stand.
fn ids(subject: &Subject<'_>, head: &Head, out: &mut Assessment) {
    let root = subject.config.root();
    let nested = format!("eagle_config.{IDS}");
    let top = root
        .usize_list(IDS)
        .ok()
        .flatten()
        .filter(|ids| !ids.is_empty());
    let (key, taken, reason) = match top {
        Some(ids) => (IDS, ids, "it counts the layers that have run"),
        None => match root.usize_list(&nested).ok().flatten() {
            Some(ids) if !ids.is_empty() => (
                nested.as_str(),
                ids,
                "it takes the ids of `eagle_config` as they stand, where trainers mean the output of that layer, \
                 one more; its newer runner does not read them at all",
            ),
            _ => {
                eagle3::default_ids(subject, head, out);
                return;
            }
        },
    };
    let has = &head.description.aux_layer_ids;
    let mut sorted = taken.clone();
    sorted.sort_unstable();
    if sorted != *has {
        out.assume(
            IDS,
            format!("{sorted:?}"),
            Fit::Wrong(format!("{has:?}")),
            root.place(key),
            reason,
        );
    }
}

/// Names are taken with `model.` before them; anything else in front leads nowhere.
pub(super) fn prefixes<'a>(
    checkpoint: &Checkpoint,
    names: impl Iterator<Item = &'a String>,
    out: &mut Assessment,
) {
    let prefixes = ["model.", "module.", "draft_model."];
    let prefixed = |name: &&String| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let mut strays = names.filter(prefixed);
    if let Some(first) = strays.next() {
        let title = match strays.count() {
            0 => format!("vLLM has no place for `{first}`"),
            more => format!("vLLM has no place for `{first}` and {more} more with a prefix"),
        };
        let finding = out.misplaced(title, checkpoint.place(first));
        finding
            .notes
            .push("it puts `model.` before each name itself".to_owned());
        finding.help = Some("convert the head, which takes the prefix off".to_owned());
    }
}

fn names(head: &Head, out: &mut Assessment) {
    prefixes(&head.checkpoint, head.tensors.values(), out);
    let numbered = |(_, name): &(&String, &String)| {
        name.strip_prefix("midlayer.")
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    if let Some((canonical, name)) = head.tensors.iter().find(numbered) {
        let finding = out.misplaced(
            format!("vLLM has no place for `{name}`"),
            head.checkpoint.place(name),
        );
        finding.notes.push(format!("it looks for `{canonical}`"));
    }
    for (canonical, name) in &head.tensors {
        if canonical.ends_with(".input_layernorm.weight") && name.ends_with(".hidden_norm.weight") {
            let finding = out.misplaced(
                format!("vLLM looks for `{canonical}`, which the checkpoint calls `{name}`"),
                head.checkpoint.place(name),
            );
            finding.notes.push(
                "a tensor that is not found keeps what memory held, without a word".to_owned(),
            );
        }
    }
}

/// Biases are made room for by flags, not by what the file holds.
fn biases(subject: &Subject<'_>, head: &Head, out: &mut Assessment) {
    let root = subject.config.root();
    let set = |key: &str| root.bool(key) == Ok(Some(true));
    let attention = head.description.attention_bias && !set("attention_bias");
    let mlp = head.description.mlp_bias && !set("mlp_bias");
    for (found, key, tensor) in [
        (
            attention,
            "attention_bias",
            "layers.0.self_attn.q_proj.bias",
        ),
        (mlp, "mlp_bias", "layers.0.mlp.gate_proj.bias"),
    ] {
        if found {
            let name = head.tensors.get(tensor).map_or(tensor, String::as_str);
            out.misplaced(
                format!("vLLM has no place for `{name}`, because `{key}` is not set"),
                head.checkpoint.place(name),
            )
            .help = Some(format!("set `{key}` to true"));
        }
    }
}
