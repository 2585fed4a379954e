//! Prompt files: one JSON object a line, in each of the spellings that the field uses.

use std::path::Path;

use serde_json::{Map, Value};
use speculators_formats::{Diagnostic, Place, codes};

use crate::Result;

/// One message of a conversation, as the chat template sees it: `role`, `content` and whatever else it carries.
pub type Message = Map<String, Value>;

/// What a line asks to be continued.
#[derive(Clone, Debug, PartialEq)]
pub enum PromptBody {
    /// `prompt`: text, continued as it stands.
    Text(String),
    /// `messages`, or ShareGPT `conversations`: a conversation up to the assistant's next turn.
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
    /// `id` or `question_id`, else the line number.
    pub id: String,
    /// `category`, where given.
    pub category: Option<String>,
    /// What is to be continued.
    pub body: PromptBody,
    /// `chat_template_kwargs`: variables for the chat template.
    pub template_variables: Map<String, Value>,
}

/// Reads a prompt file; blank lines are skipped, at most `limit` prompts are taken.
///
/// # Errors
/// A diagnostic for each malformed line, and one for a file that cannot be read or holds no prompt.
pub fn read_prompts(path: &Path, limit: Option<usize>) -> Result<Vec<Prompt>> {
    let text = fs_err::read_to_string(path).map_err(|error| {
        Diagnostic::error(codes::FILE_MISSING, "the prompts file cannot be read")
            .at(Place::file(path))
            .note(error.to_string())
    })?;
    parse_prompts(path, &text, limit)
}

/// Parses the text of a prompt file; `path` is only named in diagnostics.
///
/// # Errors
/// As [`read_prompts`].
pub fn parse_prompts(path: &Path, text: &str, limit: Option<usize>) -> Result<Vec<Prompt>> {
    let mut prompts = Vec::new();
    let mut found = Vec::new();
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        if limit.is_some_and(|limit| prompts.len() == limit) {
            break;
        }
        match parse_line(line, index + 1) {
            Ok(prompt) => prompts.push(prompt),
            Err(problem) => found.push(problem.diagnostic(path, index + 1)),
        }
    }
    if !found.is_empty() {
        return Err(found.into());
    }
    if prompts.is_empty() {
        return Err(
            Diagnostic::error(codes::PROMPTS_EMPTY, "the prompts file holds no prompt")
                .at(Place::file(path))
                .help(
                    "put one JSON object on each line, such as {\"prompt\": \"Once upon a time\"}",
                )
                .into(),
        );
    }
    Ok(prompts)
}

/// Why a line is refused.
struct Problem {
    column: usize,
    title: String,
    note: Option<String>,
}

impl Problem {
    fn new(title: impl Into<String>) -> Problem {
        Problem {
            column: 1,
            title: title.into(),
            note: None,
        }
    }

    fn diagnostic(self, path: &Path, line: usize) -> Diagnostic {
        let diagnostic = Diagnostic::error(codes::PROMPT_MALFORMED, self.title).at(Place::text(
            path,
            line,
            self.column,
        ));
        match self.note {
            Some(note) => diagnostic.note(note),
            None => diagnostic,
        }
    }
}

fn parse_line(line: &str, number: usize) -> std::result::Result<Prompt, Problem> {
    let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| Problem {
        column: error.column().max(1),
        title: "the line is not a JSON object".into(),
        note: Some(error.to_string()),
    })?;
    let id = match object.get("id").or_else(|| object.get("question_id")) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        None | Some(Value::Null) => number.to_string(),
        Some(other) => {
            return Err(Problem::new(format!(
                "`id` is {}, not a string or a number",
                kind(other)
            )));
        }
    };
    let category = match object.get("category") {
        Some(Value::String(category)) => Some(category.clone()),
        None | Some(Value::Null) => None,
        Some(other) => {
            return Err(Problem::new(format!(
                "`category` is {}, not a string",
                kind(other)
            )));
        }
    };
    let template_variables = match object.get("chat_template_kwargs") {
        Some(Value::Object(variables)) => variables.clone(),
        None | Some(Value::Null) => Map::new(),
        Some(other) => {
            return Err(Problem::new(format!(
                "`chat_template_kwargs` is {}, not an object",
                kind(other)
            )));
        }
    };
    Ok(Prompt {
        id,
        category,
        body: body(&object)?,
        template_variables,
    })
}

const SPELLINGS: [&str; 5] = [
    "prompt_token_ids",
    "messages",
    "turns",
    "conversations",
    "prompt",
];

fn body(object: &Map<String, Value>) -> std::result::Result<PromptBody, Problem> {
    let spellings: Vec<&str> = SPELLINGS
        .into_iter()
        .filter(|key| object.contains_key(*key))
        .collect();
    let [spelling] = spellings[..] else {
        let mut problem = Problem::new(match spellings.len() {
            0 => "the line names no prompt".to_owned(),
            count => format!(
                "the line names {count} prompts: `{}`",
                spellings.join("`, `")
            ),
        });
        problem.note = Some(format!(
            "exactly one of `{}` is expected",
            SPELLINGS.join("`, `")
        ));
        return Err(problem);
    };
    let value = &object[spelling];
    match spelling {
        "prompt" => match value {
            Value::String(text) => Ok(PromptBody::Text(text.clone())),
            other => Err(Problem::new(format!(
                "`prompt` is {}, not a string",
                kind(other)
            ))),
        },
        "prompt_token_ids" => tokens(value).map(PromptBody::Tokens),
        "turns" => turns(value).map(PromptBody::Turns),
        "conversations" => {
            messages(spelling, value, share_gpt).map(|messages| conversation(object, messages))
        }
        _ => messages(spelling, value, |_, message| Ok(message.clone()))
            .map(|messages| conversation(object, messages)),
    }
}

fn conversation(object: &Map<String, Value>, messages: Vec<Message>) -> PromptBody {
    PromptBody::Messages {
        messages,
        tools: object
            .get("tools")
            .filter(|tools| !tools.is_null())
            .cloned(),
    }
}

fn tokens(value: &Value) -> std::result::Result<Vec<u32>, Problem> {
    let list = list("prompt_token_ids", value)?;
    list.iter()
        .enumerate()
        .map(|(index, id)| {
            id.as_u64()
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| {
                    Problem::new(format!(
                        "`prompt_token_ids[{index}]` is {id}, not a token id"
                    ))
                })
        })
        .collect()
}

fn turns(value: &Value) -> std::result::Result<Vec<String>, Problem> {
    list("turns", value)?
        .iter()
        .enumerate()
        .map(|(index, turn)| match turn {
            Value::String(text) => Ok(text.clone()),
            other => Err(Problem::new(format!(
                "`turns[{index}]` is {}, not a string",
                kind(other)
            ))),
        })
        .collect()
}

fn messages(
    key: &str,
    value: &Value,
    read: impl Fn(usize, &Message) -> std::result::Result<Message, Problem>,
) -> std::result::Result<Vec<Message>, Problem> {
    let mut messages = Vec::new();
    for (index, entry) in list(key, value)?.iter().enumerate() {
        let Value::Object(entry) = entry else {
            return Err(Problem::new(format!(
                "`{key}[{index}]` is {}, not an object",
                kind(entry)
            )));
        };
        let message = read(index, entry)?;
        if !message.get("role").is_some_and(Value::is_string) {
            return Err(Problem::new(format!("`{key}[{index}]` has no `role`")));
        }
        messages.push(message);
    }
    while messages
        .last()
        .is_some_and(|message| message["role"] == "assistant")
    {
        messages.pop();
    }
    if messages.is_empty() {
        return Err(Problem::new(format!(
            "`{key}` holds nothing but assistant turns"
        )));
    }
    Ok(messages)
}

/// `{"from": "human", "value": …}` as `{"role": "user", "content": …}`.
fn share_gpt(index: usize, entry: &Message) -> std::result::Result<Message, Problem> {
    let role = entry
        .get("from")
        .or_else(|| entry.get("role"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let role = match role {
        "human" | "user" => "user",
        "gpt" | "assistant" | "bot" | "model" => "assistant",
        "system" => "system",
        "tool" | "observation" => "tool",
        other => {
            return Err(Problem::new(format!(
                "`conversations[{index}]` comes from `{other}`, which is no known role"
            )));
        }
    };
    let content = entry
        .get("value")
        .or_else(|| entry.get("content"))
        .ok_or_else(|| Problem::new(format!("`conversations[{index}]` has no `value`")))?;
    let mut message = Message::new();
    message.insert("role".into(), role.into());
    message.insert("content".into(), content.clone());
    Ok(message)
}

fn list<'a>(key: &str, value: &'a Value) -> std::result::Result<&'a Vec<Value>, Problem> {
    match value {
        Value::Array(list) if list.is_empty() => Err(Problem::new(format!("`{key}` is empty"))),
        Value::Array(list) => Ok(list),
        other => Err(Problem::new(format!(
            "`{key}` is {}, not a list",
            kind(other)
        ))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Prompt>> {
        parse_prompts(Path::new("prompts.jsonl"), text, None)
    }

    fn findings(text: &str) -> Vec<Diagnostic> {
        match parse(text) {
            Err(crate::Error::Diagnostics(found)) => found,
            other => panic!("expected diagnostics, found {other:?}"),
        }
    }

    #[test]
    fn every_spelling_is_read() {
        let prompts = parse(concat!(
            "{\"id\": \"a\", \"category\": \"qa\", \"prompt\": \"hello\"}\n\n",
            "{\"question_id\": 81, \"turns\": [\"one\", \"two\"]}\n",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"cut\"}]}\n",
            "{\"conversations\": [{\"from\": \"human\", \"value\": \"hi\"}, {\"from\": \"gpt\", \"value\": \"cut\"}]}\n",
            "{\"prompt_token_ids\": [1, 2, 3]}\n",
        ))
        .unwrap();
        let ids: Vec<&str> = prompts.iter().map(|prompt| prompt.id.as_str()).collect();
        assert_eq!(ids, ["a", "81", "4", "5", "6"]);
        assert_eq!(prompts[0].category.as_deref(), Some("qa"));
        assert_eq!(
            prompts[1].body,
            PromptBody::Turns(vec!["one".into(), "two".into()])
        );
        assert_eq!(prompts[2].body, prompts[3].body);
        assert_eq!(prompts[4].body, PromptBody::Tokens(vec![1, 2, 3]));
    }

    #[test]
    fn a_broken_line_is_named_with_line_and_column() {
        let mut text = "{\"prompt\": \"x\"}\n".repeat(16);
        text.push_str("{\"prompt\": \"x\"\n");
        let found = findings(&text);
        assert_eq!(found.len(), 1);
        let place = found[0].place.as_ref().unwrap();
        assert_eq!((place.line, place.column), (Some(17), Some(14)));
    }

    #[test]
    fn all_broken_lines_are_reported_at_once() {
        let found = findings("{\"prompt\": 1}\n{}\n{\"prompt\": \"a\", \"turns\": [\"b\"]}\n[1]\n");
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn a_file_without_prompts_is_an_error() {
        assert_eq!(findings("\n  \n")[0].code, codes::PROMPTS_EMPTY);
    }

    #[test]
    fn the_limit_stops_before_later_lines_are_looked_at() {
        let prompts =
            parse_prompts(Path::new("p"), "{\"prompt\": \"x\"}\nbroken\n", Some(1)).unwrap();
        assert_eq!(prompts.len(), 1);
    }
}
