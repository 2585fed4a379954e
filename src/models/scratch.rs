//! Buffers that passes of a model share, so that a token costs no allocation.

/// A buffer that keeps its memory from pass to pass.
#[derive(Debug, Default)]
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    /// The first `length` numbers, whatever was in them before.
    pub(crate) fn take(&mut self, length: usize) -> &mut [f32] {
        if self.0.len() < length {
            self.0.resize(length, 0.0);
        }
        &mut self.0[..length]
    }

    /// What was last written to the first `length` numbers.
    pub(crate) fn get(&self, length: usize) -> &[f32] {
        &self.0[..length]
    }
}

/// Buffers of one decoder layer; all layers of a model use the same.
#[derive(Debug, Default)]
pub(crate) struct LayerScratch {
    pub(crate) projected: Scratch, // [rows, (heads + 2 * kv_heads) * head_dim]
    pub(crate) unnormed: Scratch,  // [rows, heads * head_dim], before the norm of q and k
    pub(crate) queries: Scratch,   // [rows, heads, head_dim]
    pub(crate) keys: Scratch,      // [rows, kv_heads, head_dim]
    pub(crate) values: Scratch,    // [rows, kv_heads, head_dim]
    pub(crate) attended: Scratch,  // [rows, heads, head_dim]
    pub(crate) gate_up: Scratch,   // [rows, 2 * intermediate]
    pub(crate) activated: Scratch, // [rows, intermediate]
}
