//! Every setting that a survey can say something about, with its mean length.
//!
//! The static tree of n draft tokens that accepts most is that of the n most frequent rank paths: each node is worth the
//! share of positions whose text goes through it, and a path is never more frequent than its beginning, so that the most
//! frequent ones are a tree.

use std::collections::HashMap;

use super::latency::LatencyModel;
use super::simulation::{RequestSurvey, Simulation, chain, dynamic, fixed};
use super::survey::other_half;
use super::{BUDGETS, BestSetting, SURVEYED_DEPTH, SURVEYED_TREES, Shape};
use crate::Result;
use crate::decoding::{MAX_TREE_WIDTH, StaticTree};

/// A setting, and what is needed to say how long a step takes.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    shape: Shape,
    budget: usize,
    depth: usize,
    top_k: Option<usize>,
    simulation: Simulation,
    /// Rows of each pass of the head after the first.
    passes: Vec<usize>,
}

impl Candidate {
    /// With its predictions, where there are times.
    pub(super) fn setting(&self, latency: Option<&LatencyModel>) -> BestSetting {
        let mean_length = self.simulation.mean_length();
        let step = latency.map(|model| model.step_ms(mean_length, self.budget, &self.passes));
        BestSetting {
            shape: self.shape,
            budget: self.budget,
            depth: self.depth,
            top_k: self.top_k,
            mean_length,
            predicted_step_ms: step,
            predicted_speed_up: latency
                .zip(step)
                .map(|(model, step)| self.simulation.emitted_length() * model.plain_ms() / step),
        }
    }
}

/// All settings that were surveyed.
pub(super) fn simulated(requests: &[RequestSurvey]) -> Result<Vec<Candidate>> {
    let mut found = Vec::new();
    for length in 1..=SURVEYED_DEPTH {
        let simulation = Simulation::of(requests.iter(), |position| chain(position, length));
        found.extend(simulation.map(|simulation| Candidate {
            shape: Shape::Chain,
            budget: length,
            depth: length,
            top_k: None,
            simulation,
            passes: vec![1; length - 1],
        }));
    }
    fixed_trees(requests, &mut found)?;
    for (calibrated, shape) in [(false, Shape::Dynamic), (true, Shape::Calibrated)] {
        for (top_k, deepest) in SURVEYED_TREES {
            for depth in 1..=deepest {
                // A level has no more candidates than this, and without levels below none of them is expanded.
                let most = top_k + (depth - 1) * top_k * top_k;
                for budget in BUDGETS
                    .into_iter()
                    .filter(|budget| (depth..=most).contains(budget))
                {
                    let simulation = Simulation::of(requests.iter(), |position| {
                        dynamic(position, calibrated, top_k, depth, budget)
                    });
                    found.extend(simulation.map(|simulation| Candidate {
                        shape,
                        budget,
                        depth,
                        top_k: Some(top_k),
                        simulation,
                        passes: vec![top_k; depth - 1],
                    }));
                }
            }
        }
    }
    Ok(found)
}

fn fixed_trees(requests: &[RequestSurvey], found: &mut Vec<Candidate>) -> Result<()> {
    let all = frequent(requests.iter());
    let halves = [0, 1].map(|half| frequent(other_half(requests, half)));
    for depth in 1..=SURVEYED_DEPTH {
        for budget in BUDGETS.into_iter().filter(|budget| *budget >= depth) {
            let Some(tree) = tree_of(&all, budget, depth)? else {
                continue;
            };
            // A tree with fewer nodes is one of a smaller budget.
            if tree.paths().len() < budget || tree.depth() < depth {
                continue;
            }
            let mut simulation = Simulation::default();
            for (half, frequent) in halves.iter().enumerate() {
                let mine = requests.iter().enumerate();
                let mine = mine.filter(|(index, _)| index % 2 == half);
                let tree = tree_of(frequent, budget, depth)?;
                let part = Simulation::of(mine.map(|(_, request)| request), |position| {
                    tree.as_ref().map_or(Some(0), |tree| fixed(position, tree))
                });
                simulation.add(part.unwrap_or_default());
            }
            found.push(Candidate {
                shape: Shape::Static,
                budget,
                depth,
                top_k: None,
                simulation,
                passes: passes(&tree),
            });
        }
    }
    Ok(())
}

/// The tree of `budget` draft tokens, none deeper than `depth`, that accepts most at the positions of some requests; none
/// where there is not one draft token to be accepted.
pub(super) fn best_tree<'a>(
    requests: impl Iterator<Item = &'a RequestSurvey>,
    budget: usize,
    depth: usize,
) -> Result<Option<StaticTree>> {
    tree_of(&frequent(requests), budget, depth)
}

fn tree_of(frequent: &[Vec<usize>], budget: usize, depth: usize) -> Result<Option<StaticTree>> {
    let paths = frequent.iter().filter(|path| path.len() <= depth);
    let paths: Vec<Vec<usize>> = paths.take(budget).cloned().collect();
    if paths.is_empty() {
        return Ok(None);
    }
    StaticTree::new(paths).map(Some)
}

/// Rank paths of the text, the most frequent first; of equally frequent ones the shorter, then those of smaller ranks.
fn frequent<'a>(requests: impl Iterator<Item = &'a RequestSurvey>) -> Vec<Vec<usize>> {
    let mut counts: HashMap<Vec<usize>, usize> = HashMap::new();
    for position in requests.flat_map(|request| &request.positions) {
        let ranks = position.ranks.iter().copied();
        let path = ranks.map_while(|rank| rank.filter(|rank| *rank < MAX_TREE_WIDTH));
        let path: Vec<usize> = path.collect();
        for length in 1..=path.len() {
            *counts.entry(path[..length].to_vec()).or_default() += 1;
        }
    }
    let mut paths: Vec<(Vec<usize>, usize)> = counts.into_iter().collect();
    paths.sort_by(|(a, count), (b, other)| {
        let order = other.cmp(count).then(a.len().cmp(&b.len()));
        order.then_with(|| a.cmp(b))
    });
    paths.into_iter().map(|(path, _)| path).collect()
}

/// Of each level but the last, the nodes that have children: the rows of the head's passes.
fn passes(tree: &StaticTree) -> Vec<usize> {
    let mut rows = vec![0; tree.depth().saturating_sub(1)];
    let mut parents: Vec<&[usize]> = tree
        .paths()
        .iter()
        .filter_map(|path| path.split_last().map(|(_, parent)| parent))
        .filter(|parent| !parent.is_empty())
        .collect();
    // Children of a node stand side by side.
    parents.dedup();
    for parent in parents {
        rows[parent.len() - 1] += 1;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_over_the_nodes_with_children() {
        let tree = StaticTree::new(vec![
            vec![0],
            vec![1],
            vec![0, 0],
            vec![0, 1],
            vec![1, 0],
            vec![0, 1, 0],
            vec![0, 1, 1],
        ]);
        assert_eq!(passes(&tree.unwrap()), [2, 1]);
    }
}
