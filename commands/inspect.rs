//! `speculators inspect`: what is in a checkpoint, without judging it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use comfy_table::Table;
use serde_json::Value;
use speculators_formats::ReadOptions;
use speculators_formats::inspect::{Inspection, inspect};

use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::models::{self, Need};
use crate::progress;
use crate::session::Session;
use crate::tables;
use crate::words::{self, plain};

/// Show what is in a checkpoint
///
/// Nothing is judged: a checkpoint with faults is shown as far as it can be read, with the reasons why no further.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators inspect converted
  speculators inspect HEAD --verifier VERIFIER
  speculators inspect HEAD --tensors
  speculators inspect converted --sha256 --format json")]
pub struct InspectArguments {
    /// Directory of the checkpoint
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Directory of the verifier of a head; settles what the head leaves to it
    #[arg(long, value_name = "DIR")]
    pub verifier: Option<PathBuf>,
    /// List the tensors
    #[arg(long)]
    pub tensors: bool,
    /// Sum up the weight files, as the Hub does
    #[arg(long)]
    pub sha256: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Runs the command.
pub fn run(arguments: InspectArguments, session: &Session) -> Outcome {
    let format = arguments.format;
    look(arguments, session).map_err(|failure| session.report_trouble(format, failure))
}

fn look(mut arguments: InspectArguments, session: &Session) -> Outcome {
    models::localize(&mut arguments.directory, Need::Everything, session)?;
    models::localize_some(&mut arguments.verifier, Need::Config, session)?;
    let verifier = arguments.verifier.as_deref();
    let mut found = inspect(&arguments.directory, verifier, &ReadOptions::default())?;
    if arguments.sha256 {
        sum_up(&mut found, session)?;
    }
    match arguments.format {
        Format::Json => session.print_json(&found)?,
        Format::Text => {
            let mut stdout = session.stdout();
            let sections = sections(&found, arguments.tensors);
            writeln!(stdout, "{}", sections.join("\n\n"))?;
            if !found.diagnostics.is_empty() {
                writeln!(stdout)?;
                session.show(&found.diagnostics);
            }
        }
    }
    Ok(Exit::Yes)
}

fn sum_up(found: &mut Inspection, session: &Session) -> Result<(), Failure> {
    if progress::over_bytes(session, "reading", |step| found.sum_up(step))? {
        Ok(())
    } else {
        Err(Failure::Interrupted)
    }
}

/// The report, a table for each subject.
fn sections(found: &Inspection, tensors: bool) -> Vec<String> {
    let mut sections = vec![overview(found).trim_fmt(), parts(found), files(found)];
    if let Some(provenance) = &found.provenance {
        sections.push(history(provenance));
    }
    if !found.decisions.is_empty() {
        sections.push(tables::decisions(&found.decisions));
    }
    if tensors {
        sections.push(all_tensors(found));
    }
    sections
}

fn overview(found: &Inspection) -> Table {
    let mut table = tables::plain(&["what", "found"]);
    let mut add = |label: &str, text: &str| {
        table.add_row([label, text]);
    };
    add("path", &found.path.display().to_string());
    add(
        "kind",
        &words::kind(found.kind, found.algorithm, found.layout),
    );
    if let Some(writer) = &found.writer {
        add("written by", writer);
    }
    if let Some(coverage) = &found.vocabulary {
        add("vocabulary", &words::coverage(coverage));
    }
    if let Some(description) = found.description() {
        for (label, text) in words::describe(&description, found.verifier_layers) {
            add(&label, &text);
        }
    }
    for (key, value) in &found.extras {
        add(&format!("(not read) {key}"), &plain(value));
    }
    for dropped in &found.dropped {
        add(
            &format!("(no part of it) {}", dropped.name),
            &dropped.reason,
        );
    }
    table
}

fn parts(found: &Inspection) -> String {
    let mut table = tables::numbers(&["part", "tensors", "parameters", "size"]);
    for part in &found.parts {
        table.add_row([
            part.name.clone(),
            part.tensors.to_string(),
            tables::grouped(part.parameters),
            tables::bytes(part.bytes),
        ]);
    }
    table.add_row([
        "all".to_owned(),
        found.tensors.len().to_string(),
        tables::grouped(found.parameters),
        tables::bytes(found.bytes),
    ]);
    table.trim_fmt()
}

/// Files shown at most.
const FILES: usize = 10;

fn files(found: &Inspection) -> String {
    let sums = found.stored.iter().any(|file| file.sha256.is_some());
    let mut table = tables::numbers(&["file", "tensors", "size"]);
    if sums {
        table = tables::numbers(&["file", "tensors", "size", "SHA-256"]);
    }
    for file in found.stored.iter().take(FILES) {
        let mut row = vec![
            tables::file_name(&file.path),
            file.tensors.to_string(),
            tables::bytes(file.bytes),
        ];
        row.extend(file.sha256.clone());
        table.add_row(row);
    }
    let mut text = table.trim_fmt();
    if found.stored.len() > FILES {
        let more = found.stored.len() - FILES;
        text.push_str(&format!("\nand {more} more; `--format json` lists all"));
    }
    text
}

/// What a converter noted, and what the one before it did.
fn history(provenance: &Value) -> String {
    let mut table = tables::plain(&["provenance", ""]);
    let mut record = Some(provenance);
    while let Some(Value::Object(fields)) = record {
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("earlier" | "decisions", _) => {}
                ("dropped_tensors", Value::Array(list)) if list.is_empty() => {}
                ("source_files", Value::Array(files)) => {
                    for file in files {
                        table.add_row([key, &source_file(file)]);
                    }
                }
                ("source_bytes", Value::Number(bytes)) => {
                    let text = bytes.as_u64().map_or_else(|| plain(value), tables::bytes);
                    table.add_row([key, &text]);
                }
                _ => {
                    table.add_row([key, &plain(value)]);
                }
            }
        }
        for decision in fields
            .get("decisions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let guessed = decision["guess"].as_bool() == Some(true);
            let text = format!(
                "{} {}: {}",
                if guessed { "guessed as" } else { "taken as" },
                plain(&decision["value"]),
                plain(&decision["reason"])
            );
            table.add_row([&plain(&decision["subject"]), &text]);
        }
        record = fields.get("earlier");
        if record.is_some() {
            table.add_row(["before that", ""]);
        }
    }
    table.trim_fmt()
}

/// A file by its name, or by name, size and digest.
fn source_file(file: &Value) -> String {
    let Some(fields) = file.as_object() else {
        return plain(file);
    };
    let part = |key: &str| fields.get(key);
    let name = part("name").map(plain);
    let bytes = part("bytes").and_then(Value::as_u64).map(tables::bytes);
    let digest = part("sha256").map(|digest| format!("SHA-256 {}", plain(digest)));
    let parts: Vec<String> = [name, bytes, digest].into_iter().flatten().collect();
    parts.join(", ")
}

fn all_tensors(found: &Inspection) -> String {
    let mut table = tables::plain(&[
        "tensor",
        "dtype",
        "shape",
        "size",
        "in the speculators layout",
    ]);
    for tensor in &found.tensors {
        table.add_row([
            tensor.name.as_str(),
            &tensor.dtype,
            &format!("{:?}", tensor.shape),
            &tables::bytes(tensor.bytes),
            tensor.canonical.as_deref().unwrap_or_default(),
        ]);
    }
    table.trim_fmt()
}
