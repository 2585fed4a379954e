//! Outputs that are links, or reached through them: nothing is ever written where a link leads.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

/// Every file below a directory with its bytes; links are named and not followed.
fn snapshot(root: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs_err::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            found.extend(snapshot(&path));
        } else {
            let bytes = kind.is_file().then(|| fs_err::read(&path).unwrap());
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

/// A request that is refused with S108, forced or not, and leaves everything as it is.
#[track_caller]
fn kept(scratch: &Scratch, mut request: ConvertRequest) {
    let before = snapshot(scratch.root());
    for force in [false, true] {
        request.force = force;
        let mut codes = refused(&request);
        codes.dedup(); // the root of everything is a parent of the source and of the verifier
        assert_eq!(codes, [108], "force: {force}");
    }
    assert_eq!(snapshot(scratch.root()), before);
}

#[test]
fn a_link_is_no_output() {
    let (scratch, request) = request(&TinyHead::new());
    // To another checkpoint, and to nothing.
    TinyHead::new().write(&scratch, "elsewhere");
    symlink(scratch.path("elsewhere"), &request.output).unwrap();
    kept(&scratch, request.clone());
    fs_err::remove_file(&request.output).unwrap();
    symlink(scratch.path("nowhere"), &request.output).unwrap();
    kept(&scratch, request);
    assert!(!scratch.path("nowhere").exists());
}

#[test]
fn a_file_or_pipe_is_no_output() {
    let (scratch, request) = request(&TinyHead::new());
    let pipe = std::process::Command::new("mkfifo")
        .arg(&request.output)
        .status();
    assert!(pipe.unwrap().success());
    kept(&scratch, request.clone());
    fs_err::remove_file(&request.output).unwrap();
    fs_err::write(&request.output, "kept").unwrap();
    kept(&scratch, request);
}

#[test]
fn the_source_is_recognized_through_links() {
    let (scratch, mut request) = request(&TinyHead::new());
    let real = request.source.clone();
    symlink(&real, scratch.path("link")).unwrap();
    symlink(scratch.root(), scratch.path("round")).unwrap();
    for (source, output) in [
        (scratch.path("link"), real.clone()),
        (real.clone(), scratch.path("link")),
        (scratch.path("link"), scratch.path("link/output")),
        (scratch.path("link"), real.join("output")),
        (real.clone(), scratch.path("link/output")),
        (real.clone(), scratch.path("round/source")),
        (real.clone(), scratch.path("round/link/deep/../output")),
        (real.clone(), scratch.path("not-there/../source/output")),
        (scratch.path("round/link"), scratch.root().to_path_buf()),
    ] {
        request.source = source;
        request.output = output;
        kept(&scratch, request.clone());
    }
}

#[test]
fn a_link_that_appears_meanwhile_is_not_written_through() {
    let (scratch, mut request) = request(&TinyHead::new());
    request.force = true;
    let plan = plan(&request).unwrap();
    fs_err::create_dir(scratch.path("elsewhere")).unwrap();
    symlink(scratch.path("elsewhere"), &request.output).unwrap();
    let before = snapshot(scratch.root());
    let found = plan.write(&mut |_, _| ()).unwrap_err();
    assert_eq!(found[0].code, codes::OUTPUT_EXISTS);
    assert_eq!(snapshot(scratch.root()), before);
}

#[test]
fn replacing_a_checkpoint_of_links_leaves_what_they_lead_to() {
    let (scratch, mut request) = request(&TinyHead::new());
    scratch.write("blobs/weights", b"kept");
    scratch.write("output/config.json", b"{}");
    symlink(
        scratch.path("blobs/weights"),
        scratch.path("output/model.safetensors"),
    )
    .unwrap();
    request.force = true;
    plan(&request).unwrap().write(&mut |_, _| ()).unwrap();
    assert_eq!(
        fs_err::read(scratch.path("blobs/weights")).unwrap(),
        b"kept"
    );
    let written = fs_err::symlink_metadata(scratch.path("output/model.safetensors")).unwrap();
    assert!(written.is_file());
}
