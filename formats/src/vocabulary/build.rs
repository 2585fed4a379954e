//! The vocabulary map that follows from token counts.
//!
//! Which tokens are taken, and in which order, is settled by the Python package `speculators`: heads are trained by its maps,
//! so for the same counts the map has to be the same. It takes the most frequent tokens, of equally frequent ones those with
//! the lowest ids, fills up with the lowest ids that are left, and sorts what it took by id. Here tokens can be included by
//! force, too: it does not do that, and the token that ends a turn, seen once in an answer, may then be missing from the head.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::VocabularyMap;
use super::counts::TokenCounts;
use crate::codes;
use crate::diagnostic::Diagnostic;

/// A map and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltMap {
    /// The map, in ascending order of verifier tokens.
    pub map: VocabularyMap,
    /// Tokens that are in only to fill up: the counts do not list them. Ascending.
    pub padding: Vec<u32>,
    /// Tokens that are in only because they were forced in, each with the one it displaced.
    pub exchanged: Vec<Exchange>,
}

/// A token that was included by force, and the token that had to go for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// The token that is in.
    pub included: u32,
    /// The token that would be in its place: the least frequent one that is not forced in itself.
    pub displaced: u32,
    /// How often the displaced token occurs.
    pub displaced_count: u64,
}

/// Builds the map of a draft vocabulary of this size. Tokens of `forced` are in it whatever their count; each displaces the
/// least frequent token that is in and not forced.
///
/// With nothing forced, or nothing that would not be in anyway, this is the map of the Python package.
///
/// # Errors
/// S314 if the vocabulary has no room for so many draft tokens, or they none for so many forced ones; S315 for a forced
/// token outside the vocabulary.
pub fn build(
    counts: &TokenCounts,
    draft_vocab_size: usize,
    forced: &[u32],
) -> Result<BuiltMap, Diagnostic> {
    let vocab_size = counts.vocab_size();
    if draft_vocab_size == 0 || draft_vocab_size > vocab_size {
        return Err(Diagnostic::error(
            codes::DRAFT_SIZE,
            format!(
                "{draft_vocab_size} draft tokens cannot be taken from a vocabulary of {vocab_size}"
            ),
        )
        .note(format!("between 1 and {vocab_size} can")));
    }
    if let Some(token) = forced.iter().find(|token| **token as usize >= vocab_size) {
        return Err(Diagnostic::error(
            codes::FORCED_TOKEN,
            format!("token {token} is to be included, but the vocabulary has {vocab_size} tokens"),
        ));
    }
    let forced: HashSet<u32> = forced.iter().copied().collect();
    if forced.len() > draft_vocab_size {
        return Err(Diagnostic::error(
            codes::DRAFT_SIZE,
            format!(
                "{} tokens are to be included, but the draft vocabulary has {draft_vocab_size}",
                forced.len()
            ),
        ));
    }
    // From the first to be taken to the first to be displaced.
    let mut chosen = counts.by_frequency();
    chosen.truncate(draft_vocab_size);
    let taken: HashMap<u32, u64> = chosen.iter().copied().collect();
    // Of the lowest `draft_vocab_size` ids, at most those chosen are taken already: there are always enough.
    let mut padding: Vec<u32> = (0..)
        .filter(|token| !taken.contains_key(token))
        .take(draft_vocab_size - chosen.len())
        .collect();
    chosen.extend(padding.iter().map(|token| (*token, 0)));
    let inside: HashSet<u32> = chosen.iter().map(|(token, _)| *token).collect();
    let mut wanting: Vec<u32> = forced.difference(&inside).copied().collect();
    wanting.sort_unstable();

    let mut exchanged = Vec::with_capacity(wanting.len());
    let mut least = (0..chosen.len()).rev();
    for included in wanting {
        // There is one: not more tokens are forced than there is room for.
        let Some(index) = least.find(|index| !forced.contains(&chosen[*index].0)) else {
            break;
        };
        let (displaced, displaced_count) = chosen[index];
        chosen[index] = (included, counts.get(included));
        exchanged.push(Exchange {
            included,
            displaced,
            displaced_count,
        });
    }
    let mut draft_to_target: Vec<u32> = chosen.into_iter().map(|(token, _)| token).collect();
    draft_to_target.sort_unstable();
    padding.retain(|token| draft_to_target.binary_search(token).is_ok());
    Ok(BuiltMap {
        map: VocabularyMap {
            draft_to_target,
            vocab_size,
        },
        padding,
        exchanged,
    })
}
