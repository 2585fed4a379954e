//! What `inspect` tells of a head, of a verifier and of something else.

use std::path::{Path, PathBuf};

use speculators_formats::codes;
use speculators_formats::inspect::{Coverage, Inspection, Kind, inspect};
use speculators_formats::{Layout, ReadOptions};

fn look(name: &str) -> Inspection {
    inspect(&fixture(name), None, &ReadOptions::default()).expect("a readable checkpoint")
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/broken")
        .join(name)
}

#[test]
fn a_head_is_described_with_its_vocabulary_and_sizes() {
    let found = look("sound");
    assert_eq!(
        (found.kind, found.layout),
        (Kind::Head, Some(Layout::Speculators))
    );
    assert_eq!(
        found.vocabulary,
        Some(Coverage {
            draft: 32,
            target: 64,
            sorted: true,
            bands: Vec::new()
        })
    );
    assert_eq!(found.tensors.len(), 15);
    assert_eq!(
        found.bytes,
        found.tensors.iter().map(|tensor| tensor.bytes).sum::<u64>()
    );
    assert_eq!(found.bytes, 2 * found.parameters + 32 * 8 + 64); // bf16, and the two maps
    assert!(
        found
            .tensors
            .iter()
            .all(|tensor| tensor.canonical.is_none())
    );
    assert!(found.extras.is_empty() && found.diagnostics.is_empty());
}

#[test]
fn names_of_another_layout_are_told_in_both() {
    let found = look("S409-original-release");
    assert_eq!(found.layout, Some(Layout::SafeAiLab));
    let tensor = found
        .tensors
        .iter()
        .find(|tensor| tensor.name == "midlayer.mlp.up_proj.weight");
    let canonical = tensor.and_then(|tensor| tensor.canonical.as_deref());
    assert_eq!(canonical, Some("layers.0.mlp.up_proj.weight"));
}

#[test]
fn a_head_that_does_not_open_is_still_listed() {
    let found = look("S201-no-fc");
    assert_eq!(found.kind, Kind::Head);
    assert!(found.head.is_none());
    assert_eq!(found.tensors.len(), 14);
    assert_eq!(found.diagnostics[0].code, codes::TENSOR_MISSING);
}

#[test]
fn a_verifier_is_told_from_a_head() {
    let found = look("verifier");
    assert_eq!(found.kind, Kind::Verifier);
    assert_eq!(
        found.verifier.map(|verifier| verifier.num_hidden_layers),
        Some(8)
    );
}

#[test]
fn other_kinds_are_listed_with_the_reason() {
    let found = look("S110-medusa");
    assert_eq!(found.kind, Kind::Unknown);
    assert_eq!(found.tensors.len(), 2);
    assert_eq!(found.extras.len(), 2); // medusa_num_heads, medusa_num_layers
    assert_eq!(found.diagnostics[0].code, codes::LAYOUT_UNKNOWN);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let found = inspect(&fixture("S102-truncated"), None, &ReadOptions::default()).map(drop);
    assert_eq!(
        found.map_err(|found| found[0].code),
        Err(codes::FILE_TRUNCATED)
    );
}
