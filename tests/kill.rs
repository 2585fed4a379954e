//! A conversion that is killed at any moment leaves its goal absent, or as it was, or complete: never half written.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Kills a conversion (SIGKILL on Unix) after a delay; true if it was still running.
fn killed(output: &Path, force: bool, delay: Duration) -> bool {
    let mut child = conversion(output, force);
    std::thread::sleep(delay);
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// Starts a conversion of a fixture.
fn conversion(output: &Path, force: bool) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_speculators"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "convert",
            "fixtures/heads/safeailab",
            "--verifier",
            "fixtures/verifier",
            "-o",
        ])
        .arg(output)
        .args(force.then_some("--force"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

/// The checkpoint that a conversion which is left alone writes.
fn undisturbed(output: &Path) -> [Vec<u8>; 2] {
    assert!(conversion(output, false).wait().unwrap().success());
    contents(output).unwrap()
}

/// The files of a checkpoint, or nothing where there is none.
fn contents(directory: &Path) -> Option<[Vec<u8>; 2]> {
    directory.exists().then(|| {
        ["config.json", "model.safetensors"].map(|name| fs_err::read(directory.join(name)).unwrap())
    })
}

/// Delays that cover a whole run on a machine of any speed: they grow until a run ends by itself.
fn delays() -> impl Iterator<Item = Duration> {
    (0..400_u64).map(|step| Duration::from_micros(200 * step))
}

#[test]
fn a_killed_conversion_leaves_nothing_or_everything() {
    let scratch = tempfile::tempdir().unwrap();
    let whole = undisturbed(&scratch.path().join("whole"));
    let (mut interrupted, mut finished) = (0, 0);
    for (step, delay) in delays().enumerate() {
        let output = scratch.path().join(format!("output-{step}"));
        let was_running = killed(&output, false, delay);
        match contents(&output) {
            None => assert!(was_running, "it ended well and wrote nothing"),
            Some(found) => assert!(found == whole, "half a checkpoint after {delay:?}"),
        }
        interrupted += usize::from(was_running);
        finished += usize::from(!was_running);
        if finished > 3 {
            break;
        }
    }
    assert!(interrupted > 0, "no run was killed");
}

#[test]
#[cfg(target_os = "linux")]
fn a_killed_replacement_leaves_the_old_or_the_new() {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("output");
    let new = undisturbed(&scratch.path().join("whole"));
    let mut old = new.clone();
    old[0] = b"{\"old\": true}\n".to_vec();
    for delay in delays() {
        fs_err::create_dir_all(&output).unwrap();
        fs_err::write(output.join("config.json"), &old[0]).unwrap();
        fs_err::write(output.join("model.safetensors"), &old[1]).unwrap();
        let was_running = killed(&output, true, delay);
        let found = contents(&output).expect("there is always one of the two");
        assert!(found == old || found == new, "a mixture after {delay:?}");
        if !was_running {
            assert!(found == new);
            break;
        }
    }
}
