//! The head that is probed, opened in every way in which it could be meant.

use std::path::Path;

use speculators_formats::{
    Checkpoint, Decision, Head, MapEntries, ReadOptions, VerifierConfig, codes,
};

use super::question::{Choices, Question};
use super::reading::Reading;
use crate::Result;
use crate::models::{DraftHead, Verifier};

/// A head with its metadata in doubt.
#[derive(Debug)]
pub struct Subject {
    /// The head as it can be opened: as declared, but for the norms that its tensors show and a `d2t` that cannot be what
    /// it should be.
    pub head: Head,
    /// What there is to choose from.
    pub choices: Choices,
    /// The head with the other reading of `d2t`, where that is a map, too.
    other_map: Option<Head>,
    /// Why the declared reading of `d2t` is no map, where it is none.
    broken_map: Option<String>,
}

impl Subject {
    /// Opens a head.
    ///
    /// # Errors
    /// Whatever is wrong with it that another reading would not mend.
    pub fn open(directory: &Path, verifier: &VerifierConfig) -> Result<Subject> {
        let checkpoint = Checkpoint::open(directory)?;
        let has = |tensor: &str| checkpoint.names().any(|name| name.ends_with(tensor));
        let (input_norm, fc_norms) = (has("input_norm.weight"), has("fc_norm.0.weight"));
        let config = checkpoint.config().clone();
        // A flag cannot make up for a norm that is not there, nor can one that is there be left in no doubt by a flag.
        let options = ReadOptions {
            norm_before_fc: (input_norm && !fc_norms).then_some(true),
            fc_norm: (fc_norms && !input_norm).then_some(true),
            ..ReadOptions::default()
        };
        let open = |map_entries| {
            let options = ReadOptions {
                map_entries,
                ..options.clone()
            };
            Head::open(directory, Some(verifier), &options)
        };
        let as_declared = open(None);
        let in_doubt = match &as_declared {
            Ok(_) => false,
            Err(problems) => problems
                .iter()
                .all(|problem| problem.code == codes::MAP_ABSOLUTE),
        };
        if !in_doubt && as_declared.is_err() {
            return Err(as_declared.err().unwrap_or_default().into());
        }
        let reduced = as_declared
            .as_ref()
            .map_or(true, |head| head.vocabulary_map().is_some());
        let mut maps = Vec::new();
        let mut broken_map = None;
        for entries in [MapEntries::Offsets, MapEntries::Absolute] {
            match open(Some(entries)) {
                _ if !reduced => {}
                Ok(head) => maps.push((entries, head)),
                Err(problems) if in_doubt && entries == MapEntries::Offsets => {
                    let notes = problems.iter().flat_map(|problem| &problem.notes);
                    broken_map = notes.map(String::as_str).next().map(str::to_owned);
                }
                Err(_) => {}
            }
        }
        let taken = as_declared.ok();
        // A foreign layout may have had absolute ids turned into offsets already.
        let declared_map = match &taken {
            Some(head) => maps
                .iter()
                .find(|(_, other)| other.vocabulary_map() == head.vocabulary_map())
                .map(|(entries, _)| *entries),
            None => Some(MapEntries::Offsets),
        };
        maps.sort_by_key(|(entries, _)| Some(*entries) != declared_map);
        let map_entries: Vec<MapEntries> = maps.iter().map(|(entries, _)| *entries).collect();
        let mut heads = maps.into_iter().map(|(_, head)| head);
        let (first, second) = (heads.next(), heads.next());
        let Some(head) = taken.or(first) else {
            // Neither reading is a map: the first opening says so best.
            return Err(open(None).err().unwrap_or_default().into());
        };
        let mut declared = Reading::of(&head.description, declared_map);
        let flag = |key: &str| {
            let nested = config.root().bool(&format!("eagle_config.{key}"));
            let written = config.root().bool(key).ok().flatten();
            written.or(nested.ok().flatten())
        };
        if input_norm {
            declared.norm_before_fc = flag("norm_before_fc").unwrap_or(declared.norm_before_fc);
        }
        if fc_norms {
            declared.fc_norm = flag("fc_norm").unwrap_or(declared.fc_norm);
        }
        let choices = Choices {
            input_norm: head.description.norm_before_fc,
            fc_norms: head.description.fc_norm,
            map_entries,
            ..Choices::new(declared, verifier)
        };
        Ok(Subject {
            head,
            choices,
            other_map: second,
            broken_map,
        })
    }

    /// Loads what is to be run: for each reading of `d2t` a head of its own.
    ///
    /// # Errors
    /// As for [`DraftHead::load`].
    pub(crate) fn load(&self, verifier: &Verifier) -> Result<Vec<DraftHead>> {
        let mut heads = vec![DraftHead::load(&self.head, verifier)?];
        if let Some(other) = &self.other_map {
            heads.push(DraftHead::load(other, verifier)?);
        }
        Ok(heads)
    }

    /// Why what is declared cannot be, before anything is measured.
    pub(crate) fn broken(&self, question: Question) -> Option<String> {
        let Choices {
            declared,
            input_norm,
            fc_norms,
            ..
        } = &self.choices;
        let there = |tensor: &str| format!("the head would have no `{tensor}`, and it has one");
        match question {
            Question::VocabularyMap => self.broken_map.clone(),
            Question::NormBeforeFc if *input_norm && !declared.norm_before_fc => {
                Some(there("input_norm.weight"))
            }
            Question::FcNorm if *fc_norms && !declared.fc_norm => Some(there("fc_norm.0.weight")),
            _ => None,
        }
    }

    /// The guess by which a question was answered, where the source leaves it open.
    #[must_use]
    pub fn guess(&self, question: Question) -> Option<&Decision> {
        let about = |decision: &&Decision| {
            let subject = decision.subject.as_str();
            subject.ends_with(question.key())
                || question == Question::Rope && subject.contains("rope")
        };
        self.head
            .decisions
            .iter()
            .filter(|decision| decision.guess)
            .find(about)
    }
}
