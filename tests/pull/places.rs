//! Where files are put, and which of them.

use std::path::PathBuf;

use super::{FILES, MODEL, ending, noise, start, walk};

#[test]
fn the_cache_is_laid_out_as_everybody_expects() {
    let world = start();
    world.hub.page(2);
    let commit = world.hub.commit(MODEL, "main").unwrap().unwrap();
    let directory = world.user.run(&["pull", MODEL]).directory();
    let cached = world.user.cached(MODEL);
    assert_eq!(directory, cached.join("snapshots").join(&commit));
    world.assert_complete(&directory);
    let reference = fs_err::read_to_string(cached.join("refs/main")).unwrap();
    assert_eq!(reference, commit);
    for name in FILES {
        let link = fs_err::read_link(directory.join(name)).unwrap();
        let up = if name.contains('/') {
            "../../.."
        } else {
            "../.."
        };
        assert!(
            link.starts_with(format!("{up}/blobs")),
            "{}",
            link.display()
        );
        let blob = link.file_name().unwrap().len();
        assert_eq!(
            blob,
            if name.ends_with("tensors") { 64 } else { 40 },
            "{name}"
        );
    }
    assert_eq!(ending(&cached, ".incomplete"), Vec::<PathBuf>::new());
    assert_eq!(world.hub.bytes(), world.size());

    // What is there is not fetched again.
    world.hub.forget();
    assert_eq!(world.user.run(&["pull", MODEL]).directory(), directory);
    assert_eq!(world.hub.bytes(), 0);
}

#[test]
fn a_branch_that_moved_costs_what_changed() {
    let world = start();
    let first = world.user.run(&["pull", MODEL]).directory();
    let content = noise(99, 1500);
    let state = world.other_state(&[("config.json", &content)]);
    let commit = world.hub.publish(MODEL, "main", Some(&state)).unwrap();
    world.hub.forget();
    let second = world.user.run(&["pull", MODEL]).directory();
    assert!(second.ends_with(&commit));
    assert_eq!(world.hub.bytes(), 1500);
    assert_eq!(fs_err::read(second.join("config.json")).unwrap(), content);
    // The earlier state is still what it was.
    world.assert_complete(&first);
}

#[test]
fn branches_tags_and_commits_are_revisions() {
    let world = start();
    let first = world.hub.tag(MODEL, "v1", "main").unwrap();
    let state = world.other_state(&[("config.json", b"{}")]);
    let second = world.hub.publish(MODEL, "feature/x", Some(&state)).unwrap();
    let cached = world.user.cached(MODEL);
    for (arguments, commit) in [
        (&["pull", "org/model@v1"][..], &first),
        (&["pull", MODEL, "--revision", "feature/x"], &second),
        (&["pull", &format!("{MODEL}@{second}")], &second),
    ] {
        let directory = world.user.run(arguments).directory();
        assert_eq!(directory, cached.join("snapshots").join(commit));
    }
    let reference = |name: &str| fs_err::read_to_string(cached.join("refs").join(name)).unwrap();
    assert_eq!(reference("v1"), first);
    assert_eq!(reference("feature/x"), second);
    assert!(!cached.join("refs").join(&second).exists());

    let both = world
        .user
        .run(&["pull", "org/model@v1", "--revision", "v2"]);
    both.trouble("S001");
    world.user.run(&["pull", "org/model@v9"]).trouble("S513");
}

#[test]
fn patterns_choose_files() {
    let world = start();
    let arguments = [
        "pull",
        MODEL,
        "--include",
        "*.json",
        "--exclude",
        "original/*",
    ];
    let directory = world.user.run(&arguments).directory();
    let mut files = Vec::new();
    walk(&directory, &mut files);
    assert_eq!(files, [directory.join("config.json")]);
    assert_eq!(world.hub.bytes(), world.file("config.json").len() as u64);
    let none = world.user.run(&["pull", MODEL, "--include", "*.gguf"]);
    none.trouble("S519");
}

#[test]
fn a_dry_run_moves_and_leaves_nothing() {
    let world = start();
    let ended = world.user.run(&["pull", MODEL, "--dry-run"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for name in FILES {
        assert!(ended.stdout.contains(name), "{}", ended.stdout);
    }
    assert_eq!(world.hub.bytes(), 0);
    let mut files = Vec::new();
    walk(world.user.home(), &mut files);
    assert_eq!(files, Vec::<PathBuf>::new());

    let ended = world
        .user
        .run(&["pull", MODEL, "--dry-run", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["missing_bytes"], world.size());
    assert_eq!(report["files"].as_array().unwrap().len(), FILES.len());
}

#[test]
fn a_directory_of_ones_own() {
    let world = start();
    let arguments = ["pull", MODEL, "--local-dir", "here"];
    let directory = world.user.home().join("here");
    assert_eq!(world.user.run(&arguments).code, Some(0));
    world.assert_complete(&directory);
    assert!(
        !fs_err::symlink_metadata(directory.join("config.json"))
            .unwrap()
            .is_symlink()
    );
    assert!(!world.user.cached(MODEL).exists());
    world.hub.forget();
    assert_eq!(world.user.run(&arguments).code, Some(0));
    assert_eq!(world.hub.bytes(), 0);

    // What the user wrote is not replaced without being told to.
    fs_err::create_dir_all(world.user.home().join("mine")).unwrap();
    let mine = world.user.home().join("mine/config.json");
    fs_err::write(&mine, "{\"mine\": true}").unwrap();
    let arguments = ["pull", MODEL, "--local-dir", "mine"];
    let refused = world.user.run(&arguments);
    refused.trouble("S108");
    assert_eq!(fs_err::read_to_string(&mine).unwrap(), "{\"mine\": true}");
    assert_eq!(
        world
            .user
            .run(&[&arguments[..], &["--force"]].concat())
            .code,
        Some(0)
    );
    world.assert_complete(&world.user.home().join("mine"));
}

#[test]
fn a_cache_of_ones_own() {
    let world = start();
    let cache = world.user.home().join("somewhere/else");
    let variables = [("HF_HUB_CACHE", cache.to_str().unwrap())];
    let directory = world
        .user
        .run_with(&variables, &["pull", MODEL])
        .directory();
    assert!(directory.starts_with(cache.join("models--org--model/snapshots")));
    world.assert_complete(&directory);
    assert!(!world.user.settings().join("hub").exists());
}

#[test]
fn offline_means_offline() {
    let world = start();
    let offline = [("HF_HUB_OFFLINE", "1")];
    world
        .user
        .run_with(&offline, &["pull", MODEL])
        .trouble("S517");
    assert!(world.hub.requests().is_empty());
    let directory = world.user.run(&["pull", MODEL]).directory();
    world.hub.forget();
    let again = world.user.run_with(&offline, &["pull", MODEL]).directory();
    assert_eq!(again, directory);
    assert!(world.hub.requests().is_empty());
}
