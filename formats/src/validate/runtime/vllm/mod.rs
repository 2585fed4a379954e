//! vLLM 0.32, read from its sources.
//!
//! A checkpoint in the speculators layout is recognized by `speculators_config`; of the rest vLLM reads
//! `speculators_model_type`, the first proposal method, the verifier's name, `transformer_layer_config` as a bare config
//! without defaults, and a handful of keys per kind. Any other checkpoint goes through the config classes of
//! transformers, which do have defaults.

mod blocks;
mod decoder;
mod eagle;
mod eagle3;
mod mtp;
mod native;

use std::path::Path;

use serde_json::{Value, json};

use super::commands::{directory, quoted, verifier};
use super::{Assessment, Subject};
use crate::diagnostic::Level;
use crate::speculator::Speculator;

/// Kinds of the speculators layout that vLLM loads.
const KINDS: [&str; 5] = ["eagle3", "peagle", "dflash", "dflash2", "dspark"];

pub(super) fn assess(subject: &Subject<'_>, out: &mut Assessment) {
    let root = subject.config.root();
    match root.str("speculators_model_type") {
        Ok(Some(kind)) => speculators(subject, kind, out),
        _ if root.get("speculators_config").is_some() => {
            out.refuse(
                "vLLM looks for `speculators_model_type`, which is not there".to_owned(),
                root.place("speculators_config"),
            );
        }
        _ => match subject.speculator {
            Some(Speculator::Eagle3(head)) => native::assess(subject, head, out),
            Some(Speculator::Eagle(head)) => eagle::assess(subject, head, out),
            Some(Speculator::Mtp(head)) => mtp::assess(subject, head, out),
            // What it reads of a block drafter in its trainer's layout is not written down here yet.
            Some(Speculator::Block(_)) => {}
            None => {} // another finding says what keeps the head from being opened
        },
    }
}

fn speculators(subject: &Subject<'_>, kind: &str, out: &mut Assessment) {
    out.judged = true;
    let root = subject.config.root();
    if !KINDS.contains(&kind) {
        let finding = out.refuse(
            format!("vLLM does not load speculators checkpoints of kind `{kind}`"),
            root.place("speculators_model_type"),
        );
        finding.notes.push(format!("it loads {}", KINDS.join(", ")));
        if kind == "mtp" {
            finding.help = Some(
                "put the head back into its verifier with `speculators stitch-mtp`; vLLM serves it from there"
                    .to_owned(),
            );
        }
        return;
    }
    if root.get("speculators_config").is_none() {
        out.refuse(
            "vLLM knows the layout by `speculators_config`, which is not there".to_owned(),
            root.place("speculators_model_type"),
        );
        return;
    }
    if let Ok(Some(model_type)) = root.str("model_type")
        && model_type != "speculators"
    {
        let finding = out.stop(
            format!(
                "`model_type` at the top of the config is `{model_type}`, so that vLLM reads another layout"
            ),
            root.place("model_type"),
        );
        finding.help = Some(
            "take `model_type` out of the top level; it belongs into `transformer_layer_config`"
                .to_owned(),
        );
    }
    decoder::check(subject, kind, out);
    if kind != "eagle3" {
        blocks::check(subject, kind, out);
    }
    if matches!(kind, "eagle3" | "peagle") {
        eagle3::check(subject, out);
    }
    let short = short_form(subject, out);
    let refused = out
        .findings
        .iter()
        .any(|finding| finding.level == Level::Error);
    if !refused {
        if short {
            out.commands
                .push(format!("vllm serve {}", directory(subject.dir)));
        }
        let (method, parallel) = match kind {
            "peagle" => ("eagle3", true),
            "dflash2" => ("dflash", false),
            other => (other, false),
        };
        out.commands.push(command(subject, method, parallel));
    }
}

/// `vllm serve DIR` takes everything from the config, the verifier included; whether it can.
fn short_form(subject: &Subject<'_>, out: &mut Assessment) -> bool {
    const NAME: &str = "speculators_config.verifier.name_or_path";
    const METHODS: &str = "speculators_config.proposal_methods";
    let root = subject.config.root();
    let methods = root.get(METHODS).and_then(Value::as_array);
    let first = methods.and_then(|methods| methods.first()?.get("speculative_tokens"));
    if let Some(tokens) = first
        && methods.is_some_and(|methods| methods.len() > 1)
    {
        let taken = format!("{tokens} draft tokens");
        let reason = "it reads the first proposal method and no other";
        out.assume(
            METHODS,
            taken,
            super::Fit::Right,
            root.place(METHODS),
            reason,
        );
    }
    let Ok(Some(name)) = root.str(NAME) else {
        out.verifier(
            format!("`{NAME}` is not set, so that `vllm serve` cannot be given the head alone"),
            subject.config.place_of("speculators_config.verifier"),
        )
        .help = Some("name the verifier there, or serve it with `--speculative-config`".to_owned());
        return false;
    };
    if first.is_none() {
        return false; // S408 says so
    }
    if is_path(name) && !Path::new(name).is_dir() {
        out.verifier(
            format!("the config names the verifier `{name}`, a path that is not here"),
            root.place(NAME),
        )
        .notes
        .push("`vllm serve` given the head alone loads the verifier from there".to_owned());
        return false;
    }
    true
}

/// Whether a verifier's name can only be a path: a name on the Hub has one slash and does not begin with a dot.
fn is_path(name: &str) -> bool {
    name.starts_with(['/', '.', '~']) || name.matches('/').count() > 1 || name.contains('\\')
}

/// The command that works for every head: the verifier, and the head as an option.
fn command(subject: &Subject<'_>, method: &str, parallel: bool) -> String {
    let methods = subject
        .config
        .root()
        .get("speculators_config.proposal_methods");
    let tokens = methods
        .and_then(|methods| methods.get(0)?.get("speculative_tokens")?.as_u64())
        .unwrap_or(3);
    let mut settings = json!({
        "model": subject.dir.display().to_string(),
        "method": method,
        "num_speculative_tokens": tokens,
    });
    if parallel {
        settings["parallel_drafting"] = json!(true);
    }
    // As people write JSON on a command line: spaces after colons and commas.
    let fields = settings.as_object().into_iter().flatten();
    let fields: Vec<String> = fields
        .map(|(key, value)| format!("\"{key}\": {value}"))
        .collect();
    format!(
        "vllm serve {} --speculative-config {}",
        verifier(subject),
        quoted(&format!("{{{}}}", fields.join(", ")))
    )
}
