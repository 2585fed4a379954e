//! What `inspect` tells of a head, of a verifier and of something else.

use std::ops::ControlFlow;
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

fn trained(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(name)
}

#[test]
fn a_verifier_settles_the_layers_and_says_of_how_many() {
    let (head, verifier) = (trained("heads/safeailab"), trained("verifier"));
    let open = inspect(&head, None, &ReadOptions::default()).unwrap();
    let layers = |found: &Inspection| found.description().unwrap()["aux_layer_ids"].clone();
    assert_eq!(layers(&open), serde_json::json!([]));
    let found = inspect(&head, Some(&verifier), &ReadOptions::default()).unwrap();
    assert_eq!(layers(&found), serde_json::json!([2, 4, 5]));
    assert_eq!(found.verifier_layers, Some(8));
    assert_eq!(found.writer.as_deref(), Some("the original release"));
    let alone = inspect(&verifier, Some(&verifier), &ReadOptions::default()).unwrap();
    assert_eq!(alone.verifier_layers, None);
}

#[test]
fn coverage_counts_the_first_tokens_and_parts_add_up() {
    let found = inspect(&trained("heads/speculators"), None, &ReadOptions::default()).unwrap();
    let coverage = found.vocabulary.unwrap();
    assert_eq!((coverage.draft, coverage.target), (512, 1024));
    assert!(coverage.sorted);
    let [band] = coverage.bands.as_slice() else {
        panic!("{:?}", coverage.bands);
    };
    assert!(band.first == 1000 && band.draft <= 512);
    let names: Vec<&str> = found.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "d2t",
            "embed_tokens",
            "fc",
            "layers",
            "lm_head",
            "norm",
            "t2d"
        ]
    );
    let sum = |amount: fn(&speculators_formats::inspect::Part) -> u64| {
        found.parts.iter().map(amount).sum::<u64>()
    };
    assert_eq!(sum(|part| part.parameters), found.parameters);
    assert_eq!(sum(|part| part.bytes), found.bytes);
    assert_eq!(sum(|part| part.tensors as u64), found.tensors.len() as u64);
}

#[test]
fn files_have_sizes_and_digests_where_they_are_asked_for() {
    let mut found = look("sound");
    assert_eq!(found.stored[0].sha256, None);
    assert_eq!(found.stored[0].tensors, 15);
    assert_eq!(found.sum_up(&mut |_, _| ControlFlow::Break(())), Ok(false));
    let mut told = (0, 0);
    let finished = found.sum_up(&mut |done, total| {
        told = (done, total);
        ControlFlow::Continue(())
    });
    assert_eq!(finished, Ok(true));
    let bytes = fs_err::read(&found.stored[0].path).unwrap();
    assert_eq!(told, (bytes.len() as u64, found.stored[0].bytes));
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found.stored[0].sha256, Some(digest));
}
