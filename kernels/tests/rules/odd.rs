//! Trees of 1 to 256 nodes over logits that no network should give: nothing panics, and what is accepted is a path.

use speculators_kernels::{
    DraftVocabulary, Draws, LossyThresholds, LossyTypical, Proposal, Sampling, cpu, philox4x32,
};

const WIDTH: usize = 12;

/// Logits with NaN, infinities and ties, by the row and a seed.
fn logits(rows: usize, width: usize, seed: u32) -> Vec<f32> {
    (0..(rows * width) as u32)
        .map(|index| {
            let [word, kind, ..] = philox4x32([index, 0, 0, 0], [seed, 11]);
            let [row_kind, ..] = philox4x32([index / width as u32, 1, 0, 0], [seed, 11]);
            match (row_kind % 8, kind % 8) {
                (0, _) => f32::NAN,
                (1, _) => f32::NEG_INFINITY,
                (2, 0) => f32::INFINITY,
                (3, 0) | (4, 1..) => f32::NAN,
                (5, 1..) | (6, 0..4) => f32::NEG_INFINITY,
                (7, _) => (word % 3) as f32,
                _ => word as f32 / 1e9 - 2.0,
            }
        })
        .collect()
}

fn probabilities(rows: usize, width: usize, temperature: f32, seed: u32) -> Vec<f32> {
    let mut output = vec![0.0; rows * width];
    let sampling = Sampling::with_temperature(temperature, 0);
    cpu::probabilities(&logits(rows, width, seed), width, &sampling, &mut output).unwrap();
    for row in output.chunks_exact(width) {
        let sum: f32 = row.iter().sum();
        assert!(
            (sum - 1.0).abs() < 1e-5 && row.iter().all(|p| *p >= 0.0),
            "{row:?}"
        );
    }
    output
}

/// A random tree; some of its siblings are equal.
fn tree(nodes: usize, seed: u32) -> (Vec<i32>, Vec<u32>) {
    (0..nodes as u32)
        .map(|node| {
            let [parent, token, ..] = philox4x32([node, 2, 0, 0], [seed, 11]);
            let parent = if node == 0 {
                -1
            } else {
                (parent % node) as i32
            };
            (parent, token % WIDTH as u32)
        })
        .unzip()
}

fn check(parents: &[i32], tokens: &[u32], target: &[f32], path: &[usize], bonus: u32) {
    let mut last = 0;
    for node in path {
        assert_eq!(parents[*node], last as i32);
        // What is accepted is possible.
        assert!(target[last * WIDTH + tokens[*node] as usize] > 0.0);
        last = *node;
    }
    assert!(target[last * WIDTH + bonus as usize] > 0.0);
}

#[test]
fn random_trees_over_odd_logits() {
    let truncated: Vec<u32> = (0..7).map(|draft| 5 * draft % WIDTH as u32).collect();
    let vocabularies = [
        DraftVocabulary::full(WIDTH),
        DraftVocabulary::new(&truncated, WIDTH).unwrap(),
    ];
    for nodes in 1..=256 {
        let seed = nodes as u32;
        let (parents, tokens) = tree(nodes, seed);
        let temperature = [0.0, 0.3, 1.0][nodes % 3];
        let target = probabilities(nodes, WIDTH, temperature, seed);
        let vocabulary = &vocabularies[nodes % 2];
        let draft = probabilities(nodes, vocabulary.draft_width(), 1.0, seed + 1000);
        let drawn = Proposal::Drawn {
            probabilities: &draft[..],
            vocabulary,
        };
        let mut draws = Draws::new(5, u64::from(seed));
        for proposal in [drawn, Proposal::Chosen] {
            let found = cpu::tree_residual(&parents, &tokens, &target, &proposal, &mut draws);
            let found = found.unwrap();
            check(&parents, &tokens, &target, &found.path, found.bonus);
        }
        let rule = LossyTypical::medusa();
        let found = cpu::lossy_typical(&parents, &tokens, &target, &rule).unwrap();
        check(&parents, &tokens, &target, &found.path, found.bonus);
        let rule = LossyThresholds {
            single: 0.5,
            accumulated: 0.7,
        };
        let found = cpu::lossy_thresholds(&parents, &tokens, &target, &rule, &mut draws).unwrap();
        check(&parents, &tokens, &target, &found.path, found.bonus);

        // The same numbers as a chain.
        let chain: Vec<i32> = (-1..nodes as i32 - 1).collect();
        let drafted = &tokens[1..];
        let rows = (nodes - 1) * vocabulary.draft_width();
        let drawn = Proposal::Drawn {
            probabilities: &draft[..rows],
            vocabulary,
        };
        for proposal in [drawn, Proposal::Chosen] {
            let found = cpu::chain_reject(drafted, &target, &proposal, &mut draws).unwrap();
            check(&chain, &tokens, &target, &found.path, found.bonus);
            let found = cpu::block_verify(drafted, &target, &proposal, &mut draws).unwrap();
            check(&chain, &tokens, &target, &found.path, found.bonus);
        }
    }
}

#[test]
fn probabilities_that_are_not_numbers_do_not_panic() {
    let target = [f32::NAN, 0.0, -1.0, f32::NAN, 0.0, 0.0];
    let vocabulary = DraftVocabulary::full(3);
    let draws = &mut Draws::new(1, 1);
    for proposal in [
        Proposal::Chosen,
        Proposal::Drawn {
            probabilities: &[f32::NAN; 3][..],
            vocabulary: &vocabulary,
        },
    ] {
        for accepted in [
            cpu::chain_reject(&[0], &target, &proposal, draws).unwrap(),
            cpu::block_verify(&[0], &target, &proposal, draws).unwrap(),
        ] {
            assert_eq!((accepted.path.len(), accepted.bonus), (0, 0));
        }
    }
    assert_eq!(cpu::draw(&[f32::NAN, 0.0], 0, 2, draws).unwrap(), []);
}
