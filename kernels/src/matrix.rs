//! The weights of a linear layer, repacked once so that every kernel reads them in one stream.

use rayon::prelude::*;

use crate::memory::Buffer;
use crate::{Error, Result, WeightType, shape};

/// Outputs per panel: one 512-bit register of `f32` sums.
pub const PANEL: usize = 16;

/// The inputs of a panel are padded with zeros to a multiple of this: kernels take two pairs of inputs at a time.
const INPUT_STEP: usize = 4;

/// Weights `[outputs, inputs]` of a linear layer in panels of [`PANEL`] outputs.
///
/// Within a panel the layout is `[inputs][16]`, for bfloat16 `[inputs / 2][16][2]`: a pair of neighbouring inputs of
/// one output makes one 32-bit word, which is what the bfloat16 dot product takes. Inputs are padded with zeros to a
/// multiple of 4 and outputs to a multiple of 16. Panels follow each other without gaps, in huge pages.
#[derive(Debug)]
pub struct Matrix {
    weight_type: WeightType,
    inputs: usize,
    outputs: usize,
    data: Buffer,
    /// One per output, padded to whole panels; empty unless the weights are `Int8`.
    scales: Vec<f32>,
}

impl Matrix {
    /// Packs row-major little-endian weights. `parts` are `[outputs_i, inputs]` each and are stacked along the
    /// outputs, so that q, k and v, or gate and up, become one matrix.
    ///
    /// # Errors
    ///
    /// [`Error::Multiple`] when a part is not a whole number of rows, [`Error::Storage`] for `Int8` (integers need
    /// scales: [`Matrix::quantize_int8`]), [`Error::Memory`].
    pub fn pack(weight_type: WeightType, inputs: usize, parts: &[&[u8]]) -> Result<Matrix> {
        let rows = rows_of("Matrix::pack", weight_type, inputs, parts)?;
        let outputs = rows.len();
        let mut matrix = Matrix::empty(weight_type, inputs, outputs)?;
        matrix.fill(|panel, output, lane| match weight_type {
            WeightType::Bf16 => interleave(panel, rows[output], lane),
            WeightType::F16 => spread::<2>(panel, rows[output], lane),
            _ => spread::<4>(panel, rows[output], lane),
        });
        Ok(matrix)
    }

    /// Packs weights of any float type as integers of 8 bits: `w ≈ scale * q` with one scale per output,
    /// `scale = max |w| / 127` and `q` rounded to the nearest, ties to even.
    ///
    /// # Errors
    ///
    /// As for [`Matrix::pack`].
    pub fn quantize_int8(source: WeightType, inputs: usize, parts: &[&[u8]]) -> Result<Matrix> {
        let rows = rows_of("Matrix::quantize_int8", source, inputs, parts)?;
        let outputs = rows.len();
        let mut matrix = Matrix::empty(WeightType::Int8, inputs, outputs)?;
        matrix.scales = vec![0.0; outputs.next_multiple_of(PANEL)];
        for (scale, row) in matrix.scales.iter_mut().zip(&rows) {
            let largest = (0..inputs).fold(0.0, |m: f32, i| m.max(source.read(row, i).abs()));
            *scale = largest / 127.0;
        }
        let scales = std::mem::take(&mut matrix.scales);
        matrix.fill(|panel, output, lane| {
            for input in 0..inputs {
                let scaled = source.read(rows[output], input) / scales[output];
                // A row of zeros has scale 0; 0 / 0 is NaN, which becomes the integer 0.
                let rounded = scaled.round_ties_even().clamp(-127.0, 127.0) as i8;
                panel[place(WeightType::Int8, input, lane)] = rounded.cast_unsigned();
            }
        });
        matrix.scales = scales;
        Ok(matrix)
    }

    /// Zeros of the right size.
    fn empty(weight_type: WeightType, inputs: usize, outputs: usize) -> Result<Matrix> {
        let panels = outputs.div_ceil(PANEL);
        let length = inputs
            .checked_next_multiple_of(INPUT_STEP)
            .and_then(|inputs| inputs.checked_mul(panels * PANEL * weight_type.size()))
            .ok_or(Error::Memory { bytes: usize::MAX })?;
        let data = Buffer::zeroed(length)?;
        Ok(Matrix {
            weight_type,
            inputs,
            outputs,
            data,
            scales: Vec::new(),
        })
    }

    /// Calls `write(panel, output, lane)` for each output, panels in parallel.
    fn fill(&mut self, write: impl Fn(&mut [u8], usize, usize) + Sync) {
        let (outputs, stride) = (self.outputs, self.panel_bytes());
        if stride == 0 {
            return;
        }
        self.data
            .bytes_mut()
            .par_chunks_exact_mut(stride)
            .enumerate()
            .for_each(|(index, panel)| {
                for lane in 0..PANEL.min(outputs - index * PANEL) {
                    write(panel, index * PANEL + lane, lane);
                }
            });
    }

    /// Rows of the result.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The width it is applied to.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How the weights are stored.
    #[must_use]
    pub fn weight_type(&self) -> WeightType {
        self.weight_type
    }

    /// Memory taken by the weights, padding and scales included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.bytes().len() + self.scales.len() * size_of::<f32>()
    }

    /// One weight, for the reference and for tests; for `Int8` the integer, to be multiplied with [`Matrix::scale`].
    pub(crate) fn weight(&self, output: usize, input: usize) -> f32 {
        let panel = &self.data.bytes()[output / PANEL * self.panel_bytes()..];
        self.weight_type
            .read(panel, place(self.weight_type, input, output % PANEL))
    }

    /// What the sum over an output's weights is multiplied with: 1 unless the weights are `Int8`.
    pub(crate) fn scale(&self, output: usize) -> f32 {
        self.scales.get(output).copied().unwrap_or(1.0)
    }

    /// Number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    /// Pairs of inputs per panel, padding included; an even number.
    pub(crate) fn pairs(&self) -> usize {
        self.inputs.next_multiple_of(INPUT_STEP) / 2
    }

    /// Bytes from one panel to the next.
    pub(crate) fn panel_bytes(&self) -> usize {
        self.pairs() * 2 * PANEL * self.weight_type.size()
    }

    /// All panels.
    pub(crate) fn data(&self) -> &[u8] {
        self.data.bytes()
    }
}

/// Where in a panel the weight of an input for one of its outputs is, counted in weights.
#[inline(always)]
fn place(weight_type: WeightType, input: usize, lane: usize) -> usize {
    match weight_type {
        WeightType::Bf16 => (input / 2 * PANEL + lane) * 2 + input % 2,
        WeightType::F32 | WeightType::F16 | WeightType::Int8 => input * PANEL + lane,
    }
}

/// Writes the weights of one output to their places in a panel `[inputs][16]`.
fn spread<const SIZE: usize>(panel: &mut [u8], row: &[u8], lane: usize) {
    let places = panel
        .as_chunks_mut::<SIZE>()
        .0
        .iter_mut()
        .skip(lane)
        .step_by(PANEL);
    for (place, weight) in places.zip(row.as_chunks::<SIZE>().0) {
        *place = *weight;
    }
}

/// The same for a panel `[inputs / 2][16][2]` of 16-bit weights.
fn interleave(panel: &mut [u8], row: &[u8], lane: usize) {
    let mut places = panel
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .skip(lane)
        .step_by(PANEL);
    let (pairs, last) = row.as_chunks::<4>();
    // In this order: a zip that ends on its second part has taken one too many from its first.
    for (pair, place) in pairs.iter().zip(places.by_ref()) {
        *place = *pair;
    }
    if let ([first, second], Some(place)) = (last, places.next()) {
        *place = [*first, *second, 0, 0];
    }
}

/// The rows of all parts, one slice of bytes per output.
fn rows_of<'a>(
    operation: &'static str,
    weight_type: WeightType,
    inputs: usize,
    parts: &[&'a [u8]],
) -> Result<Vec<&'a [u8]>> {
    if weight_type == WeightType::Int8 {
        return Err(Error::Storage {
            operation,
            expected: "F32, F16 and Bf16",
            found: weight_type,
        });
    }
    let row = inputs * weight_type.size();
    let mut rows = Vec::new();
    for part in parts {
        shape::rows(operation, "bytes of a part", row, part.len())?;
        rows.extend(part.chunks_exact(row));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    #[test]
    fn stacks_parts_along_the_outputs() {
        let (q, k) = (
            bytes(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            bytes(&[7.0, 8.0, 9.0]),
        );
        let matrix = Matrix::pack(WeightType::F32, 3, &[&q, &k]).unwrap();
        assert_eq!(
            (matrix.outputs(), matrix.inputs(), matrix.panels()),
            (3, 3, 1)
        );
        assert_eq!(matrix.bytes(), 4 * 16 * 4);
        let found: Vec<f32> = (0..3)
            .flat_map(|o| (0..3).map(move |i| (o, i)))
            .map(|(o, i)| matrix.weight(o, i))
            .collect();
        assert_eq!(found, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    }

    #[test]
    fn quantizes_each_output_by_its_largest_weight() {
        let source = bytes(&[127.0, -1.0, 0.5, 0.0, 0.0, 0.0]);
        let matrix = Matrix::quantize_int8(WeightType::F32, 3, &[&source]).unwrap();
        assert_eq!(
            (
                matrix.weight(0, 0),
                matrix.weight(0, 1),
                matrix.weight(0, 2)
            ),
            (127.0, -1.0, 0.0)
        );
        assert_eq!(
            (matrix.scale(0), matrix.scale(1), matrix.weight(1, 0)),
            (1.0, 0.0, 0.0)
        );
    }

    #[test]
    fn refuses_half_a_row_and_integers_without_scales() {
        let error = Matrix::pack(WeightType::Bf16, 3, &[&[0; 8]]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Matrix::pack: bytes of a part: 8 is not a multiple of 6"
        );
        assert!(matches!(
            Matrix::pack(WeightType::Int8, 3, &[&[0; 3]]),
            Err(Error::Storage { .. })
        ));
    }
}
