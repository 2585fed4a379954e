//! SHA-256 of files and of bytes: how a provenance record says which weights it means.
//!
//! It is the sum the Hub shows for each large file and the one in Git LFS pointers, so that it can be compared without
//! either download.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::config::unreadable;
use crate::diagnostic::Diagnostic;

/// Bytes per read: large enough that the system call costs nothing beside the sum, small enough to stay in the cache.
const CHUNK: usize = 1 << 20;

/// A SHA-256 sum; shown and serialized as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The sum of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The sum of a file. `progress` is told the bytes read so far, and may break it off: then there is no sum.
    ///
    /// The file is read rather than mapped: a file that shrinks meanwhile is an error here and a crash there.
    ///
    /// # Errors
    /// S101 when the file cannot be read.
    pub fn of_file(
        path: &Path,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Option<Digest>, Diagnostic> {
        let failed = |error: &std::io::Error| unreadable(path, error);
        let mut file = fs_err::File::open(path).map_err(|error| failed(&error))?;
        let mut buffer = vec![0; CHUNK];
        let (mut sum, mut done) = (Sha256::new(), 0);
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => return Ok(Some(Digest(sum.finalize().into()))),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(&error)),
            };
            sum.update(&buffer[..count]);
            done += count as u64;
            if progress(done).is_break() {
                return Ok(None);
            }
        }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 sum has 64 hexadecimal digits")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Digest, NotADigest> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(NotADigest);
        }
        let mut sum = [0; 32];
        for (byte, pair) in sum.iter_mut().zip(pairs) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            let value = high.zip(low).map(|(high, low)| 16 * high + low);
            *byte = value
                .and_then(|value| u8::try_from(value).ok())
                .ok_or(NotADigest)?;
        }
        Ok(Digest(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;
    use crate::testing::Scratch;

    // Of FIPS 180-4's examples.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn sums_are_those_of_the_standard() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        assert_eq!(ABC.parse(), Ok(Digest::of(b"abc")));
    }

    #[test]
    fn what_is_no_sum_is_not_parsed() {
        for text in [
            "",
            "ba78",
            &ABC[1..],
            &ABC.replace('b', "g"),
            &format!("{ABC}00"),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(NotADigest), "{text}");
        }
    }

    #[test]
    fn a_file_has_the_sum_of_its_bytes_and_tells_its_progress() {
        let scratch = Scratch::new();
        let bytes: Vec<u8> = (0..CHUNK + 1000).map(|index| (index % 251) as u8).collect();
        scratch.write("file", &bytes);
        let mut told = 0;
        let sum = Digest::of_file(&scratch.path("file"), &mut |done| {
            told = done;
            ControlFlow::Continue(())
        });
        assert_eq!(sum.unwrap(), Some(Digest::of(&bytes)));
        assert_eq!(told, bytes.len() as u64);
        let stopped = Digest::of_file(&scratch.path("file"), &mut |_| ControlFlow::Break(()));
        assert_eq!(stopped.unwrap(), None);
        let absent = Digest::of_file(&scratch.path("absent"), &mut |_| ControlFlow::Continue(()));
        assert_eq!(absent.unwrap_err().code, codes::FILE_MISSING);
    }
}
