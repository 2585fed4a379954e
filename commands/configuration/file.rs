//! A configuration file as it is written: keys and values in their order, each with its place.

use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::{Map, Value};
use speculators_formats::{Diagnostic, Place, codes};

/// Deeper nesting is no configuration.
const DEEPEST: usize = 16;

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key, with `-` between words.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// What it is given.
    pub node: Node,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// One value, as it is written; `quoted` ones are texts, whatever they look like.
    Scalar {
        /// The value.
        text: String,
        /// Quotes stand around it.
        quoted: bool,
    },
    /// Several values.
    List(Vec<Node>),
    /// Keys with values.
    Mapping(Vec<Entry>),
}

impl Node {
    /// As a value of JSON, by the core schema of YAML 1.2.
    pub fn json(&self) -> Value {
        match &self.content {
            Content::Scalar { text, quoted: true } => text.as_str().into(),
            Content::Scalar { text, .. } => plain(text),
            Content::List(nodes) => nodes.iter().map(Node::json).collect(),
            Content::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.node.json()))
                .collect::<Map<String, Value>>()
                .into(),
        }
    }
}

/// What a value without quotes stands for.
pub fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match serde_json::from_str::<Value>(text.strip_prefix('+').unwrap_or(text)) {
            Ok(number @ Value::Number(_)) => number,
            _ => text.into(),
        },
    }
}

/// Reads the entries of a file; an empty file has none.
pub fn read(path: &Path) -> Result<Vec<Entry>, Diagnostic> {
    let text = fs_err::read_to_string(path).map_err(|error| {
        Diagnostic::error(codes::FILE_MISSING, "the configuration file cannot be read")
            .at(Place::file(path))
            .note(error.to_string())
    })?;
    parse(path, &text)
}

/// The entries of a text; `path` is for places.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, Diagnostic> {
    let mut reader = Reader {
        path,
        events: Parser::new_from_str(text),
    };
    let mut entries = None;
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
            _ if entries.is_some() => {
                return Err(reader.refused("the file holds several documents", span));
            }
            event => match reader.node(event, span, DEEPEST)?.content {
                Content::Mapping(mapping) => entries = Some(mapping),
                Content::Scalar {
                    text,
                    quoted: false,
                } if plain(&text).is_null() => entries = Some(Vec::new()),
                _ => {
                    let title = "the file is not a mapping of options to values";
                    return Err(reader.refused(title, span).help(
                        "write an option a line: its long name, a colon, a space, and its value",
                    ));
                }
            },
        }
    }
    Ok(entries.unwrap_or_default())
}

struct Reader<'a> {
    path: &'a Path,
    events: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Diagnostic> {
        self.events
            .next()
            .transpose()
            .map_err(|error| self.malformed(&error))
    }

    /// The next event, where the text cannot end yet.
    fn inner(&mut self) -> Result<(Event<'a>, Span), Diagnostic> {
        let title = "the configuration file ends in the middle of a value";
        let ended = Diagnostic::error(codes::CONFIGURATION_MALFORMED, title);
        self.next()?.ok_or(ended.at(Place::file(self.path)))
    }

    /// The value that begins with an event.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Diagnostic> {
        if depth == 0 {
            return Err(self.refused("the configuration is nested too deeply", span));
        }
        let tag = match &event {
            Event::Scalar(.., tag) | Event::SequenceStart(_, tag) | Event::MappingStart(_, tag) => {
                tag.is_some()
            }
            _ => false,
        };
        if tag {
            return Err(self.refused("a value has a tag, and tags are not taken", span));
        }
        let content = match event {
            Event::Scalar(text, style, ..) => Content::Scalar {
                text: text.into_owned(),
                quoted: style != ScalarStyle::Plain,
            },
            Event::SequenceStart(..) => {
                let mut nodes = Vec::new();
                loop {
                    let (event, span) = self.inner()?;
                    if event == Event::SequenceEnd {
                        break Content::List(nodes);
                    }
                    nodes.push(self.node(event, span, depth - 1)?);
                }
            }
            Event::MappingStart(..) => Content::Mapping(self.mapping(depth)?),
            _ => return Err(self.refused("a value refers to an anchor", span)),
        };
        let place = self.place(span);
        Ok(Node { place, content })
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<Entry>, Diagnostic> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.inner()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let Event::Scalar(key, ..) = event else {
                return Err(self.refused("a key is not the name of an option", span));
            };
            let (key, place) = (key.into_owned(), self.place(span));
            let (event, span) = self.inner()?;
            let node = self.node(event, span, depth - 1)?;
            let mut others = entries.iter();
            if let Some(other) = others.find(|other| dashed(&other.key) == dashed(&key)) {
                let title = format!("`{key}` is set twice");
                return Err(Diagnostic::error(codes::CONFIGURATION_CONFLICT, title)
                    .at(place)
                    .note(format!("first at {}, as `{}`", other.place, other.key)));
            }
            entries.push(Entry { key, place, node });
        }
    }

    fn place(&self, span: Span) -> Place {
        Place::text(self.path, span.start.line(), span.start.col() + 1)
    }

    fn refused(&self, title: &str, span: Span) -> Diagnostic {
        Diagnostic::error(codes::CONFIGURATION_MALFORMED, title).at(self.place(span))
    }

    fn malformed(&self, error: &ScanError) -> Diagnostic {
        let (line, column) = (error.marker().line().max(1), error.marker().col() + 1);
        let title = "the configuration file is not valid YAML";
        Diagnostic::error(codes::CONFIGURATION_MALFORMED, title)
            .at(Place::text(self.path, line, column))
            .note(error.info())
    }
}

/// A name with `-` between its words, as options have them.
pub fn dashed(name: &str) -> String {
    name.replace('_', "-")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entries(text: &str) -> Result<Vec<Entry>, Diagnostic> {
        parse(Path::new("run.yaml"), text)
    }

    fn refused(text: &str) -> (String, Option<usize>) {
        let found = entries(text).unwrap_err();
        (found.title, found.place.and_then(|place| place.line))
    }

    #[test]
    fn keys_and_values_have_their_lines() {
        let text = "# a run\nverifier: V\n\neval:\n  top_p: 0.95\n  fail-under: [a=1, 'true']\n";
        let entries = entries(text).unwrap();
        assert_eq!(entries[0].place, Place::text("run.yaml", 2, 1));
        assert_eq!(entries[0].node.place, Place::text("run.yaml", 2, 11));
        let Content::Mapping(section) = &entries[1].node.content else {
            panic!("not a section")
        };
        assert_eq!(section[0].place, Place::text("run.yaml", 5, 3));
        let expected = json!({ "top_p": 0.95, "fail-under": ["a=1", "true"] });
        assert_eq!(entries[1].node.json(), expected);
        assert_eq!(super::parse(Path::new("x"), "# nothing\n").unwrap(), []);
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_its_line() {
        for (text, title, line) in [
            ("- a\n", "not a mapping", 1),
            ("a: 1\nb: [1\n", "not valid YAML", 3),
            ("a: 1\n---\nb: 2\n", "several documents", 3),
            ("a: &x 1\nb: *x\n", "refers to an anchor", 2),
            ("a: !!str 1\n", "has a tag", 1),
            ("[a]: 1\n", "not the name of an option", 1),
            ("top-k: 1\n\ntop_k: 2\n", "`top_k` is set twice", 3),
        ] {
            let (found, at) = refused(text);
            assert!(
                found.contains(title) && at == Some(line),
                "{text:?}: {found} {at:?}"
            );
        }
        let deep = format!("a: {}{}", "[".repeat(40), "]".repeat(40));
        assert!(refused(&deep).0.contains("too deeply"));
    }
}
