//! `speculators pull --only` against the Hub of the tests: the right tensors, their bytes and hardly any others.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

mod hub;
mod user;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hub::{Door, Fault, Hub, Kind};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use tempfile::TempDir;
use user::{User, noise, walk};

const MODEL: &str = "org/model";
const ONLY: [&str; 4] = ["pull", MODEL, "--only", "embed_tokens,lm_head,norm"];
/// Rows and columns of an embedding, in BF16: 1 MiB.
const WIDE: [usize; 2] = [1024, 512];
/// What is read of each shard before its header is known, in bytes.
const HEAD: u64 = 64 << 10;

/// Tensors of a file: name and shape, all of them BF16.
type Shard<'a> = &'a [(&'a str, &'a [usize])];

struct World {
    root: TempDir,
    hub: Hub,
    user: User,
}

/// A Hub with one verifier of such a config and such files.
fn start(config: &Value, shards: &[Shard<'_>]) -> World {
    let root = TempDir::new().unwrap();
    let model = root.path().join(MODEL);
    fs_err::create_dir_all(&model).unwrap();
    fs_err::write(model.join("config.json"), config.to_string()).unwrap();
    fs_err::write(model.join("tokenizer.json"), "{}").unwrap();
    fs_err::write(model.join("figure.png"), noise(9, 500_000)).unwrap();
    let mut places = BTreeMap::new();
    for (number, tensors) in shards.iter().enumerate() {
        let name = match shards.len() {
            1 => "model.safetensors".to_owned(),
            count => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        places.extend(tensors.iter().map(|(tensor, _)| (*tensor, name.clone())));
        write(&model.join(name), tensors);
    }
    if shards.len() > 1 {
        let index = json!({ "metadata": {}, "weight_map": places });
        fs_err::write(
            model.join("model.safetensors.index.json"),
            index.to_string(),
        )
        .unwrap();
    }
    let hub = Hub::start(root.path()).unwrap();
    let user = User::of(&hub).unwrap();
    World { root, hub, user }
}

fn write(path: &Path, tensors: Shard<'_>) {
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(name, shape)| content(name, shape))
        .collect();
    let views = tensors.iter().zip(&data).map(|((name, shape), data)| {
        (
            *name,
            TensorView::new(Dtype::BF16, shape.to_vec(), data).unwrap(),
        )
    });
    fs_err::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The bytes of a tensor, which its name decides.
fn content(name: &str, shape: &[usize]) -> Vec<u8> {
    let seed = name
        .bytes()
        .fold(0, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
    noise(seed, 2 * shape.iter().product::<usize>())
}

/// A verifier in three shards, of which the middle one holds nothing that heads share.
fn sharded() -> World {
    start(
        &json!({ "vocab_size": WIDE[0], "hidden_size": WIDE[1], "tie_word_embeddings": false }),
        &[
            &[
                ("model.embed_tokens.weight", &WIDE),
                ("model.layers.0.mlp.up_proj.weight", &[512, 2048]),
            ],
            &[("model.layers.1.mlp.up_proj.weight", &[512, 2048])],
            &[
                ("lm_head.weight", &WIDE),
                ("model.layers.2.mlp.up_proj.weight", &[512, 2048]),
                ("model.norm.weight", &[512]),
            ],
        ],
    )
}

const SHARED: [(&str, &[usize]); 3] = [
    ("lm_head.weight", &WIDE),
    ("model.embed_tokens.weight", &WIDE),
    ("model.norm.weight", &[512]),
];
const SHARED_BYTES: u64 = 2 * (2 * 1024 * 512 + 512);

impl World {
    fn directory(&self) -> PathBuf {
        self.user.home().join("model-partial")
    }

    fn staging(&self) -> PathBuf {
        self.user.home().join("model-partial.incomplete")
    }

    /// The output holds these tensors, with the bytes they have in the repository, and no others.
    fn assert_holds(&self, tensors: Shard<'_>) {
        let bytes = fs_err::read(self.directory().join("model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut names = file.names();
        names.sort_unstable();
        assert_eq!(
            names,
            tensors.iter().map(|(name, _)| *name).collect::<Vec<_>>()
        );
        for (name, shape) in tensors {
            let tensor = file.tensor(name).unwrap();
            assert_eq!(tensor.shape(), *shape);
            assert!(
                tensor.data() == content(name, shape),
                "{name} has other bytes"
            );
        }
    }

    /// Bytes that were moved beside the tensors.
    fn besides(&self) -> u64 {
        self.hub.bytes() - SHARED_BYTES
    }

    fn assert_nothing_is_there(&self) {
        assert!(!self.directory().exists());
    }
}

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
