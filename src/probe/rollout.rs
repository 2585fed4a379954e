//! A head held against the verifier at every position of a text at once.
//!
//! At each position of the continuation the head is given the verifier's true states up to there and drafts three tokens.
//! Only drafts whose earlier tokens are the verifier's own matter for acceptance, so that the head is fed the verifier's
//! tokens and its own outputs, as in training: the second draft of all positions is one pass, and so is the third. A draft
//! token of one position sees what real drafting there would let it see, and nothing of the drafts beside it.

use speculators_kernels::{causal_bits, cpu};

use super::text::Text;
use crate::Result;
use crate::models::{Cache, DraftHead, HeadPass};

/// Place of 1 in [`SHARPNESS`].
const PLAIN: usize = 5;
/// Draft tokens that are looked at per position.
pub const DEPTH: usize = 3;
/// Rows of one pass over a text.
const ROWS: usize = 256;
/// Rows whose logits are held at a time: a vocabulary can have two hundred thousand columns.
const LOGIT_ROWS: usize = 32;

/// Factors that logits are tried with: a head read wrongly can be more or less sure of itself than it is by right, and
/// what it knows is to be told from how sure it is. Each is a fifth more than the one before.
pub const SHARPNESS: [f32; 13] = [
    0.40, 0.48, 0.58, 0.69, 0.83, 1.0, 1.2, 1.44, 1.73, 2.07, 2.49, 2.99, 3.58,
];

/// What a head said about one token of the verifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// The head's favourite is the verifier's token.
    pub hit: bool,
    /// The verifier's token is in the draft vocabulary.
    pub known: bool,
    /// Natural logarithm of the probability that the head gave it, with its logits multiplied by each of
    /// [`SHARPNESS`]; minus infinity outside its vocabulary.
    pub log_q: [f32; SHARPNESS.len()],
    /// Probability of the head's favourite.
    pub top_q: f32,
}

/// A head's guesses at one position: of the next token, and of those after it given that the ones before are right. Fewer
/// than [`DEPTH`] at the end of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Position {
    /// Tokens before the draft.
    pub context_length: usize,
    /// At depth 1, 2 and 3.
    pub guesses: Vec<Guess>,
}

impl Position {
    /// Draft tokens that verification would accept.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.guesses.iter().take_while(|guess| guess.hit).count()
    }
}

impl Text {
    /// What a head drafts at every position; one entry each, in order.
    ///
    /// # Errors
    /// When memory is refused, or the states of a layer that the head reads were not kept.
    pub fn draft_with(&self, head: &DraftHead) -> Result<Vec<Position>> {
        roll_out(head, self)
    }
}

fn roll_out(head: &DraftHead, text: &Text) -> Result<Vec<Position>> {
    let count = text.positions();
    let mut positions: Vec<Position> = (0..count)
        .map(|index| Position {
            context_length: text.prompt_length + 1 + index,
            guesses: Vec::with_capacity(DEPTH),
        })
        .collect();
    if count == 0 {
        return Ok(positions);
    }
    let mut rollout = Rollout {
        head,
        text,
        first: text.prompt_length - 1,
        cache: head.cache(text.tokens.len() + (DEPTH - 1) * count)?,
        pass: HeadPass::default(),
        logits: Vec::new(),
        columns: Columns::new(head),
    };
    let mut features = rollout.settle(&mut positions)?;
    for depth in 2..=DEPTH {
        rollout.deepen(depth, &mut features, &mut positions)?;
    }
    Ok(positions)
}

struct Rollout<'a> {
    head: &'a DraftHead,
    text: &'a Text,
    /// The row that drafts the first position: that of the prompt's last state.
    first: usize,
    cache: Cache,
    pass: HeadPass,
    logits: Vec<f32>,
    columns: Columns<'a>,
}

impl Rollout<'_> {
    /// Has the head take in the whole text, and looks at what it drafts first everywhere. Returns what its second step
    /// takes at each position.
    fn settle(&mut self, positions: &mut [Position]) -> Result<Vec<f32>> {
        let rows = self.text.tokens.len() - 1;
        let width = self.head.description().hidden_size;
        let layers = self.head.auxiliary_layers();
        let mut kept = Vec::new();
        let mut features = Vec::new();
        for start in (0..rows).step_by(ROWS) {
            let end = rows.min(start + ROWS);
            let states = self.text.states(layers, start, end).unwrap_or_default();
            self.head.fuse(&states, &mut self.pass, &mut features)?;
            let at: Vec<u32> = (start as u32..end as u32).collect();
            self.head.forward(
                &self.text.tokens[start + 1..=end],
                &at,
                &causal_bits(end - start),
                &mut features,
                &mut self.cache,
                &mut self.pass,
            )?;
            // The prompt is not drafted, and the last row drafts what comes after the text.
            let drafting = start.max(self.first)..end.min(rows - 1);
            if drafting.is_empty() {
                continue;
            }
            let local = drafting.start - start..drafting.end - start;
            kept.extend_from_slice(&features[local.start * width..local.end * width]);
            let place = drafting.start - self.first..drafting.end - self.first;
            self.judge(local.start, 1, &mut positions[place.clone()], place.start)?;
        }
        Ok(kept)
    }

    /// One step deeper at every position that has a token there; `features` of the step before go in, those of this one
    /// come out.
    fn deepen(
        &mut self,
        depth: usize,
        features: &mut Vec<f32>,
        positions: &mut [Position],
    ) -> Result<()> {
        let width = self.head.description().hidden_size;
        let count = positions.len().saturating_sub(depth - 1);
        features.truncate(count * width);
        if count == 0 {
            return Ok(());
        }
        let base = self.text.prompt_length;
        let tokens = &self.text.tokens[base + depth - 1..][..count];
        let (at, visible) = self.branches(depth, positions.len(), count);
        self.head.forward(
            tokens,
            &at,
            &visible,
            features,
            &mut self.cache,
            &mut self.pass,
        )?;
        self.judge(0, depth, &mut positions[..count], 0)
    }

    /// Positions of the tail of the cache — the settled rows that not all may see, and every draft so far — and for each
    /// row of this step what it sees of it.
    fn branches(&self, depth: usize, all: usize, count: usize) -> (Vec<u32>, Vec<u32>) {
        let rows = self.text.tokens.len() - 1;
        let settled = self.first + 1;
        let mut at: Vec<u32> = (settled as u32..rows as u32).collect();
        // Where the drafts of each depth begin.
        let mut begins = Vec::new();
        for step in 2..=depth {
            begins.push(at.len());
            let drafted = if step == depth {
                count
            } else {
                all - (step - 1)
            };
            let from = self.first + step - 1;
            at.extend(from as u32..(from + drafted) as u32);
        }
        let words = at.len().div_ceil(32);
        let mut visible = vec![0_u32; count * words];
        for (row, bits) in visible.chunks_exact_mut(words).enumerate() {
            // Row `first + row` has settled slots up to itself, the first of which lies before the tail.
            let own = begins.iter().map(|begin| begin + row);
            for slot in (0..row).chain(own) {
                bits[slot / 32] |= 1 << (slot % 32);
            }
        }
        (at, visible)
    }

    /// Notes what the rows of the pass from `row` on say about the verifier's tokens at `depth` of some positions, the
    /// first of which has number `number`.
    fn judge(
        &mut self,
        row: usize,
        depth: usize,
        positions: &mut [Position],
        number: usize,
    ) -> Result<()> {
        let width = self.head.description().hidden_size;
        let targets = &self.text.tokens[self.text.prompt_length + depth + number..];
        for (chunk, (positions, targets)) in positions
            .chunks_mut(LOGIT_ROWS)
            .zip(targets.chunks(LOGIT_ROWS))
            .enumerate()
        {
            let from = (row + chunk * LOGIT_ROWS) * width;
            let hidden = &self.pass.hidden()[from..from + positions.len() * width];
            self.head.logits(hidden, &mut self.logits)?;
            let columns = self.logits.len() / positions.len();
            let totals = self.totals(columns)?;
            let mut best = vec![0; positions.len()];
            let mut best_logits = vec![0.0; positions.len()];
            cpu::top_k(&self.logits, columns, 1, &mut best, &mut best_logits)?;
            for (index, (position, target)) in positions.iter_mut().zip(targets).enumerate() {
                let column = self.columns.of(*target);
                let logit = |column: usize| self.logits[index * columns + column];
                position.guesses.push(Guess {
                    hit: column == Some(best[index] as usize),
                    known: column.is_some(),
                    log_q: std::array::from_fn(|at| {
                        column.map_or(f32::NEG_INFINITY, |column| {
                            SHARPNESS[at] * logit(column) - totals[at][index]
                        })
                    }),
                    top_q: (best_logits[index] - totals[PLAIN][index]).exp(),
                });
            }
        }
        Ok(())
    }
}

impl Rollout<'_> {
    /// For each of [`SHARPNESS`] the logarithm of the sum over a row's multiplied logits, `[rows]`.
    fn totals(&self, columns: usize) -> Result<Vec<Vec<f32>>> {
        let mut scaled = vec![0.0; self.logits.len()];
        SHARPNESS
            .iter()
            .map(|factor| {
                for (scaled, logit) in scaled.iter_mut().zip(&self.logits) {
                    *scaled = factor * logit;
                }
                let mut totals = vec![0.0; self.logits.len() / columns];
                cpu::log_sum_exp(&scaled, columns, &mut totals)?;
                Ok(totals)
            })
            .collect()
    }
}

/// Which column of a head's logits stands for a token.
struct Columns<'a>(Option<&'a [u32]>);

impl<'a> Columns<'a> {
    fn new(head: &'a DraftHead) -> Columns<'a> {
        Columns(head.verifier_ids())
    }

    fn of(&self, token: u32) -> Option<usize> {
        match self.0 {
            None => Some(token as usize),
            Some(ids) => ids.binary_search(&token).ok(),
        }
    }
}
