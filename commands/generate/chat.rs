//! A conversation: lines in, answers out.

use std::io::{self, BufRead, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use speculators::text::Message;

use crate::failure::Failure;
use crate::session::Session;

/// How often Ctrl-C is looked for while a line is awaited.
const PATIENCE: Duration = Duration::from_millis(100);

/// What is known to a conversation beside its messages.
pub const HELP: &str =
    "a line is a message; `/clear` begins anew, `/exit` or the end of input ends";

/// What the user has entered.
pub enum Entry {
    /// A message.
    Message(String),
    /// To forget what was said.
    Clear,
    /// To be told what can be entered.
    Help,
    /// The end of the conversation.
    End,
    /// Ctrl-C.
    Interrupt,
}

/// Lines from stdin.
pub struct Lines {
    lines: Receiver<io::Result<String>>,
    /// Whether a person is typing them.
    pub are_typed: bool,
}

impl Lines {
    /// Begins to read. A line is awaited in a thread of its own, because nothing interrupts a system call that waits.
    pub fn read() -> Lines {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Lines {
            lines,
            are_typed: io::stdin().is_terminal(),
        }
    }

    /// The next thing entered.
    pub fn next(&self, session: &Session) -> Result<Entry, Failure> {
        if self.are_typed {
            session.ask("> ");
        }
        let cancelled: &AtomicBool = session.cancelled();
        loop {
            if cancelled.load(Ordering::Relaxed) {
                return Ok(Entry::Interrupt);
            }
            let line = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => line?,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(Entry::End),
            };
            return Ok(match line.trim() {
                "" => continue,
                "/exit" => Entry::End,
                "/clear" => Entry::Clear,
                "/help" => Entry::Help,
                _ => Entry::Message(line),
            });
        }
    }
}

/// Messages of a conversation, the system's first where there is one.
pub struct Conversation {
    system: Option<String>,
    /// The messages so far.
    pub messages: Vec<Message>,
    /// Turns of the user so far.
    pub turn: u32,
}

impl Conversation {
    /// Nothing said yet.
    pub fn new(system: Option<String>) -> Conversation {
        let mut conversation = Conversation {
            system,
            messages: Vec::new(),
            turn: 0,
        };
        conversation.clear();
        conversation
    }

    /// Forgets what was said.
    pub fn clear(&mut self) {
        self.messages.clear();
        let system = self.system.iter().map(|text| message("system", text));
        self.messages.extend(system);
        self.turn = 0;
    }

    /// Adds what the user says.
    pub fn ask(&mut self, text: &str) {
        self.messages.push(message("user", text));
        self.turn += 1;
    }

    /// Adds what was answered.
    pub fn answer(&mut self, text: &str) {
        self.messages.push(message("assistant", text));
    }

    /// Takes the last question back.
    pub fn take_back(&mut self) {
        self.messages.pop();
        self.turn -= 1;
    }
}

fn message(role: &str, content: &str) -> Message {
    [("role", role), ("content", content)]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect()
}
