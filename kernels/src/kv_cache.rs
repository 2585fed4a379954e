//! Keys and values of one layer for one sequence.

use crate::lanes::{LANES, Lanes};
use crate::numbers::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use crate::{Error, Result, WeightType, shape};

/// Slots per block: as many scores as are computed side by side.
pub(crate) const BLOCK: usize = LANES;

/// Keys and values of one layer for one sequence, one slot per token, stored as `F32`, `Bf16` or `F16`.
///
/// Slots are kept in blocks of 16. Keys lie as `[blocks][kv_heads][head_dim][16]`, so that the scores of sixteen
/// slots are computed side by side without adding up a register across its lanes; values as
/// `[blocks][kv_heads][16][head_dim]`.
#[derive(Debug, Clone)]
pub struct KvCache {
    kv_heads: usize,
    head_dim: usize,
    length: usize,
    planes: Planes,
}

/// The numbers of a cache, by how they are stored.
#[derive(Debug, Clone)]
pub(crate) enum Planes {
    F32(Plane<f32>),
    Bf16(Plane<Bf16>),
    F16(Plane<F16>),
}

/// Calls a generic body with the plane of a cache, whatever its type.
macro_rules! with_plane {
    ($planes:expr, $plane:ident => $body:expr) => {
        match $planes {
            $crate::kv_cache::Planes::F32($plane) => $body,
            $crate::kv_cache::Planes::Bf16($plane) => $body,
            $crate::kv_cache::Planes::F16($plane) => $body,
        }
    };
}
pub(crate) use with_plane;

/// Keys and values in the layout that [`KvCache`] describes.
#[derive(Debug, Clone)]
pub(crate) struct Plane<E> {
    pub(crate) keys: Vec<E>,
    pub(crate) values: Vec<E>,
}

/// A number as it is stored.
pub(crate) trait Element: Copy + Default + Send + Sync {
    fn widen(self) -> f32;
    fn narrow(x: f32) -> Self;
    fn load<V: Lanes>(values: &[Self; LANES]) -> V;
}

impl Element for f32 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
    #[inline(always)]
    fn narrow(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn load<V: Lanes>(values: &[Self; LANES]) -> V {
        V::load(values)
    }
}

/// The bits of a bfloat16.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bf16(u16);

impl Element for Bf16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        bf16_to_f32(self.0)
    }
    #[inline(always)]
    fn narrow(x: f32) -> Bf16 {
        Bf16(f32_to_bf16(x))
    }
    #[inline(always)]
    fn load<V: Lanes>(values: &[Self; LANES]) -> V {
        V::load_bf16(&values.map(|x| x.0))
    }
}

/// The bits of a half-precision number.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct F16(u16);

impl Element for F16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        f16_to_f32(self.0)
    }
    #[inline(always)]
    fn narrow(x: f32) -> F16 {
        F16(f32_to_f16(x))
    }
    #[inline(always)]
    fn load<V: Lanes>(values: &[Self; LANES]) -> V {
        V::load_f16(&values.map(|x| x.0))
    }
}

impl KvCache {
    /// An empty cache with room for `capacity` slots; it grows when more are appended.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] for `Int8`.
    pub fn new(
        storage: WeightType,
        kv_heads: usize,
        head_dim: usize,
        capacity: usize,
    ) -> Result<KvCache> {
        let planes = match storage {
            WeightType::F32 => Planes::F32(Plane {
                keys: Vec::new(),
                values: Vec::new(),
            }),
            WeightType::Bf16 => Planes::Bf16(Plane {
                keys: Vec::new(),
                values: Vec::new(),
            }),
            WeightType::F16 => Planes::F16(Plane {
                keys: Vec::new(),
                values: Vec::new(),
            }),
            WeightType::Int8 => {
                return Err(Error::Storage {
                    operation: "KvCache::new",
                    expected: "F32, F16 and Bf16",
                    found: storage,
                });
            }
        };
        let mut cache = KvCache {
            kv_heads,
            head_dim,
            length: 0,
            planes,
        };
        cache.reserve(capacity);
        Ok(cache)
    }

    /// Makes room for `capacity` slots in all.
    fn reserve(&mut self, capacity: usize) {
        fn resize<E: Element>(plane: &mut Plane<E>, length: usize) {
            plane.keys.resize(length, E::default());
            plane.values.resize(length, E::default());
        }
        if capacity > self.capacity() {
            let length = capacity.div_ceil(BLOCK) * BLOCK * self.width();
            with_plane!(&mut self.planes, plane => resize(plane, length));
        }
    }

    /// Slots in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether no slot is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Slots there is room for without growing.
    #[must_use]
    pub fn capacity(&self) -> usize {
        with_plane!(&self.planes, plane => plane.keys.len()) / self.width().max(1)
    }

    /// Heads of keys and of values.
    #[must_use]
    pub fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Width of a head.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Memory taken by keys and values, free slots included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        with_plane!(&self.planes, plane => size_of_val(&*plane.keys) + size_of_val(&*plane.values))
    }

    /// Forgets the slots from `length` on; no effect when there are fewer.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Appends slots: keys and values `[rows, kv_heads, head_dim]`, rounded to the storage type.
    ///
    /// # Errors
    ///
    /// [`Error::Multiple`], [`Error::Shape`].
    pub fn append(&mut self, keys: &[f32], values: &[f32]) -> Result<()> {
        const OPERATION: &str = "KvCache::append";
        let rows = shape::rows(OPERATION, "keys", self.width(), keys.len())?;
        shape::equal(OPERATION, "values", keys.len(), values.len())?;
        if self.length + rows > self.capacity() {
            self.reserve((self.length + rows).max(2 * self.capacity()));
        }
        let (first, at) = (self.length, self.layout());
        with_plane!(&mut self.planes, plane => write(plane, at, first, keys, values));
        self.length += rows;
        Ok(())
    }

    /// The key of a slot for one head; for tests and inspection.
    ///
    /// # Panics
    ///
    /// When `slot` or `head` is out of range.
    #[must_use]
    pub fn key(&self, slot: usize, head: usize) -> Vec<f32> {
        assert!(
            slot < self.length && head < self.kv_heads,
            "slot {slot}, head {head}"
        );
        let at = self.layout();
        with_plane!(&self.planes, plane =>
            (0..self.head_dim).map(|d| plane.keys[at.key(slot, head, d)].widen()).collect())
    }

    /// The value of a slot for one head; for tests and inspection.
    ///
    /// # Panics
    ///
    /// When `slot` or `head` is out of range.
    #[must_use]
    pub fn value(&self, slot: usize, head: usize) -> Vec<f32> {
        assert!(
            slot < self.length && head < self.kv_heads,
            "slot {slot}, head {head}"
        );
        let at = self.layout();
        with_plane!(&self.planes, plane =>
            (0..self.head_dim).map(|d| plane.values[at.value(slot, head, d)].widen()).collect())
    }

    /// Copies slot `from` over slot `to`.
    pub(crate) fn copy_slot(&mut self, from: usize, to: usize) {
        fn copy<E: Element>(plane: &mut Plane<E>, at: At, from: usize, to: usize) {
            for head in 0..at.kv_heads {
                for d in 0..at.head_dim {
                    plane.keys[at.key(to, head, d)] = plane.keys[at.key(from, head, d)];
                    plane.values[at.value(to, head, d)] = plane.values[at.value(from, head, d)];
                }
            }
        }
        let at = self.layout();
        with_plane!(&mut self.planes, plane => copy(plane, at, from, to));
    }

    /// Numbers per slot of the keys, and as many of the values.
    fn width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    pub(crate) fn layout(&self) -> At {
        At {
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
        }
    }

    pub(crate) fn planes(&self) -> &Planes {
        &self.planes
    }
}

/// Where in a plane a number is.
#[derive(Clone, Copy)]
pub(crate) struct At {
    kv_heads: usize,
    head_dim: usize,
}

impl At {
    /// The start of a block of one head, in keys as in values.
    #[inline(always)]
    pub(crate) fn block(self, block: usize, head: usize) -> usize {
        (block * self.kv_heads + head) * self.head_dim * BLOCK
    }

    #[inline(always)]
    fn key(self, slot: usize, head: usize, d: usize) -> usize {
        self.block(slot / BLOCK, head) + d * BLOCK + slot % BLOCK
    }

    #[inline(always)]
    fn value(self, slot: usize, head: usize, d: usize) -> usize {
        self.block(slot / BLOCK, head) + slot % BLOCK * self.head_dim + d
    }
}

fn write<E: Element>(plane: &mut Plane<E>, at: At, first: usize, keys: &[f32], values: &[f32]) {
    let width = at.kv_heads * at.head_dim;
    for (row, (keys, values)) in keys
        .chunks_exact(width)
        .zip(values.chunks_exact(width))
        .enumerate()
    {
        let slot = first + row;
        for head in 0..at.kv_heads {
            for d in 0..at.head_dim {
                let from = head * at.head_dim + d;
                plane.keys[at.key(slot, head, d)] = E::narrow(keys[from]);
                plane.values[at.value(slot, head, d)] = E::narrow(values[from]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_keeps_what_was_appended() {
        let mut cache = KvCache::new(WeightType::F32, 2, 3, 1).unwrap();
        let keys: Vec<f32> = (0..40 * 6).map(|i| i as f32).collect();
        let values: Vec<f32> = keys.iter().map(|x| -x).collect();
        cache.append(&keys[..6], &values[..6]).unwrap();
        cache.append(&keys[6..], &values[6..]).unwrap();
        assert_eq!(cache.len(), 40);
        assert_eq!(cache.key(39, 1), [237.0, 238.0, 239.0]);
        assert_eq!(cache.value(17, 0), [-102.0, -103.0, -104.0]);
        cache.truncate(3);
        assert_eq!(cache.len(), 3);
        cache.truncate(5);
        assert_eq!(cache.len(), 3);
    }

    #[test]
    fn rounds_to_its_storage_type() {
        let mut cache = KvCache::new(WeightType::Bf16, 1, 2, 0).unwrap();
        cache.append(&[1.001, 3.0], &[0.1, 0.2]).unwrap();
        assert_eq!(cache.key(0, 0), [1.0, 3.0]);
        assert_eq!(cache.value(0, 0), [0.100_097_656, 0.200_195_31]);
        assert!(KvCache::new(WeightType::Int8, 1, 2, 0).is_err());
    }
}
