//! Paths as pipelines want them: relative to where the program was started, with forward slashes.

use std::env;
use std::path::{Component, Path, PathBuf};

/// The path below the working directory, if it is there; else as it was given.
pub(super) fn relative(path: &Path) -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    below(path, &here)
}

fn below(path: &Path, here: &Path) -> PathBuf {
    let shown = path.strip_prefix(here).unwrap_or(path);
    let parts = shown.components();
    parts
        .filter(|part| !matches!(part, Component::CurDir))
        .collect()
}

/// The path as text with forward slashes.
pub(super) fn slashed(path: &Path) -> String {
    relative(path).display().to_string().replace('\\', "/")
}

/// The path as a URI reference: relative where it lies below the working directory, else `file://`.
pub(super) fn uri(path: &Path) -> String {
    reference(&relative(path))
}

fn reference(path: &Path) -> String {
    let mut uri = String::new();
    for part in path.components() {
        let bytes: &[u8] = match part {
            Component::Prefix(prefix) => prefix.as_os_str().as_encoded_bytes(),
            Component::RootDir | Component::CurDir => continue,
            Component::ParentDir => b"..",
            Component::Normal(name) => name.as_encoded_bytes(),
        };
        if !uri.is_empty() {
            uri.push('/');
        }
        encode(bytes, &mut uri);
    }
    if path.is_absolute() {
        format!("file:///{uri}")
    } else if uri.is_empty() {
        ".".to_owned()
    } else {
        uri
    }
}

/// Keeps what RFC 3986 calls unreserved and escapes every other byte, colons included: a reference that begins with
/// `a:b` would be read as a scheme.
fn encode(bytes: &[u8], uri: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push('%');
            for digit in [byte >> 4, byte & 15] {
                uri.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_the_working_directory_are_relative() {
        let here = Path::new("/home/user/repo");
        let shown = |path: &str| below(Path::new(path), here).display().to_string();
        assert_eq!(shown("/home/user/repo/heads/a"), "heads/a");
        assert_eq!(shown("./heads/./a/"), "heads/a");
        assert_eq!(shown("../heads/a"), "../heads/a");
        assert_eq!(shown("/elsewhere/a"), "/elsewhere/a");
    }

    #[test]
    fn uris_escape_what_a_uri_cannot_hold() {
        let uri = |path: &str| reference(Path::new(path));
        assert_eq!(uri("heads/a/config.json"), "heads/a/config.json");
        assert_eq!(uri("my heads/50%#1?.json"), "my%20heads/50%25%231%3F.json");
        assert_eq!(uri("c:d/ü"), "c%3Ad/%C3%BC");
        assert_eq!(uri("../a"), "../a");
        assert_eq!(uri("/srv/a b"), "file:///srv/a%20b");
        assert_eq!(uri(""), ".");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_text_keep_their_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"a\xff");
        assert_eq!(reference(Path::new(name)), "a%FF");
    }
}
