//! The Hub of the tests as a program, for `curl` and for Python:
//!
//! ```console
//! $ cargo run --example hub -- ROOT [--port N] [--token T] [--page N] [--part N] [--fault SPEC]…
//! ```
//!
//! It prints the endpoint, the storage's address on a second line, and runs until it is killed.
//! `control.rs` lists the addresses by which it is steered, `faults.rs` how a fault is written.

#[path = "mod.rs"]
mod hub;

use std::io::{self, Write};
use std::path::PathBuf;

use hub::{Fault, Hub};

/// What is to be done to a server that has started.
type Setting = Box<dyn Fn(&Hub)>;

fn main() -> io::Result<()> {
    let mut words = std::env::args().skip(1);
    let usage = || {
        io::Error::other(
            "usage: hub ROOT [--port N] [--token T] [--page N] [--part N] [--fault SPEC]…",
        )
    };
    let root = PathBuf::from(words.next().ok_or_else(usage)?);
    let mut port = 0;
    let mut settings: Vec<Setting> = Vec::new();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(usage)?;
        match word.as_str() {
            "--port" => port = value.parse().map_err(io::Error::other)?,
            "--token" => settings.push(Box::new(move |hub| hub.require(&value))),
            "--page" => {
                let entries = value.parse().map_err(io::Error::other)?;
                settings.push(Box::new(move |hub| hub.page(entries)));
            }
            "--part" => {
                let bytes = value.parse().map_err(io::Error::other)?;
                settings.push(Box::new(move |hub| hub.part(bytes)));
            }
            "--fault" => {
                let fault = Fault::parse(&value).map_err(io::Error::other)?;
                settings.push(Box::new(move |hub| hub.fault(fault.clone())));
            }
            _ => return Err(usage()),
        }
    }
    let hub = Hub::start_at(&root, port)?;
    for set in settings {
        set(&hub);
    }
    let mut output = io::stdout().lock();
    writeln!(output, "{}", hub.endpoint())?;
    writeln!(output, "{}", hub.cdn())?;
    output.flush()?;
    loop {
        std::thread::park();
    }
}
