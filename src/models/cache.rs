//! Keys and values of every layer of a model for one sequence.

use speculators_kernels::{KvCache, cpu};

use super::precision::Precision;
use crate::Result;

/// Keys and values of every layer of a model for one sequence. Slot `i` holds the token at position `i`.
#[derive(Clone, Debug)]
pub struct Cache {
    layers: Vec<KvCache>,
}

impl Cache {
    pub(crate) fn new(
        precision: Precision,
        layers: usize,
        kv_heads: usize,
        head_dim: usize,
        capacity: usize,
    ) -> Result<Cache> {
        let layers = (0..layers)
            .map(|_| KvCache::new(precision.weight_type(), kv_heads, head_dim, capacity))
            .collect::<std::result::Result<_, _>>()?;
        Ok(Cache { layers })
    }

    /// Slots in use, the same for every layer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, KvCache::len)
    }

    /// Whether no slot is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the slots from `length` on.
    pub fn truncate(&mut self, length: usize) {
        for layer in &mut self.layers {
            layer.truncate(length);
        }
    }

    /// Of the slots from `base` on keeps those of `path` (ascending, counted from `base`), moved together.
    ///
    /// # Errors
    ///
    /// When `path` does not ascend or leads outside the cache.
    pub fn compact(&mut self, base: usize, path: &[usize]) -> Result<()> {
        // A chain is accepted from its start: then the slots lie where they have to.
        if path.iter().enumerate().all(|(index, node)| index == *node)
            && base + path.len() <= self.len()
        {
            self.truncate(base + path.len());
            return Ok(());
        }
        for layer in &mut self.layers {
            cpu::kv_compact(layer, base, path)?;
        }
        Ok(())
    }

    /// One layer's keys and values.
    #[must_use]
    pub fn layer(&self, index: usize) -> &KvCache {
        &self.layers[index]
    }

    /// Number of layers.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    pub(crate) fn layer_mut(&mut self, index: usize) -> &mut KvCache {
        &mut self.layers[index]
    }
}
