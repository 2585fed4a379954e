//! Where the text goes as it comes: to stdout, with marks for what the head has drafted if they were asked for.

use std::io::{self, IsTerminal, StdoutLock, Write};

use clap::ValueEnum;

use crate::session::Session;

const ACCEPTED: &str = "\u{1b}[32m";
const OWN: &str = "\u{1b}[1;34m";
const PLAIN: &str = "\u{1b}[0m";

/// How accepted draft tokens are told from the verifier's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Marks {
    /// Green for accepted draft tokens, bold blue for the verifier's own
    Color,
    /// Brackets around accepted draft tokens
    Brackets,
}

impl Marks {
    /// What can be shown of them where they were asked for; tells what they mean, or why there are none.
    pub fn settle(asked: Option<Marks>, session: &Session) -> Option<Marks> {
        match asked? {
            Marks::Color if !session.colors_answer() => {
                session.say(
                    "accepted draft tokens are not marked: stdout takes no colors \
                     (`--show-accepted=brackets` needs none)",
                );
                return None;
            }
            Marks::Color => session.say(&format!(
                "{ACCEPTED}accepted draft tokens{PLAIN}, {OWN}the verifier's own{PLAIN}"
            )),
            Marks::Brackets => session.say("[accepted draft tokens], the verifier's own"),
        }
        asked
    }
}

/// The text on its way to stdout.
pub struct Screen {
    stdout: StdoutLock<'static>,
    marks: Option<Marks>,
    /// Text from strangers' weights is not to command a terminal.
    is_terminal: bool,
    /// Who made the text that was written last.
    drafted: Option<bool>,
    ends_line: bool,
}

impl Screen {
    /// Nothing is written yet.
    pub fn new(marks: Option<Marks>) -> Screen {
        let stdout = io::stdout();
        Screen {
            is_terminal: stdout.is_terminal(),
            stdout: stdout.lock(),
            marks,
            drafted: None,
            ends_line: false,
        }
    }

    /// Writes a piece of text, and who made it. It is seen after [`Screen::flush`].
    pub fn write(&mut self, piece: &str, drafted: bool) -> io::Result<()> {
        let Some(last) = piece.chars().last() else {
            return Ok(());
        };
        self.ends_line = last == '\n';
        if self.drafted != Some(drafted) {
            self.change(Some(drafted))?;
        }
        if !self.is_terminal {
            return self.stdout.write_all(piece.as_bytes());
        }
        for letter in piece.chars() {
            if letter.is_control() && !matches!(letter, '\n' | '\t') {
                write!(self.stdout, "{}", letter.escape_debug())?;
            } else {
                write!(self.stdout, "{letter}")?;
            }
        }
        Ok(())
    }

    /// Lets the reader have what was written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// Ends a text, and its last line if it has not ended.
    pub fn end(&mut self) -> io::Result<()> {
        self.change(None)?;
        if !std::mem::take(&mut self.ends_line) {
            writeln!(self.stdout)?;
        }
        self.flush()
    }

    fn change(&mut self, drafted: Option<bool>) -> io::Result<()> {
        let before = std::mem::replace(&mut self.drafted, drafted);
        let mark = match (self.marks, before, drafted) {
            (None, ..) => "",
            (Some(Marks::Color), _, Some(true)) => ACCEPTED,
            (Some(Marks::Color), _, Some(false)) => OWN,
            (Some(Marks::Color), Some(_), None) => PLAIN,
            (Some(Marks::Brackets), _, Some(true)) => "[",
            (Some(Marks::Brackets), Some(true), _) => "]",
            _ => "",
        };
        // The style before is not to shine through.
        if self.marks == Some(Marks::Color) && before.is_some() && drafted.is_some() {
            self.stdout.write_all(PLAIN.as_bytes())?;
        }
        self.stdout.write_all(mark.as_bytes())
    }
}
