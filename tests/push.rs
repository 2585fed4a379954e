//! `speculators push` against the Hub of the tests: what arrives, what is refused, and what the token never gets into.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

mod hub;
mod user;

use std::path::{Path, PathBuf};

use hub::{Door, Fault, Hub, Kind};
use serde_json::Value;
use tempfile::TempDir;
use user::{TOKEN, User, noise};

const HEAD: &str = "me/head";

struct World {
    _root: TempDir,
    hub: Hub,
    user: User,
}

/// An empty Hub, and a user with a valid head in the directory `head`.
fn start() -> World {
    let root = TempDir::new().unwrap();
    let hub = Hub::start(root.path()).unwrap();
    let user = User::of(&hub).unwrap();
    let head = user.home().join("head");
    fs_err::create_dir_all(&head).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs_err::copy(fixture("heads/speculators").join(name), head.join(name)).unwrap();
    }
    let _root = root;
    World { _root, hub, user }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

impl World {
    fn file(&self, name: &str) -> Vec<u8> {
        fs_err::read(self.user.home().join("head").join(name)).unwrap()
    }

    fn uploaded(&self, revision: &str, name: &str) -> Option<Vec<u8>> {
        self.hub.read(HEAD, revision, name).unwrap()
    }

    fn assert_uploaded(&self, revision: &str, names: &[&str]) {
        for name in names {
            let found = self.uploaded(revision, name);
            assert!(found.as_ref() == Some(&self.file(name)), "{name} differs");
        }
    }

    /// Nothing was made or changed.
    fn assert_untouched(&self) {
        for request in self.hub.requests() {
            let reads = ["GET", "HEAD"].contains(&request.method.as_str());
            assert!(reads, "{} {}", request.method, request.path);
        }
    }
}

#[test]
fn a_head_arrives_with_a_card_in_one_commit() {
    let world = start();
    let ended = world
        .user
        .run(&["push", "head", HEAD, "--message", "First of all"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(HEAD), "{}", ended.stdout);
    world.assert_uploaded("main", &["config.json", "model.safetensors"]);
    let card = world.uploaded("main", "README.md").unwrap();
    let card = String::from_utf8(card).unwrap();
    assert!(card.starts_with("---\n"), "{card}");
    assert!(card.contains("vllm serve") && card.contains(HEAD), "{card}");
    assert!(!card.contains(TOKEN) && !card.contains("/tmp"), "{card}");
    let requests = world.hub.requests();
    let commits: Vec<_> = requests
        .iter()
        .filter(|request| request.path.contains("/commit/"))
        .collect();
    assert_eq!(commits.len(), 1);
    // The token is for the Hub.
    for request in &requests {
        let sent = request.header("authorization").is_some();
        assert_eq!(sent, request.door == Door::Hub, "{}", request.path);
    }
}

#[test]
fn large_files_go_to_the_storage() {
    let world = start();
    let large = world.user.home().join("head/optimizer.bin");
    fs_err::write(&large, noise(1, 12 << 20)).unwrap();
    // In one piece, and in several.
    for part in [64 << 20, 5 << 20] {
        world.hub.part(part);
        let repository = format!("me/head-{part}");
        let ended = world.user.run(&["push", "head", &repository]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let found = world
            .hub
            .read(&repository, "main", "optimizer.bin")
            .unwrap();
        assert!(found.unwrap() == world.file("optimizer.bin"));
        fs_err::write(&large, noise(part, 12 << 20)).unwrap();
    }
    // What the Hub has it does not get again.
    let repository = format!("me/head-{}", 5 << 20);
    world.hub.forget();
    fs_err::write(&large, noise(64 << 20, 12 << 20)).unwrap();
    let ended = world.user.run(&["push", "head", &repository]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let moved: u64 = world
        .hub
        .requests()
        .iter()
        .map(|request| request.received)
        .sum();
    assert!(moved < 1 << 20, "{moved} bytes were sent again");
}

#[test]
fn uploads_survive_passing_trouble() {
    let world = start();
    for (method, part, status) in [
        ("POST", "/repos/create", 503),
        ("POST", "/preupload/", 500),
        ("POST", "/objects/batch", 502),
        ("PUT", "/upload/", 500),
    ] {
        let fault = Fault::new(Kind::Status(status)).method(method).path(part);
        world.hub.fault(fault.times(1));
    }
    let ended = world.user.run(&["push", "head", HEAD]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    world.assert_uploaded("main", &["config.json", "model.safetensors"]);
}

#[test]
fn a_card_of_ones_own_is_kept() {
    let world = start();
    fs_err::write(world.user.home().join("head/README.md"), "# Mine\n").unwrap();
    assert_eq!(world.user.run(&["push", "head", HEAD]).code, Some(0));
    assert_eq!(world.uploaded("main", "README.md").unwrap(), b"# Mine\n");
}

#[test]
fn what_is_not_valid_is_not_uploaded() {
    let world = start();
    let config = String::from_utf8(world.file("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["draft_vocab_size"] = 3.into();
    let path = world.user.home().join("head/config.json");
    fs_err::write(path, config.to_string()).unwrap();
    let ended = world.user.run(&["push", "head", HEAD]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("error[S"), "{}", ended.stderr);
    world.assert_untouched();
}

#[test]
fn a_dry_run_uploads_nothing() {
    let world = start();
    let ended = world.user.run(&["push", "head", HEAD, "--dry-run"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("model.safetensors"),
        "{}",
        ended.stdout
    );
    world.assert_untouched();
}

#[test]
fn a_private_repository_is_private() {
    let world = start();
    assert_eq!(
        world.user.run(&["push", "head", HEAD, "--private"]).code,
        Some(0)
    );
    let none = [("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
    world.user.run_with(&none, &["pull", HEAD]).trouble("S513");
    world.user.run(&["pull", HEAD]).directory();
}

#[test]
fn pushing_again_adds_a_commit_or_a_proposal() {
    let world = start();
    assert_eq!(world.user.run(&["push", "head", HEAD]).code, Some(0));
    let first = world.hub.commit(HEAD, "main").unwrap().unwrap();
    fs_err::write(world.user.home().join("head/notes.txt"), "more").unwrap();
    let ended = world.user.run(&["push", "head", HEAD, "--create-pr"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("/discussions/1"), "{}", ended.stdout);
    assert_eq!(world.hub.commit(HEAD, "main").unwrap().unwrap(), first);
    world.assert_uploaded("refs/pr/1", &["notes.txt", "model.safetensors"]);
    assert_eq!(world.user.run(&["push", "head", HEAD]).code, Some(0));
    world.assert_uploaded("main", &["notes.txt"]);
}

#[test]
fn refusals_are_explained() {
    let world = start();
    let none = [("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
    world
        .user
        .run_with(&none, &["push", "head", HEAD])
        .trouble("S512");
    world.assert_untouched();
    let offline = [("HF_HUB_OFFLINE", "1")];
    world
        .user
        .run_with(&offline, &["push", "head", HEAD])
        .trouble("S517");
    assert!(world.hub.requests().is_empty());

    let cases = [
        ("/repos/create", 403, "S512"),
        ("/preupload/", 403, "S512"),
        ("/commit/", 412, "S521"),
        ("/commit/", 400, "S521"),
        ("/commit/", 403, "S512"),
    ];
    for (part, status, code) in cases {
        let world = start();
        let says = format!("You may not do that, {TOKEN}.");
        let fault = Fault::new(Kind::Status(status))
            .method("POST")
            .path(part)
            .says("", &says);
        world.hub.fault(fault);
        let ended = world.user.run(&["push", "head", HEAD]);
        assert!(
            ended.trouble(code).contains("You may not do that"),
            "{}",
            ended.stderr
        );
        assert_eq!(world.uploaded("main", "config.json"), None);
    }
    // A commit may have been taken although nobody heard of it: it is not sent twice.
    let world = start();
    world
        .hub
        .fault(Fault::new(Kind::Status(503)).path("/commit/"));
    assert_eq!(world.user.run(&["push", "head", HEAD]).code, Some(2));
    let requests = world.hub.requests();
    assert_eq!(
        requests
            .iter()
            .filter(|request| request.path.contains("/commit/"))
            .count(),
        1
    );
}

#[test]
fn a_branch_that_is_not_there_is_named() {
    let world = start();
    assert_eq!(world.user.run(&["push", "head", HEAD]).code, Some(0));
    let ended = world.user.run(&["push", "head", HEAD, "--revision", "dev"]);
    let stderr = ended.trouble("S513");
    assert!(stderr.contains("dev"), "{stderr}");
}
