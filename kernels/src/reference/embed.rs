use crate::{EmbeddingTable, Result, shape};

/// Looks up embeddings: `output[row] = table[ids[row]]`, `[rows, columns]`, exact.
///
/// # Errors
///
/// [`Error::Range`](crate::Error::Range) for an id beyond the table, [`Error::Shape`](crate::Error::Shape).
pub fn embed(table: &EmbeddingTable, ids: &[u32], output: &mut [f32]) -> Result<()> {
    const OPERATION: &str = "embed";
    let columns = table.columns();
    shape::equal(OPERATION, "output", ids.len() * columns, output.len())?;
    for id in ids {
        shape::below(OPERATION, "token id", table.rows(), *id as usize)?;
    }
    for (row, id) in ids.iter().enumerate() {
        let bytes = table.row(*id as usize);
        for column in 0..columns {
            output[row * columns + column] = table.weight_type().read(bytes, column);
        }
    }
    Ok(())
}
