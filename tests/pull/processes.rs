//! Pulls that are ended from outside, and several at once.

use std::path::Path;
use std::process::{Child, Stdio};

use super::hub::{Door, Fault, Kind};
use super::{MODEL, World, ending, start};

/// Starts a pull whose large files trickle, and waits until something of them has arrived.
fn trickling(world: &World) -> Child {
    let drip = Kind::Drip(4096, std::time::Duration::from_millis(5));
    world.hub.fault(Fault::new(drip).at(Door::Cdn));
    let mut command = world.user.command(&["pull", MODEL]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let cached = world.user.cached(MODEL);
    let begun = || {
        let parts = ending(&cached, ".incomplete");
        parts
            .iter()
            .any(|part| fs_err::metadata(part).is_ok_and(|part| part.len() > 0))
    };
    while !begun() {
        std::thread::yield_now();
    }
    child
}

#[cfg(unix)]
#[test]
fn an_interrupted_pull_goes_on_where_it_was() {
    let world = start();
    let child = trickling(&world);
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(130),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let cached = world.user.cached(MODEL);
    assert!(!cached.join("refs").exists());
    let parts = ending(&cached, ".incomplete");
    assert!(!parts.is_empty());
    let here: u64 = parts
        .iter()
        .map(|part| fs_err::metadata(part).unwrap().len())
        .sum();
    // Nothing but blobs, parts of blobs, links and locks.
    assert!(ending(&cached, ".tmp").is_empty());

    world.hub.clear_faults();
    world.hub.forget();
    let directory = world.user.run(&["pull", MODEL]).directory();
    world.assert_complete(&directory);
    let small: u64 = 3 * 1000 + 5;
    assert!(
        world.hub.bytes() <= 4_000_000 - here + small,
        "{here} bytes were there"
    );
    assert!(ending(&cached, ".incomplete").is_empty());
}

#[test]
fn a_killed_pull_goes_on_where_it_was() {
    let world = start();
    let mut child = trickling(&world);
    child.kill().unwrap();
    child.wait().unwrap();
    let cached = world.user.cached(MODEL);
    let parts = ending(&cached, ".incomplete");
    let here: u64 = parts
        .iter()
        .map(|part| fs_err::metadata(part).unwrap().len())
        .sum();
    world.hub.clear_faults();
    world.hub.forget();
    let directory = world.user.run(&["pull", MODEL]).directory();
    world.assert_complete(&directory);
    assert!(world.hub.bytes() <= world.size() - here);
}

#[test]
fn two_at_once_fetch_everything_once() {
    let world = start();
    let drip = Kind::Drip(100_000, std::time::Duration::from_millis(5));
    world.hub.fault(Fault::new(drip).at(Door::Cdn));
    let start = || {
        let mut command = world.user.command(&["pull", MODEL]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children = [start(), start()];
    for child in children {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let directory = String::from_utf8(output.stdout).unwrap();
        world.assert_complete(Path::new(directory.trim_end()));
    }
    assert_eq!(world.hub.bytes(), world.size());
}

#[test]
fn files_come_in_parallel() {
    let world = start();
    let drip = Kind::Drip(500_000, std::time::Duration::from_millis(5));
    world.hub.fault(Fault::new(drip).at(Door::Cdn));
    world.user.run(&["pull", MODEL]).directory();
    let most = world
        .hub
        .requests()
        .iter()
        .map(|request| request.concurrent)
        .max();
    assert!(most > Some(1), "one request at a time");
}
