//! Reports that people look at: one HTML page that stands alone, and Markdown for a model card. Every sentence on them
//! is computed from the report, and they hold nothing that the report does not.

mod charts;
mod comparison;
mod drawing;
mod figures;
mod numbers;
mod report;
mod table;
mod words;

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde::Serialize;
use speculators_formats::{Diagnostic, codes};

use crate::Result;
use crate::evaluation::{Report, RunComparison};

/// The form of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageForm {
    /// One HTML page with charts, which loads nothing.
    Html,
    /// Markdown, for a model card or a comment.
    Markdown,
}

const TEMPLATES: [(&str, &str); 7] = [
    ("report.html.j2", include_str!("templates/report.html.j2")),
    (
        "comparison.html.j2",
        include_str!("templates/comparison.html.j2"),
    ),
    ("parts.html.j2", include_str!("templates/parts.html.j2")),
    ("style.css", include_str!("templates/style.css")),
    ("parts.md.j2", include_str!("templates/parts.md.j2")),
    ("report.md.j2", include_str!("templates/report.md.j2")),
    (
        "comparison.md.j2",
        include_str!("templates/comparison.md.j2"),
    ),
];

impl PageForm {
    /// By the ending of a file's name.
    #[must_use]
    pub fn of(path: &Path) -> Option<PageForm> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "html" | "htm" => Some(PageForm::Html),
            "md" | "markdown" => Some(PageForm::Markdown),
            _ => None,
        }
    }

    /// The page of a report.
    ///
    /// # Errors
    /// S001 where a template fails; that is a fault of the program.
    pub fn report(self, report: &Report) -> Result<String> {
        let template = match self {
            PageForm::Html => "report.html.j2",
            PageForm::Markdown => "report.md.j2",
        };
        render(template, &report::view(report))
    }

    /// The page of a comparison.
    ///
    /// # Errors
    /// S001 where a template fails; that is a fault of the program.
    pub fn comparison(self, comparison: &RunComparison) -> Result<String> {
        let template = match self {
            PageForm::Html => "comparison.html.j2",
            PageForm::Markdown => "comparison.md.j2",
        };
        render(template, &comparison::view(comparison))
    }
}

/// HTML is escaped by the ending of the template's name; in Markdown the filter `cell` does what tables need.
fn render(template: &str, view: &impl Serialize) -> Result<String> {
    let fault = |error: minijinja::Error| -> crate::Error {
        Diagnostic::error(codes::USAGE, "the page cannot be written")
            .note(format!("{error:#}"))
            .into()
    };
    let mut environment = Environment::new();
    // A block on a line of its own leaves no line behind.
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    environment.set_syntax(syntax.map_err(fault)?);
    environment.add_filter("cell", |text: String| cell(&text));
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).map_err(fault)?;
    }
    environment
        .get_template(template)
        .and_then(|template| template.render(Value::from(Serde(view))))
        .map_err(fault)
}

/// Text that neither ends a cell of a Markdown table nor means anything in it.
fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' | '\t' => escaped.push(' '),
            '|' | '\\' | '*' | '_' | '`' | '[' | ']' | '#' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
