//! Support for tests: scratch directories and small safetensors files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use serde_json::{Value, json};

/// A temporary directory that disappears with its test.
#[derive(Debug)]
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Scratch {
        Scratch(tempfile::tempdir().unwrap())
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }
}

/// A safetensors file of these tensors, in this order.
pub(crate) fn tensors(list: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, dtype, shape, bytes) in list {
        let begin = data.len();
        data.extend_from_slice(bytes);
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, data.len()]});
        header.insert((*name).to_owned(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(&header);
    file.extend_from_slice(&data);
    file
}

/// Width of the tiny head and its verifier.
pub(crate) const HIDDEN: usize = 16;
/// Verifier vocabulary of the tiny head.
pub(crate) const VOCABULARY: usize = 64;
/// Draft tokens of the tiny head: every second verifier token.
pub(crate) const DRAFT: usize = 32;

/// A tiny EAGLE-3 head in the layout of the original release, to be changed and written.
pub(crate) struct TinyHead {
    pub config: Value,
    pub tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl TinyHead {
    pub fn new() -> TinyHead {
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "draft_vocab_size": DRAFT, "hidden_act": "silu",
            "hidden_size": HIDDEN, "intermediate_size": 24, "max_position_embeddings": 64, "model_type": "llama",
            "num_attention_heads": 2, "num_hidden_layers": 1, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0, "torch_dtype": "bfloat16", "vocab_size": VOCABULARY
        });
        let mut head = TinyHead {
            config,
            tensors: BTreeMap::new(),
        };
        head.layer("midlayer", 2 * HIDDEN);
        head.float("midlayer.hidden_norm.weight", &[HIDDEN]);
        head.float("fc.weight", &[HIDDEN, 3 * HIDDEN]);
        head.float("norm.weight", &[HIDDEN]);
        head.float("lm_head.weight", &[DRAFT, HIDDEN]);
        let targets: Vec<i64> = (0..DRAFT as i64).map(|draft| 2 * draft).collect();
        head.d2t(
            &targets
                .iter()
                .zip(0..)
                .map(|(target, draft)| target - draft)
                .collect::<Vec<_>>(),
        );
        let members = (0..VOCABULARY)
            .map(|token| u8::from(token.is_multiple_of(2)))
            .collect();
        head.put("t2d", Dtype::BOOL, &[VOCABULARY], members);
        head
    }

    /// The same head as `convert` writes it: names and config of the speculators layout.
    pub fn speculators() -> TinyHead {
        let old = TinyHead::new();
        let mut layer = old.config.clone();
        for key in ["architectures", "draft_vocab_size", "torch_dtype"] {
            layer.as_object_mut().unwrap().remove(key);
        }
        let config = json!({
            "draft_vocab_size": DRAFT, "dtype": "bfloat16", "eagle_aux_hidden_state_layer_ids": [2, 4, 5],
            "norm_before_residual": true, "speculators_model_type": "eagle3",
            "speculators_config": {
                "algorithm": "eagle3", "default_proposal_method": "greedy",
                "proposal_methods": [{"proposal_type": "greedy", "speculative_tokens": 5}],
                "verifier": {"name_or_path": "tiny", "architectures": []}
            },
            "transformer_layer_config": layer
        });
        let names = old.tensors.into_iter();
        let tensors = names
            .map(|(name, tensor)| (name.replace("midlayer.", "layers.0."), tensor))
            .collect();
        TinyHead { config, tensors }
    }

    /// The tensors of one layer with `inputs` columns, norms included, `hidden_norm` not.
    pub fn layer(&mut self, prefix: &str, inputs: usize) {
        for (part, shape) in [
            ("input_layernorm", vec![HIDDEN]),
            ("post_attention_layernorm", vec![HIDDEN]),
            ("self_attn.q_proj", vec![16, inputs]),
            ("self_attn.k_proj", vec![8, inputs]),
            ("self_attn.v_proj", vec![8, inputs]),
            ("self_attn.o_proj", vec![HIDDEN, 16]),
            ("mlp.gate_proj", vec![24, HIDDEN]),
            ("mlp.up_proj", vec![24, HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, 24]),
        ] {
            self.float(&format!("{prefix}.{part}.weight"), &shape);
        }
    }

    /// A bf16 tensor whose bytes depend on its name.
    pub fn float(&mut self, name: &str, shape: &[usize]) {
        let count: usize = shape.iter().product();
        let mut state = name.bytes().fold(7_u16, |state, byte| {
            state.wrapping_mul(31).wrapping_add(byte.into())
        });
        let mut next = || {
            state = state.wrapping_mul(25_173).wrapping_add(13_849);
            half::bf16::from_f32(f32::from(state) / 65_536.0 - 0.5).to_le_bytes()
        };
        let bytes = (0..count).flat_map(|_| next()).collect();
        self.put(name, Dtype::BF16, shape, bytes);
    }

    pub fn d2t(&mut self, entries: &[i64]) {
        let bytes = entries
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect();
        self.put("d2t", Dtype::I64, &[entries.len()], bytes);
    }

    pub fn put(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        self.tensors
            .insert(name.to_owned(), (dtype, shape.to_vec(), bytes));
    }

    pub fn bytes(&self, name: &str) -> &[u8] {
        &self.tensors[name].2
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        let tensor = self.tensors.remove(from).unwrap();
        self.tensors.insert(to.to_owned(), tensor);
    }

    /// Writes the head into a directory of the scratch.
    pub fn write(&self, scratch: &Scratch, directory: &str) -> PathBuf {
        scratch.write(
            &format!("{directory}/config.json"),
            format!("{:#}\n", self.config).as_bytes(),
        );
        let list: Vec<_> = self
            .tensors
            .iter()
            .map(|(name, (dtype, shape, bytes))| {
                (name.as_str(), *dtype, shape.as_slice(), bytes.clone())
            })
            .collect();
        scratch.write(&format!("{directory}/model.safetensors"), &tensors(&list));
        scratch.path(directory)
    }
}

/// `config.json` of a verifier of eight layers that the tiny head fits.
pub(crate) fn verifier_config() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "bos_token_id": 1, "eos_token_id": [2, 40], "hidden_size": HIDDEN,
        "intermediate_size": 32, "max_position_embeddings": 256, "model_type": "llama", "num_attention_heads": 2,
        "num_hidden_layers": 8, "num_key_value_heads": 1, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "torch_dtype": "bfloat16", "vocab_size": VOCABULARY
    })
}
