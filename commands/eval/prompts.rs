//! Prompts of an evaluation: their files, and what their conversations are put together with.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use speculators::text::{PromptOptions, PromptSet, TemplateVariables, TextModel};

use crate::failure::Failure;
use crate::session::Session;

/// What to ask, and how.
#[derive(Args, Debug)]
pub struct PromptArguments {
    /// Prompts, in any form that docs/prompts.md lists; may be given several times; `builtin` is a set of 80 in eight categories
    #[arg(long, value_name = "FILE", required_unless_present_any = ["demo", "from_records", "compare"])]
    pub prompts: Vec<PathBuf>,
    /// Put plain text through the chat template, as the question of a user, instead of continuing it as it stands
    #[arg(long)]
    pub as_chat: bool,
    /// Variables for the chat template, such as '{"enable_thinking": false}'; those of a prompt win
    #[arg(long, value_name = "JSON", value_parser = object)]
    pub chat_template_kwargs: Option<Map<String, Value>>,
    /// Switch thinking, by whichever name the chat template has for it
    #[arg(long, value_enum, value_name = "on|off")]
    pub thinking: Option<Thinking>,
}

/// Whether the model thinks before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Thinking {
    /// It does
    On,
    /// It does not
    Off,
}

impl PromptArguments {
    /// Reads the prompts, and says what is to be said about them.
    pub fn read(&self, limit: Option<usize>, session: &Session) -> Result<PromptSet, Failure> {
        let options = PromptOptions {
            limit,
            as_chat: self.as_chat,
        };
        let mut set = PromptSet::read(&self.prompts, options)?;
        session.show(&std::mem::take(&mut set.remarks));
        Ok(set)
    }

    /// Sets the variables of the chat template.
    pub fn set_variables(
        &self,
        set: &mut PromptSet,
        text: Option<&TextModel>,
        session: &Session,
    ) -> Result<(), Failure> {
        let wanted = TemplateVariables {
            given: self.chat_template_kwargs.clone().unwrap_or_default(),
            thinking: self.thinking.map(|thinking| thinking == Thinking::On),
        };
        let variables = set.set_variables(&wanted, text)?;
        session.show(&std::mem::take(&mut set.remarks));
        for (name, value) in variables {
            session.say(&format!("chat template: {name} = {value}"));
        }
        Ok(())
    }

    /// What diagnostics call the files.
    pub fn path(&self) -> PathBuf {
        match &self.prompts[..] {
            [one] => one.clone(),
            several => {
                let names: Vec<String> = several
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                Path::new(&names.join(", ")).to_path_buf()
            }
        }
    }
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}
