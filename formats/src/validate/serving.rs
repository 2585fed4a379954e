//! Findings about what the config tells a runtime, or fails to tell it.

use serde_json::Value;

use super::block::unusable_mask_token;
use crate::codes;
use crate::config::{ConfigFile, Section};
use crate::diagnostic::Diagnostic;
use crate::head::{Head, Layout, default_layers};
use crate::speculator::Algorithm;
use crate::verifier::VerifierConfig;

/// Looks at the keys a runtime reads before it reads a tensor.
pub(super) fn check(config: &ConfigFile) -> Vec<Diagnostic> {
    let mut findings = match config.root().section("speculators_config") {
        Ok(Some(section)) => proposal_methods(&section),
        Ok(None) => no_proposal(config).into_iter().collect(),
        Err(found) => vec![found],
    };
    findings.extend(algorithm(config));
    findings.extend(draft_vocab_size(config));
    findings.extend(norm_before_residual(config));
    findings.extend(tied_embeddings(config));
    findings
}

/// The kind of a head in the layout of current loaders; EAGLE-1 left it before these keys mattered.
fn kind(config: &ConfigFile) -> Option<&str> {
    let kind = config.root().str("speculators_model_type").ok().flatten();
    kind.filter(|kind| *kind != "eagle")
}

fn no_proposal(config: &ConfigFile) -> Option<Diagnostic> {
    kind(config)?;
    let title = "`speculators_config` is missing";
    Some(
        Diagnostic::error(codes::PROPOSAL_METHOD, title)
            .at(config.place_of("speculators_model_type"))
            .note("it names the verifier and the number of draft tokens; the Python package and vLLM stop without it")
            .help("convert the head again, which writes it"),
    )
}

/// The kind of head is said twice.
fn algorithm(config: &ConfigFile) -> Option<Diagnostic> {
    const KEY: &str = "speculators_config.algorithm";
    let root = config.root();
    let kind = root.str("speculators_model_type").ok().flatten()?;
    let named = match root.str(KEY) {
        Ok(named) => named.filter(|named| *named != kind)?,
        Err(found) => return Some(found),
    };
    let title = format!("`{KEY}` is `{named}`, but `speculators_model_type` is `{kind}`");
    Some(
        Diagnostic::warning(codes::NOT_REPRESENTABLE, title)
            .at(config.place_of(KEY))
            .note("the Python package and vLLM build the head by `speculators_model_type`")
            .help(format!(
                "set `{KEY}` to `{kind}`, if that is what the head is"
            )),
    )
}

/// Without the key, the Python package assumes 32000 tokens and vLLM the verifier's vocabulary.
fn draft_vocab_size(config: &ConfigFile) -> Option<Diagnostic> {
    const KEY: &str = "draft_vocab_size";
    let kind = kind(config).filter(|kind| *kind != "mtp")?;
    let absent = config.root().get(KEY).is_none_or(Value::is_null);
    absent.then(|| {
        Diagnostic::error(codes::CONFIG_KEY_MISSING, format!("`{KEY}` is missing"))
            .at(config.place_of("speculators_model_type"))
            .note(format!("of a `{kind}` head, the Python package takes 32000 then, whatever the tensors are"))
            .help("write the number of rows of `lm_head.weight`, or of the embedding where there is none")
    })
}

fn proposal_methods(section: &Section<'_>) -> Vec<Diagnostic> {
    const KEY: &str = "proposal_methods";
    let methods = match section.get(KEY) {
        Some(Value::Array(methods)) if !methods.is_empty() => methods,
        Some(Value::Array(_)) | None => {
            return vec![
                Diagnostic::error(
                    codes::PROPOSAL_METHOD,
                    format!("`{}` lists no method", section.name(KEY)),
                )
                .at(section.place(KEY))
                .note("the first entry is where runtimes read the number of draft tokens")
                .help("add `{\"proposal_type\": \"greedy\", \"speculative_tokens\": 3}`"),
            ];
        }
        Some(_) => {
            let title = format!("`{}` has to be a list of objects", section.name(KEY));
            return vec![Diagnostic::error(codes::CONFIG_TYPE, title).at(section.place(KEY))];
        }
    };
    let mut findings = Vec::new();
    for (position, method) in methods.iter().enumerate() {
        let key = format!("{KEY}.{position}.speculative_tokens");
        let tokens = method.get("speculative_tokens");
        if let Some(tokens) = tokens.and_then(Value::as_i64).filter(|&tokens| tokens < 1) {
            findings.push(
                Diagnostic::error(
                    codes::PROPOSAL_METHOD,
                    format!("`{}` is {tokens}, below 1", section.name(&key)),
                )
                .at(section.place(&key))
                .note("each step drafts at least one token"),
            );
        }
    }
    findings.extend(default_method(section, methods));
    findings
}

fn default_method(section: &Section<'_>, methods: &[Value]) -> Option<Diagnostic> {
    const KEY: &str = "default_proposal_method";
    let default = match section.str(KEY) {
        Ok(default) => default,
        Err(found) => return Some(found),
    };
    let types: Vec<&str> = methods
        .iter()
        .filter_map(|method| method.get("proposal_type")?.as_str())
        .collect();
    let listed = types
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    let title = match default {
        Some(default) if types.contains(&default) => return None,
        Some(default) => {
            format!("the default proposal method `{default}` is not in `proposal_methods`")
        }
        None => format!("`{}` is not set", section.name(KEY)),
    };
    let finding = Diagnostic::error(codes::PROPOSAL_METHOD, title).at(section.place(KEY));
    Some(match types.first() {
        Some(first) => finding
            .note(format!("`proposal_methods` lists {listed}"))
            .help(format!("set `{}` to `{first}`", section.name(KEY))),
        None => finding.note("no entry of `proposal_methods` has a `proposal_type`"),
    })
}

/// A reduced vocabulary has an output matrix of its own, which tying would replace.
fn tied_embeddings(config: &ConfigFile) -> Option<Diagnostic> {
    let root = config.root();
    let size = |key: &str| root.usize(key).ok().flatten();
    let draft = size("draft_vocab_size")?;
    let target = size("transformer_layer_config.vocab_size").or_else(|| size("vocab_size"))?;
    let keys = [
        "tie_word_embeddings",
        "transformer_layer_config.tie_word_embeddings",
    ];
    let key = keys
        .into_iter()
        .find(|key| root.bool(key) == Ok(Some(true)))?;
    (draft != target).then(|| {
        let title = format!("`{key}` is true, but the draft vocabulary has {draft} of {target} tokens");
        Diagnostic::warning(codes::TIED_EMBEDDINGS, title)
            .at(config.place_of(key))
            .note(format!("`lm_head.weight` has {draft} rows and the embedding {target}, so they cannot be one"))
            .help(format!("set `{key}` to false"))
    })
}

/// The flag that no tensor gives away, in the layout that knows both of its values.
fn norm_before_residual(config: &ConfigFile) -> Option<Diagnostic> {
    const KEY: &str = "norm_before_residual";
    let root = config.root();
    let kind = root.str("speculators_model_type").ok().flatten();
    if !matches!(kind, Some("eagle3" | "peagle")) || root.get(KEY).is_some() {
        return None;
    }
    Some(
        Diagnostic::error(
            codes::NORM_BEFORE_RESIDUAL,
            format!("`{KEY}` is not written down"),
        )
        .at(config.place_of("speculators_model_type"))
        .note("without it vLLM takes true and the Python package `speculators` false")
        .help(
            "write the value the head was trained with into the config; \
                 if it is not known, the one with which `speculators eval` accepts more",
        ),
    )
}

/// What an EAGLE-3 or P-EAGLE head reads beside the last token: states of the verifier, and a stand-in for tokens.
pub(super) fn auxiliary(head: &Head, verifier: Option<&VerifierConfig>) -> Vec<Diagnostic> {
    let lifted = verifier.and_then(|verifier| lifted_aux_layers(head, verifier));
    let found = [aux_layers(head), mask_token(head), lifted];
    found.into_iter().flatten().collect()
}

/// Which states of the verifier the head reads, where the config does not settle it.
fn aux_layers(head: &Head) -> Option<Diagnostic> {
    const KEY: &str = "eagle_aux_hidden_state_layer_ids";
    let decision = head
        .decisions
        .iter()
        .find(|decision| decision.guess && decision.subject == KEY)?;
    let config = head.checkpoint.config();
    let nested = format!("eagle_config.{KEY}");
    let written = [KEY, &nested]
        .into_iter()
        .find(|key| config.root().get(key).is_some());
    let (title, help) = match written {
        Some(_) => (
            "the config does not settle how the auxiliary layer ids count",
            "name the verifier, which may settle it, or convert with `--aux-convention`",
        ),
        None => (
            "the config does not say which verifier layers the head reads",
            "convert with `--aux-layers`; a head that reads other layers accepts next to nothing",
        ),
    };
    Some(
        Diagnostic::warning(codes::AUX_LAYERS_MISSING, title)
            .at(config.place_of(written.unwrap_or(KEY)))
            .note(format!("taken: {}", decision.value))
            .note(decision.reason.clone())
            .help(help),
    )
}

/// P-EAGLE drafts all tokens in one pass.
fn mask_token(head: &Head) -> Option<Diagnostic> {
    let description = &head.description;
    if description.algorithm != Algorithm::PEagle {
        return None;
    }
    unusable_mask_token(
        description.mask_token_id,
        description.vocab_size,
        head.checkpoint.config(),
    )
}

/// Ids of the default layers, counted as outputs of layers from 0: what remains where a conversion lifted them unchanged.
fn lifted_aux_layers(head: &Head, verifier: &VerifierConfig) -> Option<Diagnostic> {
    const KEY: &str = "eagle_aux_hidden_state_layer_ids";
    let config = head.checkpoint.config();
    let ids = &head.description.aux_layer_ids;
    let default = default_layers(verifier.num_hidden_layers)?;
    let outputs: Vec<usize> = default.iter().map(|id| id - 1).collect();
    (head.layout == Layout::Speculators && *ids == outputs).then(|| {
        let title = format!("the auxiliary layers {ids:?} are each one below the default, {default:?}");
        Diagnostic::warning(codes::AUX_LAYERS_MISSING, title)
            .at(config.place_of(KEY))
            .note("trainers that count outputs of layers from 0 write the default layers so, and this layout counts layers that have run")
            .help("if the head was trained on the default layers, convert it with `--aux-convention output`")
    })
}
