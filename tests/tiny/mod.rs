//! Random checkpoints of every kind, written to a directory and read back like any other.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use speculators::decoding::{Calibration, Curve};
use speculators::models::{Cache, DraftHead, Verifier};
use speculators_formats::{Head, ReadOptions};
use tempfile::TempDir;

/// Few tokens, so that a random draft is accepted now and then.
pub const VOCABULARY: usize = 24;
pub const LAYERS: usize = 5;
const HIDDEN: usize = 32;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = 8;
const INTERMEDIATE: usize = 48;
const DRAFT_VOCABULARY: usize = 11;

/// Numbers that are the same everywhere (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u32) -> u32 {
        (self.next() % u64::from(limit)) as u32
    }

    /// Roughly normal, of unit variance.
    fn normal(&mut self) -> f32 {
        let sum: f64 = (0..12)
            .map(|_| (self.next() >> 11) as f64 / (1u64 << 53) as f64)
            .sum();
        (sum - 6.0) as f32
    }

    pub fn tokens(&mut self, length: usize) -> Vec<u32> {
        (0..length).map(|_| self.below(VOCABULARY as u32)).collect()
    }
}

/// Tensors on their way to a file.
struct Tensors {
    random: Random,
    dtype: Dtype,
    list: Vec<(String, Vec<usize>, Dtype, Vec<u8>)>,
}

impl Tensors {
    fn float(&mut self, name: impl Into<String>, shape: &[usize], scale: f32, offset: f32) {
        let count = shape.iter().product();
        let mut bytes = Vec::new();
        for _ in 0..count {
            let value = offset + scale * self.random.normal();
            match self.dtype {
                Dtype::F32 => bytes.extend(value.to_le_bytes()),
                Dtype::F16 => bytes.extend(half::f16::from_f32(value).to_le_bytes()),
                _ => bytes.extend(half::bf16::from_f32(value).to_le_bytes()),
            }
        }
        self.list
            .push((name.into(), shape.to_vec(), self.dtype, bytes));
    }

    fn norm(&mut self, name: impl Into<String>, width: usize) {
        self.float(name, &[width], 0.2, 1.0);
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize, bias: bool) {
        self.float(
            format!("{name}.weight"),
            &[outputs, inputs],
            1.0 / (inputs as f32).sqrt(),
            0.0,
        );
        if bias {
            self.float(format!("{name}.bias"), &[outputs], 0.2, 0.0);
        }
    }

    fn layer(&mut self, prefix: &str, inputs: usize, switches: [bool; 4]) {
        let [bias, output_bias, mlp_bias, qk_norm] = switches;
        self.norm(format!("{prefix}.input_layernorm.weight"), HIDDEN);
        self.norm(format!("{prefix}.post_attention_layernorm.weight"), HIDDEN);
        self.linear(
            &format!("{prefix}.self_attn.q_proj"),
            HEADS * HEAD_DIM,
            inputs,
            bias,
        );
        for name in ["k", "v"] {
            self.linear(
                &format!("{prefix}.self_attn.{name}_proj"),
                KV_HEADS * HEAD_DIM,
                inputs,
                bias,
            );
        }
        self.linear(
            &format!("{prefix}.self_attn.o_proj"),
            HIDDEN,
            HEADS * HEAD_DIM,
            output_bias,
        );
        if qk_norm {
            self.norm(format!("{prefix}.self_attn.q_norm.weight"), HEAD_DIM);
            self.norm(format!("{prefix}.self_attn.k_norm.weight"), HEAD_DIM);
        }
        for name in ["gate", "up"] {
            self.linear(
                &format!("{prefix}.mlp.{name}_proj"),
                INTERMEDIATE,
                HIDDEN,
                mlp_bias,
            );
        }
        self.linear(
            &format!("{prefix}.mlp.down_proj"),
            HIDDEN,
            INTERMEDIATE,
            mlp_bias,
        );
    }

    fn write(&self, directory: &Path, config: &Value) {
        let views = self.list.iter().map(|(name, shape, dtype, bytes)| {
            (
                name.clone(),
                TensorView::new(*dtype, shape.clone(), bytes).unwrap(),
            )
        });
        safetensors::serialize_to_file(views, None, &directory.join("model.safetensors")).unwrap();
        fs_err::write(directory.join("config.json"), config.to_string()).unwrap();
    }
}

fn dtype(name: &str) -> Dtype {
    match name {
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        _ => Dtype::BF16,
    }
}

fn merge(mut base: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

/// A verifier of a family, with changes to its config.
pub fn verifier(directory: &Path, seed: u64, model_type: &str, changes: &Value) -> PathBuf {
    let config = json!({
        "architectures": [match model_type {
            "llama" => "LlamaForCausalLM",
            "qwen2" => "Qwen2ForCausalLM",
            "qwen3" => "Qwen3ForCausalLM",
            _ => "MistralForCausalLM",
        }],
        "model_type": model_type, "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "max_position_embeddings": 96, "rope_theta": 10000.0, "tie_word_embeddings": false,
        "dtype": "bfloat16", "eos_token_id": 0, "bos_token_id": 1,
    });
    let config = merge(config, changes);
    let flag = |key: &str| config[key].as_bool().unwrap_or(false);
    let bias = flag("attention_bias");
    let dtype = dtype(config["dtype"].as_str().unwrap());
    let mut tensors = Tensors {
        random: Random(seed),
        dtype,
        list: Vec::new(),
    };
    tensors.float("model.embed_tokens.weight", &[VOCABULARY, HIDDEN], 1.0, 0.0);
    let switches = [
        bias || model_type == "qwen2",
        bias,
        flag("mlp_bias"),
        model_type == "qwen3",
    ];
    for layer in 0..LAYERS {
        tensors.layer(&format!("model.layers.{layer}"), HIDDEN, switches);
    }
    tensors.norm("model.norm.weight", HIDDEN);
    if !flag("tie_word_embeddings") {
        tensors.linear("lm_head", VOCABULARY, HIDDEN, false);
    }
    let directory = directory.join(format!("verifier-{seed}"));
    fs_err::create_dir_all(&directory).unwrap();
    tensors.write(&directory, &config);
    directory
}

/// A head in the layout of the Python package, with changes to its config and to that of its layers.
pub fn head(directory: &Path, seed: u64, changes: &Value, layer_changes: &Value) -> PathBuf {
    let layers = merge(
        json!({
            "model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
            "intermediate_size": INTERMEDIATE, "num_hidden_layers": 1, "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM, "rms_norm_eps": 1e-5, "hidden_act": "silu",
            "max_position_embeddings": 96, "attention_bias": false, "mlp_bias": false,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        }),
        layer_changes,
    );
    let config = merge(
        json!({
            "speculators_model_type": "eagle3", "architectures": ["Eagle3DraftModel"], "dtype": "bfloat16",
            "draft_vocab_size": DRAFT_VOCABULARY, "norm_before_residual": false, "norm_before_fc": false,
            "fc_norm": false, "norm_output": false, "eagle_aux_hidden_state_layer_ids": [1, 2, 4],
            "target_hidden_size": null, "tie_word_embeddings": false, "transformer_layer_config": layers,
            "speculators_config": {
                "algorithm": "eagle3", "default_proposal_method": "greedy",
                "proposal_methods": [{"proposal_type": "greedy", "speculative_tokens": 3}],
                "verifier": {"name_or_path": "verifier", "architectures": ["LlamaForCausalLM"]},
            },
        }),
        changes,
    );
    let layers = &config["transformer_layer_config"];
    let auxiliary = config["eagle_aux_hidden_state_layer_ids"]
        .as_array()
        .unwrap()
        .len();
    let drafts = config["draft_vocab_size"].as_u64().unwrap() as usize;
    let flag = |value: &Value| value.as_bool().unwrap_or(false);
    let bias = flag(&layers["attention_bias"]);
    let switches = [
        bias,
        bias,
        flag(&layers["mlp_bias"]),
        layers["model_type"] == "qwen3",
    ];

    let dtype = dtype(config["dtype"].as_str().unwrap());
    let mut tensors = Tensors {
        random: Random(seed),
        dtype,
        list: Vec::new(),
    };
    tensors.float("embed_tokens.weight", &[VOCABULARY, HIDDEN], 1.0, 0.0);
    tensors.linear("fc", HIDDEN, auxiliary * HIDDEN, false);
    if flag(&config["norm_before_fc"]) {
        tensors.norm("input_norm.weight", auxiliary * HIDDEN);
    }
    if flag(&config["fc_norm"]) {
        for index in 0..auxiliary {
            tensors.norm(format!("fc_norm.{index}.weight"), HIDDEN);
        }
    }
    tensors.norm("layers.0.hidden_norm.weight", HIDDEN);
    for layer in 0..layers["num_hidden_layers"].as_u64().unwrap() as usize {
        let inputs = if layer == 0 { 2 * HIDDEN } else { HIDDEN };
        tensors.layer(&format!("layers.{layer}"), inputs, switches);
    }
    tensors.norm("norm.weight", HIDDEN);
    tensors.linear("lm_head", drafts, HIDDEN, false);
    if drafts < VOCABULARY {
        // Every other token, the end token among them.
        let offsets = (0..drafts as i64).flat_map(i64::to_le_bytes).collect();
        tensors
            .list
            .push(("d2t".into(), vec![drafts], Dtype::I64, offsets));
        let member = (0..VOCABULARY)
            .map(|token| u8::from(token % 2 == 0 && token / 2 < drafts))
            .collect();
        tensors
            .list
            .push(("t2d".into(), vec![VOCABULARY], Dtype::BOOL, member));
    }
    let directory = directory.join(format!("head-{seed}"));
    fs_err::create_dir_all(&directory).unwrap();
    tensors.write(&directory, &config);
    directory
}

/// Every key and value of each layer, as bits: of one slot after the other.
pub fn contents(cache: &Cache) -> Vec<Vec<u32>> {
    (0..cache.layers())
        .map(|index| {
            let layer = cache.layer(index);
            (0..layer.len())
                .flat_map(|slot| (0..layer.kv_heads()).map(move |head| (slot, head)))
                .flat_map(|(slot, head)| [layer.key(slot, head), layer.value(slot, head)].concat())
                .map(f32::to_bits)
                .collect()
        })
        .collect()
}

/// A calibration that turns the order of things: the second choice is worth more than the first, and more so further
/// down.
pub fn calibration() -> Calibration {
    let curve = |points: &[[f32; 2]]| Curve::new(points.to_vec()).unwrap();
    let depth = |second: f32| {
        vec![
            curve(&[[0.1, 0.2], [0.5, 0.3]]),
            curve(&[[0.05, 0.3], [0.3, second]]),
            Curve::default(),
            curve(&[[0.2, 0.05]]),
        ]
    };
    Calibration::new(vec![depth(0.6), depth(0.7), depth(0.8)]).unwrap()
}

/// A directory that goes away with its owner.
pub fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn open_head(directory: &Path, verifier: &Verifier) -> DraftHead {
    let head = Head::open(directory, Some(verifier.config()), &ReadOptions::default())
        .unwrap_or_else(|problems| panic!("{problems:#?}"));
    DraftHead::load(&head, verifier).unwrap_or_else(|error| panic!("{error}"))
}
