//! Keys of a configuration file as options of a command. Which options there are, and what they take, is asked of clap: none is
//! listed here.

use clap::builder::ArgAction;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use serde_json::Value;
use speculators_formats::{Diagnostic, codes};

use super::file::{Content, Entry, Node, dashed};

/// What a file cannot set: where the file is, and what is done instead of running.
const ELSEWHERE: [&str; 4] = ["config", "show-config", "help", "version"];
/// What a value is called that is an object of JSON on the command line.
const JSON: &str = "JSON";

/// An option that the file sets.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// The option.
    pub option: &'a Arg,
    /// The key and its place.
    pub entry: &'a Entry,
    /// What would be typed for it; nothing for a flag that is off.
    pub tokens: Vec<String>,
    /// Whether it stands in the section of the command.
    pub in_section: bool,
}

/// The options of a command that a file can set.
pub fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|option| {
        option
            .get_long()
            .is_some_and(|name| !ELSEWHERE.contains(&name))
    })
}

/// The option of a name.
pub fn find<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    let wanted = dashed(key);
    options(command).find(|option| names(option).any(|name| dashed(name) == wanted))
}

fn names(option: &Arg) -> impl Iterator<Item = &str> {
    let aliases = option.get_all_aliases().unwrap_or_default();
    option.get_long().into_iter().chain(aliases)
}

/// That a key is no option of a command; `program` knows the other commands.
pub fn unknown(program: &Command, command: &Command, entry: &Entry) -> Diagnostic {
    let (key, name) = (&entry.key, command.get_name());
    if ELSEWHERE.contains(&dashed(key).as_str()) {
        let title = format!("`{key}` is for the command line alone");
        return Diagnostic::error(codes::CONFIGURATION_KEY, title).at(entry.place.clone());
    }
    let problem = Diagnostic::error(
        codes::CONFIGURATION_KEY,
        format!("`{name}` has no option `{key}`"),
    )
    .at(entry.place.clone());
    let others: Vec<String> = program
        .get_subcommands()
        .filter(|other| find(other, key).is_some())
        .map(|other| format!("`{}`", other.get_name()))
        .collect();
    if let Some(first) = others.first() {
        return problem
            .note(format!("it is an option of {}", others.join(", ")))
            .help(format!(
                "put it into a section of its command: `{}: {{{key}: …}}`",
                first.trim_matches('`')
            ));
    }
    let commands = program.get_subcommands().map(Command::get_name);
    let sections = commands.filter(|_| matches!(entry.node.content, Content::Mapping(_)));
    match nearest(key, options(command).flat_map(names).chain(sections)) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem.help(format!("`speculators {name} --help` lists its options")),
    }
}

/// The name that was probably meant.
fn nearest<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let key = dashed(key).to_lowercase();
    names
        .map(|name| (strsim::damerau_levenshtein(&key, name), name))
        // A third of the letters may be wrong, as in rustc.
        .filter(|(distance, name)| *distance <= name.len().max(key.len()).div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

impl<'a> Setting<'a> {
    /// Reads a key of the file for an option, and has clap look at the value.
    pub fn new(
        command: &Command,
        option: &'a Arg,
        entry: &'a Entry,
        in_section: bool,
    ) -> Result<Setting<'a>, Diagnostic> {
        let tokens = tokens(command, option, entry)?;
        Ok(Setting {
            option,
            entry,
            tokens,
            in_section,
        })
    }
}

/// What would be typed for an option.
fn tokens(command: &Command, option: &Arg, entry: &Entry) -> Result<Vec<String>, Diagnostic> {
    let name = option.get_long().unwrap_or_default();
    let (node, flag) = (&entry.node, format!("--{name}"));
    let refuse = |node: &Node, reason: &str| {
        let title = format!("`{}` {reason}", entry.key);
        Diagnostic::error(codes::CONFIGURATION_VALUE, title).at(node.place.clone())
    };
    if node.json().is_null() {
        return Err(refuse(node, "has no value").help("leave the line out, or give it one"));
    }
    match option.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => match node.json() {
            Value::Bool(true) => Ok(vec![flag]),
            Value::Bool(false) => Ok(Vec::new()),
            other => Err(
                refuse(node, &format!("is a flag, and its value is {other}"))
                    .help("write `true` or `false`"),
            ),
        },
        ArgAction::Count => match node.json() {
            Value::Bool(on) => Ok(vec![flag; usize::from(on)]),
            Value::Number(number) if number.as_u64().is_some_and(|count| count <= 9) => {
                let count = number.as_u64().unwrap_or_default() as usize;
                Ok(vec![flag; count])
            }
            other => Err(
                refuse(node, &format!("is counted, and its value is {other}"))
                    .help("write a number from 0 to 9"),
            ),
        },
        action => {
            let repeats = matches!(action, ArgAction::Append);
            let nodes = match &node.content {
                Content::List(nodes) if repeats => nodes.as_slice(),
                _ => std::slice::from_ref(node),
            };
            let mut tokens = Vec::new();
            for node in nodes {
                let text = match &node.content {
                    Content::Scalar { text, .. } if !node.json().is_null() => text.clone(),
                    Content::Scalar { .. } => return Err(refuse(node, "holds no value")),
                    _ if takes_json(option) => node.json().to_string(),
                    Content::List(_) => return Err(refuse(node, "takes one value, not a list")),
                    Content::Mapping(_) => {
                        return Err(refuse(node, "takes a value, not a mapping"));
                    }
                };
                let typed = format!("{flag}={text}");
                tokens.push(match fault(command, &typed) {
                    None => typed,
                    // An option whose value may be left out can be switched on alone.
                    Some(_) if node.json() == Value::Bool(true) && may_stand_alone(option) => {
                        flag.clone()
                    }
                    Some(reason) => {
                        let problem = refuse(node, &format!("cannot be `{text}`"));
                        return Err(problem.note(reason));
                    }
                });
            }
            Ok(tokens)
        }
    }
}

fn takes_json(option: &Arg) -> bool {
    let names = option.get_value_names().unwrap_or_default();
    names.iter().any(|name| name.as_str() == JSON)
}

fn may_stand_alone(option: &Arg) -> bool {
    option
        .get_num_args()
        .is_some_and(|range| range.min_values() == 0)
}

/// What clap has against a typed option by itself: its value, not what it lacks beside it.
pub fn fault(command: &Command, typed: &str) -> Option<String> {
    let error = parse(command, [typed.to_owned()]).err()?;
    if matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict
    ) {
        return None;
    }
    if let Some(ContextValue::Strings(possible)) = error.get(ContextKind::ValidValue)
        && !possible.is_empty()
    {
        return Some(format!("possible values: {}", possible.join(", ")));
    }
    let source = std::error::Error::source(&error).map(ToString::to_string);
    Some(source.unwrap_or_else(|| error.kind().to_string()))
}

/// Has clap parse what would be typed behind the name of a command.
pub fn parse(
    command: &Command,
    tokens: impl IntoIterator<Item = String>,
) -> clap::error::Result<clap::ArgMatches> {
    command
        .clone()
        .no_binary_name(true)
        .try_get_matches_from(tokens)
}

/// Whether what is typed excludes each other.
pub fn exclude_each_other(command: &Command, tokens: impl IntoIterator<Item = String>) -> bool {
    parse(command, tokens).is_err_and(|error| matches!(error.kind(), ErrorKind::ArgumentConflict))
}

/// What clap misses beside what is typed, in its own spelling.
pub fn missing(command: &Command, tokens: &[String]) -> Vec<String> {
    let error = parse(command, tokens.iter().cloned()).err();
    let error = error.filter(|error| error.kind() == ErrorKind::MissingRequiredArgument);
    match error
        .as_ref()
        .and_then(|error| error.get(ContextKind::InvalidArg))
    {
        Some(ContextValue::Strings(missing)) => missing.clone(),
        Some(ContextValue::String(missing)) => vec![missing.clone()],
        _ => Vec::new(),
    }
}
