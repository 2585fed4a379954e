use crate::isa::{features, for_each_isa};
use crate::rows::for_each_row;
use crate::{EmbeddingTable, Isa, Result, WeightType, shape};

/// See [`reference::embed`](crate::reference::embed).
///
/// # Errors
///
/// The same.
pub fn embed(table: &EmbeddingTable, ids: &[u32], output: &mut [f32]) -> Result<()> {
    const OPERATION: &str = "embed";
    let columns = table.columns();
    shape::equal(OPERATION, "output", ids.len() * columns, output.len())?;
    for id in ids {
        shape::below(OPERATION, "token id", table.rows(), *id as usize)?;
    }
    let isa = features();
    for_each_row(output, columns, columns, |row, output| {
        widen(
            isa,
            table.weight_type(),
            table.row(ids[row] as usize),
            output,
        );
    });
    Ok(())
}

fn widen(isa: Isa, weight_type: WeightType, bytes: &[u8], output: &mut [f32]) {
    for_each_isa!(isa, widen_row(weight_type: WeightType, bytes: &[u8], output: &mut [f32]))
}

#[inline(always)]
fn widen_row(weight_type: WeightType, bytes: &[u8], output: &mut [f32]) {
    /// With the type a constant, so that the loop has no branch.
    #[inline(always)]
    fn read(weight_type: WeightType, bytes: &[u8], output: &mut [f32]) {
        let size = weight_type.size();
        for (number, result) in bytes.chunks_exact(size).zip(output) {
            *result = weight_type.read(number, 0);
        }
    }
    match weight_type {
        WeightType::F32 => read(WeightType::F32, bytes, output),
        WeightType::F16 => read(WeightType::F16, bytes, output),
        WeightType::Bf16 => read(WeightType::Bf16, bytes, output),
        WeightType::Int8 => read(WeightType::Int8, bytes, output),
    }
}
