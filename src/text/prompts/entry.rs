//! One entry of a prompt file: its id, its category, its variables, and why it may be refused.

use serde_json::{Map, Value};
use speculators_formats::{Diagnostic, codes};

use super::Prompt;
use super::body::body;

/// Why an entry gives no prompt.
pub(super) enum Refusal {
    /// It is written wrong, and the file is refused.
    Malformed(Problem),
    /// Published files have such entries: it is left out, for this reason.
    Unusable(String),
}

/// What is wrong with an entry.
pub(super) struct Problem {
    pub(super) title: String,
    pub(super) note: Option<String>,
}

impl Problem {
    pub(super) fn new(title: impl Into<String>) -> Problem {
        Problem {
            title: title.into(),
            note: None,
        }
    }

    pub(super) fn diagnostic(self) -> Diagnostic {
        let diagnostic = Diagnostic::error(codes::PROMPT_MALFORMED, self.title);
        match self.note {
            Some(note) => diagnostic.note(note),
            None => diagnostic,
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal::Malformed(problem)
    }
}

/// Reads one object; `remarks` gets what was read otherwise than it stands.
pub(super) fn read_object(
    object: &Map<String, Value>,
    number: usize,
    remarks: &mut Vec<&'static str>,
) -> Result<Prompt, Refusal> {
    let id = ["id", "question_id", "task_id"];
    let id = match id.iter().find_map(|key| object.get(*key)) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        None | Some(Value::Null) => number.to_string(),
        Some(other) => {
            return Err(not("id", other, "a string or a number").into());
        }
    };
    let category = match object.get("category") {
        Some(Value::String(category)) => Some(category.clone()),
        None | Some(Value::Null) => None,
        Some(other) => return Err(not("category", other, "a string").into()),
    };
    let template_variables = match object.get("chat_template_kwargs") {
        Some(Value::Object(variables)) => variables.clone(),
        None | Some(Value::Null) => Map::new(),
        Some(other) => return Err(not("chat_template_kwargs", other, "an object").into()),
    };
    Ok(Prompt {
        id,
        category,
        body: body(object, remarks)?,
        template_variables,
    })
}

/// That a key holds another kind of value than it should.
pub(super) fn not(key: &str, value: &Value, expected: &str) -> Problem {
    Problem::new(format!("`{key}` is {}, not {expected}", kind(value)))
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
