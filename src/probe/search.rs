//! The search for the reading under which a head agrees best with its verifier.

use std::sync::atomic::AtomicBool;

use super::agreement::{Agreement, Difference};
use super::question::{Choices, Question};
use super::reading::Reading;
use super::rollout::Position;
use super::text::Text;
use crate::Result;
use crate::decoding::stop_if;
use crate::models::DraftHead;

/// Positions that all combinations of layers and norms are tried on.
const GRID_POSITIONS: usize = 256;
/// Combinations that are then held against the best so far on all texts.
const GRID_KEPT: usize = 2;
/// Times that all questions are gone through; two or three are what it takes.
const ROUNDS: usize = 6;

/// Runs a head in one reading after another, each once.
pub(crate) struct Search<'a> {
    heads: Vec<DraftHead>,
    choices: &'a Choices,
    texts: &'a [Text],
    measured: Vec<(Reading, Agreement)>,
    cancelled: &'a AtomicBool,
    /// Told the number of readings measured so far.
    progress: &'a mut dyn FnMut(usize),
}

impl<'a> Search<'a> {
    /// `heads` are those of the subject, one for each reading of `d2t`.
    pub(crate) fn new(
        heads: Vec<DraftHead>,
        choices: &'a Choices,
        texts: &'a [Text],
        cancelled: &'a AtomicBool,
        progress: &'a mut dyn FnMut(usize),
    ) -> Search<'a> {
        Search {
            heads,
            choices,
            texts,
            measured: Vec::new(),
            cancelled,
            progress,
        }
    }

    /// What there is to choose from.
    pub(crate) fn choices(&self) -> &'a Choices {
        self.choices
    }

    /// Readings measured so far.
    pub(crate) fn readings(&self) -> usize {
        self.measured.len()
    }

    /// The declared reading, or the nearest to it that can be run.
    pub(crate) fn start(&self) -> Reading {
        let declared = &self.choices.declared;
        let entries = declared.map_entries;
        let runnable = entries.is_none_or(|entries| self.choices.map_entries.contains(&entries));
        Reading {
            map_entries: if runnable {
                entries
            } else {
                self.choices.map_entries.first().copied()
            },
            // A norm that is there is taken to be meant until measured otherwise.
            norm_before_fc: declared.norm_before_fc || self.choices.input_norm,
            fc_norm: declared.fc_norm || self.choices.fc_norms,
            ..declared.clone()
        }
    }

    /// The reading that agrees best: one question is changed at a time until no change helps; then layers and norms are
    /// tried in all combinations, because two wrongs can hide each other.
    pub(crate) fn best(&mut self) -> Result<Reading> {
        let mut best = self.descend(self.start())?;
        for other in self.grid(&best)? {
            if self.score(&other)? > self.score(&best)? {
                best = self.descend(other)?;
            }
        }
        Ok(best)
    }

    /// What a reading comes to on all texts.
    pub(crate) fn agreement(&mut self, reading: &Reading) -> Result<Agreement> {
        if let Some((_, known)) = self.measured.iter().find(|(known, _)| known == reading) {
            return Ok(known.clone());
        }
        let texts = self.run(reading, usize::MAX)?;
        let agreement = Agreement::new(texts);
        self.measured.push((reading.clone(), agreement.clone()));
        (self.progress)(self.measured.len());
        Ok(agreement)
    }

    /// `reading` less `other`.
    pub(crate) fn difference(&mut self, reading: &Reading, other: &Reading) -> Result<Difference> {
        Ok(self.agreement(reading)?.difference(&self.agreement(other)?))
    }

    fn score(&mut self, reading: &Reading) -> Result<f64> {
        Ok(self.agreement(reading)?.score())
    }

    fn descend(&mut self, from: Reading) -> Result<Reading> {
        let mut best = from;
        for _ in 0..ROUNDS {
            let before = best.clone();
            for question in Question::ALL {
                for candidate in question.candidates(&best, self.choices) {
                    let better = self.score(&candidate.reading)? > self.score(&best)?;
                    // What makes no difference is left as it was.
                    if better && !self.difference(&candidate.reading, &best)?.is_none() {
                        best = candidate.reading;
                    }
                }
            }
            if best == before {
                break;
            }
        }
        Ok(best)
    }

    /// The best combinations of layers and norms on a part of the texts, with the other answers of `reading`.
    fn grid(&mut self, reading: &Reading) -> Result<Vec<Reading>> {
        let questions = [
            Question::AuxLayers,
            Question::NormBeforeResidual,
            Question::NormOutput,
            Question::NormBeforeFc,
            Question::FcNorm,
        ];
        let mut combinations = vec![reading.clone()];
        for question in questions {
            let spread = |reading: &Reading| {
                let candidates = question.candidates(reading, self.choices);
                if candidates.is_empty() {
                    return vec![reading.clone()];
                }
                candidates.into_iter().map(|one| one.reading).collect()
            };
            combinations = combinations.iter().flat_map(spread).collect();
        }
        let mut scored = Vec::new();
        for combination in combinations {
            let texts = self.run(&combination, GRID_POSITIONS)?;
            scored.push((Agreement::new(texts).score(), combination));
        }
        scored.sort_by(|one, other| other.0.total_cmp(&one.0));
        scored.truncate(GRID_KEPT);
        Ok(scored.into_iter().map(|(_, reading)| reading).collect())
    }

    /// Runs over the first texts that have so many positions, or all of them.
    fn run(&mut self, reading: &Reading, positions: usize) -> Result<Vec<Vec<Position>>> {
        let place = reading.map_entries.and_then(|entries| {
            let mut all = self.choices.map_entries.iter();
            all.position(|known| *known == entries)
        });
        let head = &mut self.heads[place.unwrap_or(0)];
        head.describe_as(reading.describe(head.description()));
        let (mut results, mut seen) = (Vec::new(), 0);
        for text in self.texts {
            if seen >= positions {
                break;
            }
            stop_if(self.cancelled)?;
            results.push(text.draft_with(head)?);
            seen += text.positions();
        }
        Ok(results)
    }
}
