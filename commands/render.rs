//! Findings as people read them: rustc's look, through annotate-snippets.

use annotate_snippets::{
    AnnotationKind, Element, Group, Level as Title, Origin, Renderer, Snippet,
};
use speculators_formats::{Diagnostic, Level, Place};

/// Longer lines are named by line and column instead of shown.
const LONGEST_LINE: usize = 160;
/// Longer files are not read again to show a line of them.
const LARGEST_SOURCE: u64 = 4 << 20;

/// One finding as text; colours are in it and are stripped by the stream where they are not wanted.
pub fn diagnostic(diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.level {
        Level::Error => Title::ERROR,
        Level::Warning => Title::WARNING,
        Level::Info => Title::INFO,
    };
    let code = diagnostic.code.to_string();
    let source = diagnostic.place.as_ref().and_then(SourceLine::read);
    let mut group = Group::with_title(level.primary_title(diagnostic.title.as_str()).id(code));
    if let Some(place) = &diagnostic.place {
        group = group.element(where_found(place, source.as_ref()));
    }
    for note in &diagnostic.notes {
        group = group.element(Title::NOTE.message(note.as_str()));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Title::HELP.message(help.as_str()));
    }
    Renderer::styled().render(&[group])
}

fn where_found<'a>(place: &Place, source: Option<&'a SourceLine>) -> Element<'a> {
    let path = place.path.display().to_string();
    if let Some(source) = source {
        let annotation = AnnotationKind::Primary.span(source.span.clone());
        return Snippet::source(source.text.as_str())
            .line_start(source.line)
            .path(path)
            .annotation(annotation)
            .into();
    }
    let path = match &place.tensor {
        Some(tensor) => format!("{path} ({tensor})"),
        None => path,
    };
    let mut origin = Origin::path(path);
    if let Some(line) = place.line {
        origin = origin.line(line).char_column(place.column.unwrap_or(1));
    }
    origin.into()
}

/// The line a finding points at, with the span of the word there.
struct SourceLine {
    line: usize,
    text: String,
    span: std::ops::Range<usize>,
}

impl SourceLine {
    fn read(place: &Place) -> Option<SourceLine> {
        let (line, column) = (place.line?, place.column?);
        if fs_err::metadata(&place.path).ok()?.len() > LARGEST_SOURCE {
            return None;
        }
        let text = fs_err::read_to_string(&place.path)
            .ok()?
            .lines()
            .nth(line - 1)?
            .to_owned();
        if text.len() > LONGEST_LINE {
            return None;
        }
        let start = text
            .char_indices()
            .nth(column - 1)
            .map_or(text.len(), |(start, _)| start);
        let end = text[start..]
            .find([',', ' ', '}', ']'])
            .map_or(text.len(), |length| start + length);
        let span = if end > start {
            start..end
        } else {
            start..text.len().max(start)
        };
        Some(SourceLine { line, text, span })
    }
}
