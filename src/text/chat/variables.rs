//! Variables that a user sets for a chat template, such as those that switch thinking on and off.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use speculators_formats::{Diagnostic, Place, codes};

use super::{ChatTemplate, NAME, WITH_TOOLS};
use crate::Result;

/// What families call the switch: Qwen 3, GLM, SmolLM and most others the first, DeepSeek and Granite the second.
const THINKING: [&str; 2] = ["enable_thinking", "thinking"];
/// What the template gets from the conversation, and nobody sets.
const CONVERSATION: [&str; 3] = ["messages", "tools", "add_generation_prompt"];
/// Names that mean something inside of loops, macros and calls.
const INNER: [&str; 5] = ["loop", "caller", "varargs", "kwargs", "self"];

/// Variables for a chat template, as somebody wants them.
#[derive(Clone, Debug, Default)]
pub struct TemplateVariables {
    /// By name: vLLM's `chat_template_kwargs`.
    pub given: Map<String, Value>,
    /// Whether the model is to think before it answers, by whichever name its template has for that.
    pub thinking: Option<bool>,
}

impl TemplateVariables {
    /// Whether anything is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.given.is_empty() && self.thinking.is_none()
    }

    /// What to hand to a template, and remarks about variables it does not read.
    ///
    /// # Errors
    /// A diagnostic where thinking is to be switched and the template has no switch, where both ways to set it disagree, or
    /// where what is set is the conversation itself.
    pub fn resolve(
        &self,
        template: &ChatTemplate,
    ) -> Result<(Map<String, Value>, Vec<Diagnostic>)> {
        let read = template.variables();
        let problem = |title: String| {
            Diagnostic::error(codes::TEMPLATE_VARIABLE, title)
                .at(Place::file(&template.path))
                .note(reads(&read))
        };
        if let Some(name) = CONVERSATION
            .iter()
            .find(|name| self.given.contains_key(**name))
        {
            let title =
                format!("`{name}` comes from the prompt, and cannot be set for all of them");
            return Err(problem(title).into());
        }
        let mut variables = self.given.clone();
        if let Some(thinking) = self.thinking {
            let names: Vec<&str> = THINKING
                .into_iter()
                .filter(|name| read.contains(*name))
                .collect();
            if names.is_empty() {
                let [one, other] = THINKING;
                let title = format!(
                    "the chat template reads neither `{one}` nor `{other}`, so that thinking cannot be switched"
                );
                return Err(problem(title).into());
            }
            for name in names {
                let before = variables.insert(name.to_owned(), thinking.into());
                if let Some(before) = before.filter(|before| *before != thinking) {
                    let title = format!(
                        "`{name}` is set twice, to {before} and by the switch for thinking to {thinking}"
                    );
                    return Err(problem(title).into());
                }
            }
        }
        let unread = variables.keys().filter(|name| !read.contains(*name));
        let remarks = unread.map(|name| {
            let title = format!(
                "the chat template does not read `{name}`, so that setting it changes nothing"
            );
            Diagnostic::warning(codes::TEMPLATE_VARIABLE, title)
                .at(Place::file(&template.path))
                .note(reads(&read))
        });
        let remarks = remarks.collect();
        Ok((variables, remarks))
    }
}

fn reads(names: &BTreeSet<String>) -> String {
    let names: Vec<String> = names
        .iter()
        .filter(|name| !CONVERSATION.contains(&name.as_str()))
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len() {
        0 => "it reads no variable but the conversation".to_owned(),
        _ => format!("it reads {}", names.join(", ")),
    }
}

impl ChatTemplate {
    /// Names the template looks up and does not first set itself; functions of the dialect are not among them.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<String> {
        let known: BTreeSet<&str> = self.environment.globals().map(|(name, _)| name).collect();
        [NAME, WITH_TOOLS]
            .into_iter()
            .filter_map(|name| self.environment.get_template(name).ok())
            .flat_map(|template| {
                let mut names = template.undeclared_variables(false);
                names.extend(set_from_themselves(template.source()));
                names
            })
            .filter(|name| !known.contains(name.as_str()) && !INNER.contains(&name.as_str()))
            .collect()
    }
}

/// Names as in `{% set thinking = thinking if thinking is defined else true %}`, which the library takes for the template's own.
fn set_from_themselves(source: &str) -> Vec<String> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let statement = |tag: &str| {
        let (inner, _) = tag.split_once("%}")?;
        let inner = inner.trim_start_matches(['-', '+']).trim_start();
        let (name, value) = inner.strip_prefix("set ")?.split_once('=')?;
        let name = name.trim();
        let reads = value
            .split(|character| !is_word(character))
            .any(|word| word == name);
        (reads && name.chars().all(is_word)).then(|| name.to_owned())
    };
    source.split("{%").skip(1).filter_map(statement).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::files::Sources;
    use super::*;

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::compile(Sources::of(source), Map::new()).unwrap()
    }

    fn resolve(
        source: &str,
        given: Value,
        thinking: Option<bool>,
    ) -> std::result::Result<(Value, usize), String> {
        let given = given.as_object().unwrap().clone();
        match (TemplateVariables { given, thinking }).resolve(&template(source)) {
            Ok((variables, remarks)) => Ok((variables.into(), remarks.len())),
            Err(crate::Error::Diagnostics(found)) => Err(found[0].title.clone()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn variables_are_those_a_template_looks_up() {
        let source = "{% set ns = namespace(x=1) %}{% if not thinking is defined %}{% set thinking = false %}{% endif %}\
            {% macro m(a) %}{{ a }}{{ deep.part }}{{ caller() }}{% endmacro %}{% for m in messages %}{{ loop.index }}{{ bos_token }}{% endfor %}\
            {% set level = level | default('x') %}{{ raise_exception(strftime_now('%d')) if range(2) }}";
        let names: Vec<String> = template(source).variables().into_iter().collect();
        assert_eq!(
            names,
            ["bos_token", "deep", "level", "messages", "thinking"]
        );
    }

    #[test]
    fn thinking_is_switched_by_the_name_the_template_has_for_it() {
        let qwen = "{% if enable_thinking is defined and enable_thinking is false %}x{% endif %}";
        let deepseek = "{% if thinking %}x{% endif %}";
        let both = format!("{qwen}{deepseek}");
        assert_eq!(
            resolve(qwen, json!({}), Some(false)),
            Ok((json!({ "enable_thinking": false }), 0))
        );
        assert_eq!(
            resolve(deepseek, json!({ "a": 1 }), Some(true)),
            Ok((json!({ "a": 1, "thinking": true }), 1))
        );
        assert_eq!(
            resolve(&both, json!({ "thinking": true }), Some(true)),
            Ok((json!({ "thinking": true, "enable_thinking": true }), 0))
        );
        assert!(
            resolve("{{ messages }}", json!({}), Some(true))
                .unwrap_err()
                .contains("neither")
        );
        assert!(
            resolve(qwen, json!({ "enable_thinking": true }), Some(false))
                .unwrap_err()
                .contains("set twice")
        );
    }

    #[test]
    fn the_conversation_is_not_to_be_set() {
        let refused = resolve("{{ messages }}", json!({ "messages": [] }), None);
        assert!(
            refused
                .unwrap_err()
                .starts_with("`messages` comes from the prompt")
        );
    }
}
