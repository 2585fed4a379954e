//! Drafting trees: the head runs once per level, over all nodes of the level that are to have children.

use speculators_kernels::{DraftTree, VerifyTree, cpu};

use super::drafter::{Drafter, Drawing};
use super::static_tree::StaticTree;
use super::strategy::DynamicTree;
use crate::Result;

impl Drafter<'_> {
    /// Grows a dynamic tree of up to `depth` levels, at least 1, below `root`, the last of the tokens taken in.
    pub(crate) fn grow(
        &mut self,
        root: u32,
        tree: &DynamicTree,
        depth: usize,
    ) -> Result<VerifyTree> {
        let draft = self.candidates(tree, depth.min(tree.budget))?;
        Ok(cpu::tree_finalize(&draft, root, tree.budget + 1)?)
    }

    /// All candidates of a dynamic tree of `depth` levels, at least 1, whatever its budget.
    pub(crate) fn candidates(&mut self, tree: &DynamicTree, depth: usize) -> Result<DraftTree> {
        let width = tree.top_k.min(self.vocabulary());
        let calibrate = |level: usize, scores: &mut [f32]| {
            if let Some(calibration) = &tree.calibration {
                calibration.apply(level, width, scores);
            }
        };
        let mut draft = DraftTree::new();
        let (mut tokens, mut scores) = (Vec::new(), Vec::new());
        self.keep_last();
        self.rank(1, width, &mut tokens, &mut scores)?;
        calibrate(1, &mut scores);
        let mut parents = cpu::tree_step(&mut draft, &tokens, &scores)?;
        // Positions of the nodes expanded so far: those of a level have the same.
        let mut positions = Vec::new();
        for level in 1..depth {
            let frontier = draft.frontier_tokens();
            positions.resize(positions.len() + frontier.len(), self.position(level));
            self.expand(&frontier, &parents, &positions, &draft.frontier_bits())?;
            self.rank(frontier.len(), width, &mut tokens, &mut scores)?;
            calibrate(level + 1, &mut scores);
            parents = cpu::tree_step(&mut draft, &tokens, &scores)?;
        }
        Ok(draft)
    }

    /// Fills a static tree of up to `depth` levels below `root`, the last of the tokens taken in: with the likeliest
    /// tokens, or by drawing siblings one after the other, without replacement.
    pub(crate) fn fill(
        &mut self,
        root: u32,
        tree: &StaticTree,
        depth: usize,
        mut drawing: Option<&mut Drawing>,
    ) -> Result<VerifyTree> {
        let nodes: Vec<(usize, usize)> = tree.nodes(depth).collect();
        let mut tokens = vec![root];
        let mut parents = vec![-1];
        // Of each node, the slot behind the settled ones that it was given when it was expanded. The root has none.
        let mut slots: Vec<Option<usize>> = vec![None; nodes.len() + 1];
        let mut positions = Vec::new();
        let (mut ranked, mut scores) = (Vec::new(), Vec::new());
        // The nodes of the last pass.
        let mut rows = vec![0];
        self.keep_last();
        for level in 1.. {
            // The children of the nodes of the last pass stand behind those seen so far.
            let seen = tokens.len();
            let below = &nodes[seen - 1..];
            let children = below.iter().take_while(|(parent, _)| *parent < seen);
            let width = children
                .clone()
                .map(|(_, rank)| rank + 1)
                .max()
                .unwrap_or(0);
            if width == 0 {
                break;
            }
            self.rank(rows.len(), width, &mut ranked, &mut scores)?;
            if let Some(drawing) = &mut drawing {
                self.redraw(&rows, width, drawing, &mut ranked)?;
            }
            for (parent, rank) in children {
                let row = rows.partition_point(|node| node < parent);
                tokens.push(ranked[row * width + rank]);
                parents.push(*parent as i32);
            }
            // Of them, those with children of their own are expanded.
            let inner: Vec<usize> = (seen..tokens.len())
                .filter(|node| nodes.iter().any(|(parent, _)| parent == node))
                .collect();
            if inner.is_empty() {
                break;
            }
            let first = positions.len();
            for (place, node) in inner.iter().enumerate() {
                slots[*node] = Some(first + place);
            }
            positions.resize(first + inner.len(), self.position(level));
            let words = positions.len().div_ceil(32);
            let mut visible = vec![0; inner.len() * words];
            for (row, node) in visible.chunks_exact_mut(words).zip(&inner) {
                let mut next = Some(*node);
                while let Some(slot) = next.and_then(|node| slots[node]) {
                    row[slot / 32] |= 1 << (slot % 32);
                    next = next.and_then(|node| usize::try_from(parents[node]).ok());
                }
            }
            let inputs: Vec<u32> = inner.iter().map(|node| tokens[*node]).collect();
            let sources: Vec<usize> = inner
                .iter()
                .map(|node| rows.partition_point(|row| (*row as i32) < parents[*node]))
                .collect();
            self.expand(&inputs, &sources, &positions, &visible)?;
            rows = inner;
        }
        Ok(VerifyTree::from_parents(tokens, parents)?)
    }

    /// Draws `width` tokens to go behind each of `nodes`, the rows of the last pass, in place of the likeliest.
    fn redraw(
        &self,
        nodes: &[usize],
        width: usize,
        drawing: &mut Drawing,
        ranked: &mut [u32],
    ) -> Result<()> {
        for (row, node) in nodes.iter().enumerate() {
            let drawn = drawing.draw(self.last_said(row), *node, width, self.draft_vocabulary())?;
            let places = &mut ranked[row * width..(row + 1) * width];
            // Where filters leave fewer, the first comes again: verification passes over what came before.
            let again = std::iter::repeat_n(drawn.first().copied(), width).flatten();
            for (place, token) in places.iter_mut().zip(drawn.iter().copied().chain(again)) {
                *place = token;
            }
        }
        Ok(())
    }
}
