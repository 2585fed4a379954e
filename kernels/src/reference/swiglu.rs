use crate::{Activation, Result, Rounding, shape};

/// The gate of a gated MLP: `output = round(round(activation(gate)) * up)`, each in `f32`: the activation is an
/// operation of its own in transformers and in vLLM without compilation, and rounds.
///
/// `gate_up` is `[rows, 2 * width]`, the gate first; `output` is `[rows, width]`.
///
/// # Errors
///
/// [`Error::Multiple`](crate::Error::Multiple), [`Error::Shape`](crate::Error::Shape).
pub fn swiglu(
    gate_up: &[f32],
    width: usize,
    activation: Activation,
    rounding: Rounding,
    output: &mut [f32],
) -> Result<()> {
    check(gate_up, width, output)?;
    for (pair, y) in gate_up
        .chunks_exact(2 * width)
        .zip(output.chunks_exact_mut(width))
    {
        let (gate, up) = pair.split_at(width);
        for i in 0..width {
            let activated = rounding.round(activation.exact(f64::from(gate[i])) as f32);
            y[i] = rounding.round(activated * up[i]);
        }
    }
    Ok(())
}

pub(crate) fn check(gate_up: &[f32], width: usize, output: &[f32]) -> Result<()> {
    let rows = shape::rows("swiglu", "gate and up", 2 * width, gate_up.len())?;
    shape::equal("swiglu", "output", rows * width, output.len())
}
