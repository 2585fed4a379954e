//! The trained heads of `fixtures/heads`: one head in several layouts, so that every layout must come to the same head.

use std::path::{Path, PathBuf};

use speculators_formats::convert::{ConvertRequest, plan};
use speculators_formats::{Checkpoint, Head, Layout, ReadOptions, VerifierConfig};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(name)
}

fn open(name: &str) -> Head {
    let verifier = VerifierConfig::read(&fixture("verifier")).expect("the verifier");
    Head::open(
        &fixture("heads").join(name),
        Some(&verifier),
        &ReadOptions::default(),
    )
    .expect(name)
}

#[test]
fn every_layout_holds_the_same_head() {
    let reference = open("speculators");
    assert_eq!(reference.layout, Layout::Speculators);
    for (name, layout) in [
        ("safeailab", Layout::SafeAiLab),
        ("safeailab-bin", Layout::SafeAiLab),
        ("specforge", Layout::SpecForge),
    ] {
        let head = open(name);
        assert_eq!(head.layout, layout);
        // The original release leaves the embedding to the verifier.
        let mut description = head.description.clone();
        description.own_embeddings = reference.description.own_embeddings;
        assert_eq!(description, reference.description, "{name}");
        assert_eq!(head.vocabulary_map(), reference.vocabulary_map());
        for canonical in head.tensors.keys() {
            let (found, expected) = (
                head.tensor(canonical).unwrap(),
                reference.tensor(canonical).unwrap(),
            );
            assert!(
                found.shape == expected.shape && found.data == expected.data,
                "{name}: {canonical}"
            );
        }
    }
}

/// Converts one of the heads into a directory.
fn convert(name: &str, output: &Path) {
    let request = ConvertRequest::new(fixture("heads").join(name), fixture("verifier"), output);
    plan(&request)
        .expect(name)
        .write(&mut |_, _| ())
        .expect(name);
}

#[test]
fn conversion_from_every_layout_gives_the_same_tensors() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let reference = Checkpoint::open(fixture("heads/speculators")).expect("the reference");
    for name in ["speculators", "safeailab", "safeailab-bin", "specforge"] {
        let output = scratch.path().join(name);
        convert(name, &output);
        let written = Checkpoint::open(&output).expect(name);
        for tensor in written.names() {
            let (found, expected) = (
                written.tensor(tensor).unwrap(),
                reference.tensor(tensor).unwrap(),
            );
            assert!(
                found.dtype == expected.dtype && found.data == expected.data,
                "{name}: {tensor}"
            );
        }
    }
}

#[test]
fn a_pickle_converts_to_the_same_bytes_as_safetensors() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let [safetensors, pickle] = ["safeailab", "safeailab-bin"].map(|name| {
        let output = scratch.path().join(name);
        convert(name, &output);
        fs_err::read(output.join("model.safetensors")).expect(name)
    });
    assert!(safetensors == pickle, "the files differ");
}
