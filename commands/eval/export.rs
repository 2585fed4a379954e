//! Records written as a whole, in the form that the name of the file asks for.

use std::io;
use std::path::{Path, PathBuf};

use speculators::evaluation::{Records, RecordsWriter, RequestFigures, Setting, write_table};
use speculators_formats::{Diagnostic, Place, codes};

use crate::failure::Failure;
use crate::output::OutputFile;
use crate::session::Session;

/// Whether a name asks for a Parquet table.
pub fn is_table(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

/// Where lines go while a run lasts. A table is only readable once it is complete, so that a crash would leave nothing
/// of it. The name is one that nothing else bears, since `--force` replaces what does.
pub fn lines_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if is_table(path) {
        name.push(".jsonl");
    }
    name.into()
}

/// Puts the table in place of the lines, where a table was asked for.
pub fn replace_lines(
    path: &Path,
    force: bool,
    setting: &Setting,
    requests: &[RequestFigures],
    session: &Session,
) -> Result<(), Failure> {
    if !is_table(path) {
        return Ok(());
    }
    let records = Records {
        setting: setting.clone(),
        requests: requests.to_vec(),
        unfinished: Vec::new(),
        torn: false,
        surveys: Vec::new(),
        latency: None,
    };
    write(path, force, &records)?;
    let lines = lines_of(path);
    fs_err::remove_file(&lines).map_err(|error| unwritable(&lines, &error))?;
    let (table, lines) = (path.display(), lines.display());
    session.detail(&format!("{table} holds the records; {lines} is removed"));
    Ok(())
}

/// That a table is asked for of a run whose records have more than steps and requests.
pub fn surveys_in_a_table() -> Diagnostic {
    Diagnostic::error(
        codes::USAGE,
        "a table of records has no place for the survey of `--best`",
    )
    .help("write the records to a file whose name does not end with `.parquet`")
}

/// Writes the complete requests of records, and says what else there is and is left out.
pub fn write_copy(
    path: &Path,
    force: bool,
    records: &Records,
    session: &Session,
) -> Result<(), Failure> {
    write(path, force, records)?;
    if !records.surveys.is_empty() || records.latency.is_some() {
        session.say(&format!(
            "{}: the survey of `--best` is left out, {} requests of it",
            path.display(),
            records.surveys.len()
        ));
    }
    Ok(())
}

fn write(path: &Path, force: bool, records: &Records) -> Result<(), Failure> {
    let mut output = OutputFile::create(path, force)?;
    let written = if is_table(path) {
        write_table(&mut output, records)
    } else {
        lines(&mut output, records)
    };
    written.map_err(|error| unwritable(path, &error))?;
    Ok(output.finish()?)
}

fn lines(output: &mut OutputFile, records: &Records) -> io::Result<()> {
    let mut writer = RecordsWriter::begin(output, &records.setting)?;
    for request in &records.requests {
        writer.request(request)?;
    }
    for survey in &records.surveys {
        for position in &survey.positions {
            writer.survey(&survey.id, survey.every, position)?;
        }
    }
    match &records.latency {
        Some(latency) => writer.latency(latency),
        None => Ok(()),
    }
}

/// That a file of records cannot be written.
pub fn unwritable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(
        codes::OUTPUT_UNWRITABLE,
        "the records file cannot be written",
    )
    .at(Place::file(path))
    .note(error.to_string())
}
