//! What happened to entries of a file, counted by reason.

/// How many entries a note names.
const NAMED: usize = 5;

/// Entries of a file, by what there is to say about them.
#[derive(Default)]
pub(super) struct Tally {
    reasons: Vec<(String, Vec<usize>)>,
}

impl Tally {
    pub(super) fn count(&mut self, reason: String, entry: usize) {
        match self.reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, entries)) => entries.push(entry),
            None => self.reasons.push((reason, vec![entry])),
        }
    }

    pub(super) fn total(&self) -> usize {
        self.reasons.iter().map(|(_, entries)| entries.len()).sum()
    }

    pub(super) fn has(&self, reason: &str) -> bool {
        self.reasons.iter().any(|(known, _)| known == reason)
    }

    /// A sentence per reason, with the first few entries; `unit` is what an entry is called.
    pub(super) fn notes(&self, unit: [&str; 2]) -> Vec<String> {
        let note = |(reason, entries): &(String, Vec<usize>)| {
            let [one, many] = unit;
            let named = &entries[..entries.len().min(NAMED)];
            let named: Vec<String> = named.iter().map(usize::to_string).collect();
            let named = named.join(", ");
            match entries.len() {
                1 => format!("{one} {named}: {reason}"),
                total if total > NAMED => format!("{total} {many}, from {named} on: {reason}"),
                _ => format!("{many} {named}: {reason}"),
            }
        };
        self.reasons.iter().map(note).collect()
    }
}
