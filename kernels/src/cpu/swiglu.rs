use crate::isa::{features, for_each_isa};
use crate::reference::check_swiglu;
use crate::rows::for_each_row;
use crate::{Activation, Isa, Result, Rounding, math};

/// See [`reference::swiglu`](crate::reference::swiglu).
///
/// # Errors
///
/// The same.
pub fn swiglu(
    gate_up: &[f32],
    width: usize,
    activation: Activation,
    rounding: Rounding,
    output: &mut [f32],
) -> Result<()> {
    check_swiglu(gate_up, width, output)?;
    let isa = features();
    for_each_row(output, width, 4 * width, |row, output| {
        let (gate, up) = gate_up[2 * row * width..2 * (row + 1) * width].split_at(width);
        gated(isa, gate, up, activation, rounding, output);
    });
    Ok(())
}

fn gated(
    isa: Isa,
    gate: &[f32],
    up: &[f32],
    activation: Activation,
    rounding: Rounding,
    output: &mut [f32],
) {
    for_each_isa!(isa, gated_row(gate: &[f32], up: &[f32], activation: Activation, rounding: Rounding, output: &mut [f32]))
}

#[inline(always)]
fn gated_row(
    gate: &[f32],
    up: &[f32],
    activation: Activation,
    rounding: Rounding,
    output: &mut [f32],
) {
    #[inline(always)]
    fn apply(gate: &[f32], output: &mut [f32], function: impl Fn(f32) -> f32) {
        for (y, gate) in output.iter_mut().zip(gate) {
            *y = function(*gate);
        }
    }
    match activation {
        Activation::Silu => apply(gate, output, silu),
        Activation::GeluTanh => apply(gate, output, gelu_tanh),
        Activation::Relu => apply(gate, output, relu),
        // No gated model in use takes the exact one; it need not be fast.
        Activation::Gelu => apply(gate, output, |x| activation.exact(f64::from(x)) as f32),
    }
    rounding.round_all(output);
    for (y, up) in output.iter_mut().zip(up) {
        *y *= up;
    }
    rounding.round_all(output);
}

#[inline(always)]
fn silu(x: f32) -> f32 {
    x / (1.0 + math::exp(-x))
}

/// tanh(z) = 2 sigmoid(2z) - 1, so x (1 + tanh z) / 2 = x sigmoid(2z).
#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    x / (1.0 + math::exp(-1.595_769 * (x + 0.044_715 * x * x * x)))
}

#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}
