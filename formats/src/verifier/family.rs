//! What a verifier's family takes for keys that its config does not write down.
//!
//! A config from the Hub states what differs from the defaults of its class, and version 4 of transformers stated even
//! less. These are the defaults of the classes in transformers 5 for keys that a head depends on. A family that is not
//! listed is read like any other, but has to write all of its keys down.

/// Channels per head where `head_dim` is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadDim {
    /// Width over query heads.
    Parted,
    /// This many.
    Fixed(usize),
    /// As many as another key says: the rotated part of latent attention.
    Key(&'static str),
}

/// Defaults of one family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    /// `model_type` of the decoder.
    pub name: &'static str,
    pub vocab_size: Option<usize>,
    pub num_attention_heads: Option<usize>,
    /// For an absent key; `None` is as many as query heads, as null is everywhere.
    pub num_key_value_heads: Option<usize>,
    pub head_dim: HeadDim,
    pub max_position_embeddings: usize,
    pub rms_norm_eps: f64,
    pub rope_theta: f64,
    pub partial_rotary_factor: Option<f64>,
}

/// Where most families agree.
const USUAL: Family = Family {
    name: "",
    vocab_size: None,
    num_attention_heads: None,
    num_key_value_heads: None,
    head_dim: HeadDim::Parted,
    max_position_embeddings: 32_768,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000.0,
    partial_rotary_factor: None,
};

const GEMMA: Family = Family {
    head_dim: HeadDim::Fixed(256),
    max_position_embeddings: 8192,
    ..USUAL
};

const QWEN3_5: Family = Family {
    head_dim: HeadDim::Fixed(256),
    partial_rotary_factor: Some(0.25),
    ..USUAL
};

const QWEN_VL: Family = Family {
    num_key_value_heads: Some(8),
    rms_norm_eps: 1e-5,
    rope_theta: 1_000_000.0,
    ..USUAL
};

const FAMILIES: &[Family] = &[
    Family {
        name: "llama",
        max_position_embeddings: 2048,
        ..USUAL
    },
    Family {
        name: "qwen2",
        num_key_value_heads: Some(32),
        ..USUAL
    },
    Family {
        name: "qwen2_moe",
        num_key_value_heads: Some(16),
        ..USUAL
    },
    Family {
        name: "qwen2_vl_text",
        ..QWEN_VL
    },
    Family {
        name: "qwen2_5_vl_text",
        ..QWEN_VL
    },
    Family {
        name: "qwen3",
        num_key_value_heads: Some(32),
        head_dim: HeadDim::Fixed(128),
        ..USUAL
    },
    Family {
        name: "qwen3_moe",
        num_key_value_heads: Some(4),
        ..USUAL
    },
    Family {
        name: "qwen3_vl_text",
        num_key_value_heads: Some(32),
        head_dim: HeadDim::Fixed(128),
        max_position_embeddings: 128_000,
        rope_theta: 500_000.0,
        ..USUAL
    },
    Family {
        name: "qwen3_vl_moe_text",
        num_key_value_heads: Some(16),
        max_position_embeddings: 128_000,
        rope_theta: 500_000.0,
        ..USUAL
    },
    Family {
        name: "qwen3_next",
        num_key_value_heads: Some(2),
        ..QWEN3_5
    },
    Family {
        name: "qwen3_5_text",
        num_key_value_heads: Some(4),
        ..QWEN3_5
    },
    Family {
        name: "qwen3_5_moe_text",
        num_key_value_heads: Some(2),
        ..QWEN3_5
    },
    Family {
        name: "mistral",
        num_key_value_heads: Some(8),
        max_position_embeddings: 131_072,
        ..USUAL
    },
    Family {
        name: "mixtral",
        num_key_value_heads: Some(8),
        max_position_embeddings: 131_072,
        rms_norm_eps: 1e-5,
        rope_theta: 1_000_000.0,
        ..USUAL
    },
    Family {
        name: "gemma",
        num_key_value_heads: Some(16),
        ..GEMMA
    },
    Family {
        name: "gemma2",
        num_key_value_heads: Some(4),
        ..GEMMA
    },
    // The towers of multimodal checkpoints of this family leave out most of their keys.
    Family {
        name: "gemma3_text",
        vocab_size: Some(262_208),
        num_attention_heads: Some(8),
        num_key_value_heads: Some(4),
        max_position_embeddings: 131_072,
        ..GEMMA
    },
    Family {
        name: "phi3",
        max_position_embeddings: 4096,
        rms_norm_eps: 1e-5,
        ..USUAL
    },
    Family {
        name: "gpt_oss",
        num_key_value_heads: Some(8),
        head_dim: HeadDim::Fixed(64),
        max_position_embeddings: 131_072,
        rms_norm_eps: 1e-5,
        rope_theta: 150_000.0,
        ..USUAL
    },
    Family {
        name: "glm4",
        num_key_value_heads: Some(2),
        head_dim: HeadDim::Fixed(128),
        max_position_embeddings: 131_072,
        rms_norm_eps: 1.562_5e-7,
        partial_rotary_factor: Some(0.5),
        ..USUAL
    },
    Family {
        name: "smollm3",
        num_key_value_heads: Some(4),
        max_position_embeddings: 32_768,
        rms_norm_eps: 1e-6,
        rope_theta: 2_000_000.0,
        ..USUAL
    },
    Family {
        name: "phimoe",
        num_key_value_heads: Some(8),
        max_position_embeddings: 131_072,
        rms_norm_eps: 1e-5,
        rope_theta: 1_000_000.0,
        ..USUAL
    },
    Family {
        name: "glm4_moe",
        num_key_value_heads: Some(8),
        max_position_embeddings: 131_072,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        partial_rotary_factor: Some(0.5),
        ..USUAL
    },
    Family {
        name: "llama4_text",
        num_key_value_heads: Some(8),
        head_dim: HeadDim::Fixed(128),
        max_position_embeddings: 131_072,
        rms_norm_eps: 1e-5,
        rope_theta: 500_000.0,
        ..USUAL
    },
    Family {
        name: "minimax_m2",
        num_key_value_heads: Some(8),
        head_dim: HeadDim::Fixed(128),
        max_position_embeddings: 196_608,
        rms_norm_eps: 1e-6,
        rope_theta: 5_000_000.0,
        ..USUAL
    },
    Family {
        name: "ernie4_5",
        num_key_value_heads: Some(2),
        head_dim: HeadDim::Fixed(128),
        max_position_embeddings: 131_072,
        rms_norm_eps: 1e-5,
        rope_theta: 500_000.0,
        ..USUAL
    },
    Family {
        name: "ernie4_5_moe",
        num_key_value_heads: Some(4),
        max_position_embeddings: 131_072,
        rms_norm_eps: 1e-5,
        rope_theta: 500_000.0,
        ..USUAL
    },
    Family {
        name: "deepseek_v3",
        head_dim: HeadDim::Key("qk_rope_head_dim"),
        max_position_embeddings: 4096,
        ..USUAL
    },
];

impl Family {
    /// The defaults of a family, if it is known.
    pub fn of(name: &str) -> Option<&'static Family> {
        FAMILIES.iter().find(|family| family.name == name)
    }
}
