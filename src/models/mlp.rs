//! The gated feed-forward block: `down(activation(gate(x)) * up(x))`.

use speculators_formats::verifier::HiddenAct;
use speculators_kernels::{Activation, Rounding, cpu};

use super::scratch::LayerScratch;
use super::weights::{Linear, Weights};
use crate::Result;

/// Sizes and switches of a feed-forward block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MlpShape {
    pub(crate) hidden_size: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) bias: bool,
    pub(crate) activation: Activation,
    pub(crate) rounding: Rounding,
}

/// The feed-forward block of one layer.
#[derive(Debug)]
pub(crate) struct Mlp {
    shape: MlpShape,
    gate_up: Linear, // [2 * intermediate, hidden], gate first
    down: Linear,    // [hidden, intermediate]
}

impl Mlp {
    /// Takes `{prefix}.{gate,up,down}_proj`.
    pub(crate) fn load(weights: &Weights, prefix: &str, shape: MlpShape) -> Result<Mlp> {
        let part = |name: &str, outputs| (format!("{prefix}.{name}_proj"), outputs);
        let gate_up = weights.linear(
            &[
                part("gate", shape.intermediate_size),
                part("up", shape.intermediate_size),
            ],
            shape.hidden_size,
            shape.bias,
        )?;
        let down = weights.linear(
            &[part("down", shape.hidden_size)],
            shape.intermediate_size,
            shape.bias,
        )?;
        Ok(Mlp {
            shape,
            gate_up,
            down,
        })
    }

    /// `input` and `output` are `[rows, hidden]`.
    pub(crate) fn forward(
        &self,
        input: &[f32],
        scratch: &mut LayerScratch,
        output: &mut [f32],
    ) -> Result<()> {
        let MlpShape {
            hidden_size,
            intermediate_size,
            activation,
            rounding,
            ..
        } = self.shape;
        let rows = input.len() / hidden_size;
        let gate_up = scratch.gate_up.take(rows * 2 * intermediate_size);
        cpu::linear(
            &self.gate_up.weight,
            self.gate_up.bias.as_deref(),
            input,
            rounding,
            gate_up,
        )?;
        let activated = scratch.activated.take(rows * intermediate_size);
        cpu::swiglu(gate_up, intermediate_size, activation, rounding, activated)?;
        cpu::linear(
            &self.down.weight,
            self.down.bias.as_deref(),
            activated,
            rounding,
            output,
        )?;
        Ok(())
    }
}

/// The kernel for a config's `hidden_act`.
pub(crate) fn activation(act: HiddenAct) -> Activation {
    match act {
        HiddenAct::Silu => Activation::Silu,
        HiddenAct::Gelu => Activation::Gelu,
        HiddenAct::GeluTanh => Activation::GeluTanh,
        HiddenAct::Relu => Activation::Relu,
    }
}
