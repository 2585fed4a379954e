//! Vocabulary maps by what they mean.
//!
//! `d2t` holds offsets in one layout and token ids in another, in integers of either size, and `t2d` may be left out. Two maps
//! are the same when they send every row of `lm_head` to the same verifier token.

use std::collections::{HashMap, HashSet};

use super::tensors::{Matched, Sides, TensorStatus};
use crate::checkpoint::TensorView;
use crate::vocabulary::{VocabularyMap, integers};

/// Canonical names of the maps.
pub(super) const MAPS: [&str; 2] = ["d2t", "t2d"];

/// The maps of two heads.
pub(super) struct Vocabularies<'a> {
    a: Option<&'a VocabularyMap>,
    b: Option<&'a VocabularyMap>,
    /// The maps have the same tokens in another order, and so have the rows of `lm_head`.
    pub reordered: bool,
}

impl<'a> Vocabularies<'a> {
    /// The maps, with the matrices whose rows they name.
    pub fn new(
        a: Option<&'a VocabularyMap>,
        b: Option<&'a VocabularyMap>,
        lm_head: &Sides<'_>,
    ) -> Vocabularies<'a> {
        let rows = a.zip(b).zip(lm_head.both());
        let reordered = rows.is_some_and(|((a, b), (a_rows, b_rows))| {
            a != b && a.vocab_size == b.vocab_size && same_rows((a, a_rows), (b, b_rows))
        });
        Vocabularies { a, b, reordered }
    }

    /// A row for a map that at least one side has.
    pub fn compare(&self, name: &str, sides: &Sides<'_>) -> Matched {
        let same = |a: &TensorView<'_>, b: &TensorView<'_>| a.dtype == b.dtype && a.data == b.data;
        match (&sides.a, &sides.b) {
            // Bytes of `d2t` may be offsets on one side and token ids on the other; those of `t2d` have one reading.
            (Some(a), Some(b)) if same(a, b) && (self.a == self.b || name == "t2d") => sides.same(),
            (Some(a), Some(b)) if self.a == self.b => {
                let (a, b) = (spelling(a, self.a), spelling(b, self.b));
                Matched::new(TensorStatus::SameMeaning).note(format!("{a} in A, {b} in B"))
            }
            (a, _) if self.a == self.b => {
                let absent = if a.is_none() { "A" } else { "B" };
                let why = match (self.a, name) {
                    (None, _) => "the vocabulary is not reduced, so a map says nothing",
                    (_, "t2d") => "it follows from `d2t`",
                    _ => "it follows from `t2d`",
                };
                Matched::new(TensorStatus::SameMeaning).note(format!("not in {absent}: {why}"))
            }
            (Some(_), Some(_)) if self.reordered => Matched::new(TensorStatus::SameMeaning)
                .note("the same tokens in another order, as in `lm_head`"),
            (Some(_), Some(_)) => {
                let mut matched = Matched::new(TensorStatus::Changed);
                matched.statistics = sides.statistics();
                matched.note = self.explain();
                matched
            }
            (Some(_), None) => Matched::new(TensorStatus::OnlyA),
            (None, _) => Matched::new(TensorStatus::OnlyB),
        }
    }

    fn explain(&self) -> Option<String> {
        let (a, b) = (self.a?, self.b?);
        let rows = a.draft_to_target.iter().zip(&b.draft_to_target);
        let mut others = rows.enumerate().filter(|(_, (a, b))| a != b);
        let (row, (first_a, first_b)) = others.next()?;
        let count = 1 + others.count();
        let tokens: HashSet<&u32> = a.draft_to_target.iter().collect();
        let shared = b
            .draft_to_target
            .iter()
            .filter(|token| tokens.contains(token));
        let shared = shared.count();
        Some(format!(
            "{count} rows stand for other tokens, the first is row {row}: {first_a} in A, {first_b} in B; \
             {shared} tokens are in both vocabularies"
        ))
    }
}

/// Whether two matrices have the same rows for the same tokens, each in the order of its own map.
fn same_rows(
    (a_map, a): (&VocabularyMap, &TensorView<'_>),
    (b_map, b): (&VocabularyMap, &TensorView<'_>),
) -> bool {
    let rows = a_map.draft_to_target.len();
    let fits = |map: &VocabularyMap, view: &TensorView<'_>| {
        map.draft_to_target.len() == rows && view.shape.first() == Some(&rows)
    };
    if rows == 0 || a.dtype != b.dtype || !fits(a_map, a) || !fits(b_map, b) {
        return false;
    }
    let targets = b_map.draft_to_target.iter().copied();
    let positions: HashMap<u32, usize> = targets.zip(0..).collect();
    let width = a.data.len() / rows;
    let mut tokens = a_map
        .draft_to_target
        .iter()
        .zip(a.data.chunks_exact(width.max(1)));
    tokens.all(|(token, row)| {
        let position = positions.get(token);
        position.and_then(|&position| b.data.get(position * width..(position + 1) * width))
            == Some(row)
    })
}

/// How a map is written down.
fn spelling(view: &TensorView<'_>, map: Option<&VocabularyMap>) -> String {
    let dtype = view.dtype;
    match (map, integers(view)) {
        (Some(map), Ok(entries)) => {
            let ids = map.draft_to_target.iter().copied().map(i64::from);
            let kind = if entries.into_iter().eq(ids) {
                "token ids"
            } else {
                "offsets"
            };
            format!("{kind} of {dtype:?}")
        }
        _ => format!("{dtype:?}"),
    }
}
