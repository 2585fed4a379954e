mod block;
mod choices;
mod foreign;
#[cfg(unix)]
mod links;
mod round_trips;
mod to_gguf;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use safetensors::Dtype;
use serde_json::json;

use super::*;
use crate::testing::{DRAFT, HIDDEN, Scratch, TinyHead, VOCABULARY, tensors, verifier_config};

/// A scratch directory with a verifier, and the request to convert `head` in it.
fn request(head: &TinyHead) -> (Scratch, ConvertRequest) {
    let scratch = Scratch::new();
    scratch.write(
        "verifier/config.json",
        verifier_config().to_string().as_bytes(),
    );
    let source = head.write(&scratch, "source");
    let mut request = ConvertRequest::new(source, scratch.path("verifier"), scratch.path("output"));
    request.verifier_name = "owner/verifier".to_owned();
    (scratch, request)
}

#[track_caller]
fn convert(head: &TinyHead) -> (Scratch, Checkpoint, ConvertReport) {
    let (scratch, request) = request(head);
    let report = plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
    let written = Checkpoint::open(&request.output).unwrap();
    (scratch, written, report)
}

#[track_caller]
fn refused(request: &ConvertRequest) -> Vec<u16> {
    plan(request)
        .unwrap_err()
        .iter()
        .map(|problem| problem.code.0)
        .collect()
}

fn left(scratch: &Scratch) -> Vec<String> {
    let entries = fs_err::read_dir(scratch.root()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_tensor_arrives_unchanged_under_its_canonical_name() {
    let head = TinyHead::new();
    let (scratch, written, report) = convert(&head);
    assert_eq!(written.names().count(), head.tensors.len());
    for (name, (dtype, shape, bytes)) in &head.tensors {
        let view = written
            .tensor(&name.replace("midlayer.", "layers.0."))
            .unwrap();
        assert_eq!(
            (view.dtype, view.shape, view.data),
            (*dtype, shape.as_slice(), bytes.as_slice()),
            "{name}"
        );
    }
    assert_eq!(left(&scratch), ["output", "source", "verifier"]);
    assert_eq!(
        report
            .rows
            .iter()
            .filter(|row| row.action == Action::Renamed)
            .count(),
        10
    );
}

#[test]
fn the_file_is_laid_out_as_the_reference_library_does() {
    let (scratch, _, report) = convert(&TinyHead::new());
    let bytes = fs_err::read(scratch.path("output/model.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert!(length.is_multiple_of(8));
    assert!(bytes[8..].starts_with(br#"{"__metadata__":{"format":"pt"},"d2t":{"dtype":"I64","shape":[32],"data_offsets":[0,256]},"fc.weight":"#));
    assert_eq!(report.rows.last().unwrap().destination, "t2d");
    assert_eq!(report.bytes, bytes.len() as u64);
}

#[test]
fn the_config_states_everything() {
    let (scratch, written, _) = convert(&TinyHead::new());
    let config = written.config();
    let text = fs_err::read_to_string(scratch.path("output/config.json")).unwrap();
    assert!(
        text.ends_with("}\n")
            && text.starts_with("{\n  \"architectures\": [\n    \"Eagle3DraftModel\"")
    );
    for key in [
        "norm_before_residual",
        "norm_before_fc",
        "fc_norm",
        "norm_output",
        "tie_word_embeddings",
    ] {
        assert_eq!(config.get_bool(key).unwrap(), Some(false), "{key}");
    }
    assert_eq!(
        config.value["eagle_aux_hidden_state_layer_ids"],
        json!([2, 4, 5])
    );
    assert_eq!(
        config
            .get_str("speculators_config.verifier.name_or_path")
            .unwrap(),
        Some("owner/verifier")
    );
    assert_eq!(
        config
            .get_usize("transformer_layer_config.head_dim")
            .unwrap(),
        Some(8)
    );
    assert_eq!(
        config
            .get_usize("transformer_layer_config.max_position_embeddings")
            .unwrap(),
        Some(256)
    );
    assert_eq!(
        config.value["transformer_layer_config"]["eos_token_id"],
        json!([2, 40])
    );
    let layers = config.get_str("conversion.source_layout").unwrap();
    assert_eq!(layers, Some("safeailab"));
}

#[test]
fn a_second_layer_is_carried() {
    let mut head = TinyHead::new();
    head.layer("layers.1", HIDDEN);
    head.config["num_hidden_layers"] = json!(2);
    let (_scratch, written, report) = convert(&head);
    assert_eq!(
        written.tensor("layers.1.mlp.up_proj.weight").unwrap().data,
        head.bytes("layers.1.mlp.up_proj.weight")
    );
    assert_eq!(report.description.head().unwrap().num_hidden_layers, 2);
}

#[test]
fn norms_before_fc_are_carried_with_their_flag() {
    let mut head = TinyHead::new();
    head.float("input_norm.weight", &[3 * HIDDEN]);
    let (_scratch, written, _) = convert(&head);
    assert_eq!(
        written.config().get_bool("norm_before_fc").unwrap(),
        Some(true)
    );
    assert_eq!(
        written.tensor("input_norm.weight").unwrap().data,
        head.bytes("input_norm.weight")
    );
}

#[test]
fn nothing_is_made_up_for_what_is_missing() {
    for name in [
        "fc.weight",
        "midlayer.hidden_norm.weight",
        "midlayer.self_attn.q_proj.weight",
    ] {
        let mut head = TinyHead::new();
        head.tensors.remove(name);
        let (scratch, request) = request(&head);
        assert!(refused(&request).contains(&201), "{name}");
        assert_eq!(left(&scratch), ["source", "verifier"]);
    }
    let mut head = TinyHead::new();
    head.config["attention_bias"] = json!(true);
    assert_eq!(refused(&request(&head).1), [201]);
}

#[test]
fn nothing_is_left_out_unless_by_name() {
    let mut head = TinyHead::new();
    head.float("midlayer.self_attn.extra.weight", &[4]);
    assert_eq!(refused(&request(&head).1), [202]);
    let mut head = TinyHead::new();
    head.float("midlayer.self_attn.rotary_emb.inv_freq", &[4]);
    let (_scratch, written, report) = convert(&head);
    assert_eq!(
        report.dropped[0].name,
        "midlayer.self_attn.rotary_emb.inv_freq"
    );
    assert!(written.names().all(|name| !name.contains("rotary")));
}

#[test]
fn the_spellings_of_transformers_5_are_read() {
    let mut head = TinyHead::new();
    for key in ["rope_theta", "torch_dtype"] {
        head.config.as_object_mut().unwrap().remove(key);
    }
    head.config["dtype"] = json!("bfloat16");
    head.config["rope_parameters"] =
        json!({"rope_type": "linear", "rope_theta": 5e5, "factor": 2.0});
    head.config["eagle_config"] = json!({"eagle_aux_hidden_state_layer_ids": [0, 3, 5]});
    head.config["norm_before_residual"] = json!(true);
    let (_scratch, written, report) = convert(&head);
    let config = &written.config().value;
    assert_eq!(
        config["transformer_layer_config"]["rope_parameters"],
        json!({"factor": 2.0, "rope_theta": 5e5, "rope_type": "linear"})
    );
    assert_eq!(config["eagle_aux_hidden_state_layer_ids"], json!([1, 4, 6]));
    assert_eq!(config["norm_before_residual"], json!(true));
    assert_eq!(
        report.bytes,
        fs_err::metadata(&written.files()[0]).unwrap().len()
    );
    assert_eq!(written.tensor("fc.weight").unwrap().dtype, Dtype::BF16);
}

#[test]
fn weights_keep_their_dtype_and_the_config_says_it() {
    let mut head = TinyHead::new();
    head.config["torch_dtype"] = json!("float16");
    let (_scratch, written, _) = convert(&head);
    assert_eq!(written.config().get_str("dtype").unwrap(), Some("bfloat16"));
}

#[test]
fn maps_are_brought_to_their_form() {
    // Absolute, 32-bit ids, and no t2d at all.
    let mut head = TinyHead::new();
    let offsets = head.bytes("d2t").to_vec();
    let members = head.bytes("t2d").to_vec();
    let absolute = (0..DRAFT as i32)
        .flat_map(|draft| (2 * draft).to_le_bytes())
        .collect();
    head.put("d2t", Dtype::I32, &[DRAFT], absolute);
    head.tensors.remove("t2d");
    let (_scratch, written, report) = convert(&head);
    let view = written.tensor("d2t").unwrap();
    assert_eq!((view.dtype, view.data), (Dtype::I64, offsets.as_slice()));
    let view = written.tensor("t2d").unwrap();
    assert_eq!((view.dtype, view.data), (Dtype::BOOL, members.as_slice()));
    assert_eq!(
        report
            .rows
            .iter()
            .filter(|row| row.action == Action::Built)
            .count(),
        2
    );
    let decided = report
        .decisions
        .iter()
        .find(|decision| decision.subject == "d2t")
        .unwrap();
    assert!(
        !decided.guess && decided.value.contains("offsets"),
        "{decided:?}"
    );
}

#[test]
fn maps_that_were_never_loaded_are_refused() {
    let mut head = TinyHead::new();
    head.d2t(&[0; DRAFT]);
    head.put("t2d", Dtype::BOOL, &[VOCABULARY], vec![1; VOCABULARY]);
    assert_eq!(refused(&request(&head).1), [304]);
}

#[test]
fn a_full_vocabulary_needs_no_map_and_no_draft_vocab_size() {
    let mut head = TinyHead::new();
    head.tensors
        .retain(|name, _| name != "d2t" && name != "t2d");
    head.float("lm_head.weight", &[VOCABULARY, HIDDEN]);
    head.config
        .as_object_mut()
        .unwrap()
        .remove("draft_vocab_size");
    let (_scratch, written, report) = convert(&head);
    assert_eq!(
        written.config().get_usize("draft_vocab_size").unwrap(),
        Some(VOCABULARY)
    );
    assert!(report.rows.iter().all(|row| row.destination != "d2t"));
}

#[test]
fn four_layers_are_counted_for_vllm() {
    let mut head = TinyHead::new();
    head.float("fc.weight", &[HIDDEN, 4 * HIDDEN]);
    let (_scratch, mut request) = request(&head);
    assert_eq!(refused(&request), [409]);
    request.options.aux_layers = Some(vec![1, 3, 5, 8]);
    plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
    let written = Checkpoint::open(&request.output).unwrap();
    assert_eq!(
        written
            .config()
            .get_usize("transformer_layer_config.num_aux_hidden_states")
            .unwrap(),
        Some(4)
    );
}

#[test]
fn a_sharded_source_is_read() {
    let head = TinyHead::new();
    let (scratch, request) = request(&head);
    fs_err::remove_file(request.source.join("model.safetensors")).unwrap();
    let mut map = serde_json::Map::new();
    for (shard, wanted) in [("a.safetensors", true), ("b.safetensors", false)] {
        let part = head
            .tensors
            .iter()
            .filter(|(name, _)| name.starts_with("mid") == wanted);
        let part: Vec<_> = part
            .map(|(name, (dtype, shape, data))| {
                (name.as_str(), *dtype, shape.as_slice(), data.clone())
            })
            .collect();
        map.extend(
            part.iter()
                .map(|tensor| (tensor.0.to_owned(), json!(shard))),
        );
        scratch.write(&format!("source/{shard}"), &tensors(&part));
    }
    let index = json!({ "weight_map": map }).to_string();
    scratch.write("source/model.safetensors.index.json", index.as_bytes());
    let report = plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
    assert_eq!(report.rows.len(), head.tensors.len());
}

#[test]
fn a_bias_after_fc_is_dropped_only_if_it_is_zero() {
    let mut head = TinyHead::new();
    head.put("fc.bias", Dtype::BF16, &[HIDDEN], vec![0; 2 * HIDDEN]);
    assert_eq!(convert(&head).2.dropped[0].name, "fc.bias");
    head.float("fc.bias", &[HIDDEN]);
    assert_eq!(refused(&request(&head).1), [412]);
}

#[test]
fn keys_without_a_place_are_named() {
    let mut head = TinyHead::new();
    head.config["target_model_type"] = json!("llama");
    let report = convert(&head).2;
    assert!(report.decisions.iter().any(|decision| decision.subject == "target_model_type" && decision.value == "left out"));
}

#[test]
fn converting_the_result_again_changes_nothing() {
    let (scratch, _, _) = convert(&TinyHead::new());
    let mut again = ConvertRequest::new(
        scratch.path("output"),
        scratch.path("verifier"),
        scratch.path("again"),
    );
    again.options.strict = true;
    again.verifier_name = "owner/verifier".to_owned();
    plan(&again).unwrap().write(&mut |_, _| ()).unwrap();
    let read = |path: PathBuf| fs_err::read(path).unwrap();
    assert_eq!(
        read(scratch.path("output/model.safetensors")),
        read(scratch.path("again/model.safetensors"))
    );
    let config = |path: PathBuf| {
        let mut config = crate::ConfigFile::read(path).unwrap().value;
        config.remove("conversion");
        config
    };
    assert_eq!(
        config(scratch.path("output/config.json")),
        config(scratch.path("again/config.json"))
    );
}

#[test]
fn a_verifier_of_an_unknown_family_is_enough_to_convert_for() {
    let (scratch, request) = request(&TinyHead::new());
    let mut config = verifier_config();
    config["model_type"] = json!("gpt_oss");
    config["quantization_config"] = json!({"quant_method": "mxfp4"});
    let nested = json!({"architectures": ["X"], "model_type": "vision", "text_config": config});
    scratch.write("verifier/config.json", nested.to_string().as_bytes());
    let report = plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
    assert_eq!(report.description.head().unwrap().aux_layer_ids, [2, 4, 5]);
}

#[test]
fn a_head_is_no_verifier() {
    let (scratch, request) = request(&TinyHead::new());
    let mark = |key: &str, value: serde_json::Value| {
        let mut config = verifier_config();
        config[key] = value;
        scratch.write("verifier/config.json", config.to_string().as_bytes());
        plan(&request)
    };
    for (key, value) in [
        ("draft_vocab_size", json!(DRAFT)),
        ("eagle_config", json!({})),
        ("dflash_config", json!({})),
        ("architectures", json!(["LlamaForCausalLMEagle"])),
        ("speculators_model_type", json!("eagle3")),
    ] {
        let found = mark(key, value).unwrap_err();
        assert_eq!(found.len(), 1, "{key}: {found:#?}");
        assert_eq!(found[0].code, codes::VERIFIER_UNSUPPORTED);
        assert_eq!(found[0].title, "this is a head, not a verifier");
    }
    assert!(mark("draft_vocab_size", json!(null)).is_ok());
}

#[test]
fn an_existing_output_is_kept_without_force_and_replaced_whole_with_it() {
    let (scratch, mut request) = request(&TinyHead::new());
    scratch.write("output/config.json", b"{}");
    scratch.write("output/stale.safetensors", b"old");
    assert_eq!(refused(&request), [108]);
    request.force = true;
    plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
    assert!(!scratch.path("output/stale.safetensors").exists());
    assert_eq!(left(&scratch), ["output", "source", "verifier"]);
}

#[test]
fn force_replaces_nothing_but_a_checkpoint() {
    let (scratch, mut request) = request(&TinyHead::new());
    request.force = true;
    scratch.write("output/letters.txt", b"dear");
    assert_eq!(refused(&request), [108]);
    scratch.write("output/config.json", b"{}");
    scratch.write("output/more/letters.txt", b"dear");
    assert_eq!(refused(&request), [108]);
    assert!(scratch.path("output/letters.txt").exists());
}

#[test]
fn source_and_verifier_are_never_written_to() {
    let (scratch, mut request) = request(&TinyHead::new());
    request.force = true;
    let outputs = [
        "source",
        "source/inner",
        "source/../source",
        "verifier",
        ".",
    ];
    for output in outputs {
        request.output = scratch.path(output);
        assert!(refused(&request).contains(&108), "{output}");
    }
}

#[test]
fn an_output_without_a_parent_is_refused_and_nothing_is_left() {
    let (scratch, mut request) = request(&TinyHead::new());
    request.output = scratch.path("nowhere/output");
    let problems = plan(&request).unwrap().write(&mut |_, _| ()).unwrap_err();
    assert_eq!(problems[0].code, codes::OUTPUT_UNWRITABLE);
    assert_eq!(left(&scratch), ["source", "verifier"]);
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    let (scratch, request) = request(&TinyHead::new());
    let mut calls = 0;
    let problems = plan(&request).unwrap().write_until(&mut |_, _| {
        calls += 1;
        if calls == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(problems.unwrap_err()[0].code, codes::OUTPUT_UNWRITABLE);
    assert_eq!(left(&scratch), ["source", "verifier"]);
}

#[test]
fn progress_ends_at_the_total() {
    let (_scratch, request) = request(&TinyHead::new());
    let plan = plan(&request).unwrap();
    let mut last = (0, 0);
    plan.write(&mut |done, total| last = (done, total)).unwrap();
    assert_eq!(last, (plan.total_bytes(), plan.total_bytes()));
}

#[test]
fn problems_of_source_verifier_and_output_come_together() {
    let (scratch, mut request) = request(&TinyHead::new());
    scratch.write("output/config.json", b"{}");
    fs_err::remove_file(scratch.path("source/model.safetensors")).unwrap();
    request.verifier = scratch.path("absent");
    assert_eq!(refused(&request), [108, 101, 101]);
}
