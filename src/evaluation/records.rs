//! The records of a run as JSON lines: written as it goes, so that a crash costs no more than the line being written,
//! and read back to be folded again.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use speculators_formats::{Diagnostic, Place, codes};

use crate::Result;
use crate::decoding::PositionSurvey;
use crate::evaluation::best::Surveys;
use crate::evaluation::table::{is_table, read_table};
use crate::evaluation::{Event, LatencyModel, RequestFigures, RequestSurvey, Setting, StepFigures};

/// Name and version of the form of the lines.
pub const RECORDS_SCHEMA: &str = "speculators.records/1";

/// One line. `record` says which.
#[derive(Debug, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Line {
    /// The first: what is run.
    Run {
        #[schemars(extend("const" = RECORDS_SCHEMA))]
        schema: String,
        setting: Setting,
    },
    /// One verification step.
    Step {
        id: String,
        category: Option<String>,
        /// Counted from 0 in each request. The prompt pass is none.
        step: usize,
        #[serde(flatten)]
        figures: StepFigures,
    },
    /// A request is complete; its steps stand before this.
    Request(RequestFigures),
    /// What the head held at a position of an output. Calibrated trees may follow on a line of their own.
    Survey {
        id: String,
        /// 1 where every position was looked at.
        every: usize,
        #[serde(flatten)]
        position: PositionSurvey,
    },
    /// Times of passes.
    Latency(LatencyModel),
}

/// Writes records, each line by one write that is not held back.
pub struct RecordsWriter<W: Write> {
    output: W,
}

impl<W: Write> RecordsWriter<W> {
    /// Begins with the line that says what is run.
    ///
    /// # Errors
    /// As the output has them.
    pub fn begin(output: W, setting: &Setting) -> io::Result<RecordsWriter<W>> {
        let mut writer = RecordsWriter { output };
        writer.line(&Line::Run {
            schema: RECORDS_SCHEMA.to_owned(),
            setting: setting.clone(),
        })?;
        Ok(writer)
    }

    /// Goes on with a file that has that line already.
    #[must_use]
    pub fn go_on(output: W) -> RecordsWriter<W> {
        RecordsWriter { output }
    }

    /// Where the lines go.
    #[must_use]
    pub fn into_output(self) -> W {
        self.output
    }

    /// Writes what came of a step or of a request.
    ///
    /// # Errors
    /// As the output has them.
    pub fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.line(&match event {
            Event::Step {
                id,
                category,
                index,
                step,
            } => Line::Step {
                id: (*id).to_owned(),
                category: category.map(str::to_owned),
                step: *index,
                figures: StepFigures::from(*step),
            },
            Event::Finished(outcome) => Line::Request(RequestFigures::from(*outcome)),
        })
    }

    /// Writes what a survey found at a position.
    ///
    /// # Errors
    /// As the output has them.
    pub fn survey(&mut self, id: &str, every: usize, position: &PositionSurvey) -> io::Result<()> {
        self.line(&Line::Survey {
            id: id.to_owned(),
            every,
            position: position.clone(),
        })
    }

    /// Writes how long passes take.
    ///
    /// # Errors
    /// As the output has them.
    pub fn latency(&mut self, model: &LatencyModel) -> io::Result<()> {
        self.line(&Line::Latency(model.clone()))
    }

    /// Writes all lines of a request.
    ///
    /// # Errors
    /// As the output has them.
    pub fn request(&mut self, request: &RequestFigures) -> io::Result<()> {
        lines(request).try_for_each(|line| self.line(&line))
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.output.write_all(&text)?;
        self.output.flush()
    }
}

/// The lines of a request: its steps, then the request.
pub(super) fn lines(request: &RequestFigures) -> impl Iterator<Item = Line> {
    let steps = request.steps.iter().enumerate();
    let steps = steps.map(|(step, figures)| Line::Step {
        id: request.id.clone(),
        category: request.category.clone(),
        step,
        figures: figures.clone(),
    });
    steps.chain(std::iter::once_with(|| Line::Request(request.clone())))
}

/// A records file.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    /// What was run.
    pub setting: Setting,
    /// The complete requests, in the order of their prompts in the prompts file.
    pub requests: Vec<RequestFigures>,
    /// Requests of which there are steps but no end: the run was stopped in them. They count nowhere.
    pub unfinished: Vec<String>,
    /// The last line is not whole: the run was killed while writing it.
    pub torn: bool,
    /// What `eval --best` found along the outputs, in the order in which it was found.
    pub surveys: Vec<RequestSurvey>,
    /// Times of passes, where they were measured.
    pub latency: Option<LatencyModel>,
}

/// Reads a records file, JSON lines or a Parquet table.
///
/// # Errors
/// A diagnostic for a file that cannot be read, and for each line that is no record, except a last one that was cut
/// off while it was written.
pub fn read_records(path: &Path) -> Result<Records> {
    let unreadable = |error: io::Error| {
        Diagnostic::error(codes::FILE_MISSING, "the records file cannot be read")
            .at(Place::file(path))
            .note(error.to_string())
    };
    if is_table(path).map_err(unreadable)? {
        return read_table(path);
    }
    let bytes = fs_err::read(path).map_err(unreadable)?;
    // The last line may have been cut off in the middle of a letter.
    parse_records(path, &String::from_utf8_lossy(&bytes))
}

pub(crate) fn parse_records(path: &Path, text: &str) -> Result<Records> {
    let mut found = Vec::new();
    let mut reading = Reading::default();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let trouble = |title: &str, column: usize| {
            Diagnostic::error(codes::RECORDS_MALFORMED, title).at(Place::text(
                path,
                index + 1,
                column,
            ))
        };
        match serde_json::from_str(line) {
            _ if line.trim().is_empty() => {}
            Ok(line) => {
                if let Err(note) = reading.take(line) {
                    found.push(trouble("the records are of another form", 1).note(note));
                }
            }
            // A file of something else is not worth a finding per line.
            Err(_) if reading.setting.is_none() => break,
            Err(_) if !line.ends_with('\n') => reading.torn = true,
            Err(error) => found.push(
                trouble("the line is no record of a run", error.column().max(1))
                    .note(error.to_string())
                    .note(format!("this program reads `{RECORDS_SCHEMA}`")),
            ),
        }
    }
    if !found.is_empty() {
        return Err(found.into());
    }
    reading.finish().ok_or_else(|| {
        Diagnostic::error(codes::RECORDS_MALFORMED, "the file holds no records")
            .at(Place::file(path))
            .note("no line has `\"record\": \"run\"`, which `eval --records` writes first")
            .into()
    })
}

/// Puts records together out of their lines.
#[derive(Default)]
pub(super) struct Reading {
    setting: Option<Setting>,
    requests: Vec<RequestFigures>,
    steps: BTreeMap<String, Vec<StepFigures>>,
    torn: bool,
    surveys: Surveys,
    latency: Option<LatencyModel>,
}

impl Reading {
    /// Takes the next line in; the error says of what other form the records are.
    pub(super) fn take(&mut self, line: Line) -> std::result::Result<(), String> {
        match line {
            Line::Run { schema, setting } => {
                self.setting = Some(setting);
                if schema != RECORDS_SCHEMA {
                    return Err(format!(
                        "`schema` is `{schema}`, this program reads `{RECORDS_SCHEMA}`"
                    ));
                }
            }
            Line::Step { id, figures, .. } => self.steps.entry(id).or_default().push(figures),
            Line::Request(mut request) => {
                request.steps = self.steps.remove(&request.id).unwrap_or_default();
                request.steps.shrink_to_fit();
                self.requests.push(request);
            }
            Line::Survey {
                id,
                every,
                position,
            } => self.surveys.add(id, every, position),
            Line::Latency(model) => self.latency = Some(model),
        }
        Ok(())
    }

    /// The whole; none where nothing says what was run.
    pub(super) fn finish(mut self) -> Option<Records> {
        // Stable, so that the order of completion stays where a file does not know better.
        self.requests.sort_by_key(|request| request.place);
        Some(Records {
            setting: self.setting?,
            requests: self.requests,
            unfinished: self.steps.into_keys().collect(),
            torn: self.torn,
            surveys: self.surveys.requests,
            latency: self.latency,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::decoding::{Drafting, StaticTree, StepRecord};
    use crate::evaluation::Outcome;

    fn written(steps_of_the_next: usize) -> String {
        let setting = Setting::of_chain(3);
        let mut text = Vec::new();
        let mut writer = RecordsWriter::begin(&mut text, &setting).unwrap();
        let step = StepRecord {
            context_length: 40,
            proposed: vec![7, 8, 9],
            proposed_per_depth: vec![1, 1, 1],
            accepted: 2,
            emitted: 3,
            draft: Duration::from_nanos(1_234_567),
            verify: Duration::from_nanos(1),
            ..StepRecord::default()
        };
        let mut told = |id, index, step: &StepRecord| {
            let event = Event::Step {
                id,
                category: Some("code"),
                index,
                step,
            };
            writer.event(&event).unwrap();
        };
        told("a", 0, &step);
        let outcome = Outcome {
            id: "a".into(),
            category: Some("code".into()),
            output_token_ids: vec![1; 4],
            decode: Duration::from_nanos(987_654_321),
            lossless: true,
            steps: vec![step.clone()],
            ..Outcome::default()
        };
        writer.event(&Event::Finished(&outcome)).unwrap();
        let mut told = |id, index, step: &StepRecord| {
            let event = Event::Step {
                id,
                category: None,
                index,
                step,
            };
            writer.event(&event).unwrap();
        };
        for index in 0..steps_of_the_next {
            told("b", index, &step);
        }
        String::from_utf8(text).unwrap()
    }

    fn read(text: &str) -> Result<Records> {
        parse_records(Path::new("records.jsonl"), text)
    }

    #[test]
    fn what_is_written_is_read_to_the_nanosecond() {
        let records = read(&written(0)).unwrap();
        assert_eq!(records.setting.num_speculative_tokens, 3);
        let [request] = &records.requests[..] else {
            panic!("{:?}", records.requests)
        };
        assert_eq!((request.id.as_str(), request.output_tokens), ("a", 4));
        assert_eq!(request.decode, Duration::from_nanos(987_654_321));
        assert!(request.lossless && !records.torn);
        let [step] = &request.steps[..] else {
            panic!("{:?}", request.steps)
        };
        assert_eq!(
            (&step.proposed[..], step.accepted),
            (&[1_usize, 1, 1][..], 2)
        );
        assert_eq!(step.draft, Duration::from_nanos(1_234_567));
        assert_eq!(step.verify, Duration::from_nanos(1));
    }

    #[test]
    fn a_step_stands_on_one_line_with_all_that_names_it() {
        let text = written(0);
        let line: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        let expected = serde_json::json!({
            "record": "step", "id": "a", "category": "code", "step": 0, "context_length": 40,
            "proposed": [1, 1, 1], "accepted": 2, "emitted": 3, "path": [],
            "draft_us": 1234.567, "verify_us": 0.001, "other_us": 0.0,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_file_cut_anywhere_keeps_all_whole_requests_and_says_what_it_lost() {
        let text = written(2);
        let first_end = text.find("\"record\":\"request\"").unwrap();
        let first_end = first_end + text[first_end..].find('\n').unwrap();
        let begun = text.find('\n').unwrap();
        for cut in begun + 1..text.len() {
            let records = read(&text[..cut]).unwrap();
            // A whole line that lacks nothing but its end counts as whole.
            assert_eq!(
                records.requests.len(),
                usize::from(cut >= first_end),
                "{cut}"
            );
        }
        let records = read(&text).unwrap();
        assert_eq!(records.unfinished, ["b"]);
        assert!(!records.torn);
        assert!(read(&text[..text.len() - 5]).unwrap().torn);
    }

    #[test]
    fn settings_of_trees_are_read_and_those_of_impossible_trees_are_not() {
        let tree = StaticTree::new(vec![vec![0], vec![1], vec![0, 0]]).unwrap();
        let setting = Setting {
            drafting: Drafting::StaticTree(tree),
            ..Setting::of_chain(3)
        };
        let mut text = Vec::new();
        RecordsWriter::begin(&mut text, &setting).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(read(&text).unwrap().setting, setting);
        assert!(read(&text.replace("[0,0]", "[2,0]")).is_err());
    }

    #[test]
    fn a_broken_line_within_is_an_error_with_its_number() {
        let text = written(1).replacen("\"accepted\":2", "\"accepted\":-2", 1);
        let Err(crate::Error::Diagnostics(found)) = read(&text) else {
            panic!("a negative count was read")
        };
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place.as_ref().unwrap().line, Some(2));
        assert!(read("").is_err());
        assert!(read(&written(0).replace("records/1", "records/9")).is_err());
    }
}
