//! The ways a head can be broken, each with the findings it has to lead to.

use serde_json::{Value, json};

use crate::kinds;
use crate::tiny::{
    DRAFT, Files, Fixture, HIDDEN, Tensor, VOCABULARY, bf16, matrix, safetensors, sound_targets,
    verifier_config, verifier_lm_head, with_header,
};

/// What a case must be found to be.
pub enum Verdict {
    Valid,
    NotValid,
    CouldNotTell,
}

/// A folder of `fixtures/broken`.
pub struct Case {
    /// Code and short name; the code is the finding the case is there for.
    pub name: &'static str,
    pub verdict: Verdict,
    /// Every finding, worst first: code and level.
    pub findings: &'static [(&'static str, &'static str)],
    pub change: Change,
}

/// One thing done to the sound head.
pub enum Change {
    /// To its config and tensors.
    Head(fn(&mut Fixture)),
    /// To the bytes of its files.
    Files(fn(&mut Files)),
}

use Change::{Files as InFiles, Head as InHead};
use Verdict::{CouldNotTell, NotValid, Valid};

macro_rules! cases {
    ($($name:literal: $verdict:ident [$($code:literal $level:literal),*], $change:expr;)*) => {
        pub const CASES: &[Case] = &[
            $(Case { name: $name, verdict: $verdict, findings: &[$(($code, $level)),*], change: $change }),*
        ];
    };
}

cases! {
    "sound": Valid [], InHead(|_| ());

    // Files
    "S101-no-config": NotValid ["S101" "error"], InFiles(|files| {
        files.remove("config.json");
    });
    "S101-no-weights": NotValid ["S101" "error"], InFiles(|files| {
        files.remove("model.safetensors");
    });
    "S102-truncated": NotValid ["S102" "error"], InFiles(|files| {
        let weights = weights(files);
        weights.truncate(weights.len() - 100);
    });
    "S103-cut-in-header": NotValid ["S103" "error"], InFiles(|files| {
        weights(files).truncate(300);
    });
    "S103-absurd-header-length": NotValid ["S103" "error"], InFiles(|files| {
        weights(files)[7] = 0x40;
    });
    "S103-header-not-json": NotValid ["S103" "error"], InFiles(|files| {
        weights(files)[8] = b'[';
    });
    "S103-overlapping-tensors": NotValid ["S103" "error"], InFiles(|files| {
        edit_header(files, |header| {
            let first = header["fc.weight"]["data_offsets"].clone();
            let begin = first[0].as_u64().expect("offset");
            header["norm.weight"]["data_offsets"] = json!([begin, begin + 2 * HIDDEN as u64]);
        });
    });
    "S103-size-against-shape": NotValid ["S103" "error"], InFiles(|files| {
        edit_header(files, |header| header["norm.weight"]["shape"] = json!([HIDDEN + 1]));
    });
    "S103-git-lfs-pointer": NotValid ["S103" "error"], InFiles(|files| {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 849765096\n";
        *weights(files) = pointer.as_bytes().to_vec();
    });
    "S104-trailing-comma": NotValid ["S104" "error"], InFiles(|files| {
        edit_config_text(files, "\"norm_output\": false,", "\"norm_output\": false,,");
    });
    "S105-number-in-quotes": NotValid ["S105" "error"], InHead(|head| {
        head.layer()["num_attention_heads"] = json!("2");
    });
    "S105-number-for-list": NotValid ["S105" "error"], InHead(|head| {
        head.config["eagle_aux_hidden_state_layer_ids"] = json!(2);
    });
    "S106-no-attention-heads": NotValid ["S106" "error"], InHead(|head| {
        remove_key(head.layer(), "num_attention_heads");
    });
    "S107-shard-missing": NotValid ["S107" "error"], InFiles(|files| {
        shard(files, "model-00002-of-00002.safetensors");
    });
    "S107-tensor-not-in-shard": NotValid ["S107" "error"], InFiles(|files| {
        shard(files, "model-00001-of-00002.safetensors");
    });
    "S110-medusa": CouldNotTell ["S110" "error"], InHead(|head| {
        head.config = json!({ "medusa_num_heads": 1, "medusa_num_layers": 1, "hidden_size": HIDDEN });
        head.tensors = vec![matrix("0.0.linear.weight", HIDDEN, HIDDEN), matrix("0.1.weight", VOCABULARY, HIDDEN)];
    });
    "S111-another-name": CouldNotTell ["S111" "error"], InFiles(|files| {
        let bytes = files.remove("model.safetensors").expect("the weights");
        files.insert("eagle3.safetensors".into(), bytes);
    });
    "S112-names-a-function": NotValid ["S112" "error"], InFiles(|files| {
        pickle(files, include_bytes!("../../../fixtures/pickles/system_global.bin"));
    });
    "S113-legacy-format": NotValid ["S113" "error"], InFiles(|files| {
        pickle(files, include_bytes!("../../../fixtures/pickles/legacy.bin"));
    });

    // Tensors
    "S201-no-fc": NotValid ["S201" "error"], InHead(|head| head.remove("fc.weight"));
    "S201-no-input-norm": NotValid ["S201" "error"], InHead(|head| {
        head.config["norm_before_fc"] = json!(true);
    });
    "S202-foreign-tensor": NotValid ["S202" "error"], InHead(|head| {
        head.tensors.push(matrix("markov_head.markov_w1.weight", DRAFT, 4));
    });
    "S202-second-layer": NotValid ["S202" "error"], InHead(|head| {
        head.tensors.push(matrix("layers.1.self_attn.o_proj.weight", HIDDEN, HIDDEN));
    });
    "S203-q-proj-of-one-input": NotValid ["S203" "error"], InHead(|head| {
        *head.tensor("layers.0.self_attn.q_proj.weight") =
            matrix("layers.0.self_attn.q_proj.weight", 16, HIDDEN);
    });
    "S203-head-dim": NotValid ["S203" "error"], InHead(|head| {
        head.layer()["head_dim"] = json!(4);
    });
    "S204-int8-weight": NotValid ["S204" "error"], InHead(|head| {
        let fc = head.tensor("fc.weight");
        fc.dtype = "I8";
        fc.data.truncate(fc.data.len() / 2);
    });
    "S205-nan": NotValid ["S205" "error"], InHead(|head| {
        put(head.tensor("layers.0.mlp.up_proj.weight"), 3 * HIDDEN + 7, f32::NAN);
    });
    "S205-infinite": NotValid ["S205" "error"], InHead(|head| {
        put(head.tensor("lm_head.weight"), 0, f32::INFINITY);
    });
    "S206-untrained-norms": Valid ["S206" "warning"], InHead(|head| {
        for tensor in head.tensors.iter_mut().filter(|tensor| tensor.name.ends_with("norm.weight")) {
            tensor.data = bf16(1.0).repeat(HIDDEN);
        }
    });
    "S207-zero-matrix": NotValid ["S207" "error"], InHead(|head| {
        head.tensor("layers.0.mlp.down_proj.weight").data.fill(0);
    });
    "S208-untouched-lm-head": Valid ["S208" "info"], InHead(|head| {
        let rows = verifier_lm_head().data;
        let rows = rows.chunks_exact(2 * HIDDEN).step_by(2); // the draft vocabulary is every second token
        head.tensor("lm_head.weight").data = rows.flatten().copied().collect();
    });

    // Vocabulary maps
    "S301-short-d2t": NotValid ["S301" "error"], InHead(|head| {
        head.set_d2t(&sound_offsets()[..DRAFT - 1]);
    });
    "S301-short-t2d": NotValid ["S301" "error"], InHead(|head| {
        let t2d = head.tensor("t2d");
        t2d.shape = vec![VOCABULARY - 1];
        t2d.data.pop();
    });
    "S302-out-of-range": NotValid ["S302" "error"], InHead(|head| {
        let mut offsets = sound_offsets();
        offsets[DRAFT - 1] = 40;
        head.set_d2t(&offsets);
    });
    "S303-duplicate": NotValid ["S303" "error"], InHead(|head| {
        let mut offsets = sound_offsets();
        offsets[5] = offsets[4] - 1;
        head.set_d2t(&offsets);
    });
    "S304-d2t-of-zeros": NotValid ["S304" "error"], InHead(|head| head.set_d2t(&[0; DRAFT]));
    "S304-t2d-of-ones": NotValid ["S304" "error"], InHead(|head| head.tensor("t2d").data.fill(1));
    "S305-absolute": NotValid ["S305" "error"], InHead(|head| {
        let targets: Vec<i64> = sound_targets().iter().map(|&target| target as i64).collect();
        head.set_d2t(&targets);
    });
    "S306-maps-disagree": NotValid ["S306" "error"], InHead(|head| {
        head.tensor("t2d").data.swap(10, 11);
    });
    "S307-no-maps": NotValid ["S307" "error"], InHead(|head| {
        head.remove("d2t");
        head.remove("t2d");
    });
    "S308-unsorted": Valid ["S308" "warning"], InHead(|head| {
        let mut targets = sound_targets();
        targets.swap(3, 4);
        head.set_targets(&targets);
    });

    // Head against verifier
    "S401-wider-verifier": NotValid ["S401" "error"], InHead(|head| {
        own_verifier(head, "hidden_size", json!(2 * HIDDEN));
    });
    "S402-larger-vocabulary": NotValid ["S402" "error"], InHead(|head| {
        own_verifier(head, "vocab_size", json!(VOCABULARY + 32));
    });
    "S403-beyond-the-last-layer": NotValid ["S403" "error"], InHead(|head| {
        head.config["eagle_aux_hidden_state_layer_ids"] = json!([2, 4, 9]);
    });
    "S404-two-layers-for-three": NotValid ["S404" "error"], InHead(|head| {
        head.config["eagle_aux_hidden_state_layer_ids"] = json!([2, 5]);
    });
    "S404-layer-twice": NotValid ["S404" "error"], InHead(|head| {
        head.config["eagle_aux_hidden_state_layer_ids"] = json!([2, 4, 4]);
    });
    "S405-end-of-turn-outside": Valid ["S405" "warning"], InHead(|head| {
        let mut targets = sound_targets();
        targets[20] = 41; // instead of 40, which ends a turn
        head.set_targets(&targets);
    });
    "S406-no-norm-before-residual": NotValid ["S406" "error"], InHead(|head| {
        remove_key(&mut head.config, "norm_before_residual");
    });
    "S407-rope-theta": Valid ["S407" "warning"], InHead(|head| {
        head.layer()["rope_parameters"]["rope_theta"] = json!(500_000.0);
    });
    "S408-default-not-listed": NotValid ["S408" "error"], InHead(|head| {
        head.config["speculators_config"]["default_proposal_method"] = json!("tree");
    });
    "S408-no-methods": NotValid ["S408" "error"], InHead(|head| {
        head.config["speculators_config"]["proposal_methods"] = json!([]);
    });
    "S408-no-tokens": NotValid ["S408" "error"], InHead(|head| {
        head.config["speculators_config"]["proposal_methods"][0]["speculative_tokens"] = json!(0);
    });
    "S409-no-layers": Valid ["S409" "warning"], InHead(|head| {
        head.config["eagle_aux_hidden_state_layer_ids"] = Value::Null;
    });
    "S409-original-release": Valid ["S409" "warning"], InHead(|head| {
        // Names of another layout, whose configs never name the layers.
        for tensor in &mut head.tensors {
            tensor.name = tensor.name.replace("layers.0.", "midlayer.");
        }
        let mut config = head.layer().take();
        remove_key(&mut config, "head_dim"); // its fingerprint would be another trainer's
        remove_key(&mut config, "rope_parameters");
        config["rope_theta"] = json!(10000.0);
        config["architectures"] = json!(["LlamaForCausalLM"]);
        config["draft_vocab_size"] = json!(DRAFT);
        head.config = config;
    });
    "S410-unknown-verifier": CouldNotTell ["S410" "error"], InHead(|head| {
        own_verifier(head, "model_type", json!("mamba"));
    });
    "S412-both-norms-before-fc": NotValid ["S412" "error"], InHead(|head| {
        head.config["norm_before_fc"] = json!(true);
        head.config["fc_norm"] = json!(true);
    });
    "S413-norm-epsilon": Valid ["S413" "info"], InHead(|head| {
        head.layer()["rms_norm_eps"] = json!(1e-6);
    });
    "S414-fewer-positions": Valid ["S414" "warning"], InHead(|head| {
        head.layer()["max_position_embeddings"] = json!(64);
    });
    "S415-tied": Valid ["S415" "warning"], InHead(|head| {
        head.layer()["tie_word_embeddings"] = json!(true);
    });
    "S416-another-verifier": Valid ["S416" "warning"], InHead(|head| {
        head.config["speculators_config"]["verifier"]["architectures"] = json!(["Qwen3ForCausalLM"]);
    });

    // Heads of other kinds
    "sound-block-drafter": Valid [], InHead(kinds::block_drafter);
    "sound-mtp": Valid [], InFiles(kinds::mtp);
    "S114-cut": NotValid ["S114" "error"], InFiles(kinds::cut_gguf);
    "S115-old-version": CouldNotTell ["S115" "error"], InFiles(kinds::old_gguf);
    "S209-untouched-mtp": Valid ["S209" "info"], InFiles(kinds::untouched_mtp);
    "S417-more-than-a-block": NotValid ["S417" "error"], InHead(|head| {
        kinds::block_drafter(head);
        head.config["speculators_config"]["proposal_methods"][0]["speculative_tokens"] = json!(9);
    });
    "S418-mask-outside": NotValid ["S418" "error"], InHead(|head| {
        kinds::block_drafter(head);
        head.config["mask_token_id"] = json!(VOCABULARY);
    });
    "S419-no-window-rule": NotValid ["S419" "error"], InHead(|head| {
        kinds::block_drafter(head);
        remove_key(&mut head.config, "sliding_window_non_causal");
    });
    "S420-other-heads": NotValid ["S420" "error"], InFiles(|files| {
        kinds::mtp(files);
        let config = files.get_mut("verifier/config.json").expect("the verifier's config");
        let text = String::from_utf8(config.clone()).expect("UTF-8");
        *config = text.replace("\"num_key_value_heads\": 1", "\"num_key_value_heads\": 2").into_bytes();
    });
}

fn weights(files: &mut Files) -> &mut Vec<u8> {
    files.get_mut("model.safetensors").expect("the weights")
}

/// A PyTorch file in place of the weights.
fn pickle(files: &mut Files, bytes: &[u8]) {
    files.remove("model.safetensors");
    files.insert("pytorch_model.bin".into(), bytes.to_vec());
}

/// Changes the header and leaves the data alone.
fn edit_header(files: &mut Files, edit: fn(&mut Value)) {
    let weights = weights(files);
    let length = u64::from_le_bytes(weights[..8].try_into().expect("eight bytes")) as usize;
    let mut header = serde_json::from_slice(&weights[8..8 + length]).expect("a sound header");
    edit(&mut header);
    *weights = with_header(&header.to_string(), &weights[8 + length..]);
}

fn edit_config_text(files: &mut Files, from: &str, to: &str) {
    let config = files.get_mut("config.json").expect("the config");
    let text = String::from_utf8(config.clone()).expect("UTF-8");
    assert!(text.contains(from), "the config has no {from}");
    *config = text.replace(from, to).into_bytes();
}

/// Renames the weights to the first of two shards and has the index place `lm_head.weight` in `shard`; the shard named
/// second is not there, and the first does not hold the tensor.
fn shard(files: &mut Files, shard: &str) {
    let first = "model-00001-of-00002.safetensors";
    let mut tensors = Fixture::sound().tensors;
    let mut map = serde_json::Map::new();
    for tensor in &tensors {
        let file = if tensor.name == "lm_head.weight" {
            shard
        } else {
            first
        };
        map.insert(tensor.name.clone(), json!(file));
    }
    tensors.retain(|tensor| tensor.name != "lm_head.weight");
    files.remove("model.safetensors");
    files.insert(first.into(), safetensors(&tensors));
    let index = json!({ "metadata": {}, "weight_map": map });
    files.insert(
        "model.safetensors.index.json".into(),
        crate::tiny::json_bytes(&index),
    );
}

fn remove_key(object: &mut Value, key: &str) {
    let removed = object
        .as_object_mut()
        .and_then(|object| object.shift_remove(key));
    assert!(removed.is_some(), "no key {key}");
}

fn put(tensor: &mut Tensor, index: usize, value: f32) {
    tensor.data[2 * index..2 * index + 2].copy_from_slice(&bf16(value));
}

fn sound_offsets() -> Vec<i64> {
    sound_targets()
        .iter()
        .zip(0..)
        .map(|(&target, draft)| target as i64 - draft)
        .collect()
}

fn own_verifier(head: &mut Fixture, key: &str, value: Value) {
    let mut config = verifier_config();
    config[key] = value;
    head.verifier = Some(config);
}
