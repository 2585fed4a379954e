//! The command line of `speculators`: arguments in, one library call, a report out.

mod arguments;
mod completions;
mod configuration;
mod convert;
mod demonstration;
mod diff;
mod doctor;
mod downloads;
mod eval;
mod explain;
mod failure;
mod generate;
mod init;
mod inspect;
mod models;
mod output;
mod probe;
mod progress;
mod pull;
mod push;
mod render;
mod resolve;
mod schema;
mod session;
mod stitch_mtp;
mod strategy;
mod tables;
mod validate;
mod vocab;
mod words;

use std::process::ExitCode;

use crate::arguments::{Arguments, Command};
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;

fn main() -> ExitCode {
    let resolved = match configuration::resolve(std::env::args_os().collect()) {
        Ok(resolved) => resolved,
        Err(stop) => return stop.end(),
    };
    let session = match Session::start(&resolved.arguments.global) {
        Ok(session) => session,
        Err(failure) => return failure.without_session(),
    };
    let outcome = match resolved.show(&session) {
        Some(outcome) => outcome,
        None => run(resolved.arguments, &session),
    };
    outcome
        .unwrap_or_else(|failure: Failure| session.fail(&failure))
        .into()
}

fn run(arguments: Arguments, session: &Session) -> Outcome {
    match arguments.command {
        Command::Pull(command) => pull::run(&command, session),
        Command::Push(command) => push::run(command, session),
        Command::Init(command) => init::run(command, session),
        Command::Convert(command) => convert::run(command, session),
        Command::StitchMtp(command) => stitch_mtp::run(command, session),
        Command::Validate(command) => validate::run(command, session),
        Command::Inspect(command) => inspect::run(command, session),
        Command::Diff(command) => diff::run(command, session),
        Command::Eval(command) => eval::run(*command, session),
        Command::Generate(command) => generate::run(*command, session),
        Command::Probe(command) => probe::run(command, session),
        Command::Vocab(command) => vocab::run(command, session),
        Command::Doctor(command) => doctor::run(&command, session),
        Command::Explain(command) => explain::run(&command, session),
        Command::Schema(command) => schema::run(&command, session),
        Command::Completions(command) => completions::run(&command, session),
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
