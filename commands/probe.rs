//! `speculators probe`: metadata resolved by measurement, and a diagnosis of low acceptance.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use speculators::evaluation::Statement;
use speculators::models::Verifier;
use speculators::probe::{Findings, Subject, Verdict, encode, probe, write_texts};
use speculators::text::{Prompt, PromptBody, PromptOptions, PromptSet, TextModel};
use speculators_formats::{Diagnostic, Place, VerifierConfig, codes};

use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::models::{self, Need};
use crate::progress;
use crate::session::Session;

mod text;

/// Prompts of a category in the built-in set, which lie together.
const PROMPTS_PER_CATEGORY: usize = 10;

/// Find out by measurement how a head is meant to be read
///
/// Which verifier layers an EAGLE-3 head reads, what it normalizes and how it rotates is in no tensor, and configs say it
/// wrongly or not at all. The head is read in every way seen in the field and held against text that the verifier writes
/// itself; what agrees best, beyond doubt, is picked. Then the acceptance that is left is explained.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Exit status: 0 everything is as declared, or was written; 1 something declared is contradicted;
2 something could not be told, or measured.

Examples:
  speculators probe --verifier Llama-3.1-8B-Instruct --speculator head
  speculators probe --verifier V --speculator S --prompts long.jsonl --tokens 4000
  speculators probe --verifier V --speculator S --write")]
pub struct ProbeArguments {
    /// Directory of the verifier: config, safetensors, tokenizer
    #[arg(long, value_name = "DIR")]
    pub verifier: PathBuf,
    /// Directory of the head, in any layout that `inspect` recognizes
    #[arg(long, value_name = "DIR")]
    pub speculator: PathBuf,
    /// What the verifier is to answer, in any form that `eval` reads [default: the built-in set]
    #[arg(long, value_name = "FILE.jsonl")]
    pub prompts: Option<PathBuf>,
    /// Tokens that the verifier writes and the head is measured on
    #[arg(long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(64..))]
    pub tokens: u32,
    /// Write what was picked into the head's config, with a record of the measurement
    #[arg(long)]
    pub write: bool,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Everything that is reported.
#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    verifier: String,
    speculator: String,
    layout: String,
    #[serde(flatten)]
    findings: &'a Findings,
    diagnosis: &'a [Statement],
    /// The config that was written.
    written: Option<&'a Path>,
    diagnostics: &'a [Diagnostic],
}

/// Runs the command.
pub fn run(arguments: ProbeArguments, session: &Session) -> Outcome {
    let format = arguments.format;
    measure(arguments, session).map_err(|failure| session.report_trouble(format, failure))
}

fn measure(mut arguments: ProbeArguments, session: &Session) -> Outcome {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .context("the worker threads cannot be started")
            .map_err(Failure::Other)?;
    }
    let (verifier_name, speculator_name) = (
        arguments.verifier.display().to_string(),
        arguments.speculator.display().to_string(),
    );
    let prompts = prompts(arguments.prompts.as_deref(), session)?;
    models::localize(&mut arguments.verifier, Need::Everything, session)?;
    models::localize(&mut arguments.speculator, Need::Everything, session)?;

    // What is wrong with configs and headers need not wait for gigabytes of weights.
    let config = VerifierConfig::read(&arguments.verifier)?;
    let subject = Subject::open(&arguments.speculator, &config)?;
    for decision in subject.head.decisions.iter().filter(|made| made.guess) {
        session.say(&format!(
            "guessed: {} = {} ({})",
            decision.subject, decision.value, decision.reason
        ));
    }
    let plain = |body: &PromptBody| matches!(body, PromptBody::Tokens(_));
    let text = if prompts.iter().all(|prompt| plain(&prompt.body)) {
        None
    } else {
        Some(TextModel::load(&arguments.verifier)?)
    };
    let prompts = encode(&prompts, text.as_ref())?;
    let verifier = Verifier::load(&arguments.verifier)?;
    session.show(verifier.warnings());

    let wanted = arguments.tokens as usize;
    let bar = progress::parts_bar(session, wanted as u64, "writing");
    let texts = write_texts(
        &verifier,
        &prompts,
        wanted,
        &subject,
        session.cancelled(),
        &mut |tokens| {
            bar.set_position(tokens as u64);
            bar.set_message(format!("{tokens} tokens"));
        },
    );
    bar.finish_and_clear();
    let texts = texts?;
    let bar = progress::parts_bar(session, 0, "measuring");
    let findings = probe(
        &subject,
        &verifier,
        &texts,
        session.cancelled(),
        &mut |readings| {
            bar.set_length(readings as u64);
            bar.set_position(readings as u64);
            bar.set_message(format!("{readings} readings"));
        },
    );
    bar.finish_and_clear();
    let findings = findings?;
    if findings.tokens < wanted {
        session.say(&format!(
            "the {} prompts gave {} tokens of the {wanted} asked for",
            findings.texts, findings.tokens
        ));
    }

    let written = if arguments.write {
        findings.write(&arguments.speculator, &config, &subject)?
    } else {
        None
    };
    let place = Place::file(&arguments.speculator);
    let found = diagnostics(&findings, &subject, written.is_some(), &place);
    let diagnosis = findings.diagnosis();
    let layout = subject.head.layout.to_string();
    match arguments.format {
        Format::Json => session.print_json(&Report {
            schema: "speculators.probe/1",
            verifier: verifier_name,
            speculator: speculator_name,
            layout,
            findings: &findings,
            diagnosis: &diagnosis,
            written: written.as_deref(),
            diagnostics: &found,
        })?,
        Format::Text => text::write(
            &findings,
            &diagnosis,
            &[verifier_name, speculator_name, layout],
            &mut session.stdout(),
        )?,
    }
    session.show(&found);
    if let Some(path) = &written {
        session.say(&format!("written: {}", path.display()));
    }
    Ok(if findings.contradicted() && written.is_none() {
        Exit::No
    } else if findings.undecided() {
        Exit::Trouble
    } else {
        Exit::Yes
    })
}

/// The prompts of the user, or the built-in set with its categories taking turns: the first few are to speak for all.
fn prompts(path: Option<&Path>, session: &Session) -> Result<Vec<Prompt>, Failure> {
    let options = PromptOptions::default();
    let set = match path {
        Some(path) => PromptSet::read(&[path.to_path_buf()], options)?,
        None => PromptSet::built_in(options)?,
    };
    session.show(&set.remarks);
    if path.is_some() {
        return Ok(set.prompts);
    }
    let (prompts, each) = (set.prompts, PROMPTS_PER_CATEGORY);
    let turn = |turn| prompts.iter().skip(turn).step_by(each).cloned();
    Ok((0..each).flat_map(turn).collect())
}

/// What is wrong or open, as findings with codes.
fn diagnostics(
    findings: &Findings,
    subject: &Subject,
    written: bool,
    place: &Place,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if !findings.informative {
        let title = format!(
            "the head's first draft token is right {:.1} % of the time at best, and the commonest token alone makes up {:.1} %",
            100.0
                * findings
                    .after
                    .accepted_share
                    .first()
                    .copied()
                    .unwrap_or(0.0),
            100.0 * findings.commonest_share
        );
        found.push(
            Diagnostic::warning(codes::PROBE_UNDECIDED, title)
                .at(place.clone())
                .note("a head that agrees with nothing looks the same in every reading: it is untrained, was trained little, or belongs to another verifier"),
        );
        return found;
    }
    for answer in &findings.answers {
        let (key, declared) = (answer.key, &answer.declared);
        match (answer.verdict, &answer.picked) {
            (Verdict::Picked, Some(picked)) if !written => {
                let mut problem = Diagnostic::warning(
                    codes::PROBE_CONTRADICTED,
                    format!(
                        "`{key}` is declared as {declared}, and the head agrees best as {picked}"
                    ),
                )
                .at(place.clone());
                let difference = answer.tried.iter().find(|tried| tried.declared);
                if let Some(tried) = difference {
                    let log_q = &tried.difference.log_q;
                    problem = problem.note(format!(
                        "log q {:+.3} with a standard error of {:.3}, {:+.2} draft tokens of 3 per position",
                        log_q.mean, log_q.error, tried.difference.accepted.mean
                    ));
                }
                if let Some(reason) = &answer.reason {
                    problem = problem.note(reason.clone());
                }
                found.push(problem);
            }
            (Verdict::Undecided, _) => {
                let title = format!("`{key}`, declared as {declared}, is not decided");
                let mut problem =
                    Diagnostic::warning(codes::PROBE_UNDECIDED, title).at(place.clone());
                problem.notes.extend(answer.reason.clone());
                if answer.contradicted {
                    problem = problem.note("what is declared agrees less than these");
                }
                found.push(
                    problem.help("measure on more text: raise `--tokens`, or give longer prompts"),
                );
            }
            _ => {}
        }
    }
    if !written
        && let Some(last) = found
            .iter_mut()
            .rev()
            .find(|one| one.code == codes::PROBE_CONTRADICTED)
    {
        last.help = Some(if findings.can_be_written(subject) {
            "`--write` puts what was measured into the config".to_owned()
        } else {
            findings.conversion(subject)
        });
    }
    found
}
