//! `speculators pull` against the Hub of the tests: what lies in the cache afterwards, and what is made of everything that
//! goes wrong on the way. Every run also looks for the token in all that is printed and left behind.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

mod hub;
mod user;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use hub::{Access, Door, Fault, Hub, Kind};
use tempfile::TempDir;
use user::{TOKEN, User, noise, walk};

const MODEL: &str = "org/model";
/// Of the files that [`start`] makes, in the order of their names.
const FILES: [&str; 5] = [
    "README.md",
    "config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "original/params.json",
];

struct World {
    root: TempDir,
    hub: Hub,
    user: User,
}

/// A Hub with one repository: small files, and two of 3 MB and 1 MB in LFS.
fn start() -> World {
    let root = TempDir::new().unwrap();
    let model = root.path().join(MODEL);
    fs_err::create_dir_all(model.join("original")).unwrap();
    for (number, name) in FILES.into_iter().enumerate() {
        let length = match number {
            2 => 3_000_000,
            3 => 1_000_000,
            _ => 1000 + number,
        };
        fs_err::write(model.join(name), noise(number as u64, length)).unwrap();
    }
    let hub = Hub::start(root.path()).unwrap();
    let user = User::of(&hub).unwrap();
    World { root, hub, user }
}

impl World {
    fn file(&self, name: &str) -> Vec<u8> {
        fs_err::read(self.root.path().join(MODEL).join(name)).unwrap()
    }

    /// Bytes of all files of the repository.
    fn size(&self) -> u64 {
        FILES.iter().map(|name| self.file(name).len() as u64).sum()
    }

    /// All files are in a directory, and are those of the repository.
    fn assert_complete(&self, directory: &Path) {
        for name in FILES {
            let found = fs_err::read(directory.join(name)).unwrap();
            assert!(found == self.file(name), "{name} differs");
        }
    }

    /// A directory whose files make another state of the repository.
    fn other_state(&self, change: &[(&str, &[u8])]) -> PathBuf {
        let other = self.root.path().join(format!(".state-{}", change[0].0));
        fs_err::create_dir_all(other.join("original")).unwrap();
        for name in FILES {
            fs_err::write(other.join(name), self.file(name)).unwrap();
        }
        for (name, content) in change {
            fs_err::write(other.join(name), content).unwrap();
        }
        other
    }
}

/// Files below a directory whose names end so.
fn ending(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(directory, &mut files);
    files.retain(|file| file.to_string_lossy().ends_with(end));
    files
}

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

#[test]
fn cut_connections_are_taken_up_where_they_were_cut() {
    let name = "model-00001-of-00002.safetensors";
    for offsets in [
        &[0, 1, 7, 4095][..],
        &[65_536, 1_000_000, 999_999],
        &[2_999_999],
    ] {
        let world = start();
        for offset in offsets {
            let cut = Fault::new(Kind::Cut(*offset)).path(name);
            world.hub.fault(cut.times(1));
        }
        let directory = world.user.run(&["pull", MODEL]).directory();
        world.assert_complete(&directory);
        // Each byte once, and not those that were cut off again.
        assert_eq!(world.hub.bytes(), world.size(), "{offsets:?}");
        assert_eq!(
            ending(&world.user.cached(MODEL), ".incomplete"),
            Vec::<PathBuf>::new()
        );
    }
}

#[test]
fn small_files_and_listings_are_cut_too() {
    let world = start();
    for part in ["config.json", "/tree/", "/revision/"] {
        world
            .hub
            .fault(Fault::new(Kind::Cut(10)).path(part).times(1));
    }
    let directory = world.user.run(&["pull", MODEL]).directory();
    world.assert_complete(&directory);
}

#[test]
fn a_server_without_ranges_starts_again() {
    let world = start();
    let name = "model-00001-of-00002.safetensors";
    world
        .hub
        .fault(Fault::new(Kind::Cut(1_500_000)).path(name).times(1));
    world.hub.fault(Fault::new(Kind::WholeFile).path(name));
    let directory = world.user.run(&["pull", MODEL]).directory();
    world.assert_complete(&directory);
}

#[test]
fn wrong_bytes_never_get_into_place() {
    for name in ["model-00001-of-00002.safetensors", "config.json"] {
        // Once: the file is fetched again.
        let world = start();
        world
            .hub
            .fault(Fault::new(Kind::Flip(500)).path(name).times(1));
        let directory = world.user.run(&["pull", MODEL]).directory();
        world.assert_complete(&directory);

        // Always: it is not taken.
        let world = start();
        world.hub.fault(Fault::new(Kind::Flip(500)).path(name));
        world.user.run(&["pull", MODEL]).trouble("S516");
        let cached = world.user.cached(MODEL);
        assert!(ending(&cached, name).is_empty());
        assert!(
            !cached.join("refs/main").exists(),
            "the snapshot is not complete"
        );
        // Nor is it gone on with.
        world.hub.clear_faults();
        let directory = world.user.run(&["pull", MODEL]).directory();
        world.assert_complete(&directory);
    }
}

#[test]
fn a_resumed_part_that_is_wrong_is_fetched_anew() {
    let world = start();
    let name = "model-00001-of-00002.safetensors";
    // Give up half way, and spoil what arrived.
    world
        .hub
        .fault(Fault::new(Kind::Cut(1_000_000)).path(name).times(1));
    world
        .hub
        .fault(Fault::new(Kind::Status(404)).path(name).at(Door::Cdn));
    assert_eq!(world.user.run(&["pull", MODEL]).code, Some(2));
    let cached = world.user.cached(MODEL);
    let parts = ending(&cached, ".incomplete");
    assert_eq!(parts.len(), 1, "{parts:?}");
    let mut part = fs_err::read(&parts[0]).unwrap();
    assert_eq!(part.len(), 1_000_000);
    part[3] ^= 1;
    fs_err::write(&parts[0], part).unwrap();
    world.hub.clear_faults();
    let directory = world.user.run(&["pull", MODEL]).directory();
    world.assert_complete(&directory);
}

#[test]
fn lengths_that_do_not_fit_are_noticed() {
    for length in [10, -10] {
        for name in ["model-00001-of-00002.safetensors", "config.json"] {
            let world = start();
            world
                .hub
                .fault(Fault::new(Kind::Length(length)).path(name).method("GET"));
            let ended = world.user.run(&["pull", MODEL]);
            assert_eq!(ended.code, Some(2), "{length} {name}: {}", ended.stdout);
            assert!(ending(&world.user.cached(MODEL), name).is_empty());
            world.hub.clear_faults();
            let directory = world.user.run(&["pull", MODEL]).directory();
            world.assert_complete(&directory);
        }
    }
}

#[test]
fn refusals_are_explained() {
    let lasting = |status| Fault::new(Kind::Status(status));
    let cases = [
        (
            lasting(401).says("", "Invalid credentials in Authorization header"),
            "S512",
        ),
        (lasting(401), "S513"),
        (lasting(403).says("", "No."), "S512"),
        (
            lasting(404).says("RevisionNotFound", "Invalid rev id: main"),
            "S513",
        ),
        (lasting(429).retry_after(100_000), "S514"),
        (lasting(500), "S514"),
        (lasting(502), "S514"),
        (lasting(503), "S514"),
    ];
    for (fault, code) in cases {
        // Trouble that may pass is waited for, which takes seconds.
        let parts = match code {
            "S514" => &["/resolve/"][..],
            _ => &["/revision/", "/tree/", "/resolve/"],
        };
        for part in parts {
            let world = start();
            world.hub.fault(fault.clone().path(part));
            let ended = world.user.run(&["pull", MODEL]);
            assert!(ended.trouble(code).contains(MODEL), "{}", ended.stderr);
            assert!(!world.user.cached(MODEL).join("refs").exists());
        }
    }
}

#[test]
fn passing_trouble_passes() {
    let world = start();
    for fault in [
        Fault::new(Kind::Status(503)).path("/revision/").times(2),
        Fault::new(Kind::Status(429))
            .path("/tree/")
            .retry_after(0)
            .times(2),
        Fault::new(Kind::Status(500))
            .path("model-00001")
            .at(Door::Hub)
            .times(2),
        Fault::new(Kind::Status(502))
            .path("model-00002")
            .at(Door::Cdn)
            .times(2),
        Fault::new(Kind::Status(429))
            .path("config.json")
            .retry_after(1)
            .times(1),
    ] {
        world.hub.fault(fault);
    }
    let directory = world.user.run(&["pull", MODEL]).directory();
    world.assert_complete(&directory);
}

#[test]
fn gated_and_private_repositories() {
    let world = start();
    world
        .hub
        .access(MODEL, Access::Gated("hf_other".to_owned()))
        .unwrap();
    let ended = world.user.run(&["pull", MODEL]);
    let stderr = ended.trouble("S512");
    assert!(
        stderr.contains("gated") && stderr.contains("HF_TOKEN"),
        "{stderr}"
    );
    let none = [("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
    let ended = world.user.run_with(&none, &["pull", MODEL]);
    assert!(
        ended.trouble("S512").contains("no token"),
        "{}",
        ended.stderr
    );

    world
        .hub
        .access(MODEL, Access::Private(TOKEN.to_owned()))
        .unwrap();
    world.user.run_with(&none, &["pull", MODEL]).trouble("S513");
    let directory = world.user.run(&["pull", MODEL]).directory();
    world.assert_complete(&directory);
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let world = start();
    world.user.run(&["pull", MODEL]).directory();
    let sent = format!("Bearer {TOKEN}");
    let requests = world.hub.requests();
    assert!(requests.iter().any(|request| request.door == Door::Cdn));
    for request in requests {
        let expected = (request.door == Door::Hub).then_some(sent.as_str());
        assert_eq!(
            request.header("authorization"),
            expected,
            "{}",
            request.path
        );
    }
}

#[test]
fn tokens_are_found_where_they_always_are() {
    let world = start();
    let dry = ["pull", MODEL, "--dry-run"];
    let sent = |variables: &[(&str, &str)]| {
        world.hub.forget();
        let ended = world.user.run_with(variables, &dry);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let requests = world.hub.requests();
        requests[0].header("authorization").map(str::to_owned)
    };
    assert_eq!(sent(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
    assert_eq!(sent(&[("HF_TOKEN", "")]), None);
    fs_err::create_dir_all(world.user.settings()).unwrap();
    fs_err::write(world.user.settings().join("token"), "hf_of_home\n").unwrap();
    assert_eq!(sent(&[("HF_TOKEN", "")]).unwrap(), "Bearer hf_of_home");
    let other = world.user.home().join("other");
    fs_err::write(&other, "hf_of_path").unwrap();
    let path = other.to_str().unwrap();
    let found = sent(&[("HF_TOKEN", ""), ("HF_TOKEN_PATH", path)]);
    assert_eq!(found.unwrap(), "Bearer hf_of_path");
    let found = sent(&[("HF_TOKEN", "hf_of_variable"), ("HF_TOKEN_PATH", path)]);
    assert_eq!(found.unwrap(), "Bearer hf_of_variable");
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
fn redirects_in_circles_end() {
    for part in ["/revision/", "/tree/", "model-00001", "config.json"] {
        let world = start();
        world.hub.fault(Fault::new(Kind::Loop).path(part));
        world.user.run(&["pull", MODEL]).trouble("S515");
        let asked = world.hub.requests().len();
        assert!(asked < 100, "{asked} requests for {part}");
    }
}

#[test]
fn renamed_repositories_are_followed() {
    let world = start();
    world.hub.rename(MODEL, "new/name").unwrap();
    let directory = world.user.run(&["pull", MODEL]).directory();
    world.assert_complete(&directory);
}

#[test]
fn a_server_that_says_nothing_is_asked_again() {
    let variables = [("HF_HUB_DOWNLOAD_TIMEOUT", "1")];
    for part in ["/revision/", "model-00001", "config.json"] {
        let world = start();
        world
            .hub
            .fault(Fault::new(Kind::Silence).path(part).times(1));
        let directory = world
            .user
            .run_with(&variables, &["pull", MODEL])
            .directory();
        world.assert_complete(&directory);
    }
    let world = start();
    world.hub.fault(Fault::new(Kind::Silence));
    world
        .user
        .run_with(&variables, &["pull", MODEL])
        .trouble("S511");
}

#[test]
fn nobody_listens() {
    let world = start();
    let variables = [("HF_ENDPOINT", "http://127.0.0.1:9")];
    let ended = world.user.run_with(&variables, &["pull", MODEL]);
    assert!(
        ended.trouble("S511").contains("127.0.0.1:9"),
        "{}",
        ended.stderr
    );
}

#[test]
fn listings_are_not_trusted() {
    let oid = "a".repeat(40);
    let file = |path: &str| {
        let entry = serde_json::json!({ "type": "file", "oid": oid, "size": 3, "path": path });
        serde_json::Value::Array(vec![entry]).to_string()
    };
    for answer in [
        file("../../escaped"),
        file("/tmp/escaped"),
        "[{}]".to_owned(),
        "<html>".to_owned(),
    ] {
        let world = start();
        world
            .hub
            .fault(Fault::new(Kind::Answer(answer.clone())).path("/tree/"));
        let ended = world.user.run(&["pull", MODEL]);
        ended.trouble("S515");
        assert!(ending(world.user.home(), "escaped").is_empty(), "{answer}");
    }
    // A content that does not fit what the listing says of it.
    let world = start();
    world
        .hub
        .fault(Fault::new(Kind::Answer(file("config.json"))).path("/tree/"));
    assert_eq!(world.user.run(&["pull", MODEL]).code, Some(2));
    assert!(ending(&world.user.cached(MODEL), "config.json").is_empty());
    // An ETag that is no name of a file.
    let world = start();
    world
        .hub
        .fault(Fault::new(Kind::Etag("../../../escaped".to_owned())));
    world.user.run(&["pull", MODEL]).trouble("S515");
    assert!(ending(world.user.home(), "escaped").is_empty());
}

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

#[test]
fn names_that_are_none_are_refused_before_anything_is_asked() {
    let world = start();
    for name in [
        "a/b/c",
        "org/",
        "org/model@",
        "or g/model",
        "../x/y",
        "org/mo--del",
    ] {
        let ended = world.user.run(&["pull", name]);
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stdout);
    }
    assert!(world.hub.requests().is_empty());
}
