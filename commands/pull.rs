//! `speculators pull`: from the Hub into the cache that all its clients share.

mod partial;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use speculators::hub::pull::{Destination, PullPlan, State};
use speculators::hub::{Environment, Hub, Repository, Selection, pull, repository};
use speculators_formats::{Diagnostic, codes};

use crate::arguments::Format;
use crate::downloads::Downloads;
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use crate::tables;

/// Fetch a verifier or a head from the Hub
///
/// Files go into the cache that Python's `huggingface_hub` uses, laid out the same way, so that either finds what the other
/// fetched; stdout is the directory they are in. What is interrupted goes on where it stopped, and each file is held
/// against the size and the hash the Hub names.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators pull meta-llama/Llama-3.1-8B-Instruct --dry-run
  speculators pull meta-llama/Llama-3.1-8B-Instruct --exclude 'original/*'
  speculators pull yuhuili/EAGLE3-LLaMA3.1-Instruct-8B@main --local-dir head
  speculators pull Qwen/Qwen3-32B --include '*.json' --include '*.txt'
  speculators pull Qwen/Qwen3-32B --only embed_tokens,lm_head,norm --local-dir qwen3-32b

Environment: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE,
HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_HUB_DOWNLOAD_TIMEOUT, HF_HUB_DISABLE_PROGRESS_BARS, as Python's
client reads them.")]
pub struct PullArguments {
    /// Repository, `owner/name` or `owner/name@revision`
    #[arg(value_name = "REPO")]
    pub repository: String,
    /// Branch, tag or commit
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
    /// Fetch only files that match this pattern; may be given again
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub include: Vec<String>,
    /// Leave out files that match this pattern; may be given again
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub exclude: Vec<String>,
    /// Fetch only these tensors, and what else makes a small verifier of them: `embed_tokens`,
    /// `lm_head` and `norm` by their role, others by name or pattern
    #[arg(long, value_name = "TENSORS", value_delimiter = ',', conflicts_with_all = ["include", "exclude"])]
    pub only: Vec<String>,
    /// Put the files here instead of into the cache; with `--only`, `./NAME-partial` is the default
    #[arg(long, value_name = "DIR")]
    pub local_dir: Option<PathBuf>,
    /// Replace what is in the way: files in `--local-dir`, or the directory of `--only`
    #[arg(long)]
    pub force: bool,
    /// Show what would be fetched, and fetch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// The JSON report.
#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    #[serde(flatten)]
    plan: &'a PullPlan,
    total_bytes: u64,
    missing_bytes: u64,
    dry_run: bool,
    retries: u64,
}

/// Runs the command.
pub fn run(arguments: &PullArguments, session: &Session) -> Outcome {
    fetch(arguments, session).map_err(|failure| session.report_trouble(arguments.format, failure))
}

fn fetch(arguments: &PullArguments, session: &Session) -> Outcome {
    let environment = session.environment()?;
    let repository = named(&arguments.repository, arguments.revision.as_deref())?;
    let selection = Selection::new(&arguments.include, &arguments.exclude)?;
    if environment.offline {
        return offline(arguments, &environment, &repository, session);
    }
    if !arguments.only.is_empty() {
        return partial::run(arguments, environment, &repository, session);
    }
    let destination = match &arguments.local_dir {
        None => Destination::Cache,
        Some(path) => Destination::Directory {
            path: path.clone(),
            force: arguments.force,
        },
    };
    let hub = Hub::open(environment)?;
    let downloads = Downloads::new(session);
    let watch = downloads.watch();
    let listing = hub.list(&repository, watch)?;
    let plan = hub.plan(&repository, &listing, &selection, &destination, watch)?;
    if !arguments.dry_run {
        session.say(&format!(
            "{repository} at {}: {} of {} to fetch",
            &plan.commit[..12],
            tables::bytes(plan.missing_bytes()),
            tables::bytes(plan.total_bytes())
        ));
        let pulled = hub.pull(&plan, watch);
        downloads.finish();
        pulled?;
    }
    report(arguments, &plan, downloads.retries(), session)?;
    Ok(Exit::Yes)
}

/// The repository that two options name.
pub fn named(text: &str, revision: Option<&str>) -> Result<Repository, Failure> {
    let mut repository: Repository = text.parse()?;
    if let Some(revision) = revision {
        if let Some(other) = repository
            .revision
            .as_deref()
            .filter(|other| *other != revision)
        {
            let title = format!("two revisions are asked for, `{other}` and `{revision}`");
            return Err(Diagnostic::error(codes::USAGE, title).into());
        }
        repository.revision = Some(repository::revision(revision)?);
    }
    Ok(repository)
}

fn offline(
    arguments: &PullArguments,
    environment: &Environment,
    repository: &Repository,
    session: &Session,
) -> Outcome {
    let Some(snapshot) = pull::cached(environment, repository) else {
        return Err(not_cached(environment, repository).into());
    };
    session.say(&format!(
        "{repository}: what the cache holds; the Hub was not asked, so files may be missing"
    ));
    let mut stdout = session.stdout();
    match arguments.format {
        Format::Text => writeln!(stdout, "{}", snapshot.display())?,
        Format::Json => {
            drop(stdout);
            let report = serde_json::json!({
                "schema": "speculators.pull/1",
                "repository": repository.id,
                "revision": repository.revision(),
                "directory": snapshot,
                "offline": true,
            });
            session.print_json(&report)?;
        }
    }
    Ok(Exit::Yes)
}

/// S517 for a repository.
pub fn not_cached(environment: &Environment, repository: &Repository) -> Diagnostic {
    Diagnostic::error(
        codes::HUB_OFFLINE,
        format!("`{repository}` is not in the cache, and the Hub may not be asked"),
    )
    .note(format!("the cache is `{}`", environment.cache.display()))
    .help(format!(
        "with a network: `speculators pull {repository}`, without `--offline` and `HF_HUB_OFFLINE`"
    ))
}

fn report(
    arguments: &PullArguments,
    plan: &PullPlan,
    retries: u64,
    session: &Session,
) -> Result<(), Failure> {
    if arguments.format == Format::Json {
        return session.print_json(&Report {
            schema: "speculators.pull/1",
            plan,
            total_bytes: plan.total_bytes(),
            missing_bytes: plan.missing_bytes(),
            dry_run: arguments.dry_run,
            retries,
        });
    }
    if arguments.dry_run {
        let mut table = tables::plain(&["file", "size", ""]);
        for file in &plan.files {
            let state = match file.state {
                State::Present => "here".to_owned(),
                State::Elsewhere => "here, under another name".to_owned(),
                State::Begun { bytes } => format!("{} here", tables::bytes(bytes)),
                State::Missing => "to fetch".to_owned(),
            };
            table.add_row([file.path.clone(), tables::bytes(file.size), state]);
        }
        let mut stdout = session.stdout();
        writeln!(stdout, "{}", table.trim_fmt())?;
        writeln!(
            stdout,
            "{} at {}: {} files, {}; {} to fetch into {}",
            plan.repository,
            plan.commit,
            plan.files.len(),
            tables::bytes(plan.total_bytes()),
            tables::bytes(plan.missing_bytes()),
            plan.directory.display()
        )?;
        return Ok(());
    }
    if retries > 0 {
        session.say(&format!("{retries} requests had to be made again"));
    }
    Ok(writeln!(session.stdout(), "{}", plan.directory.display())?)
}
