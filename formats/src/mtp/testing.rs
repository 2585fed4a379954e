//! Tiny MTP layers for tests, in both layouts, to be changed and written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use safetensors::Dtype;
use serde_json::{Value, json};

use super::{ExpertStorage, MtpFamily, MtpMlp, describe, names};
use crate::config::ConfigFile;
use crate::head::Layout;
use crate::testing::{Scratch, tensors};

/// Experts of the tiny layer.
pub(super) const EXPERTS: usize = 3;
const HIDDEN: usize = 16;
const VOCABULARY: usize = 32;

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// A checkpoint to be written.
#[derive(Clone)]
pub(super) struct TinyMtp {
    pub config: Value,
    pub tensors: Tensors,
    /// Files the tensors are dealt out to; one file without an index for 1.
    pub shards: usize,
}

impl TinyMtp {
    /// A verifier with an MTP layer: two files, experts one by one.
    pub fn verifier(family: MtpFamily) -> TinyMtp {
        TinyMtp::verifier_with(family, ExpertStorage::Split)
    }

    /// The same with experts as asked for.
    pub fn verifier_with(family: MtpFamily, experts: ExpertStorage) -> TinyMtp {
        let mut tiny = TinyMtp {
            config: config(family),
            tensors: Tensors::new(),
            shards: 2,
        };
        for (name, shape) in [
            ("model.embed_tokens.weight", [VOCABULARY, HIDDEN]),
            ("lm_head.weight", [VOCABULARY, HIDDEN]),
            ("model.layers.0.mlp.up_proj.weight", [24, HIDDEN]),
        ] {
            tiny.float(name, &shape);
        }
        for (canonical, shape) in layer(family, experts) {
            tiny.float(&names::native(&canonical), &shape);
        }
        tiny
    }

    /// The layer alone, as the Python package saves it, the matrix of NaN aside.
    pub fn speculators(family: MtpFamily) -> TinyMtp {
        let source = config(family);
        let decoder = source.get("text_config").unwrap_or(&source).clone();
        let mut tiny = TinyMtp {
            config: json!({
                "dtype": "bfloat16", "num_nextn_predict_layers": 1, "speculators_model_type": "mtp",
                "speculators_config": {
                    "algorithm": "mtp", "default_proposal_method": "greedy",
                    "proposal_methods": [{"proposal_type": "greedy", "speculative_tokens": 3}],
                    "verifier": {"name_or_path": "tiny", "architectures": []}
                },
                "transformer_layer_config": decoder
            }),
            tensors: Tensors::new(),
            shards: 1,
        };
        for (canonical, shape) in layer(family, ExpertStorage::Fused) {
            tiny.float(&canonical, &shape);
        }
        tiny
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

    /// A bf16 tensor of one value.
    pub fn fill(&mut self, name: &str, shape: &[usize], value: f32) {
        let value = half::bf16::from_f32(value).to_le_bytes();
        let bytes = value.repeat(shape.iter().product());
        self.put(name, Dtype::BF16, shape, bytes);
    }

    pub fn put(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        self.tensors
            .insert(name.to_owned(), (dtype, shape.to_vec(), bytes));
    }

    pub fn bytes(&self, name: &str) -> &[u8] {
        &self.tensors[name].2
    }

    /// Puts something before every native name.
    pub fn prefixed(mut self, prefix: &str) -> TinyMtp {
        self.tensors = std::mem::take(&mut self.tensors)
            .into_iter()
            .map(|(name, tensor)| match name.starts_with("mtp.") {
                true => (format!("{prefix}{name}"), tensor),
                false => (name, tensor),
            })
            .collect();
        self
    }

    /// The decoder part of the config.
    pub fn decoder(&mut self) -> &mut Value {
        let key = ["text_config", "transformer_layer_config"]
            .into_iter()
            .find(|key| self.config.get(key).is_some());
        match key {
            Some(key) => &mut self.config[key],
            None => &mut self.config,
        }
    }

    /// Writes the checkpoint into a directory of the scratch.
    pub fn write(&self, scratch: &Scratch, directory: &str) -> PathBuf {
        scratch.write(
            &format!("{directory}/config.json"),
            format!("{:#}\n", self.config).as_bytes(),
        );
        let mut files: Vec<Vec<_>> = vec![Vec::new(); self.shards];
        let mut index = serde_json::Map::new();
        for (position, (name, (dtype, shape, bytes))) in self.tensors.iter().enumerate() {
            let file = position % self.shards;
            files[file].push((name.as_str(), *dtype, shape.as_slice(), bytes.clone()));
            index.insert(name.clone(), json!(format!("part-{file}.safetensors")));
        }
        if self.shards == 1 {
            let file = tensors(&files[0]);
            scratch.write(&format!("{directory}/model.safetensors"), &file);
            return scratch.path(directory);
        }
        for (number, list) in files.iter().enumerate() {
            let file = format!("{directory}/part-{number}.safetensors");
            scratch.write(&file, &tensors(list));
        }
        let index = json!({"metadata": {}, "weight_map": index}).to_string();
        scratch.write(
            &format!("{directory}/model.safetensors.index.json"),
            index.as_bytes(),
        );
        scratch.path(directory)
    }
}

/// `config.json` of a verifier of four layers, composite for Qwen 3.5.
fn config(family: MtpFamily) -> Value {
    let mut decoder = json!({
        "bos_token_id": 1, "eos_token_id": 2, "head_dim": 8, "hidden_act": "silu", "hidden_size": HIDDEN,
        "max_position_embeddings": 256, "model_type": family.as_str(), "num_attention_heads": 2, "num_hidden_layers": 4,
        "num_key_value_heads": 1, "rms_norm_eps": 1e-6, "vocab_size": VOCABULARY
    });
    let sparse = matches!(family, MtpFamily::Qwen3Next | MtpFamily::Qwen35Moe);
    if sparse {
        for (key, value) in [
            ("num_experts", EXPERTS),
            ("num_experts_per_tok", 2),
            ("moe_intermediate_size", 4),
            ("shared_expert_intermediate_size", 12),
        ] {
            decoder[key] = json!(value);
        }
    } else {
        decoder["intermediate_size"] = json!(24);
    }
    match family {
        MtpFamily::Qwen3 | MtpFamily::Qwen3Next => {
            decoder["architectures"] = json!(["Tiny"]);
            decoder["torch_dtype"] = json!("bfloat16");
            decoder["rope_theta"] = json!(10_000.0);
            if family == MtpFamily::Qwen3Next {
                decoder["partial_rotary_factor"] = json!(0.5);
            }
            decoder
        }
        MtpFamily::Qwen35 | MtpFamily::Qwen35Moe => {
            decoder["dtype"] = json!("bfloat16");
            decoder["mtp_num_hidden_layers"] = json!(1);
            decoder["rope_parameters"] = json!({
                "mrope_interleaved": true, "mrope_section": [1, 1, 0], "partial_rotary_factor": 0.5,
                "rope_theta": 10_000.0, "rope_type": "default"
            });
            json!({
                "architectures": ["Tiny"], "model_type": "qwen3_5", "text_config": decoder,
                "vision_config": {"depth": 1}
            })
        }
    }
}

/// Canonical names and shapes of the layer, written down apart from the code under test.
fn layer(family: MtpFamily, experts: ExpertStorage) -> Vec<(String, Vec<usize>)> {
    let queries = if family == MtpFamily::Qwen3 { 16 } else { 32 };
    let mut list = vec![
        ("input_proj.weight", vec![HIDDEN, 2 * HIDDEN]),
        ("hidden_layernorm.weight", vec![HIDDEN]),
        ("token_layernorm.weight", vec![HIDDEN]),
        ("final_layernorm.weight", vec![HIDDEN]),
        ("input_layernorm.weight", vec![HIDDEN]),
        ("post_attention_layernorm.weight", vec![HIDDEN]),
        ("self_attn.q_proj.weight", vec![queries, HIDDEN]),
        ("self_attn.k_proj.weight", vec![8, HIDDEN]),
        ("self_attn.v_proj.weight", vec![8, HIDDEN]),
        ("self_attn.o_proj.weight", vec![HIDDEN, 16]),
        ("self_attn.q_norm.weight", vec![8]),
        ("self_attn.k_norm.weight", vec![8]),
    ];
    if matches!(family, MtpFamily::Qwen3 | MtpFamily::Qwen35) {
        list.extend([
            ("mlp.gate_proj.weight", vec![24, HIDDEN]),
            ("mlp.up_proj.weight", vec![24, HIDDEN]),
            ("mlp.down_proj.weight", vec![HIDDEN, 24]),
        ]);
    } else {
        list.extend([
            ("mlp.gate.weight", vec![EXPERTS, HIDDEN]),
            ("mlp.shared_expert.gate_proj.weight", vec![12, HIDDEN]),
            ("mlp.shared_expert.up_proj.weight", vec![12, HIDDEN]),
            ("mlp.shared_expert.down_proj.weight", vec![HIDDEN, 12]),
            ("mlp.shared_expert_gate.weight", vec![1, HIDDEN]),
        ]);
    }
    let mut list: Vec<(String, Vec<usize>)> = list
        .into_iter()
        .map(|(name, shape)| (format!("mtp_layers.0.{name}"), shape))
        .collect();
    let fused = |name: &str| format!("mtp_layers.0.mlp.experts.{name}");
    match (family, experts) {
        (MtpFamily::Qwen3 | MtpFamily::Qwen35, _) => {}
        (_, ExpertStorage::Fused) => {
            list.push((fused("gate_up_proj"), vec![EXPERTS, 8, HIDDEN]));
            list.push((fused("down_proj"), vec![EXPERTS, HIDDEN, 4]));
        }
        (_, ExpertStorage::Split) => {
            for expert in 0..EXPERTS {
                for (part, shape) in [
                    ("gate_proj", vec![4, HIDDEN]),
                    ("up_proj", vec![4, HIDDEN]),
                    ("down_proj", vec![HIDDEN, 4]),
                ] {
                    list.push((fused(&format!("{expert}.{part}.weight")), shape));
                }
            }
        }
    }
    list
}

/// The feed-forward part that a family's config describes.
pub(super) fn mlp_of(family: MtpFamily) -> MtpMlp {
    let text = config(family).to_string();
    let file = ConfigFile::from_text("config.json", text).unwrap();
    let root = file.root();
    let section = describe::decoder_section(&root, Layout::NativeMtp).unwrap();
    let mut reader = super::decoder::Reader::new(&section);
    reader.decoder(&root).unwrap().mlp
}
