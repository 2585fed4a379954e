//! Repositories of the Hub in the place of directories: every command fetches what it needs, and no more.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

mod hub;
mod user;

use std::path::Path;

use hub::Hub;
use tempfile::TempDir;
use user::User;

struct World {
    _root: TempDir,
    hub: Hub,
    user: User,
}

/// A Hub that holds the head and the verifier of the fixtures.
fn start() -> World {
    let root = TempDir::new().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for (name, from) in [
        ("me/head", "heads/speculators"),
        ("org/verifier", "verifier"),
    ] {
        let goal = root.path().join(name);
        fs_err::create_dir_all(&goal).unwrap();
        for entry in fs_err::read_dir(fixtures.join(from)).unwrap() {
            let entry = entry.unwrap();
            fs_err::copy(entry.path(), goal.join(entry.file_name())).unwrap();
        }
    }
    let hub = Hub::start(root.path()).unwrap();
    let user = User::of(&hub).unwrap();
    let _root = root;
    World { _root, hub, user }
}

#[test]
fn a_head_and_its_verifier_by_name() {
    let world = start();
    let arguments = ["validate", "me/head", "--verifier", "org/verifier"];
    let ended = world.user.run(&arguments);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(world.hub.bytes() > 0);

    // Once fetched, it is there; also without the Hub.
    world.hub.forget();
    assert_eq!(world.user.run(&arguments).code, Some(0));
    let again = world.hub.bytes();
    assert!(again < 200_000, "{again} bytes were fetched again");
    world.hub.forget();
    let offline = [("HF_HUB_OFFLINE", "1")];
    let ended = world.user.run_with(&offline, &arguments);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(world.hub.requests().is_empty());
}

#[test]
fn a_revision_by_name() {
    let world = start();
    world.hub.tag("me/head", "v1", "main").unwrap();
    let ended = world.user.run(&["inspect", "me/head@v1"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    world.user.run(&["inspect", "me/head@v2"]).trouble("S513");
    world.user.run(&["inspect", "me/nobody"]).trouble("S513");
}

#[test]
fn a_directory_comes_before_a_repository() {
    let world = start();
    fs_err::create_dir_all(world.user.home().join("me/head")).unwrap();
    assert_eq!(world.user.run(&["inspect", "me/head"]).code, Some(2));
    // `me` is a directory here, and so this is a path, too.
    assert_eq!(world.user.run(&["inspect", "me/other"]).code, Some(2));
    assert!(world.hub.requests().is_empty());
    let ended = world.user.run(&["inspect", "hf://me/head"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
