//! The tensors of two checkpoints, matched by what they are called and by what they hold.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use safetensors::Dtype;
use serde::Serialize;

use super::statistics::{self, Statistics, same_bytes};
use super::vocabulary::{MAPS, Vocabularies};
use super::{moved, reshaped};
use crate::checkpoint::{Checkpoint, TensorView};
use crate::subject::Subject;

/// How a tensor of one checkpoint relates to the other checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TensorStatus {
    /// Same name, dtype, shape and bytes.
    Equal,
    /// Same bytes, under the name that the other layout has for it.
    Renamed,
    /// Other bytes that mean the same: a vocabulary map, or rows in another order.
    SameMeaning,
    /// Another dtype.
    Cast,
    /// Same dtype and shape, other values.
    Changed,
    /// Another shape.
    Reshaped,
    /// Same bytes, under a name that has nothing to do with it.
    Moved,
    /// Not in B.
    OnlyA,
    /// Not in A.
    OnlyB,
}

/// A tensor as one side has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredTensor {
    /// Name in the checkpoint.
    pub name: String,
    /// Element type, as in the file.
    pub dtype: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Size of the values.
    pub bytes: u64,
}

/// A tensor of either side or of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorRow {
    /// Name in the layout of `speculators` where both sides are heads, else the name in the checkpoint.
    pub name: String,
    /// As A has it.
    pub a: Option<StoredTensor>,
    /// As B has it.
    pub b: Option<StoredTensor>,
    /// How the two relate.
    pub status: TensorStatus,
    /// Whether this makes the checkpoints different.
    pub matters: bool,
    /// How far apart the values are, where they are not the same and can be compared.
    pub statistics: Option<Statistics>,
    /// What else there is to say.
    pub note: Option<String>,
}

/// The tensors of two checkpoints side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorDifference {
    /// Every tensor of both, by name.
    pub rows: Vec<TensorRow>,
}

impl TensorDifference {
    /// How many tensors have this status.
    #[must_use]
    pub fn count(&self, status: TensorStatus) -> usize {
        self.rows.iter().filter(|row| row.status == status).count()
    }
}

/// One tensor as each side has it.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub a: Option<TensorView<'a>>,
    pub b: Option<TensorView<'a>>,
}

impl Sides<'_> {
    pub fn both(&self) -> Option<(&TensorView<'_>, &TensorView<'_>)> {
        self.a.as_ref().zip(self.b.as_ref())
    }

    /// What equal bytes come to.
    pub fn same(&self) -> Matched {
        let renamed = self.both().is_some_and(|(a, b)| a.name != b.name);
        Matched::new(if renamed {
            TensorStatus::Renamed
        } else {
            TensorStatus::Equal
        })
    }

    pub fn statistics(&self) -> Option<Statistics> {
        self.both().and_then(|(a, b)| statistics::compare(a, b))
    }

    fn bytes(&self) -> u64 {
        let views = self.a.iter().chain(&self.b);
        views.map(|view| view.data.len() as u64).sum()
    }
}

/// What comparing one tensor has found.
pub(super) struct Matched {
    pub status: TensorStatus,
    pub statistics: Option<Statistics>,
    pub note: Option<String>,
}

impl Matched {
    pub fn new(status: TensorStatus) -> Matched {
        Matched {
            status,
            statistics: None,
            note: None,
        }
    }

    pub fn note(mut self, note: impl Into<String>) -> Matched {
        self.note = Some(note.into());
        self
    }
}

/// Everything that bears on how tensors are compared.
pub(super) struct Comparer<'a> {
    pub a: &'a Subject,
    pub b: &'a Subject,
    /// Weights that a head may have a copy of.
    pub verifier: Option<&'a Checkpoint>,
    pub tolerance: Option<f64>,
}

impl<'a> Comparer<'a> {
    /// Compares everything; nothing when `progress`, which is told the bytes done and the bytes in all, breaks it off.
    pub fn compare(
        &self,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Option<TensorDifference> {
        let heads = self.a.speculator().zip(self.b.speculator());
        let (mut a_names, mut b_names) = (
            names(self.a, heads.is_some()),
            names(self.b, heads.is_some()),
        );
        // A head that lies in its verifier's files: the verifier is compared with another verifier, not with nothing.
        let (a_rest, b_rest) = (rest(self.a, &a_names), rest(self.b, &b_names));
        if !a_rest.is_empty() && !b_rest.is_empty() {
            a_names.extend(a_rest);
            b_names.extend(b_rest);
        }
        let sides = |name: &str| Sides {
            a: view(self.a, a_names.get(name)),
            b: view(self.b, b_names.get(name)),
        };
        let vocabularies = heads.map(|(a, b)| {
            let (a, b) = (a.vocabulary_map(), b.vocabulary_map());
            Vocabularies::new(a, b, &sides("lm_head.weight"))
        });
        let all: BTreeSet<&String> = a_names.keys().chain(b_names.keys()).collect();
        let total = all.iter().map(|name| sides(name).bytes()).sum();
        let (mut rows, mut views, mut done) = (Vec::new(), Vec::new(), 0);
        for name in all {
            let sides = sides(name);
            rows.push(self.row(name, &sides, vocabularies.as_ref()));
            views.push(sides);
            done += sides.bytes();
            if progress(done, total).is_break() {
                return None;
            }
        }
        moved::find(&mut rows, &views);
        Some(TensorDifference { rows })
    }

    fn row(
        &self,
        name: &str,
        sides: &Sides<'_>,
        vocabularies: Option<&Vocabularies<'_>>,
    ) -> TensorRow {
        let matched = match vocabularies {
            Some(maps) if MAPS.contains(&name) => maps.compare(name, sides),
            Some(maps) if maps.reordered && name == "lm_head.weight" => {
                Matched::new(TensorStatus::SameMeaning)
                    .note("the same rows in another order, as in `d2t`")
            }
            _ => plain(sides),
        };
        let mut row = TensorRow {
            name: name.to_owned(),
            a: sides.a.as_ref().map(stored),
            b: sides.b.as_ref().map(stored),
            status: matched.status,
            matters: false,
            statistics: matched.statistics,
            note: matched.note,
        };
        row.matters = self.matters(&mut row, sides);
        row
    }

    /// Whether a difference makes the checkpoints different; says so in the row where it does not.
    fn matters(&self, row: &mut TensorRow, sides: &Sides<'_>) -> bool {
        match row.status {
            TensorStatus::Equal | TensorStatus::Renamed | TensorStatus::SameMeaning => {
                return false;
            }
            TensorStatus::Cast | TensorStatus::Changed if !MAPS.contains(&row.name.as_str()) => {
                let statistics = row.statistics.as_ref().zip(self.tolerance);
                if statistics.is_some_and(|(statistics, tolerance)| statistics.within(tolerance)) {
                    return false;
                }
            }
            TensorStatus::OnlyA | TensorStatus::OnlyB if self.borrowed(&row.name, sides) => {
                row.note = Some("the verifier's own, to the byte".to_owned());
                return false;
            }
            _ => {}
        }
        let reasons = [
            sides.a.map(|view| dropped(self.a, view.name)),
            sides.b.map(|view| dropped(self.b, view.name)),
        ];
        let mut reasons = reasons.into_iter().flatten();
        let reason = reasons.next().flatten();
        match reason {
            Some(reason) if reasons.all(|reason| reason.is_some()) => {
                row.note = Some(format!("not part of the head: {reason}"));
                false
            }
            _ => true,
        }
    }

    /// Whether a tensor that one side leaves out is one the runtime takes from the verifier.
    fn borrowed(&self, name: &str, sides: &Sides<'_>) -> bool {
        let (Some(verifier), Some(own)) = (self.verifier, sides.a.or(sides.b)) else {
            return false;
        };
        let dotted = format!(".{name}");
        let mut others = verifier
            .names()
            .filter(|other| *other == name || other.ends_with(&dotted))
            .filter_map(|other| verifier.tensor(other));
        others.any(|other| {
            other.dtype == own.dtype && other.shape == own.shape && same_bytes(other.data, own.data)
        })
    }
}

/// By what a tensor is matched → its name in the checkpoint.
fn names(subject: &Subject, canonical: bool) -> BTreeMap<String, String> {
    let Some(speculator) = subject.speculator().filter(|_| canonical) else {
        let names = subject.checkpoint().names();
        return names
            .map(|name| (name.to_owned(), name.to_owned()))
            .collect();
    };
    let mut names = speculator.tensors().clone();
    for dropped in speculator.dropped() {
        names
            .entry(dropped.name.clone())
            .or_insert_with(|| dropped.name.clone());
    }
    names
}

/// Tensors that no name leads to yet, by their own names.
fn rest(subject: &Subject, names: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let known: BTreeSet<&str> = names.values().map(String::as_str).collect();
    let all = subject.checkpoint().names();
    all.filter(|name| !known.contains(name) && !names.contains_key(*name))
        .map(|name| (name.to_owned(), name.to_owned()))
        .collect()
}

fn view<'a>(subject: &'a Subject, name: Option<&String>) -> Option<TensorView<'a>> {
    subject.checkpoint().tensor(name?)
}

fn dropped<'a>(subject: &'a Subject, name: &str) -> Option<&'a str> {
    let dropped = subject
        .dropped()
        .iter()
        .find(|dropped| dropped.name == name);
    dropped.map(|dropped| dropped.reason.as_str())
}

/// A tensor whose bytes are all there is to know.
fn plain(sides: &Sides<'_>) -> Matched {
    let (a, b) = match (&sides.a, &sides.b) {
        (Some(a), Some(b)) => (a, b),
        (Some(_), None) => return Matched::new(TensorStatus::OnlyA),
        _ => return Matched::new(TensorStatus::OnlyB),
    };
    if a.shape != b.shape {
        let matched = Matched::new(TensorStatus::Reshaped);
        return match reshaped::relation(a, b) {
            Some(relation) => matched.note(relation),
            None => matched,
        };
    }
    if a.dtype == b.dtype && same_bytes(a.data, b.data) {
        return sides.same();
    }
    let mut matched = Matched::new(if a.dtype == b.dtype {
        TensorStatus::Changed
    } else {
        TensorStatus::Cast
    });
    matched.statistics = sides.statistics();
    if matched.statistics.is_none() {
        matched = matched.note("the values cannot be read as numbers");
    }
    matched
}

fn stored(view: &TensorView<'_>) -> StoredTensor {
    StoredTensor {
        name: view.name.to_owned(),
        dtype: dtype(view.dtype),
        shape: view.shape.to_vec(),
        bytes: view.data.len() as u64,
    }
}

fn dtype(dtype: Dtype) -> String {
    format!("{dtype:?}")
}
