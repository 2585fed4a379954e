//! What a run would have done, from a survey of its text.

use std::collections::HashMap;

use crate::decoding::{Drafting, PositionSurvey, StaticTree, TreePlaces};

/// What the head held along one output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestSurvey {
    /// Request id.
    pub id: String,
    /// 1 where every position was looked at, 2 for every other, and so on.
    pub every: usize,
    /// Positions, in their order.
    pub positions: Vec<PositionSurvey>,
}

/// Surveys on their way in from records.
#[derive(Debug, Default)]
pub(crate) struct Surveys {
    pub(crate) requests: Vec<RequestSurvey>,
    /// Of each request and position, where it is.
    known: HashMap<(String, usize), (usize, usize)>,
}

impl Surveys {
    /// Takes in a line. What is said of a position that is known is added to it.
    pub(crate) fn add(&mut self, id: String, every: usize, position: PositionSurvey) {
        let key = (id, position.context_length);
        if let Some((request, place)) = self.known.get(&key) {
            let known = &mut self.requests[*request].positions[*place];
            known.trees.extend(position.trees);
            return;
        }
        // Lines of a request stand together.
        if self.requests.last().is_none_or(|last| last.id != key.0) {
            self.requests.push(RequestSurvey {
                id: key.0.clone(),
                every,
                positions: Vec::new(),
            });
        }
        let request = self.requests.len() - 1;
        let positions = &mut self.requests[request].positions;
        self.known.insert(key, (request, positions.len()));
        positions.push(position);
    }
}

/// A step that a run would have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedStep {
    /// Tokens before it: prompt and output so far.
    pub context_length: usize,
    /// Draft tokens it would have accepted, those included that the end of the output would have cut.
    pub accepted: usize,
    /// Tokens it would have added to the output, after cutting.
    pub emitted: usize,
}

/// Steps of a simulation, in sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// Steps with a draft.
    pub steps: usize,
    /// Draft tokens accepted.
    pub accepted: usize,
    /// Tokens added to outputs.
    pub emitted: usize,
}

impl RequestSurvey {
    /// Whether each position follows the one before it.
    #[must_use]
    pub fn is_gapless(&self) -> bool {
        self.every == 1
    }
}

impl Simulation {
    /// 1 + accepted / steps.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn mean_length(&self) -> f64 {
        if self.steps == 0 {
            return 1.0;
        }
        1.0 + self.accepted as f64 / self.steps as f64
    }

    /// Tokens that come out of a step, on average: less than the mean length where outputs are short.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub(super) fn emitted_length(&self) -> f64 {
        if self.steps == 0 {
            return 1.0;
        }
        self.emitted as f64 / self.steps as f64
    }

    /// Adds another simulation.
    pub(super) fn add(&mut self, other: Simulation) {
        self.steps += other.steps;
        self.accepted += other.accepted;
        self.emitted += other.emitted;
    }

    /// Over some requests, each step accepting what `accepted` says of its position; none where it cannot say.
    pub(super) fn of<'a>(
        requests: impl Iterator<Item = &'a RequestSurvey>,
        accepted: impl Fn(&PositionSurvey) -> Option<usize>,
    ) -> Option<Simulation> {
        let mut sum = Simulation::default();
        for request in requests {
            for step in walk(request, &accepted)? {
                sum.steps += 1;
                sum.accepted += step.accepted;
                sum.emitted += step.emitted;
            }
        }
        Some(sum)
    }
}

/// The steps that a run with `drafting` would have made of this output, as far as it agreed with the verifier token for
/// token (greedily, or by the noise of the position). None where the survey does not reach: a longer chain, or a dynamic
/// tree that was not grown.
///
/// Where the survey left positions out, each of its positions is a step.
#[must_use]
pub fn simulate(request: &RequestSurvey, drafting: &Drafting) -> Option<Vec<SimulatedStep>> {
    walk(request, |position| match drafting {
        Drafting::Chain {
            num_speculative_tokens,
        } => chain(position, *num_speculative_tokens),
        Drafting::StaticTree(tree) => fixed(position, tree),
        Drafting::DynamicTree(tree) => {
            let calibrated = tree.calibration.is_some();
            dynamic(position, calibrated, tree.top_k, tree.depth, tree.budget)
        }
    })
}

fn walk(
    request: &RequestSurvey,
    accepted: impl Fn(&PositionSurvey) -> Option<usize>,
) -> Option<Vec<SimulatedStep>> {
    let gapless = request.is_gapless();
    let mut steps = Vec::new();
    let mut at = 0;
    while let Some(position) = request.positions.get(at) {
        let accepted = accepted(position)?;
        // At the end of the context there is nothing to draft for.
        if !position.ranks.is_empty() {
            steps.push(SimulatedStep {
                context_length: position.context_length,
                accepted,
                emitted: match gapless {
                    // There is a position for each token but the first one.
                    true => (accepted + 1).min(request.positions.len() - at),
                    false => accepted + 1,
                },
            });
        }
        at += if gapless { accepted + 1 } else { 1 };
    }
    Some(steps)
}

/// What a chain would accept.
pub(super) fn chain(position: &PositionSurvey, length: usize) -> Option<usize> {
    if length > super::SURVEYED_DEPTH {
        return None;
    }
    let favourites = position.ranks.iter().take(length);
    Some(favourites.take_while(|rank| **rank == Some(0)).count())
}

/// What a static tree would accept.
pub(super) fn fixed(position: &PositionSurvey, tree: &StaticTree) -> Option<usize> {
    if tree.depth() > super::SURVEYED_DEPTH {
        return None;
    }
    let path: Vec<usize> = position
        .ranks
        .iter()
        .copied()
        .map_while(|rank| rank)
        .collect();
    // Paths come shorter ones first, and every path after its parent.
    let there = |length: &usize| {
        let path = &path[..*length];
        let order = |other: &Vec<usize>| {
            let lengths = other.len().cmp(&path.len());
            lengths.then_with(|| other.as_slice().cmp(path))
        };
        tree.paths().binary_search_by(order).is_ok()
    };
    Some((1..=path.len()).take_while(there).count())
}

/// What a dynamic tree would accept.
pub(super) fn dynamic(
    position: &PositionSurvey,
    calibrated: bool,
    top_k: usize,
    depth: usize,
    budget: usize,
) -> Option<usize> {
    let grown = |tree: &&TreePlaces| tree.top_k == top_k && tree.calibrated == calibrated;
    let tree = position.trees.iter().find(grown)?;
    // The tree was grown less deep only where the context ends.
    let depth = depth.min(tree.depth);
    let path = tree.places.iter().enumerate().take(depth);
    let kept = path.take_while(|(above, places)| {
        let place = places.get(depth - above - 1);
        place.is_some_and(|place| *place < budget)
    });
    Some(kept.count())
}
