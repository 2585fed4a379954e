//! `--config` and `--show-config`: options from a file, for every command.
//!
//! The command line is parsed once leniently, to find the command and the file. The settings of the file are turned into what
//! would have been typed for them, without those that were typed, and clap parses all of it: so the file knows every option that
//! the command line knows, with its checks and defaults.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use speculators_formats::Diagnostic;

use crate::arguments::{Arguments, Format, GlobalArguments};
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;

mod file;
mod options;
mod settings;
mod show;

use settings::Settings;
use show::Shown;

/// What was typed and what the file sets, together.
pub struct Resolved {
    /// As if all of it had been typed.
    pub arguments: Arguments,
    /// What is to be shown instead of running.
    shown: Option<Shown>,
    /// Settings of the file that were put aside.
    told: Vec<String>,
    format: Format,
}

/// Why there is nothing to run.
pub enum Stop {
    /// Help was asked for, or clap has something against what was typed.
    Clap(clap::Error),
    /// Findings about the file.
    File(Vec<Diagnostic>, Box<ArgMatches>),
}

/// Resolves the command line and the file that it names.
pub fn resolve(typed: Vec<OsString>) -> Result<Resolved, Stop> {
    let asks = |argument: &OsString| {
        let text = argument.to_string_lossy();
        text.starts_with("--config") || text.starts_with("--show-config")
    };
    // What is no command, and what asks for help, is clap's to answer.
    let found = typed.iter().any(asks).then(|| leaf(&typed)).flatten();
    let Some((name, matches)) = found else {
        return Ok(Resolved {
            arguments: Arguments::try_parse_from(typed).map_err(Stop::Clap)?,
            shown: None,
            told: Vec::new(),
            format: Format::Text,
        });
    };
    let mut program = Arguments::command();
    program.build();
    let refused = |problems| Stop::File(problems, Box::new(matches.clone()));
    let path = matches.get_one::<PathBuf>("config");
    let entries = path.map(|path| file::read(path)).transpose();
    let entries = entries
        .map_err(|problem| refused(vec![problem]))?
        .unwrap_or_default();
    let Some(command) = program.find_subcommand(&name) else {
        return Err(Stop::Clap(clap::Error::new(
            clap::error::ErrorKind::InvalidSubcommand,
        )));
    };
    let settings = Settings::settle(&program, command, &entries, &matches).map_err(refused)?;
    let together = together(typed, &settings);
    let all = Arguments::command()
        .try_get_matches_from(together)
        .map_err(Stop::Clap)?;
    let arguments = Arguments::from_arg_matches(&all).map_err(Stop::Clap)?;
    let shown = all
        .subcommand()
        .filter(|_| arguments.global.show_config)
        .map(|(_, leaf)| Shown::new(command, &settings, leaf));
    let format = all
        .subcommand()
        .map_or(Format::Text, |(_, leaf)| format(leaf));
    Ok(Resolved {
        arguments,
        shown,
        told: settings.told,
        format,
    })
}

/// The command that is typed, and as much of its arguments as can be understood.
fn leaf(typed: &[OsString]) -> Option<(String, ArgMatches)> {
    let lenient = Arguments::command().ignore_errors(true);
    let mut matches = lenient.try_get_matches_from(typed).ok()?;
    matches.remove_subcommand()
}

/// What was typed, and the settings of the file where options can still stand.
fn together(typed: Vec<OsString>, settings: &Settings<'_>) -> Vec<OsString> {
    let end = typed.iter().position(|argument| argument == "--");
    let end = end.unwrap_or(typed.len());
    let mut together = typed[..end].to_vec();
    together.extend(settings.tokens().map(OsString::from));
    together.extend_from_slice(&typed[end..]);
    together
}

/// In which form findings and the configuration are wanted.
fn format(matches: &ArgMatches) -> Format {
    let asked = matches.try_get_raw("format").ok().flatten();
    match asked.and_then(|mut values| values.next_back()) {
        Some(value) if value == "json" => Format::Json,
        _ => Format::Text,
    }
}

impl Resolved {
    /// Says what was put aside, and shows the configuration where that was asked for: then there is nothing to run.
    pub fn show(&self, session: &Session) -> Option<Outcome> {
        for line in &self.told {
            session.say(line);
        }
        let shown = self.shown.as_ref()?;
        Some(self.print(shown, session).map(|()| Exit::Yes))
    }

    fn print(&self, shown: &Shown, session: &Session) -> Result<(), Failure> {
        use std::io::Write;
        match self.format {
            Format::Json => session.print_json(&shown.json()),
            Format::Text => Ok(session.stdout().write_all(shown.yaml().as_bytes())?),
        }
    }
}

impl Stop {
    /// Shows why, and gives the status to end with.
    pub fn end(self) -> ExitCode {
        let (problems, matches) = match self {
            Stop::Clap(error) => {
                // Help that nobody takes is no failure.
                let _ = error.print();
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            }
            Stop::File(problems, matches) => (problems, matches),
        };
        let session = GlobalArguments::from_arg_matches(&matches)
            .map_err(|error| Failure::Other(error.into()))
            .and_then(|global| Session::start(&global));
        match session {
            Ok(session) => {
                let failure = session.report_trouble(format(&matches), problems.into());
                session.fail(&failure).into()
            }
            Err(failure) => failure.without_session(),
        }
    }
}

#[cfg(test)]
mod tests;
