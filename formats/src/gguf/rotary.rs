//! Rotary parameters in a GGUF file.
//!
//! llama.cpp's loader of EAGLE-3 reads the base, and of the scalings `linear` and `yarn` the factor and the trained length.
//! Llama 3's scaling is there as its result only: one divisor per pair of channels, in the tensor `rope_freqs.weight`. The
//! four parameters behind them are found again where a known set of them gives the same divisors.

use safetensors::Dtype;
use serde_json::{Map, Value as Json, json};

use super::write::Metadata;
use super::{GgufFile, eagle3};
use crate::codes;
use crate::config::ConfigFile;
use crate::diagnostic::{Diagnostic, Place};
use crate::head::HeadDescription;
use crate::rope::{Rope, RopeScaling};

/// Divisors this close are the same: they were computed in single precision, in another order.
const TOLERANCE: f64 = 1e-5;

/// Turns over the trained length at which llama.cpp's ramp for `yarn` begins and ends; the loader reads no others.
const YARN_TURNS: (f64, f64) = (32.0, 1.0);

/// `rope_parameters` as a config has them.
pub(super) fn parameters(
    file: &GgufFile,
    theta: f64,
    head_dim: usize,
) -> Result<Map<String, Json>, Diagnostic> {
    let kind = file.text("eagle3.rope.scaling.type")?.unwrap_or("linear");
    let factor = file.number("eagle3.rope.scaling.factor")?;
    let factor = factor.filter(|factor| *factor != 0.0 && *factor != 1.0);
    let value = match (kind, factor) {
        (_, _) if file.tensor(eagle3::ROPE_FACTORS).is_some() => {
            return llama3(file, theta, head_dim);
        }
        ("linear", Some(factor)) => {
            json!({ "factor": factor, "rope_theta": theta, "rope_type": "linear" })
        }
        ("yarn", Some(factor)) => json!({
            "factor": factor,
            "original_max_position_embeddings": file.size("eagle3.rope.scaling.original_context_length")?,
            "rope_theta": theta,
            "rope_type": "yarn",
        }),
        ("none" | "linear" | "yarn", _) => json!({ "rope_theta": theta, "rope_type": "default" }),
        (other, _) => {
            return Err(Diagnostic::error(
                codes::NOT_REPRESENTABLE,
                format!(
                    "the rotary scaling `{other}` is not one that EAGLE-3 heads have in llama.cpp"
                ),
            )
            .at(Place::file(file.path())));
        }
    };
    Ok(match value {
        Json::Object(map) => map,
        _ => Map::new(),
    })
}

/// The parameters behind the divisors: those the file tells, or a known set that gives the same divisors.
fn llama3(file: &GgufFile, theta: f64, head_dim: usize) -> Result<Map<String, Json>, Diagnostic> {
    let place = Place::tensor(file.path(), eagle3::ROPE_FACTORS);
    let view = file.tensor(eagle3::ROPE_FACTORS);
    let view = view.filter(|view| view.dtype == Dtype::F32 && view.shape == [head_dim / 2]);
    let Some(view) = view else {
        return Err(Diagnostic::error(
            codes::TENSOR_SHAPE,
            format!(
                "`{}` is not one F32 number for each of {} pairs of channels",
                eagle3::ROPE_FACTORS,
                head_dim / 2
            ),
        )
        .at(place));
    };
    let (numbers, _) = view.data.as_chunks::<4>();
    let found: Vec<f64> = numbers
        .iter()
        .map(|number| f32::from_le_bytes(*number).into())
        .collect();
    let fits = |scaling: &RopeScaling| {
        let rope = Rope {
            theta,
            scaling: scaling.clone(),
            partial_rotary_factor: 1.0,
        };
        let divisors = divisors(&rope, head_dim);
        divisors.len() == found.len()
            && divisors
                .iter()
                .zip(&found)
                .all(|(a, b)| (a - b).abs() <= TOLERANCE * b.abs())
    };
    let told = file
        .text(eagle3::own::ROPE)?
        .and_then(|text| told(file, text));
    let stretch = found.iter().copied().fold(1.0, f64::max);
    // As released for Llama 3.1 and later, trained on other lengths: 16 to 1048576 tokens.
    let known = (4..=20).map(|power| RopeScaling::Llama3 {
        factor: (stretch * 1e4).round() / 1e4,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 1 << power,
    });
    // The common one first: with few channels several may give the same divisors.
    let usual = RopeScaling::Llama3 {
        factor: (stretch * 1e4).round() / 1e4,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };
    let scaling = told
        .into_iter()
        .chain([usual])
        .chain(known)
        .find(|scaling| matches!(scaling, RopeScaling::Llama3 { .. }) && fits(scaling));
    match scaling {
        Some(scaling) => Ok(Rope {
            theta,
            scaling,
            partial_rotary_factor: 1.0,
        }
        .to_parameters()),
        None => Err(Diagnostic::error(
            codes::NOT_REPRESENTABLE,
            "the rotary divisors in the file follow from no known parameters of Llama 3's scaling",
        )
        .at(place)
        .note("a config states four parameters; a GGUF file has only what follows from them")
        .note(format!(
            "tried: factor {stretch}, 1 and 4 turns, trained lengths of 16 to 1048576"
        ))),
    }
}

/// The parameters this tool wrote beside the divisors.
fn told(file: &GgufFile, text: &str) -> Option<RopeScaling> {
    let text = format!("{{\"rope_parameters\":{text}}}");
    let config = ConfigFile::from_text(file.path(), text).ok()?;
    let (rope, _) = Rope::from_config(&config.root()).ok()?;
    Some(rope.scaling)
}

/// By what llama.cpp has to divide each plain frequency.
fn divisors(rope: &Rope, head_dim: usize) -> Vec<f64> {
    let plain = Rope {
        scaling: RopeScaling::Default,
        ..rope.clone()
    };
    let (plain, _) = plain.inverse_frequencies(head_dim, 0, 0);
    let (scaled, _) = rope.inverse_frequencies(head_dim, 0, 0);
    plain
        .iter()
        .zip(&scaled)
        .map(|(plain, scaled)| plain / scaled)
        .collect()
}

/// The divisors of a head with Llama 3's scaling, as the file has them.
pub(crate) fn llama3_divisors(head: &HeadDescription) -> Option<Vec<f32>> {
    if !matches!(head.rope.scaling, RopeScaling::Llama3 { .. }) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the tensor is in single precision"
    )]
    let single = divisors(&head.rope, head.head_dim)
        .into_iter()
        .map(|divisor| divisor as f32)
        .collect();
    Some(single)
}

/// Writes the parameters down; gives those that come back when the file is read, or what cannot be written, in
/// words that follow "the head has".
pub(super) fn write(rope: &Rope, metadata: &mut Metadata) -> Result<Rope, String> {
    if rope.partial_rotary_factor != 1.0 {
        return Err("channels that are not rotated (`partial_rotary_factor`)".to_owned());
    }
    let mut written = rope.clone();
    written.theta = single(metadata, "eagle3.rope.freq_base", rope.theta);
    match &mut written.scaling {
        RopeScaling::Default => {}
        RopeScaling::Linear { factor } => {
            metadata.text("eagle3.rope.scaling.type", "linear");
            *factor = single(metadata, "eagle3.rope.scaling.factor", *factor);
        }
        RopeScaling::Llama3 { .. } => {
            metadata.text(
                eagle3::own::ROPE,
                &Json::Object(rope.to_parameters()).to_string(),
            );
        }
        RopeScaling::Yarn {
            factor,
            original_max_position_embeddings,
            beta_fast,
            beta_slow,
            attention_factor,
            mscale,
            mscale_all_dim,
            truncate,
        } => {
            if (*beta_fast, *beta_slow) != YARN_TURNS || !*truncate {
                return Err(format!(
                    "a YaRN ramp from {beta_fast} to {beta_slow} turns, rounded: {truncate}, where llama.cpp's is from 32 to 1, rounded"
                ));
            }
            if attention_factor.is_some() || mscale.is_some() || mscale_all_dim.is_some() {
                return Err("an attention factor for YaRN other than the formula's".to_owned());
            }
            metadata.text("eagle3.rope.scaling.type", "yarn");
            *factor = single(metadata, "eagle3.rope.scaling.factor", *factor);
            if let Some(length) = *original_max_position_embeddings {
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                metadata.u32("eagle3.rope.scaling.original_context_length", length);
            }
        }
        RopeScaling::Dynamic { .. } => {
            return Err("rotary frequencies that change with the length of the text".to_owned());
        }
    }
    Ok(written)
}

/// Writes a number in single precision; gives what comes back when it is read.
pub(super) fn single(metadata: &mut Metadata, key: &str, number: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the format has no wider key there"
    )]
    let number = number as f32;
    metadata.f32(key, number);
    super::Value::F32(number).number().unwrap_or(number.into())
}
