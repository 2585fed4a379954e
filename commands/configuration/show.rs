//! The resolved configuration: every option of the command, its value, and where that comes from.
//!
//! As YAML it is a configuration file itself: with `--config` it gives the same run.

use std::any::TypeId;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use clap::builder::ArgAction;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use serde_json::{Map, Value, json};
use speculators_formats::Place;

use super::file::plain;
use super::options;
use super::settings::Settings;

/// What `--show-config` prints.
#[derive(Debug, PartialEq)]
pub struct Shown {
    command: String,
    /// What is given without the name of an option, by its name in the help.
    arguments: Vec<(String, Value)>,
    options: Vec<(String, Value, Origin)>,
}

/// Where a value comes from.
#[derive(Debug, PartialEq)]
enum Origin {
    Flag,
    File(Place),
    Environment,
    Default,
    /// The command settles it from something else, or does without it.
    NotSet,
}

impl Shown {
    /// Of what clap has made of the command line and the settings of the file together.
    pub fn new(command: &Command, settings: &Settings<'_>, matches: &ArgMatches) -> Shown {
        let shown = options::options(command).map(|option| {
            let origin = match (settings.of(option), source(option, matches)) {
                (Some(setting), _) => Origin::File(setting.entry.place.clone()),
                (None, Some(ValueSource::CommandLine)) => Origin::Flag,
                (None, Some(ValueSource::EnvVariable)) => Origin::Environment,
                (None, Some(_)) => Origin::Default,
                (None, None) => Origin::NotSet,
            };
            let name = option.get_long().unwrap_or_default().to_owned();
            (name, value(option, matches), origin)
        });
        let positional = command.get_positionals().map(|argument| {
            let name = argument.get_value_names().and_then(|names| names.first());
            let name = name.map_or_else(|| argument.get_id().to_string(), ToString::to_string);
            (name, value(argument, matches))
        });
        Shown {
            command: command.get_name().to_owned(),
            arguments: positional.collect(),
            options: shown.collect(),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let options: Map<String, Value> = self
            .options
            .iter()
            .map(|(name, value, origin)| {
                let mut entry = json!({ "value": value, "origin": origin.kind() });
                if let Origin::File(place) = origin {
                    entry["path"] = place.path.display().to_string().into();
                    entry["line"] = place.line.into();
                }
                (name.clone(), entry)
            })
            .collect();
        json!({
            "schema": "speculators.config/1",
            "command": self.command,
            "arguments": self.arguments.iter().cloned().collect::<Map<String, Value>>(),
            "options": options,
        })
    }

    /// As a configuration file.
    pub fn yaml(&self) -> String {
        let mut text = format!("# speculators {}\n", self.command);
        let given = self.arguments.iter().filter(|(_, value)| !value.is_null());
        let lines: Vec<(String, String)> = given
            .map(|(name, value)| (format!("# {name}: {}", yaml(value)), "argument".to_owned()))
            .chain(
                self.options
                    .iter()
                    .map(|(name, value, origin)| match origin {
                        Origin::NotSet => (format!("# {name}:"), "not set".to_owned()),
                        Origin::File(place) => {
                            (format!("{name}: {}", yaml(value)), place_of(place))
                        }
                        origin => (format!("{name}: {}", yaml(value)), origin.kind().to_owned()),
                    }),
            )
            .collect();
        let widths = lines.iter().map(|(line, _)| line.chars().count());
        // A long path is not to push all origins out of sight.
        let width = widths.filter(|width| *width <= 60).max().unwrap_or(0);
        for (line, origin) in lines {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{line:width$}  # {origin}");
        }
        text
    }
}

impl Origin {
    fn kind(&self) -> &'static str {
        match self {
            Origin::Flag => "flag",
            Origin::File(_) => "file",
            Origin::Environment => "environment",
            Origin::Default => "default",
            Origin::NotSet => "not set",
        }
    }
}

fn place_of(place: &Place) -> String {
    let line = place.line.unwrap_or(1);
    format!("{}:{line}", place.path.display())
}

/// Where clap has an option from. A counted one that nobody counted has a default, as a flag has.
fn source(option: &Arg, matches: &ArgMatches) -> Option<ValueSource> {
    matches.value_source(option.get_id().as_str())
}

fn value(option: &Arg, matches: &ArgMatches) -> Value {
    let id = option.get_id().as_str();
    match option.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => matches.get_flag(id).into(),
        ArgAction::Count => matches.get_count(id).into(),
        action => {
            let Some(raw) = matches.get_raw(id) else {
                return Value::Null;
            };
            let mut values = raw.map(|raw| typed(option, &raw.to_string_lossy()));
            if matches!(action, ArgAction::Append) {
                values.collect()
            } else {
                values.next().unwrap_or_default()
            }
        }
    }
}

/// A value in the type that its option has.
fn typed(option: &Arg, text: &str) -> Value {
    let kind = option.get_value_parser().type_id();
    let texts = [
        TypeId::of::<String>(),
        TypeId::of::<PathBuf>(),
        TypeId::of::<OsString>(),
    ];
    if texts.iter().any(|text| kind == *text) {
        text.into()
    } else {
        plain(text)
    }
}

/// A value on one line of YAML: JSON, but for texts that are clear without quotes.
fn yaml(value: &Value) -> String {
    match value {
        Value::String(text) if is_clear(text) => text.clone(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(yaml).collect();
            format!("[{}]", values.join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether a text means itself in YAML, within a list as well.
fn is_clear(text: &str) -> bool {
    let begins =
        text.starts_with(|letter: char| letter.is_ascii_alphabetic() || "/._".contains(letter));
    let harmless = |letter: char| letter.is_ascii_alphanumeric() || "/._-=+@".contains(letter);
    begins && text.chars().all(harmless) && plain(text).is_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_look_like_something_else_are_quoted() {
        for (text, shown) in [
            ("mt_bench.jsonl", "mt_bench.jsonl"),
            ("owner/name@main", "owner/name@main"),
            ("true", "\"true\""),
            ("null", "\"null\""),
            ("0.5", "\"0.5\""),
            ("", "\"\""),
            ("-", "\"-\""),
            ("a: b", "\"a: b\""),
            ("C:\\x", "\"C:\\\\x\""),
            ("a#b, c", "\"a#b, c\""),
        ] {
            assert_eq!(yaml(&text.into()), shown);
        }
    }
}
