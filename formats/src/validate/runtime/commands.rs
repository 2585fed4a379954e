//! Command lines that serve a head, ready to be pasted into a shell.

use std::path::Path;

use super::Subject;

/// Stands for the verifier where neither the caller nor the config names one.
const VERIFIER: &str = "VERIFIER";

/// The verifier as a command would name it: the one that was given, else the one the config names.
pub(super) fn verifier(subject: &Subject<'_>) -> String {
    if let Some((_, path)) = subject.verifier {
        return quoted(&path.display().to_string());
    }
    match subject.config.verifier_name() {
        Some(name) if !name.is_empty() => quoted(name),
        _ => VERIFIER.to_owned(),
    }
}

/// The checkpoint as a command would name it.
pub(super) fn directory(dir: &Path) -> String {
    quoted(&dir.display().to_string())
}

/// One word for a POSIX shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+=:@,%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The attention windows of a head's layers, in words.
pub(super) fn windows(windows: &[Option<usize>]) -> String {
    let each = windows.iter().map(|window| match window {
        Some(width) => format!("{width} tokens"),
        None => "no window".to_owned(),
    });
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_or_read_them() {
        assert_eq!(quoted("models/llama-3.1"), "models/llama-3.1");
        assert_eq!(quoted("my models"), "'my models'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$HOME"), "'$HOME'");
    }
}
