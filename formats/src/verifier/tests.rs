use serde_json::{Value, json};

use super::*;
use crate::testing::{Scratch, verifier_config};
use crate::{ConfigFile, Result};

fn read(change: impl Fn(&mut Value)) -> Result<VerifierConfig> {
    let mut config = verifier_config();
    change(&mut config);
    let file = ConfigFile::from_text("verifier/config.json", config.to_string()).unwrap();
    VerifierConfig::from_config(&file, None)
}

#[track_caller]
fn codes_of(found: Result<VerifierConfig>) -> Vec<u16> {
    found
        .unwrap_err()
        .iter()
        .map(|problem| problem.code.0)
        .collect()
}

#[test]
fn llama_is_read_with_derived_head_dim() {
    let config = read(|_| ()).unwrap();
    assert_eq!((config.model_type, config.head_dim), (ModelType::Llama, 8));
    assert_eq!(config.eos_token_ids, [2, 40]);
    assert_eq!(config.sliding_window, [None; 8]);
    assert_eq!(config.dtype, FloatType::Bfloat16);
    assert!(!config.tie_word_embeddings && !config.attention_bias && !config.qk_norm);
}

#[test]
fn biases_follow_the_family() {
    let qwen2 = read(|config| config["model_type"] = json!("qwen2")).unwrap();
    assert!(qwen2.attention_bias && !qwen2.attention_output_bias);
    let llama = read(|config| config["attention_bias"] = json!(true)).unwrap();
    assert!(llama.attention_bias && llama.attention_output_bias);
    let mistral = read(|config| {
        config["model_type"] = json!("mistral");
        config["attention_bias"] = json!(true);
    });
    assert!(!mistral.unwrap().attention_bias);
}

#[test]
fn qwen3_normalizes_heads_of_128_channels_unless_told_otherwise() {
    let qwen3 = read(|config| config["model_type"] = json!("qwen3")).unwrap();
    assert_eq!((qwen3.qk_norm, qwen3.head_dim), (true, 128));
}

#[test]
fn windows_follow_the_family() {
    let mistral = read(|config| {
        config["model_type"] = json!("mistral");
        config["sliding_window"] = json!(64);
    });
    assert_eq!(mistral.unwrap().sliding_window, [Some(64); 8]);
    let none = read(|config| {
        config["model_type"] = json!("mistral");
        config["sliding_window"] = Value::Null;
    });
    assert_eq!(none.unwrap().sliding_window, [None; 8]);
    let qwen2 = |change: &dyn Fn(&mut Value)| {
        let config = read(|config| {
            config["model_type"] = json!("qwen2");
            config["sliding_window"] = json!(64);
            change(config);
        });
        config
            .unwrap()
            .sliding_window
            .iter()
            .map(Option::is_some)
            .collect::<Vec<_>>()
    };
    assert_eq!(qwen2(&|_| ()), [false; 8]);
    let from_six = qwen2(&|config| {
        config["use_sliding_window"] = json!(true);
        config["max_window_layers"] = json!(6);
    });
    assert_eq!(
        from_six,
        [false, false, false, false, false, false, true, true]
    );
    let by_type = qwen2(&|config| {
        config["use_sliding_window"] = json!(true);
        config["layer_types"] = json!(["sliding_attention", "full_attention"]);
    });
    assert_eq!(
        by_type,
        [true, false, false, false, false, false, false, false]
    );
}

#[test]
fn a_decoder_inside_a_multimodal_config_is_found() {
    let text = verifier_config();
    let config = json!({"architectures": ["Vision"], "model_type": "vision", "text_config": text});
    let file = ConfigFile::from_text("config.json", config.to_string()).unwrap();
    let config = VerifierConfig::from_config(&file, None).unwrap();
    assert_eq!(
        (config.architectures[0].as_str(), config.hidden_size),
        ("Vision", 16)
    );
}

#[test]
fn the_generation_config_says_what_ends_a_text() {
    let scratch = Scratch::new();
    scratch.write("config.json", verifier_config().to_string().as_bytes());
    scratch.write("generation_config.json", br#"{"eos_token_id": [2, 41]}"#);
    assert_eq!(
        VerifierConfig::read(scratch.root()).unwrap().eos_token_ids,
        [2, 41]
    );
}

#[test]
fn unknown_families_and_quantization_are_refused_by_name() {
    let found = read(|config| config["model_type"] = json!("mamba")).unwrap_err();
    assert!(found[0].title.contains("mamba") && found[0].notes[0].contains("`qwen3`"));
    assert_eq!(
        codes_of(read(
            |config| config["quantization_config"] = json!({"quant_method": "fp8"})
        )),
        [410]
    );
}

#[test]
fn every_missing_size_is_reported() {
    let found = read(|config| {
        config.as_object_mut().unwrap().remove("hidden_size");
        config.as_object_mut().unwrap().remove("vocab_size");
        config["rms_norm_eps"] = json!("tiny");
    });
    assert_eq!(codes_of(found), [106, 106, 105]);
}

#[test]
fn heads_have_to_be_shareable() {
    assert_eq!(
        codes_of(read(|config| config["num_key_value_heads"] = json!(3))),
        [412]
    );
}
