//! Names of one tensor in the two layouts.

/// What canonical names begin with.
pub(super) const LAYER: &str = "mtp_layers.0.";

/// What native names begin with, after a prefix of the export.
pub(super) const NATIVE: &str = "mtp.";

/// Prefixes that wrappers put before native names.
const PREFIXES: [&str; 3] = ["model.", "language_model.", "module."];

/// Fused tensors of the experts, as they go on after the layer.
pub(super) const GATE_UP: &str = "mlp.experts.gate_up_proj";
/// The other one.
pub(super) const DOWN: &str = "mlp.experts.down_proj";

/// Native part → canonical part, for all that lies outside the decoder layer.
const RENAMED: [(&str, &str); 4] = [
    ("fc.", "input_proj."),
    ("norm.", "final_layernorm."),
    ("pre_fc_norm_hidden.", "hidden_layernorm."),
    ("pre_fc_norm_embedding.", "token_layernorm."),
];

/// The prefix of an export and the native name after it, if it is one.
pub(super) fn native_parts(name: &str) -> Option<(&str, &str)> {
    let bare = bare(name);
    bare.starts_with(NATIVE)
        .then(|| name.split_at(name.len() - bare.len()))
}

/// A name without wrappers' prefixes.
pub(super) fn bare(name: &str) -> &str {
    let mut bare = name;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| bare.strip_prefix(prefix)) {
        bare = rest;
    }
    bare
}

/// The canonical name of a native one; what is not known keeps its tail, and is found to belong to nothing.
pub(super) fn canonical(native: &str) -> String {
    let rest = native.strip_prefix(NATIVE).unwrap_or(native);
    if let Some(tail) = rest.strip_prefix("layers.0.") {
        return format!("{LAYER}{tail}");
    }
    for (native, canonical) in RENAMED {
        if let Some(tail) = rest.strip_prefix(native) {
            return format!("{LAYER}{canonical}{tail}");
        }
    }
    native.to_owned()
}

/// The native name of a canonical one.
#[cfg(test)]
pub(super) fn native(canonical: &str) -> String {
    let rest = canonical.strip_prefix(LAYER).unwrap_or(canonical);
    for (native, canonical) in RENAMED {
        if let Some(tail) = rest.strip_prefix(canonical) {
            return format!("{NATIVE}{native}{tail}");
        }
    }
    format!("{NATIVE}layers.0.{rest}")
}

/// The layer number in `layers.{n}.…`.
pub(super) fn layer_number(name: &str, before: &str) -> Option<usize> {
    let (number, _) = name.strip_prefix(before)?.split_once('.')?;
    number.parse().ok()
}

/// Whether a canonical name is that of one expert alone.
pub(super) fn is_split_expert(canonical: &str) -> bool {
    expert(canonical).is_some()
}

/// Number and matrix in the name of one expert alone: `(3, "up_proj")`.
pub(super) fn expert(canonical: &str) -> Option<(usize, &str)> {
    let rest = canonical
        .strip_prefix(LAYER)?
        .strip_prefix("mlp.experts.")?;
    let (number, part) = rest.split_once('.')?;
    Some((number.parse().ok()?, part.strip_suffix(".weight")?))
}

/// The names of the matrices that a fused tensor is made of, in its order; none for other tensors.
///
/// `gate_up_proj` has the rows of `gate_proj` and then of `up_proj` for each expert.
pub(super) fn split_experts(fused: &str, experts: usize) -> Vec<String> {
    let parts: &[&str] = match fused.strip_prefix(LAYER) {
        Some(GATE_UP) => &["gate_proj", "up_proj"],
        Some(DOWN) => &["down_proj"],
        _ => return Vec::new(),
    };
    (0..experts)
        .flat_map(|expert| {
            parts
                .iter()
                .map(move |part| format!("{LAYER}mlp.experts.{expert}.{part}.weight"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (there, back) in [
            ("mtp.fc.weight", "mtp_layers.0.input_proj.weight"),
            ("mtp.norm.weight", "mtp_layers.0.final_layernorm.weight"),
            (
                "mtp.pre_fc_norm_hidden.weight",
                "mtp_layers.0.hidden_layernorm.weight",
            ),
            (
                "mtp.pre_fc_norm_embedding.weight",
                "mtp_layers.0.token_layernorm.weight",
            ),
            (
                "mtp.layers.0.self_attn.q_norm.weight",
                "mtp_layers.0.self_attn.q_norm.weight",
            ),
            (
                "mtp.layers.0.mlp.experts.3.up_proj.weight",
                "mtp_layers.0.mlp.experts.3.up_proj.weight",
            ),
        ] {
            assert_eq!(canonical(there), back);
            assert_eq!(native(back), there);
        }
    }

    #[test]
    fn prefixes_are_told_apart_from_names() {
        assert_eq!(native_parts("mtp.fc.weight"), Some(("", "mtp.fc.weight")));
        assert_eq!(
            native_parts("model.language_model.mtp.fc.weight"),
            Some(("model.language_model.", "mtp.fc.weight"))
        );
        assert_eq!(native_parts("model.layers.0.mtp.fc.weight"), None);
        assert_eq!(native_parts("mtp_layers.0.input_proj.weight"), None);
    }

    #[test]
    fn a_fused_tensor_is_made_of_gate_and_up_in_turn() {
        let names = split_experts("mtp_layers.0.mlp.experts.gate_up_proj", 2);
        let ends: Vec<&str> = names.iter().map(|name| &name[25..]).collect();
        assert_eq!(
            ends,
            [
                "0.gate_proj.weight",
                "0.up_proj.weight",
                "1.gate_proj.weight",
                "1.up_proj.weight"
            ]
        );
        assert!(names.iter().all(|name| is_split_expert(name)));
        assert!(split_experts("mtp_layers.0.mlp.gate.weight", 2).is_empty());
    }
}
