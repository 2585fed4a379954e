//! Block drafters to both of their layouts.

use super::*;
use crate::block::tests::{dspark, foreign::zlab, reduce, speculators, verifier_layers};
use crate::options::{BlockAnchor, ReadOptions};

/// Converts a head; gives what was written and the config.
fn converted(
    head: &TinyHead,
    target: Target,
    change: impl Fn(&mut ConvertRequest),
) -> Result<(Scratch, ConvertReport, Value)> {
    let scratch = Scratch::new();
    head.write(&scratch, "source");
    scratch.write(
        "verifier/config.json",
        verifier_config().to_string().as_bytes(),
    );
    let mut request = ConvertRequest::new(
        scratch.path("source"),
        scratch.path("verifier"),
        scratch.path("output"),
    );
    request.target = target;
    change(&mut request);
    let report = plan(&request)?.write(&mut |_, _| ())?;
    let config = fs_err::read(scratch.path("output/config.json")).unwrap();
    Ok((scratch, report, serde_json::from_slice(&config).unwrap()))
}

fn refused_codes(head: &TinyHead, target: Target) -> Vec<u16> {
    let found = converted(head, target, |_| ()).unwrap_err();
    found.iter().map(|problem| problem.code.0).collect()
}

#[test]
fn a_plain_head_becomes_what_the_python_package_writes() {
    let source = zlab();
    let (scratch, report, config) = converted(&source, Target::Speculators, |_| ()).unwrap();
    let expected = [
        ("architectures", json!(["DFlashDraftModel"])),
        ("aux_hidden_state_layer_ids", json!([2, 5])),
        ("block_size", json!(4)),
        ("draft_vocab_size", json!(64)),
        ("mask_token_id", json!(3)),
        ("sample_from_anchor", json!(false)),
        ("sliding_window_non_causal", json!(true)),
        ("speculators_model_type", json!("dflash")),
        ("target_hidden_size", Value::Null),
    ];
    for (key, value) in expected {
        assert_eq!(config[key], value, "{key}");
    }
    assert_eq!(
        config["speculators_config"]["proposal_methods"][0]["speculative_tokens"],
        3
    );
    let decoder = &config["transformer_layer_config"];
    assert_eq!(
        decoder["layer_types"],
        json!(["full_attention", "full_attention"])
    );
    assert_eq!(decoder["num_hidden_layers"], 2);
    assert!(decoder.get("dflash_config").is_none());
    assert_eq!(report.rows.len(), source.tensors.len());
    assert!(report.rows.iter().all(|row| row.action == Action::Copied));
    let written = Checkpoint::open(scratch.path("output")).unwrap();
    for (name, (_, _, bytes)) in &source.tensors {
        assert_eq!(written.tensor(name).unwrap().data, bytes, "{name}");
    }
}

#[test]
fn fused_rows_are_written_apart() {
    let whole = zlab();
    let mut head = zlab();
    for layer in ["layers.0", "layers.1"] {
        let name = |part: &str| format!("{layer}.self_attn.{part}.weight");
        let mut bytes = Vec::new();
        for part in ["q_proj", "k_proj", "v_proj"] {
            bytes.extend(head.tensors.remove(&name(part)).unwrap().2);
        }
        head.put(&name("qkv_proj"), Dtype::BF16, &[32, HIDDEN], bytes);
    }
    let bytes = |head: &TinyHead| {
        let (scratch, _, _) = converted(head, Target::Speculators, |_| ()).unwrap();
        fs_err::read(scratch.path("output/model.safetensors")).unwrap()
    };
    assert_eq!(bytes(&head), bytes(&whole));
}

#[test]
fn heads_return_from_the_layout_of_z_lab_as_they_were() {
    let mut windowed = speculators("dflash");
    windowed.config["transformer_layer_config"]["layer_types"] = json!(["sliding_attention"]);
    windowed.config["transformer_layer_config"]["sliding_window"] = json!(16);
    windowed.config["transformer_layer_config"]["use_sliding_window"] = json!(true);
    let mut causal = speculators("dflash");
    causal.config["transformer_layer_config"] = windowed.config["transformer_layer_config"].clone();
    causal.config["sliding_window_non_causal"] = json!(false);
    let mut last = speculators("dflash");
    last.config["aux_hidden_state_layer_ids"] = json!([2, verifier_layers()]);
    let mut markov = dspark("gated");
    markov.config["sample_from_anchor"] = json!(true);
    markov.config["speculators_config"]["proposal_methods"][0]["speculative_tokens"] = json!(4);
    for head in [speculators("dflash"), windowed, causal, last, markov] {
        for target in [Target::SpecForge, Target::SgLang] {
            let (scratch, there, config) = converted(&head, target, |_| ()).unwrap();
            assert!(config.get("speculators_model_type").is_none());
            let at_the_top = config.get("markov_rank").is_some();
            let is_dspark = head.config["speculators_model_type"] == "dspark";
            assert_eq!(at_the_top, is_dspark && target == Target::SgLang);
            let back = ConvertRequest {
                options: ReadOptions {
                    strict: true,
                    ..ReadOptions::default()
                },
                ..ConvertRequest::new(
                    scratch.path("output"),
                    scratch.path("verifier"),
                    scratch.path("back"),
                )
            };
            let back = plan(&back).unwrap().write(&mut |_, _| ()).unwrap();
            assert_eq!(back.description, there.description);
            let weights =
                |name: &str| fs_err::read(scratch.path(name).join("model.safetensors")).unwrap();
            assert_eq!(weights("back"), weights("output"));
        }
    }
}

#[test]
fn what_the_layout_of_z_lab_cannot_say_is_refused() {
    let mut reduced = speculators("dflash");
    reduce(&mut reduced);
    assert_eq!(refused_codes(&reduced, Target::SpecForge), [412]);
    assert!(converted(&reduced, Target::Speculators, |_| ()).is_ok());
    let mut embedding = speculators("dflash");
    embedding.config["aux_hidden_state_layer_ids"] = json!([0, 5]);
    assert_eq!(refused_codes(&embedding, Target::SgLang), [412]);
    let mut predicted = speculators("dflash");
    predicted.config["sample_from_anchor"] = json!(true);
    assert_eq!(refused_codes(&predicted, Target::SpecForge), [412]);
    assert_eq!(refused_codes(&dspark("vanilla"), Target::SpecForge), [412]);
    assert_eq!(refused_codes(&speculators("dflash"), Target::Eagle), [412]);
}

#[test]
fn tokens_and_mask_token_have_to_be_there() {
    let head = zlab();
    let tokens = |tokens| {
        converted(&head, Target::Speculators, |request| {
            request.speculative_tokens = Some(tokens);
        })
    };
    assert_eq!(tokens(4).unwrap_err()[0].code, codes::USAGE);
    let (_, _, config) = tokens(2).unwrap();
    assert_eq!(
        config["speculators_config"]["proposal_methods"][0]["speculative_tokens"],
        2
    );
    let mut head = zlab();
    head.config["dflash_config"] = json!({"target_layer_ids": [1, 4]});
    assert_eq!(refused_codes(&head, Target::Speculators), [418]);
}

#[test]
fn the_anchor_and_the_vocabulary_are_written_down() {
    let mut reduced = zlab();
    reduce(&mut reduced);
    let (_, report, config) = converted(&reduced, Target::Speculators, |request| {
        request.options.dflash_anchor = Some(BlockAnchor::Predicted);
    })
    .unwrap();
    assert_eq!(config["sample_from_anchor"], true);
    assert_eq!(config["draft_vocab_size"], DRAFT);
    assert_eq!(
        config["speculators_config"]["proposal_methods"][0]["speculative_tokens"],
        4
    );
    assert!(report.rows.iter().any(|row| row.destination == "t2d"));
}
