//! A prompt file: which form it has, and its entries one by one.

use std::path::Path;

use serde_json::{Map, Value};
use speculators_formats::{Diagnostic, Place, codes};

use super::entry::{Refusal, read_object};
use super::share_gpt::PLACEHOLDER;
use super::tally::Tally;
use super::{Prompt, PromptBody, PromptOptions, PromptSet, body};
use crate::Result;

const LINES: [&str; 2] = ["line", "lines"];
const ENTRIES: [&str; 2] = ["entry", "entries"];

/// First bytes of files that people hold for prompts, what they are, and what makes prompts of them.
const FOREIGN: [(&[u8], &str, &str); 4] = [
    (
        b"PAR1",
        "Parquet",
        "export it with Python: `pandas.read_parquet(\"IN.parquet\").to_json(\"OUT.jsonl\", orient=\"records\", lines=True)`",
    ),
    (b"\x1f\x8b", "compressed by gzip", "unpack it with `gunzip`"),
    (
        b"\x28\xb5\x2f\xfd",
        "compressed by zstd",
        "unpack it with `unzstd`",
    ),
    (b"PK\x03\x04", "a ZIP archive", "unpack it with `unzip`"),
];

pub(super) fn read(path: &Path, options: PromptOptions) -> Result<PromptSet> {
    let bytes = fs_err::read(path).map_err(|error| {
        Diagnostic::error(codes::FILE_MISSING, "the prompts file cannot be read")
            .at(Place::file(path))
            .note(error.to_string())
    })?;
    let foreign = FOREIGN.iter().find(|(magic, ..)| bytes.starts_with(magic));
    if let Some((_, what, help)) = foreign {
        let title = format!("the prompts file is {what}, not text");
        return Err(Diagnostic::error(codes::PROMPTS_FORM, title)
            .at(Place::file(path))
            .help(*help)
            .into());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let title = format!("the prompts file is not UTF-8 from byte {at} on");
        Diagnostic::error(codes::PROMPTS_FORM, title).at(Place::file(path))
    })?;
    parse(path, &text, options)
}

pub(super) fn parse(path: &Path, text: &str, options: PromptOptions) -> Result<PromptSet> {
    // Editors on Windows begin a file with the mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    let entries = match ending.to_str() {
        Some("txt") => Entries::of_text(path, text.lines()),
        Some("md") => Entries::of_text(path, Some(text.trim_end()).into_iter()),
        _ if text.trim_start().starts_with('[') && !is_lines(text) => {
            return list(path, text, options);
        }
        _ => return lines(path, text, options),
    };
    entries.finish(options)
}

/// The entries of a file, as they are read.
struct Entries<'a> {
    path: &'a Path,
    unit: [&'static str; 2],
    seen: usize,
    prompts: Vec<Prompt>,
    malformed: Vec<Diagnostic>,
    skipped: Tally,
    adjusted: Tally,
}

impl<'a> Entries<'a> {
    fn new(path: &'a Path, unit: [&'static str; 2]) -> Entries<'a> {
        Entries {
            path,
            unit,
            seen: 0,
            prompts: Vec::new(),
            malformed: Vec::new(),
            skipped: Tally::default(),
            adjusted: Tally::default(),
        }
    }

    /// Each text is a prompt, continued as it stands; blank ones are none.
    fn of_text<'t>(path: &'a Path, texts: impl Iterator<Item = &'t str>) -> Entries<'a> {
        let mut entries = Entries::new(path, LINES);
        let texts = texts.enumerate();
        entries.prompts = texts
            .filter(|(_, text)| !text.trim().is_empty())
            .map(|(index, text)| Prompt {
                id: (index + 1).to_string(),
                category: None,
                body: PromptBody::Text(text.to_owned()),
                template_variables: Map::new(),
            })
            .collect();
        entries
    }

    fn is_full(&self, options: PromptOptions) -> bool {
        options.limit == Some(self.prompts.len())
    }

    fn add(
        &mut self,
        object: &Map<String, Value>,
        number: usize,
        place: impl FnOnce(Diagnostic) -> Diagnostic,
    ) {
        self.seen += 1;
        let mut remarks = Vec::new();
        match read_object(object, number, &mut remarks) {
            Ok(prompt) => {
                self.prompts.push(prompt);
                for remark in remarks {
                    self.adjusted.count(remark.to_owned(), number);
                }
            }
            Err(Refusal::Malformed(problem)) => self.malformed.push(place(problem.diagnostic())),
            Err(Refusal::Unusable(reason)) => self.skipped.count(reason, number),
        }
    }

    fn finish(self, options: PromptOptions) -> Result<PromptSet> {
        if !self.malformed.is_empty() {
            return Err(self.malformed.into());
        }
        let [_, many] = self.unit;
        let skipped = self.skipped.total();
        let say = |mut diagnostic: Diagnostic, tally: &Tally| {
            diagnostic = diagnostic.at(Place::file(self.path));
            for note in tally.notes(self.unit) {
                diagnostic = diagnostic.note(note);
            }
            diagnostic
        };
        let mut prompts = self.prompts;
        if prompts.is_empty() || options.limit == Some(0) {
            let error = match skipped {
                0 => Diagnostic::error(codes::PROMPTS_EMPTY, "the prompts file holds no prompt").help(
                    "put one JSON object on each line, such as {\"prompt\": \"Once upon a time\"}",
                ),
                _ => {
                    let title = format!("none of {skipped} {many} of the prompts file holds a usable prompt");
                    Diagnostic::error(codes::PROMPTS_EMPTY, title)
                }
            };
            return Err(say(error, &self.skipped).into());
        }
        let mut remarks = Vec::new();
        if skipped > 0 {
            let title = format!(
                "{skipped} of {} {many} hold no usable prompt and were skipped",
                self.seen
            );
            let mut warning = say(
                Diagnostic::warning(codes::PROMPTS_SKIPPED, title),
                &self.skipped,
            );
            if self.skipped.has(PLACEHOLDER) {
                warning = warning.help(
                    "fetch the missing texts with NVIDIA's `prepare_data.py` (Model-Optimizer, `examples/specdec_bench`) or `prepare.py` (NeMo-Skills)",
                );
            }
            remarks.push(warning);
        }
        if self.adjusted.total() > 0 {
            let title = format!(
                "{} of {} prompts are read otherwise than they stand",
                self.adjusted.total(),
                prompts.len()
            );
            let info = Diagnostic::info(codes::PROMPTS_ADJUSTED, title);
            remarks.push(say(info, &self.adjusted));
        }
        prompts.truncate(options.limit.unwrap_or(usize::MAX));
        if options.as_chat {
            prompts
                .iter_mut()
                .for_each(|prompt| body::as_chat(&mut prompt.body));
        }
        Ok(PromptSet { prompts, remarks })
    }
}

fn lines(path: &Path, text: &str, options: PromptOptions) -> Result<PromptSet> {
    let mut entries = Entries::new(path, LINES);
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        if entries.is_full(options) {
            break;
        }
        let number = index + 1;
        match serde_json::from_str(line) {
            Ok(object) => entries.add(&object, number, |found| {
                found.at(Place::text(path, number, 1))
            }),
            Err(error) => entries.malformed.push(not_an_object(path, number, &error)),
        }
    }
    entries.finish(options)
}

fn not_an_object(path: &Path, number: usize, error: &serde_json::Error) -> Diagnostic {
    let found = Diagnostic::error(codes::PROMPT_MALFORMED, "the line is not a JSON object")
        .at(Place::text(path, number, error.column().max(1)))
        .note(error.to_string());
    if number == 1 {
        return found.help(
            "where each line is a prompt as it stands, give the file a name that ends in `.txt`",
        );
    }
    found
}

/// ShareGPT and Alpaca are published as one JSON list.
fn list(path: &Path, text: &str, options: PromptOptions) -> Result<PromptSet> {
    let list: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(|error| {
        Diagnostic::error(
            codes::PROMPT_MALFORMED,
            "the file is not a JSON list of objects",
        )
        .at(Place::text(path, error.line(), error.column().max(1)))
        .note(error.to_string())
    })?;
    let mut entries = Entries::new(path, ENTRIES);
    for (index, object) in list.iter().enumerate() {
        if entries.is_full(options) {
            break;
        }
        let number = index + 1;
        entries.add(object, number, |found| {
            found
                .at(Place::file(path))
                .note(format!("in entry {number} of {}", list.len()))
        });
    }
    entries.finish(options)
}

/// A line that is a whole JSON value tells lines from a list that is spread over them.
fn is_lines(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    match (lines.next(), lines.next()) {
        (Some(first), Some(_)) => serde_json::from_str::<Value>(first).is_ok(),
        _ => false,
    }
}
