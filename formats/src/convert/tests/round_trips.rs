//! Generated heads, with every feature the speculators layout can say: through each other layout and back they come out
//! byte for byte, or are refused on the way.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::head::{DraftLayer, HeadDescription};
use crate::options::ReadOptions;
use crate::rope::{Rope, RopeScaling};
use crate::speculator::Algorithm;
use crate::verifier::{FloatType, HiddenAct};

/// Verifier layers in `verifier_config`.
const LAYERS: usize = 8;

fn rope() -> impl Strategy<Value = Rope> {
    let scaling = prop_oneof![
        3 => Just(RopeScaling::Default),
        1 => Just(RopeScaling::Linear { factor: 2.0 }),
        1 => Just(RopeScaling::Dynamic { factor: 4.0, original_max_position_embeddings: None }),
        1 => Just(RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 32,
        }),
        1 => Just(RopeScaling::Yarn {
            factor: 4.0,
            original_max_position_embeddings: Some(64),
            beta_fast: 32.0,
            beta_slow: 1.0,
            attention_factor: None,
            mscale: None,
            mscale_all_dim: None,
            truncate: true,
        }),
    ];
    (prop_oneof![Just(10_000.0), Just(500_000.0)], scaling).prop_map(|(theta, scaling)| Rope {
        theta,
        scaling,
        partial_rotary_factor: 1.0,
    })
}

/// Auxiliary layers: half of the time the default ones, which are all the original release can say.
fn aux_layers() -> impl Strategy<Value = Vec<usize>> {
    let any = prop::collection::btree_set(0..=LAYERS, 1..=4)
        .prop_map(|ids| ids.into_iter().collect::<Vec<_>>());
    prop_oneof![Just(vec![2, 4, 5]), any]
}

pub(super) fn head() -> impl Strategy<Value = HeadDescription> {
    // The unusual is made rare, or no generated head would have nothing unusual.
    let rare = || prop::bool::weighted(0.1);
    let sizes = (
        prop_oneof![Just(16_usize), Just(24)],
        prop_oneof![Just(2_usize), Just(4)],
        1..=2_usize,
    );
    let norms = (rare(), 0..4_usize, rare(), rare(), rare());
    let kinds = (rare(), rare(), rare(), rare(), any::<bool>());
    (
        sizes,
        norms,
        kinds,
        rope(),
        aux_layers(),
        prop_oneof![Just(8_usize), Just(VOCABULARY)],
        0..3_usize,
    )
        .prop_map(
            |(sizes, norms, kinds, rope, aux_layer_ids, draft_vocab_size, dtype)| {
                let (hidden_size, num_attention_heads, groups) = sizes;
                let (norm_before_residual, before, norm_output, attention_bias, mlp_bias) = norms;
                let (parallel, qwen3, two, slides, own_embeddings) = kinds;
                let layers = if two { 2 } else { 1 };
                HeadDescription {
                    algorithm: if parallel {
                        Algorithm::PEagle
                    } else {
                        Algorithm::Eagle3
                    },
                    mask_token_id: parallel.then_some(9),
                    draft_layer: if qwen3 {
                        DraftLayer::Qwen3
                    } else {
                        DraftLayer::Llama
                    },
                    num_hidden_layers: layers,
                    hidden_size,
                    target_hidden_size: HIDDEN,
                    intermediate_size: 24,
                    num_attention_heads,
                    num_key_value_heads: num_attention_heads / groups,
                    head_dim: if hidden_size == HIDDEN && !qwen3 {
                        HIDDEN / num_attention_heads
                    } else {
                        4
                    },
                    vocab_size: VOCABULARY,
                    draft_vocab_size,
                    rms_norm_eps: 1e-5,
                    rope,
                    rope_axes: None,
                    max_position_embeddings: 512,
                    hidden_act: HiddenAct::Silu,
                    attention_bias,
                    mlp_bias: mlp_bias && !qwen3,
                    fc_bias: false,
                    sliding_window: vec![slides.then_some(32); layers],
                    aux_layer_ids,
                    norm_before_residual,
                    norm_before_fc: before == 1,
                    fc_norm: before == 2,
                    norm_output,
                    own_embeddings: own_embeddings || hidden_size != HIDDEN,
                    dtype: [FloatType::Bfloat16, FloatType::Float16, FloatType::Float32][dtype],
                    speculative_tokens: 4,
                }
            },
        )
}

fn config(head: &HeadDescription) -> Value {
    let qwen3 = head.draft_layer == DraftLayer::Qwen3;
    let kinds: Vec<&str> = head
        .sliding_window
        .iter()
        .map(|window| {
            if window.is_some() {
                "sliding_attention"
            } else {
                "full_attention"
            }
        })
        .collect();
    json!({
        "draft_vocab_size": head.draft_vocab_size, "dtype": config::dtype(head.dtype),
        "eagle_aux_hidden_state_layer_ids": head.aux_layer_ids, "fc_norm": head.fc_norm,
        "mask_token_id": head.mask_token_id, "norm_before_fc": head.norm_before_fc,
        "norm_before_residual": head.norm_before_residual, "norm_output": head.norm_output,
        "speculators_config": {
            "algorithm": head.algorithm.as_str(), "default_proposal_method": "greedy",
            "proposal_methods": [{"proposal_type": "greedy", "speculative_tokens": head.speculative_tokens}],
            "verifier": {"architectures": ["LlamaForCausalLM"], "name_or_path": "tiny"}
        },
        "speculators_model_type": head.algorithm.as_str(), "target_hidden_size": head.target_hidden_size,
        "transformer_layer_config": {
            "attention_bias": head.attention_bias, "head_dim": head.head_dim, "hidden_act": "silu",
            "hidden_size": head.hidden_size, "intermediate_size": head.intermediate_size, "layer_types": kinds,
            "max_position_embeddings": head.max_position_embeddings, "mlp_bias": head.mlp_bias,
            "model_type": if qwen3 { "qwen3" } else { "llama" }, "num_attention_heads": head.num_attention_heads,
            "num_hidden_layers": head.num_hidden_layers, "num_key_value_heads": head.num_key_value_heads,
            "rms_norm_eps": head.rms_norm_eps, "rope_parameters": head.rope.to_parameters(),
            "sliding_window": head.sliding_window[0], "vocab_size": head.vocab_size
        }
    })
}

pub(super) fn written(head: &HeadDescription) -> TinyHead {
    let mut tiny = TinyHead {
        config: config(head),
        tensors: BTreeMap::new(),
    };
    let dtype = super::super::plan::stored(head.dtype);
    for (position, tensor) in head
        .expected_tensors(head.aux_layer_ids.len())
        .into_iter()
        .enumerate()
    {
        let count = tensor.shape.iter().product::<usize>() * dtype.bitsize() / 8;
        // Small positive finite numbers in each of the dtypes.
        let bytes = (0..count)
            .map(|at| ((at * 7 + position * 13) % 50) as u8)
            .collect();
        tiny.put(&tensor.name, dtype, &tensor.shape, bytes);
    }
    if head.draft_vocab_size < VOCABULARY {
        let targets: Vec<i64> = (0..head.draft_vocab_size as i64)
            .map(|draft| 3 * draft + 5)
            .collect();
        tiny.d2t(
            &targets
                .iter()
                .zip(0..)
                .map(|(target, draft)| target - draft)
                .collect::<Vec<_>>(),
        );
        let members = (0..VOCABULARY as i64)
            .map(|token| u8::from(targets.contains(&token)))
            .collect();
        tiny.put("t2d", Dtype::BOOL, &[VOCABULARY], members);
    }
    tiny
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_head_returns_from_any_layout_as_it_was_or_is_refused(head in head()) {
        let scratch = Scratch::new();
        scratch.write("verifier/config.json", verifier_config().to_string().as_bytes());
        let source = written(&head).write(&scratch, "source");
        let convert = |from: PathBuf, target: Target, name: &str| {
            let request = ConvertRequest {
                target,
                options: ReadOptions { strict: true, ..ReadOptions::default() },
                ..ConvertRequest::new(from, scratch.path("verifier"), scratch.path(name))
            };
            plan(&request).map(|plan| plan.write(&mut |_, _| ()).unwrap())
        };
        let first = convert(source, Target::Speculators, "first").unwrap();
        prop_assert_eq!(first.description.head(), Some(&head));
        let weights = |name: &str| fs_err::read(scratch.path(name).join("model.safetensors")).unwrap();
        for target in [Target::Eagle, Target::SpecForge, Target::SgLang] {
            match convert(scratch.path("first"), target, &format!("as-{target}")) {
                Ok(there) => {
                    let back = convert(there.output, Target::Speculators, &format!("from-{target}"));
                    prop_assert_eq!(&back.unwrap().description, &first.description);
                    prop_assert_eq!(weights(&format!("from-{target}")), weights("first"));
                }
                Err(found) => {
                    prop_assert!(found.iter().all(|problem| problem.code == codes::NOT_REPRESENTABLE), "{found:?}");
                    // What every layout can say is refused by none.
                    let plain = head.algorithm == Algorithm::Eagle3 && head.draft_layer == DraftLayer::Llama
                        && !head.norm_before_residual && !head.norm_before_fc && !head.attention_bias
                        && !head.mlp_bias && head.num_hidden_layers == 1 && head.sliding_window == [None]
                        && !head.aux_layer_ids.contains(&0);
                    prop_assert!(!plain || target == Target::Eagle, "{target}: {found:?}");
                }
            }
        }
    }
}
