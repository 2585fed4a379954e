//! The progress bar of an evaluation: it moves with every step, and shows what acceptance comes to so far.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use speculators::evaluation::{Event, RequestFigures};

use crate::progress;
use crate::session::Session;

/// Parts that a request is counted in.
const PARTS: u64 = 1000;

/// A bar over requests that moves within them, too.
pub struct Bar {
    bar: ProgressBar,
    to_run: usize,
    /// Output limit per request: what one is taken to come to until some have ended.
    max_new_tokens: usize,
    finished: usize,
    /// Tokens of the finished ones.
    tokens: usize,
    /// Requests under way, and the tokens they have.
    under_way: BTreeMap<String, usize>,
    /// Steps with a draft, and what they accepted; those of an earlier run count.
    steps: usize,
    accepted: usize,
}

impl Bar {
    /// Over so many requests; `kept` are those of an earlier run.
    pub fn new(
        session: &Session,
        to_run: usize,
        max_new_tokens: usize,
        kept: &[RequestFigures],
    ) -> Bar {
        let mut bar = Bar {
            bar: progress::parts_bar(session, PARTS * to_run as u64, "evaluating"),
            to_run,
            max_new_tokens,
            finished: 0,
            tokens: 0,
            under_way: BTreeMap::new(),
            steps: 0,
            accepted: 0,
        };
        for step in kept.iter().flat_map(|request| &request.steps) {
            bar.count(step.proposed.is_empty(), step.accepted);
        }
        bar
    }

    /// Moves by a step or a request.
    pub fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Step { id, step, .. } => {
                // The first token comes before the first step.
                *self.under_way.entry((*id).to_owned()).or_insert(1) += step.emitted;
                self.count(step.proposed.is_empty(), step.accepted);
            }
            Event::Finished(outcome) => {
                self.under_way.remove(&outcome.id);
                self.finished += 1;
                self.tokens += outcome.output_token_ids.len();
            }
        }
        self.bar.set_position(self.position());
        self.bar.set_message(self.message());
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn count(&mut self, nothing_drafted: bool, accepted: usize) {
        self.steps += usize::from(!nothing_drafted);
        self.accepted += accepted;
    }

    fn position(&self) -> u64 {
        // Outputs end where texts end, so that finished ones say better than the limit how long one is.
        let expected = match self.finished {
            0 => self.max_new_tokens,
            finished => self.tokens.div_ceil(finished),
        } as u64;
        let part = |tokens: &usize| (PARTS * *tokens as u64 / expected.max(1)).min(PARTS - 1);
        PARTS * self.finished as u64 + self.under_way.values().map(part).sum::<u64>()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn message(&self) -> String {
        let requests = format!("{}/{} requests", self.finished, self.to_run);
        if self.steps == 0 {
            return requests;
        }
        let length = 1.0 + self.accepted as f64 / self.steps as f64;
        format!("{requests}, mean length {length:.2}")
    }
}
