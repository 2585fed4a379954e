//! Names of repositories, as people type them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use speculators_formats::{Diagnostic, codes};

/// What is fetched where no revision is named.
pub const DEFAULT_REVISION: &str = "main";

/// A model repository, `owner/name` or, for the oldest ones, `name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepositoryId(String);

/// A repository at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Which one.
    pub id: RepositoryId,
    /// Branch, tag or commit, where one is named.
    pub revision: Option<String>,
}

impl RepositoryId {
    /// `owner/name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Owner (empty for the oldest repositories) and name.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').unwrap_or(("", &self.0))
    }

    /// The name without its owner.
    #[must_use]
    pub fn name(&self) -> &str {
        self.parts().1
    }
}

impl fmt::Display for RepositoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RepositoryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl FromStr for RepositoryId {
    type Err = Diagnostic;

    /// By the rules of the Hub's clients.
    fn from_str(text: &str) -> Result<RepositoryId, Diagnostic> {
        let refuse = |why: String| {
            Err(Diagnostic::error(
                codes::HUB_NAME,
                format!("`{text}` is not a name of a repository"),
            )
            .note(why)
            .help(
                "a repository is named `owner/name`, with `@revision` behind it where one is meant",
            ))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() > 2 {
            return refuse(format!(
                "it has {} slashes; `owner/name` has one",
                parts.len() - 1
            ));
        }
        for part in parts {
            let allowed = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
            if part.is_empty() || part.len() > 96 {
                return refuse(format!(
                    "each part has 1 to 96 characters, `{part}` has {}",
                    part.len()
                ));
            }
            if let Some(char) = part.chars().find(|char| !allowed(*char)) {
                return refuse(format!("`{char}` is not allowed in it"));
            }
            if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
                return refuse("it begins or ends with `-` or `.`".to_owned());
            }
            if part.contains("--") || part.contains("..") || part.ends_with(".git") {
                return refuse("it has `--`, `..` or ends in `.git`".to_owned());
            }
        }
        Ok(RepositoryId(text.to_owned()))
    }
}

impl Repository {
    /// The revision, or the one that stands for none.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.revision {
            Some(revision) => write!(f, "{}@{revision}", self.id),
            None => self.id.fmt(f),
        }
    }
}

impl FromStr for Repository {
    type Err = Diagnostic;

    /// Takes `owner/name`, `owner/name@revision`, and the address of a repository's page as a browser shows it.
    fn from_str(text: &str) -> Result<Repository, Diagnostic> {
        let page = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .and_then(|address| address.split_once('/'));
        let (id, revision) = if let Some((_, path)) = page {
            let path = path.trim_end_matches('/');
            match path.split_once("/tree/") {
                Some((id, revision)) => (id, Some(revision)),
                None => (path, None),
            }
        } else {
            let text = text.strip_prefix("hf://").unwrap_or(text);
            match text.split_once('@') {
                Some((id, revision)) => (id, Some(revision)),
                None => (text, None),
            }
        };
        let id = id.parse()?;
        let revision = revision.map(self::revision).transpose()?;
        Ok(Repository { id, revision })
    }
}

/// Checks a branch, tag or commit.
///
/// # Errors
/// S520 where it cannot be one, by what git allows.
pub fn revision(text: &str) -> Result<String, Diagnostic> {
    let odd = |char: char| char.is_ascii_control() || " ~^:?*[\\".contains(char);
    let segments = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    if text.len() <= 255
        && !text.contains("..")
        && !text.contains(odd)
        && !text.split('/').any(segments)
    {
        return Ok(text.to_owned());
    }
    Err(
        Diagnostic::error(codes::HUB_NAME, format!("`{text}` cannot be a revision"))
            .note("a revision is a branch, a tag or a commit"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_revision() {
        for (text, id, revision) in [
            ("a/b", "a/b", None),
            ("gpt2", "gpt2", None),
            ("a/b@v1.0", "a/b", Some("v1.0")),
            ("a/b@refs/pr/3", "a/b", Some("refs/pr/3")),
            ("https://huggingface.co/a/b", "a/b", None),
            (
                "https://huggingface.co/a/b/tree/dev/x/",
                "a/b",
                Some("dev/x"),
            ),
        ] {
            let parsed: Repository = text.parse().unwrap();
            assert_eq!(
                (parsed.id.as_str(), parsed.revision.as_deref()),
                (id, revision)
            );
        }
    }

    #[test]
    fn what_is_no_name() {
        for text in [
            "",
            "a/",
            "/b",
            "a/b/c",
            "a b/c",
            "a--b/c",
            "../b",
            "a/.b",
            "a/b.git",
            "a/b@",
            "a/b@x..y",
            "a/b@../../etc",
        ] {
            let problem = text.parse::<Repository>().unwrap_err();
            assert_eq!(problem.code, codes::HUB_NAME, "{text}");
        }
    }
}
