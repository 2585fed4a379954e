//! `speculators generate`: text from a prompt, with speculation, as it comes.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::{ArgGroup, Args};
use serde_json::Map;
use speculators::decoding::{Limits, Sampling, StopStrings};
use speculators::demo;
use speculators::evaluation::{RequestFigures, request_seed};
use speculators::text::{PromptBody, PromptOptions, PromptSet};
use speculators_formats::{Diagnostic, codes};

use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use crate::strategy::StrategyArguments;

mod answer;
mod chat;
mod figures;
mod models;
mod screen;

use answer::Answer;
use chat::{Conversation, Entry, Lines};
use figures::Generated;
use models::Models;
use screen::{Marks, Screen};

/// Output limit of the demonstration, as in `eval`.
const DEMO_NEW_TOKENS: usize = 64;

/// Generate text with speculation, as it comes
///
/// Continues a prompt, or answers in a conversation. Without `--lossy` or a rule that draws anew, the text is that of plain
/// decoding with the same verifier, token for token. stdout holds the text alone; what was accepted and how fast it was goes to stderr.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("seeded").args(["temperature"]).multiple(true))]
#[command(after_long_help = "\
Ctrl-C ends the text where it is; the summary is of what came until then, and the status is 130.
In a chat, `/clear` begins anew and `/exit` ends.

Examples:
  speculators generate --demo
  speculators generate --verifier V --speculator S --prompt 'What is 86 + 80?' --show-accepted
  git diff | speculators generate --verifier V --speculator S --prompt - --system 'Review this.'
  speculators generate --verifier V --speculator S --chat --temperature 0.6
  speculators generate --verifier V --prompt 'Once' --raw --no-speculation")]
pub struct GenerateArguments {
    /// Use the verifier and the head that come with this program; without a prompt, one of their own
    #[arg(long, conflicts_with_all = ["verifier", "speculator"])]
    pub demo: bool,
    /// Directory of the verifier: config, safetensors, tokenizer
    #[arg(long, value_name = "DIR", required_unless_present = "demo")]
    pub verifier: Option<PathBuf>,
    /// Directory of the head, in any layout that `inspect` recognizes
    #[arg(long, value_name = "DIR", required_unless_present_any = ["demo", "no_speculation"])]
    pub speculator: Option<PathBuf>,
    /// The prompt; `-` reads it from stdin
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["demo", "chat"])]
    pub prompt: Option<String>,
    /// Answer line by line what stdin says, and remember what was said
    #[arg(long, conflicts_with = "prompt")]
    pub chat: bool,
    /// What the conversation begins with, in the system's name
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    pub system: Option<String>,
    /// Take the prompt as it is, without the verifier's chat template
    #[arg(long, conflicts_with = "chat")]
    pub raw: bool,
    /// Let the verifier write alone, to compare
    #[arg(long, conflicts_with_all = ["num_speculative_tokens", "tree", "verification", "lossy"])]
    pub no_speculation: bool,
    /// Tell accepted draft tokens from the verifier's own
    #[arg(long, value_enum, value_name = "MARKS", num_args = 0..=1, require_equals = true,
        default_missing_value = "color", conflicts_with = "no_speculation")]
    pub show_accepted: Option<Marks>,
    /// What to draft and how to choose tokens
    #[command(flatten)]
    pub strategy: StrategyArguments,
    /// Output limit, in tokens [default: 256; 64 in the demonstration]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new_tokens: Option<u32>,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// The text as it comes, or one report at the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Runs the command.
pub fn run(arguments: GenerateArguments, session: &Session) -> Outcome {
    let format = arguments.format;
    generate(&arguments, session).map_err(|failure| session.report_trouble(format, failure))
}

fn generate(arguments: &GenerateArguments, session: &Session) -> Outcome {
    if arguments.format == Format::Json {
        let refused = [
            (
                arguments.chat,
                "`--format json` reports one text, and `--chat` makes several",
            ),
            (
                arguments.show_accepted.is_some(),
                "`--format json` lists accepted tokens, and `--show-accepted` marks them in the text",
            ),
        ];
        if let Some((_, title)) = refused.iter().find(|(given, _)| *given) {
            return Err(Diagnostic::error(codes::USAGE, *title).into());
        }
    }
    if arguments.no_speculation && arguments.speculator.is_some() {
        session.say("`--speculator` plays no part with `--no-speculation`");
    }
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .context("the worker threads cannot be started")
            .map_err(Failure::Other)?;
    }
    // Before the weights: who types the prompt need not wait for them, and who pipes it may have none.
    let prompt = match arguments.chat {
        true => None,
        false => Some(prompt(arguments, session)?),
    };
    let models = Models::load(arguments, session)?;
    let max_new_tokens = arguments.max_new_tokens.map_or(
        if arguments.demo { DEMO_NEW_TOKENS } else { 256 },
        |limit| limit as usize,
    );
    let run = Run {
        limits: Limits::new(&models.verifier, max_new_tokens),
        stop: arguments.strategy.stop.clone(),
        system: arguments.system.clone(),
        marks: Marks::settle(arguments.show_accepted, session),
        models,
        session,
    };
    match prompt {
        Some(prompt) => run.once(&prompt, arguments.raw, arguments.format),
        None => run.chat(),
    }
}

/// The prompt, wherever it comes from.
fn prompt(arguments: &GenerateArguments, session: &Session) -> Result<String, Failure> {
    match arguments.prompt.as_deref() {
        Some("-") => {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .context("the prompt cannot be read from stdin")
                .map_err(Failure::Other)?;
            // The end of the last line belongs to the pipe, as in `$(…)` of a shell.
            let length = text.trim_end_matches(['\n', '\r']).len();
            text.truncate(length);
            Ok(text)
        }
        Some(text) => Ok(text.to_owned()),
        None => {
            let options = PromptOptions {
                limit: Some(1),
                ..PromptOptions::default()
            };
            let set = PromptSet::parse(Path::new(demo::PROMPTS_NAME), demo::PROMPTS, options)?;
            let messages = set.prompts.first().and_then(|prompt| match &prompt.body {
                PromptBody::Messages { messages, .. } => messages.last(),
                _ => None,
            });
            let text = messages.and_then(|message| message.get("content")?.as_str());
            let text = text.unwrap_or_default().to_owned();
            session.say(&format!("prompt of the demonstration: {text}"));
            Ok(text)
        }
    }
}

/// Everything that a text is made with.
struct Run<'a> {
    models: Models,
    limits: Limits<'static>,
    stop: Vec<String>,
    system: Option<String>,
    marks: Option<Marks>,
    session: &'a Session,
}

impl Run<'_> {
    /// Continues one prompt.
    fn once(&self, prompt: &str, raw: bool, format: Format) -> Outcome {
        let text = &self.models.text;
        let has_template = text.chat_template().is_ok();
        let templated = !raw && (has_template || self.system.is_some());
        let tokens = if templated {
            let mut conversation = Conversation::new(self.system.clone());
            conversation.ask(prompt);
            text.encode_chat(&conversation.messages, None, &Map::new())?
        } else {
            text.encode_prompt(prompt)?
        };
        self.session.say(&match (templated, raw) {
            (true, _) => format!(
                "{} prompt tokens, by the verifier's chat template",
                tokens.len()
            ),
            (false, true) => format!("{} prompt tokens, taken as they are", tokens.len()),
            (false, false) => format!(
                "{} prompt tokens, taken as they are: the verifier has no chat template",
                tokens.len()
            ),
        });
        let mut screen = (format == Format::Text).then(|| Screen::new(self.marks));
        let answer = self.answer(tokens, 1, screen.as_mut())?;
        drop(screen);
        if format == Format::Json {
            let report = Generated::new(
                &self.models,
                &answer,
                templated,
                &self.stop,
                self.limits.max_new_tokens,
            );
            self.session.print_json(&report)?;
        }
        self.summarize(std::slice::from_ref(&answer.figures), ending(&answer));
        Ok(match answer.finish {
            Some(_) => Exit::Yes,
            None => Exit::Interrupted,
        })
    }

    /// Answers line by line.
    fn chat(&self) -> Outcome {
        // That there is a template is known before the first question.
        self.models.text.chat_template()?;
        let lines = Lines::read();
        if lines.are_typed {
            self.session.say(chat::HELP);
        }
        let mut conversation = Conversation::new(self.system.clone());
        let mut answers = Vec::new();
        let mut screen = Screen::new(self.marks);
        let exit = loop {
            match lines.next(self.session)? {
                Entry::End => break Exit::Yes,
                Entry::Interrupt => break Exit::Interrupted,
                Entry::Help => self.session.say(chat::HELP),
                Entry::Clear => {
                    conversation.clear();
                    self.session.say("what was said is forgotten");
                }
                Entry::Message(text) => {
                    conversation.ask(&text);
                    let Some(answer) = self.reply(&conversation, &lines, &mut screen)? else {
                        conversation.take_back();
                        continue;
                    };
                    conversation.answer(&answer.text);
                    let interrupted = answer.finish.is_none();
                    self.summarize(std::slice::from_ref(&answer.figures), ending(&answer));
                    answers.push(answer.figures);
                    if interrupted && !lines.are_typed {
                        break Exit::Interrupted;
                    }
                    // Whoever is at the keyboard wanted to end the answer, not the conversation.
                    self.session.cancelled().store(false, Ordering::Relaxed);
                }
            }
        };
        if answers.len() > 1 {
            let ending = format!("in {} answers", answers.len());
            self.summarize(&answers, &ending);
        }
        Ok(exit)
    }

    /// The answer to a conversation; nothing where it cannot be given, and a person was told so.
    fn reply(
        &self,
        conversation: &Conversation,
        lines: &Lines,
        screen: &mut Screen,
    ) -> Result<Option<Answer>, Failure> {
        let text = &self.models.text;
        let answer = text
            .encode_chat(&conversation.messages, None, &Map::new())
            .map_err(Failure::from)
            .and_then(|tokens| self.answer(tokens, conversation.turn, Some(screen)));
        match answer {
            Err(Failure::Diagnostics(problems)) if lines.are_typed => {
                self.session.show(&problems);
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }

    /// Draws as `eval` does for the first prompt of a file and the same turn.
    fn answer(
        &self,
        prompt: Vec<u32>,
        turn: u32,
        screen: Option<&mut Screen>,
    ) -> Result<Answer, Failure> {
        let sampling = Sampling {
            seed: request_seed(self.models.choosing.sampling.seed, [0, turn]),
            ..self.models.choosing.sampling
        };
        let mut limits = self.limits.clone();
        if !self.stop.is_empty() {
            limits.stop = Some(StopStrings::new(&self.stop, &self.models.text.tokenizer));
        }
        let (models, session) = (&self.models, self.session);
        Answer::generate(
            models, prompt, sampling, &limits, &self.stop, screen, session,
        )
    }

    fn summarize(&self, answers: &[RequestFigures], ending: &str) {
        let positions = self.models.positions();
        self.session
            .say(&figures::summary(answers, positions, ending));
    }
}

fn ending(answer: &Answer) -> &'static str {
    match answer.finish {
        Some("stop") => "to the end of the text",
        Some(_) => "up to the limit",
        None => "until the interrupt",
    }
}
