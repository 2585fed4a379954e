//! Conversations as they are published: with entries that nobody asks anything in, and with texts that are to be fetched
//! elsewhere.

use serde_json::Value;

use super::Message;
use super::entry::{Refusal, not};

/// Why an entry of SPEED-Bench is left out whose text its makers may not publish.
pub(super) const PLACEHOLDER: &str = "SPEED-Bench's text is to be fetched from its source";

/// How the text of such an entry begins.
const PLACEHOLDER_TEXT: &str = "FULL BENCHMARK DATA SHOULD BE FETCHED FROM THE SOURCE";

const BEGINS_WITH_ASSISTANT: &str = "the turns of the assistant before anybody asked are left out";

/// Whether a turn is what SPEED-Bench has in place of a text.
pub(super) fn is_placeholder(text: &str) -> bool {
    text.starts_with(PLACEHOLDER_TEXT)
}

/// ShareGPT's `conversations` as messages: from the first turn that is not the assistant's to the last that asks.
///
/// Parts of long conversations begin with the assistant, and templates refuse what does: those turns are left out, which
/// `remarks` tells.
pub(super) fn conversations(
    value: &Value,
    remarks: &mut Vec<&'static str>,
) -> Result<Vec<Message>, Refusal> {
    let Value::Array(list) = value else {
        return Err(not("conversations", value, "a list").into());
    };
    if list.is_empty() {
        return Err(Refusal::Unusable("`conversations` is empty".into()));
    }
    let mut messages = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let Value::Object(entry) = entry else {
            return Err(not(&format!("conversations[{index}]"), entry, "an object").into());
        };
        messages.push(message(entry)?);
    }
    let asks = |message: &Message| message["role"] == "user" || message["role"] == "tool";
    let end = messages.iter().rposition(asks).map_or(0, |last| last + 1);
    messages.truncate(end);
    if !messages
        .last()
        .is_some_and(|message| has_text(&message["content"]))
    {
        return Err(Refusal::Unusable("no turn of a human to answer".into()));
    }
    let begins = messages
        .iter()
        .position(|message| message["role"] != "assistant")
        .unwrap_or_default();
    if begins > 0 {
        remarks.push(BEGINS_WITH_ASSISTANT);
        messages.drain(..begins);
    }
    Ok(messages)
}

/// `{"from": "human", "value": …}` as `{"role": "user", "content": …}`.
fn message(entry: &Message) -> Result<Message, Refusal> {
    let text = |keys: [&str; 2]| keys.iter().find_map(|key| entry.get(*key));
    let role = text(["from", "role"])
        .and_then(Value::as_str)
        .unwrap_or_default();
    let role = match role {
        "human" | "user" => "user",
        "gpt" | "assistant" | "bot" | "model" | "chatgpt" | "bing" | "bard" => "assistant",
        "system" => "system",
        "tool" | "observation" => "tool",
        other => {
            return Err(Refusal::Unusable(format!(
                "a turn comes from `{other}`, which is no known role"
            )));
        }
    };
    let content = text(["value", "content"]).cloned().unwrap_or_default();
    let mut message = Message::new();
    message.insert("role".into(), role.into());
    message.insert("content".into(), content);
    Ok(message)
}

fn has_text(content: &Value) -> bool {
    match content {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(parts) => !parts.is_empty(),
        _ => false,
    }
}
