//! The head's side of one text: its cache, and the drafting of a chain.

use speculators_kernels::causal_bits;

use crate::Result;
use crate::models::{Cache, Choice, DraftHead, HeadPass};

/// A head and what it has taken in of one text.
pub(crate) struct Drafter<'a> {
    head: &'a DraftHead,
    cache: Cache,
    /// Tokens whose keys and values come from the verifier's features. What is drafted beyond is thrown away.
    settled: usize,
    pass: HeadPass,
    features: Vec<f32>,
}

impl<'a> Drafter<'a> {
    pub(crate) fn new(head: &'a DraftHead, room: usize) -> Result<Drafter<'a>> {
        Ok(Drafter {
            head,
            cache: head.cache(room)?,
            settled: 0,
            pass: HeadPass::default(),
            features: Vec::new(),
        })
    }

    /// Takes in positions that the verifier has seen: its auxiliary states there, and of each position the token
    /// that follows it.
    pub(crate) fn extend(&mut self, following: &[u32], auxiliary: &[f32]) -> Result<()> {
        self.cache.truncate(self.settled);
        self.head
            .fuse(auxiliary, &mut self.pass, &mut self.features)?;
        self.step(following)?;
        self.settled = self.cache.len();
        Ok(())
    }

    /// Drafts `count` tokens after those taken in: each is the most likely one after the draft so far.
    pub(crate) fn draft(&mut self, count: usize, drafted: &mut Vec<Choice>) -> Result<()> {
        drafted.clear();
        for index in 0..count {
            if let Some(&Choice { token, .. }) = drafted.last() {
                if index == 1 {
                    // Of the rows taken in, the last one is drafted from.
                    let width = self.head.description().hidden_size;
                    let last = self.features.len() - width;
                    self.features.drain(..last);
                }
                self.step(&[token])?;
            }
            drafted.push(self.head.propose(&mut self.pass)?);
        }
        Ok(())
    }

    /// One pass behind the cache; `features` goes in as one row per token and comes out as what follows on them.
    fn step(&mut self, tokens: &[u32]) -> Result<()> {
        let first = self.cache.len() as u32;
        let positions: Vec<u32> = (first..first + tokens.len() as u32).collect();
        let visible = causal_bits(tokens.len());
        self.head.forward(
            tokens,
            &positions,
            &visible,
            &mut self.features,
            &mut self.cache,
            &mut self.pass,
        )
    }
}
