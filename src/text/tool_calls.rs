//! Calls of tools in messages, on their way from how an API spells them to how templates read them.

use serde_json::{Map, Value};

use super::Message;

/// Arguments of tool calls are text in the API, but templates expect the object in it, which servers parse for them.
pub(super) fn parse_arguments(message: &mut Message) {
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten() {
        let Some(arguments) = call.pointer_mut("/function/arguments") else {
            continue;
        };
        let parsed = arguments.as_str().map(serde_json::from_str::<Map<_, _>>);
        if let Some(Ok(parsed)) = parsed {
            *arguments = Value::Object(parsed);
        }
    }
}
