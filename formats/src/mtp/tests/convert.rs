use serde_json::{Value, json};

use super::*;
use crate::convert::{ConvertReport, ConvertRequest, Embedding, Target, plan};

/// A verifier, and what converting its layer made.
fn convert(tiny: &TinyMtp) -> (Scratch, MtpHead, ConvertReport) {
    let scratch = Scratch::new();
    let source = tiny.write(&scratch, "verifier");
    let request = ConvertRequest::new(&source, &source, scratch.path("output"));
    let report = plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
    let head = MtpHead::open(&request.output, &ReadOptions::default()).unwrap();
    (scratch, head, report)
}

#[test]
fn a_layer_is_taken_out_of_its_verifier_byte_for_byte() {
    for family in MtpFamily::ALL {
        for experts in [ExpertStorage::Split, ExpertStorage::Fused] {
            let tiny = TinyMtp::verifier_with(family, experts);
            let source = open(&tiny).unwrap();
            let (_scratch, head, report) = convert(&tiny);
            assert_eq!(head.layout, Layout::Speculators);
            assert_eq!(head.description, source.description);
            assert_eq!(head.tensors.len(), report.rows.len());
            for name in head.tensors.keys() {
                let parts = source.parts(name);
                let bytes: Vec<u8> = parts.iter().flat_map(|part| part.data).copied().collect();
                assert_eq!(head.tensor(name).unwrap().data, bytes, "{family} {name}");
            }
        }
    }
}

#[test]
fn the_config_says_what_the_package_would_and_keeps_the_rest() {
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen35);
    tiny.decoder()["quantization_config"] = json!({"quant_method": "fp8"});
    tiny.decoder()["mamba_ssm_dtype"] = json!("float32");
    let (_scratch, head, report) = convert(&tiny);
    let config = &head.checkpoint.config().value;
    assert_eq!(config["architectures"], json!(["MTPDraftModel"]));
    assert_eq!(config["num_nextn_predict_layers"], 1);
    let decoder = &config["transformer_layer_config"];
    assert_eq!(decoder["model_type"], "qwen3_5_text");
    assert_eq!(decoder["mamba_ssm_dtype"], "float32");
    assert_eq!(decoder["layer_types"][3], "full_attention");
    assert_eq!(decoder["layer_types"][0], "linear_attention");
    assert_eq!(
        decoder["rope_parameters"]["mrope_section"],
        json!([1, 1, 0])
    );
    assert_eq!(decoder["rope_parameters"]["partial_rotary_factor"], 0.5);
    assert_eq!(decoder.get("quantization_config"), None);
    assert!(
        report
            .decisions
            .iter()
            .any(|decision| decision.subject == "text_config.quantization_config")
    );
}

#[test]
fn the_matrix_of_nan_does_not_survive_a_conversion_and_the_steps_can_be_set() {
    let mut tiny = TinyMtp::speculators(MtpFamily::Qwen3Next);
    tiny.fill("verifier_lm_head.weight", &[32, 16], f32::NAN);
    let scratch = Scratch::new();
    let source = tiny.write(&scratch, "source");
    let verifier = TinyMtp::verifier(MtpFamily::Qwen3Next).write(&scratch, "verifier");
    let mut request = ConvertRequest::new(source, verifier, scratch.path("output"));
    request.speculative_tokens = Some(5);
    let plan = plan(&request).unwrap();
    assert_eq!(plan.dropped().len(), 1);
    plan.write(&mut |_, _| ()).unwrap();
    let head = MtpHead::open(&request.output, &ReadOptions::default()).unwrap();
    assert_eq!(head.description.speculative_tokens, 5);
    assert!(head.dropped.is_empty());
    let config = &head.checkpoint.config().value;
    assert_eq!(
        config["conversion"]["dropped_tensors"][0]["name"],
        "verifier_lm_head.weight"
    );
    let methods: &Value = &config["speculators_config"]["proposal_methods"];
    assert_eq!(methods[0]["speculative_tokens"], 5);
}

#[test]
fn an_option_for_another_kind_is_said_to_be_ignored_and_refused_under_strict() {
    let scratch = Scratch::new();
    let source = TinyMtp::verifier(MtpFamily::Qwen3).write(&scratch, "verifier");
    let mut request = ConvertRequest::new(&source, &source, scratch.path("output"));
    request.embedding = Embedding::Drop;
    let decided = plan(&request).unwrap();
    let ignored: Vec<&str> = decided
        .decisions()
        .iter()
        .filter(|made| made.value == "ignored")
        .map(|made| made.subject.as_str())
        .collect();
    assert_eq!(ignored, ["--embed"]);
    request.options.strict = true;
    let found = plan(&request).unwrap_err();
    assert!(
        found.iter().any(|found| found.code == codes::USAGE
            && found.title == "`--embed` says nothing about a head of kind `mtp`"),
        "{found:#?}"
    );
}

#[test]
fn experts_of_two_dtypes_cannot_be_one_tensor() {
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3Next);
    let name = "mtp.layers.0.mlp.experts.1.up_proj.weight";
    tiny.put(name, safetensors::Dtype::F32, &[4, 16], vec![0; 4 * 16 * 4]);
    let scratch = Scratch::new();
    let source = tiny.write(&scratch, "verifier");
    let request = ConvertRequest::new(&source, &source, scratch.path("output"));
    only(plan(&request).unwrap_err(), codes::TENSOR_DTYPE);
}

#[test]
fn other_layouts_have_no_place_for_an_mtp_head() {
    let scratch = Scratch::new();
    let source = TinyMtp::verifier(MtpFamily::Qwen3).write(&scratch, "verifier");
    let mut request = ConvertRequest::new(&source, &source, scratch.path("output"));
    request.target = Target::SgLang;
    let found = only(plan(&request).unwrap_err(), codes::NOT_REPRESENTABLE);
    assert!(found.help.unwrap().contains("stitch-mtp"));
}

#[test]
fn a_converted_head_is_judged_as_the_verifiers_own() {
    let (scratch, head, _) = convert(&TinyMtp::verifier(MtpFamily::Qwen35Moe));
    let report = crate::validate::validate(
        head.checkpoint.root(),
        Some(&scratch.path("verifier")),
        &crate::validate::ValidateOptions::default(),
    );
    assert_eq!(
        report.verdict,
        crate::validate::Verdict::Valid,
        "{report:#?}"
    );
    assert_eq!(codes_of(&report.diagnostics), [codes::LAYER_UNTOUCHED.0]);
    assert_eq!(report.tensors_scanned, head.tensors.len());
    // Inside the verifier it is judged as well, without the verifier's own weights.
    let verifier = scratch.path("verifier");
    let options = crate::validate::ValidateOptions::default();
    let report = crate::validate::validate(&verifier, Some(&verifier), &options);
    assert_eq!(report.diagnostics, []);
    assert_eq!(report.layout, Some(Layout::NativeMtp));
}
