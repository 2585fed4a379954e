//! Rotary position embedding parameters, in both spellings of transformers.
//!
//! Version 4 writes `rope_theta` beside `rope_scaling`; version 5 writes one object, `rope_parameters`. Some exports
//! carry both; where they disagree, `rope_parameters` is taken and the disagreement reported.
//!
//! Reading is in [`Rope::from_config`]; the frequencies themselves are in [`Rope::inverse_frequencies`].

use serde::Serialize;

mod frequencies;
mod parse;

/// Resolved rotary embedding of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rope {
    /// Base of the frequencies (`rope_theta`).
    pub theta: f64,
    /// How the frequencies are stretched.
    pub scaling: RopeScaling,
    /// Share of each head's channels that is rotated (`partial_rotary_factor`); 1 is all.
    pub partial_rotary_factor: f64,
}

/// How a multimodal decoder shares the rotated channels out between time, height and width.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RopeAxes {
    /// Frequencies of each axis (`mrope_section`).
    pub sections: Vec<usize>,
    /// The axes take turns instead of lying side by side (`mrope_interleaved`).
    pub interleaved: bool,
}

impl Rope {
    /// All channels rotated by plain frequencies of this base.
    #[must_use]
    pub fn plain(theta: f64) -> Rope {
        Rope {
            theta,
            scaling: RopeScaling::Default,
            partial_rotary_factor: 1.0,
        }
    }
}

/// Frequency scaling, by its `rope_type`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "rope_type", rename_all = "lowercase")]
pub enum RopeScaling {
    /// Plain frequencies.
    Default,
    /// Positions divided by `factor`.
    Linear {
        /// Stretch.
        factor: f64,
    },
    /// NTK-aware: the base grows once the sequence passes the trained length.
    Dynamic {
        /// Stretch.
        factor: f64,
        /// Trained length; `None` means `max_position_embeddings`.
        original_max_position_embeddings: Option<usize>,
    },
    /// Llama 3: low frequencies divided by `factor`, high ones kept, a smooth band between.
    Llama3 {
        /// Stretch of the low frequencies.
        factor: f64,
        /// Wavelengths longer than trained length over this are divided.
        low_freq_factor: f64,
        /// Wavelengths shorter than trained length over this are kept.
        high_freq_factor: f64,
        /// Trained length.
        original_max_position_embeddings: usize,
    },
    /// `YaRN` (arXiv 2309.00071): a ramp between interpolated and kept frequencies, and an attention factor.
    Yarn {
        /// Stretch.
        factor: f64,
        /// Trained length; `None` means `max_position_embeddings`.
        original_max_position_embeddings: Option<usize>,
        /// Rotations at which interpolation ends.
        beta_fast: f64,
        /// Rotations at which interpolation is whole.
        beta_slow: f64,
        /// Explicit scale of cos and sin; `None` means the formula.
        attention_factor: Option<f64>,
        /// Numerator weight of the attention factor.
        mscale: Option<f64>,
        /// Denominator weight of the attention factor.
        mscale_all_dim: Option<f64>,
        /// Whether the ends of the ramp are rounded to whole channels.
        truncate: bool,
    },
}
