//! How downloads are shown: one bar per file and one over all, or a line of talk where nobody watches.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use speculators::hub::{Counters, Progress, Watch};

use crate::session::Session;

/// Files that are shown at the same time; more would scroll the screen away.
const MOST_BARS: usize = 8;

/// What is shown while files arrive.
pub struct Downloads<'a> {
    session: &'a Session,
    bars: MultiProgress,
    state: Mutex<Bars>,
    counters: Counters,
}

#[derive(Default)]
struct Bars {
    files: Vec<(String, u64)>,
    done: Vec<u64>,
    shown: HashMap<usize, ProgressBar>,
    total: Option<ProgressBar>,
}

impl<'a> Downloads<'a> {
    /// Shows nothing yet.
    pub fn new(session: &'a Session) -> Downloads<'a> {
        Downloads {
            session,
            bars: MultiProgress::with_draw_target(session.progress_target()),
            state: Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// For the library.
    pub fn watch(&self) -> Watch<'_> {
        Watch::new(self, self.session.cancelled(), &self.counters)
    }

    /// Requests that had to be made again.
    pub fn retries(&self) -> u64 {
        self.counters.retries.load(Ordering::Relaxed)
    }

    /// Bytes that have arrived.
    pub fn received(&self) -> u64 {
        self.counters.received.load(Ordering::Relaxed)
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        // A cleared screen is all there is to lose.
        let _ = self.bars.clear();
    }

    fn bar(&self, total: u64, name: &str) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(total));
        let template = "{prefix:28!} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} [{eta}]";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Bars> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Progress for Downloads<'_> {
    fn begin(&self, files: &[(String, u64)]) {
        let mut state = self.state();
        state.files = files.to_vec();
        state.done = vec![0; files.len()];
        if files.len() > 1 {
            let total = files.iter().map(|(_, size)| size).sum();
            state.total = Some(self.bar(total, &format!("{} files", files.len())));
        }
    }

    fn at(&self, file: usize, bytes: u64) {
        let mut state = self.state();
        let Some((name, size)) = state.files.get(file).cloned() else {
            return;
        };
        state.done[file] = bytes;
        if !state.shown.contains_key(&file) && state.shown.len() < MOST_BARS {
            let bar = self.bar(size, &name);
            state.shown.insert(file, bar);
        }
        if let Some(bar) = state.shown.get(&file) {
            bar.set_position(bytes);
        }
        if let Some(total) = &state.total {
            total.set_position(state.done.iter().sum());
        }
    }

    fn end(&self, file: usize) {
        let size = self.state().files.get(file).map_or(0, |(_, size)| *size);
        self.at(file, size);
        if let Some(bar) = self.state().shown.remove(&file) {
            bar.finish_and_clear();
        }
    }

    fn note(&self, line: &str) {
        self.bars.suspend(|| self.session.detail(line));
    }
}
