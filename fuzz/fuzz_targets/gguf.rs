//! Any bytes as a GGUF file: the container with all its values and tensors, and then the head in it, alone and with a
//! verifier. What is accepted lies in the file and is as long as its shape says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use speculators_formats::gguf::{GgufFile, Value};
use speculators_formats::{Checkpoint, ConfigFile, ReadOptions, Speculator, VerifierConfig};

/// The head in the seeds was made for this one.
const VERIFIER: &str = r#"{
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4, "intermediate_size": 4,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "num_hidden_layers": 8, "vocab_size": 8,
    "max_position_embeddings": 64, "rms_norm_eps": 0.00001, "rope_theta": 10000.0, "hidden_act": "silu"
}"#;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = GgufFile::from_bytes("model.gguf", bytes.to_vec()) else {
        return;
    };
    for key in file.keys() {
        assert!(file.value_type(key).is_some());
        let value = file.value(key).expect("a value for each key");
        if let Value::Array(array) = value {
            assert_eq!(array.iter().count(), array.len());
        }
        let _ = (file.size(key), file.number(key), file.boolean(key));
        let _ = (file.text(key), file.sizes(key));
    }
    for name in file.names() {
        let tensor = file.tensor(name).expect("a tensor for each name");
        let elements: usize = tensor.shape.iter().product();
        assert_eq!(8 * tensor.data.len(), elements * tensor.dtype.bitsize());
    }

    let verifier = ConfigFile::from_text("verifier/config.json", VERIFIER.to_owned());
    let verifier = verifier.map(|config| VerifierConfig::from_config(&config, None));
    let Ok(Ok(verifier)) = verifier else {
        panic!("it is a verifier")
    };
    for (verifier, strict) in [(None, true), (Some(&verifier), false)] {
        let options = ReadOptions {
            strict,
            ..ReadOptions::default()
        };
        let Ok(checkpoint) = Checkpoint::gguf_in_memory("model.gguf", bytes.to_vec()) else {
            return;
        };
        for name in checkpoint.names() {
            // Some come in another order than they lie in the file, but never in another length.
            let length = checkpoint.tensor(name).map(|tensor| tensor.data.len());
            assert_eq!(length, file.tensor(name).map(|tensor| tensor.data.len()));
        }
        if let Ok(head) = Speculator::from_checkpoint(checkpoint, verifier, &options) {
            assert!(
                head.tensors()
                    .keys()
                    .all(|name| head.tensor(name).is_some())
            );
        }
    }
});
