//! Answers of the Hub that say no, or that cannot be trusted.

use super::hub::{Access, Fault, Kind};
use super::user::TOKEN;
use super::{MODEL, ending, start};

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
fn renamed_repositories_are_followed() {
    let world = start();
    world.hub.rename(MODEL, "new/name").unwrap();
    let directory = world.user.run(&["pull", MODEL]).directory();
    world.assert_complete(&directory);
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
