//! Samples have the distribution they should, and do not depend on anything but seed and position.

#![allow(clippy::unwrap_used)]

use speculators_kernels::{Error, Occurrence, Penalties, Sampling, cpu, reference};

const LOGITS: [f32; 9] = [1.0, 0.0, -1.0, 2.0, 0.5, -3.0, 1.5, f32::NEG_INFINITY, 0.0];
const DRAWS: usize = 60_000;

/// How often each token was drawn at positions `0..DRAWS`.
fn count(sampling: &Sampling) -> [usize; LOGITS.len()] {
    let logits: Vec<f32> = LOGITS.repeat(DRAWS);
    let positions: Vec<u64> = (0..DRAWS as u64).collect();
    let mut ids = vec![0; DRAWS];
    cpu::sample(&logits, LOGITS.len(), sampling, &positions, &mut ids).unwrap();
    let mut counts = [0; LOGITS.len()];
    for id in ids {
        counts[id as usize] += 1;
    }
    counts
}

/// The statistic of Pearson's test, and its degrees of freedom; tokens of probability 0 must not occur.
fn chi_square(counts: &[usize], weights: &[f64]) -> (f64, usize) {
    let total: f64 = weights.iter().sum();
    let (mut statistic, mut freedom) = (0.0, 0);
    for (count, weight) in counts.iter().zip(weights) {
        if *weight == 0.0 {
            assert_eq!(*count, 0);
            continue;
        }
        let expected = weight / total * DRAWS as f64;
        statistic += (*count as f64 - expected).powi(2) / expected;
        freedom += 1;
    }
    (statistic, freedom - 1)
}

fn weights(temperature: f64, keep: impl Fn(usize) -> bool) -> Vec<f64> {
    let weight = |(token, logit): (usize, &f32)| {
        if keep(token) {
            (f64::from(*logit) / temperature).exp()
        } else {
            0.0
        }
    };
    LOGITS.iter().enumerate().map(weight).collect()
}

#[test]
fn samples_have_the_distribution_of_the_logits() {
    // Limits are the quantiles of chi-square at 0.999; seeds are fixed, so this passes always or never.
    for seed in [1, 2, 3] {
        let (statistic, freedom) = chi_square(
            &count(&Sampling::with_temperature(1.0, seed)),
            &weights(1.0, |_| true),
        );
        assert!(freedom == 7 && statistic < 24.32, "{statistic}");
        let (statistic, _) = chi_square(
            &count(&Sampling::with_temperature(0.5, seed)),
            &weights(0.5, |_| true),
        );
        assert!(statistic < 24.32, "{statistic}");
    }
}

#[test]
fn filters_keep_the_most_probable_tokens_in_proportion() {
    let three = Sampling {
        top_k: 3,
        ..Sampling::with_temperature(1.0, 4)
    };
    let (statistic, freedom) = chi_square(
        &count(&three),
        &weights(1.0, |token| [3, 6, 0].contains(&token)),
    );
    assert!(freedom == 2 && statistic < 13.82, "{statistic}");

    // Tokens 3, 6, 0 and 4 have probabilities of 0.40, 0.24, 0.15 and 0.09; the fourth is needed to reach 0.85.
    let most = Sampling {
        top_p: 0.85,
        ..Sampling::with_temperature(1.0, 5)
    };
    let (statistic, freedom) = chi_square(
        &count(&most),
        &weights(1.0, |token| [3, 6, 0, 4].contains(&token)),
    );
    assert!(freedom == 3 && statistic < 16.27, "{statistic}");

    let likely = Sampling {
        min_p: 0.3,
        ..Sampling::with_temperature(1.0, 6)
    };
    let (statistic, freedom) = chi_square(
        &count(&likely),
        &weights(1.0, |token| [3, 6, 0].contains(&token)),
    );
    assert!(freedom == 2 && statistic < 13.82, "{statistic}");
}

#[test]
fn neighbouring_positions_are_independent() {
    let logits = [0.0; 2].repeat(DRAWS);
    let positions: Vec<u64> = (0..DRAWS as u64).collect();
    let mut ids = vec![0; DRAWS];
    cpu::sample(
        &logits,
        2,
        &Sampling::with_temperature(1.0, 7),
        &positions,
        &mut ids,
    )
    .unwrap();
    let equal = ids.windows(2).filter(|pair| pair[0] == pair[1]).count();
    // Five standard deviations.
    let deviation = (DRAWS as f64).sqrt() / 2.0;
    assert!(
        (equal as f64 - DRAWS as f64 / 2.0).abs() < 5.0 * deviation,
        "{equal}"
    );
}

#[test]
fn the_draw_of_a_position_does_not_depend_on_the_row_it_is_in() {
    let sampling = Sampling::with_temperature(1.0, 8);
    let draw = |positions: &[u64]| {
        let mut ids = vec![0; positions.len()];
        cpu::sample(
            &LOGITS.repeat(positions.len()),
            LOGITS.len(),
            &sampling,
            positions,
            &mut ids,
        )
        .unwrap();
        ids
    };
    let (chain, tree) = (draw(&[100, 101, 102, 103]), draw(&[102, 102, 100, 101]));
    assert_eq!(tree, [chain[2], chain[2], chain[0], chain[1]]);
}

#[test]
fn greedy_takes_the_smallest_id_on_ties() {
    let mut ids = [9];
    cpu::sample(
        &[1.0, f32::NAN, 3.0, 3.0],
        4,
        &Sampling::greedy(),
        &[0],
        &mut ids,
    )
    .unwrap();
    assert_eq!(ids, [2]);
}

#[test]
fn parameters_outside_their_domain_are_refused() {
    for sampling in [
        Sampling::with_temperature(-1.0, 0),
        Sampling::with_temperature(f32::NAN, 0),
        Sampling {
            top_p: 0.0,
            ..Sampling::greedy()
        },
        Sampling {
            min_p: 1.5,
            ..Sampling::greedy()
        },
    ] {
        let error = cpu::sample(&[0.0], 1, &sampling, &[0], &mut [0]).unwrap_err();
        assert!(error.to_string().starts_with("sample: "), "{error}");
    }
}

/// Temperature; repetition, frequency and presence penalty; min-p, top-k, top-p; probabilities.
type Case = (f32, [f32; 3], f32, usize, f32, [f64; 10]);

/// Penalties, temperature, filters and the distribution they leave, as vLLM 0.32 computes them on a CPU (`apply_penalties`,
/// `MinPLogitsProcessor`, `apply_top_k_top_p_pytorch`).
#[test]
fn the_distribution_is_that_of_vllm() {
    let logits = [1.0f32, 0.5, -1.0, 2.25, 0.25, -3.0, 1.5, 0.0, -0.75, 2.0];
    // The prompt was 3, 7, 2 and the output 3, 9, 9, 8, 9, of which the last two are drafted.
    let seen =
        [(2, 0), (3, 1), (7, 0), (9, 2)].map(|(token, in_output)| Occurrence { token, in_output });
    let path: &[u32] = &[8, 9];
    let cases: [Case; 7] = [
        (
            1.0,
            [1.0, 0.0, 0.0],
            0.0,
            0,
            1.0,
            [
                0.0940597, 0.0570501, 0.0127296, 0.3283006, 0.0444307, 0.0017228, 0.1550782,
                0.0346026, 0.0163451, 0.2556807,
            ],
        ),
        (
            0.7,
            [1.3, 0.0, 0.0],
            0.0,
            0,
            1.0,
            [
                0.1085398, 0.0531348, 0.0040609, 0.3082999, 0.0371769, 0.000358, 0.2217172,
                0.0260117, 0.0064604, 0.2342404,
            ],
        ),
        (
            0.7,
            [1.0, 0.4, 0.25],
            0.0,
            0,
            1.0,
            [
                0.1410475, 0.0690486, 0.0081007, 0.332367, 0.0483114, 0.0004652, 0.2881216,
                0.0338022, 0.0045746, 0.0741611,
            ],
        ),
        (
            0.8,
            [1.3, 0.1, -0.5],
            0.1,
            0,
            1.0,
            [
                0.0996941, 0.0533624, 0.0, 0.4097583, 0.0, 0.0, 0.186253, 0.0, 0.0, 0.2509322,
            ],
        ),
        (
            1.5,
            [1.2, 0.0, 0.0],
            0.15,
            7,
            0.8,
            [
                0.1547085, 0.1108535, 0.0, 0.2772379, 0.0, 0.0, 0.2159131, 0.0, 0.0, 0.241287,
            ],
        ),
        (
            0.6,
            [1.0, 0.0, 0.0],
            0.0,
            4,
            0.9,
            [
                0.0, 0.0, 0.0, 0.5139418, 0.0, 0.0, 0.1472468, 0.0, 0.0, 0.3388114,
            ],
        ),
        (
            2.0,
            [1.0, 0.0, 0.2],
            0.0,
            0,
            0.6,
            [
                0.1829388, 0.0, 0.0, 0.3092505, 0.0, 0.0, 0.2348981, 0.0, 0.0, 0.2729126,
            ],
        ),
    ];
    for (index, (temperature, penalties, min_p, top_k, top_p, expected)) in
        cases.into_iter().enumerate()
    {
        let [repetition, frequency, presence] = penalties;
        let penalties = Penalties {
            repetition,
            frequency,
            presence,
        };
        let sampling = Sampling {
            temperature,
            min_p,
            top_k,
            top_p,
            seed: 0,
        };
        let mut logits = logits;
        cpu::penalize(&mut logits, 10, &penalties, &seen, &[path]).unwrap();
        let (mut single, mut double) = ([0.0f32; 10], [0.0f64; 10]);
        cpu::probabilities(&logits, 10, &sampling, &mut single).unwrap();
        reference::probabilities(&logits, 10, &sampling, &mut double).unwrap();
        for (token, expected) in expected.into_iter().enumerate() {
            let (single, double) = (f64::from(single[token]), double[token]);
            assert!(
                (double - expected).abs() < 3e-7,
                "case {index}, token {token}: {double} {expected}"
            );
            assert!(
                (single - expected).abs() < 3e-7,
                "case {index}, token {token}: {single} {expected}"
            );
        }
    }
}

#[test]
fn samples_have_the_distribution_that_is_written_down() {
    for (seed, sampling) in (10..).zip([
        Sampling::with_temperature(0.7, 0),
        Sampling {
            min_p: 0.02,
            top_k: 6,
            top_p: 0.95,
            ..Sampling::with_temperature(1.4, 0)
        },
    ]) {
        let sampling = Sampling { seed, ..sampling };
        let mut weights = [0.0f64; LOGITS.len()];
        reference::probabilities(&LOGITS, LOGITS.len(), &sampling, &mut weights).unwrap();
        let (statistic, freedom) = chi_square(&count(&sampling), &weights);
        assert!(freedom >= 4 && statistic < 24.32, "{statistic}");
    }
}

#[test]
fn a_path_counts_as_output() {
    let penalties = Penalties {
        repetition: 2.0,
        frequency: 0.25,
        presence: 0.5,
    };
    let seen = [
        Occurrence {
            token: 1,
            in_output: 1,
        },
        Occurrence {
            token: 2,
            in_output: 0,
        },
    ];
    let mut drafted = [1.0f32; 8];
    cpu::penalize(&mut drafted, 4, &penalties, &seen, &[&[], &[3, 1, 3, 2]]).unwrap();
    assert_eq!(drafted[..4], [1.0, -0.25, 0.5, 1.0]);
    // What the row would be, had the path been emitted.
    let emitted =
        [(1, 2), (2, 1), (3, 2)].map(|(token, in_output)| Occurrence { token, in_output });
    let mut plain = [1.0f32; 4];
    cpu::penalize(&mut plain, 4, &penalties, &emitted, &[&[]]).unwrap();
    assert_eq!(drafted[4..], plain);
}

#[test]
fn penalties_that_cannot_be_are_refused() {
    let mut logits = [0.0; 4];
    let none = Penalties::none();
    let zero = Penalties {
        repetition: 0.0,
        ..none
    };
    let error = cpu::penalize(&mut logits, 4, &zero, &[], &[&[]]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "penalize: repetition penalty is 0, expected a finite number above 0"
    );
    assert!(cpu::penalize(&mut logits, 4, &none, &[], &[]).is_err());
    assert!(cpu::penalize(&mut logits, 4, &none, &[], &[&[4]]).is_err());
    let twice = [Occurrence {
        token: 1,
        in_output: 1,
    }; 2];
    assert!(matches!(
        cpu::penalize(&mut logits, 4, &none, &twice, &[&[]]),
        Err(Error::Order { index: 1, .. })
    ));
}
