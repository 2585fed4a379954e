use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use safetensors::Dtype;

use super::*;
use crate::convert::{self, ConvertRequest};
use crate::mtp::stitch::{StitchReport, StitchRequest, plan};

/// A verifier and the head taken out of it, side by side.
fn pair(tiny: &TinyMtp) -> (Scratch, StitchRequest) {
    let scratch = Scratch::new();
    let verifier = tiny.write(&scratch, "verifier");
    scratch.write("verifier/tokenizer.json", b"{}");
    scratch.write("verifier/assets/chat.txt", b"hello");
    let speculator = scratch.path("head");
    let request = ConvertRequest::new(&verifier, &verifier, &speculator);
    convert::plan(&request)
        .unwrap()
        .write(&mut |_, _| ())
        .unwrap();
    let request = StitchRequest {
        speculator,
        verifier,
        output: scratch.path("stitched"),
        force: false,
    };
    (scratch, request)
}

fn stitch(request: &StitchRequest) -> StitchReport {
    let mut last = 0;
    let report = plan(request)
        .unwrap()
        .write_until(&mut |done, total| {
            assert!(done <= total);
            last = done;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(last, report.bytes);
    report
}

fn refused_by(request: &StitchRequest) -> Vec<Diagnostic> {
    plan(request).unwrap_err()
}

/// Every file under a directory with its bytes.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(next) = waiting.pop() {
        for entry in fs_err::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let relative = path.strip_prefix(directory).unwrap().to_path_buf();
                found.insert(relative, fs_err::read(&path).unwrap());
            }
        }
    }
    found
}

/// Changes the last element of a tensor of the head.
fn finetune(speculator: &Path, name: &str) {
    let span = Checkpoint::open(speculator).unwrap().span(name).unwrap();
    let path = speculator.join("model.safetensors");
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[span.end - 1] ^= 0x01;
    fs_err::write(path, bytes).unwrap();
}

#[test]
fn a_head_that_was_not_changed_gives_the_verifier_back_byte_for_byte() {
    for family in MtpFamily::ALL {
        for experts in [ExpertStorage::Split, ExpertStorage::Fused] {
            let (_scratch, request) = pair(&TinyMtp::verifier_with(family, experts));
            let report = stitch(&request);
            assert!(report.rows.iter().all(|row| !row.changed));
            assert_eq!(
                contents(&request.output),
                contents(&request.verifier),
                "{family}"
            );
        }
    }
}

#[test]
fn one_file_and_a_prefix_are_no_obstacle() {
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3Next).prefixed("model.");
    tiny.shards = 1;
    let (_scratch, request) = pair(&tiny);
    assert_eq!(plan(&request).unwrap().files().len(), 4);
    stitch(&request);
    assert_eq!(contents(&request.output), contents(&request.verifier));
}

#[test]
fn a_changed_expert_arrives_where_the_verifier_keeps_it_and_nowhere_else() {
    let (_scratch, request) = pair(&TinyMtp::verifier(MtpFamily::Qwen3Next));
    finetune(&request.speculator, "mtp_layers.0.mlp.experts.gate_up_proj");
    let report = stitch(&request);
    let changed: Vec<&str> = report
        .rows
        .iter()
        .filter(|row| row.changed)
        .map(|row| row.destination.as_str())
        .collect();
    // The last row of the last expert belongs to its `up_proj`.
    assert_eq!(changed, ["mtp.layers.0.mlp.experts.2.up_proj.weight"]);
    let (before, after) = (contents(&request.verifier), contents(&request.output));
    let differing: usize = before
        .iter()
        .map(|(path, bytes)| {
            assert_eq!(bytes.len(), after[path].len());
            bytes
                .iter()
                .zip(&after[path])
                .filter(|(a, b)| a != b)
                .count()
        })
        .sum();
    assert_eq!(differing, 1);
    let written = Checkpoint::open(&request.output).unwrap();
    let head = Checkpoint::open(&request.speculator).unwrap();
    let ours = head
        .tensor("mtp_layers.0.mlp.experts.gate_up_proj")
        .unwrap();
    let theirs = written.tensor(changed[0]).unwrap();
    assert!(ours.data.ends_with(theirs.data));
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let scratch = Scratch::new();
    let request = |head: &TinyMtp, verifier: &TinyMtp| StitchRequest {
        speculator: head.write(&scratch, "head"),
        verifier: verifier.write(&scratch, "verifier"),
        output: scratch.path("stitched"),
        force: false,
    };
    let head = TinyMtp::speculators(MtpFamily::Qwen3Next);
    let verifier = TinyMtp::verifier(MtpFamily::Qwen3Next);

    let mut other = verifier.clone();
    other.tensors.remove("mtp.norm.weight");
    let found = only(refused_by(&request(&head, &other)), codes::TENSOR_MISSING);
    assert!(found.title.contains("final_layernorm"), "{}", found.title);

    let mut other = verifier.clone();
    other.tensors.retain(|name, _| !name.starts_with("mtp."));
    only(refused_by(&request(&head, &other)), codes::LAYOUT_UNKNOWN);

    let mut other = head.clone();
    let length = 16 * 32 * 4;
    other.put(
        "mtp_layers.0.input_proj.weight",
        Dtype::F32,
        &[16, 32],
        vec![0; length],
    );
    let found = only(refused_by(&request(&other, &verifier)), codes::TENSOR_DTYPE);
    assert!(found.title.contains("mtp.fc.weight"), "{}", found.title);

    let dense = TinyMtp::speculators(MtpFamily::Qwen35);
    only(
        refused_by(&request(&dense, &verifier)),
        codes::LAYER_MISMATCH,
    );
    assert!(!scratch.path("stitched").exists());
}

#[test]
fn the_output_is_whole_or_not_there() {
    let (scratch, mut request) = pair(&TinyMtp::verifier(MtpFamily::Qwen35));
    let stopped = plan(&request)
        .unwrap()
        .write_until(&mut |_, _| ControlFlow::Break(()));
    only(stopped.unwrap_err(), codes::OUTPUT_UNWRITABLE);
    let left = fs_err::read_dir(scratch.root()).unwrap().count();
    assert_eq!(left, 2, "the verifier and the head");

    scratch.write("stitched/config.json", b"{}");
    only(refused_by(&request), codes::OUTPUT_EXISTS);
    request.force = true;
    stitch(&request);
    assert_eq!(contents(&request.output), contents(&request.verifier));

    for output in ["verifier", "verifier/inside", "head"] {
        request.output = scratch.path(output);
        only(refused_by(&request), codes::OUTPUT_EXISTS);
    }
}

#[cfg(unix)]
#[test]
fn links_of_a_download_cache_become_files() {
    let (scratch, mut request) = pair(&TinyMtp::verifier(MtpFamily::Qwen35Moe));
    for (number, (path, _)) in contents(&request.verifier).into_iter().enumerate() {
        let link = scratch.path("snapshot").join(&path);
        fs_err::create_dir_all(link.parent().unwrap()).unwrap();
        let blob = scratch.path(&format!("blob-{number}"));
        fs_err::copy(request.verifier.join(&path), &blob).unwrap();
        std::os::unix::fs::symlink(blob, link).unwrap();
    }
    request.verifier = scratch.path("snapshot");
    stitch(&request);
    let copied = request.output.join("tokenizer.json");
    assert!(fs_err::symlink_metadata(copied).unwrap().is_file());
    assert_eq!(contents(&request.output), contents(&request.verifier));

    std::os::unix::fs::symlink(&request.verifier, request.verifier.join("again")).unwrap();
    request.output = scratch.path("other");
    let found = only(refused_by(&request), codes::FILE_MISSING);
    assert!(found.title.contains("deep"), "{}", found.title);
}
