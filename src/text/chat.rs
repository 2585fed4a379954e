//! Chat templates: Jinja as transformers renders it.

use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Value as Template};
use serde_json::{Map, Value};
use speculators_formats::{Diagnostic, Place, codes};

use crate::Result;
use crate::text::Message;

mod files;
mod json;
mod python;
mod variables;

pub use variables::TemplateVariables;

use files::Sources;

const NAME: &str = "chat_template";
/// The name of the template that takes the place of the other where there are tools, as in transformers.
const WITH_TOOLS: &str = "tool_use";

/// A verifier's chat template with the special tokens it may name.
pub struct ChatTemplate {
    environment: Environment<'static>,
    special_tokens: Map<String, Value>,
    path: PathBuf,
}

impl ChatTemplate {
    /// Loads `chat_template.jinja`, or else `chat_template` of `tokenizer_config.json` or `chat_template.json`; nothing where
    /// there is none of them. Where a list of named templates is given, `default` is meant, and `tool_use` for conversations
    /// with tools.
    ///
    /// # Errors
    /// A diagnostic where a file cannot be read or the template is not valid Jinja.
    pub fn load(directory: &Path) -> Result<Option<ChatTemplate>> {
        let config = files::configuration(directory)?;
        match Sources::find(directory, &config)? {
            Some(sources) => {
                ChatTemplate::compile(sources, files::special_tokens(directory, &config)?).map(Some)
            }
            None => Ok(None),
        }
    }

    fn compile(sources: Sources, special_tokens: Map<String, Value>) -> Result<ChatTemplate> {
        let path = sources.path;
        let mut environment = Environment::new();
        // transformers renders with both, so that a block on a line of its own leaves no line behind.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(|error| {
            template_diagnostic(&path, "the template syntax is refused", &error)
        })?);
        python::teach(&mut environment);
        let named = [
            (NAME, Some(sources.default)),
            (WITH_TOOLS, sources.with_tools),
        ];
        for (name, source) in named {
            let Some(source) = source else { continue };
            environment
                .add_template_owned(name, python::without_generation(&source))
                .map_err(|error| {
                    template_diagnostic(&path, "the chat template is not valid Jinja", &error)
                })?;
        }
        Ok(ChatTemplate {
            environment,
            special_tokens,
            path,
        })
    }

    /// Renders a conversation; `generation` adds the opening of the assistant's turn, `extra` holds template variables
    /// such as `enable_thinking`.
    ///
    /// # Errors
    /// A diagnostic where the template refuses the conversation.
    pub fn render(
        &self,
        messages: &[Message],
        tools: Option<&Value>,
        generation: bool,
        extra: &Map<String, Value>,
    ) -> Result<String> {
        let mut context = self.special_tokens.clone();
        // transformers always passes both, and templates ask whether they are none.
        for name in ["tools", "documents"] {
            context.insert(name.into(), Value::Null);
        }
        context.extend(extra.clone());
        context.insert(
            "messages".into(),
            Value::Array(messages.iter().cloned().map(Value::Object).collect()),
        );
        context.insert("add_generation_prompt".into(), Value::Bool(generation));
        if let Some(tools) = tools {
            context.insert("tools".into(), tools.clone());
        }
        let template = match tools {
            Some(_) => self
                .environment
                .get_template(WITH_TOOLS)
                .or_else(|_| self.environment.get_template(NAME)),
            None => self.environment.get_template(NAME),
        };
        let rendered = template
            .and_then(|template| template.render(Template::from(Serde(&context))))
            .map_err(|error| {
                template_diagnostic(
                    &self.path,
                    "the chat template refuses the conversation",
                    &error,
                )
            })?;
        Ok(rendered)
    }

    /// The template as it is written.
    #[must_use]
    pub fn source(&self) -> String {
        // It was added when this was made.
        let template = self.environment.get_template(NAME);
        template.map_or_else(|_| String::new(), |template| template.source().to_owned())
    }
}

fn template_diagnostic(path: &Path, title: &str, error: &minijinja::Error) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(codes::TOKENIZER, title)
        .at(Place::file(path))
        .note(error.to_string());
    if let Some(line) = error.line() {
        diagnostic = diagnostic.note(format!("line {line} of the template"));
    }
    diagnostic
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(source: &str) -> ChatTemplate {
        let config = json!({ "bos_token": { "content": "<s>" }, "eos_token": "</s>" });
        let tokens = files::special_tokens(Path::new("none"), config.as_object().unwrap());
        ChatTemplate::compile(Sources::of(source), tokens.unwrap()).unwrap()
    }

    fn conversation() -> Vec<Message> {
        json!([{ "role": "system", "content": " be brief " }, { "role": "user", "content": "2 + 2?" }])
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message.as_object().unwrap().clone())
            .collect()
    }

    #[test]
    fn renders_python_methods_special_tokens_and_the_generation_prompt() {
        let template = template(
            "{{ bos_token }}{% for m in messages %}\n    {%- if m['role'] == 'system' %}[{{ m.content.strip() }}]\n    {%- else %}<{{ m.role }}>{{ m['content'] }}{{ eos_token }}\n    {%- endif %}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
        );
        let text = template
            .render(&conversation(), None, true, &Map::new())
            .unwrap();
        assert_eq!(text, "<s>[be brief]<user>2 + 2?</s><assistant>");
    }

    #[test]
    fn a_template_that_raises_is_a_diagnostic_with_its_own_words() {
        let template = template("{{ raise_exception('no system role') }}");
        let error = template
            .render(&conversation(), None, true, &Map::new())
            .unwrap_err();
        let crate::Error::Diagnostics(found) = error else {
            panic!("not a diagnostic")
        };
        assert!(found[0].notes[0].contains("no system role"), "{found:?}");
    }

    #[test]
    fn extra_variables_reach_the_template() {
        let template = template("{% if enable_thinking %}think{% else %}answer{% endif %}");
        let extra = json!({ "enable_thinking": true })
            .as_object()
            .unwrap()
            .clone();
        assert_eq!(template.render(&[], None, false, &extra).unwrap(), "think");
    }

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        template: String,
        messages: Vec<Message>,
        tools: Option<Value>,
        #[serde(default)]
        add_generation_prompt: bool,
        #[serde(default)]
        variables: Map<String, Value>,
        rendered: Option<String>,
    }

    /// `tests/interop/chat_templates.py` writes the cases and what transformers makes of them.
    #[test]
    fn templates_render_as_in_transformers() {
        let mut different = Vec::new();
        for line in include_str!("chat/dialect.jsonl").lines() {
            let case: Case = serde_json::from_str(line).unwrap();
            let ours = ChatTemplate::compile(Sources::of(&case.template), Map::new()).and_then(
                |template| {
                    template.render(
                        &case.messages,
                        case.tools.as_ref(),
                        case.add_generation_prompt,
                        &case.variables,
                    )
                },
            );
            match (&ours, &case.rendered) {
                (Ok(ours), Some(theirs)) if ours == theirs => (),
                (Err(_), None) => (),
                (ours, theirs) => different.push(format!(
                    "{}:\n  ours   {ours:?}\n  theirs {theirs:?}",
                    case.name
                )),
            }
        }
        assert!(
            different.is_empty(),
            "{} differ\n{}",
            different.len(),
            different.join("\n")
        );
    }
}
