//! Wrongs planted into the metadata of trained heads are found by measurement, and sound heads are confirmed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use speculators::decoding::{Limits, speculate};
use speculators::models::{DraftHead, Verifier};
use speculators::probe::{Findings, Question, Subject, Text, Verdict, encode, probe, write_texts};
use speculators::text::{Prompt, PromptOptions, PromptSet, TextModel};
use speculators_formats::{Head, ReadOptions, VerifierConfig, codes};
use tempfile::TempDir;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// A copy of a head, to be spoiled.
fn copy(head: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        let from = fixtures().join("heads").join(head).join(name);
        fs_err::copy(from, copy.path().join(name)).unwrap();
    }
    copy
}

fn config(head: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(head.join("config.json")).unwrap()).unwrap()
}

/// A head whose config says something else.
fn plant(head: &str, wrong: impl FnOnce(&mut Value)) -> TempDir {
    let copy = copy(head);
    let mut value = config(copy.path());
    wrong(&mut value);
    fs_err::write(copy.path().join("config.json"), value.to_string()).unwrap();
    copy
}

/// Changes tensors of a head; those for which nothing comes back are left out.
fn rewrite(head: &Path, change: impl Fn(&str, &[u8]) -> Option<Vec<u8>>) {
    let path = head.join("model.safetensors");
    let bytes = fs_err::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut kept: HashMap<String, (Dtype, Vec<usize>, Vec<u8>)> = HashMap::new();
    for (name, view) in tensors.tensors() {
        if let Some(data) = change(&name, view.data()) {
            kept.insert(name, (view.dtype(), view.shape().to_vec(), data));
        }
    }
    let views = kept.iter().map(|(name, (dtype, shape, data))| {
        let view = TensorView::new(*dtype, shape.clone(), data).unwrap();
        (name.clone(), view)
    });
    fs_err::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Turns the offsets of `d2t` into verifier tokens.
fn absolute(name: &str, data: &[u8]) -> Option<Vec<u8>> {
    if name != "d2t" {
        return Some(data.to_vec());
    }
    let entries = data.as_chunks::<8>().0.iter().zip(0_i64..);
    Some(
        entries
            .flat_map(|(offset, draft)| (i64::from_le_bytes(*offset) + draft).to_le_bytes())
            .collect(),
    )
}

fn prompts() -> Vec<Prompt> {
    let path = fixtures().join("prompts.jsonl");
    PromptSet::read(&[path], PromptOptions::default())
        .unwrap()
        .prompts
}

fn measured(head: &Path, tokens: usize) -> (Findings, Subject) {
    let directory = fixtures().join("verifier");
    let verifier = Verifier::load(&directory).unwrap();
    let subject = Subject::open(head, verifier.config()).unwrap();
    let prompts = prompts();
    let text = TextModel::load(&directory).unwrap();
    let prompts = encode(&prompts, Some(&text)).unwrap();
    let silent = &mut |_| {};
    let texts = write_texts(&verifier, &prompts, tokens, &subject, &GO_ON, silent).unwrap();
    let findings = probe(&subject, &verifier, &texts, &GO_ON, silent).unwrap();
    (findings, subject)
}

/// Question and answer of everything that was picked, and the questions that were left open.
fn summary(findings: &Findings) -> (Vec<(Question, String)>, Vec<Question>) {
    let picked = findings.picked().map(|answer| {
        let picked = answer.picked.clone().unwrap_or_default();
        (answer.question, picked)
    });
    let open = findings.answers.iter();
    let open = open.filter(|answer| answer.verdict == Verdict::Undecided);
    (
        picked.collect(),
        open.map(|answer| answer.question).collect(),
    )
}

fn finds(head: &TempDir, wrongs: &[(Question, &str)]) {
    let (findings, _) = measured(head.path(), 1000);
    let (picked, open) = summary(&findings);
    let wrongs: Vec<(Question, String)> = wrongs
        .iter()
        .map(|(question, answer)| (*question, (*answer).to_owned()))
        .collect();
    assert_eq!((picked, open), (wrongs, Vec::new()), "{findings:#?}");
}

const IDS: &str = "eagle_aux_hidden_state_layer_ids";

#[test]
fn sound_heads_of_every_layout_are_confirmed() {
    for head in [
        "speculators",
        "speculators-defaults",
        "specforge",
        "safeailab",
    ] {
        finds(&copy(head), &[]);
    }
}

#[test]
fn layers_shifted_down_are_found() {
    let head = plant("speculators", |config| config[IDS] = json!([1, 3, 4]));
    finds(&head, &[(Question::AuxLayers, "[2, 4, 5]")]);
}

#[test]
fn layers_shifted_up_are_found() {
    let head = plant("speculators-defaults", |config| {
        config[IDS] = json!([3, 5, 6])
    });
    finds(&head, &[(Question::AuxLayers, "[2, 4, 5]")]);
}

#[test]
fn a_flipped_norm_before_the_residual_is_found() {
    let head = plant("speculators", |config| {
        config["norm_before_residual"] = json!(true)
    });
    finds(&head, &[(Question::NormBeforeResidual, "false")]);
    let head = plant("speculators-defaults", |config| {
        config["norm_before_residual"] = json!(false);
    });
    finds(&head, &[(Question::NormBeforeResidual, "true")]);
}

#[test]
fn a_flipped_meaning_of_the_norm_output_is_found() {
    let head = plant("speculators", |config| config["norm_output"] = json!(true));
    finds(&head, &[(Question::NormOutput, "false")]);
}

#[test]
fn a_norm_that_is_there_and_said_to_be_unused_is_found() {
    let head = plant("speculators-defaults", |config| {
        config["norm_before_fc"] = json!(false)
    });
    finds(&head, &[(Question::NormBeforeFc, "true")]);
}

#[test]
fn wrong_rotary_embeddings_are_found() {
    for (head, theta) in [
        ("speculators", 500_000.0),
        ("speculators-defaults", 1_000_000.0),
    ] {
        let head = plant(head, |config| {
            config["transformer_layer_config"]["rope_parameters"]["rope_theta"] = json!(theta);
        });
        finds(&head, &[(Question::Rope, "theta 10000")]);
    }
    let head = plant("speculators", |config| {
        config["transformer_layer_config"]["rope_parameters"] =
            json!({"rope_type": "linear", "factor": 8.0, "rope_theta": 10_000.0});
    });
    finds(&head, &[(Question::Rope, "theta 10000")]);
}

#[test]
fn wrongs_that_hide_each_other_are_found_together() {
    let head = plant("speculators", |config| {
        config[IDS] = json!([3, 5, 6]);
        config["norm_before_residual"] = json!(true);
        config["norm_output"] = json!(true);
    });
    finds(
        &head,
        &[
            (Question::NormBeforeResidual, "false"),
            (Question::NormOutput, "false"),
            (Question::AuxLayers, "[2, 4, 5]"),
        ],
    );
}

#[test]
fn absolute_ids_in_d2t_are_found_with_and_without_t2d() {
    let head = copy("speculators");
    rewrite(head.path(), absolute);
    finds(&head, &[(Question::VocabularyMap, "absolute")]);
    rewrite(head.path(), |name, data| {
        (name != "t2d").then(|| data.to_vec())
    });
    finds(&head, &[(Question::VocabularyMap, "absolute")]);

    // Nothing of it goes into a config.
    let (findings, subject) = measured(head.path(), 300);
    let verifier = VerifierConfig::read(&fixtures().join("verifier")).unwrap();
    let before = config(head.path());
    let refused = findings
        .write(head.path(), &verifier, &subject)
        .unwrap_err();
    assert!(refused.to_string().contains("d2t"), "{refused}");
    assert!(findings.conversion(&subject).contains("--d2t absolute"));
    assert_eq!(config(head.path()), before);
}

#[test]
fn a_head_of_random_weights_tells_nothing() {
    let head = copy("speculators");
    let random = |name: &str, data: &[u8]| {
        if name == "d2t" || name == "t2d" {
            return Some(data.to_vec());
        }
        let mut state = name.bytes().fold(1_u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let norm = name.contains("norm");
        let values = (0..data.len() / 2).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let unit = (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5;
            if norm { 1.0 } else { unit * 0.2 }
        });
        Some(
            values
                .flat_map(|value| half::bf16::from_f32(value).to_le_bytes())
                .collect(),
        )
    };
    rewrite(head.path(), random);
    let (findings, _) = measured(head.path(), 1000);
    assert!(!findings.informative, "{findings:#?}");
    let (picked, open) = summary(&findings);
    assert_eq!((picked.len(), open.len()), (0, findings.answers.len()));
    assert!(findings.undecided() && !findings.contradicted());
}

#[test]
fn what_was_picked_is_written_with_its_record_and_then_confirmed() {
    let head = plant("speculators", |config| {
        config[IDS] = json!([1, 3, 4]);
        config["transformer_layer_config"]["rope_parameters"]["rope_theta"] = json!(500_000.0);
    });
    let weights = fs_err::read(head.path().join("model.safetensors")).unwrap();
    let (findings, subject) = measured(head.path(), 1000);
    let verifier = VerifierConfig::read(&fixtures().join("verifier")).unwrap();
    findings
        .write(head.path(), &verifier, &subject)
        .unwrap()
        .unwrap();
    let written = config(head.path());
    assert_eq!(written[IDS], json!([2, 4, 5]));
    let record = &written["probe"];
    assert_eq!(record["tokens"], json!(findings.tokens));
    let answers = record["answers"].as_array().unwrap();
    let about = |key: &str| answers.iter().find(|answer| answer["key"] == key).unwrap();
    assert_eq!(about(IDS)["declared"], "[1, 3, 4]");
    assert_eq!(about("rope_parameters")["picked"], "theta 10000");
    let gained = |key: &str| record[key].as_f64().unwrap();
    assert!(gained("accepted_of_3_after") > gained("accepted_of_3_before"));
    assert_eq!(
        fs_err::read(head.path().join("model.safetensors")).unwrap(),
        weights
    );

    let sound = fixtures().join("heads/speculators/config.json");
    let mut expected: Value =
        serde_json::from_str(&fs_err::read_to_string(sound).unwrap()).unwrap();
    expected["probe"] = record.clone();
    assert_eq!(written, expected);
    finds(&head, &[]);
}

#[test]
fn a_foreign_layout_is_referred_to_convert() {
    let head = plant("specforge", |config| {
        config["eagle_config"]["eagle_aux_hidden_state_layer_ids"] = json!([2, 4, 5]);
    });
    let (findings, subject) = measured(head.path(), 600);
    let (picked, _) = summary(&findings);
    assert_eq!(picked, [(Question::AuxLayers, "[2, 4, 5]".to_owned())]);
    let verifier = VerifierConfig::read(&fixtures().join("verifier")).unwrap();
    let error = findings
        .write(head.path(), &verifier, &subject)
        .unwrap_err();
    let speculators::Error::Diagnostics(found) = error else {
        panic!("{error}");
    };
    assert_eq!(found[0].code, codes::PROBE_WRITE);
    let help = found[0].help.as_deref().unwrap();
    assert!(
        help.contains("convert") && help.contains("--aux-layers 2,4,5"),
        "{help}"
    );
}

/// What is measured at a position is what drafting there would come to.
#[test]
fn acceptance_is_that_of_real_speculation() {
    let directory = fixtures().join("verifier");
    let verifier = Verifier::load(&directory).unwrap();
    let text = TextModel::load(&directory).unwrap();
    let prompts = &prompts()[..9];
    let prompts = encode(prompts, Some(&text)).unwrap();
    for name in ["speculators", "speculators-defaults"] {
        let path = fixtures().join("heads").join(name);
        let options = ReadOptions::default();
        let opened = Head::open(&path, Some(verifier.config()), &options).unwrap();
        let head = DraftHead::load(&opened, &verifier).unwrap();
        let mut compared = 0;
        for prompt in &prompts {
            let layers = opened.description.aux_layer_ids.clone();
            let written = Text::write(&verifier, prompt, 96, &layers, &GO_ON).unwrap();
            let positions = written.draft_with(&head).unwrap();
            let limits = Limits::new(&verifier, 96);
            let real = speculate(&verifier, &head, prompt, &limits, 3, &GO_ON).unwrap();
            for step in &real.steps {
                let position = &positions[step.context_length - prompt.len() - 1];
                assert_eq!(position.context_length, step.context_length);
                if position.guesses.len() == 3 {
                    assert_eq!(position.accepted(), step.accepted, "{name}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 50, "{compared}");
    }
}
