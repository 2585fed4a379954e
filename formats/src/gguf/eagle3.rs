//! What llama.cpp calls the parts of an EAGLE-3 head: keys, tensor names, and the order of the rows that are rotated.
//!
//! llama.cpp rotates neighbouring channels of a head, checkpoints of transformers rotate channel `i` with channel
//! `i + head_dim / 2`. In a GGUF file the rows of q and k are therefore interleaved: row `i` of the first half of a head
//! and row `i` of the second follow each other.

/// `general.architecture` of a head.
pub(crate) const ARCHITECTURE: &str = "eagle3";
/// Rotary factors of Llama 3, one per pair of channels.
pub(crate) const ROPE_FACTORS: &str = "rope_freqs.weight";
/// Verifier token of each draft token.
pub(super) const TOKENS: &str = "d2t";
/// Token embedding.
pub(crate) const EMBEDDING: &str = "token_embd.weight";
/// Query projection.
pub(super) const QUERIES: &str = "blk.0.attn_q.weight";
/// Key projection.
pub(super) const KEYS: &str = "blk.0.attn_k.weight";
/// Verifier layers the head reads.
pub(super) const LAYERS: &str = "eagle3.target_layers";
/// What earlier builds called them.
pub(super) const LAYERS_EARLIER: &str = "eagle3.extract_layers";

/// Metadata of this tool, beside what llama.cpp reads: what a head says that llama.cpp has no key for.
pub(crate) mod own {
    /// Rotary parameters as JSON, where the file itself only has the factors that follow from them.
    pub const ROPE: &str = "speculators.rope_parameters";
    /// Draft tokens per step.
    pub const SPECULATIVE_TOKENS: &str = "speculators.speculative_tokens";
    /// Name of the verifier.
    pub const VERIFIER: &str = "speculators.verifier";
    /// Where the head came from and what was decided on the way, as JSON.
    pub const CONVERSION: &str = "speculators.conversion";
}

/// Canonical name and name in a GGUF file, in the order they are written.
pub(super) const NAMES: [(&str, &str); 17] = [
    ("embed_tokens.weight", EMBEDDING),
    ("fc.weight", "fc.weight"),
    ("input_norm.weight", "enc.output_norm.weight"),
    ("layers.0.input_layernorm.weight", "blk.0.attn_norm.weight"),
    ("layers.0.hidden_norm.weight", "blk.0.attn_norm_2.weight"),
    ("layers.0.self_attn.q_proj.weight", QUERIES),
    ("layers.0.self_attn.k_proj.weight", KEYS),
    ("layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight"),
    (
        "layers.0.self_attn.o_proj.weight",
        "blk.0.attn_output.weight",
    ),
    (
        "layers.0.post_attention_layernorm.weight",
        "blk.0.ffn_norm.weight",
    ),
    ("layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight"),
    ("layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight"),
    ("layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight"),
    ("norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
    ("d2t", TOKENS),
    ("rope_freqs", ROPE_FACTORS),
];

/// The name in a GGUF file of a canonical tensor.
pub(crate) fn stored_name(canonical: &str) -> Option<&'static str> {
    let found = NAMES.iter().find(|(name, _)| *name == canonical)?;
    Some(found.1)
}

/// The canonical name of a tensor of a GGUF file.
pub(crate) fn canonical(name: &str) -> Option<&'static str> {
    let found = NAMES.iter().find(|(_, gguf)| *gguf == name)?;
    Some(found.0)
}

/// Which row of a checkpoint each row of a GGUF file is.
pub(crate) fn interleaved(rows: usize, heads: usize) -> impl Iterator<Item = usize> {
    let width = rows.checked_div(heads).unwrap_or_default();
    let half = width / 2;
    (0..heads).flat_map(move |head| {
        (0..half).flat_map(move |pair| {
            let first = head * width + pair;
            [first, first + half]
        })
    })
}

/// The matrix of a checkpoint from that of a GGUF file; `None` where the rows do not make up whole heads.
pub(super) fn half_split(data: &[u8], rows: usize, heads: usize) -> Option<Vec<u8>> {
    let whole = heads > 0 && rows > 0 && rows.is_multiple_of(2 * heads);
    if !whole || !data.len().is_multiple_of(rows) {
        return None;
    }
    let row = data.len() / rows;
    if row == 0 {
        // Rows without bytes may be as many as a file likes to claim.
        return Some(Vec::new());
    }
    let mut result = vec![0; data.len()];
    for (from, to) in interleaved(rows, heads).enumerate() {
        let source = data.get(from * row..(from + 1) * row)?;
        result
            .get_mut(to * row..(to + 1) * row)?
            .copy_from_slice(source);
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_interleaved_within_their_head() {
        // Two heads of six channels: 0 1 2 | 3 4 5 become 0 3 1 4 2 5.
        let order: Vec<usize> = interleaved(12, 2).collect();
        assert_eq!(order, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    }

    #[test]
    fn the_two_orders_undo_each_other() {
        let checkpoint: Vec<u8> = (0..64).collect();
        let gguf: Vec<u8> = interleaved(16, 2)
            .flat_map(|row| checkpoint[4 * row..4 * row + 4].to_vec())
            .collect();
        assert_ne!(gguf, checkpoint);
        assert_eq!(half_split(&gguf, 16, 2).unwrap(), checkpoint);
        assert_eq!(half_split(&gguf, 16, 3), None);
        assert_eq!(half_split(&gguf, 0, 2), None);
    }

    #[test]
    fn rows_without_columns_are_not_counted_through() {
        assert_eq!(half_split(&[], 1 << 60, 2), Some(Vec::new()));
    }
}
