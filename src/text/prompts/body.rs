//! What a prompt asks to be continued, out of the keys of its object.

use serde_json::{Map, Value};

use super::entry::{Problem, Refusal, kind, not};
use super::share_gpt::{self, PLACEHOLDER, is_placeholder};
use super::{Message, PromptBody};
use crate::text::tool_calls::parse_arguments;

const SPELLINGS: [&str; 5] = [
    "prompt_token_ids",
    "messages",
    "turns",
    "conversations",
    "prompt",
];

const PROMPT_REPEATS: &str = "`prompt` repeats the first turn, and the turns are read";
const QUESTIONS_ALONE: &str =
    "one question of the user follows another, and each is answered before the next is asked";

/// Reads the one key that names the prompt; `remarks` gets what was read otherwise than it stands.
pub(super) fn body(
    object: &Map<String, Value>,
    remarks: &mut Vec<&'static str>,
) -> Result<PromptBody, Refusal> {
    let mut spellings: Vec<&str> = SPELLINGS
        .into_iter()
        .filter(|key| object.contains_key(*key))
        .collect();
    if let (true, Some(question)) = (spellings.is_empty(), question(object)) {
        return Ok(conversation(object, vec![question_of(question?)]));
    }
    if let [other, "prompt"] = spellings[..]
        && let (Some(first), Value::String(prompt)) =
            (first_turn(&object[other]), &object["prompt"])
        && first.trim() == prompt.trim()
    {
        remarks.push(PROMPT_REPEATS);
        spellings.pop();
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
        return Err(problem.into());
    };
    let value = &object[spelling];
    let body = match spelling {
        "prompt" => match value {
            Value::String(text) => PromptBody::Text(text.clone()),
            other => return Err(not("prompt", other, "a string").into()),
        },
        "prompt_token_ids" => PromptBody::Tokens(tokens(value)?),
        "turns" => PromptBody::Turns(turns(value)?),
        "conversations" => conversation(object, share_gpt::conversations(value, remarks)?),
        _ => {
            let messages = messages(spelling, value)?;
            match questions(&messages) {
                Some(turns) if !object.contains_key("tools") => {
                    remarks.push(QUESTIONS_ALONE);
                    PromptBody::Turns(turns)
                }
                _ => conversation(object, messages),
            }
        }
    };
    if asks(&body).any(is_placeholder) {
        return Err(Refusal::Unusable(PLACEHOLDER.into()));
    }
    Ok(body)
}

/// Makes plain text the question of a user.
pub(super) fn as_chat(body: &mut PromptBody) {
    if let PromptBody::Text(text) = body {
        *body = PromptBody::Messages {
            messages: vec![question_of(std::mem::take(text))],
            tools: None,
        };
    }
}

fn question_of(text: String) -> Message {
    let mut message = Message::new();
    message.insert("role".into(), "user".into());
    message.insert("content".into(), text.into());
    message
}

/// The text of the first turn under one of the other spellings.
fn first_turn(value: &Value) -> Option<&str> {
    let first = value.get(0)?;
    let text = ["content", "value"].iter().find_map(|key| first.get(*key));
    text.unwrap_or(first).as_str()
}

/// What is asked in a body, as far as it is text.
fn asks(body: &PromptBody) -> impl Iterator<Item = &str> {
    let (turns, messages): (&[String], &[Message]) = match body {
        PromptBody::Turns(turns) => (turns, &[]),
        PromptBody::Messages { messages, .. } => (&[], messages),
        PromptBody::Text(text) => (std::slice::from_ref(text), &[]),
        PromptBody::Tokens(_) => (&[], &[]),
    };
    let contents = messages
        .iter()
        .filter_map(|message| message.get("content")?.as_str());
    turns.iter().map(String::as_str).chain(contents)
}

/// The questions of messages that are nothing else and more than one, as SPEED-Bench has them.
fn questions(messages: &[Message]) -> Option<Vec<String>> {
    let question = |message: &Message| {
        let content = message.get("content")?.as_str()?;
        (message["role"] == "user").then(|| content.to_owned())
    };
    let questions = messages.iter().map(question).collect::<Option<Vec<_>>>();
    questions.filter(|questions| questions.len() > 1)
}

/// The question of benchmarks that name its parts instead of a prompt: GSM8K (`question`), Alpaca (`instruction` and
/// `input`), CNN/DailyMail (`article`, to be summarized).
fn question(object: &Map<String, Value>) -> Option<Result<String, Problem>> {
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

fn tokens(value: &Value) -> Result<Vec<u32>, Problem> {
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

fn turns(value: &Value) -> Result<Vec<String>, Problem> {
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

fn messages(key: &str, value: &Value) -> Result<Vec<Message>, Problem> {
    let mut messages = Vec::new();
    for (index, entry) in list(key, value)?.iter().enumerate() {
        let Value::Object(entry) = entry else {
            return Err(Problem::new(format!(
                "`{key}[{index}]` is {}, not an object",
                kind(entry)
            )));
        };
        if !entry.get("role").is_some_and(Value::is_string) {
            return Err(Problem::new(format!("`{key}[{index}]` has no `role`")));
        }
        let mut message = entry.clone();
        parse_arguments(&mut message);
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

fn list<'a>(key: &str, value: &'a Value) -> Result<&'a Vec<Value>, Problem> {
    match value {
        Value::Array(list) if list.is_empty() => Err(Problem::new(format!("`{key}` is empty"))),
        Value::Array(list) => Ok(list),
        other => Err(Problem::new(format!(
            "`{key}` is {}, not a list",
            kind(other)
        ))),
    }
}
