//! Which tensors are taken, whatever the verifier calls them.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::hub::Hub;
use super::user::{User, walk};
use super::{HEAD, MODEL, ONLY, SHARED, SHARED_BYTES, WIDE, sharded, start};

#[test]
fn three_tensors_of_a_sharded_verifier() {
    let world = sharded();
    let ended = world.user.run(&ONLY);
    assert_eq!(ended.directory(), PathBuf::from("model-partial"));
    world.assert_holds(&SHARED);
    // The shard in the middle is not even opened, nor the picture.
    for request in world.hub.requests() {
        assert!(!request.path.contains("00002-of-00003"), "{}", request.path);
        assert!(!request.path.contains(".png"), "{}", request.path);
    }
    assert!(world.besides() < 3 * HEAD, "{} bytes", world.besides());

    let mut files = Vec::new();
    walk(&world.directory(), &mut files);
    files.sort_unstable();
    let names = ["config.json", "model.safetensors", "tokenizer.json"];
    assert_eq!(files, names.map(|name| world.directory().join(name)));
    assert!(!world.staging().exists());

    let bytes = fs_err::read(world.directory().join("model.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let noted = header.metadata().as_ref().unwrap();
    assert_eq!(noted["source.repository"], MODEL);
    assert_eq!(
        noted["source.commit"],
        world.hub.commit(MODEL, "main").unwrap().unwrap()
    );
}

#[test]
fn what_is_left_serves_as_the_verifier() {
    let root = TempDir::new().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/verifier");
    let model = root.path().join(MODEL);
    fs_err::create_dir_all(&model).unwrap();
    for entry in fs_err::read_dir(fixture).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let hub = Hub::start(root.path()).unwrap();
    let user = User::of(&hub).unwrap();
    user.run(&ONLY).directory();
    let head = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/heads/speculators");
    let arguments = ["validate", head.to_str().unwrap(), "--verifier"];
    let whole = user.run(&[&arguments[..], &[model.to_str().unwrap()]].concat());
    let part = user.run(&[&arguments[..], &["model-partial"]].concat());
    assert_eq!(whole.code, Some(0), "{}{}", whole.stdout, whole.stderr);
    assert_eq!(part.code, Some(0), "{}{}", part.stdout, part.stderr);
}

#[test]
fn a_tied_head_is_the_embedding() {
    let shared: [(&str, &[usize]); 2] = [
        ("model.embed_tokens.weight", &WIDE),
        ("model.norm.weight", &[512]),
    ];
    let tied = json!({ "vocab_size": 1024, "hidden_size": 512, "tie_word_embeddings": true });
    let world = start(&tied, &[&shared]);
    let ended = world.user.run(&ONLY);
    ended.directory();
    world.assert_holds(&shared);
    assert!(
        ended.stderr.contains("tie_word_embeddings"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("[1024, 512]"), "{}", ended.stderr);

    // Where the config denies it, a head is missing.
    let denied = json!({ "vocab_size": 1024, "hidden_size": 512, "tie_word_embeddings": false });
    let world = start(&denied, &[&shared]);
    assert!(world.user.run(&ONLY).trouble("S201").contains("lm_head"));
    world.assert_nothing_is_there();
}

#[test]
fn the_language_tower_of_a_multimodal_model() {
    let shared: [(&str, &[usize]); 3] = [
        ("lm_head.weight", &WIDE),
        ("model.language_model.embed_tokens.weight", &WIDE),
        ("model.language_model.norm.weight", &[512]),
    ];
    let mut all = vec![
        ("model.visual.patch_embed.proj.weight", &[64, 64][..]),
        ("model.visual.norm.weight", &[64]),
    ];
    all.extend(shared);
    let config = json!({ "text_config": { "vocab_size": 1024, "hidden_size": 512 } });
    let world = start(&config, &[&all]);
    world.user.run(&ONLY).directory();
    world.assert_holds(&shared);
}

#[test]
fn other_families_have_other_names() {
    let shared: [(&str, &[usize]); 3] = [
        ("norm.weight", &[512]),
        ("output.weight", &WIDE),
        ("tok_embeddings.weight", &WIDE),
    ];
    let mut all = vec![("layers.0.attention.wq.weight", &[512, 512][..])];
    all.extend(shared);
    let world = start(&json!({ "vocab_size": 1024, "hidden_size": 512 }), &[&all]);
    let ended = world.user.run(&ONLY);
    ended.directory();
    world.assert_holds(&shared);
    for (name, _) in shared {
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
    }
}

#[test]
fn two_that_could_be_it_are_an_error() {
    let world = start(
        &json!({ "text_config": { "vocab_size": 1024, "hidden_size": 512 } }),
        &[&[
            ("talker.model.embed_tokens.weight", &WIDE),
            ("thinker.model.embed_tokens.weight", &WIDE),
        ]],
    );
    let ended = world.user.run(&["pull", MODEL, "--only", "embed_tokens"]);
    let stderr = ended.trouble("S201");
    assert!(
        stderr.contains("talker") && stderr.contains("thinker"),
        "{stderr}"
    );
    world.assert_nothing_is_there();
    // By its name, it is clear which is meant.
    let exact = ["pull", MODEL, "--only", "thinker.model.embed_tokens.weight"];
    world.user.run(&exact).directory();
    world.assert_holds(&[("thinker.model.embed_tokens.weight", &WIDE)]);
}

#[test]
fn patterns_choose_tensors() {
    let world = sharded();
    let arguments = ["pull", MODEL, "--only", "norm,model.layers.1.*"];
    world.user.run(&arguments).directory();
    world.assert_holds(&[
        ("model.layers.1.mlp.up_proj.weight", &[512, 2048]),
        ("model.norm.weight", &[512]),
    ]);
    let none = world.user.run(&[
        "pull",
        MODEL,
        "--only",
        "model.layers.77.*",
        "--local-dir",
        "x",
    ]);
    none.trouble("S519");
}

#[test]
fn a_dry_run_reads_headers_only() {
    let world = sharded();
    let ended = world.user.run(&[&ONLY[..], &["--dry-run"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("model.embed_tokens.weight"),
        "{}",
        ended.stdout
    );
    assert!(world.hub.bytes() < 3 * HEAD);
    let mut files = Vec::new();
    walk(world.user.home(), &mut files);
    assert_eq!(files, Vec::<PathBuf>::new());

    let arguments = ["--dry-run", "--format", "json"];
    let ended = world.user.run(&[&ONLY[..], &arguments].concat());
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["tensor_bytes"], SHARED_BYTES);
}
