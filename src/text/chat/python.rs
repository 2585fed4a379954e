//! What chat templates expect of Jinja because Python's renders them: transformers' own filters and functions, methods of
//! strings, and values that print as in Python.
//!
//! `tests/interop/chat_templates.py` has transformers render small templates for each of them, and a unit test compares.

use minijinja::value::{Kwargs, Rest, Tuple, ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value, escape_formatter};
use minijinja::{filters, tests};

use super::json;

type Outcome = Result<Value, Error>;

/// Teaches an environment the dialect.
pub(super) fn teach(environment: &mut Environment<'static>) {
    environment.set_unknown_method_callback(method);
    environment.set_formatter(print);
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_test("sequence", is_sequence);
    environment.add_test("iterable", is_iterable);
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    environment.add_function("cycler", |items: Rest<Value>| {
        minijinja_contrib::globals::cycler(items.0)
    });
    environment.add_function("raise_exception", |message: String| -> Outcome {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: String| {
        jiff::Zoned::now().strftime(&format).to_string()
    });
}

/// Makes `{% generation %}` blocks, by which transformers finds the assistant's own tokens, blocks that only hold their content.
pub(super) fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start + 2);
        out.push_str(before);
        let inner = tag.trim_start_matches(['-', '+']).trim_start();
        let name_at = tag.len() - inner.len();
        let name: String = inner
            .chars()
            .take_while(|character| character.is_ascii_alphanumeric() || *character == '_')
            .collect();
        let plain = match name.as_str() {
            "generation" => "with",
            "endgeneration" => "endwith",
            other => other,
        };
        out.push_str(&tag[..name_at]);
        out.push_str(plain);
        rest = &tag[name_at + name.len()..];
    }
    out.push_str(rest);
    out
}

/// Numbers print as Python's; the rest does already.
fn print(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if tests::is_float(value) {
        out.write_str(&json::float(f64::try_from(value.clone())?))?;
        return Ok(());
    }
    escape_formatter(out, state, value)
}

fn default(value: &Value, other: Option<Value>, lax: Option<Value>, named: Kwargs) -> Outcome {
    let other = match other {
        Some(other) => Some(other),
        None => named.get("default_value")?,
    };
    let lax = match lax {
        Some(lax) => Some(lax),
        None => named.get("boolean")?,
    };
    named.assert_all_used()?;
    let replaced = value.is_undefined() || lax.is_some_and(|lax| lax.is_true()) && !value.is_true();
    Ok(if replaced {
        other.unwrap_or_else(|| "".into())
    } else {
        value.clone()
    })
}

/// In Python what cannot be converted is 0, unless something else was asked for.
fn int(
    state: &State,
    value: &Value,
    default: Option<Value>,
    base: Option<u32>,
    named: Kwargs,
) -> Outcome {
    let default = match default {
        Some(default) => Some(default),
        None => named.get("default")?,
    };
    let default = Some(default.unwrap_or_else(|| 0.into()));
    filters::int(state, value, default, base, named)
}

fn float(state: &State, value: &Value, default: Option<Value>, named: Kwargs) -> Outcome {
    let default = match default {
        Some(default) => Some(default),
        None => named.get("default")?,
    };
    let default = Some(default.unwrap_or_else(|| 0.0.into()));
    filters::float(state, value, default, named)
}

/// Whatever has a length and can be indexed.
fn is_sequence(value: &Value) -> bool {
    tests::is_sequence(value) || matches!(value.kind(), ValueKind::String | ValueKind::Map)
}

/// Whatever can be looped over, which does not hold for none.
fn is_iterable(value: &Value) -> bool {
    !value.is_none() && tests::is_iterable(value)
}

/// Methods of Python's strings and lists that the library lacks, then those it has.
fn method(state: &mut State, value: &Value, name: &str, arguments: &[Value]) -> Outcome {
    if let Some(text) = value.as_str() {
        if let Some(outcome) = of_string(text, name, arguments) {
            return outcome;
        }
    } else if value.kind() == ValueKind::Seq && name == "index" {
        let (wanted,): (Value,) = from_args(arguments)?;
        let found = value.try_iter()?.position(|item| item == wanted);
        return found.map(Value::from).ok_or_else(|| missing("item"));
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, arguments)
}

fn of_string(text: &str, name: &str, arguments: &[Value]) -> Option<Outcome> {
    Some(match name {
        "split" | "rsplit" => split(text, name == "rsplit", arguments),
        "partition" => from_args(arguments)
            .map(|(separator,): (&str,)| {
                let (before, after) = text.split_once(separator)?;
                Some([before, separator, after])
            })
            .map(|parts| tuple(parts.unwrap_or([text, "", ""]))),
        "rpartition" => from_args(arguments)
            .map(|(separator,): (&str,)| {
                let (before, after) = text.rsplit_once(separator)?;
                Some([before, separator, after])
            })
            .map(|parts| tuple(parts.unwrap_or(["", "", text]))),
        "removeprefix" => from_args(arguments)
            .map(|(part,): (&str,)| text.strip_prefix(part).unwrap_or(text).into()),
        "removesuffix" => from_args(arguments)
            .map(|(part,): (&str,)| text.strip_suffix(part).unwrap_or(text).into()),
        "index" | "rindex" => from_args(arguments).and_then(|(part,): (&str,)| {
            let found = if name == "index" {
                text.find(part)
            } else {
                text.rfind(part)
            };
            let characters = found.map(|at| text[..at].chars().count());
            characters
                .map(Value::from)
                .ok_or_else(|| missing("substring"))
        }),
        "casefold" => from_args(arguments).map(|(): ()| text.to_lowercase().into()),
        "swapcase" => from_args(arguments).map(|(): ()| {
            let swapped: String = text
                .chars()
                .map(|character| match character.is_uppercase() {
                    true => character.to_lowercase().to_string(),
                    false => character.to_uppercase().to_string(),
                })
                .collect();
            swapped.into()
        }),
        "title" => from_args(arguments).map(|(): ()| {
            let mut after_letter = false;
            let mut titled = String::with_capacity(text.len());
            for character in text.chars() {
                match after_letter {
                    true => titled.extend(character.to_lowercase()),
                    false => titled.extend(character.to_uppercase()),
                }
                after_letter = character.is_alphabetic();
            }
            titled.into()
        }),
        "zfill" => from_args(arguments).map(|(width,): (usize,)| {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            let zeros = width.saturating_sub(text.chars().count());
            format!("{sign}{}{digits}", "0".repeat(zeros)).into()
        }),
        "ljust" | "rjust" | "center" => {
            from_args(arguments).map(|(width, fill): (usize, Option<&str>)| {
                let missing = width.saturating_sub(text.chars().count());
                let left = match name {
                    "ljust" => 0,
                    "rjust" => missing,
                    // The odd one goes left where the width is odd.
                    _ => missing / 2 + (missing & width & 1),
                };
                let fill = fill.unwrap_or(" ");
                let [before, after] = [left, missing - left].map(|count| fill.repeat(count));
                format!("{before}{text}{after}").into()
            })
        }
        _ => return None,
    })
}

/// `split(sep=None, maxsplit=-1)`: without a separator, at runs of white space, of which none is left at the ends.
fn split(text: &str, from_the_right: bool, arguments: &[Value]) -> Outcome {
    let (separator, most, named): (Option<Value>, Option<i64>, Kwargs) = from_args(arguments)?;
    let separator = match separator {
        Some(separator) => Some(separator),
        None => named.get("sep")?,
    };
    let most = match most {
        Some(most) => Some(most),
        None => named.get("maxsplit")?,
    };
    named.assert_all_used()?;
    let most = most.and_then(|most| usize::try_from(most).ok());
    let separator = separator.filter(|separator| !separator.is_none());
    let separator = match &separator {
        Some(separator) => Some(
            separator
                .as_str()
                .filter(|text| !text.is_empty())
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::InvalidOperation,
                        "the separator is no text, or empty",
                    )
                })?,
        ),
        None => None,
    };
    let mut parts = Vec::new();
    let mut rest = Some(match (separator, from_the_right) {
        (Some(_), _) => text,
        (None, false) => text.trim_start(),
        (None, true) => text.trim_end(),
    });
    while let Some(left) = rest.filter(|_| most.is_none_or(|most| parts.len() < most)) {
        let cut = match (separator, from_the_right) {
            (Some(separator), false) => left.split_once(separator),
            (Some(separator), true) => left.rsplit_once(separator),
            (None, false) => left.split_once(char::is_whitespace),
            (None, true) => left.rsplit_once(char::is_whitespace),
        };
        let Some((before, after)) = cut else { break };
        let (part, others) = match from_the_right {
            true => (after, before),
            false => (before, after),
        };
        parts.push(part);
        rest = Some(match (separator, from_the_right) {
            (Some(_), _) => others,
            (None, false) => others.trim_start(),
            (None, true) => others.trim_end(),
        });
    }
    parts.extend(rest.filter(|rest| separator.is_some() || !rest.is_empty()));
    if from_the_right {
        parts.reverse();
    }
    Ok(parts.into_iter().map(Value::from).collect())
}

fn tuple(parts: [&str; 3]) -> Value {
    Tuple::from(parts.map(Value::from)).into()
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{what} not found"))
}
