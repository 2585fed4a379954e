//! `speculators pull --only` against the Hub of the tests: the right tensors, their bytes and hardly any others.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

mod hub;
#[path = "partial_pull/tensors.rs"]
mod tensors;
#[path = "partial_pull/trouble.rs"]
mod trouble;
mod user;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hub::Hub;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use tempfile::TempDir;
use user::{User, noise};

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
