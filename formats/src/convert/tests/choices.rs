//! What the caller may choose about an output: dtype, embedding, rows of `lm_head`, a bias after `fc`.

use half::{bf16, f16};

use super::*;
use crate::verifier::FloatType;

#[test]
fn weights_are_cast_to_nearest_and_overflow_is_refused() {
    let head = TinyHead::new();
    let (scratch, mut request) = request(&head);
    request.dtype = Some(FloatType::Float16);
    let report = plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
    assert_eq!(report.description.head().unwrap().dtype, FloatType::Float16);
    let written = Checkpoint::open(&request.output).unwrap();
    assert_eq!(written.config().get_str("dtype").unwrap(), Some("float16"));
    for (name, (dtype, _, bytes)) in &head.tensors {
        let view = written
            .tensor(&name.replace("midlayer.", "layers.0."))
            .unwrap();
        if *dtype != Dtype::BF16 {
            assert_eq!(
                (view.dtype, view.data),
                (*dtype, bytes.as_slice()),
                "{name}"
            );
            continue;
        }
        let expected: Vec<u8> = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|bytes| f16::from_f32(bf16::from_le_bytes(*bytes).to_f32()).to_le_bytes())
            .collect();
        assert_eq!(
            (view.dtype, view.data),
            (Dtype::F16, expected.as_slice()),
            "{name}"
        );
    }
    drop(scratch);

    let mut head = TinyHead::new();
    let large = [bf16::from_f32(1e5); HIDDEN]
        .map(bf16::to_le_bytes)
        .concat();
    head.put("norm.weight", Dtype::BF16, &[HIDDEN], large);
    let (_scratch, mut request) = super::request(&head);
    request.dtype = Some(FloatType::Float16);
    let found = plan(&request).unwrap_err();
    assert_eq!(found[0].code, codes::NOT_REPRESENTABLE);
    assert!(
        found[0].title.contains("16 of 16 values of `norm.weight`"),
        "{}",
        found[0].title
    );
}

#[test]
fn the_embedding_can_be_the_verifiers_or_none() {
    let mut head = TinyHead::new();
    head.float("embed_tokens.weight", &[VOCABULARY, HIDDEN]);
    let (_scratch, mut request) = request(&head);
    request.embedding = Embedding::Drop;
    let plan_without = plan(&request).unwrap();
    assert!(
        plan_without
            .rows()
            .iter()
            .all(|row| row.destination != "embed_tokens.weight")
    );
    assert_eq!(plan_without.dropped()[0].name, "embed_tokens.weight");

    let (scratch, mut request) = super::request(&TinyHead::new());
    request.embedding = Embedding::Verifier;
    assert_eq!(refused(&request), [101]);
    let embedding: Vec<u8> = (0..2 * VOCABULARY * HIDDEN)
        .map(|byte| byte as u8 & 0x3f)
        .collect();
    let name = "model.embed_tokens.weight";
    let file = tensors(&[(name, Dtype::BF16, &[VOCABULARY, HIDDEN], embedding.clone())]);
    scratch.write("verifier/model.safetensors", &file);
    let report = plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
    assert!(report.description.head().unwrap().own_embeddings);
    let written = Checkpoint::open(&request.output).unwrap();
    assert_eq!(
        written.tensor("embed_tokens.weight").unwrap().data,
        embedding
    );
}

#[test]
fn a_whole_output_matrix_is_cut_to_the_rows_of_the_map() {
    let mut head = TinyHead::new();
    head.float("lm_head.weight", &[VOCABULARY, HIDDEN]);
    let (_scratch, mut request) = request(&head);
    let found = plan(&request).unwrap_err();
    assert!(
        found[0].help.as_ref().unwrap().contains("slice-to-draft"),
        "{found:?}"
    );
    request.options.slice_lm_head = true;
    plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
    let written = Checkpoint::open(&request.output).unwrap();
    let rows: Vec<u8> = head
        .bytes("lm_head.weight")
        .chunks(2 * HIDDEN)
        .step_by(2)
        .flatten()
        .copied()
        .collect();
    assert_eq!(written.tensor("lm_head.weight").unwrap().data, rows);
}

#[test]
fn a_zero_bias_after_fc_goes_only_where_it_may() {
    let mut head = TinyHead::new();
    head.put("fc.bias", Dtype::BF16, &[HIDDEN], vec![0; 2 * HIDDEN]);
    let (_scratch, mut request) = request(&head);
    request.fc_bias = FcBias::Refuse;
    assert_eq!(refused(&request), [412]);
    request.target = Target::SgLang;
    let plan = plan(&request).unwrap();
    assert!(plan.rows().iter().any(|row| row.destination == "fc.bias"));
    assert_eq!(plan.config()["bias"], json!(true));
}

#[test]
fn values_that_are_no_numbers_stop_a_conversion_and_zeros_are_reported() {
    let mut head = TinyHead::new();
    head.put(
        "norm.weight",
        Dtype::BF16,
        &[HIDDEN],
        [0xc0, 0x7f].repeat(HIDDEN),
    );
    let (scratch, request) = request(&head);
    let found = plan(&request).unwrap().write(&mut |_, _| ()).unwrap_err();
    assert_eq!(found[0].code, codes::TENSOR_NON_FINITE);
    assert_eq!(left(&scratch), ["source", "verifier"]);

    let mut head = TinyHead::new();
    head.put(
        "fc.weight",
        Dtype::BF16,
        &[HIDDEN, 3 * HIDDEN],
        vec![0; 6 * HIDDEN * HIDDEN],
    );
    let (_scratch, request) = super::request(&head);
    let report = plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
    assert_eq!(report.findings.len(), 1);
    assert!(
        report.findings[0].title.contains("fc.weight"),
        "{:?}",
        report.findings
    );
}

#[test]
fn options_that_say_nothing_about_the_kind_of_head_are_reported_and_refused_under_strict() {
    let mut request = ConvertRequest::new("head", "verifier", "output");
    assert!(
        Algorithm::ALL
            .into_iter()
            .all(|kind| request.without_meaning(kind).is_empty())
    );
    request.speculative_tokens = Some(3);
    request.embedding = Embedding::Verifier;
    request.fc_bias = FcBias::Refuse;
    let idle = Algorithm::ALL.map(|kind| request.without_meaning(kind));
    assert_eq!(idle[0], ["--num-speculative-tokens", "--fc-bias"]);
    assert_eq!(idle[7], ["--embed", "--fc-bias"]);
    assert_eq!(idle.map(|options| options.len()), [2, 0, 0, 1, 1, 1, 1, 2]);
}
