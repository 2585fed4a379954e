//! Decoding with speculation: draft, verify in one pass, keep what agrees.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use speculators_kernels::{Accepted, Draws, Sampling, VerifyTree};

use super::drafter::{Drafter, Drawing};
use super::limits::Limits;
use super::observation::Observer;
use super::plain::{lap, room, stop_if};
use super::record::{Chooser, DepthRecord, FinishReason, Generation, NearTie, StepRecord};
use super::sequence::Sequence;
use super::strategy::{Drafting, Strategy};
use super::verification::Verification;
use crate::Result;
use crate::models::{Cache, Choice, DraftHead, Verifier};

/// Continues a prompt greedily with a chain of `num_speculative_tokens` draft tokens per verifier pass. The output is
/// that of [`generate`](super::generate()). Setting `cancelled` ends it between two steps.
///
/// # Errors
///
/// As for [`speculate_with`].
pub fn speculate(
    verifier: &Verifier,
    head: &DraftHead,
    prompt: &[u32],
    limits: &Limits<'_>,
    num_speculative_tokens: usize,
    cancelled: &AtomicBool,
) -> Result<Generation> {
    speculate_with(
        verifier,
        head,
        prompt,
        limits,
        &Strategy::greedy_chain(num_speculative_tokens),
        cancelled,
        &mut |_, _| {},
    )
}

/// As [`speculate`], drafting and choosing tokens by `strategy`; the output is that of
/// [`generate_with`](super::generate_with()) for its sampling. `progress` hears of new tokens as they come, with the
/// step that made them (the first token comes from the prompt pass, which is no step).
///
/// # Errors
///
/// As for [`generate_with`](super::generate_with()); a diagnostic for a draft that cannot be made, such as a chain of
/// more than [`MAX_SPECULATIVE_TOKENS`](super::MAX_SPECULATIVE_TOKENS).
pub fn speculate_with(
    verifier: &Verifier,
    head: &DraftHead,
    prompt: &[u32],
    limits: &Limits<'_>,
    strategy: &Strategy,
    cancelled: &AtomicBool,
    progress: &mut dyn FnMut(&[u32], Option<&StepRecord>),
) -> Result<Generation> {
    let start = Instant::now();
    let mut speculation = Speculation::begin(verifier, head, prompt, limits, strategy, cancelled)?;
    progress(speculation.output(), None);
    let prefill = start.elapsed();
    let mut steps = Vec::new();
    loop {
        if let Some(finish) = speculation.finish() {
            return Ok(Generation {
                output_token_ids: speculation.output().to_vec(),
                steps,
                finish,
                prefill,
                // Looking at what was decoded is no part of decoding.
                total: start.elapsed().saturating_sub(speculation.observer.time),
            });
        }
        stop_if(cancelled)?;
        let step = speculation.step()?;
        let output = speculation.output();
        progress(&output[output.len() - step.emitted..], Some(&step));
        steps.push(step);
    }
}

/// A text that is being continued with speculation, step by step.
pub struct Speculation<'a> {
    head: &'a DraftHead,
    limits: &'a Limits<'a>,
    drafting: &'a Drafting,
    sampling: Sampling,
    verification: Verification,
    sequence: Sequence<'a>,
    drafter: Drafter<'a>,
    /// Width of a row of auxiliary states.
    auxiliary_width: usize,
    /// Positions that the last verifier pass has covered, rejected ones included.
    covered: usize,
    /// Tokens that the last step has accepted, and its bonus: what the head is to take in before it drafts.
    fresh: Vec<u32>,
    /// The head's choices for the last chain; nothing for a tree.
    choices: Vec<Choice>,
    observer: Observer,
    finish: Option<FinishReason>,
}

impl<'a> Speculation<'a> {
    /// Takes in a prompt, verifier and head, and emits the token after it.
    ///
    /// # Errors
    ///
    /// As for [`speculate_with`].
    pub fn begin(
        verifier: &'a Verifier,
        head: &'a DraftHead,
        prompt: &[u32],
        limits: &'a Limits<'a>,
        strategy: &'a Strategy,
        cancelled: &AtomicBool,
    ) -> Result<Speculation<'a>> {
        limits.check(verifier, prompt)?;
        let drafting = &strategy.drafting;
        strategy.check(head.description().draft_vocab_size)?;
        let room = room(prompt.len(), limits, drafting.tokens());
        let mut sequence =
            Sequence::new(verifier, head.auxiliary_layers(), strategy.choosing(), room)?;
        let mut drafter = Drafter::new(head, room)?;
        let first = sequence.prefill(prompt, |positions, pass, next| {
            stop_if(cancelled)?;
            // The features of a position go with the token after it.
            let mut following =
                prompt[positions.start + 1..prompt.len().min(positions.end + 1)].to_vec();
            following.extend(next);
            drafter.extend(&following, pass.auxiliary())
        })?;
        let (_, finish) = sequence.push([first], limits)?;
        Ok(Speculation {
            head,
            limits,
            drafting,
            sampling: strategy.sampling,
            verification: strategy.verification.under(&strategy.sampling),
            sequence,
            drafter,
            auxiliary_width: head.auxiliary_layers().len() * verifier.config().hidden_size,
            covered: prompt.len(),
            fresh: Vec::new(),
            choices: Vec::new(),
            observer: Observer::new(strategy.sampling),
            finish,
        })
    }

    /// Prompt and output so far.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        self.sequence.tokens()
    }

    /// The output so far.
    #[must_use]
    pub fn output(&self) -> &[u32] {
        self.sequence.output()
    }

    /// Why the output has ended, once it has.
    #[must_use]
    pub fn finish(&self) -> Option<FinishReason> {
        self.finish
    }

    /// The verifier's keys and values: of all tokens but the last, and after the step that ended the output of what
    /// it accepted.
    #[must_use]
    pub fn verifier_cache(&self) -> &Cache {
        self.sequence.cache()
    }

    /// The head's keys and values: of all tokens that were there before the last step but one, and behind them of
    /// what it drafted.
    #[must_use]
    pub fn head_cache(&self) -> &Cache {
        self.drafter.cache()
    }

    /// Drafts, verifies and appends what was accepted, and the verifier's own token after it. To be called as long as
    /// [`Speculation::finish`] has nothing to say.
    ///
    /// # Errors
    ///
    /// When memory is refused.
    pub fn step(&mut self) -> Result<StepRecord> {
        let begin = Instant::now();
        let mut mark = begin;
        let context_length = self.sequence.len();
        self.drafter.forget();
        // No two steps begin at the same position, so none has the noise of another.
        let draws = Draws::new(self.sampling.seed, context_length as u64);
        let mut drawing = Drawing::new(self.sampling, draws);
        let tree = self.draft(&mut drawing)?;
        let draft = lap(&mut mark);

        let vocabulary = self.head.vocabulary();
        let sequence = &mut self.sequence;
        let accepted =
            (self.verification).verify(sequence, &tree, &mut drawing, vocabulary, draws)?;
        let near_ties = near_ties(&self.choices, self.sequence.choices(), &accepted);
        let verify = lap(&mut mark);

        self.fresh.clear();
        let path = accepted.path.iter().map(|node| tree.tokens[*node]);
        self.fresh.extend(path.chain([accepted.bonus]));
        let observed = self.observer.time;
        let path = self.observe(&accepted)?;
        let observed = self.observer.time - observed;
        self.covered = context_length + tree.tokens.len() - 1;
        let (emitted, finish) = self.sequence.accept(&tree, &accepted, self.limits)?;
        self.finish = finish;
        let mut proposed_per_depth = vec![0; tree.depths.iter().max().map_or(0, |d| *d as usize)];
        for depth in &tree.depths[1..] {
            proposed_per_depth[*depth as usize - 1] += 1;
        }
        Ok(StepRecord {
            context_length,
            proposed: tree.tokens[1..].to_vec(),
            proposed_per_depth,
            accepted: accepted.path.len(),
            emitted,
            path,
            near_ties,
            draft,
            verify,
            other: begin.elapsed().saturating_sub(draft + verify + observed),
        })
    }

    /// What verifier and head held of the tokens of a step, which are the fresh ones.
    fn observe(&mut self, accepted: &Accepted) -> Result<Vec<DepthRecord>> {
        let width = self.sequence.vocabulary();
        let logits = self.sequence.logits();
        let nodes = std::iter::once(0).chain(accepted.path.iter().copied());
        let said = self.drafter.said_along(self.fresh.iter().copied());
        self.observer.look(
            self.fresh.iter().copied(),
            nodes.map(|node| &logits[node * width..(node + 1) * width]),
            &said,
            self.head.vocabulary(),
        )
    }

    /// The draft of a step, below the last token.
    fn draft(&mut self, drawing: &mut Drawing) -> Result<VerifyTree> {
        let context_length = self.sequence.len();
        let root = self.sequence.tokens()[context_length - 1];
        self.choices.clear();
        // What is verified must leave room in the context for the token after it.
        let room = (self.limits.context_length - 1).saturating_sub(context_length);
        let reach = self.head.description().max_position_embeddings;
        // A tree is cut at the depth for which there is room, and which the head can see.
        let depth = room
            .min(reach.saturating_sub(context_length))
            .min(self.drafting.depth());
        match self.drafting {
            Drafting::Chain {
                num_speculative_tokens,
            } => {
                let reach = reach.min(self.limits.context_length);
                let mut drafted = self.draft_chain(*num_speculative_tokens, reach, drawing)?;
                drafted.truncate(room);
                Ok(VerifyTree::chain(root, &drafted))
            }
            _ if depth == 0 => Ok(VerifyTree::chain(root, &[])),
            Drafting::DynamicTree(tree) => {
                self.extend()?;
                self.drafter.grow(root, tree, depth)
            }
            Drafting::StaticTree(tree) => {
                self.extend()?;
                let drawing = self.verification.draws().then_some(drawing);
                self.drafter.fill(root, tree, depth, drawing)
            }
        }
    }

    fn draft_chain(
        &mut self,
        count: usize,
        reach: usize,
        drawing: &mut Drawing,
    ) -> Result<Vec<u32>> {
        if self.covered + count > reach {
            // Where a chain would lead beyond what the head can see, vLLM has token 0 verified in its place, and
            // counts it.
            return Ok(vec![0; count]);
        }
        self.extend()?;
        if self.verification.draws() {
            return self.drafter.draw(count, drawing);
        }
        self.drafter.draft(count, &mut self.choices)?;
        Ok(self.choices.iter().map(|choice| choice.token).collect())
    }

    /// Has the head take in what the last step has brought.
    fn extend(&mut self) -> Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        // Of the rows that were verified, the accepted ones come first.
        let rows = self.fresh.len() * self.auxiliary_width;
        self.drafter
            .extend(&self.fresh, &self.sequence.auxiliary()[..rows])
    }
}

/// The close choices of a step that mattered: all drafted ones up to the first that was rejected, and the verifier's
/// on the accepted path.
fn near_ties(drafted: &[Choice], verified: &[Choice], accepted: &Accepted) -> Vec<NearTie> {
    let head = drafted.iter().take(accepted.path.len() + 1);
    let path = std::iter::once(0).chain(accepted.path.iter().copied());
    let verifier = path.filter_map(|node| verified.get(node));
    close(Chooser::Head, head)
        .chain(close(Chooser::Verifier, verifier))
        .collect()
}

fn close<'a>(
    by: Chooser,
    choices: impl Iterator<Item = &'a Choice>,
) -> impl Iterator<Item = NearTie> {
    choices
        .enumerate()
        .filter(|(_, choice)| choice.is_near_tie())
        .map(move |(depth, &choice)| NearTie { by, depth, choice })
}
