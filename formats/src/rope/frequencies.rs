//! Inverse frequencies of every rope type, as `modeling_rope_utils.py` of transformers 5 defines them.

use std::f64::consts::PI;

use super::{Rope, RopeScaling};

impl Rope {
    /// Inverse frequency of each rotated channel pair, and the factor on cos and sin.
    ///
    /// The result has `head_dim * partial_rotary_factor / 2` frequencies, in double precision; the runtimes hold them in
    /// single precision. `sequence_length` matters to [`RopeScaling::Dynamic`] only. transformers grows it with the longest
    /// sequence seen; vLLM builds one table for `max_position_embeddings` and keeps it, so that passing that length here
    /// gives what is served.
    #[must_use]
    pub fn inverse_frequencies(
        &self,
        head_dim: usize,
        max_position_embeddings: usize,
        sequence_length: usize,
    ) -> (Vec<f64>, f64) {
        // Truncated as Python's int() does.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive product"
        )]
        let dim = (head_dim as f64 * self.partial_rotary_factor) as usize;
        let plain = |theta: f64| {
            powers(theta, dim)
                .map(|power| 1.0 / power)
                .collect::<Vec<f64>>()
        };
        match &self.scaling {
            RopeScaling::Default => (plain(self.theta), 1.0),
            RopeScaling::Linear { factor } => (
                plain(self.theta)
                    .iter()
                    .map(|frequency| frequency / factor)
                    .collect(),
                1.0,
            ),
            RopeScaling::Dynamic {
                factor,
                original_max_position_embeddings,
            } => {
                let trained = original_max_position_embeddings.unwrap_or(max_position_embeddings);
                let stretch =
                    factor * sequence_length.max(trained) as f64 / trained as f64 - (factor - 1.0);
                let exponent = dim as f64 / (dim as f64 - 2.0);
                (plain(self.theta * stretch.powf(exponent)), 1.0)
            }
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                let trained = *original_max_position_embeddings as f64;
                let scale = |frequency: &f64| {
                    let wavelength = 2.0 * PI / frequency;
                    if wavelength > trained / low_freq_factor {
                        frequency / factor
                    } else if wavelength < trained / high_freq_factor {
                        *frequency
                    } else {
                        let kept = (trained / wavelength - low_freq_factor)
                            / (high_freq_factor - low_freq_factor);
                        (1.0 - kept) * frequency / factor + kept * frequency
                    }
                };
                (plain(self.theta).iter().map(scale).collect(), 1.0)
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
                let trained =
                    original_max_position_embeddings.unwrap_or(max_position_embeddings) as f64;
                // The channel that turns this many times over the trained length.
                let channel = |rotations: f64| {
                    dim as f64 * (trained / (rotations * 2.0 * PI)).ln() / (2.0 * self.theta.ln())
                };
                let (mut low, mut high) = (channel(*beta_fast), channel(*beta_slow));
                if *truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                (low, high) = (low.max(0.0), high.min(dim as f64 - 1.0));
                if low == high {
                    high += 0.001;
                }
                let frequencies = powers(self.theta, dim).enumerate().map(|(pair, power)| {
                    let kept = 1.0 - ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    (1.0 - kept) / (factor * power) + kept / power
                });
                let attention =
                    attention_factor.unwrap_or_else(|| match (mscale, mscale_all_dim) {
                        (Some(above), Some(below)) if *above != 0.0 && *below != 0.0 => {
                            magnitude(*factor, *above) / magnitude(*factor, *below)
                        }
                        _ => magnitude(*factor, 1.0),
                    });
                (frequencies.collect(), attention)
            }
        }
    }
}

/// theta^(2i/dim) for each channel pair i.
fn powers(theta: f64, dim: usize) -> impl Iterator<Item = f64> {
    (0..dim)
        .step_by(2)
        .map(move |channel| theta.powf(channel as f64 / dim as f64))
}

fn magnitude(scale: f64, weight: f64) -> f64 {
    if scale <= 1.0 {
        1.0
    } else {
        0.1 * weight * scale.ln() + 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected numbers are what `ROPE_INIT_FUNCTIONS` of transformers 5.19 returns (in single precision) for a
    // LlamaConfig with these parameters.

    fn rope(theta: f64, scaling: RopeScaling) -> Rope {
        Rope {
            theta,
            scaling,
            partial_rotary_factor: 1.0,
        }
    }

    #[track_caller]
    fn close(found: (Vec<f64>, f64), expected: &[f64], scaling: f64) {
        assert_eq!(found.0.len(), expected.len());
        for (found, expected) in found.0.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 3e-7 * expected,
                "{found} is not {expected}"
            );
        }
        assert!(
            (found.1 - scaling).abs() < 1e-12,
            "{} is not {scaling}",
            found.1
        );
    }

    fn yarn(factor: f64, trained: usize) -> RopeScaling {
        RopeScaling::Yarn {
            factor,
            original_max_position_embeddings: Some(trained),
            beta_fast: 32.0,
            beta_slow: 1.0,
            attention_factor: None,
            mscale: None,
            mscale_all_dim: None,
            truncate: true,
        }
    }

    #[test]
    fn default_frequencies_are_powers_of_theta() {
        let found = rope(10_000.0, RopeScaling::Default).inverse_frequencies(4, 256, 256);
        close(found, &[1.0, 0.01], 1.0);
    }

    #[test]
    fn partial_rotation_uses_fewer_channels() {
        let half = Rope {
            partial_rotary_factor: 0.5,
            ..rope(10_000.0, RopeScaling::Default)
        };
        close(half.inverse_frequencies(8, 256, 256), &[1.0, 0.01], 1.0);
    }

    #[test]
    fn linear_scaling_matches_transformers() {
        let found =
            rope(10_000.0, RopeScaling::Linear { factor: 4.0 }).inverse_frequencies(16, 256, 256);
        let expected = [
            0.25,
            0.079056941,
            0.0250000004,
            0.00790569466,
            0.00249999994,
            0.000790569466,
            0.000250000012,
            7.90569466e-05,
        ];
        close(found, &expected, 1.0);
    }

    #[test]
    fn dynamic_scaling_matches_transformers_beyond_the_trained_length_and_is_plain_below() {
        let dynamic = rope(
            10_000.0,
            RopeScaling::Dynamic {
                factor: 2.0,
                original_max_position_embeddings: None,
            },
        );
        let expected = [
            1.0,
            0.239481375,
            0.057351321,
            0.0137345716,
            0.00328917382,
            0.00078769587,
            0.000188638471,
            4.51753949e-05,
        ];
        close(dynamic.inverse_frequencies(16, 256, 1024), &expected, 1.0);
        let plain = rope(10_000.0, RopeScaling::Default).inverse_frequencies(16, 256, 100);
        assert_eq!(dynamic.inverse_frequencies(16, 256, 100), plain);
    }

    #[test]
    fn llama3_scaling_matches_transformers() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 64,
        };
        let expected = [
            1.0,
            0.079403013,
            0.00470075384,
            0.000911583134,
            0.000176776681,
            3.42810235e-05,
            6.64786967e-06,
            1.28917316e-06,
        ];
        close(
            rope(500_000.0, scaling).inverse_frequencies(16, 256, 256),
            &expected,
            1.0,
        );
    }

    #[test]
    fn yarn_matches_transformers() {
        let expected = [
            1.0,
            0.237170815,
            0.049999997,
            0.00790569466,
            0.00249999994,
            0.000790569466,
            0.000250000012,
            7.90569466e-05,
        ];
        let found = rope(10_000.0, yarn(4.0, 64)).inverse_frequencies(16, 256, 256);
        close(found, &expected, 1.138629436111989);
    }

    #[test]
    fn yarn_without_truncation_matches_transformers() {
        let mut scaling = yarn(32.0, 4096);
        if let RopeScaling::Yarn { truncate, .. } = &mut scaling {
            *truncate = false;
        }
        let (found, attention) = rope(150_000.0, scaling).inverse_frequencies(64, 131_072, 131_072);
        let some = [found[1], found[9], found[13], found[17], found[31]];
        let expected = [
            0.689044297,
            0.0317056961,
            0.00386035908,
            0.000129318694,
            3.0235114e-07,
        ];
        // Single precision loses more where the two ends of the ramp are subtracted.
        for (found, expected) in some.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-5 * expected,
                "{found} is not {expected}"
            );
        }
        assert!((attention - 1.3465735902799727).abs() < 1e-12);
    }

    #[test]
    fn yarn_attention_factor_follows_the_magnitude_weights_or_is_given() {
        let mut scaling = yarn(40.0, 4096);
        if let RopeScaling::Yarn {
            mscale,
            mscale_all_dim,
            ..
        } = &mut scaling
        {
            (*mscale, *mscale_all_dim) = (Some(1.0), Some(0.5));
        }
        let (_, found) = rope(10_000.0, scaling.clone()).inverse_frequencies(16, 256, 256);
        assert!((found - 1.1557219901962608).abs() < 1e-12);
        if let RopeScaling::Yarn {
            attention_factor, ..
        } = &mut scaling
        {
            *attention_factor = Some(1.5);
        }
        assert_eq!(
            rope(10_000.0, scaling).inverse_frequencies(16, 256, 256).1,
            1.5
        );
    }
}
