//! Prompt files: one JSON object a line, a JSON list of objects, or plain text, in each of the spellings that the field uses
//! and as its benchmarks are published; and a set of our own.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use speculators_formats::{Diagnostic, Place, codes};

use super::{TemplateVariables, TextModel};
use crate::Result;

mod body;
mod entry;
mod file;
mod share_gpt;
mod tally;
#[cfg(test)]
mod tests;

/// One message of a conversation, as the chat template sees it: `role`, `content` and whatever else it carries.
pub type Message = Map<String, Value>;

/// What a line asks to be continued.
#[derive(Clone, Debug, PartialEq)]
pub enum PromptBody {
    /// `prompt`: text, continued as it stands.
    Text(String),
    /// `messages`, or ShareGPT `conversations`: a conversation up to the assistant's next turn. Also the one question
    /// of a GSM8K, Alpaca or CNN/DailyMail entry.
    Messages {
        /// The conversation; trailing assistant turns are cut, since they are what is to be generated.
        messages: Vec<Message>,
        /// `tools`, for templates that take them.
        tools: Option<Value>,
    },
    /// `turns`: the user's turns; the assistant answers each before the next is asked.
    Turns(Vec<String>),
    /// `prompt_token_ids`: ids, continued as they stand.
    Tokens(Vec<u32>),
}

/// One line of a prompt file.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// `id`, `question_id` or `task_id`, else the line number, or in a list the entry's; behind the file's name where there are
    /// several files.
    pub id: String,
    /// `category`, where given; else, of several files, the name of the file.
    pub category: Option<String>,
    /// What is to be continued.
    pub body: PromptBody,
    /// `chat_template_kwargs`: variables for the chat template.
    pub template_variables: Map<String, Value>,
}

/// How prompt files are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct PromptOptions {
    /// Most prompts to take, from the first on; files behind them are not opened.
    pub limit: Option<usize>,
    /// Plain text is the question of a user, to go through the chat template, instead of being continued as it stands.
    pub as_chat: bool,
}

/// Prompts, and what there is to say about the files they come from.
#[derive(Clone, Debug, Default)]
pub struct PromptSet {
    /// In the order of the files.
    pub prompts: Vec<Prompt>,
    /// Entries that were left out, and prompts that were read otherwise than they stand.
    pub remarks: Vec<Diagnostic>,
}

impl PromptSet {
    /// The name under which [`PromptSet::read`] knows the built-in set.
    pub const BUILT_IN: &str = "builtin";

    /// Reads prompt files one after another, or where one is called [`PromptSet::BUILT_IN`] the built-in set.
    ///
    /// Of several files, ids get the name of the file before them, so that they stay apart, and so do categories where there
    /// are none.
    ///
    /// # Errors
    /// A diagnostic for each malformed line, and one for a file that cannot be read, is not text or holds no usable prompt.
    pub fn read(paths: &[PathBuf], options: PromptOptions) -> Result<PromptSet> {
        let mut set = PromptSet::default();
        let names = names(paths);
        for (path, name) in paths.iter().zip(names) {
            let left = options
                .limit
                .map(|limit| limit.saturating_sub(set.prompts.len()));
            if left == Some(0) && !set.prompts.is_empty() {
                break;
            }
            let limited = PromptOptions {
                limit: left,
                ..options
            };
            let mut one = if path == Path::new(PromptSet::BUILT_IN) {
                PromptSet::built_in(limited)?
            } else {
                file::read(path, limited)?
            };
            if paths.len() > 1 {
                for prompt in &mut one.prompts {
                    prompt.id = format!("{name}:{}", prompt.id);
                    prompt.category.get_or_insert_with(|| name.clone());
                }
            }
            set.prompts.append(&mut one.prompts);
            set.remarks.append(&mut one.remarks);
        }
        Ok(set)
    }

    /// Parses the text of a prompt file; `path` is only named in diagnostics, and its ending tells plain text from JSON.
    ///
    /// # Errors
    /// As [`PromptSet::read`].
    pub fn parse(path: &Path, text: &str, options: PromptOptions) -> Result<PromptSet> {
        file::parse(path, text, options)
    }

    /// The built-in set: 80 prompts in eight categories of ten, written for this project.
    ///
    /// # Errors
    /// None, since a test has read it.
    pub fn built_in(options: PromptOptions) -> Result<PromptSet> {
        let path = Path::new(PromptSet::BUILT_IN);
        let mut set = file::parse(path, include_str!("prompts/builtin.jsonl"), options)?;
        if path.exists() {
            let title = format!(
                "`{}` is the built-in set, not the file of that name here",
                PromptSet::BUILT_IN
            );
            set.remarks.push(
                Diagnostic::info(codes::PROMPTS_ADJUSTED, title)
                    .at(Place::file(path))
                    .help(format!("write `./{}` for the file", PromptSet::BUILT_IN)),
            );
        }
        Ok(set)
    }
}

impl PromptSet {
    /// Sets variables of the chat template for every prompt, and gives what was set; what a prompt sets itself stays.
    ///
    /// # Errors
    /// As [`TemplateVariables::resolve`], and a diagnostic where there is no chat template to set them for.
    pub fn set_variables(
        &mut self,
        wanted: &TemplateVariables,
        text: Option<&TextModel>,
    ) -> Result<Map<String, Value>> {
        if wanted.is_empty() {
            return Ok(Map::new());
        }
        let is_chat = |prompt: &Prompt| {
            matches!(
                prompt.body,
                PromptBody::Messages { .. } | PromptBody::Turns(_)
            )
        };
        let Some(text) = text.filter(|_| self.prompts.iter().any(is_chat)) else {
            let title =
                "variables for the chat template change nothing: no prompt is a conversation";
            self.remarks
                .push(Diagnostic::warning(codes::TEMPLATE_VARIABLE, title));
            return Ok(Map::new());
        };
        let (variables, mut remarks) = wanted.resolve(text.chat_template()?)?;
        self.remarks.append(&mut remarks);
        for prompt in &mut self.prompts {
            for (name, value) in &variables {
                let own = prompt.template_variables.entry(name.clone());
                own.or_insert_with(|| value.clone());
            }
        }
        Ok(variables)
    }
}

/// What several files are called in ids: their names without the ending, or where two are the same, their paths.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let clash = |path: &PathBuf| {
        let same = paths
            .iter()
            .filter(|other| other.file_stem() == path.file_stem());
        same.count() > 1
    };
    paths
        .iter()
        .map(|path| match path.file_stem() {
            Some(stem) if !clash(path) => stem.to_string_lossy().into_owned(),
            _ => path.display().to_string(),
        })
        .collect()
}
