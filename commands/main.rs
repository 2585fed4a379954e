//! The command line of `speculators`: arguments in, one library call, a report out.

mod arguments;
mod completions;
mod convert;
mod diff;
mod doctor;
mod downloads;
mod eval;
mod explain;
mod failure;
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
mod session;
mod stitch_mtp;
mod tables;
mod validate;
mod vocab;
mod words;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::failure::{Exit, Failure};
use crate::session::Session;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let session = match Session::start(&arguments.global) {
        Ok(session) => session,
        Err(failure) => return failure.without_session(),
    };
    let outcome = match arguments.command {
        Command::Pull(command) => pull::run(&command, &session),
        Command::Push(command) => push::run(command, &session),
        Command::Init(command) => init::run(command, &session),
        Command::Convert(command) => convert::run(command, &session),
        Command::StitchMtp(command) => stitch_mtp::run(command, &session),
        Command::Validate(command) => validate::run(command, &session),
        Command::Inspect(command) => inspect::run(command, &session),
        Command::Diff(command) => diff::run(command, &session),
        Command::Eval(command) => eval::run(command, &session),
        Command::Probe(command) => probe::run(command, &session),
        Command::Vocab(command) => vocab::run(command, &session),
        Command::Doctor(command) => doctor::run(&command, &session),
        Command::Explain(command) => explain::run(&command, &session),
        Command::Completions(command) => completions::run(&command, &session),
    };
    outcome
        .unwrap_or_else(|failure: Failure| session.fail(&failure))
        .into()
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
