//! What a prompt asks to be continued, out of the keys of its object.

use std::path::Path;

use serde_json::{Map, Value};
use speculators_formats::{Diagnostic, Place, codes};

use super::{Message, PromptBody};

/// Why a line is refused.
pub(super) struct Problem {
    pub(super) column: usize,
    pub(super) title: String,
    pub(super) note: Option<String>,
}

impl Problem {
    pub(super) fn new(title: impl Into<String>) -> Problem {
        Problem {
            column: 1,
            title: title.into(),
            note: None,
        }
    }

    pub(super) fn diagnostic(self, path: &Path, line: usize) -> Diagnostic {
        let place = Place::text(path, line, self.column);
        self.at(place)
    }

    pub(super) fn in_file(self, path: &Path) -> Diagnostic {
        self.at(Place::file(path))
    }

    fn at(self, place: Place) -> Diagnostic {
        let diagnostic = Diagnostic::error(codes::PROMPT_MALFORMED, self.title).at(place);
        match self.note {
            Some(note) => diagnostic.note(note),
            None => diagnostic,
        }
    }
}

const SPELLINGS: [&str; 5] = [
    "prompt_token_ids",
    "messages",
    "turns",
    "conversations",
    "prompt",
];

/// Reads the one key that names the prompt.
pub(super) fn body(object: &Map<String, Value>) -> std::result::Result<PromptBody, Problem> {
    let spellings: Vec<&str> = SPELLINGS
        .into_iter()
        .filter(|key| object.contains_key(*key))
        .collect();
    if let (true, Some(question)) = (spellings.is_empty(), question(object)) {
        return question.map(|question| {
            let mut message = Message::new();
            message.insert("role".into(), "user".into());
            message.insert("content".into(), question.into());
            conversation(object, vec![message])
        });
    }
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

/// The question of benchmarks that name its parts instead of a prompt: GSM8K (`question`), Alpaca (`instruction` and
/// `input`), CNN/DailyMail (`article`, to be summarized).
fn question(object: &Map<String, Value>) -> Option<std::result::Result<String, Problem>> {
    let text = |key: &str| {
        object.get(key).map(|value| match value {
            Value::String(text) => Ok(text.as_str()),
            other => Err(Problem::new(format!(
                "`{key}` is {}, not a string",
                kind(other)
            ))),
        })
    };
    if let Some(instruction) = text("instruction") {
        let input = text("input").unwrap_or(Ok(""));
        return Some(instruction.and_then(|instruction| {
            Ok(match input? {
                "" => instruction.to_owned(),
                input => format!("{instruction}\n\n{input}"),
            })
        }));
    }
    let article = text("article");
    let article = article.map(|article| article.map(|article| format!("Summarize:\n{article}")));
    let question = text("question").map(|question| question.map(str::to_owned));
    question.or(article)
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

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
