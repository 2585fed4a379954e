//! The draft vocabulary: a finished map, the most frequent tokens by counts, or everything.

use super::options::usage;
use super::verifier::Verifier;
use super::{InitRequest, VocabularySource};
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::vocabulary::{TokenCounts, VocabularyMap, build, read_map};
use crate::{Result, codes};

const KEY: &str = "draft_vocab_size";

/// The map, where the vocabulary is reduced.
///
/// # Errors
/// S001 for numbers that contradict each other, S402 for a map of another verifier, S445 where nothing says which tokens;
/// what is wrong with the files.
pub(super) fn decide(
    request: &InitRequest,
    verifier: &Verifier,
    decisions: &mut Vec<Decision>,
) -> Result<Option<VocabularyMap>> {
    let (whole, wanted) = (verifier.vocab_size, request.draft_vocab_size);
    if let Some(wanted) = wanted.filter(|wanted| *wanted > whole) {
        let title =
            format!("{wanted} draft tokens are asked for, but the verifier has {whole} tokens");
        return Err(usage(title).into());
    }
    let (map, by) = match &request.vocabulary {
        None => {
            undecided(wanted, whole)?;
            let reason =
                "all of the verifier's tokens; `--token-freq` or `--vocab` makes `lm_head` smaller";
            decisions.push(Decision::settled(KEY, whole, reason));
            return Ok(None);
        }
        Some(VocabularySource::Map(map)) => (Some(map.clone()), "the map given".to_owned()),
        Some(VocabularySource::Directory(path)) => {
            let found = read_map(path, Some(whole), wanted)?;
            decisions.extend(found.decisions);
            (found.map, format!("the map in `{}`", path.display()))
        }
        Some(VocabularySource::Counts(path)) => {
            let counts = TokenCounts::read(path, Some(whole))?;
            let Some(wanted) = wanted else {
                let title = "counts of tokens are given, but not how many of them to take";
                return Err(usage(title.to_owned())
                    .help("add `--draft-vocab-size`")
                    .into());
            };
            let built = build(&counts, wanted, &[])?;
            let by = counted(&counts, &built.map, path);
            if !built.padding.is_empty() {
                let reason = format!(
                    "{} tokens occur in the counts; the rest is filled up with the lowest ids that do not",
                    counts.seen()
                );
                decisions.push(Decision::guessed(
                    "d2t",
                    format!("{} tokens that were not seen", built.padding.len()),
                    reason,
                ));
            }
            (Some(built.map), by)
        }
    };
    let Some(map) = map.filter(|map| map.draft_to_target.len() != whole) else {
        let reason = format!("all of the verifier's tokens, by {by}");
        decisions.push(Decision::settled(KEY, whole, reason));
        return Ok(None);
    };
    fits(&map, wanted, verifier)?;
    let found = map.draft_to_target.len();
    let reason = format!("of the verifier's {whole} tokens, by {by}");
    decisions.push(Decision::settled(KEY, found, reason));
    decisions.extend(ends(&map, verifier));
    Ok(Some(map))
}

/// S445 where fewer tokens are asked for and nothing says which.
fn undecided(wanted: Option<usize>, whole: usize) -> Result<()> {
    let Some(wanted) = wanted.filter(|wanted| *wanted < whole) else {
        return Ok(());
    };
    let title = format!(
        "nothing says which {wanted} of the verifier's {whole} tokens the head is to propose"
    );
    Err(Diagnostic::error(codes::DRAFT_VOCABULARY_OPEN, title)
        .note("a head never proposes a token outside its vocabulary, so that a wrong choice costs acceptance everywhere")
        .help("pass counts of tokens with `--token-freq`, or a finished map with `--vocab`")
        .into())
}

fn fits(map: &VocabularyMap, wanted: Option<usize>, verifier: &Verifier) -> Result<()> {
    if map.vocab_size != verifier.vocab_size {
        let title = format!(
            "the vocabulary is a choice among {} tokens, but the verifier has {}",
            map.vocab_size, verifier.vocab_size
        );
        return Err(Diagnostic::error(codes::VOCABULARY, title)
            .at(Place::file(&verifier.path))
            .into());
    }
    let found = map.draft_to_target.len();
    match wanted.filter(|wanted| *wanted != found) {
        Some(wanted) => Err(usage(format!(
            "{wanted} draft tokens are asked for, but the vocabulary has {found}"
        ))
        .into()),
        None => Ok(()),
    }
}

/// The file of counts, and how much of what it counts the map covers.
#[expect(clippy::cast_precision_loss, reason = "shown to two decimals")]
fn counted(counts: &TokenCounts, map: &VocabularyMap, path: &std::path::Path) -> String {
    let share = 100.0 * counts.covered_by(map) as f64 / counts.total().max(1) as f64;
    format!(
        "the counts in `{}`, of which they are {share:.2} %",
        path.display()
    )
}

/// The tokens that end a text, where the head cannot propose them.
fn ends(map: &VocabularyMap, verifier: &Verifier) -> Option<Decision> {
    let outside: Vec<usize> = verifier
        .eos_token_ids
        .iter()
        .copied()
        .filter(|token| {
            !map.draft_to_target
                .iter()
                .any(|target| *target as usize == *token)
        })
        .collect();
    (!outside.is_empty()).then(|| {
        Decision::guessed(
            "d2t",
            format!("without {outside:?}"),
            "these end a text and are not in the vocabulary, so that the end is never drafted; `speculators vocab` takes them in",
        )
    })
}
