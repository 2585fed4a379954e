//! What the head holds of a text at each of its positions: enough to know what any draft would have been worth there.
//!
//! Once a text is known, a step that begins at some position accepts what agrees with it, and the head drafts as if it
//! had drafted the accepted tokens itself. So the head is run from each position along the text, as far as a draft could
//! reach: its place for each next token decides every chain and every tree of fixed shape. For dynamic trees the
//! candidates are grown once, and the order in which they are kept decides every budget and every smaller depth.
//!
//! Keys and values of settled positions come from the verifier's features, as in a run; what follows a position is
//! thrown away. The numbers are those of a run to the last bit, because rows of a pass do not depend on each other.

use std::sync::atomic::AtomicBool;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use speculators_kernels::{Accepted, DraftTree, VerifyTree, cpu};

use super::choosing::Choosing;
use super::drafter::Drafter;
use super::limits::Limits;
use super::observation::rank;
use super::plain::stop_if;
use super::sequence::Sequence;
use super::strategy::DynamicTree;
use crate::Result;
use crate::models::{DraftHead, Verifier};

/// Rows of one pass over the output.
const ROWS: usize = 256;

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyOptions {
    /// Tokens to follow the text from each position; with 0 only trees are grown.
    pub depth: usize,
    /// Of the head's list, the probabilities to keep.
    pub top: usize,
    /// 1 looks at every position, 2 at every other, and so on.
    pub every: usize,
    /// Dynamic trees to grow; their budgets play no part.
    pub trees: Vec<DynamicTree>,
}

/// What the head held at one position.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct PositionSurvey {
    /// Tokens before a step that would begin here: prompt and output so far.
    pub context_length: usize,
    /// Place in the head's list of the next token, the one after it, and so on, each after the ones before; 0 is its
    /// favourite, none where the token cannot be drafted. Fewer where the context, or what the head can see, ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<Option<usize>>,
    /// The head's probability of each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub q: Vec<f32>,
    /// The largest probabilities of the head at each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<Vec<f32>>,
    /// Where the text stands in dynamic trees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trees: Vec<TreePlaces>,
}

/// Where the text stands among the candidates of a dynamic tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct TreePlaces {
    /// Nodes expanded per level, and children of each.
    pub top_k: usize,
    /// Levels grown.
    pub depth: usize,
    /// Whether candidates were ranked by calibrated probabilities.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub calibrated: bool,
    /// Of each candidate that the text goes through, from the first on: its place in the order in which candidates are
    /// kept if the tree is grown to the level of the candidate, one level further, and so on up to `depth`. With a
    /// budget of `n` a candidate is verified if its place is below `n`.
    pub places: Vec<Vec<usize>>,
}

/// Looks at the positions of `output`, which the verifier has given after `prompt`, choosing so, from the one on
/// where a first step would begin; `each` hears of every position.
///
/// # Errors
/// As for [`generate_with`](super::generate_with()), and those of `each`.
#[expect(
    clippy::too_many_arguments,
    reason = "a text, and how it came about, are many things"
)]
pub fn survey(
    verifier: &Verifier,
    head: &DraftHead,
    prompt: &[u32],
    output: &[u32],
    choosing: &Choosing,
    options: &SurveyOptions,
    cancelled: &AtomicBool,
    each: &mut dyn FnMut(PositionSurvey) -> Result<()>,
) -> Result<()> {
    let deepest = options.trees.iter().map(|tree| tree.depth).max();
    let beyond = options.depth.max(deepest.unwrap_or(0)).saturating_sub(1);
    let limits = Limits {
        end_token_ids: Vec::new(),
        ..Limits::new(verifier, output.len() + beyond)
    };
    limits.check(verifier, prompt)?;
    let text = Text::read(verifier, head, prompt, output, choosing, &limits, cancelled)?;
    let mut walk = Walk {
        drafter: Drafter::new(head, text.tokens.len() + beyond)?,
        head,
        options,
        logits: Vec::new(),
    };
    let reach = head.description().max_position_embeddings;
    let width = head.auxiliary_layers().len() * verifier.config().hidden_size;
    // Positions whose features the head has taken in, each with the token after it.
    let mut taken = 0;
    let steps = prompt.len() + 1..prompt.len() + output.len();
    for context_length in steps.step_by(options.every.max(1)) {
        stop_if(cancelled)?;
        let settled = context_length - 1;
        walk.drafter.forget();
        let row = |position: usize| &text.auxiliary[position * width..(position + 1) * width];
        walk.drafter.extend(
            &text.tokens[taken + 1..=settled],
            &text.auxiliary[taken * width..settled * width],
        )?;
        taken = settled;
        // What is verified leaves room for the token after it, and the head sees no further than it can.
        let room = (limits.context_length - 1).saturating_sub(context_length);
        let depth = room.min(reach.saturating_sub(context_length));
        let following = &text.tokens[context_length..];
        let mut position = PositionSurvey {
            context_length,
            ..PositionSurvey::default()
        };
        for tree in &options.trees {
            position.trees.push(walk.places(tree, depth, following)?);
            walk.again(text.tokens[settled], row(settled - 1))?;
        }
        walk.follow(following, depth, &mut position)?;
        each(position)?;
    }
    Ok(())
}

/// A text with the features of its positions.
struct Text {
    /// Prompt, output, and as many tokens further as a draft at the last step could reach.
    tokens: Vec<u32>,
    /// Auxiliary states of their positions.
    auxiliary: Vec<f32>,
}

impl Text {
    fn read(
        verifier: &Verifier,
        head: &DraftHead,
        prompt: &[u32],
        output: &[u32],
        choosing: &Choosing,
        limits: &Limits,
        cancelled: &AtomicBool,
    ) -> Result<Text> {
        let mut tokens = [prompt, output].concat();
        let end = limits
            .context_length
            .min(prompt.len() + limits.max_new_tokens);
        let mut sequence = Sequence::new(verifier, head.auxiliary_layers(), *choosing, end)?;
        let mut auxiliary = Vec::new();
        let first = sequence.prefill(prompt, |_, pass, _| {
            stop_if(cancelled)?;
            auxiliary.extend_from_slice(pass.auxiliary());
            Ok(())
        })?;
        sequence.push([output.first().copied().unwrap_or(first)], limits)?;
        // The place of the last token that the sequence has.
        let mut last = prompt.len();
        while last < tokens.len() {
            stop_if(cancelled)?;
            let behind = tokens.len().min(last + ROWS);
            let tree = VerifyTree::chain(tokens[last], &tokens[last + 1..behind]);
            let targets = sequence.verify(&tree)?;
            let next = targets.last().copied().unwrap_or_default();
            auxiliary.extend_from_slice(sequence.auxiliary());
            if behind == tokens.len() {
                if behind >= end {
                    break;
                }
                tokens.push(next);
            }
            let accepted = Accepted {
                path: (1..behind - last).collect(),
                bonus: tokens[behind],
            };
            sequence.accept(&tree, &accepted, limits)?;
            last = behind;
        }
        Ok(Text { tokens, auxiliary })
    }
}

/// A head on its way along a text.
struct Walk<'a> {
    drafter: Drafter<'a>,
    head: &'a DraftHead,
    options: &'a SurveyOptions,
    logits: Vec<f32>,
}

impl Walk<'_> {
    /// Brings the head back to where it was before something was drafted: the last token taken in is taken in again.
    fn again(&mut self, token: u32, auxiliary: &[f32]) -> Result<()> {
        self.drafter.forget_last();
        self.drafter.extend(&[token], auxiliary)
    }

    /// Follows the text and notes what the head makes of each token.
    fn follow(
        &mut self,
        following: &[u32],
        depth: usize,
        position: &mut PositionSurvey,
    ) -> Result<()> {
        let depth = depth.min(self.options.depth);
        for (index, token) in following.iter().take(depth).enumerate() {
            if index > 0 {
                self.drafter.follow(following[index - 1])?;
            }
            self.drafter.logits(&mut self.logits)?;
            let (rank, q, top) = self.judge(*token)?;
            position.ranks.push(rank);
            position.q.push(q);
            position.top.push(top);
        }
        Ok(())
    }

    /// Place and probability of a token by the logits, and the largest probabilities.
    fn judge(&self, token: u32) -> Result<(Option<usize>, f32, Vec<f32>)> {
        let (width, kept) = (self.logits.len(), self.options.top.min(self.logits.len()));
        let (mut columns, mut top) = (vec![0; kept], vec![0.0; kept]);
        cpu::top_k(&self.logits, width, kept, &mut columns, &mut top)?;
        let mut total = [0.0];
        cpu::log_sum_exp(&self.logits, width, &mut total)?;
        let probability = |logit: f32| (logit - total[0]).exp();
        top.iter_mut()
            .for_each(|logit| *logit = probability(*logit));
        let column = self.head.vocabulary().to_draft(token);
        Ok(match column.map(|column| column as usize) {
            Some(column) => {
                let q = probability(self.logits[column]);
                (Some(rank(&self.logits, column)), q, top)
            }
            None => (None, 0.0, top),
        })
    }

    /// Grows a tree and looks where the text stands in it.
    fn places(
        &mut self,
        tree: &DynamicTree,
        depth: usize,
        following: &[u32],
    ) -> Result<TreePlaces> {
        let depth = depth.min(tree.depth);
        let mut found = TreePlaces {
            top_k: tree.top_k,
            depth,
            calibrated: tree.calibration.is_some(),
            places: Vec::new(),
        };
        if depth > 0 {
            let candidates = self.drafter.candidates(tree, depth)?;
            found.places = places(&candidates, depth, following);
        }
        Ok(found)
    }
}

/// Of each candidate that the text goes through, its place if the tree ends at its own level, one level further, ….
fn places(tree: &DraftTree, depth: usize, following: &[u32]) -> Vec<Vec<usize>> {
    let (tokens, parents, scores) = (tree.tokens(), tree.parents(), tree.scores());
    let mut levels: Vec<usize> = Vec::with_capacity(tokens.len());
    for parent in parents {
        let above = usize::try_from(*parent).map_or(0, |parent| levels[parent]);
        levels.push(above + 1);
    }
    let mut found = Vec::new();
    let mut above = -1;
    for token in following.iter().take(depth) {
        let node =
            (0..tokens.len()).find(|node| parents[*node] == above && tokens[*node] == *token);
        let Some(node) = node else {
            break;
        };
        // How many of each level are kept before it: the better ones, and of equal ones those seen first.
        let mut before = vec![0; depth + 1];
        for other in 0..tokens.len() {
            let order = scores[other].total_cmp(&scores[node]);
            if order.is_gt() || (order.is_eq() && other < node) {
                before[levels[other]] += 1;
            }
        }
        let total = |level: usize| before[..=level].iter().sum();
        found.push((levels[node]..=depth).map(total).collect());
        above = node as i32;
    }
    found
}
