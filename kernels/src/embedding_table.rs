//! Token embeddings.

use crate::memory::Buffer;
use crate::{Error, Result, WeightType, shape};

/// Embeddings `[rows, columns]`, one row per token, row-major in the dtype of the checkpoint.
#[derive(Debug)]
pub struct EmbeddingTable {
    weight_type: WeightType,
    rows: usize,
    columns: usize,
    data: Buffer,
}

impl EmbeddingTable {
    /// Copies a row-major little-endian table.
    ///
    /// # Errors
    ///
    /// [`Error::Multiple`] when `bytes` is not a whole number of rows, [`Error::Storage`] for `Int8`,
    /// [`Error::Memory`].
    pub fn new(weight_type: WeightType, columns: usize, bytes: &[u8]) -> Result<EmbeddingTable> {
        const OPERATION: &str = "EmbeddingTable::new";
        if weight_type == WeightType::Int8 {
            return Err(Error::Storage {
                operation: OPERATION,
                expected: "F32, F16 and Bf16",
                found: weight_type,
            });
        }
        let rows = shape::rows(
            OPERATION,
            "bytes of the table",
            columns * weight_type.size(),
            bytes.len(),
        )?;
        let mut data = Buffer::zeroed(bytes.len())?;
        data.bytes_mut().copy_from_slice(bytes);
        Ok(EmbeddingTable {
            weight_type,
            rows,
            columns,
            data,
        })
    }

    /// Number of tokens.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Width of an embedding.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How the embeddings are stored.
    #[must_use]
    pub fn weight_type(&self) -> WeightType {
        self.weight_type
    }

    /// Memory taken by the table.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.bytes().len()
    }

    /// The bytes of one row; `id` must be below [`EmbeddingTable::rows`].
    pub(crate) fn row(&self, id: usize) -> &[u8] {
        let row = self.columns * self.weight_type.size();
        &self.data.bytes()[id * row..(id + 1) * row]
    }
}
