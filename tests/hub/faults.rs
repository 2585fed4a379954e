//! Misbehaviour on demand: what goes wrong, for which requests, how many times.

use std::fmt;
use std::time::Duration;

/// The two doors of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The API and the files that are not in LFS.
    Hub,
    /// The storage that the Hub redirects to.
    Cdn,
}

impl fmt::Display for Door {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Hub => "hub",
            Self::Cdn => "cdn",
        })
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An answer that refuses.
    Status(u16),
    /// The connection ends after this many bytes of the body.
    Cut(u64),
    /// `Content-Length` is off by this many bytes; the body is as it should be.
    Length(i64),
    /// One bit of the byte at this offset of the file is wrong.
    Flip(u64),
    /// `ETag` and `X-Linked-ETag` are this.
    Etag(String),
    /// The body comes in pieces of so many bytes with a pause after each.
    Drip(usize, Duration),
    /// The answer is 200 with this JSON, whatever was asked.
    Answer(String),
    /// The request is read and never answered.
    Silence,
    /// The answer redirects to itself.
    Loop,
    /// `Range` is not honoured: the answer is 200 with the whole file.
    WholeFile,
}

/// A rule: what goes wrong, and for which requests. Built up like
/// `Fault::new(Kind::Cut(1000)).path("model").at(Door::Cdn).times(2)`.
#[derive(Debug, Clone)]
pub struct Fault {
    pub kind: Kind,
    /// `X-Error-Code` of a refusal.
    pub code: Option<String>,
    /// `X-Error-Message` of a refusal.
    pub message: Option<String>,
    /// `Retry-After` of a refusal, in seconds.
    pub retry_after: Option<u64>,
    path: String,
    door: Option<Door>,
    method: Option<String>,
    skip: usize,
    times: Option<usize>,
}

impl Fault {
    /// A fault of every request, until it is narrowed down.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            code: None,
            message: None,
            retry_after: None,
            path: String::new(),
            door: None,
            method: None,
            skip: 0,
            times: None,
        }
    }

    /// Only requests whose decoded path or query contains this. The query of the storage's
    /// addresses holds the name of the file, so that one word fits both doors.
    pub fn path(mut self, part: &str) -> Self {
        part.clone_into(&mut self.path);
        self
    }

    /// Only requests at this door.
    pub fn at(mut self, door: Door) -> Self {
        self.door = Some(door);
        self
    }

    /// Only requests of this method.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Not the first `count` requests that fit.
    pub fn after(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Only so many requests; without it, all of them.
    pub fn times(mut self, count: usize) -> Self {
        self.times = Some(count);
        self
    }

    /// What the refusal says: `X-Error-Code` and `X-Error-Message`.
    pub fn says(mut self, code: &str, message: &str) -> Self {
        self.code = Some(code.to_owned());
        self.message = Some(message.to_owned());
        self
    }

    /// `Retry-After` of a refusal.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Whether the rule applies to a request; a request that fits is counted.
    pub fn applies(&mut self, door: Door, method: &str, target: &str) -> bool {
        let fits = target.contains(&self.path)
            && self.door.is_none_or(|wanted| wanted == door)
            && self.method.as_ref().is_none_or(|wanted| wanted == method);
        if !fits || self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.map(|left| left - 1);
        true
    }

    /// Reads a rule as the command line has it: `status=429,retry-after=1,path=config.json,times=2`.
    /// What goes wrong is one of `status=N`, `cut=BYTES`, `length=±BYTES`, `flip=OFFSET`, `etag=TEXT`,
    /// `drip=BYTES/MILLISECONDS`, `silence`, `loop` and `whole-file`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut kind = None;
        let mut fault = Self::new(Kind::Silence);
        for word in text.split(',').map(str::trim) {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "status" => kind = Some(Kind::Status(number(key, value)?)),
                "cut" => kind = Some(Kind::Cut(number(key, value)?)),
                "length" => kind = Some(Kind::Length(number(key, value)?)),
                "flip" => kind = Some(Kind::Flip(number(key, value)?)),
                "etag" => kind = Some(Kind::Etag(value.to_owned())),
                "drip" => {
                    let (bytes, pause) = value.split_once('/').unwrap_or((value, "10"));
                    let pause = Duration::from_millis(number(key, pause)?);
                    kind = Some(Kind::Drip(number(key, bytes)?, pause));
                }
                "silence" => kind = Some(Kind::Silence),
                "loop" => kind = Some(Kind::Loop),
                "whole-file" => kind = Some(Kind::WholeFile),
                "path" => fault = fault.path(value),
                "on" if value == "hub" => fault = fault.at(Door::Hub),
                "on" if value == "cdn" => fault = fault.at(Door::Cdn),
                "method" => fault = fault.method(value),
                "after" => fault = fault.after(number(key, value)?),
                "times" => fault = fault.times(number(key, value)?),
                "code" => fault.code = Some(value.to_owned()),
                "message" => fault.message = Some(value.to_owned()),
                "retry-after" => fault = fault.retry_after(number(key, value)?),
                _ => return Err(format!("`{word}` is no part of a fault")),
            }
        }
        fault.kind = kind.ok_or_else(|| format!("`{text}` does not say what goes wrong"))?;
        Ok(fault)
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("`{key}={value}` is not a number"))
}
