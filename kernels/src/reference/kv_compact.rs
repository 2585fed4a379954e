use crate::{Error, KvCache, Result, shape};

/// Keeps the accepted path of a tree: slot `base + path[j]` moves to slot `base + j`, and the cache ends after them.
///
/// `path` ascends. It should begin with 0 when `base` is the slot of the root. Positions follow the depth in a tree,
/// so keys need no new rotation. Going upwards, no slot is overwritten before it was moved, because
/// `path[j] >= j`.
///
/// # Errors
///
/// [`Error::Order`] when `path` does not ascend, [`Error::Range`] when it leaves the cache.
pub fn kv_compact(cache: &mut KvCache, base: usize, path: &[usize]) -> Result<()> {
    const OPERATION: &str = "kv_compact";
    shape::below(OPERATION, "base", cache.len() + 1, base)?;
    for (index, node) in path.iter().enumerate() {
        shape::below(OPERATION, "node of the path", cache.len() - base, *node)?;
        if index > 0 && path[index - 1] >= *node {
            return Err(Error::Order {
                operation: OPERATION,
                what: "path",
                index,
                previous: path[index - 1],
                found: *node,
            });
        }
    }
    for (to, from) in path.iter().enumerate() {
        if from != &to {
            cache.copy_slot(base + from, base + to);
        }
    }
    cache.truncate(base + path.len());
    Ok(())
}
