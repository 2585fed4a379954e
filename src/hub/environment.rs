//! The environment that users of the Hub know, read as Python's `huggingface_hub` reads it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use speculators_formats::{Diagnostic, codes};

/// What the Hub's clients are told by their environment.
#[derive(Clone)]
pub struct Environment {
    /// Where tools of the Hub keep things (`HF_HOME`).
    pub home: PathBuf,
    /// Root of the shared cache (`HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `hub` in `HF_HOME`).
    pub cache: PathBuf,
    /// Address of the Hub (`HF_ENDPOINT`), without a slash at its end.
    pub endpoint: String,
    /// What opens private repositories (`HF_TOKEN`, the file `HF_TOKEN_PATH`, `token` in `HF_HOME`).
    pub token: Option<Token>,
    /// The network may not be used (`HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`).
    pub offline: bool,
    /// How long nothing may arrive (`HF_HUB_DOWNLOAD_TIMEOUT`).
    pub timeout: Duration,
    /// Added to the user agent (`HF_HUB_USER_AGENT_ORIGIN`).
    pub origin: Option<String>,
}

/// A secret: it can be sent, and cannot be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: String,
    /// Where it was found.
    pub source: TokenSource,
}

/// Where a token was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// This variable.
    Variable(&'static str),
    /// This file.
    File(PathBuf),
}

impl Token {
    /// For the `Authorization` header only.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a token from {:?}", self.source)
    }
}

impl Environment {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// S001 for a variable that cannot be used: an endpoint that is no address, a timeout that is no number, a token with
    /// characters no header can have.
    pub fn read() -> Result<Environment, Diagnostic> {
        Environment::from_variables(&std::env::vars().collect())
    }

    /// Whether progress bars are not wanted (`HF_HUB_DISABLE_PROGRESS_BARS`).
    #[must_use]
    pub fn bars_are_disabled() -> bool {
        std::env::var("HF_HUB_DISABLE_PROGRESS_BARS").is_ok_and(|value| is_true(&value))
    }

    /// The same from given variables.
    ///
    /// # Errors
    /// As [`Environment::read`].
    pub fn from_variables(variables: &HashMap<String, String>) -> Result<Environment, Diagnostic> {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        let truth = |name: &str| get(name).is_some_and(|value| is_true(value));
        let user = get("HOME").map(PathBuf::from);
        let expand = |path: &String| expanded(path, user.as_deref());
        let home = match (get("HF_HOME"), get("XDG_CACHE_HOME")) {
            (Some(home), _) => expand(home),
            (None, Some(caches)) => expand(caches).join("huggingface"),
            (None, None) => expanded("~/.cache/huggingface", user.as_deref()),
        };
        let cache = get("HF_HUB_CACHE")
            .or_else(|| get("HUGGINGFACE_HUB_CACHE"))
            .map_or_else(|| home.join("hub"), expand);
        let endpoint = get("HF_ENDPOINT").map_or("https://huggingface.co", String::as_str);
        let endpoint = endpoint.trim_end_matches('/');
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return Err(unusable(
                "HF_ENDPOINT",
                format!("`{endpoint}` does not begin with `https://` or `http://`"),
            ));
        }
        let seconds = match get("HF_HUB_DOWNLOAD_TIMEOUT") {
            None => 10,
            Some(text) => text
                .trim()
                .parse()
                .ok()
                .filter(|seconds| *seconds > 0)
                .ok_or_else(|| {
                    unusable(
                        "HF_HUB_DOWNLOAD_TIMEOUT",
                        format!("`{text}` is not a positive number of seconds"),
                    )
                })?,
        };
        let token = if truth("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            None
        } else {
            let path = get("HF_TOKEN_PATH").map_or_else(|| home.join("token"), expand);
            token(&get, path)?
        };
        Ok(Environment {
            home,
            cache,
            endpoint: endpoint.to_owned(),
            token,
            offline: truth("HF_HUB_OFFLINE") || truth("TRANSFORMERS_OFFLINE"),
            timeout: Duration::from_secs(seconds),
            origin: get("HF_HUB_USER_AGENT_ORIGIN").cloned(),
        })
    }
}

fn token<'a>(
    get: &impl Fn(&str) -> Option<&'a String>,
    path: PathBuf,
) -> Result<Option<Token>, Diagnostic> {
    for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        if let Some(text) = get(name) {
            let source = TokenSource::Variable(name);
            // hf-hub would send a blank one.
            return checked(text, source)?
                .ok_or_else(|| unusable(name, "it holds nothing but blanks".to_owned()))
                .map(Some);
        }
    }
    match fs_err::read_to_string(&path) {
        Ok(text) => checked(&text, TokenSource::File(path)),
        Err(_) => Ok(None),
    }
}

fn checked(text: &str, source: TokenSource) -> Result<Option<Token>, Diagnostic> {
    let secret = text.trim().to_owned();
    if secret.is_empty() {
        return Ok(None);
    }
    if !secret.chars().all(|char| char.is_ascii_graphic()) {
        let place = match &source {
            TokenSource::Variable(name) => (*name).to_owned(),
            TokenSource::File(path) => path.display().to_string(),
        };
        // The value itself is not shown.
        return Err(unusable(
            &place,
            "the token has blanks or characters that cannot be sent".to_owned(),
        ));
    }
    Ok(Some(Token { secret, source }))
}

/// As Python's client takes truth values: 1, on, yes, true, in any case.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

fn expanded(path: &str, user: Option<&Path>) -> PathBuf {
    match (path.strip_prefix('~'), user) {
        (Some(rest), Some(user)) if rest.is_empty() || rest.starts_with('/') => {
            user.join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(path),
    }
}

fn unusable(name: &str, why: String) -> Diagnostic {
    Diagnostic::error(codes::USAGE, format!("`{name}` cannot be used")).note(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Environment, Diagnostic> {
        let pairs = pairs.iter().chain(&[("HOME", "/home/me")]);
        Environment::from_variables(
            &pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn places_of_the_cache() {
        for (pairs, cache) in [
            (&[][..], "/home/me/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (
                &[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "~/h")],
                "/home/me/h/hub",
            ),
            (&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/c")], "/c"),
            (
                &[("HUGGINGFACE_HUB_CACHE", "/c"), ("HF_HUB_CACHE", "/d")],
                "/d",
            ),
        ] {
            assert_eq!(read(pairs).unwrap().cache, PathBuf::from(cache));
        }
    }

    #[test]
    fn tokens_are_found_in_order_and_never_shown() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("token");
        fs_err::write(&path, "hf_file\n").unwrap();
        let home = home.path().to_str().unwrap();
        let found = read(&[("HF_HOME", home)]).unwrap().token.unwrap();
        assert_eq!(found.secret(), "hf_file");
        let variable = [("HF_HOME", home), ("HF_TOKEN", "hf_secret")];
        let found = read(&variable).unwrap().token.unwrap();
        assert_eq!(found.secret(), "hf_secret");
        assert!(!format!("{found:?}").contains("secret"));
        let disabled = [
            ("HF_HOME", home),
            ("HF_TOKEN", "hf_secret"),
            ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "YES"),
        ];
        assert_eq!(read(&disabled).unwrap().token, None);
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_showing_a_token() {
        for pairs in [
            [("HF_ENDPOINT", "huggingface.co")],
            [("HF_HUB_DOWNLOAD_TIMEOUT", "0")],
            [("HF_HUB_DOWNLOAD_TIMEOUT", "soon")],
            [("HF_TOKEN", "  ")],
            [("HF_TOKEN", "hf_a hf_b")],
        ] {
            let problem = read(&pairs).err().unwrap();
            assert_eq!(problem.code, codes::USAGE);
            assert!(!format!("{problem:?}").contains("hf_a"));
        }
    }
}
