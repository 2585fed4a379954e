//! `tojson` as transformers has it: Python's `json.dumps`, which escapes nothing for HTML and spells numbers its own way.

use std::fmt::Write;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value, tests};

/// How values are written.
struct Form {
    ascii: bool,
    /// What a level is indented by; without it everything is on one line.
    indent: Option<String>,
    between_items: String,
    after_key: String,
    sorted: bool,
}

/// The filter: `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`, the last one only by its name.
pub(super) fn tojson(
    value: &Value,
    ensure_ascii: Option<Value>,
    indent: Option<Value>,
    separators: Option<Value>,
    named: Kwargs,
) -> Result<String, Error> {
    let argument = |given: Option<Value>, name: &str| match given {
        Some(value) => Ok(Some(value)),
        None => named.get::<Option<Value>>(name),
    };
    let is_set = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let ascii = is_set(argument(ensure_ascii, "ensure_ascii")?);
    let indent = match argument(indent, "indent")?.filter(|indent| !indent.is_none()) {
        None => None,
        Some(indent) => Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(indent)?),
        }),
    };
    let separators = argument(separators, "separators")?.filter(|pair| !pair.is_none());
    let (between_items, after_key) = match separators {
        Some(pair) => {
            let part = |index| Ok::<_, Error>(pair.get_item_by_index(index)?.to_string());
            (part(0)?, part(1)?)
        }
        None if indent.is_some() => (",".into(), ": ".into()),
        None => (", ".into(), ": ".into()),
    };
    let sorted = is_set(named.get("sort_keys")?);
    named.assert_all_used()?;
    let form = Form {
        ascii,
        indent,
        between_items,
        after_key,
        sorted,
    };
    let mut out = String::new();
    form.write(&mut out, value, 1)?;
    Ok(out)
}

impl Form {
    fn write(&self, out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if tests::is_float(value) => {
                out.push_str(&float(f64::try_from(value.clone())?));
            }
            ValueKind::Number => out.push_str(&value.to_string()),
            ValueKind::String => self.string(out, value.as_str().unwrap_or_default()),
            ValueKind::Seq => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.members(out, ['[', ']'], depth, items.iter(), |out, item| {
                    self.write(out, item, depth + 1)
                })?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sorted {
                    keys.sort();
                }
                self.members(out, ['{', '}'], depth, keys.iter(), |out, key| {
                    self.key(out, key)?;
                    out.push_str(&self.after_key);
                    self.write(out, &value.get_item(key)?, depth + 1)
                })?;
            }
            other => {
                let problem = format!("{other} cannot be written as JSON");
                return Err(Error::new(ErrorKind::InvalidOperation, problem));
            }
        }
        Ok(())
    }

    /// Keys are strings in JSON: what else there may be is spelled as the value would be.
    fn key(&self, out: &mut String, key: &Value) -> Result<(), Error> {
        match key.as_str() {
            Some(key) => self.string(out, key),
            None => {
                out.push('"');
                self.write(out, key, 0)?;
                out.push('"');
            }
        }
        Ok(())
    }

    fn members<'a>(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        depth: usize,
        members: impl ExactSizeIterator<Item = &'a Value>,
        mut write: impl FnMut(&mut String, &'a Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let is_empty = members.len() == 0;
        let line = |out: &mut String, depth: usize| {
            if let (Some(indent), false) = (&self.indent, is_empty) {
                out.push('\n');
                out.push_str(&indent.repeat(depth));
            }
        };
        out.push(open);
        for (index, member) in members.enumerate() {
            if index > 0 {
                out.push_str(&self.between_items);
            }
            line(out, depth);
            write(out, member)?;
        }
        line(out, depth - 1);
        out.push(close);
        Ok(())
    }

    fn string(&self, out: &mut String, text: &str) {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\0'..='\x1f' => escape(out, character),
                // Python calls the character of deletion ASCII, and escapes it all the same.
                '\x7f'.. if self.ascii => escape(out, character),
                _ => out.push(character),
            }
        }
        out.push('"');
    }
}

/// `\uXXXX`, twice for what is beyond 16 bits.
fn escape(out: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        // Writing to a string cannot fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

/// A number as Python's `repr` spells it: the fewest digits that give it back, with an exponent below 1e-4 and from 1e16 on.
pub(super) fn float(number: f64) -> String {
    if !number.is_finite() {
        let name = if number.is_nan() { "NaN" } else { "Infinity" };
        return format!("{}{name}", if number < 0.0 { "-" } else { "" });
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific
        .split_once('e')
        .unwrap_or((scientific.as_str(), "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        exponent @ -4..16 => {
            let plain = number.to_string();
            let is_whole = exponent >= 0 && !plain.contains('.');
            format!("{plain}{}", if is_whole { ".0" } else { "" })
        }
        exponent => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
    }
}
