//! Verifiers of other families, and what of them no head can be made for.

use super::*;
use crate::Place;

/// The config with these keys changed; null takes a key away.
fn changed(changes: Value) -> Value {
    let mut config = verifier_config();
    for (key, value) in changes.as_object().unwrap() {
        if value.is_null() {
            config.as_object_mut().unwrap().remove(key);
        } else {
            config[key] = value.clone();
        }
    }
    config
}

fn decided(config: &Value, algorithm: Algorithm) -> Result<InitPlan> {
    let scratch = Scratch::new();
    write_verifier(&scratch, config, &SHARED, Dtype::BF16);
    let request = request(&scratch, algorithm);
    let planned = plan(&request)?;
    planned.write_until(&mut |_, _| std::ops::ControlFlow::Continue(()))?;
    Ok(planned)
}

fn decoder(config: &Value, algorithm: Algorithm) -> Value {
    decided(config, algorithm).unwrap().config()["transformer_layer_config"].clone()
}

#[test]
fn experts_without_a_dense_width_get_three_times_the_hidden_size() {
    let config = changed(json!({
        "model_type": "qwen3_5_moe_text", "intermediate_size": null, "moe_intermediate_size": 8, "num_experts": 4,
        "head_dim": 8
    }));
    let plan = decided(&config, Algorithm::Eagle3).unwrap();
    let width = &plan.config()["transformer_layer_config"]["intermediate_size"];
    assert_eq!(*width, 3 * HIDDEN);
    let said = |decision: &&crate::Decision| decision.subject == "intermediate_size";
    assert!(plan.decisions().iter().find(said).unwrap().guess);
    let dense = changed(json!({ "intermediate_size": null }));
    let problems = decided(&dense, Algorithm::Eagle3).unwrap_err();
    assert_eq!(problems[0].code, codes::CONFIG_KEY_MISSING);
}

#[test]
fn a_multimodal_verifier_gives_its_tower() {
    let mut tower = changed(json!({
        "model_type": "qwen3_vl_text", "architectures": null, "rope_theta": null, "head_dim": 8,
        "rope_parameters": { "rope_theta": 5e6, "rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": true }
    }));
    tower.as_object_mut().unwrap().remove("torch_dtype");
    let config = json!({
        "architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "text_config": tower
    });
    // Token by token, the axes are kept; in parallel, vLLM runs one.
    let eagle = decoder(&config, Algorithm::Eagle3);
    assert_eq!(
        eagle["rope_parameters"],
        json!({ "mrope_section": [2, 1, 1], "rope_theta": 5e6, "rope_type": "default" })
    );
    for algorithm in [Algorithm::PEagle, Algorithm::DFlash, Algorithm::DSpark] {
        let rope = &decoder(&config, algorithm)["rope_parameters"];
        assert_eq!(*rope, json!({ "rope_theta": 5e6, "rope_type": "default" }));
    }
}

#[test]
fn partly_rotated_verifiers_get_heads_that_rotate_everything() {
    let part = changed(json!({ "partial_rotary_factor": 0.5 }));
    let rope = &decoder(&part, Algorithm::Eagle3)["rope_parameters"];
    assert_eq!(
        *rope,
        json!({ "rope_theta": 10000.0, "rope_type": "default" })
    );
    let axes = |sections: Value, part: f64| {
        changed(json!({ "rope_theta": null, "rope_parameters": {
            "rope_theta": 1e4, "rope_type": "default", "mrope_section": sections, "partial_rotary_factor": part
        }}))
    };
    let rope = &decoder(&axes(json!([1, 1]), 0.5), Algorithm::Eagle3)["rope_parameters"];
    assert_eq!(rope["mrope_section"], json!([2, 2]));
    assert_eq!(rope["partial_rotary_factor"], 1.0);
    for (sections, part) in [(json!([1, 1]), 0.4), (json!([1, 2]), 0.5)] {
        let problems = decided(&axes(sections, part), Algorithm::Eagle3).unwrap_err();
        assert_eq!(problems[0].code, codes::FAMILY_UNKNOWN);
        assert!(problems[0].place.is_some());
    }
}

#[test]
fn nested_rotary_parameters_come_down_to_those_of_sliding_layers() {
    let nested = changed(json!({ "rope_theta": null, "rope_parameters": {
        "full_attention": { "rope_theta": 1e6, "rope_type": "default" },
        "sliding_attention": { "rope_theta": 1e4, "rope_type": "default" }
    }}));
    let plan = decided(&nested, Algorithm::Eagle3).unwrap();
    let rope = &plan.config()["transformer_layer_config"]["rope_parameters"];
    assert_eq!(rope["rope_theta"], 1e4);
    assert!(plan.decisions().iter().any(|decision| decision.guess));
    // The older spelling of Gemma 3: the scaling is that of the other layers.
    let older = changed(json!({
        "rope_theta": 1e6, "rope_local_base_freq": 2e4, "rope_scaling": { "rope_type": "linear", "factor": 8.0 }
    }));
    let rope = &decoder(&older, Algorithm::Eagle3)["rope_parameters"];
    assert_eq!(*rope, json!({ "rope_theta": 2e4, "rope_type": "default" }));
}

#[test]
fn scaling_is_carried_over_in_the_newer_spelling() {
    let scaling = json!({ "type": "yarn", "factor": 4.0, "beta_fast": 16.0 });
    let config = changed(json!({ "rope_scaling": scaling }));
    assert_eq!(
        decoder(&config, Algorithm::Eagle3)["rope_parameters"],
        json!({ "beta_fast": 16.0, "factor": 4.0, "original_max_position_embeddings": 256, "rope_theta": 10000.0,
            "rope_type": "yarn" })
    );
    let long = json!({ "type": "longrope", "long_factor": [1.0], "short_factor": [1.0] });
    let problems = decided(&changed(json!({ "rope_scaling": long })), Algorithm::Eagle3);
    assert_eq!(problems.unwrap_err()[0].code, codes::NOT_REPRESENTABLE);
}

#[test]
fn heads_that_do_not_part_the_width_are_counted_anew_or_refused() {
    let config =
        changed(json!({ "num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": 4 }));
    let found = decoder(&config, Algorithm::Eagle3);
    assert_eq!(
        (&found["num_attention_heads"], &found["num_key_value_heads"]),
        (&json!(4), &json!(4))
    );
    for change in [
        json!({ "num_attention_heads": 4, "num_key_value_heads": 3 }),
        json!({ "num_attention_heads": 3, "num_key_value_heads": 1 }),
        json!({ "head_dim": 3 }),
    ] {
        let problems = decided(&changed(change), Algorithm::Eagle3).unwrap_err();
        assert_eq!(problems[0].code, codes::DRAFT_GEOMETRY);
    }
}

#[test]
fn a_shallow_verifier_leaves_the_auxiliary_layers_open() {
    let config = changed(json!({ "num_hidden_layers": 5 }));
    let problems = decided(&config, Algorithm::Eagle3).unwrap_err();
    assert_eq!(problems[0].code, codes::AUX_LAYERS_COLLIDE);
}

#[test]
fn a_family_that_is_not_known_has_to_say_everything() {
    let config = changed(json!({ "model_type": "nobodys", "head_dim": 8 }));
    decided(&config, Algorithm::Eagle3).unwrap();
    for key in [
        "num_key_value_heads",
        "rms_norm_eps",
        "max_position_embeddings",
    ] {
        let config = changed(json!({ "model_type": "nobodys", "head_dim": 8, key: null }));
        let problems = decided(&config, Algorithm::Eagle3).unwrap_err();
        assert_eq!(problems[0].code, codes::FAMILY_UNKNOWN, "{key}");
    }
    // Of a known one, the default is taken and said.
    let config = changed(json!({ "rms_norm_eps": null }));
    let plan = decided(&config, Algorithm::Eagle3).unwrap();
    let eps = |decision: &crate::Decision| decision.subject == "rms_norm_eps";
    assert!(plan.decisions().iter().any(eps));
}

#[test]
fn a_head_is_no_verifier() {
    let scratch = Scratch::new();
    let first = request(&scratch, Algorithm::Eagle3);
    write(&first).unwrap();
    let mut second = first;
    second.verifier = scratch.path("head");
    second.output = scratch.path("other");
    assert_eq!(refusal(&second), codes::VERIFIER_UNSUPPORTED);
}

#[test]
fn tied_embeddings_give_both_matrices() {
    let scratch = Scratch::new();
    let config = changed(json!({ "tie_word_embeddings": true }));
    write_verifier(&scratch, &config, &SHARED[..1], Dtype::BF16);
    write(&request(&scratch, Algorithm::Eagle3)).unwrap();
    let head = Checkpoint::open(scratch.path("head")).unwrap();
    let data = |name| head.tensor(name).unwrap().data;
    assert_eq!(data("lm_head.weight"), data("embed_tokens.weight"));
}

#[test]
fn codes_are_not_taken_for_values() {
    let scratch = Scratch::new();
    let request = request(&scratch, Algorithm::Eagle3);
    let code = (vec![VOCABULARY, HIDDEN], vec![0; VOCABULARY * HIDDEN]);
    let (name, _, shape, bytes) = matrix("model.embed_tokens.weight", VOCABULARY, Dtype::BF16);
    let embedding = (name.as_str(), Dtype::BF16, shape.as_slice(), bytes);
    for (name, dtype) in [
        ("lm_head.weight", Dtype::F8_E4M3),
        ("lm_head.weight", Dtype::I8),
        ("lm_head.qweight", Dtype::I8),
        ("lm_head.weight_packed", Dtype::I8),
    ] {
        let list = [
            embedding.clone(),
            (name, dtype, code.0.as_slice(), code.1.clone()),
        ];
        scratch.write("verifier/model.safetensors", &tensors(&list));
        let problem = plan(&request).unwrap_err().remove(0);
        assert_eq!(problem.code, codes::SHARED_QUANTIZED);
        assert!(problem.title.contains(name), "{}", problem.title);
        let place = Place::tensor(scratch.path("verifier/model.safetensors"), name);
        assert_eq!(problem.place, Some(place));
    }
}

#[test]
fn a_matrix_of_another_shape_is_refused() {
    let config = changed(json!({ "vocab_size": VOCABULARY + 2 }));
    let problems = decided(&config, Algorithm::Eagle3).unwrap_err();
    assert_eq!(problems[0].code, codes::TENSOR_SHAPE);
}
