//! Connections that are cut, silent or slow, and bytes that are not those that were sent.

use std::path::PathBuf;

use super::hub::{Door, Fault, Kind};
use super::{MODEL, ending, start};

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
