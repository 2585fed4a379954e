//! A chance that tries every outcome.

use std::collections::BTreeSet;

use speculators_kernels::{Chance, Event};

/// One run through a rule: decides as told, and knows how probable that was.
#[derive(Default)]
pub struct Every {
    /// Of each decision so far, what was chosen and the probabilities of the choices.
    decisions: Vec<(usize, Vec<f64>)>,
    next: usize,
    /// The probability of this run.
    pub weight: f64,
    named: BTreeSet<Event>,
}

impl Every {
    fn decide(&mut self, event: Event, probabilities: Vec<f64>) -> usize {
        // Two decisions of one name would get the same noise from `Draws`.
        assert!(self.named.insert(event), "{event:?} is decided twice");
        if self.next == self.decisions.len() {
            let first = probabilities.iter().position(|p| *p > 0.0).unwrap();
            self.decisions.push((first, probabilities));
        }
        let (choice, probabilities) = &self.decisions[self.next];
        self.next += 1;
        self.weight *= probabilities[*choice];
        *choice
    }

    /// Moves on to the next run; false when all were made.
    fn advance(&mut self) -> bool {
        assert_eq!(self.next, self.decisions.len());
        while let Some((choice, probabilities)) = self.decisions.pop() {
            let later = (choice + 1..probabilities.len()).find(|other| probabilities[*other] > 0.0);
            if let Some(later) = later {
                self.decisions.push((later, probabilities));
                return true;
            }
        }
        false
    }
}

impl Chance for Every {
    fn happens(&mut self, event: Event, probability: f64) -> bool {
        let probability = if probability > 0.0 {
            probability.min(1.0)
        } else {
            0.0
        };
        self.decide(event, vec![1.0 - probability, probability]) == 1
    }

    fn token(&mut self, event: Event, count: usize, weight: impl Fn(usize) -> f64) -> Option<u32> {
        let mut weights: Vec<f64> = (0..count).map(weight).map(|w| w.max(0.0)).collect();
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            return None;
        }
        weights.iter_mut().for_each(|weight| *weight /= total);
        Some(self.decide(event, weights) as u32)
    }
}

/// Runs a body once for every way in which its decisions can turn out.
pub fn every(mut body: impl FnMut(&mut Every)) {
    let mut chance = Every::default();
    loop {
        chance.next = 0;
        chance.weight = 1.0;
        chance.named.clear();
        body(&mut chance);
        if !chance.advance() {
            return;
        }
    }
}
