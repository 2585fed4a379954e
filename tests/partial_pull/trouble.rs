//! What goes wrong on the way, and what is there afterwards.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use super::hub::{Door, Fault, Hub, Kind};
use super::{HEAD, MODEL, ONLY, SHARED, SHARED_BYTES, sharded};

#[test]
fn cut_connections_still_end_in_the_right_bytes() {
    for offset in [0, 1, 4095, 65_537, 500_000, 1_048_575] {
        let world = sharded();
        let cut = Fault::new(Kind::Cut(offset))
            .path(".safetensors")
            .at(Door::Cdn);
        world.hub.fault(cut.times(3));
        world.user.run(&ONLY).directory();
        world.assert_holds(&SHARED);
        assert!(
            world.besides() < 4 * HEAD,
            "{offset}: {} bytes",
            world.besides()
        );
    }
    // Ten cuts, each after some progress.
    let world = sharded();
    let cut = Fault::new(Kind::Cut(100_000))
        .path(".safetensors")
        .at(Door::Cdn);
    world.hub.fault(cut.after(2).times(10));
    world.user.run(&ONLY).directory();
    world.assert_holds(&SHARED);
    assert!(world.besides() < 4 * HEAD, "{} bytes", world.besides());
}

#[test]
fn a_killed_pull_goes_on_where_it_was() {
    let world = sharded();
    let drip = Kind::Drip(4096, Duration::from_millis(2));
    // Not the headers.
    world
        .hub
        .fault(Fault::new(drip).path(".safetensors").at(Door::Cdn).after(2));
    let mut command = world.user.command(&ONLY);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let trickles = |hub: &Hub| {
        let requests = hub.arrived();
        requests
            .iter()
            .filter(|request| request.door == Door::Cdn)
            .count()
            > 3
    };
    while !trickles(&world.hub) {
        std::thread::yield_now();
    }
    // Until some of it was noted: the file is as long as it will be from the beginning.
    let file = world.staging().join("model.safetensors");
    let filled = || {
        let bytes = fs_err::read(&file).unwrap_or_default();
        bytes.iter().filter(|byte| **byte != 0).count() > 300_000
    };
    while !filled() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    world.assert_nothing_is_there();
    assert!(world.staging().is_dir());

    world.hub.clear_faults();
    world.hub.forget();
    world.user.run(&ONLY).directory();
    world.assert_holds(&SHARED);
    assert!(!world.staging().exists());
    // What was written last may not have been noted.
    let besides = world.hub.bytes() + 290_000 - SHARED_BYTES;
    assert!(besides < 3 * HEAD, "{besides} bytes");
}

#[test]
fn another_plan_does_not_take_up_what_is_there() {
    let world = sharded();
    world.hub.fault(
        Fault::new(Kind::Cut(300_000))
            .path(".safetensors")
            .at(Door::Cdn)
            .after(2),
    );
    world
        .hub
        .fault(Fault::new(Kind::Status(404)).path("tokenizer.json"));
    assert_eq!(world.user.run(&ONLY).code, Some(2));
    world.hub.clear_faults();
    let arguments = ["pull", MODEL, "--only", "norm,model.layers.1.*"];
    world.user.run(&arguments).directory();
    world.assert_holds(&[
        ("model.layers.1.mlp.up_proj.weight", &[512, 2048]),
        ("model.norm.weight", &[512]),
    ]);
}

#[test]
fn what_is_there_is_not_replaced_unasked() {
    let world = sharded();
    fs_err::create_dir_all(world.directory()).unwrap();
    let mine = world.directory().join("mine.txt");
    fs_err::write(&mine, "mine").unwrap();
    world.user.run(&ONLY).trouble("S108");
    assert_eq!(fs_err::read_to_string(&mine).unwrap(), "mine");
    let elsewhere = [&ONLY[..], &["--local-dir", "elsewhere"]].concat();
    assert_eq!(
        world.user.run(&elsewhere).directory(),
        PathBuf::from("elsewhere")
    );
}

#[test]
fn a_server_without_ranges_is_of_no_use() {
    let world = sharded();
    world.hub.fault(Fault::new(Kind::WholeFile));
    world.user.run(&ONLY).trouble("S515");
    world.assert_nothing_is_there();
    // Whole files were not taken instead.
    assert!(!world.staging().join("model.safetensors").exists());
}

#[test]
fn the_token_stays_with_the_hub() {
    let world = sharded();
    world.user.run(&ONLY).directory();
    for request in world.hub.requests() {
        let sent = request.header("authorization").is_some();
        assert_eq!(sent, request.door == Door::Hub, "{}", request.path);
    }
}

#[test]
fn repositories_without_what_is_needed() {
    let world = sharded();
    let model = world.root.path().join(MODEL);
    let publish = |name: &str, from: &[(&str, &[u8])]| {
        let state = world.root.path().join(".states").join(name);
        fs_err::create_dir_all(&state).unwrap();
        for (file, content) in from {
            fs_err::write(state.join(file), content).unwrap();
        }
        world.hub.publish(MODEL, "main", Some(&state)).unwrap();
        world.user.run(&ONLY)
    };
    let config = fs_err::read(model.join("config.json")).unwrap();
    let index = fs_err::read(model.join("model.safetensors.index.json")).unwrap();
    publish("no-config", &[("model.safetensors", b"x")]).trouble("S519");
    publish(
        "pickles",
        &[("config.json", &config), ("pytorch_model.bin", b"x")],
    )
    .trouble("S519");
    let lost = [
        ("config.json", &config[..]),
        ("model.safetensors.index.json", &index),
    ];
    publish("no-shards", &lost).trouble("S513");
    let mut long = u64::MAX.to_le_bytes().to_vec();
    long.extend_from_slice(b"{}");
    let ended = publish(
        "long-header",
        &[("config.json", &config), ("model.safetensors", &long)],
    );
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    let outside =
        json!({ "weight_map": { "model.embed_tokens.weight": "../../other.safetensors" } });
    let outside = outside.to_string();
    let files = [
        ("config.json", &config[..]),
        ("model.safetensors.index.json", outside.as_bytes()),
    ];
    publish("outside", &files).trouble("S107");
    world.assert_nothing_is_there();
}

#[test]
fn offline_there_is_nothing_to_take_parts_of() {
    let world = sharded();
    let ended = world.user.run_with(&[("HF_HUB_OFFLINE", "1")], &ONLY);
    ended.trouble("S517");
    assert!(world.hub.requests().is_empty());
}
