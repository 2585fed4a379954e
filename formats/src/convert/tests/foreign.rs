//! Round trips through foreign layouts, and what they refuse.

use super::*;
use crate::options::ReadOptions;
use crate::speculator::Speculator;

/// Converts `source` to a layout; gives the directory.
#[track_caller]
fn export(scratch: &Scratch, source: &str, target: Target) -> Result<ConvertReport> {
    let output = scratch.path(&format!("as-{target}"));
    let mut request = ConvertRequest::new(scratch.path(source), scratch.path("verifier"), output);
    request.target = target;
    Ok(plan(&request)?.write(&mut |_, _| ()).unwrap())
}

/// A head in the speculators layout that every foreign layout can say.
fn plain() -> (Scratch, TinyHead) {
    let scratch = Scratch::new();
    scratch.write(
        "verifier/config.json",
        verifier_config().to_string().as_bytes(),
    );
    let mut head = TinyHead::speculators();
    head.config["norm_before_residual"] = json!(false);
    (scratch, head)
}

#[track_caller]
fn titles(head: &TinyHead, target: Target) -> Vec<String> {
    let (scratch, _) = plain();
    head.write(&scratch, "source");
    let found = export(&scratch, "source", target).unwrap_err();
    assert!(
        found
            .iter()
            .all(|problem| problem.code == codes::NOT_REPRESENTABLE)
    );
    found.into_iter().map(|problem| problem.title).collect()
}

#[test]
fn a_plain_head_returns_from_every_layout_as_it_was() {
    for target in [Target::Eagle, Target::SpecForge, Target::SgLang] {
        let (scratch, head) = plain();
        head.write(&scratch, "source");
        // First once in its own layout, so that both ends were written by this program.
        let first = export(&scratch, "source", Target::Speculators).unwrap();
        let there = export(&scratch, "as-speculators", target).unwrap();
        assert_eq!(there.description, first.description);
        let back = ConvertRequest {
            options: ReadOptions {
                strict: true,
                ..ReadOptions::default()
            },
            ..ConvertRequest::new(there.output, scratch.path("verifier"), scratch.path("back"))
        };
        let back = plan(&back).unwrap().write(&mut |_, _| ()).unwrap();
        assert_eq!(back.description, first.description, "{target}");
        let weights =
            |name: &str| fs_err::read(scratch.path(name).join("model.safetensors")).unwrap();
        assert_eq!(weights("back"), weights("as-speculators"), "{target}");
    }
}

#[test]
fn names_and_ids_are_those_of_the_target() {
    let (scratch, mut head) = plain();
    head.layer("layers.1", HIDDEN);
    head.config["transformer_layer_config"]["num_hidden_layers"] = json!(2);
    head.config["norm_output"] = json!(true);
    head.write(&scratch, "source");
    let report = export(&scratch, "source", Target::SgLang).unwrap();
    let written = Checkpoint::open(&report.output).unwrap();
    assert!(written.tensor("layers.0.hidden_norm.weight").is_some());
    assert!(written.tensor("layers.1.hidden_norm.weight").is_some());
    assert!(written.tensor("layers.1.input_layernorm.weight").is_none());
    assert_eq!(
        written.config().value["eagle_config"]["eagle_aux_hidden_state_layer_ids"],
        json!([1, 3, 4])
    );
    let again = Speculator::resolve(written, None, &ReadOptions::default()).unwrap();
    assert!(again.description().head().unwrap().norm_output);

    assert_eq!(titles(&head, Target::SpecForge).len(), 1);
    assert_eq!(titles(&head, Target::Eagle).len(), 2);
}

#[test]
fn what_a_layout_cannot_say_is_refused_all_at_once() {
    let mut head = TinyHead::speculators();
    head.config["eagle_aux_hidden_state_layer_ids"] = json!([0, 4, 5]);
    let found = titles(&head, Target::SgLang);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("norm_before_residual"), "{found:?}");
    assert!(
        found[1].contains("embedding among its auxiliary layers"),
        "{found:?}"
    );
    head.config["eagle_aux_hidden_state_layer_ids"] = json!([1, 4, 5]);
    assert!(titles(&head, Target::Eagle)[1].contains("[1, 4, 5]"));
}

#[test]
fn a_config_that_was_changed_after_the_export_is_believed_and_not_the_record() {
    let (scratch, head) = plain();
    head.write(&scratch, "source");
    let report = export(&scratch, "source", Target::SgLang).unwrap();
    let path = report.output.join("config.json");
    let mut config: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    config["eagle_config"]["eagle_aux_hidden_state_layer_ids"] = json!([2, 3, 5]);
    fs_err::write(&path, config.to_string()).unwrap();
    let again = Speculator::open(&report.output, None, &ReadOptions::default()).unwrap();
    assert_eq!(again.description().head().unwrap().aux_layer_ids, [3, 4, 6]);
}
