//! `speculators push`: a checkpoint that passes `validate` up to the Hub, with a page that explains it.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::Args;
use serde_json::{Value, json};
use speculators::hub::card::{Card, Evaluation, Serving};
use speculators::hub::push::{Content, Upload};
use speculators::hub::{Hub, Repository, RepositoryId};
use speculators_formats::validate::runtime::{Loads, Runtime, sglang};
use speculators_formats::validate::{ValidateOptions, ValidationReport, Verdict, validate_until};
use speculators_formats::{ConfigFile, Description, Diagnostic, Layout, Level, Place, codes};

use crate::arguments::Format;
use crate::downloads::Downloads;
use crate::failure::{Exit, Failure, Outcome};
use crate::models::{self, Need};
use crate::session::Session;
use crate::{pull, tables, words};

/// Put a checkpoint on the Hub, with a model card
///
/// What `validate` finds not valid is not uploaded. A README.md in the directory is taken as it is; without one, a card is
/// written: what the head is, its verifier, the acceptance if a report of `eval --format json` lies beside it (in the
/// directory, or NAME.eval.json next to it), and how to serve it. Exit status: 0 uploaded, 1 not valid, 2 it could not be
/// done.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators push converted me/EAGLE3-Llama-3.1-8B --dry-run
  speculators push converted me/EAGLE3-Llama-3.1-8B --private
  speculators push converted me/EAGLE3-Llama-3.1-8B --verifier meta-llama/Llama-3.1-8B --eval eval.json")]
pub struct PushArguments {
    /// Directory of the checkpoint
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Repository, `owner/name` or `owner/name@branch`
    #[arg(value_name = "REPO")]
    pub repository: String,
    /// Verifier to validate it with, a directory or a repository
    #[arg(long, value_name = "VERIFIER")]
    pub verifier: Option<PathBuf>,
    /// Report of `eval --format json` for the card [default: the one that lies beside the checkpoint]
    #[arg(long, value_name = "FILE")]
    pub eval: Option<PathBuf>,
    /// Branch
    #[arg(long, value_name = "BRANCH")]
    pub revision: Option<String>,
    /// Make the repository a private one, if it does not exist yet
    #[arg(long)]
    pub private: bool,
    /// Open a pull request instead of writing to the branch
    #[arg(long)]
    pub create_pr: bool,
    /// What the commit says
    #[arg(long, value_name = "TEXT", default_value = "Upload with speculators")]
    pub message: String,
    /// Show the card and the files, and upload nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Runs the command.
pub fn run(arguments: PushArguments, session: &Session) -> Outcome {
    let format = arguments.format;
    push(arguments, session).map_err(|failure| session.report_trouble(format, failure))
}

fn push(mut arguments: PushArguments, session: &Session) -> Outcome {
    let repository = pull::named(&arguments.repository, arguments.revision.as_deref())?;
    models::localize_some(&mut arguments.verifier, Need::Config, session)?;
    let report = validate(&arguments, None, session)?;
    match report.verdict {
        Verdict::Valid => {}
        verdict => {
            session.show(&report.diagnostics);
            session.say(&format!(
                "{}: {}; nothing was uploaded",
                arguments.directory.display(),
                verdict.as_str()
            ));
            return Ok(match verdict {
                Verdict::NotValid => Exit::No,
                _ => Exit::Trouble,
            });
        }
    }
    let mut files = files(&arguments.directory, session)?;
    let mut card = None;
    if !files.iter().any(|(name, _, _)| name == "README.md") {
        let text = describe(&arguments, &repository, &report, session)?.render()?;
        let size = text.len() as u64;
        card = Some(text.clone());
        files.push(("README.md".to_owned(), Content::Text(text), size));
    }
    let listed: Vec<Value> = files
        .iter()
        .map(|(name, _, bytes)| json!({ "path": name, "bytes": bytes }))
        .collect();
    if arguments.dry_run {
        if arguments.format == Format::Json {
            session.print_json(&json!({
                "schema": "speculators.push/1",
                "repository": repository.id,
                "revision": repository.revision(),
                "dry_run": true,
                "files": listed,
                "card": card,
            }))?;
        } else {
            show_plan(&files, card.as_deref(), session)?;
        }
        return Ok(Exit::Yes);
    }
    let environment = session.environment()?;
    if environment.offline {
        return Err(
            Diagnostic::error(codes::HUB_OFFLINE, "the Hub may not be asked")
                .help("leave out `--offline`, and unset `HF_HUB_OFFLINE`")
                .into(),
        );
    }
    let total: u64 = files.iter().map(|(_, _, bytes)| bytes).sum();
    session.say(&format!(
        "{repository}: uploading {} files, {}",
        files.len(),
        tables::bytes(total)
    ));
    let hub = Hub::open(environment)?;
    let downloads = Downloads::new(session);
    let upload = Upload {
        repository,
        private: arguments.private,
        pull_request: arguments.create_pr,
        message: arguments.message,
        files: files
            .into_iter()
            .map(|(name, content, _)| (name, content))
            .collect(),
    };
    let pushed = hub.push(&upload, downloads.watch())?;
    match arguments.format {
        Format::Json => session.print_json(&json!({
            "schema": "speculators.push/1",
            "repository": upload.repository.id,
            "revision": upload.repository.revision(),
            "commit": pushed.commit,
            "address": pushed.address,
            "files": listed,
        }))?,
        Format::Text => writeln!(session.stdout(), "{}", pushed.address)?,
    }
    Ok(Exit::Yes)
}

/// The report of `validate`, on the checkpoint alone or for a runtime.
fn validate(
    arguments: &PushArguments,
    runtime: Option<Runtime>,
    session: &Session,
) -> Result<ValidationReport, Failure> {
    let options = ValidateOptions {
        // The values are read once.
        skip_values: runtime.is_some(),
        runtime,
        ..ValidateOptions::default()
    };
    let cancelled = session.cancelled();
    let step = &mut |_, _| {
        if cancelled.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let directory = whole(&arguments.directory);
    let verifier = arguments.verifier.as_deref();
    validate_until(&directory, verifier, &options, step).ok_or(Failure::Interrupted)
}

/// The path from the root: a word that stands for nothing else in a command.
fn whole(directory: &Path) -> PathBuf {
    std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf())
}

/// What is uploaded: the files of the directory itself.
fn files(directory: &Path, session: &Session) -> Result<Vec<(String, Content, u64)>, Failure> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let metadata = fs_err::metadata(entry.path())?;
        if name.starts_with('.') || !metadata.is_file() {
            session.say(&format!("not uploaded: `{name}`"));
            continue;
        }
        files.push((name, Content::File(entry.path()), metadata.len()));
    }
    files.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(files)
}

/// Everything the card says.
fn describe(
    arguments: &PushArguments,
    repository: &Repository,
    report: &ValidationReport,
    session: &Session,
) -> Result<Card, Failure> {
    let config = ConfigFile::read(arguments.directory.join("config.json"))?;
    let name = config.verifier_name().unwrap_or_default().to_owned();
    let base_model: Option<RepositoryId> = name.parse().ok().filter(|_| name.contains('/'));
    let mut runtimes = Vec::new();
    for runtime in [Runtime::Vllm, Runtime::Sglang] {
        let judged = validate(arguments, Some(runtime), session)?;
        if let (Runtime::Sglang, Some(Description::Eagle3(head))) = (runtime, &report.head)
            && report.layout == Some(Layout::Speculators)
        {
            let verifier = base_model.as_ref().map_or("VERIFIER", RepositoryId::as_str);
            runtimes.push(converted(repository, verifier, head.speculative_tokens));
            continue;
        }
        let Some(found) = judged.runtime.filter(|found| found.loads != Loads::No) else {
            continue;
        };
        if found.commands.is_empty() {
            continue;
        }
        let directory = whole(&arguments.directory).display().to_string();
        let public = |command: &String| {
            let mut command = command.replace(&directory, repository.id.as_str());
            if let Some(verifier) = &arguments.verifier {
                let public = base_model.as_ref().map_or("VERIFIER", RepositoryId::as_str);
                command = command.replace(&verifier.display().to_string(), public);
            }
            command
        };
        runtimes.push(Serving {
            name: runtime.name().to_owned(),
            version: runtime.version().to_owned(),
            commands: found.commands.iter().map(public).collect(),
        });
    }
    let head = serde_json::to_value(&report.head)?;
    let facts = head.as_object().map(|head| words::describe(head, None));
    Ok(Card {
        title: repository.id.to_string(),
        algorithm: report
            .algorithm
            .map_or_else(|| "eagle3".to_owned(), |algorithm| algorithm.to_string()),
        verifier: base_model
            .as_ref()
            .map(|id| format!("[{id}](https://huggingface.co/{id})")),
        base_model: base_model.map(|id| id.to_string()),
        facts: facts.unwrap_or_default(),
        evaluation: evaluation(arguments, session)?,
        runtimes,
        validated: format!(
            "no errors, {} warnings; {} tensors, {}",
            report.count(Level::Warning),
            report.tensors,
            tables::bytes(report.bytes_scanned)
        ),
    })
}

/// SGLang does not read the speculators layout; what it reads is one conversion away, which refuses what has no place there.
fn converted(repository: &Repository, verifier: &str, tokens: usize) -> Serving {
    let head = format!("{}-sglang", repository.id.name());
    Serving {
        name: Runtime::Sglang.name().to_owned(),
        version: Runtime::Sglang.version().to_owned(),
        commands: vec![
            format!(
                "speculators convert {} --verifier {verifier} --to sglang --output-path {head}",
                repository.id
            ),
            sglang::launched(verifier, &head, "EAGLE3", tokens),
        ],
    }
}

/// The report of an evaluation: the one that is named, or one that lies beside the checkpoint.
fn evaluation(arguments: &PushArguments, session: &Session) -> Result<Option<Evaluation>, Failure> {
    let read = |path: &Path| -> Result<Option<Evaluation>, Failure> {
        let report = ConfigFile::read(path)?;
        Ok(Evaluation::of(&Value::Object(report.value)))
    };
    if let Some(path) = &arguments.eval {
        return match read(path)? {
            Some(evaluation) => Ok(Some(evaluation)),
            None => Err(
                Diagnostic::error(codes::USAGE, "this is no report of an evaluation")
                    .at(Place::file(path))
                    .help("`speculators eval --format json` writes one")
                    .into(),
            ),
        };
    }
    let directory = whole(&arguments.directory);
    let name = tables::file_name(&directory);
    let beside = [
        directory.join("eval.json"),
        directory.with_file_name(format!("{name}.eval.json")),
    ];
    for path in beside.iter().filter(|path| path.is_file()) {
        if let Some(evaluation) = read(path)? {
            session.say(&format!("acceptance from {}", path.display()));
            return Ok(Some(evaluation));
        }
    }
    Ok(None)
}

fn show_plan(
    files: &[(String, Content, u64)],
    card: Option<&str>,
    session: &Session,
) -> Result<(), Failure> {
    let mut stdout = session.stdout();
    if let Some(card) = card {
        writeln!(stdout, "{card}")?;
    }
    let mut table = tables::numbers(&["file", "size"]);
    for (name, _, bytes) in files {
        table.add_row([name.clone(), tables::bytes(*bytes)]);
    }
    Ok(writeln!(stdout, "{}", table.trim_fmt())?)
}
