//! How prompts are run: in which order, how many at a time, and whether from the start.

use std::path::Path;

use clap::Args;
use speculators::evaluation::{
    Evaluation, Records, Resumption, Setting, places, read_records, shuffled,
};
use speculators::text::Prompt;

use crate::failure::Failure;
use crate::session::Session;

/// Long runs.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// Go on with the run whose records `--records` names: keep what is complete there and run the rest
    ///
    /// Setting and prompts must be those of the records. A request that was not complete is run again from its start;
    /// of a prompt with several turns, all of them. Where there is no such file the run starts anew. Records hold no
    /// text, hence neither `--outputs` nor `--compare` nor `--best` can be had of a run that is gone on with.
    #[arg(long, requires = "records", conflicts_with_all = ["outputs", "compare", "best", "force"])]
    pub resume: bool,
    /// Take prompts in an order drawn by `--seed`; with `--limit`, a random choice of them
    ///
    /// What comes of a prompt does not depend on the order.
    #[arg(long)]
    pub shuffle: bool,
    /// Decode this many prompts at the same time
    ///
    /// The answers are the same and come sooner. Times are then not those of a single stream and are left out of the
    /// report: measure latency without this option.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
}

impl RunArguments {
    /// How many prompts of the file are to be read.
    pub fn read_limit(&self, limit: Option<usize>) -> Option<usize> {
        limit.filter(|_| !self.shuffle)
    }

    /// Indices of the prompts to run, in order.
    pub fn order(&self, prompts: &[Prompt], limit: Option<usize>, seed: u64) -> Vec<usize> {
        let mut order = if self.shuffle {
            shuffled(prompts.len(), seed)
        } else {
            (0..prompts.len()).collect()
        };
        order.truncate(limit.unwrap_or(usize::MAX));
        order
    }

    /// The records to go on with, read before the work; nothing where a run starts anew.
    pub fn earlier(
        &self,
        path: Option<&Path>,
        session: &Session,
    ) -> Result<Option<Records>, Failure> {
        let Some(path) = path.filter(|_| self.resume) else {
            return Ok(None);
        };
        if fs_err::symlink_metadata(path).is_err() {
            let name = path.display();
            session.say(&format!(
                "{name} does not exist: there is nothing to go on with, and the run starts anew"
            ));
            return Ok(None);
        }
        Ok(Some(read_records(path)?))
    }
}

/// What is to be run.
pub struct Plan<'a> {
    /// Indices of the prompts to run, in order.
    pub order: Vec<usize>,
    /// Requests that they make.
    pub requests: usize,
    /// What an earlier run has left, where this one goes on with it.
    pub resumption: Option<(&'a Path, Resumption)>,
}

impl<'a> Plan<'a> {
    /// Finds out what is left to do; `earlier` are the records to go on with and their file.
    pub fn make(
        evaluation: &Evaluation<'_>,
        prompts: &[Prompt],
        order: Vec<usize>,
        setting: &Setting,
        earlier: Option<(&'a Path, Records)>,
        session: &Session,
    ) -> Result<Plan<'a>, Failure> {
        let Some((path, records)) = earlier else {
            return Ok(Plan {
                requests: places(prompts, &order).len(),
                order,
                resumption: None,
            });
        };
        let torn = records.torn;
        let mut resumption = Resumption::make(evaluation, prompts, &order, setting, records, path)?;
        let order = std::mem::take(&mut resumption.remaining);
        let plan = Plan {
            requests: places(prompts, &order).len(),
            order,
            resumption: Some((path, resumption)),
        };
        plan.tell(torn, session);
        Ok(plan)
    }

    fn tell(&self, torn: bool, session: &Session) {
        let Some((path, resumption)) = &self.resumption else {
            return;
        };
        let (name, kept) = (path.display(), resumption.kept.len());
        session.say(&format!(
            "{name}: {kept} requests are complete and stay; {} are run",
            self.requests
        ));
        if torn {
            session.say(&format!("{name}: the last line is cut off and dropped"));
        }
        if !resumption.dropped.is_empty() {
            session.say(&format!(
                "{name}: not complete, dropped and run again from the start: {}",
                resumption.dropped.join(", ")
            ));
        }
    }
}
