//! Two lists of a file made into one map, or into findings about what is wrong with them.

use std::collections::HashSet;

use super::VocabularyMap;
use super::elements::{booleans, integers};
use crate::checkpoint::TensorView;
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::options::MapEntries;

/// What is known when a map is resolved.
pub(crate) struct Maps<'a> {
    pub d2t: Option<TensorView<'a>>,
    pub t2d: Option<TensorView<'a>>,
    pub draft_vocab_size: usize,
    pub vocab_size: usize,
    /// Absolute ids may be turned into offsets where that is proven right; the speculators layout promises offsets.
    pub repair: bool,
    /// `d2t` holds offsets beyond doubt: they were made from the absolute ids that a GGUF file has.
    pub offsets: bool,
    /// What the caller says that the entries of `d2t` are.
    pub entries: Option<MapEntries>,
    /// For findings about maps that are not there.
    pub place: Place,
}

impl Maps<'_> {
    /// The map, or `None` for the full vocabulary; findings and decisions are added to the lists.
    pub fn resolve(
        &self,
        problems: &mut Vec<Diagnostic>,
        decisions: &mut Vec<Decision>,
    ) -> Option<VocabularyMap> {
        let before = problems.len();
        let d2t = self.d2t.and_then(|view| keep(integers(&view), problems));
        let t2d = self.t2d.and_then(|view| keep(booleans(&view), problems));
        if problems.len() > before {
            return None;
        }
        let (draft, vocabulary) = (self.draft_vocab_size, self.vocab_size);
        if let Some(d2t) = d2t.as_ref().filter(|d2t| d2t.len() != draft) {
            let title = format!("`d2t` has {} entries for {draft} draft tokens", d2t.len());
            problems.push(self.problem(codes::MAP_LENGTH, "d2t", title));
        }
        if let Some(t2d) = t2d.as_ref().filter(|t2d| t2d.len() != vocabulary) {
            let title = format!(
                "`t2d` has {} entries for {vocabulary} verifier tokens",
                t2d.len()
            );
            problems.push(self.problem(codes::MAP_LENGTH, "t2d", title));
        }
        if draft > vocabulary {
            problems.push(
                Diagnostic::error(
                    codes::VOCABULARY,
                    format!("the head has {draft} draft tokens, more than the {vocabulary} of the verifier"),
                )
                .at(self.place.clone()),
            );
        }
        if problems.len() > before {
            return None;
        }
        if draft == vocabulary {
            return self.full(d2t.as_deref(), problems, decisions);
        }
        match (d2t, t2d) {
            (None, None) => {
                problems.push(
                    Diagnostic::error(
                        codes::MAP_MISSING,
                        format!("neither `d2t` nor `t2d` maps the {draft} draft tokens to the {vocabulary} of the verifier"),
                    )
                    .at(self.place.clone()),
                );
                None
            }
            (None, Some(t2d)) => self.by_members(&t2d, problems, decisions),
            (Some(d2t), t2d) => self.by_entries(&d2t, t2d.as_deref(), problems, decisions),
        }
    }

    /// Nothing is reduced: maps may be there, but can only say that token d is token d.
    fn full(
        &self,
        d2t: Option<&[i64]>,
        problems: &mut Vec<Diagnostic>,
        decisions: &mut Vec<Decision>,
    ) -> Option<VocabularyMap> {
        if let Some((row, offset)) =
            d2t.and_then(|d2t| d2t.iter().enumerate().find(|(_, offset)| **offset != 0))
        {
            problems.push(
                self.problem(
                    codes::NOT_REPRESENTABLE,
                    "d2t",
                    format!(
                        "`d2t` reorders a vocabulary that is not reduced ({} tokens)",
                        self.vocab_size
                    ),
                )
                .note(format!(
                    "the first entry that is not 0 is d2t[{row}] = {offset}"
                ))
                .note("runtimes ignore the map of a full vocabulary"),
            );
        } else if d2t.is_some() || self.t2d.is_some() {
            decisions.push(Decision::settled(
                "d2t",
                "no map",
                "the vocabulary is not reduced, so the map says nothing",
            ));
        }
        None
    }

    fn by_members(
        &self,
        t2d: &[bool],
        problems: &mut Vec<Diagnostic>,
        decisions: &mut Vec<Decision>,
    ) -> Option<VocabularyMap> {
        let targets: Vec<u32> = (0..)
            .zip(t2d)
            .filter(|(_, member)| **member)
            .map(|(target, _)| target)
            .collect();
        if targets.len() == t2d.len() {
            problems.push(self.never_loaded("t2d", "`t2d` is true throughout"));
            return None;
        }
        if targets.len() != self.draft_vocab_size {
            problems.push(self.count(targets.len()));
            return None;
        }
        decisions.push(Decision::guessed(
            "d2t",
            "rebuilt from `t2d`",
            "there is no `d2t`; the rows of `lm_head` are taken to be in ascending order of verifier tokens",
        ));
        Some(self.map(targets))
    }

    fn by_entries(
        &self,
        d2t: &[i64],
        t2d: Option<&[bool]>,
        problems: &mut Vec<Diagnostic>,
        decisions: &mut Vec<Decision>,
    ) -> Option<VocabularyMap> {
        let sums: Vec<i64> = d2t
            .iter()
            .zip(0_i64..)
            .map(|(offset, draft)| offset.saturating_add(draft))
            .collect();
        let offsets = self.read(&sums, t2d);
        // Zeros are a map of the first tokens to themselves; only a `t2d` that says the same makes that believable.
        if d2t.iter().all(|offset| *offset == 0) && !(offsets.fits() && t2d.is_some()) {
            problems.push(self.never_loaded("d2t", "`d2t` is zero throughout"));
            return None;
        }
        if t2d.is_some_and(|t2d| t2d.iter().all(|member| *member)) {
            problems.push(self.never_loaded("t2d", "`t2d` is true throughout"));
            return None;
        }
        let absolute = self.read(d2t, t2d);
        if let Some(entries) = self.entries {
            return self.as_told(entries, offsets, absolute, t2d, problems, decisions);
        }
        // An offset map repeats an offset wherever two neighbouring tokens are in it; without `t2d` to decide, a map that
        // never does and that also reads as ids is taken for neither.
        let rising = d2t.len() > 1 && d2t.windows(2).all(|pair| pair[0] < pair[1]);
        let both = absolute.fits() && offsets.fits();
        let open = t2d.is_none() && rising && both && !self.offsets;
        if offsets.fits() && !open {
            if t2d.is_none() {
                decisions.push(Decision::settled(
                    "t2d",
                    "rebuilt from `d2t`",
                    "there is no `t2d`, and `d2t` determines it",
                ));
            }
            return Some(self.map(offsets.targets));
        }
        if absolute.fits() && !open && self.repair {
            decisions.push(Decision::settled(
                "d2t",
                "absolute ids turned into offsets",
                format!(
                    "as offsets {}; as verifier tokens they fit",
                    offsets.misfit(t2d.is_some())
                ),
            ));
            return Some(self.map(absolute.targets));
        }
        problems.push(self.explain(d2t, &offsets, &absolute, open));
        None
    }

    /// The reading that the caller asks for, if it is a map at all.
    fn as_told(
        &self,
        entries: MapEntries,
        offsets: Reading,
        absolute: Reading,
        t2d: Option<&[bool]>,
        problems: &mut Vec<Diagnostic>,
        decisions: &mut Vec<Decision>,
    ) -> Option<VocabularyMap> {
        let (told, what) = match entries {
            MapEntries::Offsets => (offsets, "offsets"),
            MapEntries::Absolute => (absolute, "absolute token ids"),
        };
        if told.fits() {
            decisions.push(Decision::settled("d2t", what, "given by the caller"));
            return Some(self.map(told.targets));
        }
        let title = format!("the entries of `d2t` cannot be {what}");
        problems.push(
            self.problem(codes::MAP_RANGE, "d2t", title)
                .note(format!("read so, {}", told.misfit(t2d.is_some()))),
        );
        None
    }

    /// Reads targets as they stand and counts what is wrong with them.
    fn read(&self, targets: &[i64], t2d: Option<&[bool]>) -> Reading {
        // A set of what is there: the size of the vocabulary is a claim, which only a `t2d` bears out.
        let mut seen = HashSet::with_capacity(targets.len());
        let mut reading = Reading {
            targets: Vec::with_capacity(targets.len()),
            ..Reading::default()
        };
        for (draft, &target) in targets.iter().enumerate() {
            let index = usize::try_from(target)
                .ok()
                .filter(|index| *index < self.vocab_size);
            let (Some(index), Ok(target)) = (index, u32::try_from(target)) else {
                reading.outside += 1;
                reading.first_outside.get_or_insert(draft);
                continue;
            };
            if !seen.insert(index) {
                reading.repeated += 1;
                reading.first_repeated.get_or_insert(draft);
            }
            reading.targets.push(target);
        }
        if let Some(t2d) = t2d {
            let differing = |(token, member): &(usize, &bool)| seen.contains(token) != **member;
            let mut differences = t2d.iter().enumerate().filter(differing);
            reading.first_difference = differences.next().map(|(token, _)| token);
            reading.differences =
                differences.count() + usize::from(reading.first_difference.is_some());
            reading.members = t2d.iter().filter(|member| **member).count();
        }
        reading
    }

    fn explain(
        &self,
        d2t: &[i64],
        offsets: &Reading,
        absolute: &Reading,
        open: bool,
    ) -> Diagnostic {
        let (total, vocabulary) = (d2t.len(), self.vocab_size);
        let entry = |draft: usize| (draft, d2t.get(draft).copied().unwrap_or_default());
        if open {
            return self
                .problem(codes::MAP_ABSOLUTE, "d2t", "`d2t` may hold offsets or absolute token ids".to_owned())
                .note("its entries rise throughout, as ids do and offsets hardly ever, yet both readings fit")
                .help("add `t2d`, which decides it");
        }
        if absolute.fits() {
            return self
                .problem(codes::MAP_ABSOLUTE, "d2t", "`d2t` holds absolute token ids instead of offsets".to_owned())
                .note(format!("as offsets {}", offsets.misfit(absolute.members > 0)))
                .note("as verifier tokens the entries are inside the vocabulary, distinct and in accord with `t2d`")
                .help("subtract the index from each entry: `d2t - arange(len(d2t))`");
        }
        if let Some((draft, offset)) = offsets.first_outside.map(entry) {
            return self
                .problem(
                    codes::MAP_RANGE,
                    "d2t",
                    format!(
                        "`d2t` sends draft token {draft} to {}, outside the verifier vocabulary of {vocabulary}",
                        offset.saturating_add(draft as i64)
                    ),
                )
                .note(format!("{draft} + d2t[{draft}] = {draft} + {offset}"))
                .note(format!("{} of {total} entries lead outside", offsets.outside));
        }
        if let Some((draft, offset)) = offsets.first_repeated.map(entry) {
            let target = offset.saturating_add(draft as i64);
            let other = (0..draft).find(|other| {
                d2t.get(*other).copied().unwrap_or_default() + *other as i64 == target
            });
            return self
                .problem(
                    codes::MAP_DUPLICATE,
                    "d2t",
                    format!(
                        "draft tokens {} and {draft} both map to verifier token {target}",
                        other.unwrap_or_default()
                    ),
                )
                .note(format!(
                    "{} of {total} entries repeat an earlier target",
                    offsets.repeated
                ));
        }
        let token = offsets.first_difference.unwrap_or_default();
        self.problem(
            codes::MAP_DISAGREE,
            "t2d",
            format!(
                "`d2t` and `t2d` disagree about {} verifier tokens",
                offsets.differences
            ),
        )
        .note(format!("the first is token {token}"))
        .note(format!(
            "`t2d` marks {} tokens, `d2t` leads to {total}",
            offsets.members
        ))
    }

    fn map(&self, draft_to_target: Vec<u32>) -> VocabularyMap {
        VocabularyMap {
            draft_to_target,
            vocab_size: self.vocab_size,
        }
    }

    fn count(&self, marked: usize) -> Diagnostic {
        let title = format!(
            "`t2d` marks {marked} tokens, but the head has {} draft tokens",
            self.draft_vocab_size
        );
        self.problem(codes::MAP_DISAGREE, "t2d", title)
    }

    fn never_loaded(&self, tensor: &str, what: &str) -> Diagnostic {
        self.problem(
            codes::MAP_NEVER_LOADED,
            tensor,
            format!(
                "{what}, although only {} of {} tokens are in the draft",
                self.draft_vocab_size, self.vocab_size
            ),
        )
        .help("find the map the trainer used, and put it into the checkpoint")
    }

    fn problem(&self, code: codes::Code, tensor: &str, title: String) -> Diagnostic {
        let view = if tensor == "d2t" { self.d2t } else { self.t2d };
        let place = view.map_or_else(
            || self.place.clone(),
            |view| Place::tensor(view.path, view.name),
        );
        Diagnostic::error(code, title).at(place)
    }
}

/// One way of reading the entries, and what speaks against it.
#[derive(Default)]
struct Reading {
    targets: Vec<u32>,
    outside: usize,
    first_outside: Option<usize>,
    repeated: usize,
    first_repeated: Option<usize>,
    differences: usize,
    first_difference: Option<usize>,
    members: usize,
}

impl Reading {
    fn fits(&self) -> bool {
        self.outside == 0 && self.repeated == 0 && self.differences == 0
    }

    fn misfit(&self, marked: bool) -> String {
        match (self.outside, self.repeated) {
            (0, 0) if marked => {
                format!("they disagree with `t2d` about {} tokens", self.differences)
            }
            (0, repeated) => format!("{repeated} of them repeat an earlier target"),
            (outside, _) => format!("{outside} of them lead outside the vocabulary"),
        }
    }
}

fn keep<T>(result: Result<T, Diagnostic>, problems: &mut Vec<Diagnostic>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}
