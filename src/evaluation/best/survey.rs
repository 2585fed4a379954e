//! The survey of a run: each of its outputs is looked at once more, by the head from every position.

use std::sync::atomic::AtomicBool;

use super::simulation::RequestSurvey;
use super::{SURVEYED_DEPTH, calibrate};
use crate::Result;
use crate::decoding::{Choosing, DynamicTree, PositionSurvey, SurveyOptions, survey};
use crate::evaluation::{Evaluation, Outcome};

/// A request whose output is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SurveyedText {
    /// Which prompt of the file, and which of its turns, both from 0.
    pub place: [usize; 2],
    /// Request id.
    pub id: String,
    /// Prompt, in tokens.
    pub prompt_token_ids: Vec<u32>,
    /// Output, in tokens.
    pub output_token_ids: Vec<u32>,
    /// Seed of its noise.
    pub seed: u64,
}

impl From<&Outcome> for SurveyedText {
    fn from(outcome: &Outcome) -> SurveyedText {
        SurveyedText {
            place: outcome.place,
            id: outcome.id.clone(),
            prompt_token_ids: outcome.prompt_token_ids.clone(),
            output_token_ids: outcome.output_token_ids.clone(),
            seed: outcome.seed,
        }
    }
}

/// Children per node and levels of the dynamic trees that are grown at each position: SGLang's default width and
/// EAGLE's. Every smaller depth and every budget follow from them.
pub const SURVEYED_TREES: [(usize, usize); 2] = [(4, 8), (10, 8)];

/// Probabilities that are kept of the head's list: as many as a tree can take.
const KEPT: usize = 10;

impl Evaluation<'_> {
    /// Looks at every `every`-th position of the outputs of a run that was sampled by `sampling`. `watch` hears of each
    /// position with the id of its request.
    ///
    /// # Errors
    /// As for [`Evaluation::run`].
    pub fn survey(
        &self,
        texts: &[SurveyedText],
        choosing: &Choosing,
        every: usize,
        with_trees: bool,
        cancelled: &AtomicBool,
        watch: &mut dyn FnMut(&str, &PositionSurvey) -> Result<()>,
    ) -> Result<Vec<RequestSurvey>> {
        let options = SurveyOptions {
            depth: SURVEYED_DEPTH,
            top: KEPT,
            every,
            trees: match with_trees {
                true => trees(|| None),
                false => Vec::new(),
            },
        };
        let mut requests = Vec::with_capacity(texts.len());
        for text in texts {
            let mut request = RequestSurvey {
                id: text.id.clone(),
                every,
                positions: Vec::new(),
            };
            self.look(text, choosing, &options, cancelled, &mut |position| {
                watch(&text.id, &position)?;
                request.positions.push(position);
                Ok(())
            })?;
            requests.push(request);
        }
        Ok(requests)
    }

    /// Grows calibrated trees at the positions of a survey, which must be of these texts, and adds what comes of them.
    /// The requests of either half have trees that are calibrated by the other half; a single request has its own.
    /// `watch` hears of what is added.
    ///
    /// # Errors
    /// As for [`Evaluation::run`].
    pub fn survey_calibrated(
        &self,
        texts: &[SurveyedText],
        requests: &mut [RequestSurvey],
        choosing: &Choosing,
        every: usize,
        cancelled: &AtomicBool,
        watch: &mut dyn FnMut(&str, &PositionSurvey) -> Result<()>,
    ) -> Result<()> {
        let mut options = Vec::new();
        for half in 0..requests.len().min(2) {
            let calibration = calibrate(other_half(requests, half))?;
            options.push(SurveyOptions {
                depth: 0,
                top: 0,
                every,
                trees: trees(|| Some(calibration.clone())),
            });
        }
        for (index, (text, request)) in texts.iter().zip(requests).enumerate() {
            let mut known = request.positions.iter_mut();
            let options = &options[index % 2];
            self.look(text, choosing, options, cancelled, &mut |position| {
                watch(&text.id, &position)?;
                if let Some(known) = known.next() {
                    known.trees.extend(position.trees);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn look(
        &self,
        text: &SurveyedText,
        choosing: &Choosing,
        options: &SurveyOptions,
        cancelled: &AtomicBool,
        each: &mut dyn FnMut(PositionSurvey) -> Result<()>,
    ) -> Result<()> {
        let mut choosing = *choosing;
        choosing.sampling.seed = text.seed;
        survey(
            self.verifier,
            self.head,
            &text.prompt_token_ids,
            &text.output_token_ids,
            &choosing,
            options,
            cancelled,
            each,
        )
    }
}

/// The requests that are not in this half, 0 or 1; a single request is in both.
pub(super) fn other_half(
    requests: &[RequestSurvey],
    half: usize,
) -> impl Iterator<Item = &RequestSurvey> + Clone {
    let alone = requests.len() == 1;
    let all = requests.iter().enumerate();
    all.filter(move |(index, _)| alone || index % 2 != half)
        .map(|(_, request)| request)
}

fn trees(calibration: impl Fn() -> Option<crate::decoding::Calibration>) -> Vec<DynamicTree> {
    SURVEYED_TREES
        .map(|(top_k, depth)| DynamicTree {
            top_k,
            depth,
            calibration: calibration(),
            ..DynamicTree::default()
        })
        .to_vec()
}
