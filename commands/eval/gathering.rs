//! What a run leaves as it goes. Of each request only its figures stay in memory, so that thousands of them need no
//! more than dozens.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

use speculators::evaluation::{Event, Outcome, RequestFigures, SurveyedText};

use super::bar::Bar;
use super::records_file::RecordsFile;
use crate::failure::Failure;
use crate::output::OutputFile;

/// Takes in what a run tells.
pub struct Gathering {
    /// Shown meanwhile.
    pub bar: Bar,
    /// Written meanwhile, where wanted.
    pub records: Option<RecordsFile>,
    /// Written meanwhile, where wanted; it takes its name at the end.
    pub outputs: Option<Outputs>,
    /// Figures of all requests.
    pub requests: Vec<RequestFigures>,
    /// The requests with their tokens, where those are to be compared.
    pub outcomes: Option<Vec<Outcome>>,
    /// Whether the outputs are to be surveyed.
    pub surveyed: bool,
    /// Those that are.
    pub texts: Vec<SurveyedText>,
}

impl Gathering {
    /// Takes in one step or one request.
    pub fn hear(&mut self, event: &Event<'_>) -> speculators::Result<()> {
        self.bar.hear(event);
        if let Some(records) = &mut self.records {
            records.event(event)?;
        }
        if let Event::Finished(outcome) = event {
            self.requests.push(RequestFigures::from(*outcome));
            if let Some(outputs) = &mut self.outputs {
                outputs.write(outcome)?;
            }
            if self.surveyed {
                self.texts.push(SurveyedText::from(*outcome));
            }
            if let Some(outcomes) = &mut self.outcomes {
                outcomes.push((*outcome).clone());
            }
        }
        Ok(())
    }

    /// Puts everything in the order of the prompts file.
    pub fn sort(&mut self) {
        self.requests.sort_by_key(|request| request.place);
        self.texts.sort_by_key(|text| text.place);
        if let Some(outcomes) = &mut self.outcomes {
            outcomes.sort_by_key(|outcome| outcome.place);
        }
    }
}

/// The file of outputs, in the order of the run whatever order they come in.
pub struct Outputs {
    file: OutputFile,
    /// Places of the requests that are not written yet.
    expected: VecDeque<[usize; 2]>,
    /// Lines whose turn has not come.
    waiting: BTreeMap<[usize; 2], Vec<u8>>,
}

impl Outputs {
    /// For the requests at these places.
    pub fn new(file: OutputFile, expected: Vec<[usize; 2]>) -> Outputs {
        Outputs {
            file,
            expected: expected.into(),
            waiting: BTreeMap::new(),
        }
    }

    fn write(&mut self, outcome: &Outcome) -> speculators::Result<()> {
        let line = line(outcome).map_err(|error| self.file.unwritable(&error))?;
        self.waiting.insert(outcome.place, line);
        while let Some(next) = self.expected.front()
            && let Some(line) = self.waiting.remove(next)
        {
            let written = self.file.write_all(&line);
            written.map_err(|error| self.file.unwritable(&error))?;
            self.expected.pop_front();
        }
        Ok(())
    }

    /// Has the file take its name.
    pub fn finish(self) -> Result<(), Failure> {
        Ok(self.file.finish()?)
    }
}

fn line(outcome: &Outcome) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&outcome.record())?;
    line.push(b'\n');
    Ok(line)
}
