//! Heads of other kinds than EAGLE-3, as small and as sound, for the findings only they lead to.

use serde_json::{Value, json};

use crate::tiny::{Files, Fixture, HIDDEN, Tensor, json_bytes, matrix, norm, safetensors};

/// Rows of the MLP.
const INTERMEDIATE: usize = 24;

/// A DFlash head of one layer, with blocks of four, for the shared verifier.
pub fn block_drafter(head: &mut Fixture) {
    let config = &mut head.config;
    let mut layer = config["transformer_layer_config"].clone();
    layer["model_type"] = json!("qwen3");
    layer["layer_types"] = json!(["full_attention"]);
    *config = json!({
        "architectures": ["DFlashDraftModel"],
        "aux_hidden_state_layer_ids": [2, 4, 5],
        "block_size": 4,
        "draft_vocab_size": layer["vocab_size"],
        "dtype": "bfloat16",
        "mask_token_id": 3,
        "sample_from_anchor": false,
        "sliding_window_non_causal": true,
        "speculators_config": proposal("dflash", "LlamaForCausalLM"),
        "speculators_model_type": "dflash",
        "speculators_version": "0.9.0",
        "target_hidden_size": null,
        "tie_word_embeddings": false,
        "transformer_layer_config": layer,
    });
    head.tensors = vec![
        matrix("fc.weight", HIDDEN, 3 * HIDDEN),
        norm("hidden_norm.weight"),
        norm("norm.weight"),
    ];
    head.tensors.extend(qwen3_layer("layers.0"));
}

/// The MTP layer of a Qwen 3 verifier, with that verifier, whose own layer has other numbers.
pub fn mtp(files: &mut Files) {
    let decoder = decoder();
    let config = json!({
        "architectures": ["MTPDraftModel"],
        "dtype": "bfloat16",
        "num_nextn_predict_layers": 1,
        "speculators_config": proposal("mtp", "Qwen3ForCausalLM"),
        "speculators_model_type": "mtp",
        "speculators_version": "0.9.0",
        "tie_word_embeddings": false,
        "transformer_layer_config": decoder,
    });
    let mut verifier = decoder;
    verifier["architectures"] = json!(["Qwen3ForCausalLM"]);
    files.insert("config.json".into(), json_bytes(&config));
    files.insert(
        "model.safetensors".into(),
        safetensors(&mtp_layer("mtp_layers.0", NAMES)),
    );
    files.insert("verifier/config.json".into(), json_bytes(&verifier));
    let mut own = mtp_layer("mtp", NATIVE);
    own.iter_mut().for_each(backwards);
    own.push(matrix("model.embed_tokens.weight", 64, HIDDEN));
    own.push(matrix("lm_head.weight", 64, HIDDEN));
    files.insert("verifier/model.safetensors".into(), safetensors(&own));
}

/// The same, with the layer that the verifier has itself.
pub fn untouched_mtp(files: &mut Files) {
    mtp(files);
    let mut own = mtp_layer("mtp_layers.0", NAMES);
    own.iter_mut().for_each(backwards);
    files.insert("model.safetensors".into(), safetensors(&own));
}

/// The elements of a tensor in the other order.
fn backwards(tensor: &mut Tensor) {
    let elements = tensor.data.chunks(2).rev();
    tensor.data = elements.flatten().copied().collect();
}

/// A GGUF file of a version that nobody writes any more, in place of the head.
pub fn old_gguf(files: &mut Files) {
    gguf(files, 1);
}

/// A file with one key, `general.architecture`, and no tensors.
fn gguf(files: &mut Files, version: u32) {
    files.clear();
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let counts = [0_u64, 1].map(u64::to_le_bytes).concat(); // tensors, keys
    let architecture = [
        text("general.architecture"),
        8_u32.to_le_bytes().to_vec(),
        text("llama"),
    ]
    .concat();
    let file = [&b"GGUF"[..], &version.to_le_bytes(), &counts, &architecture].concat();
    files.insert("model.gguf".into(), file);
}

/// A GGUF file whose only key claims to be longer than the file.
pub fn cut_gguf(files: &mut Files) {
    gguf(files, 3);
    let file = files.get_mut("model.gguf").expect("the file");
    file[24] = 0xff;
}

/// Names of the parts of the layer that are not a decoder layer's: projection, norms of state, token and output.
type Names = [&'static str; 4];
const NAMES: Names = [
    "input_proj",
    "hidden_layernorm",
    "token_layernorm",
    "final_layernorm",
];
const NATIVE: Names = ["fc", "pre_fc_norm_hidden", "pre_fc_norm_embedding", "norm"];

fn mtp_layer(prefix: &str, [projection, state, token, output]: Names) -> Vec<Tensor> {
    let native = prefix == "mtp";
    let mut list = vec![matrix("mtp fusion", HIDDEN, 2 * HIDDEN)];
    list[0].name = format!("{prefix}.{projection}.weight");
    // The same numbers under both names.
    for (position, part) in [state, token, output].into_iter().enumerate() {
        let name = format!("{prefix}.{part}.weight");
        let numbers = norm(&format!("mtp norm {position}"));
        list.push(Tensor { name, ..numbers });
    }
    let layer = if native {
        "mtp.layers.0".to_owned()
    } else {
        prefix.to_owned()
    };
    list.extend(qwen3_layer("mtp layer").into_iter().map(|mut tensor| {
        tensor.name = tensor.name.replace("mtp layer", &layer);
        tensor
    }));
    list
}

fn qwen3_layer(prefix: &str) -> Vec<Tensor> {
    let head_norm = |part: &str| {
        let mut tensor = norm(&format!("{prefix}.self_attn.{part}_norm.weight"));
        tensor.shape = vec![8];
        tensor.data.truncate(16);
        tensor
    };
    let linear =
        |part: &str, rows, columns| matrix(&format!("{prefix}.{part}_proj.weight"), rows, columns);
    vec![
        norm(&format!("{prefix}.input_layernorm.weight")),
        norm(&format!("{prefix}.post_attention_layernorm.weight")),
        linear("mlp.down", HIDDEN, INTERMEDIATE),
        linear("mlp.gate", INTERMEDIATE, HIDDEN),
        linear("mlp.up", INTERMEDIATE, HIDDEN),
        head_norm("q"),
        head_norm("k"),
        linear("self_attn.q", 16, HIDDEN),
        linear("self_attn.k", 8, HIDDEN),
        linear("self_attn.v", 8, HIDDEN),
        linear("self_attn.o", HIDDEN, 16),
    ]
}

fn decoder() -> Value {
    json!({
        "attention_bias": false,
        "eos_token_id": 2,
        "head_dim": 8,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "max_position_embeddings": 256,
        "model_type": "qwen3",
        "num_attention_heads": 2,
        "num_hidden_layers": 8,
        "num_key_value_heads": 1,
        "rms_norm_eps": 1e-6,
        "rope_parameters": { "rope_theta": 10000.0, "rope_type": "default" },
        "tie_word_embeddings": false,
        "vocab_size": 64
    })
}

fn proposal(algorithm: &str, architecture: &str) -> Value {
    json!({
        "algorithm": algorithm,
        "default_proposal_method": "greedy",
        "proposal_methods": [{
            "accept_tolerance": 0.0,
            "proposal_type": "greedy",
            "speculative_tokens": 3,
            "verifier_accept_k": 1
        }],
        "verifier": { "architectures": [architecture], "name_or_path": "tiny/verifier" }
    })
}
