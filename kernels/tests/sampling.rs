//! Samples have the distribution they should, and do not depend on anything but seed and position.

#![allow(clippy::unwrap_used)]

use speculators_kernels::{Sampling, cpu};

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
