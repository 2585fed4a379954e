//! Requests of two runs side by side.

use std::collections::BTreeMap;

use crate::evaluation::RequestReport;

/// Requests that both runs have, and those that only one of them has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairing<'a> {
    /// Of one run and of the other, in the order of the first.
    pub(crate) pairs: Vec<(&'a RequestReport, &'a RequestReport)>,
    /// Without a partner in the second run.
    pub(crate) only_first: Vec<&'a RequestReport>,
    /// Without a partner in the first run.
    pub(crate) only_second: Vec<&'a RequestReport>,
}

impl<'a> Pairing<'a> {
    /// Pairs requests by their ids, equal ones in the order of the runs.
    pub(crate) fn make(first: &'a [RequestReport], second: &'a [RequestReport]) -> Pairing<'a> {
        let mut waiting: BTreeMap<&str, Vec<&RequestReport>> = BTreeMap::new();
        for request in second.iter().rev() {
            waiting.entry(&request.id).or_default().push(request);
        }
        let mut pairing = Pairing::default();
        for request in first {
            match waiting.get_mut(request.id.as_str()).and_then(Vec::pop) {
                Some(other) => pairing.pairs.push((request, other)),
                None => pairing.only_first.push(request),
            }
        }
        pairing.only_second = waiting.into_values().flatten().collect();
        pairing
    }
}

/// Whether two requests had the same prompt: by its digest, or where one of them has none, by its number of tokens.
pub(crate) fn same_prompt(one: &RequestReport, other: &RequestReport) -> bool {
    match (&one.prompt_digest, &other.prompt_digest) {
        (Some(one), Some(other)) => one == other,
        _ => one.prompt_tokens == other.prompt_tokens,
    }
}
