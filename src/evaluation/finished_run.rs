//! A run as its report or its records tell of it: what is needed to compare it with another one.

use std::io;
use std::path::Path;

use serde::Deserialize;
use speculators_formats::{Diagnostic, Place, codes};

use crate::Result;
use crate::evaluation::records::parse_records;
use crate::evaluation::table::{is_table, read_table};
use crate::evaluation::{REPORT_SCHEMA, Records, RequestReport, Setting};

/// What was run, and what came of each request.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedRun {
    /// The file, as named by the user.
    pub file: String,
    /// What was run.
    pub setting: Setting,
    /// The complete requests.
    pub requests: Vec<RequestReport>,
    /// Requests that were broken off, and are left out; reports have none.
    pub unfinished: Vec<String>,
}

/// Of a report, what tells whether it is one.
#[derive(Deserialize)]
struct Head {
    schema: String,
}

/// Of a report, what is needed.
#[derive(Deserialize)]
struct Body {
    setting: Setting,
    requests: Option<Vec<RequestReport>>,
}

impl FinishedRun {
    /// Reads what `eval --format json` or `eval --records` wrote.
    ///
    /// # Errors
    /// A diagnostic for a file that cannot be read or is neither, and for a report that does not tell of its requests.
    pub fn read(path: &Path) -> Result<FinishedRun> {
        let unreadable = |error: io::Error| {
            Diagnostic::error(codes::FILE_MISSING, "the run to compare cannot be read")
                .at(Place::file(path))
                .note(error.to_string())
        };
        if is_table(path).map_err(unreadable)? {
            return Ok(FinishedRun::of_records(path, &read_table(path)?));
        }
        let bytes = fs_err::read(path).map_err(unreadable)?;
        // The last line of records may have been cut off in the middle of a letter.
        FinishedRun::parse(path, &String::from_utf8_lossy(&bytes))
    }

    fn parse(path: &Path, text: &str) -> Result<FinishedRun> {
        // A report is one JSON value; records are several, one a line.
        if let Ok(Head { schema }) = serde_json::from_str(text) {
            return FinishedRun::of_report(path, text, &schema);
        }
        let first = text.lines().next().unwrap_or_default();
        if !first.contains("\"record\"") {
            return Err(neither(path, None).into());
        }
        Ok(FinishedRun::of_records(path, &parse_records(path, text)?))
    }

    fn of_report(path: &Path, text: &str, schema: &str) -> Result<FinishedRun> {
        if schema != REPORT_SCHEMA {
            return Err(neither(path, Some(schema)).into());
        }
        let body: Body = serde_json::from_str(text).map_err(|error| {
            Diagnostic::error(codes::NOT_A_RUN, "the report is malformed")
                .at(Place::text(path, error.line(), error.column().max(1)))
                .note(error.to_string())
        })?;
        let Some(requests) = body.requests else {
            return Err(Diagnostic::error(
                codes::NOT_A_RUN,
                "the report does not tell of its requests, so that nothing can be paired",
            )
            .at(Place::file(path))
            .note("an older version wrote it, without `requests`")
            .help("compare what `eval --records` wrote of that run")
            .into());
        };
        Ok(FinishedRun {
            file: path.display().to_string(),
            setting: body.setting,
            requests,
            unfinished: Vec::new(),
        })
    }

    fn of_records(path: &Path, records: &Records) -> FinishedRun {
        let positions = records.setting.positions();
        let requests = records.requests.iter();
        FinishedRun {
            file: path.display().to_string(),
            setting: records.setting.clone(),
            requests: requests
                .map(|request| RequestReport::of(request, positions))
                .collect(),
            unfinished: records.unfinished.clone(),
        }
    }
}

fn neither(path: &Path, schema: Option<&str>) -> Diagnostic {
    let diagnostic = Diagnostic::error(
        codes::NOT_A_RUN,
        "the file is neither a report of `eval` nor records",
    )
    .at(Place::file(path));
    let diagnostic = match schema {
        Some(schema) => diagnostic.note(format!(
            "`schema` is `{schema}`, a report has `{REPORT_SCHEMA}`"
        )),
        None => diagnostic.note("it is no JSON object with `schema`, nor lines with `record`"),
    };
    diagnostic.help("two runs are compared by what `eval --format json` or `eval --records` wrote")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{RecordsWriter, Report, RequestFigures};

    fn run(text: &str) -> Result<FinishedRun> {
        FinishedRun::parse(Path::new("run.json"), text)
    }

    fn trouble(text: &str) -> Diagnostic {
        match run(text) {
            Err(crate::Error::Diagnostics(mut found)) => found.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_report_and_records_of_one_run_tell_the_same() {
        let setting = Setting::of_chain(2);
        let request = RequestFigures {
            id: "a".into(),
            ..RequestFigures::default()
        };
        let report = Report::fold(setting.clone(), std::slice::from_ref(&request), None);
        let report = run(&serde_json::to_string_pretty(&report).unwrap()).unwrap();

        let mut records = Vec::new();
        RecordsWriter::begin(&mut records, &setting).unwrap();
        let mut line = serde_json::to_value(&request).unwrap();
        line["record"] = "request".into();
        let records = format!("{}{line}\n", String::from_utf8(records).unwrap());
        assert_eq!(run(&records).unwrap(), report);
        assert_eq!(report.requests.len(), 1);
    }

    #[test]
    fn what_is_no_run_is_told_apart() {
        for text in [
            "",
            "{}",
            "[1]",
            "{\"id\": \"a\", \"output_token_ids\": [1]}\n",
            "{\"schema\": \"speculators.eval/9\"}",
        ] {
            assert!(trouble(text).title.contains("neither"), "{text}");
        }
        let mut report =
            serde_json::to_value(Report::fold(Setting::of_chain(2), &[], None)).unwrap();
        report.as_object_mut().unwrap().remove("requests");
        assert!(
            trouble(&report.to_string())
                .help
                .unwrap()
                .contains("--records")
        );
        report["setting"]["threads"] = "many".into();
        assert!(trouble(&report.to_string()).title.contains("malformed"));
    }
}
