//! The names of an EAGLE-1 head's tensors in the original release and in the Python package up to version 0.5.

/// The extra norms of the HASS variant: of the embedding, of the first layer's input, before the output matrix.
pub(super) const NORMS: [&str; 3] = ["embed_layernorm", "hidden_layernorm", "lm_head_layernorm"];

/// What the Python package calls a tensor → what the original release calls it.
pub(super) fn canonical(legacy: &str) -> String {
    for (from, to) in [
        ("fusion_fc.", "fc."),
        ("embedding_layernorm.", "embed_layernorm."),
        ("pre_lm_head_layernorm.", "lm_head_layernorm."),
        // The one norm of the layer that HASS keeps at the top.
        ("transformer.input_layernorm.", "hidden_layernorm."),
        ("transformer.", "layers.0."),
    ] {
        if let Some(rest) = legacy.strip_prefix(from) {
            return format!("{to}{rest}");
        }
    }
    legacy.to_owned()
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn names_of_the_python_package_become_those_of_the_release() {
        for (legacy, release) in [
            ("fusion_fc.bias", "fc.bias"),
            (
                "transformer.mlp.up_proj.weight",
                "layers.0.mlp.up_proj.weight",
            ),
            (
                "transformer.input_layernorm.weight",
                "hidden_layernorm.weight",
            ),
            ("embed_tokens.weight", "embed_tokens.weight"),
        ] {
            assert_eq!(canonical(legacy), release);
        }
    }
}
