//! candle-transformers' own Llama, which shares nothing with this engine, decodes the fixture prompts plainly in
//! single precision: the tokens must be the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::llama::{Cache, Config, Llama, LlamaConfig};
use serde_json::Value;
use speculators::decoding::{Limits, generate};
use speculators::models::{Precision, Verifier};

const NEW_TOKENS: usize = 48;

/// The config as candle reads it. It knows nothing of `rope_parameters` and would silently take a `rope_theta` of
/// 10000, whatever the checkpoint says.
fn config(directory: &Path) -> Config {
    let text = fs_err::read_to_string(directory.join("config.json")).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["rope_theta"] = value["rope_parameters"]["rope_theta"].clone();
    serde_json::from_value::<LlamaConfig>(value)
        .unwrap()
        .into_config(false)
}

fn decode(
    model: &Llama,
    config: &Config,
    prompt: &[u32],
    end: &[u32],
    device: &Device,
) -> Vec<u32> {
    let mut cache = Cache::new(true, DType::F32, config, device).unwrap();
    let mut tokens = prompt.to_vec();
    let mut seen = 0;
    while tokens.len() < prompt.len() + NEW_TOKENS {
        let input = Tensor::new(&tokens[seen..], device)
            .unwrap()
            .unsqueeze(0)
            .unwrap();
        let logits = model.forward(&input, seen, &mut cache).unwrap();
        let logits: Vec<f32> = logits.squeeze(0).unwrap().to_vec1().unwrap();
        seen = tokens.len();
        let best =
            (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]).then(b.cmp(a)));
        tokens.push(best.unwrap() as u32);
        if tokens.last().is_some_and(|token| end.contains(token)) {
            break;
        }
    }
    tokens.split_off(prompt.len())
}

#[test]
fn candle_decodes_the_same_tokens() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let directory = fixtures.join("verifier");
    let verifier = Verifier::load_as(&directory, Precision::Float32).unwrap();
    let limits = Limits::new(&verifier, NEW_TOKENS);

    let (config, device) = (config(&directory), Device::Cpu);
    // SAFETY: nothing changes the fixture while the test runs.
    let weights = unsafe {
        VarBuilder::from_mmaped_safetensors(
            &[directory.join("model.safetensors")],
            DType::F32,
            &device,
        )
    };
    let model = Llama::load(weights.unwrap(), &config).unwrap();

    let golden = fs_err::read_to_string(fixtures.join("golden/greedy.jsonl")).unwrap();
    let mut tokens = 0;
    for line in golden.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let prompt: Vec<u32> = serde_json::from_value(line["prompt_token_ids"].clone()).unwrap();
        let theirs = decode(&model, &config, &prompt, &limits.end_token_ids, &device);
        let ours = generate(&verifier, &prompt, &limits, &AtomicBool::new(false)).unwrap();
        assert_eq!(ours.output_token_ids, theirs, "{}", line["id"]);
        tokens += theirs.len();
    }
    assert!(tokens > 200, "only {tokens} tokens were compared");
}
