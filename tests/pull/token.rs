//! Where the token comes from, and who is told it.

use super::hub::Door;
use super::user::TOKEN;
use super::{MODEL, start};

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
