use safetensors::Dtype;
use serde_json::json;

use crate::convert::{ConvertRequest, Target, plan};
use crate::options::{ReadOptions, RopeOverride};
use crate::speculator::{Algorithm, Description, Speculator};
use crate::testing::{HIDDEN, Scratch, TinyHead, VOCABULARY, verifier_config};
use crate::{Checkpoint, Result, codes};

/// An EAGLE-1 head as the original release writes it.
fn release() -> TinyHead {
    let mut head = TinyHead::new();
    head.tensors.clear();
    head.layer("layers.0", HIDDEN);
    head.tensors.remove("layers.0.input_layernorm.weight");
    head.float("fc.weight", &[HIDDEN, 2 * HIDDEN]);
    head.float("fc.bias", &[HIDDEN]);
    head.float("embed_tokens.weight", &[VOCABULARY, HIDDEN]);
    head.config
        .as_object_mut()
        .unwrap()
        .remove("draft_vocab_size");
    head
}

/// The same as the Python package wrote it up to version 0.5, with the norms of HASS.
fn legacy() -> TinyHead {
    let mut head = release();
    head.rename("fc.weight", "fusion_fc.weight");
    head.rename("fc.bias", "fusion_fc.bias");
    let layer: Vec<String> = head.tensors.keys().cloned().collect();
    for name in layer {
        if let Some(rest) = name.strip_prefix("layers.0.") {
            head.rename(&name, &format!("transformer.{rest}"));
        }
    }
    for norm in [
        "embedding_layernorm",
        "pre_lm_head_layernorm",
        "transformer.input_layernorm",
    ] {
        head.float(&format!("{norm}.weight"), &[HIDDEN]);
    }
    head.config = json!({
        "speculators_model_type": "eagle", "fusion_bias": true, "layernorms": true,
        "transformer_layer_config": head.config
    });
    head
}

fn open(head: &TinyHead) -> Result<Speculator> {
    let scratch = Scratch::new();
    let path = head.write(&scratch, "head");
    Speculator::open(&path, None, &ReadOptions::default())
}

#[test]
fn both_layouts_are_read_and_the_release_is_written_from_either() {
    for (head, layernorms) in [(release(), false), (legacy(), true)] {
        let opened = open(&head).unwrap();
        assert_eq!(opened.algorithm(), Algorithm::Eagle);
        let Speculator::Eagle(eagle) = &opened else {
            panic!("not EAGLE-1");
        };
        assert!(eagle.description.fc_bias);
        assert_eq!(eagle.description.layernorms, layernorms);

        let scratch = Scratch::new();
        scratch.write(
            "verifier/config.json",
            verifier_config().to_string().as_bytes(),
        );
        let source = head.write(&scratch, "source");
        let mut request =
            ConvertRequest::new(source, scratch.path("verifier"), scratch.path("output"));
        assert_eq!(
            plan(&request).unwrap_err()[0].code,
            codes::NOT_REPRESENTABLE
        );
        request.target = Target::Eagle;
        let report = plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
        let written = Checkpoint::open(&report.output).unwrap();
        assert_eq!(written.names().count(), head.tensors.len());
        let bias = head
            .tensors
            .iter()
            .find(|(name, _)| name.ends_with("fc.bias"))
            .unwrap();
        assert_eq!(written.tensor("fc.bias").unwrap().data, bias.1.2);
        assert_eq!(written.config().value["bias"], json!(true));
    }
}

#[test]
fn missing_left_over_and_misshapen_tensors_are_named() {
    let mut head = release();
    head.tensors.remove("fc.bias");
    head.config["bias"] = json!(true);
    head.float("layers.0.self_attn.o_proj.weight", &[HIDDEN, 8]);
    head.float("layers.0.input_layernorm.weight", &[HIDDEN]);
    head.put("lm_head.weight", Dtype::BF16, &[1, 1], vec![0; 2]);
    let found: Vec<u16> = open(&head)
        .unwrap_err()
        .iter()
        .map(|found| found.code.0)
        .collect();
    assert_eq!(found, [201, 202, 203]);
}

#[test]
fn the_caller_settles_the_rotary_embedding() {
    let scratch = Scratch::new();
    let path = release().write(&scratch, "head");
    let options = ReadOptions {
        rope: Some(RopeOverride::Theta(500_000.0)),
        strict: true,
        ..ReadOptions::default()
    };
    let opened = Speculator::open(&path, None, &options).unwrap();
    let Description::Eagle(head) = opened.description() else {
        panic!("not EAGLE-1");
    };
    assert_eq!(head.rope.theta, 500_000.0);
    let made = opened
        .decisions()
        .iter()
        .find(|made| made.subject == "rope_parameters");
    assert_eq!(made.unwrap().reason, "given by the caller");
}

#[test]
fn a_quantized_head_is_refused_by_its_method() {
    for nested in [false, true] {
        let mut head = if nested { legacy() } else { release() };
        let decoder = if nested {
            &mut head.config["transformer_layer_config"]
        } else {
            &mut head.config
        };
        decoder["quantization_config"] = json!({"quant_method": "gptq"});
        let found = open(&head).unwrap_err();
        assert_eq!(found[0].code, codes::LAYOUT_UNKNOWN);
        assert!(found[0].title.contains("`gptq`"), "{}", found[0].title);
    }
}

#[test]
fn layers_are_counted_whatever_the_config_says_and_that_is_a_guess() {
    for legacy_layout in [false, true] {
        let mut head = if legacy_layout { legacy() } else { release() };
        let decoder = if legacy_layout {
            &mut head.config["transformer_layer_config"]
        } else {
            &mut head.config
        };
        decoder["num_hidden_layers"] = json!(32);
        let opened = open(&head).unwrap();
        let Description::Eagle(head) = opened.description() else {
            panic!("not EAGLE-1");
        };
        assert_eq!(head.num_hidden_layers, 1);
        let guesses = opened.decisions().iter().filter(|made| made.guess);
        let guesses: Vec<&str> = guesses.map(|made| made.subject.as_str()).collect();
        assert_eq!(guesses, ["num_hidden_layers"]);
    }
}
