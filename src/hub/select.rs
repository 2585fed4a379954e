//! Which files of a repository are meant.

use globset::{Glob, GlobSet, GlobSetBuilder};
use speculators_formats::{Diagnostic, codes};

/// Patterns over paths in a repository. `*` matches slashes too, as in Python's client; a pattern that ends in a slash
/// stands for everything below.
#[derive(Clone, Debug)]
pub struct Selection {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Selection {
    /// Everything that one of `include` matches, or everything where there is none, without what one of `exclude` matches.
    ///
    /// # Errors
    /// S519 for a pattern that is none.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Selection, Diagnostic> {
        let include = if include.is_empty() {
            None
        } else {
            Some(set(include)?)
        };
        Ok(Selection {
            include,
            exclude: set(exclude)?,
        })
    }

    /// Whether a path is meant.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        self.include.as_ref().is_none_or(|set| set.is_match(path)) && !self.exclude.is_match(path)
    }
}

fn set(patterns: &[String]) -> Result<GlobSet, Diagnostic> {
    let refuse = |error: globset::Error| {
        Diagnostic::error(codes::HUB_SELECTION, "a pattern cannot be used").note(error.to_string())
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let whole = if pattern.ends_with('/') {
            format!("{pattern}*")
        } else {
            pattern.clone()
        };
        set.add(Glob::new(&whole).map_err(refuse)?);
    }
    set.build().map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(include: &[&str], exclude: &[&str]) -> Selection {
        let own = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        Selection::new(&own(include), &own(exclude)).unwrap()
    }

    #[test]
    fn patterns_match_whole_paths_across_slashes() {
        let all = select(&[], &[]);
        assert!(all.takes("a/b.json"));
        let some = select(&["*.json", "original/"], &["*secret*"]);
        for (path, taken) in [
            ("config.json", true),
            ("a/b.json", true),
            ("original/weights.pth", true),
            ("model.safetensors", false),
            ("a/secret.json", false),
        ] {
            assert_eq!(some.takes(path), taken, "{path}");
        }
        assert!(Selection::new(&["[".to_owned()], &[]).is_err());
    }
}
