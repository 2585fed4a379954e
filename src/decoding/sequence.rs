//! The verifier's side of one text: its tokens, its cache, and passes over what comes next.

use std::ops::Range;

use speculators_kernels::causal_bits;

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
    tokens: Vec<u32>,
    prompt_length: usize,
    cache: Cache,
    pass: VerifierPass,
    logits: Vec<f32>,
    choices: Vec<Choice>,
}

impl<'a> Sequence<'a> {
    /// `auxiliary` are the layers whose output is kept for a head; `room` the tokens that are to be expected.
    pub(crate) fn new(
        verifier: &'a Verifier,
        auxiliary: &'a [usize],
        room: usize,
    ) -> Result<Sequence<'a>> {
        Ok(Sequence {
            verifier,
            auxiliary,
            tokens: Vec::with_capacity(room),
            prompt_length: 0,
            cache: verifier.cache(room)?,
            pass: VerifierPass::default(),
            logits: Vec::new(),
            choices: Vec::new(),
        })
    }

    /// Tokens so far, prompt and output.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The output so far.
    pub(crate) fn output(&self) -> &[u32] {
        &self.tokens[self.prompt_length..]
    }

    /// The last token.
    pub(crate) fn last(&self) -> Option<u32> {
        self.tokens.last().copied()
    }

    /// Auxiliary states of the last pass, `[rows, layers * hidden]`.
    pub(crate) fn auxiliary(&self) -> &[f32] {
        self.pass.auxiliary()
    }

    /// Logits of the last choices, `[rows, vocab]`.
    pub(crate) fn logits(&self) -> &[f32] {
        &self.logits
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
            self.run(&prompt[start..end])?;
            if end == prompt.len() {
                let next = self.choose_after(end - start - 1)?;
                each(start..end, &self.pass, Some(next))?;
                return Ok(next);
            }
            each(start..end, &self.pass, None)?;
            start = end;
        }
    }

    /// What the verifier chooses after each of `tokens`, the first of which is the last token of the text.
    pub(crate) fn choices(&mut self, tokens: &[u32]) -> Result<&[Choice]> {
        self.run(tokens)?;
        self.verifier.logits(self.pass.hidden(), &mut self.logits)?;
        self.choose()?;
        Ok(&self.choices)
    }

    /// Keeps `rows` rows of the last pass in the cache and appends the tokens that follow the first of them, up to
    /// the one that ends the text. Returns how many were appended.
    pub(crate) fn advance(
        &mut self,
        base: usize,
        tokens: &[u32],
        limits: &Limits,
    ) -> (usize, Option<FinishReason>) {
        self.cache.truncate(base + tokens.len());
        for (index, token) in tokens.iter().enumerate() {
            self.tokens.push(*token);
            let finish = limits.finish(*token, self.output().len(), self.len());
            if finish.is_some() {
                return (index + 1, finish);
            }
        }
        (tokens.len(), None)
    }

    /// A pass over a chain of tokens behind the cache.
    fn run(&mut self, tokens: &[u32]) -> Result<()> {
        let first = self.cache.len() as u32;
        let positions: Vec<u32> = (first..first + tokens.len() as u32).collect();
        let visible = causal_bits(tokens.len());
        self.verifier.forward(
            tokens,
            &positions,
            &visible,
            &mut self.cache,
            self.auxiliary,
            &mut self.pass,
        )
    }

    /// The choice after one row of the last pass.
    fn choose_after(&mut self, row: usize) -> Result<u32> {
        self.verifier
            .logits(self.pass.hidden_row(row), &mut self.logits)?;
        self.choose()?;
        Ok(self.choices[0].token)
    }

    fn choose(&mut self) -> Result<()> {
        let width = self.verifier.config().vocab_size;
        choose(&self.logits, width, |column| column, &mut self.choices)
    }
}
