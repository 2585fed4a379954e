//! Looking at what verifier and head held of the tokens of a step. It changes nothing, and its time is nobody's.

use std::time::{Duration, Instant};

use speculators_kernels::{DraftVocabulary, Sampling, cpu};

use super::record::DepthRecord;
use crate::Result;

/// Looks at distributions, and counts what that costs.
pub(crate) struct Observer {
    sampling: Sampling,
    target: Vec<f32>,
    draft: Vec<f32>,
    /// Time spent so far.
    pub(crate) time: Duration,
}

impl Observer {
    pub(crate) fn new(sampling: Sampling) -> Observer {
        Observer {
            // Without chance every probability would be 0 or 1, which says nothing of how sure either was.
            sampling: match sampling.is_greedy() {
                true => Sampling::with_temperature(1.0, 0),
                false => sampling,
            },
            target: Vec::new(),
            draft: Vec::new(),
            time: Duration::ZERO,
        }
    }

    /// Looks at the tokens that came out one after the other. `target` are the verifier's logits for each, `draft` the
    /// head's for as many of them as it was asked about.
    pub(crate) fn look<'l>(
        &mut self,
        tokens: impl IntoIterator<Item = u32>,
        target: impl IntoIterator<Item = &'l [f32]>,
        draft: &[&[f32]],
        vocabulary: &DraftVocabulary,
    ) -> Result<Vec<DepthRecord>> {
        let begin = Instant::now();
        let rows = tokens.into_iter().zip(target).zip(draft);
        let records = rows
            .map(|((token, target), draft)| self.depth(token, target, draft, vocabulary))
            .collect();
        self.time += begin.elapsed();
        records
    }

    fn depth(
        &mut self,
        token: u32,
        target: &[f32],
        draft: &[f32],
        vocabulary: &DraftVocabulary,
    ) -> Result<DepthRecord> {
        let Observer {
            sampling,
            target: p,
            draft: q,
            ..
        } = self;
        p.resize(target.len(), 0.0);
        q.resize(draft.len(), 0.0);
        cpu::probabilities(target, target.len(), sampling, p)?;
        cpu::probabilities(draft, draft.len(), sampling, q)?;
        let overlap: f64 = match vocabulary.verifier_ids() {
            Some(ids) => {
                let pairs = q.iter().zip(ids);
                pairs.map(|(q, id)| f64::from(q.min(p[*id as usize]))).sum()
            }
            None => q
                .iter()
                .zip(p.iter())
                .map(|(q, p)| f64::from(q.min(*p)))
                .sum(),
        };
        let column = vocabulary.to_draft(token).map(|column| column as usize);
        Ok(DepthRecord {
            rank: column.map(|column| rank(draft, column)),
            p: p[token as usize],
            q: column.map_or(0.0, |column| q[column]),
            top_q: q.iter().copied().fold(0.0, f32::max),
            overlap: overlap.min(1.0) as f32,
        })
    }
}

/// How many columns come before one: those with larger logits, and those with the same further in front.
pub(crate) fn rank(logits: &[f32], column: usize) -> usize {
    let own = logits[column];
    let before = logits[..column].iter().filter(|other| **other >= own);
    before.count()
        + logits[column + 1..]
            .iter()
            .filter(|other| **other > own)
            .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_looked_at_in_both_distributions() {
        // The head has tokens 0, 2, 3 of the verifier's four.
        let vocabulary = DraftVocabulary::new(&[0, 2, 3], 4).unwrap();
        let ln = |probabilities: &[f32]| probabilities.iter().map(|p| p.ln()).collect::<Vec<_>>();
        let target = [ln(&[0.1, 0.2, 0.3, 0.4]), ln(&[0.1, 0.7, 0.1, 0.1])];
        let draft = [ln(&[0.25, 0.5, 0.25]), ln(&[0.2, 0.6, 0.2])];
        let mut observer = Observer::new(Sampling::greedy());
        let found = observer
            .look(
                [3, 1],
                target.iter().map(|row| &row[..]),
                &[&draft[0], &draft[1]],
                &vocabulary,
            )
            .unwrap();
        let close = |found: f32, expected: f32| (found - expected).abs() < 1e-6;
        // On a tie the one in front comes first: token 3 is the last of three.
        assert_eq!(found[0].rank, Some(2));
        assert!(close(found[0].p, 0.4) && close(found[0].q, 0.25) && close(found[0].top_q, 0.5));
        assert!(close(found[0].overlap, 0.1 + 0.3 + 0.25));
        assert_eq!((found[1].rank, found[1].q), (None, 0.0));
        assert!(close(found[1].p, 0.7) && close(found[1].overlap, 0.3));
        // Filters count: with the likeliest token alone, both are certain.
        let filtered = Sampling {
            top_k: 1,
            ..Sampling::with_temperature(0.5, 0)
        };
        let found = Observer::new(filtered)
            .look([3], [&target[0][..]], &[&draft[0]], &vocabulary)
            .unwrap();
        assert_eq!((found[0].p, found[0].q, found[0].overlap), (1.0, 0.0, 0.0));
    }

    #[test]
    fn nothing_is_said_of_what_the_head_was_not_asked_about() {
        let vocabulary = DraftVocabulary::full(2);
        let mut observer = Observer::new(Sampling::greedy());
        let rows = [[0.0, 1.0], [1.0, 0.0]];
        let found = observer.look(
            [1, 0],
            rows.iter().map(|row| &row[..]),
            &[&[0.0, 2.0]],
            &vocabulary,
        );
        assert_eq!(found.unwrap().len(), 1);
    }
}
