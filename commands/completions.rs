//! `speculators completions`: shell completions and man pages, generated from the same definitions as `--help`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;

/// Print shell completions, or write them and the man pages
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators completions bash > ~/.local/share/bash-completion/completions/speculators
  speculators completions --write-to completions")]
pub struct CompletionsArguments {
    /// The shell to print completions for
    #[arg(
        value_enum,
        required_unless_present = "write_to",
        conflicts_with = "write_to"
    )]
    pub shell: Option<Shell>,
    /// Write the completions of every shell and all man pages into this directory
    #[arg(long, value_name = "DIR")]
    pub write_to: Option<PathBuf>,
    /// Write nothing; exit with 1 where a file in that directory is stale or missing
    #[arg(long, requires = "write_to")]
    pub check: bool,
}

/// Runs the command.
pub fn run(arguments: &CompletionsArguments, session: &Session) -> Outcome {
    if let Some(shell) = arguments.shell {
        session.stdout().write_all(&completions(shell))?;
        return Ok(Exit::Yes);
    }
    let directory = arguments
        .write_to
        .as_deref()
        .unwrap_or(Path::new("completions"));
    let mut stale = 0;
    for (name, content) in generated()? {
        let path = directory.join(name);
        let current = fs_err::read(&path).is_ok_and(|written| written == content);
        if arguments.check {
            if !current {
                stale += 1;
                session.say(&format!("stale: {}", path.display()));
            }
        } else if !current {
            if let Some(parent) = path.parent() {
                fs_err::create_dir_all(parent)?;
            }
            fs_err::write(&path, content)?;
        }
    }
    if stale > 0 {
        session.say(&format!(
            "run `speculators completions --write-to {}`",
            directory.display()
        ));
        return Ok(Exit::No);
    }
    Ok(Exit::Yes)
}

/// Every generated file: its place below the directory, and its content.
fn generated() -> Result<Vec<(PathBuf, Vec<u8>)>, Failure> {
    let mut files = Vec::new();
    for shell in Shell::value_variants() {
        let name = match shell {
            Shell::Bash => "speculators.bash",
            Shell::Zsh => "_speculators",
            Shell::Fish => "speculators.fish",
            Shell::PowerShell => "_speculators.ps1",
            Shell::Elvish => "speculators.elv",
            _ => continue,
        };
        files.push((PathBuf::from(name), completions(*shell)));
    }
    let mut command = Arguments::command();
    command.build();
    man_pages(&command, &mut files)?;
    Ok(files)
}

fn completions(shell: Shell) -> Vec<u8> {
    let mut buffer = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "speculators", &mut buffer);
    buffer
}

fn man_pages(command: &clap::Command, files: &mut Vec<(PathBuf, Vec<u8>)>) -> Result<(), Failure> {
    let mut page = Vec::new();
    let manual = clap_mangen::Man::new(command.clone());
    manual
        .render(&mut page)
        .context("a man page cannot be rendered")
        .map_err(Failure::Other)?;
    files.push((Path::new("man").join(manual.get_filename()), page));
    for subcommand in command
        .get_subcommands()
        .filter(|subcommand| subcommand.get_name() != "help")
    {
        man_pages(subcommand, files)?;
    }
    Ok(())
}
