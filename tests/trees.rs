//! Trees are what their definition says: the head, run along each path by itself, gives the same drafts, and after each
//! step both caches are those of the text alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tiny;

use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use speculators::decoding::{
    Drafting, DynamicTree, Limits, Sampling, Speculation, StaticTree, Strategy,
};
use speculators::models::{Cache, DraftHead, HeadPass, Verifier, VerifierPass};
use speculators_kernels::causal_bits;
use tiny::{Random, contents};

fn positions(from: usize, count: usize) -> Vec<u32> {
    (from as u32..(from + count) as u32).collect()
}

/// The verifier's cache after some tokens, and its auxiliary states.
fn read(verifier: &Verifier, head: &DraftHead, tokens: &[u32]) -> (Cache, VerifierPass) {
    let (mut cache, mut pass) = (verifier.cache(0).unwrap(), VerifierPass::default());
    let (rows, layers) = (tokens.len(), head.auxiliary_layers());
    let visible = causal_bits(rows);
    verifier
        .forward(
            tokens,
            &positions(0, rows),
            &visible,
            &mut cache,
            layers,
            &mut pass,
        )
        .unwrap();
    (cache, pass)
}

/// A head that has read a text, and what it drafts from.
#[derive(Clone)]
struct Reader {
    cache: Cache,
    features: Vec<f32>,
}

impl Reader {
    fn new(verifier: &Verifier, head: &DraftHead, text: &[u32], pass: &mut HeadPass) -> Reader {
        let rows = text.len() - 1;
        let (_, seen) = read(verifier, head, &text[..rows]);
        let mut reader = Reader {
            cache: head.cache(0).unwrap(),
            features: Vec::new(),
        };
        head.fuse(seen.auxiliary(), pass, &mut reader.features)
            .unwrap();
        reader.step(head, &text[1..], pass);
        reader
    }

    /// A pass over a chain; afterwards only the last row is kept.
    fn step(&mut self, head: &DraftHead, tokens: &[u32], pass: &mut HeadPass) {
        let rows = tokens.len();
        let at = positions(self.cache.len(), rows);
        let visible = causal_bits(rows);
        head.forward(
            tokens,
            &at,
            &visible,
            &mut self.features,
            &mut self.cache,
            pass,
        )
        .unwrap();
        let width = head.description().hidden_size;
        self.features.drain(..(rows - 1) * width);
    }

    /// All draft tokens after a path, best first, with their log-probabilities.
    fn after(&self, head: &DraftHead, path: &[u32], last: &[f32]) -> (Vec<(u32, f32)>, Vec<f32>) {
        let mut pass = HeadPass::default();
        let mut reader = self.clone();
        let mut hidden = last.to_vec();
        for token in path {
            reader.step(head, &[*token], &mut pass);
            hidden = pass.hidden().to_vec();
        }
        let mut logits = Vec::new();
        head.logits(&hidden, &mut logits).unwrap();
        let mut total = [0.0];
        speculators_kernels::cpu::log_sum_exp(&logits, logits.len(), &mut total).unwrap();
        let name = |column: usize| head.verifier_ids().map_or(column as u32, |ids| ids[column]);
        let mut ranked: Vec<(u32, f32)> = logits
            .iter()
            .enumerate()
            .map(|(column, logit)| (name(column), logit - total[0]))
            .collect();
        // Stable: of equal ones the smaller column stays first.
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        (ranked, hidden)
    }
}

/// A candidate of a dynamic tree.
struct Candidate {
    path: Vec<u32>,
    score: f32,
}

/// The paths of a dynamic tree by its definition, in the order of the tree.
fn dynamic(
    tree: &DynamicTree,
    depth: usize,
    after: impl Fn(&[u32]) -> Vec<(u32, f32)>,
) -> Vec<Vec<u32>> {
    let mut all: Vec<Candidate> = Vec::new();
    let mut frontier = vec![(Vec::new(), 0.0)];
    for level in 0..depth {
        let first = all.len();
        for (path, score) in &frontier {
            let likeliest = after(path).into_iter().take(tree.top_k).enumerate();
            for (rank, (token, mut log_probability)) in likeliest {
                if let Some(calibration) = &tree.calibration {
                    let curve = calibration.curve(level + 1, rank);
                    log_probability = curve.at(log_probability.exp()).ln();
                }
                let path: Vec<u32> = [&path[..], &[token]].concat();
                all.push(Candidate {
                    path,
                    score: score + log_probability,
                });
            }
        }
        let mut level: Vec<&Candidate> = all[first..].iter().collect();
        level.sort_by(|a, b| b.score.total_cmp(&a.score));
        level.truncate(tree.top_k);
        frontier = level.iter().map(|c| (c.path.clone(), c.score)).collect();
    }
    let mut kept: Vec<usize> = (0..all.len()).collect();
    kept.sort_by(|a, b| all[*b].score.total_cmp(&all[*a].score));
    kept.truncate(tree.budget);
    kept.sort_unstable();
    kept.into_iter()
        .map(|index| all[index].path.clone())
        .collect()
}

/// The paths of a static tree by its definition.
fn fixed(
    tree: &StaticTree,
    depth: usize,
    after: impl Fn(&[u32]) -> Vec<(u32, f32)>,
) -> Vec<Vec<u32>> {
    let paths = tree.paths().iter().filter(|path| path.len() <= depth);
    paths
        .map(|ranks| {
            ranks.iter().fold(Vec::new(), |mut path, rank| {
                path.push(after(&path)[*rank].0);
                path
            })
        })
        .collect()
}

fn strategies() -> Vec<Strategy> {
    let tree = |top_k, depth, budget| {
        Drafting::DynamicTree(DynamicTree {
            top_k,
            depth,
            budget,
            calibration: None,
        })
    };
    let calibrated = Drafting::DynamicTree(DynamicTree {
        top_k: 4,
        depth: 5,
        budget: 9,
        calibration: Some(tiny::calibration()),
    });
    let paths = [
        vec![0],
        vec![1],
        vec![2],
        vec![0, 0],
        vec![0, 1],
        vec![1, 0],
        vec![2, 3],
    ];
    let more = [
        vec![0, 1, 0],
        vec![2, 3, 0],
        vec![2, 3, 1],
        vec![2, 3, 1, 5],
    ];
    let fixed = StaticTree::new([&paths[..], &more].concat()).unwrap();
    [
        tree(2, 3, 5),
        tree(4, 4, 18),
        tree(6, 3, 78),
        calibrated,
        Drafting::StaticTree(fixed),
    ]
    .into_iter()
    .flat_map(|drafting| {
        let samplings = [Sampling::greedy(), Sampling::with_temperature(0.6, 9)];
        samplings.map(|sampling| Strategy::new(drafting.clone(), sampling))
    })
    .collect()
}

fn pairs() -> Vec<(&'static str, Value, Value, Value)> {
    let none = || json!({});
    vec![
        ("llama", none(), none(), none()),
        (
            "llama",
            json!({"dtype": "float32"}),
            none(),
            json!({"num_hidden_layers": 2}),
        ),
        (
            "qwen3",
            none(),
            json!({"norm_output": true}),
            json!({"model_type": "qwen3"}),
        ),
        (
            "mistral",
            json!({"sliding_window": 7}),
            json!({"draft_vocab_size": tiny::VOCABULARY}),
            json!({"layer_types": ["sliding_attention"], "sliding_window": 6, "use_sliding_window": true}),
        ),
    ]
}

/// Of each layer, the first `slots` slots.
fn front(cache: &Cache, slots: usize) -> Vec<Vec<u32>> {
    let width = |index| {
        let layer = cache.layer(index);
        2 * layer.kv_heads() * layer.head_dim()
    };
    let mut contents = contents(cache);
    for (index, layer) in contents.iter_mut().enumerate() {
        layer.truncate(slots * width(index));
    }
    contents
}

#[test]
fn each_step_drafts_what_the_definition_says_and_leaves_the_caches_of_the_text() {
    let directory = tiny::directory();
    let cancelled = AtomicBool::new(false);
    let mut accepted_elsewhere = 0;
    for (seed, (model_type, changes, head_changes, layer_changes)) in pairs().iter().enumerate() {
        let seed = 40 + seed as u64;
        let path = tiny::verifier(directory.path(), seed, model_type, changes);
        let verifier = Verifier::load(path).unwrap();
        let path = tiny::head(directory.path(), seed, head_changes, layer_changes);
        let head = tiny::open_head(&path, &verifier);
        for (index, strategy) in strategies().iter().enumerate() {
            let prompt = Random(index as u64).tokens(9 + index);
            let limits = Limits {
                end_token_ids: Vec::new(),
                ..Limits::new(&verifier, 24)
            };
            let mut text =
                Speculation::begin(&verifier, &head, &prompt, &limits, strategy, &cancelled)
                    .unwrap();
            while text.finish().is_none() {
                let before = text.tokens().to_vec();
                let step = text.step().unwrap();

                let mut pass = HeadPass::default();
                let reader = Reader::new(&verifier, &head, &before, &mut pass);
                let width = head.description().hidden_size;
                let last = pass.hidden()[pass.hidden().len() - width..].to_vec();
                let after = |path: &[u32]| reader.after(&head, path, &last).0;
                let depth = strategy.drafting.depth();
                let expected = match &strategy.drafting {
                    Drafting::DynamicTree(tree) => dynamic(tree, depth, after),
                    Drafting::StaticTree(tree) => fixed(tree, depth, after),
                    Drafting::Chain { .. } => unreachable!("only trees are listed"),
                };
                let tokens: Vec<u32> = expected.iter().map(|path| path[path.len() - 1]).collect();
                let what = format!("{model_type} {strategy:?} after {before:?}");
                assert_eq!(step.proposed, tokens, "{what}");

                // What was accepted is the longest path that the text goes on with.
                let now = text.tokens();
                let agreed = &now[before.len()..before.len() + step.emitted - 1];
                if text.finish().is_none() {
                    assert_eq!(agreed.len(), step.accepted, "{what}");
                    let longest = expected
                        .iter()
                        .filter(|path| now[before.len()..].starts_with(path));
                    assert_eq!(longest.map(Vec::len).max().unwrap_or(0), step.accepted);
                    let first = expected.iter().position(|path| path == agreed);
                    accepted_elsewhere += usize::from(first.is_some_and(|at| at > 0));
                    let (fresh, _) = read(&verifier, &head, &now[..now.len() - 1]);
                    assert!(
                        contents(text.verifier_cache()) == contents(&fresh),
                        "{what}"
                    );
                }
                let settled = before.len() - 1;
                assert_eq!(reader.cache.len(), settled);
                assert!(
                    front(text.head_cache(), settled) == contents(&reader.cache),
                    "{what}: the head"
                );
            }
        }
    }
    assert!(
        accepted_elsewhere > 30,
        "only {accepted_elsewhere} paths had to be moved: nothing is tested here"
    );
}
