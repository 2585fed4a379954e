//! What validation says about block drafters, values and verifier included.

use safetensors::Dtype;
use serde_json::json;

use super::*;
use crate::validate::{ValidateOptions, Verdict, validate};

fn judged(head: &TinyHead, verifier: &Value) -> (Verdict, Vec<u16>) {
    let scratch = Scratch::new();
    let directory = head.write(&scratch, "head");
    scratch.write("verifier/config.json", verifier.to_string().as_bytes());
    let report = validate(
        &directory,
        Some(&scratch.path("verifier")),
        &ValidateOptions::default(),
    );
    let codes = report.diagnostics.iter().map(|found| found.code.0);
    (report.verdict, codes.collect())
}

fn codes_of(head: &TinyHead) -> Vec<u16> {
    judged(head, &verifier_config()).1
}

fn fill(head: &mut TinyHead, name: &str, value: f32) {
    let (_, shape, bytes) = head.tensors[name].clone();
    let filled = half::bf16::from_f32(value)
        .to_le_bytes()
        .repeat(bytes.len() / 2);
    head.put(name, Dtype::BF16, &shape, filled);
}

#[test]
fn sound_heads_of_every_kind_are_valid() {
    let mut reduced = speculators("dflash");
    reduce(&mut reduced);
    for head in [
        speculators("dflash"),
        reduced,
        dflash2(),
        dspark("gated"),
        xpress(),
    ] {
        assert_eq!(
            judged(&head, &verifier_config()),
            (Verdict::Valid, Vec::new())
        );
    }
}

#[test]
fn values_are_judged_and_what_begins_at_zero_is_not() {
    let mut head = speculators("dflash");
    fill(&mut head, "hidden_norm.weight", f32::NAN);
    assert_eq!(codes_of(&head), [205]);
    fill(&mut head, "hidden_norm.weight", 1.0);
    assert_eq!(codes_of(&head), [206]);
    let mut head = speculators("dflash");
    fill(&mut head, "fc.weight", 0.0);
    assert_eq!(codes_of(&head), [207]);
    let mut head = xpress();
    fill(&mut head, "refiner_head.mix_l", 0.0);
    assert!(codes_of(&head).is_empty());
    let mut head = dflash2();
    fill(&mut head, "layers.0.mlp_conv.kernel_projection.weight", 0.0);
    assert!(codes_of(&head).is_empty());
    let mut head = dspark("vanilla");
    fill(&mut head, "markov_head.markov_w2.weight", 0.0);
    assert_eq!(codes_of(&head), [207]);
}

#[test]
fn the_verifier_is_held_against_the_head() {
    let with = |key: &str, value: Value| {
        let mut verifier = verifier_config();
        verifier[key] = value;
        judged(&speculators("dflash"), &verifier)
    };
    assert_eq!(
        with("hidden_size", json!(32)),
        (Verdict::NotValid, vec![401])
    );
    assert_eq!(
        with("vocab_size", json!(65)),
        (Verdict::NotValid, vec![402])
    );
    assert_eq!(
        with("num_hidden_layers", json!(4)),
        (Verdict::NotValid, vec![403])
    );
    assert_eq!(with("rope_theta", json!(5e5)), (Verdict::Valid, vec![407]));
    assert_eq!(
        with("rms_norm_eps", json!(1e-6)),
        (Verdict::Valid, vec![413])
    );
    assert_eq!(
        with("max_position_embeddings", json!(512)),
        (Verdict::Valid, vec![414])
    );
    let mut head = speculators("dflash");
    reduce(&mut head);
    let mut verifier = verifier_config();
    verifier["eos_token_id"] = json!([2, 3]);
    assert_eq!(judged(&head, &verifier), (Verdict::Valid, vec![405]));
}

#[test]
fn relatives_cannot_be_judged() {
    let mut head = foreign::zlab();
    head.float("prefix_gru.weight_ih_l0", &[4, HIDDEN]);
    assert_eq!(
        judged(&head, &verifier_config()),
        (Verdict::CouldNotTell, vec![110])
    );
}

#[test]
fn a_foreign_head_is_valid_with_what_it_leaves_open() {
    assert_eq!(
        judged(&foreign::zlab(), &verifier_config()),
        (Verdict::Valid, vec![419])
    );
}
