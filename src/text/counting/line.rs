//! One line of data: text, a conversation or token ids.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use speculators_formats::codes::{self, Code};
use speculators_formats::{Diagnostic, Place};

use crate::text::{Message, tool_calls};

/// What is to be counted of a line.
#[derive(Debug)]
pub(super) enum Body {
    Text(String),
    Conversation(Conversation),
    /// Token ids, and whether each is counted.
    Tokens {
        ids: Vec<u32>,
        mask: Option<Vec<bool>>,
    },
}

/// A conversation as the chat template gets it.
#[derive(Debug)]
pub(super) struct Conversation {
    pub messages: Vec<Message>,
    pub tools: Option<Value>,
    /// `chat_template_kwargs`.
    pub variables: Map<String, Value>,
    /// Turns of a role that is not known.
    pub unknown_roles: u64,
}

/// Why a line cannot be used.
#[derive(Debug)]
pub(super) struct Problem {
    pub code: Code,
    /// Counted from 1.
    pub column: usize,
    pub title: String,
    pub notes: Vec<String>,
}

impl Problem {
    pub fn new(title: impl Into<String>) -> Problem {
        Problem {
            code: codes::DATA_MALFORMED,
            column: 1,
            title: title.into(),
            notes: Vec::new(),
        }
    }

    pub fn diagnostic(self, place: Place) -> Diagnostic {
        let found = Diagnostic::error(self.code, self.title).at(place);
        self.notes.into_iter().fold(found, Diagnostic::note)
    }
}

/// The keys that are looked at. What stands under them stays text until it is known which of them counts.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    input_ids: Option<&'a RawValue>,
    loss_mask: Option<&'a RawValue>,
    text: Option<&'a RawValue>,
    messages: Option<&'a RawValue>,
    conversations: Option<&'a RawValue>,
    tools: Option<&'a RawValue>,
    chat_template_kwargs: Option<&'a RawValue>,
}

/// Parses a line.
pub(super) fn parse(line: &[u8]) -> Result<Body, Problem> {
    let text = std::str::from_utf8(line).map_err(|error| Problem {
        column: error.valid_up_to() + 1,
        ..Problem::new("the line is not UTF-8")
    })?;
    let keys: Keys<'_> = serde_json::from_str(text).map_err(|error| Problem {
        column: error.column().max(1),
        notes: vec![error.to_string()],
        ..Problem::new("the line is not a JSON object")
    })?;
    // Before all others, as in the Python package: what it writes itself has the text beside the ids.
    if let Some(ids) = keys.input_ids {
        return tokens(text, ids, keys.loss_mask);
    }
    if keys.loss_mask.is_some() {
        return Err(Problem::new(
            "the line has a `loss_mask`, but no `input_ids`",
        ));
    }
    match (keys.text, keys.messages, keys.conversations) {
        (Some(value), None, None) => Ok(Body::Text(read(text, "text", value)?)),
        (None, Some(value), None) => {
            let messages: Vec<Message> = read(text, "messages", value)?;
            conversation(text, &keys, "messages", messages)
        }
        (None, None, Some(value)) => {
            let turns: Vec<Message> = read(text, "conversations", value)?;
            conversation(text, &keys, "conversations", turns)
        }
        (None, None, None) => Err(Problem {
            notes: vec![WANTED.to_owned()],
            ..Problem::new("the line has nothing to count")
        }),
        _ => Err(Problem {
            notes: vec![WANTED.to_owned()],
            ..Problem::new("the line says twice what is to be counted")
        }),
    }
}

const WANTED: &str =
    "exactly one of `text`, `messages`, `conversations` and `input_ids` is expected";

fn tokens(line: &str, ids: &RawValue, mask: Option<&RawValue>) -> Result<Body, Problem> {
    let ids: Vec<u32> = read(line, "input_ids", ids)?;
    let mask: Option<Vec<Mask>> = match mask {
        Some(mask) => Some(read(line, "loss_mask", mask)?),
        None => None,
    };
    if let Some(mask) = mask.as_ref().filter(|mask| mask.len() != ids.len()) {
        return Err(Problem::new(format!(
            "`loss_mask` has {} entries for {} `input_ids`",
            mask.len(),
            ids.len()
        )));
    }
    let mask = mask.map(|mask| mask.into_iter().map(|Mask(counted)| counted).collect());
    Ok(Body::Tokens { ids, mask })
}

/// What stands under a key, with the column where it is something else.
fn read<'a, T: Deserialize<'a>>(line: &str, key: &str, value: &'a RawValue) -> Result<T, Problem> {
    serde_json::from_str(value.get()).map_err(|error| {
        let begin = value.get().as_ptr().addr() - line.as_ptr().addr();
        Problem {
            column: begin + error.column().max(1),
            notes: vec![reason(&error)],
            ..Problem::new(format!("`{key}` is not what it should be"))
        }
    })
}

/// The message of an error without the position, which would be that within a value.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// Whether a token is counted: 0, 1, false or true.
struct Mask(bool);

impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mask, D::Error> {
        struct Bit;
        impl Visitor<'_> for Bit {
            type Value = Mask;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("0 or 1")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Mask, E> {
                Ok(Mask(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Mask, E> {
                match value {
                    0 | 1 => Ok(Mask(value == 1)),
                    other => Err(E::custom(format!("{other} is neither 0 nor 1"))),
                }
            }
        }
        deserializer.deserialize_any(Bit).map_err(D::Error::custom)
    }
}

/// The conversation under `key`, with roles and contents in the one spelling that templates know.
fn conversation(
    line: &str,
    keys: &Keys<'_>,
    key: &str,
    turns: Vec<Message>,
) -> Result<Body, Problem> {
    let mut unknown_roles = 0;
    let mut messages = Vec::with_capacity(turns.len());
    for (index, turn) in turns.into_iter().enumerate() {
        let mut message = if key == "conversations" {
            let (message, known) = share_gpt(turn);
            unknown_roles += u64::from(!known);
            message
        } else {
            turn
        };
        if !message.get("role").is_some_and(Value::is_string) {
            return Err(Problem::new(format!("`{key}[{index}]` has no `role`")));
        }
        // Parts of text among pictures: what a template makes of a list, not every template knows.
        if !matches!(
            message.get("content"),
            None | Some(Value::Null | Value::String(_))
        ) {
            return Err(Problem::new(format!(
                "the content of `{key}[{index}]` is not text"
            )));
        }
        tool_calls::parse_arguments(&mut message);
        messages.push(message);
    }
    if messages.is_empty() {
        return Err(Problem::new(format!("`{key}` is empty")));
    }
    let tools: Option<Value> = match keys.tools {
        Some(tools) => Some(read(line, "tools", tools)?),
        None => None,
    };
    // Data sets that have to have one type in a column keep the list as text.
    let tools = match tools {
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => {
            Some(serde_json::from_str(&text).map_err(|error| Problem {
                notes: vec![error.to_string()],
                ..Problem::new("`tools` is text, but not that of a list")
            })?)
        }
        other => other,
    };
    let variables = match keys.chat_template_kwargs {
        Some(variables) => read(line, "chat_template_kwargs", variables)?,
        None => Map::new(),
    };
    Ok(Body::Conversation(Conversation {
        messages,
        tools,
        variables,
        unknown_roles,
    }))
}

/// `{"from": "human", "value": …}` as `{"role": "user", "content": …}`, and whether the role is one that is known.
fn share_gpt(mut turn: Message) -> (Message, bool) {
    let role = turn.get("from").or_else(|| turn.get("role"));
    let role = role.and_then(Value::as_str).unwrap_or_default();
    let (role, known) = match role {
        "human" | "user" => ("user", true),
        "gpt" | "assistant" => ("assistant", true),
        "system" => ("system", true),
        "tool" => ("tool", true),
        _ => ("assistant", false),
    };
    let filled = |value: &Value| !matches!(value, Value::Null) && value != "";
    let mut message = Message::new();
    message.insert("role".into(), role.into());
    let mut take = |key: &str| turn.remove(key).filter(filled);
    let content = take("value").or_else(|| take("content"));
    message.insert("content".into(), content.unwrap_or_else(|| "".into()));
    for key in ["tool_calls", "tool_call_id"] {
        if let Some(value) = take(key) {
            message.insert(key.into(), value);
        }
    }
    // Templates look for reasoning under either name.
    if let Some(thinking) = take("thinking").or_else(|| take("reasoning_content")) {
        message.insert("thinking".into(), thinking.clone());
        message.insert("reasoning_content".into(), thinking);
    }
    (message, known)
}
