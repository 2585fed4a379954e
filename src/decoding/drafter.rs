//! The head's side of one text: its cache, the drafting of a chain, and what it said of each token on the way.

use speculators_kernels::{DraftVocabulary, Draws, Sampling, causal_bits, cpu};

use crate::Result;
use crate::models::{Cache, Choice, DraftHead, HeadPass};

/// A head and what it has taken in of one text.
pub(crate) struct Drafter<'a> {
    head: &'a DraftHead,
    cache: Cache,
    /// Tokens whose keys and values come from the verifier's features. What is drafted beyond is thrown away.
    settled: usize,
    pass: HeadPass,
    /// Of each row of the last pass, what the next draft step takes.
    features: Vec<f32>,
    /// What was drafted from in this step, in the order in which the head said what comes after.
    sources: Vec<Source>,
    /// Sources that came before those of the last pass.
    earlier: usize,
    /// Of each source, what the head said, `[sources, draft vocab]`.
    said: Vec<f32>,
}

/// A token that was drafted from: the last one taken in, or one drafted after another source.
struct Source {
    /// The source it was drafted from, and the token; none for the last one taken in.
    drafted: Option<(usize, u32)>,
}

impl<'a> Drafter<'a> {
    pub(crate) fn new(head: &'a DraftHead, room: usize) -> Result<Drafter<'a>> {
        Ok(Drafter {
            head,
            cache: head.cache(room)?,
            settled: 0,
            pass: HeadPass::default(),
            features: Vec::new(),
            sources: Vec::new(),
            earlier: 0,
            said: Vec::new(),
        })
    }

    /// Forgets what was said in the step before.
    pub(crate) fn forget(&mut self) {
        self.sources.clear();
        self.earlier = 0;
        self.said.clear();
    }

    /// What the head said of the token after each of `path`, the first of which follows the last one taken in:
    /// `[draft vocab]` each, for as long as it was asked.
    pub(crate) fn said_along(&self, path: impl IntoIterator<Item = u32>) -> Vec<&[f32]> {
        let mut tokens = path.into_iter();
        let mut source = self
            .sources
            .iter()
            .position(|source| source.drafted.is_none());
        let mut rows = Vec::new();
        while let Some(row) = source {
            let width = self.vocabulary();
            // What was expanded for the sake of its children alone was never asked.
            rows.extend(self.said.get(row * width..(row + 1) * width));
            let drafted = tokens.next().map(|token| (row, token));
            source = drafted.and_then(|_| {
                self.sources
                    .iter()
                    .position(|source| source.drafted == drafted)
            });
        }
        rows
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
        self.keep_last();
        for _ in 0..count {
            if let Some(&Choice { token, .. }) = drafted.last() {
                self.sources.push(Source {
                    drafted: Some((self.sources.len() - 1, token)),
                });
                self.step(&[token])?;
            }
            drafted.push(self.head.propose(&mut self.pass)?);
            self.said.extend_from_slice(self.pass.logits());
        }
        Ok(())
    }

    /// Logits after the last row, over what can be drafted, as [`DraftHead::logits`] has them.
    pub(crate) fn logits(&self, logits: &mut Vec<f32>) -> Result<()> {
        let width = self.head.description().hidden_size;
        let hidden = self.pass.hidden();
        self.head.logits(&hidden[hidden.len() - width..], logits)
    }

    /// Goes on by a token as if it had been drafted.
    pub(crate) fn follow(&mut self, token: u32) -> Result<()> {
        self.keep_last();
        self.step(&[token])
    }

    /// Forgets the last of the tokens taken in, so that it can be taken in again and drafted from once more.
    pub(crate) fn forget_last(&mut self) {
        self.forget();
        self.settled -= 1;
    }

    /// Drafts `count` tokens after those taken in, each drawn from what the head says comes after the draft so far.
    pub(crate) fn draw(&mut self, count: usize, drawing: &mut Drawing) -> Result<Vec<u32>> {
        let mut tokens: Vec<u32> = Vec::with_capacity(count);
        self.keep_last();
        for node in 0..count {
            if let Some(&token) = tokens.last() {
                self.sources.push(Source {
                    drafted: Some((node - 1, token)),
                });
                self.step(&[token])?;
            }
            let favourite = self.head.propose(&mut self.pass)?;
            let logits = self.pass.logits();
            self.said.extend_from_slice(logits);
            let drawn = drawing.draw(logits, node, 1, self.head.vocabulary())?;
            tokens.push(drawn.first().copied().unwrap_or(favourite.token));
        }
        Ok(tokens)
    }

    /// Of the rows taken in, the last one is drafted from.
    pub(crate) fn keep_last(&mut self) {
        let width = self.head.description().hidden_size;
        let last = self.features.len() - width;
        self.features.drain(..last);
        self.sources.push(Source { drafted: None });
    }

    /// Tokens that can be drafted.
    pub(crate) fn vocabulary(&self) -> usize {
        self.head.description().draft_vocab_size
    }

    /// Which tokens of the verifier those are.
    pub(crate) fn draft_vocabulary(&self) -> &DraftVocabulary {
        self.head.vocabulary()
    }

    /// What the head said at a row of the last pass, `[draft vocab]`.
    pub(crate) fn last_said(&self, row: usize) -> &[f32] {
        let width = self.vocabulary();
        &self.pass.logits()[row * width..(row + 1) * width]
    }

    /// Where a token `depth` steps below the last one taken in stands in the cache.
    pub(crate) fn position(&self, depth: usize) -> u32 {
        (self.settled + depth - 1) as u32
    }

    /// The `count` most likely tokens after each of the last `rows` rows, and their log-probabilities, `[rows, count]`.
    pub(crate) fn rank(
        &mut self,
        rows: usize,
        count: usize,
        tokens: &mut Vec<u32>,
        log_probabilities: &mut Vec<f32>,
    ) -> Result<()> {
        self.head
            .rank(rows, count, &mut self.pass, tokens, log_probabilities)?;
        self.said.extend_from_slice(self.pass.logits());
        Ok(())
    }

    /// A pass over nodes of a draft tree; `parents` are the rows of the last pass that they hang off. `positions` and
    /// `visible` are of all slots behind the settled ones, those of the nodes last.
    pub(crate) fn expand(
        &mut self,
        tokens: &[u32],
        parents: &[usize],
        positions: &[u32],
        visible: &[u32],
    ) -> Result<()> {
        let width = self.head.description().hidden_size;
        let mut features = Vec::with_capacity(parents.len() * width);
        for parent in parents {
            features.extend_from_slice(&self.features[parent * width..(parent + 1) * width]);
        }
        self.features = features;
        let earlier = self.sources.len();
        let drafted = parents.iter().zip(tokens);
        self.sources.extend(drafted.map(|(parent, token)| Source {
            drafted: Some((self.earlier + parent, *token)),
        }));
        self.earlier = earlier;
        self.head.forward(
            tokens,
            positions,
            visible,
            &mut self.features,
            &mut self.cache,
            &mut self.pass,
        )
    }

    /// Keys and values so far: of what was taken in, and behind it of what was drafted last.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
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

/// What tokens are drawn with and from, instead of taking the likeliest.
pub(crate) struct Drawing {
    sampling: Sampling,
    draws: Draws,
    /// Of each node that something was drawn behind, what it was drawn from, `[nodes, draft vocab]`; 0 of the others.
    distributions: Vec<f32>,
}

impl Drawing {
    /// Draws with the verifier's own temperature and filters, so that both distributions are alike where head and
    /// verifier are.
    pub(crate) fn new(sampling: Sampling, draws: Draws) -> Drawing {
        Drawing {
            sampling,
            draws,
            distributions: Vec::new(),
        }
    }

    /// The first `count` numbers of what was drawn from, `[nodes, draft vocab]`.
    pub(crate) fn distributions(&mut self, count: usize) -> &[f32] {
        if self.distributions.len() < count {
            self.distributions.resize(count, 0.0);
        }
        &self.distributions[..count]
    }

    /// Up to `count` different tokens to go behind `node`, in the order drawn.
    pub(crate) fn draw(
        &mut self,
        logits: &[f32],
        node: usize,
        count: usize,
        vocabulary: &DraftVocabulary,
    ) -> Result<Vec<u32>> {
        let width = logits.len();
        let end = (node + 1) * width;
        if self.distributions.len() < end {
            self.distributions.resize(end, 0.0);
        }
        let row = &mut self.distributions[node * width..end];
        cpu::probabilities(logits, width, &self.sampling, row)?;
        let drawn = cpu::draw(row, node, count, &mut self.draws)?;
        let named = drawn.into_iter();
        Ok(named
            .filter_map(|column| vocabulary.to_verifier(column))
            .collect())
    }
}
