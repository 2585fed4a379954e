//! What every command shares: where output goes, how much of it, and whether the user has asked to stop.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{AutoStream, ColorChoice};
use anyhow::Context;
use indicatif::ProgressDrawTarget;
use serde::Serialize;
use speculators::hub::Environment;
use speculators_formats::{Diagnostic, Level};

use crate::arguments::{Color, Format, GlobalArguments};
use crate::failure::{Exit, Failure};
use crate::render;

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// One run of the program.
pub struct Session {
    quiet: u8,
    verbose: u8,
    color: ColorChoice,
    progress: bool,
    offline: bool,
}

impl Session {
    /// Installs the Ctrl-C handler and settles the global options.
    pub fn start(global: &GlobalArguments) -> Result<Session, Failure> {
        // The first Ctrl-C lets the work stop at a clean point; a second one does not wait for that.
        ctrlc::set_handler(|| {
            if CANCELLED.swap(true, Ordering::Relaxed) {
                // A signal handler has nobody to return to.
                std::process::exit(Exit::Interrupted as i32);
            }
        })
        .context("the Ctrl-C handler cannot be installed")
        .map_err(Failure::Other)?;
        let color = match global.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        // As Python's client reads it; whoever sets it means every bar.
        let silenced = Environment::bars_are_disabled();
        let progress = !global.no_progress && global.quiet == 0 && !silenced;
        Ok(Session {
            quiet: global.quiet,
            verbose: global.verbose,
            color,
            progress,
            offline: global.offline,
        })
    }

    /// What the environment says about the Hub, and the command line over it.
    pub fn environment(&self) -> Result<Environment, Failure> {
        let mut environment = Environment::read()?;
        environment.offline |= self.offline;
        Ok(environment)
    }

    /// Becomes true when the user asks to stop.
    pub fn cancelled(&self) -> &'static AtomicBool {
        &CANCELLED
    }

    /// The answer goes here, and nothing else does.
    pub fn stdout(&self) -> impl Write {
        AutoStream::new(io::stdout().lock(), self.color)
    }

    /// Whether the answer may have colors.
    pub fn colors_answer(&self) -> bool {
        let choice = match self.color {
            ColorChoice::Auto => AutoStream::choice(&io::stdout()),
            settled => settled,
        };
        choice != ColorChoice::Never
    }

    fn stderr(&self) -> AutoStream<io::Stderr> {
        AutoStream::new(io::stderr(), self.color)
    }

    /// Where progress bars are drawn: nowhere unless stderr is a terminal.
    pub fn progress_target(&self) -> ProgressDrawTarget {
        if self.progress {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        }
    }

    /// One line about what is going on.
    pub fn say(&self, line: &str) {
        if self.quiet == 0 {
            // Talk that cannot be delivered is not worth failing for.
            let _ = writeln!(self.stderr(), "{line}");
        }
    }

    /// Something that the user's answer is to stand behind.
    pub fn ask(&self, text: &str) {
        let mut stream = self.stderr();
        // Who cannot see the question can still answer it.
        let _ = write!(stream, "{text}").and_then(|()| stream.flush());
    }

    /// One line for `--verbose`.
    pub fn detail(&self, line: &str) {
        if self.verbose > 0 {
            self.say(line);
        }
    }

    /// Shows findings on stderr, less than errors only as far as `--quiet` lets them.
    pub fn show(&self, diagnostics: &[Diagnostic]) {
        let least = match self.quiet {
            0 => Level::Info,
            1 => Level::Warning,
            _ => Level::Error,
        };
        let mut stream = self.stderr();
        for diagnostic in diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.level >= least)
        {
            let _ = writeln!(stream, "{}\n", render::diagnostic(diagnostic));
        }
    }

    /// Writes a report as JSON to stdout.
    pub fn print_json(&self, report: &impl Serialize) -> Result<(), Failure> {
        let mut stdout = self.stdout();
        serde_json::to_writer_pretty(&mut stdout, report)?;
        writeln!(stdout)?;
        Ok(())
    }

    /// Shows why a command stopped and says with which status to end.
    pub fn fail(&self, failure: &Failure) -> Exit {
        match failure {
            Failure::Diagnostics(diagnostics) => {
                self.show(diagnostics);
                Exit::Trouble
            }
            Failure::Other(error) => {
                let _ = writeln!(self.stderr(), "error: {error:#}");
                Exit::Trouble
            }
            Failure::BrokenPipe => Exit::Yes,
            Failure::Interrupted => {
                self.say("interrupted; nothing was left behind");
                Exit::Interrupted
            }
        }
    }

    /// In JSON form findings are the answer, so they go to stdout as well before the command ends in trouble.
    pub fn report_trouble(&self, format: Format, failure: Failure) -> Failure {
        if let (Format::Json, Failure::Diagnostics(diagnostics)) = (format, &failure) {
            let report =
                serde_json::json!({ "schema": "speculators.error/1", "diagnostics": diagnostics });
            if let Err(broken) = self.print_json(&report) {
                return broken;
            }
        }
        failure
    }
}
