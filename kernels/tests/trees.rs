//! Draft trees: what they look like whatever the scores are, and what is accepted of them.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use speculators_kernels::{DraftTree, VerifyTree, cpu};

/// Scores as they come from a network that misbehaves: ties, infinities, NaN and rounding errors above 0.
fn log_probability() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => (-40i32..=0).prop_map(|quarter| quarter as f32 / 4.0),
        3 => -20.0f32..0.0,
        1 => prop_oneof![
            Just(f32::NAN),
            Just(f32::NEG_INFINITY),
            Just(f32::INFINITY),
            Just(-0.0),
            Just(1e-6),
        ],
    ]
}

/// A tree of some levels, grown with the given log-probabilities. Siblings have different tokens.
fn grow(width: usize, levels: usize, log_probabilities: &[f32]) -> DraftTree {
    let mut tree = DraftTree::new();
    let mut rest = log_probabilities;
    for _ in 0..levels {
        let count = tree.rows() * width;
        let tokens: Vec<u32> = (0..count).map(|index| (index % width) as u32).collect();
        let (level, later) = rest.split_at(count);
        cpu::tree_step(&mut tree, &tokens, level).unwrap();
        rest = later;
    }
    tree
}

fn trees() -> impl Strategy<Value = DraftTree> {
    (1usize..=10, 1usize..=5).prop_flat_map(|(width, levels)| {
        prop::collection::vec(log_probability(), width + (levels - 1) * width * width)
            .prop_map(move |scores| grow(width, levels, &scores))
    })
}

/// The ancestors of a node and itself.
fn line(parents: &[i32], node: usize) -> Vec<usize> {
    let mut line = vec![node];
    while let Ok(parent) = usize::try_from(parents[line[line.len() - 1]]) {
        line.push(parent);
    }
    line.reverse();
    line
}

/// Follows the verifier from the root, looking for the child at each node anew.
fn walk(tree: &VerifyTree, target: &[u32]) -> (Vec<usize>, u32) {
    let (mut path, mut node) = (Vec::new(), 0);
    loop {
        let child = (0..tree.parents.len()).find(|child| {
            tree.parents[*child] == node as i32 && tree.tokens[*child] == target[node]
        });
        match child {
            Some(child) => {
                path.push(child);
                node = child;
            }
            None => return (path, target[node]),
        }
    }
}

proptest! {
    #[test]
    fn parents_come_first_and_masks_are_the_ancestors(tree in trees(), nodes in 1usize..300) {
        let verify = cpu::tree_finalize(&tree, 9, nodes).unwrap();
        let count = nodes.min(tree.len() + 1);
        prop_assert_eq!(verify.tokens.len(), count);
        prop_assert_eq!((verify.tokens[0], verify.parents[0], verify.depths[0]), (9, -1, 0));
        for node in 0..count {
            prop_assert!(verify.parents[node] < node as i32);
            prop_assert!(node == 0 || verify.parents[node] >= 0);
            let line = line(&verify.parents, node);
            prop_assert_eq!(verify.depths[node] as usize, line.len() - 1);
            for other in 0..count {
                let bit = verify.bits[node * verify.words + other / 32] >> (other % 32) & 1 == 1;
                prop_assert_eq!(bit, line.contains(&other));
            }
        }
    }

    #[test]
    fn what_is_kept_is_the_best_and_closed_under_ancestors(tree in trees(), nodes in 1usize..200) {
        let scores = tree.scores();
        for (candidate, parent) in tree.parents().iter().enumerate() {
            prop_assert!(!scores[candidate].is_nan());
            if let Ok(parent) = usize::try_from(*parent) {
                prop_assert!(parent < candidate && scores[parent] >= scores[candidate]);
            }
        }
        // The best by definition, and whether each one's parent is among them.
        let mut order: Vec<usize> = (0..tree.len()).collect();
        order.sort_by(|a, b| scores[*b].partial_cmp(&scores[*a]).unwrap().then(a.cmp(b)));
        order.truncate(nodes - 1);
        order.sort_unstable();
        for candidate in &order {
            let parent = tree.parents()[*candidate];
            prop_assert!(parent < 0 || order.contains(&(parent as usize)));
        }
        let verify = cpu::tree_finalize(&tree, 9, nodes).unwrap();
        let tokens: Vec<u32> = order.iter().map(|candidate| tree.tokens()[*candidate]).collect();
        prop_assert_eq!(&verify.tokens[1..], &tokens[..]);
    }

    #[test]
    fn greedy_acceptance_is_the_walk_from_the_root(
        tree in trees(),
        nodes in 1usize..=256,
        choices in prop::collection::vec(0u32..10, 257),
    ) {
        let verify = cpu::tree_finalize(&tree, 9, nodes).unwrap();
        let target = &choices[..verify.tokens.len()];
        let accepted = cpu::accept(&verify.parents, &verify.tokens, target).unwrap();
        prop_assert_eq!((accepted.path, accepted.bonus), walk(&verify, target));
    }

    #[test]
    fn acceptance_of_arbitrary_trees_is_the_walk_from_the_root(
        links in prop::collection::vec((any::<prop::sample::Index>(), 0u32..6), 0..255),
        choices in prop::collection::vec(0u32..6, 256),
    ) {
        let mut parents = vec![-1];
        let mut tokens = vec![0];
        for (node, (link, token)) in links.iter().enumerate() {
            parents.push(link.index(node + 1) as i32);
            tokens.push(*token);
        }
        let verify = VerifyTree::from_parents(tokens, parents).unwrap();
        let target = &choices[..verify.tokens.len()];
        let accepted = cpu::accept(&verify.parents, &verify.tokens, target).unwrap();
        prop_assert_eq!((accepted.path, accepted.bonus), walk(&verify, target));
    }
}

#[test]
fn a_chain_is_the_tree_in_which_each_node_is_below_the_one_before() {
    for drafted in [0, 1, 30, 31, 32, 70] {
        let tokens: Vec<u32> = (7..8 + drafted).collect();
        let chain = VerifyTree::chain(7, &tokens[1..]);
        let tree = VerifyTree::from_parents(tokens, (-1..drafted as i32).collect()).unwrap();
        assert_eq!(chain, tree);
    }
}

#[test]
fn a_tree_needs_its_root_first_and_parents_before_their_children() {
    let tree = |parents: &[i32]| VerifyTree::from_parents(vec![0; 3], parents.to_vec());
    let made = tree(&[-1, 0, 0]).unwrap();
    assert_eq!((made.depths, made.bits), (vec![0, 1, 1], vec![1, 3, 5]));
    for broken in [&[-1, 0][..], &[0, 0, 0], &[-1, 1, 0], &[-1, 0, -1]] {
        assert!(tree(broken).is_err(), "{broken:?}");
    }
    assert!(VerifyTree::from_parents(Vec::new(), Vec::new()).is_err());
}

#[test]
fn the_mask_of_a_frontier_is_the_way_from_the_root() {
    let mut tree = DraftTree::new();
    assert_eq!(
        cpu::tree_step(&mut tree, &[10, 11], &[-1.0, -0.5]).unwrap(),
        [0, 0]
    );
    assert_eq!(tree.frontier_tokens(), [11, 10]);
    assert_eq!((tree.tail(), tree.frontier_bits()), (2, vec![0b01, 0b10]));
    // Rows are those of the frontier: the first belongs to token 11.
    let parents = cpu::tree_step(&mut tree, &[20, 21, 22, 23], &[-3.0, -4.0, -0.1, -0.2]).unwrap();
    assert_eq!(parents, [1, 1]);
    assert_eq!(tree.frontier_tokens(), [22, 23]);
    assert_eq!(
        (tree.tail(), tree.frontier_bits()),
        (4, vec![0b0110, 0b1010])
    );

    let verify = cpu::tree_finalize(&tree, 7, 4).unwrap();
    assert_eq!(verify.tokens, [7, 10, 11, 22]);
    assert_eq!(verify.parents, [-1, 0, 0, 1]);
    assert_eq!(verify.depths, [0, 1, 1, 2]);
    assert_eq!(verify.bits, [0b0001, 0b0011, 0b0101, 0b1011]);
}

#[test]
fn a_parent_that_does_not_come_first_is_refused() {
    let error = cpu::accept(&[-1, 2, 0], &[0, 1, 2], &[0, 0, 0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "accept: parent of a node: 2 is out of range, the limit is 1"
    );
    assert!(cpu::accept(&[], &[], &[]).is_err());
    assert!(cpu::tree_finalize(&DraftTree::new(), 0, 0).is_err());
}
