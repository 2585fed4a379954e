use crate::{Matrix, Result, Rounding, shape};

/// A linear layer: `output[r][o] = round(scale[o] * Σ_i weights[o][i] * input[r][i] + bias[o])`.
///
/// `input` is `[rows, inputs]`, `output` `[rows, outputs]`, `bias` `[outputs]`. With [`Rounding::Bf16`] and bfloat16
/// weights the inputs are first rounded to bfloat16, which they are already in a bfloat16 model. The bias is added
/// before the one rounding at the end.
///
/// # Errors
///
/// [`Error::Multiple`](crate::Error::Multiple), [`Error::Shape`](crate::Error::Shape).
pub fn linear(
    weights: &Matrix,
    bias: Option<&[f32]>,
    input: &[f32],
    rounding: Rounding,
    output: &mut [f32],
) -> Result<()> {
    let rows = check(weights, bias, input, output)?;
    let (inputs, outputs) = (weights.inputs(), weights.outputs());
    let narrow = rounding == Rounding::Bf16 && weights.weight_type() == crate::WeightType::Bf16;
    for row in 0..rows {
        for o in 0..outputs {
            let mut sum = 0.0;
            for i in 0..inputs {
                let x = input[row * inputs + i];
                let x = if narrow { Rounding::Bf16.round(x) } else { x };
                sum += f64::from(weights.weight(o, i)) * f64::from(x);
            }
            let scaled = sum * f64::from(weights.scale(o));
            let biased = scaled + bias.map_or(0.0, |bias| f64::from(bias[o]));
            output[row * outputs + o] = rounding.round(biased as f32);
        }
    }
    Ok(())
}

/// The number of rows.
pub(crate) fn check(
    weights: &Matrix,
    bias: Option<&[f32]>,
    input: &[f32],
    output: &[f32],
) -> Result<usize> {
    const OPERATION: &str = "linear";
    let rows = shape::rows(OPERATION, "input", weights.inputs(), input.len())?;
    shape::equal(OPERATION, "output", rows * weights.outputs(), output.len())?;
    if let Some(bias) = bias {
        shape::equal(OPERATION, "bias", weights.outputs(), bias.len())?;
    }
    Ok(rows)
}
