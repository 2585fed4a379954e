//! The verifier's side of one text: its tokens, its cache, and passes over what comes next.

use std::ops::Range;

use speculators_kernels::{Accepted, VerifyTree, causal_bits, cpu};

use super::choosing::{Choosing, occurrences};
use super::limits::Limits;
use super::record::FinishReason;
use crate::Result;
use crate::models::{Cache, Choice, Verifier, VerifierPass, choose};

/// Rows of one pass over a prompt: enough to be bound by arithmetic, few enough for small buffers.
const PROMPT_ROWS: usize = 256;

/// A text in the making. All tokens but the last are in the cache between steps.
pub(crate) struct Sequence<'a> {
    verifier: &'a Verifier,
    auxiliary: &'a [usize],
    choosing: Choosing,
    tokens: Vec<u32>,
    prompt_length: usize,
    cache: Cache,
    pass: VerifierPass,
    logits: Vec<f32>,
    targets: Vec<u32>,
    distributions: Vec<f32>,
    choices: Vec<Choice>,
}

impl<'a> Sequence<'a> {
    /// `auxiliary` are the layers whose output is kept for a head; `room` the tokens that are to be expected.
    pub(crate) fn new(
        verifier: &'a Verifier,
        auxiliary: &'a [usize],
        choosing: Choosing,
        room: usize,
    ) -> Result<Sequence<'a>> {
        Ok(Sequence {
            verifier,
            auxiliary,
            choosing,
            tokens: Vec::with_capacity(room),
            prompt_length: 0,
            cache: verifier.cache(room)?,
            pass: VerifierPass::default(),
            logits: Vec::new(),
            targets: Vec::new(),
            distributions: Vec::new(),
            choices: Vec::new(),
        })
    }

    /// Tokens so far, prompt and output.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Prompt and output so far.
    pub(crate) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The output so far.
    pub(crate) fn output(&self) -> &[u32] {
        &self.tokens[self.prompt_length..]
    }

    /// Keys and values of all tokens but the last.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Auxiliary states of the last pass, `[rows, layers * hidden]`; after [`Sequence::accept`] of the accepted rows.
    pub(crate) fn auxiliary(&self) -> &[f32] {
        self.pass.auxiliary()
    }

    /// Tokens the verifier knows.
    pub(crate) fn vocabulary(&self) -> usize {
        self.verifier.config().vocab_size
    }

    /// Logits of the last choices, `[rows, vocab]`.
    pub(crate) fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// What the verifier chose after each row of the last pass, and what it preferred it to; nothing when it sampled.
    pub(crate) fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// Takes in a prompt and returns the token that follows it. `each` hears of every pass: the positions it covered
    /// and, with the last one, the token that follows.
    pub(crate) fn prefill(
        &mut self,
        prompt: &[u32],
        mut each: impl FnMut(Range<usize>, &VerifierPass, Option<u32>) -> Result<()>,
    ) -> Result<u32> {
        self.tokens.extend_from_slice(prompt);
        self.prompt_length = prompt.len();
        let mut start = 0;
        loop {
            let end = prompt.len().min(start + PROMPT_ROWS);
            let positions: Vec<u32> = (start as u32..end as u32).collect();
            self.run(&prompt[start..end], &positions, &causal_bits(end - start))?;
            if end == prompt.len() {
                self.verifier
                    .logits(self.pass.hidden_row(end - start - 1), &mut self.logits)?;
                let next = VerifyTree::chain(prompt[end - 1], &[]);
                self.penalize(&next)?;
                self.choose(&[end as u64])?;
                let next = self.targets[0];
                each(start..end, &self.pass, Some(next))?;
                return Ok(next);
            }
            each(start..end, &self.pass, None)?;
            start = end;
        }
    }

    /// What the verifier chooses after each node of a tree, whose root is the last token of the text.
    pub(crate) fn verify(&mut self, tree: &VerifyTree) -> Result<&[u32]> {
        let root = self.cache.len() as u64;
        self.visit(tree)?;
        let following: Vec<u64> = tree
            .depths
            .iter()
            .map(|at| root + u64::from(*at) + 1)
            .collect();
        self.choose(&following)?;
        Ok(&self.targets)
    }

    /// What the verifier would draw from after each node of a tree, `[nodes, vocab]`.
    pub(crate) fn distributions(&mut self, tree: &VerifyTree) -> Result<&[f32]> {
        self.visit(tree)?;
        self.choices.clear();
        self.distributions.resize(self.logits.len(), 0.0);
        cpu::probabilities(
            &self.logits,
            self.verifier.config().vocab_size,
            &self.choosing.sampling,
            &mut self.distributions,
        )?;
        Ok(&self.distributions)
    }

    /// A pass over a tree, and the logits at its nodes with what is taken off them there.
    fn visit(&mut self, tree: &VerifyTree) -> Result<()> {
        let root = self.cache.len() as u32;
        let positions: Vec<u32> = tree.depths.iter().map(|depth| root + depth).collect();
        self.run(&tree.tokens, &positions, &tree.bits)?;
        self.verifier.logits(self.pass.hidden(), &mut self.logits)?;
        self.penalize(tree)
    }

    /// Takes penalties off the logits; those of a node count the draft tokens that lead to it.
    fn penalize(&mut self, tree: &VerifyTree) -> Result<()> {
        let penalties = &self.choosing.penalties;
        if penalties.is_none() {
            return Ok(());
        }
        let mut paths: Vec<Vec<u32>> = vec![Vec::new(); tree.tokens.len()];
        for node in 1..tree.tokens.len() {
            if let Ok(parent) = usize::try_from(tree.parents[node]) {
                paths[node] = paths[parent].clone();
                paths[node].push(tree.tokens[node]);
            }
        }
        let paths: Vec<&[u32]> = paths.iter().map(Vec::as_slice).collect();
        let prompt = &self.tokens[..self.prompt_length];
        let seen = occurrences(prompt, self.output());
        let width = self.verifier.config().vocab_size;
        cpu::penalize(&mut self.logits, width, penalties, &seen, &paths)?;
        Ok(())
    }

    /// Keeps of the last pass, that over `tree`, the root and the accepted nodes, in the cache as in the auxiliary
    /// states, and appends their tokens and the bonus as [`Sequence::push`] does.
    pub(crate) fn accept(
        &mut self,
        tree: &VerifyTree,
        accepted: &Accepted,
        limits: &Limits<'_>,
    ) -> Result<(usize, Option<FinishReason>)> {
        let rows: Vec<usize> = std::iter::once(0)
            .chain(accepted.path.iter().copied())
            .collect();
        self.cache
            .compact(self.cache.len() - tree.tokens.len(), &rows)?;
        self.pass.keep_rows(&rows);
        let drafted = accepted.path.iter().map(|node| tree.tokens[*node]);
        self.push(drafted.chain([accepted.bonus]), limits)
    }

    /// Appends tokens up to the one that ends the text. Returns how many were appended.
    pub(crate) fn push(
        &mut self,
        tokens: impl IntoIterator<Item = u32>,
        limits: &Limits<'_>,
    ) -> Result<(usize, Option<FinishReason>)> {
        let before = self.len();
        for token in tokens {
            self.tokens.push(token);
            let finish = limits.finish(self.output(), self.len())?;
            if finish.is_some() {
                return Ok((self.len() - before, finish));
            }
        }
        Ok((self.len() - before, None))
    }

    /// A pass behind the cache.
    fn run(&mut self, tokens: &[u32], positions: &[u32], visible: &[u32]) -> Result<()> {
        self.verifier.forward(
            tokens,
            positions,
            visible,
            &mut self.cache,
            self.auxiliary,
            &mut self.pass,
        )
    }

    /// Chooses from each row of the logits the token for the position of it.
    fn choose(&mut self, positions: &[u64]) -> Result<()> {
        let width = self.verifier.config().vocab_size;
        self.choices.clear();
        if self.choosing.sampling.is_greedy() {
            choose(&self.logits, width, |column| column, &mut self.choices)?;
            self.targets.clear();
            self.targets
                .extend(self.choices.iter().map(|choice| choice.token));
        } else {
            self.targets.resize(positions.len(), 0);
            cpu::sample(
                &self.logits,
                width,
                &self.choosing.sampling,
                positions,
                &mut self.targets,
            )?;
        }
        Ok(())
    }
}
