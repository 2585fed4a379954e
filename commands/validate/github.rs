//! Workflow commands of GitHub Actions: one line per finding, which becomes an annotation, and the verdict as plain text.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write;

use speculators_formats::{Diagnostic, Level, codes};

use super::{Findings, location, text};
use crate::failure::Failure;

pub(super) fn write(findings: &Findings, output: &mut impl Write) -> Result<(), Failure> {
    for report in &findings.reports {
        for finding in &report.diagnostics {
            writeln!(output, "{}", command(finding))?;
        }
        if let Some(runtime) = &report.runtime {
            writeln!(output, "{}", plain(&text::expectation(runtime)))?;
            for command in &runtime.commands {
                writeln!(output, "  {}", plain(command))?;
            }
        }
        if let Some(line) = text::silenced(report) {
            writeln!(output, "{line}")?;
        }
        writeln!(output, "{}", plain(&text::verdict(report)))?;
    }
    Ok(())
}

/// `::error file=…,line=…,col=…,title=…::…`.
fn command(finding: &Diagnostic) -> String {
    let mut line = String::from(match finding.level {
        Level::Error => "::error ",
        Level::Warning => "::warning ",
        Level::Info => "::notice ",
    });
    let mut message = finding.title.clone();
    if let Some(place) = &finding.place {
        let _ = write!(line, "file={},", property(&location::slashed(&place.path))); // a String does not fail
        if let Some(number) = place.line {
            let _ = write!(line, "line={number},");
        }
        if let Some(number) = place.column {
            let _ = write!(line, "col={number},");
        }
        if let Some(tensor) = &place.tensor {
            let _ = write!(message, "\ntensor: {tensor}");
        }
    }
    for note in &finding.notes {
        let _ = write!(message, "\nnote: {note}");
    }
    if let Some(help) = &finding.help {
        let _ = write!(message, "\nhelp: {help}");
    }
    let rule = codes::explain(finding.code).map_or("", |known| known.title);
    let title = format!("{} {rule}", finding.code);
    let _ = write!(line, "title={}::{}", property(title.trim()), data(&message));
    line
}

/// What follows the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a `key=value`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A line that is not a command: a name taken from a path must neither end it nor begin another.
fn plain(line: &str) -> Cow<'_, str> {
    let line = line.trim_start_matches(':');
    if line.contains(char::is_control) {
        Cow::Owned(
            line.chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c })
                .collect(),
        )
    } else {
        Cow::Borrowed(line)
    }
}

#[cfg(test)]
mod tests {
    use speculators_formats::Place;

    use super::*;

    #[test]
    fn a_finding_is_one_line_with_its_place() {
        let finding = Diagnostic::error(codes::AUX_LAYER_COUNT, "a, b: 50%")
            .at(Place::text("heads/a:b,c/config.json", 3, 5))
            .note("first\nsecond")
            .help("do");
        assert_eq!(
            command(&finding),
            "::error file=heads/a%3Ab%2Cc/config.json,line=3,col=5,\
             title=S404 the auxiliary layer ids do not fit the width of `fc`::\
             a, b: 50%25%0Anote: first%0Asecond%0Ahelp: do"
        );
    }

    #[test]
    fn line_ends_and_percent_signs_are_escaped_everywhere_and_separators_in_properties() {
        assert_eq!(data("a\r\nb: 5%, c"), "a%0D%0Ab: 5%25, c");
        assert_eq!(property("a\nb: 5%, c"), "a%0Ab%3A 5%25%2C c");
    }

    #[test]
    fn levels_become_those_of_annotations() {
        let info =
            Diagnostic::info(codes::NORM_EPS, "x").at(Place::tensor("m.safetensors", "fc.weight"));
        assert!(command(&info).starts_with("::notice file=m.safetensors,title=S413"));
        assert!(command(&info).ends_with("::x%0Atensor: fc.weight"));
        assert!(
            command(&Diagnostic::warning(codes::NORM_EPS, "x")).starts_with("::warning title=")
        );
    }

    #[test]
    fn a_path_cannot_smuggle_a_command_in() {
        assert_eq!(plain("a\n::error::b"), "a\u{fffd}::error::b");
        assert_eq!(plain("::error::b"), "error::b");
    }
}
