//! One batch of lines, counted by one thread.

use std::sync::atomic::{AtomicBool, Ordering};

use speculators_formats::{Diagnostic, Place, codes};

use super::line::{Body, Problem, parse};
use super::reader::{Batch, LONGEST_LINE};
use super::{CountOptions, Counted, Lines, Source, spans};
use crate::text::TextModel;
use crate::{Error, Result};

/// What all threads share.
pub(super) struct Work<'a> {
    pub model: Option<&'a TextModel>,
    pub options: &'a CountOptions,
    pub cancelled: &'a AtomicBool,
    pub sources: &'a [Source],
}

/// What came of a batch.
#[derive(Default)]
pub(super) struct Outcome {
    /// Tokens and how often they occur, each token once.
    pub counts: Vec<(u32, u64)>,
    pub lines: Lines,
    /// What is wrong with lines, in order.
    pub problems: Vec<Diagnostic>,
}

/// Why a line gives no counts.
enum Trouble {
    /// Something about this line.
    Line(Problem),
    /// Something that no other line could do without either.
    All(Error),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Trouble {
        Trouble::Line(problem)
    }
}

impl Work<'_> {
    /// Counts the tokens of a batch, or with `check` only looks for lines that cannot be read.
    pub fn batch(&self, batch: &Batch, check: bool) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut tokens: Vec<u32> = Vec::new();
        for (number, bytes) in batch.lines() {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let (begin, before) = (tokens.len(), outcome.lines);
            let problem = match self.line(bytes, check, &mut tokens, &mut outcome.lines) {
                Ok(()) => continue,
                Err(Trouble::Line(problem)) => problem,
                Err(Trouble::All(error)) => return Err(error),
            };
            tokens.truncate(begin);
            outcome.lines = before;
            let path = self.sources.get(batch.source).map(Source::path);
            let place = Place::text(path.unwrap_or("".as_ref()), number, problem.column);
            outcome.problems.push(problem.diagnostic(place));
        }
        tokens.sort_unstable();
        let same = tokens.chunk_by(|one, other| one == other);
        outcome.counts = same.map(|run| (run[0], run.len() as u64)).collect();
        Ok(outcome)
    }

    fn line(
        &self,
        bytes: Option<&[u8]>,
        check: bool,
        tokens: &mut Vec<u32>,
        lines: &mut Lines,
    ) -> std::result::Result<(), Trouble> {
        let Some(bytes) = bytes else {
            return Err(Problem::new(format!(
                "the line is longer than the {LONGEST_LINE} bytes that are read"
            ))
            .into());
        };
        let bytes = bytes.trim_ascii_end();
        if bytes.is_empty() {
            return Ok(());
        }
        let body = parse(bytes)?;
        if check {
            return Ok(());
        }
        let (begin, all) = (tokens.len(), self.options.counted == Counted::All);
        let limit = self.options.seq_length.unwrap_or(usize::MAX);
        match body {
            Body::Tokens { ids, mask: None } => {
                lines.unmasked += 1;
                tokens.extend(ids.into_iter().take(limit));
            }
            Body::Tokens {
                ids,
                mask: Some(mask),
            } => {
                lines.masked += 1;
                let pairs = ids.into_iter().zip(mask).take(limit);
                tokens.extend(pairs.filter(|(_, mask)| all || *mask).map(|(id, _)| id));
            }
            Body::Text(text) => {
                lines.text += 1;
                let ids = self.model()?.tokenizer.encode(&text, false);
                tokens.extend(ids.map_err(of_line)?.into_iter().take(limit));
            }
            Body::Conversation(conversation) => {
                let model = self.model()?;
                if model.chat_template().is_err() {
                    return Err(Trouble::All(no_template().into()));
                }
                lines.conversations += 1;
                lines.unknown_roles += conversation.unknown_roles;
                if all {
                    let ids = conversation.whole(model).map_err(of_line)?;
                    tokens.extend(ids.into_iter().take(limit));
                } else {
                    let found = spans::answers(model, &conversation, limit, tokens)?;
                    lines.answers += found.answers;
                    lines.diverging += found.diverging;
                    lines.without_answer += u64::from(found.answers == 0);
                }
            }
        }
        let vocab_size = self.options.vocab_size;
        let new = tokens.get(begin..).unwrap_or_default();
        match new.iter().find(|token| **token as usize >= vocab_size) {
            None => Ok(()),
            Some(token) => Err(Problem {
                code: codes::DATA_TOKEN_RANGE,
                ..Problem::new(format!(
                    "the line has token {token}, but the vocabulary has {vocab_size} tokens"
                ))
            }
            .into()),
        }
    }

    fn model(&self) -> std::result::Result<&TextModel, Trouble> {
        self.model.ok_or_else(|| {
            Trouble::All(
                Diagnostic::error(codes::TOKENIZER, "text cannot be counted without a tokenizer")
                    .help("name the verifier with `--verifier`, with `tokenizer.json` in its directory, or give `input_ids`")
                    .into(),
            )
        })
    }
}

fn no_template() -> Diagnostic {
    Diagnostic::error(
        codes::TOKENIZER,
        "the data are conversations, but the verifier has no chat template",
    )
    .note("looked for `chat_template.jinja`, then `chat_template` in `tokenizer_config.json`")
    .help("use an instruction-tuned verifier, or give `text` or `input_ids`")
}

/// What a template or a tokenizer says about one line.
impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::Diagnostics(mut found) if !found.is_empty() => {
                let first = found.swap_remove(0);
                Problem {
                    code: first.code,
                    notes: first.notes,
                    ..Problem::new(first.title)
                }
            }
            other => Problem::new(other.to_string()),
        }
    }
}

fn of_line(error: Error) -> Trouble {
    Trouble::Line(error.into())
}
