//! Digests of files, in lower-case hexadecimal: SHA-256, which the Hub shows and everybody can check, and BLAKE3 where the
//! digest is taken beside a copy and must not be what it waits for. `sha256sum` and `b3sum` print the same.

use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::config::unreadable;
use crate::diagnostic::Diagnostic;

/// Bytes taken at once; they stay in the processor's cache between reading and digesting.
const BLOCK: usize = 256 << 10;

/// A BLAKE3 digest of bytes that come one after another.
#[derive(Default)]
pub struct Running(blake3::Hasher);

impl Running {
    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all so far.
    #[must_use]
    pub fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// The SHA-256 digest of a file. `progress` is told the bytes read so far; if it breaks the work off, there is no digest.
///
/// The file is read rather than mapped: of one that shrinks meanwhile, this gives an error instead of a crash.
///
/// # Errors
/// S101 when the file cannot be read.
pub fn sha256_file(
    path: &Path,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<String>, Diagnostic> {
    let failed = |error: &std::io::Error| unreadable(path, error);
    let mut file = fs_err::File::open(path).map_err(|error| failed(&error))?;
    let mut buffer = vec![0; BLOCK];
    let (mut digest, mut done) = (Sha256::new(), 0);
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(hexadecimal(&digest.finalize()))),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(&error)),
        };
        digest.update(&buffer[..count]);
        done += count as u64;
        if progress(done).is_break() {
            return Ok(None);
        }
    }
}

/// Two digits for each byte.
#[must_use]
pub fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;
    use crate::testing::Scratch;

    #[test]
    fn digests_are_those_of_the_standards() {
        let scratch = Scratch::new();
        scratch.write("file", b"abc");
        let digest = sha256_file(&scratch.path("file"), &mut |_| ControlFlow::Continue(()));
        // FIPS 180-4, the example of one block.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest, Ok(Some(expected.to_owned())));
        // What `printf abc | b3sum` prints.
        let expected = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        let mut digest = Running::default();
        digest.update(b"a");
        digest.update(b"bc");
        assert_eq!(digest.finish(), expected);
    }

    #[test]
    fn a_file_in_several_blocks_has_the_digest_of_its_bytes_and_tells_its_progress() {
        let scratch = Scratch::new();
        let bytes: Vec<u8> = (0..BLOCK + 1000).map(|index| (index % 251) as u8).collect();
        scratch.write("file", &bytes);
        let mut told = 0;
        let digest = sha256_file(&scratch.path("file"), &mut |done| {
            told = done;
            ControlFlow::Continue(())
        });
        assert_eq!(digest, Ok(Some(hexadecimal(&Sha256::digest(&bytes)))));
        assert_eq!(told, bytes.len() as u64);
        let stopped = sha256_file(&scratch.path("file"), &mut |_| ControlFlow::Break(()));
        assert_eq!(stopped, Ok(None));
        let absent = sha256_file(&scratch.path("absent"), &mut |_| ControlFlow::Continue(()));
        assert_eq!(absent.unwrap_err().code, codes::FILE_MISSING);
    }
}
