//! A tiny EAGLE-3 head and verifier, sound until a case breaks them, and the bytes they become.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Width of the verifier and of the head.
pub const HIDDEN: usize = 16;
/// Width of both MLPs.
const INTERMEDIATE: usize = 24;
/// Verifier vocabulary.
pub const VOCABULARY: usize = 64;
/// Draft vocabulary: every second token, so that offsets, absolute ids and draft ids all differ.
pub const DRAFT: usize = 32;

/// One tensor in memory.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub dtype: &'static str,
    pub shape: Vec<usize>,
    pub data: Vec<u8>,
}

/// What a case may break before it is written.
pub struct Fixture {
    pub config: Value,
    pub tensors: Vec<Tensor>,
    /// A verifier config of its own, where the shared one cannot show the fault.
    pub verifier: Option<Value>,
}

/// File name to bytes.
pub type Files = BTreeMap<String, Vec<u8>>;

impl Fixture {
    /// The head that has nothing wrong with it.
    pub fn sound() -> Fixture {
        Fixture {
            config: head_config(),
            tensors: head_tensors(),
            verifier: None,
        }
    }

    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        let found = self.tensors.iter_mut().find(|tensor| tensor.name == name);
        found.unwrap_or_else(|| panic!("the tiny head has no tensor {name}"))
    }

    pub fn remove(&mut self, name: &str) {
        self.tensors.retain(|tensor| tensor.name != name);
    }

    /// The draft layer's own config.
    pub fn layer(&mut self) -> &mut Value {
        &mut self.config["transformer_layer_config"]
    }

    /// Replaces `d2t`, and `t2d` along with it where every target lies in the vocabulary.
    pub fn set_targets(&mut self, targets: &[usize]) {
        let (d2t, t2d) = maps(targets);
        *self.tensor("d2t") = d2t;
        *self.tensor("t2d") = t2d;
    }

    /// Replaces `d2t` alone.
    pub fn set_d2t(&mut self, offsets: &[i64]) {
        self.tensor("d2t").shape = vec![offsets.len()];
        self.tensor("d2t").data = offsets
            .iter()
            .flat_map(|offset| offset.to_le_bytes())
            .collect();
    }

    pub fn files(&self) -> Files {
        let mut files = Files::new();
        files.insert("config.json".into(), json_bytes(&self.config));
        files.insert("model.safetensors".into(), safetensors(&self.tensors));
        if let Some(config) = &self.verifier {
            files.insert("verifier/config.json".into(), json_bytes(config));
        }
        files
    }
}

/// The verifier every case is paired with unless it brings its own.
pub fn verifier_files() -> Files {
    let mut files = Files::new();
    files.insert("config.json".into(), json_bytes(&verifier_config()));
    files.insert(
        "generation_config.json".into(),
        json_bytes(&json!({ "eos_token_id": [2, 40] })),
    );
    // Only what validation reads: the embedding and the output matrix.
    let tensors = [
        verifier_lm_head(),
        matrix("model.embed_tokens.weight", VOCABULARY, HIDDEN),
    ];
    files.insert("model.safetensors".into(), safetensors(&tensors));
    files
}

pub fn verifier_lm_head() -> Tensor {
    matrix("lm_head.weight", VOCABULARY, HIDDEN)
}

pub fn verifier_config() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": false,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "head_dim": 8,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "max_position_embeddings": 256,
        "mlp_bias": false,
        "model_type": "llama",
        "num_attention_heads": 2,
        "num_hidden_layers": 8,
        "num_key_value_heads": 1,
        "rms_norm_eps": 1e-5,
        "rope_scaling": null,
        "rope_theta": 10000.0,
        "tie_word_embeddings": false,
        "torch_dtype": "bfloat16",
        "vocab_size": VOCABULARY
    })
}

fn head_config() -> Value {
    json!({
        "architectures": ["Eagle3DraftModel"],
        "draft_vocab_size": DRAFT,
        "dtype": "bfloat16",
        "eagle_aux_hidden_state_layer_ids": [2, 4, 5],
        "embed_requires_grad": false,
        "fc_norm": false,
        "norm_before_fc": false,
        "norm_before_residual": true,
        "norm_output": false,
        "speculators_config": {
            "algorithm": "eagle3",
            "default_proposal_method": "greedy",
            "proposal_methods": [{
                "accept_tolerance": 0.0,
                "proposal_type": "greedy",
                "speculative_tokens": 3,
                "verifier_accept_k": 1
            }],
            "verifier": { "architectures": ["LlamaForCausalLM"], "name_or_path": "tiny/verifier" }
        },
        "speculators_model_type": "eagle3",
        "speculators_version": "0.9.0",
        "target_hidden_size": null,
        "tie_word_embeddings": false,
        "transformer_layer_config": {
            "attention_bias": false,
            "head_dim": 8,
            "hidden_act": "silu",
            "hidden_size": HIDDEN,
            "intermediate_size": INTERMEDIATE,
            "max_position_embeddings": 256,
            "mlp_bias": false,
            "model_type": "llama",
            "num_attention_heads": 2,
            "num_hidden_layers": 1,
            "num_key_value_heads": 1,
            "rms_norm_eps": 1e-5,
            "rope_parameters": { "rope_theta": 10000.0, "rope_type": "default" },
            "tie_word_embeddings": false,
            "vocab_size": VOCABULARY
        }
    })
}

fn head_tensors() -> Vec<Tensor> {
    let (d2t, t2d) = maps(&sound_targets());
    vec![
        d2t,
        t2d,
        matrix("fc.weight", HIDDEN, 3 * HIDDEN),
        norm("layers.0.hidden_norm.weight"),
        norm("layers.0.input_layernorm.weight"),
        matrix("layers.0.mlp.down_proj.weight", HIDDEN, INTERMEDIATE),
        matrix("layers.0.mlp.gate_proj.weight", INTERMEDIATE, HIDDEN),
        matrix("layers.0.mlp.up_proj.weight", INTERMEDIATE, HIDDEN),
        norm("layers.0.post_attention_layernorm.weight"),
        matrix("layers.0.self_attn.k_proj.weight", 8, 2 * HIDDEN),
        matrix("layers.0.self_attn.o_proj.weight", HIDDEN, 16),
        matrix("layers.0.self_attn.q_proj.weight", 16, 2 * HIDDEN),
        matrix("layers.0.self_attn.v_proj.weight", 8, 2 * HIDDEN),
        // Another seed than the verifier's matrix of the same name.
        Tensor {
            name: "lm_head.weight".into(),
            ..matrix("draft lm_head", DRAFT, HIDDEN)
        },
        norm("norm.weight"),
    ]
}

/// Verifier token of each draft token: the even ones.
pub fn sound_targets() -> Vec<usize> {
    (0..DRAFT).map(|draft| 2 * draft).collect()
}

fn maps(targets: &[usize]) -> (Tensor, Tensor) {
    let offsets = targets
        .iter()
        .enumerate()
        .map(|(draft, &target)| target as i64 - draft as i64);
    let mut member = vec![0_u8; VOCABULARY];
    for &target in targets {
        if let Some(member) = member.get_mut(target) {
            *member = 1;
        }
    }
    (
        Tensor {
            name: "d2t".into(),
            dtype: "I64",
            shape: vec![targets.len()],
            data: offsets.flat_map(i64::to_le_bytes).collect(),
        },
        Tensor {
            name: "t2d".into(),
            dtype: "BOOL",
            shape: vec![VOCABULARY],
            data: member,
        },
    )
}

/// A bf16 matrix of small pseudo-random values that depend on its name only.
pub fn matrix(name: &str, rows: usize, columns: usize) -> Tensor {
    floats(name, vec![rows, columns], |unit| 0.1 * unit)
}

/// A bf16 norm weight near one.
pub fn norm(name: &str) -> Tensor {
    floats(name, vec![HIDDEN], |unit| 1.0 + 0.1 * unit)
}

fn floats(name: &str, shape: Vec<usize>, value: impl Fn(f32) -> f32) -> Tensor {
    // FNV-1a of the name seeds a splitmix64 stream.
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mut unit = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let count = shape.iter().product();
    let data = (0..count).flat_map(|_| bf16(value(unit()))).collect();
    Tensor {
        name: name.into(),
        dtype: "BF16",
        shape,
        data,
    }
}

/// Little-endian bytes of a value rounded to bf16.
pub fn bf16(value: f32) -> [u8; 2] {
    half::bf16::from_f32(value).to_le_bytes()
}

/// Pretty JSON with a newline at the end.
pub fn json_bytes(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// A safetensors file, tensors in the order given.
pub fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for tensor in tensors {
        let begin = data.len();
        data.extend_from_slice(&tensor.data);
        let place = json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, data.len()] });
        header.insert(tensor.name.clone(), place);
    }
    with_header(&Value::Object(header).to_string(), &data)
}

/// Length, header padded to eight bytes, data.
pub fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let padded = format!("{header:width$}", width = header.len().next_multiple_of(8));
    [
        &(padded.len() as u64).to_le_bytes(),
        padded.as_bytes(),
        data,
    ]
    .concat()
}
