//! What goes wrong on the way to the Hub, sorted by whether trying again can help.

use std::error::Error as _;
use std::time::Duration;

use hf_hub::HFError;
use speculators_formats::{Diagnostic, codes};

/// Trouble of one request.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// The Hub answered with a status that says no.
    Refused(Refusal),
    /// No answer, or one that was cut.
    Connection(String),
    /// An answer that cannot be used.
    Answer(String),
    /// Nothing to do with the network.
    Local(Box<Diagnostic>),
    /// The user asked to stop.
    Interrupted,
}

/// A status that says no, and what the Hub says with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusal {
    pub status: u16,
    /// `X-Error-Code`, such as `GatedRepo`.
    pub code: String,
    /// `X-Error-Message`, or `error` of the body.
    pub message: String,
    pub retry_after: Option<Duration>,
}

/// The subject of a request, for findings.
pub(super) struct Subject<'a> {
    /// `owner/name@revision`.
    pub repository: String,
    /// Which file, where it is about one.
    pub path: Option<&'a str>,
    /// Address of the Hub.
    pub endpoint: &'a str,
    /// Whether a token was sent.
    pub token: bool,
}

impl Trouble {
    /// Whether another attempt may end better.
    pub fn passes(&self) -> bool {
        match self {
            Trouble::Connection(_) => true,
            Trouble::Refused(refusal) => {
                matches!(refusal.status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            _ => false,
        }
    }

    /// How long the Hub asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Trouble::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// In a few words, for the line that says why something is tried again.
    pub fn brief(&self) -> String {
        match self {
            Trouble::Refused(refusal) => format!("status {}", refusal.status),
            Trouble::Connection(what) | Trouble::Answer(what) => what.clone(),
            Trouble::Local(problem) => problem.title.clone(),
            Trouble::Interrupted => "interrupted".to_owned(),
        }
    }

    /// As a finding; `None` where the user asked to stop.
    pub fn diagnose(self, subject: &Subject<'_>) -> Option<Diagnostic> {
        let what = match subject.path {
            Some(path) => format!("`{path}` of `{}`", subject.repository),
            None => format!("`{}`", subject.repository),
        };
        let at = format!("asked {}", subject.endpoint);
        match self {
            Trouble::Interrupted => None,
            Trouble::Local(problem) => Some(*problem),
            Trouble::Connection(why) => Some(
                Diagnostic::error(codes::HUB_UNREACHABLE, format!("{what} could not be fetched"))
                    .note(why)
                    .note(at)
                    .help("check the network; the same command goes on where it stopped. `--offline` uses what the cache holds"),
            ),
            Trouble::Answer(why) => Some(
                Diagnostic::error(
                    codes::HUB_ANSWER,
                    format!("the answer about {what} cannot be used"),
                )
                .note(why)
                .note(at),
            ),
            Trouble::Refused(refusal) => Some(refusal.diagnose(subject, &what).note(at)),
        }
    }
}

impl Refusal {
    fn diagnose(self, subject: &Subject<'_>, what: &str) -> Diagnostic {
        let sent = if subject.token {
            "a token was sent with the request"
        } else {
            "no token was sent with the request"
        };
        let (status, code) = (self.status, self.code.as_str());
        let problem = match (status, code) {
            (_, "GatedRepo") => Diagnostic::error(
                codes::HUB_DENIED,
                format!(
                    "`{}` is gated, and this user has no access",
                    subject.repository
                ),
            )
            .note(sent)
            .help(format!(
                "accept its conditions at {}/{}, then set `HF_TOKEN` to a token of that user",
                subject.endpoint,
                subject.repository.split('@').next().unwrap_or_default()
            )),
            (_, "RepoNotFound") => Diagnostic::error(
                codes::HUB_MISSING,
                format!(
                    "the Hub shows no repository `{}` to this user",
                    subject.repository
                ),
            )
            .note(sent)
            .help(if subject.repository.contains('/') {
                "check the name; if the repository is private, set `HF_TOKEN`"
            } else {
                "nearly all repositories have an owner: `owner/name`"
            }),
            (_, "RevisionNotFound") => Diagnostic::error(
                codes::HUB_MISSING,
                format!("the Hub has no revision `{}`", subject.repository),
            )
            .help("name a branch, a tag or a full commit behind `@`"),
            (404, _) => Diagnostic::error(codes::HUB_MISSING, format!("the Hub has no {what}"))
                .note(sent)
                .help("check the name; if the repository is private, set `HF_TOKEN`"),
            (401 | 403, _) => Diagnostic::error(
                codes::HUB_DENIED,
                format!("the Hub does not give {what} to this user"),
            )
            .note(sent)
            .help("set `HF_TOKEN` to a valid token of a user with access"),
            (400 | 409 | 412 | 413 | 422, _) => {
                Diagnostic::error(codes::HUB_UPLOAD, format!("the Hub refuses {what}"))
            }
            (429, _) => Diagnostic::error(
                codes::HUB_BUSY,
                format!("the Hub takes no more requests about {what} for now"),
            )
            .help("try later; with a token more requests are allowed"),
            _ => Diagnostic::error(codes::HUB_BUSY, format!("the Hub fails to give {what}"))
                .help("try later; what had arrived is kept"),
        };
        let mut note = format!("status {status}");
        if !code.is_empty() {
            note = format!("{note}, {code}");
        }
        if let Some(wait) = self.retry_after {
            note = format!("{note}, try again in {} s", wait.as_secs());
        }
        let problem = problem.note(note);
        if self.message.is_empty() {
            problem
        } else {
            problem.note(format!("the Hub says: {}", self.message))
        }
    }
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Trouble {
        // Addresses of files carry signatures that open them; they are not for logs.
        let error = error.without_url();
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        if error.is_redirect() || error.is_builder() {
            Trouble::Answer(text)
        } else if error.is_timeout() {
            Trouble::Connection(format!(
                "nothing came within the time that is given to it: {text}"
            ))
        } else if is_malformed(&error) {
            Trouble::Answer(text)
        } else {
            Trouble::Connection(text)
        }
    }
}

/// Whether all of a body arrived and does not parse. What was cut is called a decoding error, too.
fn is_malformed(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<serde_json::Error>() {
            return true;
        }
        source = cause.source();
    }
    false
}

impl From<HFError> for Trouble {
    fn from(error: HFError) -> Trouble {
        let refused = |status, code: Option<String>, message: Option<String>| Refusal {
            status,
            code: code.unwrap_or_default(),
            message: shortened(message.as_deref().unwrap_or_default()),
            retry_after: None,
        };
        // What the library concludes from a status alone, where the Hub says nothing more exact.
        let missing = |code: &str| refused(404, Some(code.to_owned()), None);
        let refusal = match error {
            HFError::Http { context }
            | HFError::AuthRequired { context }
            | HFError::Forbidden { context }
            | HFError::Conflict { context } => refused(
                context.status.as_u16(),
                context.error_code,
                context.server_message,
            ),
            HFError::RateLimited {
                retry_after,
                context,
            } => Refusal {
                retry_after,
                ..refused(429, context.error_code, context.server_message)
            },
            HFError::RepoNotFound { context, .. } => match context {
                Some(context) => refused(404, context.error_code, context.server_message),
                None => missing("RepoNotFound"),
            },
            HFError::RevisionNotFound { context, .. } => match context {
                Some(context) => refused(404, context.error_code, context.server_message),
                None => missing("RevisionNotFound"),
            },
            HFError::EntryNotFound { .. } => missing("EntryNotFound"),
            HFError::Request { source, .. } => return source.into(),
            HFError::Io(error) => return Trouble::Connection(error.to_string()),
            other => return Trouble::Answer(other.to_string()),
        };
        Trouble::Refused(refusal)
    }
}

/// The first line of what a server says, as far as anybody reads.
pub(super) fn shortened(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.chars()
        .filter(|char| !char.is_control())
        .take(300)
        .collect()
}
