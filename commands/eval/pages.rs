//! Reports that people look at, and the comparison of two finished runs: their options, and what is written.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use speculators::Result;
use speculators::evaluation::{FinishedRun, PageForm, Report, RunComparison};
use speculators_formats::{Diagnostic, codes};

use super::{EvalArguments, measures};
use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::OutputFile;
use crate::session::Session;

/// Pages to write.
#[derive(Args, Debug)]
pub struct PageArguments {
    /// Write the report as a page: `.html` with charts, or `.md` for a model card; may be given several times
    #[arg(long, value_name = "FILE", value_parser = page)]
    pub report: Vec<PathBuf>,
}

/// A file that will be a page.
pub struct PageFile {
    form: PageForm,
    file: OutputFile,
}

fn page(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match PageForm::of(&path) {
        Some(_) => Ok(path),
        None => Err("expected a name that ends in .html or .md".to_owned()),
    }
}

impl PageArguments {
    /// Opens every page before the work, so that an hour of it does not end at a typing error.
    pub fn open(&self, force: bool) -> Result<Vec<PageFile>, Failure> {
        let mut pages = Vec::new();
        for path in &self.report {
            if let Some(form) = PageForm::of(path) {
                let file = OutputFile::create(path, force)?;
                pages.push(PageFile { form, file });
            }
        }
        Ok(pages)
    }
}

/// Writes the pages of a report.
pub fn write(pages: Vec<PageFile>, report: &Report) -> Result<(), Failure> {
    fill(pages, |form| form.report(report))
}

fn fill(
    pages: Vec<PageFile>,
    text: impl Fn(PageForm) -> Result<String, speculators::Error>,
) -> Result<(), Failure> {
    for mut page in pages {
        page.file.write_all(text(page.form)?.as_bytes())?;
        page.file.finish()?;
    }
    Ok(())
}

/// The two runs to compare, where there are two: one value of `--compare` names another engine's outputs.
pub fn two_runs(arguments: &EvalArguments) -> Result<Option<[&Path; 2]>, Failure> {
    match arguments.compare.as_slice() {
        [first, second] => Ok(Some([first, second])),
        [] | [_] => Ok(None),
        more => Err(Diagnostic::error(
            codes::USAGE,
            format!(
                "`--compare` takes one file or two, and there are {}",
                more.len()
            ),
        )
        .into()),
    }
}

/// Compares two finished runs, and runs nothing.
pub fn compare(
    arguments: &EvalArguments,
    [first, second]: [&Path; 2],
    session: &Session,
) -> Outcome {
    runs_nothing(arguments)?;
    let pages = arguments.pages.open(arguments.force)?;
    let first = read(first, session)?;
    let second = read(second, session)?;
    let comparison = RunComparison::make(&first, &second)?;
    fill(pages, |form| form.comparison(&comparison))?;
    match arguments.format {
        Format::Json => session.print_json(&comparison)?,
        Format::Text => {
            let mut stdout = session.stdout();
            measures::write_comparison(&comparison, arguments.measure.metrics, &mut stdout)?;
        }
    }
    Ok(Exit::Yes)
}

fn read(path: &Path, session: &Session) -> Result<FinishedRun, Failure> {
    let run = FinishedRun::read(path)?;
    if !run.unfinished.is_empty() {
        session.say(&format!(
            "{}: not complete and left out: {}",
            run.file,
            run.unfinished.join(", ")
        ));
    }
    Ok(run)
}

/// Options of a run do nothing where nothing is run.
fn runs_nothing(arguments: &EvalArguments) -> Result<(), Failure> {
    let measure = &arguments.measure;
    let given = [
        ("--demo", arguments.demo),
        ("--verifier", arguments.verifier.is_some()),
        ("--speculator", arguments.speculator.is_some()),
        ("--prompts", !arguments.prompting.prompts.is_empty()),
        ("--max-new-tokens", arguments.max_new_tokens.is_some()),
        ("--limit", arguments.limit.is_some()),
        ("--threads", arguments.threads.is_some()),
        ("--outputs", arguments.outputs.is_some()),
        ("--records", measure.records.is_some()),
        ("--from-records", measure.from_records.is_some()),
        ("--against", measure.against.is_some()),
        ("--fail-under", !measure.fail_under.is_empty()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((name, _)) => Err(Diagnostic::error(
            codes::USAGE,
            format!("`{name}` plays no part where two runs are compared"),
        )
        .note("`--compare A B` reads two finished runs and runs nothing")
        .help("leave it out, or name one file of another engine's outputs")
        .into()),
    }
}

/// One file of `--compare` is about a run that is still to be made.
pub fn check_run(arguments: &EvalArguments) -> Result<(), Failure> {
    let missing = [
        ("--verifier", arguments.verifier.is_none()),
        ("--speculator", arguments.speculator.is_none()),
        ("--prompts", arguments.prompting.prompts.is_empty()),
    ];
    let missing = missing.iter().filter(|(_, missing)| *missing);
    let missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
    if arguments.demo || missing.is_empty() {
        return Ok(());
    }
    Err(Diagnostic::error(
        codes::USAGE,
        format!("`--compare` with one file needs {}", missing.join(", ")),
    )
    .note("one file holds another engine's outputs, with which a new run is compared")
    .help("name two files to compare finished runs: their reports (`--format json`) or records")
    .into())
}

/// The options by which nothing that is measured changes: whether each takes a value.
const NOT_OF_THE_RUN: [(&str, bool); 12] = [
    ("--report", true),
    ("--records", true),
    ("--outputs", true),
    ("--format", true),
    ("--metrics", true),
    ("--fail-under", true),
    ("--against", true),
    ("--color", true),
    ("--force", false),
    ("--resume", false),
    ("--no-progress", false),
    ("--quiet", false),
];

/// The command that repeats a run: what was typed, without what only says where its figures go.
pub fn command(typed: impl Iterator<Item = std::ffi::OsString>) -> String {
    let mut words = vec!["speculators".to_owned()];
    let mut typed = typed
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = typed.next() {
        let name = word.split('=').next().unwrap_or_default();
        match NOT_OF_THE_RUN.iter().find(|(option, _)| *option == name) {
            Some((_, true)) if !word.contains('=') => {
                typed.next();
            }
            Some(_) => {}
            None => words.push(quoted(&word)),
        }
    }
    words.join(" ")
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./=,:@+%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_keeps_what_is_measured_and_leaves_out_where_it_goes() {
        let typed = [
            "target/speculators",
            "eval",
            "--demo",
            "--report",
            "a b.html",
            "--report=b.md",
            "--limit",
            "3",
            "--force",
            "--prompts",
            "it's.jsonl",
            "--fail-under",
            "tau=3",
            "--temperature=0.6",
        ];
        let command = command(typed.iter().map(std::ffi::OsString::from));
        let kept = "speculators eval --demo --limit 3 --prompts 'it'\\''s.jsonl' --temperature=0.6";
        assert_eq!(command, kept);
    }

    #[test]
    fn pages_have_an_ending_that_says_what_they_are() {
        assert!(page("report.html").is_ok() && page("card.md").is_ok());
        assert!(page("report.pdf").is_err() && page("html").is_err());
    }
}
