//! `speculators inspect`: what is in a checkpoint, without judging it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use speculators_formats::ReadOptions;
use speculators_formats::inspect::{Inspection, Kind, inspect};

use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use crate::tables;

/// Show what is in a checkpoint
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators inspect converted
  speculators inspect HEAD --tensors
  speculators inspect converted --format json")]
pub struct InspectArguments {
    /// Directory of the checkpoint
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// List the tensors
    #[arg(long)]
    pub tensors: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Runs the command.
pub fn run(arguments: &InspectArguments, session: &Session) -> Outcome {
    let found = inspect(&arguments.directory, &ReadOptions::default())
        .map_err(|diagnostics| session.report_trouble(arguments.format, diagnostics.into()))?;
    match arguments.format {
        Format::Json => session.print_json(&found)?,
        Format::Text => write_text(&found, arguments.tensors, session)?,
    }
    Ok(Exit::Yes)
}

fn write_text(found: &Inspection, tensors: bool, session: &Session) -> Result<(), Failure> {
    let mut stdout = session.stdout();
    let mut table = tables::plain(&["what", "found"]);
    table.add_row(["path", &found.path.display().to_string()]);
    table.add_row(["kind", &kind(found)]);
    table.add_row([
        "tensors",
        &format!("{}, {}", found.tensors.len(), tables::bytes(found.bytes)),
    ]);
    table.add_row(["parameters", &found.parameters.to_string()]);
    if let Some(coverage) = &found.vocabulary {
        table.add_row([
            "draft vocabulary",
            &format!("{} of {} tokens", coverage.draft, coverage.target),
        ]);
    }
    let description = found
        .head
        .as_ref()
        .map(serde_json::to_value)
        .or(found.verifier.as_ref().map(serde_json::to_value));
    if let Some(Value::Object(description)) = description.transpose()? {
        for (key, value) in &description {
            table.add_row([key.as_str(), &plain(value)]);
        }
    }
    for (key, value) in &found.extras {
        table.add_row([&format!("(not read) {key}"), &plain(value)]);
    }
    if let Some(provenance) = &found.provenance {
        for key in [
            "converter",
            "source_layout",
            "source_files",
            "dropped_tensors",
        ] {
            table.add_row([&format!("(conversion) {key}"), &plain(&provenance[key])]);
        }
    }
    writeln!(stdout, "{}", table.trim_fmt())?;
    if !found.decisions.is_empty() {
        writeln!(stdout, "\n{}", tables::decisions(&found.decisions))?;
    }
    if tensors {
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
        writeln!(stdout, "\n{}", table.trim_fmt())?;
    }
    session.show(&found.diagnostics);
    Ok(())
}

fn kind(found: &Inspection) -> String {
    match (found.kind, found.layout) {
        (Kind::Head, Some(layout)) => format!("EAGLE-3 head, {layout} layout"),
        (Kind::Head, None) => "EAGLE-3 head".to_owned(),
        (Kind::Verifier, _) => "verifier".to_owned(),
        (Kind::Unknown, _) => "neither a head nor a verifier that this version knows".to_owned(),
    }
}

/// A value on one line, without quotes and braces.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| format!("{key} {}", plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}
