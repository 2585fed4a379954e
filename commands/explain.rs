//! `speculators explain`: what a diagnostic code means.

use std::io::Write;

use clap::Args;
use speculators_formats::{Diagnostic, codes};

use crate::failure::{Exit, Outcome};
use crate::session::Session;

/// Explain a diagnostic code
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  speculators explain S404\n  speculators explain")]
pub struct ExplainArguments {
    /// The code, such as S404; without one, all codes are listed
    pub code: Option<String>,
}

/// Runs the command.
pub fn run(arguments: &ExplainArguments, session: &Session) -> Outcome {
    let mut stdout = session.stdout();
    let Some(wanted) = &arguments.code else {
        for explanation in codes::ALL {
            writeln!(stdout, "{}  {}", explanation.code, explanation.title)?;
        }
        return Ok(Exit::Yes);
    };
    let found = wanted.parse().ok().and_then(codes::explain);
    let Some(explanation) = found else {
        return Err(Diagnostic::error(
            codes::USAGE,
            format!("`{wanted}` is not a diagnostic code"),
        )
        .help("`speculators explain` without a code lists them all")
        .into());
    };
    writeln!(
        stdout,
        "{}: {}\n\n{}",
        explanation.code,
        explanation.title,
        wrap(explanation.text)
    )?;
    Ok(Exit::Yes)
}

const WIDTH: usize = 88;

/// Fills paragraphs to the help's width; blank lines separate paragraphs, indented lines stand as they are.
fn wrap(text: &str) -> String {
    let mut output = String::new();
    let mut width = 0;
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with("  ") {
            if width > 0 {
                output.push('\n');
                width = 0;
            }
            output.push_str(line.trim_end());
            output.push('\n');
            continue;
        }
        for word in line.split_whitespace() {
            if width > 0 && width + 1 + word.chars().count() > WIDTH {
                output.push('\n');
                width = 0;
            }
            if width > 0 {
                output.push(' ');
                width += 1;
            }
            output.push_str(word);
            width += word.chars().count();
        }
    }
    output.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_filled_and_indented_lines_stand() {
        let text = "one two\nthree\n\n  as it stands\nfour";
        assert_eq!(wrap(text), "one two three\n\n  as it stands\nfour");
    }
}
