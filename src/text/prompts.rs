//! Prompt files: one JSON object a line, or a JSON list of objects, in each of the spellings that the field uses and as
//! its benchmarks are published.

use std::path::Path;

use serde_json::{Map, Value};
use speculators_formats::{Diagnostic, Place, codes};

use crate::Result;

mod body;

use body::{Problem, body, kind};

/// One message of a conversation, as the chat template sees it: `role`, `content` and whatever else it carries.
pub type Message = Map<String, Value>;

/// What a line asks to be continued.
#[derive(Clone, Debug, PartialEq)]
pub enum PromptBody {
    /// `prompt`: text, continued as it stands.
    Text(String),
    /// `messages`, or ShareGPT `conversations`: a conversation up to the assistant's next turn. Also the one question
    /// of a GSM8K, Alpaca or CNN/DailyMail entry.
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
    /// `id`, `question_id` or `task_id`, else the line number, or in a list the entry's.
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
    let (prompts, found) = if text.trim_start().starts_with('[') && !is_lines(text) {
        parse_list(path, text, limit)?
    } else {
        parse_lines(path, text, limit)
    };
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

type Parsed = (Vec<Prompt>, Vec<Diagnostic>);

fn parse_lines(path: &Path, text: &str, limit: Option<usize>) -> Parsed {
    let (mut prompts, mut found) = Parsed::default();
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
    (prompts, found)
}

/// ShareGPT and Alpaca are published as one JSON list.
fn parse_list(path: &Path, text: &str, limit: Option<usize>) -> Result<Parsed> {
    let entries: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(|error| {
        Diagnostic::error(
            codes::PROMPT_MALFORMED,
            "the file is not a JSON list of objects",
        )
        .at(Place::text(path, error.line(), error.column().max(1)))
        .note(error.to_string())
    })?;
    let (mut prompts, mut found) = Parsed::default();
    for (index, entry) in entries.iter().take(limit.unwrap_or(usize::MAX)).enumerate() {
        match parse_object(entry, index + 1) {
            Ok(prompt) => prompts.push(prompt),
            Err(problem) => {
                let place = format!("in entry {} of {}", index + 1, entries.len());
                found.push(problem.in_file(path).note(place));
            }
        }
    }
    Ok((prompts, found))
}

/// A line that is a whole JSON value tells lines from a list that is spread over them.
fn is_lines(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    match (lines.next(), lines.next()) {
        (Some(first), Some(_)) => serde_json::from_str::<Value>(first).is_ok(),
        _ => false,
    }
}

fn parse_line(line: &str, number: usize) -> std::result::Result<Prompt, Problem> {
    let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| Problem {
        column: error.column().max(1),
        title: "the line is not a JSON object".into(),
        note: Some(error.to_string()),
    })?;
    parse_object(&object, number)
}

fn parse_object(
    object: &Map<String, Value>,
    number: usize,
) -> std::result::Result<Prompt, Problem> {
    let id = ["id", "question_id", "task_id"];
    let id = match id.iter().find_map(|key| object.get(*key)) {
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
        body: body(object)?,
        template_variables,
    })
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

    /// One entry each, in the shape of the published files; the texts are our own.
    #[test]
    fn benchmarks_are_read_as_they_are_published() {
        let asked = |line: &str| {
            let prompt = parse(line).unwrap().remove(0);
            let text = match prompt.body {
                PromptBody::Text(text) => text,
                PromptBody::Turns(turns) => turns.join(" | "),
                PromptBody::Messages { messages, .. } => {
                    let last = messages.last().unwrap();
                    format!("{}: {}", last["role"], last["content"])
                }
                PromptBody::Tokens(tokens) => format!("{tokens:?}"),
            };
            (prompt.id, prompt.category, text)
        };
        let own = str::to_owned;
        for (line, id, category, text) in [
            (
                // MT-Bench, question.jsonl
                r#"{"question_id": 81, "category": "writing", "turns": ["Write.", "Again."], "reference": ["x"]}"#,
                "81",
                Some("writing"),
                "Write. | Again.",
            ),
            (
                // Spec-Bench, question.jsonl
                r#"{"question_id": 161, "category": "translation", "turns": ["Translate: Guten Tag"]}"#,
                "161",
                Some("translation"),
                "Translate: Guten Tag",
            ),
            (
                // HumanEval.jsonl
                r#"{"task_id": "HumanEval/0", "prompt": "def one():\n", "entry_point": "one", "canonical_solution": "    return 1\n", "test": "def check(candidate): ..."}"#,
                "HumanEval/0",
                None,
                "def one():\n",
            ),
            (
                // GSM8K, test.jsonl
                r#"{"question": "What is 2 + 2?", "answer": "2 + 2 = <<2+2=4>>4\n#### 4"}"#,
                "1",
                None,
                r#""user": "What is 2 + 2?""#,
            ),
            (
                // Alpaca, alpaca_data.json
                r#"[{"instruction": "Name the color.", "input": "grass", "output": "green"}]"#,
                "1",
                None,
                r#""user": "Name the color.\n\ngrass""#,
            ),
            (
                // CNN/DailyMail
                r#"{"article": "It rained.", "highlights": "Rain.", "id": "f001"}"#,
                "f001",
                None,
                r#""user": "Summarize:\nIt rained.""#,
            ),
            (
                // ShareGPT_V3_unfiltered_cleaned_split.json
                "[\n  {\"id\": \"Qw_0\", \"conversations\": [\n    {\"from\": \"human\", \"value\": \"Hi\"},\n    {\"from\": \"gpt\", \"value\": \"Hello\"}\n  ]}\n]",
                "Qw_0",
                None,
                r#""user": "Hi""#,
            ),
        ] {
            assert_eq!(asked(line), (own(id), category.map(own), own(text)));
        }
    }

    #[test]
    fn a_list_names_the_entry_that_is_broken() {
        let found = findings("[{\"instruction\": \"a\"}, {\"instruction\": 1}, {}]");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].notes, ["in entry 2 of 3"]);
        assert_eq!(found[0].title, "`instruction` is a number, not a string");
        let found = findings("[{\"instruction\": \"a\"},\n {");
        assert_eq!(found[0].place.as_ref().unwrap().line, Some(2));
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
