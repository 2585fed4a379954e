//! Counting the tokens of training data: JSONL of any size, in a stream, on all cores.
//!
//! What is counted is what a head is trained on, as the Python package `speculators` prepares it: the tokens of the
//! assistant's answers. Lines are read in batches; each batch becomes a list of counts of its own, and sums do not depend on
//! the order they are taken in, so the result is the same for any number of threads. No more than two waves of batches are in
//! memory, however long the data are.

mod batch;
mod line;
mod reader;
mod spans;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde::Serialize;
use speculators_formats::vocabulary::TokenCounts;
use speculators_formats::{Diagnostic, codes};

use self::batch::{Outcome, Work};
use self::reader::{Batch, Reader};
use crate::text::TextModel;
use crate::{Error, Result};

/// Broken lines that are reported one by one.
const REPORTED: usize = 20;

/// Where data come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl Source {
    /// The path to be shown in findings; `-` for standard input.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Source::File(path) => path,
            Source::Stdin => Path::new("-"),
        }
    }
}

/// Which tokens are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Counted {
    /// Those of the assistant's answers, or where `loss_mask` is 1.
    Assistant,
    /// All.
    All,
}

/// How to count.
#[derive(Clone, Copy, Debug)]
pub struct CountOptions {
    /// Tokens of the verifier's vocabulary.
    pub vocab_size: usize,
    /// Which tokens are counted.
    pub counted: Counted,
    /// Tokens of a sequence that are looked at, from its beginning; all, if there is no limit.
    pub seq_length: Option<usize>,
    /// Leave out lines that cannot be used, and count them, instead of failing.
    pub skip_invalid: bool,
    /// Worker threads; nothing for the pool that is there.
    pub threads: Option<usize>,
}

/// What was counted.
#[derive(Debug)]
pub struct Counting {
    /// The counts.
    pub counts: TokenCounts,
    /// What was read.
    pub sources: Vec<SourceRead>,
    /// Kinds of lines.
    pub lines: Lines,
    /// Findings that do not stand in the way.
    pub warnings: Vec<Diagnostic>,
}

/// A source that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceRead {
    /// Path as given; `-` for standard input.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// Its lines.
    pub lines: u64,
    /// BLAKE3 digest of its bytes.
    pub blake3: String,
}

/// How many lines there were of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// Lines of plain text, which are counted whole.
    pub text: u64,
    /// Conversations.
    pub conversations: u64,
    /// Answers in them that were counted; with [`Counted::All`], none.
    pub answers: u64,
    /// Conversations without an answer that something comes before: nothing of them is counted.
    pub without_answer: u64,
    /// Lines of token ids with a loss mask.
    pub masked: u64,
    /// Lines of token ids without one, which are counted whole.
    pub unmasked: u64,
    /// Lines that were left out because they cannot be used.
    pub skipped: u64,
    /// Answers that begin otherwise than the template opens them.
    pub diverging: u64,
    /// Turns of unknown roles, taken for the assistant's.
    pub unknown_roles: u64,
}

impl Lines {
    fn add(&mut self, other: &Lines) {
        self.text += other.text;
        self.conversations += other.conversations;
        self.answers += other.answers;
        self.without_answer += other.without_answer;
        self.masked += other.masked;
        self.unmasked += other.unmasked;
        self.skipped += other.skipped;
        self.diverging += other.diverging;
        self.unknown_roles += other.unknown_roles;
    }
}

/// Counts the tokens of all sources together. Without a `model`, only lines of token ids can be counted.
///
/// `progress` is told the bytes read and the tokens counted so far.
///
/// # Errors
/// S101 for a source that cannot be read; S701 if text has to be counted and there is no tokenizer, or a conversation and no
/// chat template; S711, S712 and S713 for lines that cannot be used, up to twenty of them; [`Error::Interrupted`] once
/// `cancelled` is set.
pub fn count(
    sources: &[Source],
    model: Option<&TextModel>,
    options: &CountOptions,
    cancelled: &AtomicBool,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Counting> {
    let work = Work {
        model,
        options,
        cancelled,
        sources,
    };
    let mut run = || in_waves(&work, sources, progress);
    let Some(threads) = options.threads else {
        return run();
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| {
            Diagnostic::error(codes::USAGE, format!("{threads} threads cannot be started"))
                .note(error.to_string())
        })?;
    pool.install(run)
}

fn in_waves(
    work: &Work<'_>,
    sources: &[Source],
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Counting> {
    let mut reader = Reader::new(sources);
    let mut tally = Tally::new(work.options);
    let mut wave = reader.next_wave()?;
    while !wave.is_empty() {
        // One broken line decides that there will be no counts; the rest is only looked through for more of them.
        let check = tally.failed();
        let (next, outcomes) = rayon::join(
            || reader.next_wave(),
            || {
                let batches = wave.par_iter();
                batches
                    .map(|batch: &Batch| work.batch(batch, check))
                    .collect::<Vec<_>>()
            },
        );
        if work.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        for outcome in outcomes {
            tally.take(outcome?);
        }
        progress(reader.bytes(), tally.tokens);
        if tally.failed() && tally.broken >= REPORTED as u64 {
            break;
        }
        wave = next?;
    }
    tally.finish(reader.finish())
}

/// What the batches add up to.
struct Tally {
    skip_invalid: bool,
    counts: Vec<u64>,
    tokens: u64,
    lines: Lines,
    /// Lines that cannot be used, and what is wrong with the first of them.
    broken: u64,
    problems: Vec<Diagnostic>,
}

impl Tally {
    fn new(options: &CountOptions) -> Tally {
        Tally {
            skip_invalid: options.skip_invalid,
            counts: vec![0; options.vocab_size],
            tokens: 0,
            lines: Lines::default(),
            broken: 0,
            problems: Vec::new(),
        }
    }

    fn failed(&self) -> bool {
        self.broken > 0 && !self.skip_invalid
    }

    fn take(&mut self, outcome: Outcome) {
        for (token, count) in outcome.counts {
            // Checked against the vocabulary with its line.
            if let Some(slot) = self.counts.get_mut(token as usize) {
                *slot += count;
                self.tokens += count;
            }
        }
        self.lines.add(&outcome.lines);
        self.broken += outcome.problems.len() as u64;
        let room = REPORTED - self.problems.len();
        self.problems
            .extend(outcome.problems.into_iter().take(room));
    }

    fn finish(mut self, sources: Vec<SourceRead>) -> Result<Counting> {
        if self.failed() {
            let more = self.broken - self.problems.len() as u64;
            if more > 0 {
                self.problems.push(
                    Diagnostic::error(
                        codes::DATA_MALFORMED,
                        format!("at least {more} more lines cannot be used"),
                    )
                    .help("`--skip-invalid` leaves them out"),
                );
            }
            return Err(self.problems.into());
        }
        let mut warnings = Vec::new();
        self.lines.skipped = self.broken;
        if self.broken > 0 {
            warnings.push(self.skipped(&sources));
        }
        let Lines {
            answers,
            diverging,
            unknown_roles,
            ..
        } = self.lines;
        if diverging > 0 {
            warnings.push(
                Diagnostic::warning(
                    codes::SPANS_DIVERGE,
                    format!("{diverging} of {answers} answers begin otherwise than the chat template opens them"),
                )
                .note("each is counted from the first token that differs, after all of the conversation before it"),
            );
        }
        if unknown_roles > 0 {
            warnings.push(Diagnostic::warning(
                codes::DATA_ROLES,
                format!("{unknown_roles} turns of unknown roles are taken for the assistant's"),
            ));
        }
        Ok(Counting {
            counts: TokenCounts::from_list(&self.counts)?,
            sources,
            lines: self.lines,
            warnings,
        })
    }

    fn skipped(&self, sources: &[SourceRead]) -> Diagnostic {
        let total: u64 = sources.iter().map(|source| source.lines).sum();
        let title = format!("{} of {total} lines were left out", self.broken);
        let mut warning = Diagnostic::warning(codes::DATA_SKIPPED, title);
        for problem in &self.problems {
            let place = problem.place.as_ref().map(ToString::to_string);
            warning = warning.note(format!("{}: {}", place.unwrap_or_default(), problem.title));
        }
        let more = self.broken - self.problems.len() as u64;
        if more > 0 {
            warning = warning.note(format!("and {more} more"));
        }
        warning
    }
}
