//! `JUnit` XML: a suite for each checkpoint, and in it a case for each family of codes and one for each finding that counts.
//!
//! A family's case passes where nothing in it counts against the checkpoint, so that a passing run shows what was looked
//! at; its warnings are in the case's output. A finding that counts is a case of its own, because `GitLab` and Jenkins show
//! one failure for each case: a failure where the checkpoint is not valid, an error where it could not be judged.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use speculators_formats::codes::{self, FAMILIES};
use speculators_formats::validate::{ValidationReport, Verdict};
use speculators_formats::{Diagnostic, Level};

use super::{Findings, location, text};
use crate::failure::Failure;

pub(super) fn write(findings: &Findings, output: &mut impl Write) -> Result<(), Failure> {
    let suites: Vec<Suite> = findings
        .reports
        .iter()
        .map(|report| Suite::of(report, findings))
        .collect();
    let mut writer = Writer::new_with_indent(&mut *output, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let total = |count: fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>().to_string();
    writer
        .create_element("testsuites")
        .with_attribute(("name", "speculators validate"))
        .with_attribute(("tests", total(|suite| suite.cases.len()).as_str()))
        .with_attribute((
            "failures",
            total(|suite| suite.count(&Outcome::FAILED)).as_str(),
        ))
        .with_attribute((
            "errors",
            total(|suite| suite.count(&Outcome::BROKEN)).as_str(),
        ))
        .with_attribute((
            "skipped",
            total(|suite| suite.count(&Outcome::Skipped(""))).as_str(),
        ))
        .write_inner_content(|writer| suites.iter().try_for_each(|suite| suite.write(writer)))?;
    writeln!(output)?;
    Ok(())
}

/// One checkpoint.
struct Suite {
    name: String,
    properties: Vec<(&'static str, String)>,
    cases: Vec<Case>,
}

/// One line of a test report.
struct Case {
    name: String,
    outcome: Outcome,
    output: Option<String>,
}

enum Outcome {
    Passed,
    Skipped(&'static str),
    /// A finding against the checkpoint.
    Failed(Told),
    /// A finding that kept it from being judged.
    Broken(Told),
}

impl Outcome {
    const FAILED: Outcome = Outcome::Failed(Told::NOTHING);
    const BROKEN: Outcome = Outcome::Broken(Told::NOTHING);
}

/// A finding in the three parts that a failure has.
struct Told {
    code: String,
    title: String,
    text: String,
}

impl Told {
    const NOTHING: Told = Told {
        code: String::new(),
        title: String::new(),
        text: String::new(),
    };

    fn of(finding: &Diagnostic) -> Told {
        Told {
            code: finding.code.to_string(),
            title: finding.title.clone(),
            text: in_full(finding),
        }
    }
}

impl Suite {
    fn of(report: &ValidationReport, findings: &Findings) -> Suite {
        let mut cases = Vec::new();
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for (first, family) in FAMILIES {
            let found: Vec<&Diagnostic> = report
                .diagnostics
                .iter()
                .filter(|finding| finding.code.0 / 100 * 100 == *first)
                .collect();
            let (against, noted): (Vec<&Diagnostic>, Vec<&Diagnostic>) =
                found.iter().partition(|finding| findings.counts(finding));
            for finding in &against {
                let rule = codes::explain(finding.code).map_or("", |known| known.title);
                let mut name = format!("{} {rule}", finding.code);
                let times = names.entry(name.clone()).or_default();
                *times += 1;
                if *times > 1 {
                    name = format!("{name} ({times})"); // names are what a history is kept by
                }
                let told = Told::of(finding);
                cases.push(Case {
                    name,
                    outcome: match report.verdict {
                        Verdict::CouldNotTell => Outcome::Broken(told),
                        _ => Outcome::Failed(told),
                    },
                    output: None,
                });
            }
            if against.is_empty()
                && let Some(looked) = looked_at(report, *first)
            {
                let output: Vec<String> = noted.iter().map(|finding| in_full(finding)).collect();
                cases.push(Case {
                    name: (*family).to_owned(),
                    outcome: looked,
                    output: (!output.is_empty()).then(|| output.join("\n\n")),
                });
            }
        }
        if report.verdict == Verdict::CouldNotTell
            && !cases
                .iter()
                .any(|case| matches!(case.outcome, Outcome::Broken(_)))
        {
            cases.push(Case {
                name: "verdict".to_owned(),
                outcome: Outcome::Broken(Told {
                    code: "could not tell".to_owned(),
                    title: "the checkpoint could not be judged".to_owned(),
                    text: text::verdict(report),
                }),
                output: None,
            });
        }
        Suite {
            name: location::slashed(&report.path),
            properties: properties(report),
            cases,
        }
    }

    fn count(&self, like: &Outcome) -> usize {
        let like = std::mem::discriminant(like);
        self.cases
            .iter()
            .filter(|case| std::mem::discriminant(&case.outcome) == like)
            .count()
    }

    fn write<W: Write>(&self, writer: &mut Writer<W>) -> io::Result<()> {
        writer
            .create_element("testsuite")
            .with_attribute(("name", &*held(&self.name)))
            .with_attribute(("tests", self.cases.len().to_string().as_str()))
            .with_attribute((
                "failures",
                self.count(&Outcome::FAILED).to_string().as_str(),
            ))
            .with_attribute(("errors", self.count(&Outcome::BROKEN).to_string().as_str()))
            .with_attribute((
                "skipped",
                self.count(&Outcome::Skipped("")).to_string().as_str(),
            ))
            .write_inner_content(|writer| {
                writer
                    .create_element("properties")
                    .write_inner_content(|writer| {
                        self.properties.iter().try_for_each(|(name, value)| {
                            writer
                                .create_element("property")
                                .with_attribute(("name", *name))
                                .with_attribute(("value", &*held(value)))
                                .write_empty()
                                .map(drop)
                        })
                    })?;
                self.cases
                    .iter()
                    .try_for_each(|case| case.write(&self.name, writer))
            })
            .map(drop)
    }
}

impl Case {
    fn write<W: Write>(&self, suite: &str, writer: &mut Writer<W>) -> io::Result<()> {
        let element = writer
            .create_element("testcase")
            .with_attribute(("classname", &*held(suite)))
            .with_attribute(("name", &*held(&self.name)));
        if matches!(self.outcome, Outcome::Passed) && self.output.is_none() {
            return element.write_empty().map(drop);
        }
        element
            .write_inner_content(|writer| {
                match &self.outcome {
                    Outcome::Passed => {}
                    Outcome::Skipped(reason) => {
                        writer
                            .create_element("skipped")
                            .with_attribute(("message", *reason))
                            .write_empty()?;
                    }
                    Outcome::Failed(told) => failure(writer, "failure", told)?,
                    Outcome::Broken(told) => failure(writer, "error", told)?,
                }
                if let Some(output) = &self.output {
                    writer
                        .create_element("system-out")
                        .write_text_content(BytesText::new(&held(output)))?;
                }
                Ok(())
            })
            .map(drop)
    }
}

fn failure<W: Write>(writer: &mut Writer<W>, element: &str, told: &Told) -> io::Result<()> {
    writer
        .create_element(element)
        .with_attribute(("type", told.code.as_str()))
        .with_attribute(("message", &*held(&told.title)))
        .write_text_content(BytesText::new(&held(&told.text)))
        .map(drop)
}

/// Whether a family without a finding that counts was looked at; nothing where the run has no such family.
fn looked_at(report: &ValidationReport, family: u16) -> Option<Outcome> {
    let opened = report.head.is_some();
    match family {
        100 => Some(Outcome::Passed),
        200 if report.tensors == 0 => Some(Outcome::Skipped("no tensor could be read")),
        200 => Some(Outcome::Passed),
        300 | 400 if !opened => Some(Outcome::Skipped("the head could not be opened")),
        300 | 400 => Some(Outcome::Passed),
        500 if report.runtime.is_none() => None,
        500 if !opened => Some(Outcome::Skipped("the head could not be opened")),
        500 => Some(Outcome::Passed),
        _ => None,
    }
}

fn properties(report: &ValidationReport) -> Vec<(&'static str, String)> {
    let mut properties = vec![("verdict", report.verdict.as_str().to_owned())];
    if let Some(layout) = report.layout {
        properties.push(("layout", layout.to_string()));
    }
    if let Some(verifier) = &report.verifier {
        properties.push(("verifier", location::slashed(verifier)));
    }
    if let Some(runtime) = &report.runtime {
        properties.push(("runtime", text::expectation(runtime)));
    }
    if let Some(silenced) = text::silenced(report) {
        properties.push(("silenced", silenced));
    }
    properties
}

/// A finding as plain text: without colours, and without the line of the file it points at.
fn in_full(finding: &Diagnostic) -> String {
    let level = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "info",
    };
    let mut lines = vec![format!("{level}[{}]: {}", finding.code, finding.title)];
    if let Some(place) = &finding.place {
        lines.push(format!("at {place}"));
    }
    lines.extend(finding.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(finding.help.iter().map(|help| format!("help: {help}")));
    lines.join("\n")
}

/// Text as XML 1.0 can hold it: most control characters have no place in it, not even escaped.
fn held(text: &str) -> Cow<'_, str> {
    let foreign = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    if text.contains(foreign) {
        Cow::Owned(
            text.chars()
                .map(|c| if foreign(c) { '\u{fffd}' } else { c })
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use quick_xml::Reader;
    use speculators_formats::Place;
    use speculators_formats::validate::{ValidateOptions, validate};

    use super::*;

    fn document(reports: Vec<ValidationReport>) -> String {
        let findings = Findings {
            reports,
            deny_warnings: false,
        };
        let mut document = Vec::new();
        write(&findings, &mut document).unwrap();
        String::from_utf8(document).unwrap()
    }

    fn report(directory: &str) -> ValidationReport {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/broken");
        validate(&root.join(directory), None, &ValidateOptions::default())
    }

    /// Every element closed, every entity known.
    fn well_formed(document: &str) -> usize {
        let mut reader = Reader::from_str(document);
        let mut depth = 0_usize;
        let mut elements = 0;
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                Event::Start(_) => {
                    depth += 1;
                    elements += 1;
                }
                Event::Empty(_) => elements += 1,
                Event::End(_) => depth -= 1,
                _ => {}
            }
        }
        assert_eq!(depth, 0);
        elements
    }

    #[test]
    fn what_xml_cannot_hold_is_replaced_and_the_rest_escaped() {
        let mut bad = report("sound");
        bad.path = PathBuf::from("a<b>&\"c\"\u{1}");
        bad.diagnostics = vec![
            Diagnostic::error(codes::TENSOR_MISSING, "]]> \u{0}\u{1b}[31m <&> \"'")
                .at(Place::file("x\ny"))
                .note("\u{ffff}tab\tand\nline"),
        ];
        bad.verdict = Verdict::NotValid;
        let document = document(vec![bad]);
        well_formed(&document);
        assert!(document.contains("a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}"));
        assert!(!document.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
    }

    #[test]
    fn a_sound_head_passes_in_every_family_that_was_looked_at() {
        let document = document(vec![report("sound")]);
        assert_eq!(document.matches("<testcase").count(), 4);
        assert!(!document.contains("<failure") && !document.contains("<error"));
        well_formed(&document);
    }

    #[test]
    fn findings_are_failures_and_what_could_not_be_judged_is_an_error() {
        let document = document(vec![report("S203-head-dim"), report("nowhere")]);
        assert!(document.contains("<failure type=\"S203\""));
        assert!(document.contains("<error type=\"S101\""));
        assert!(document.contains("<skipped message=\"the head could not be opened\"/>"));
        well_formed(&document);
    }
}
