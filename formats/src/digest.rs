//! SHA-256 of files and of bytes, as people compare them: lower-case hexadecimal.

use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use crate::config::unreadable;
use crate::diagnostic::Diagnostic;

/// Bytes between two looks at whether to stop.
const CHUNK: usize = 4 << 20;

/// The digest of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The digest of some bytes, unless `stop` becomes true meanwhile.
#[must_use]
pub fn sha256_until(bytes: &[u8], stop: &AtomicBool) -> Option<String> {
    let mut digest = Sha256::new();
    for chunk in bytes.chunks(CHUNK) {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        digest.update(chunk);
    }
    Some(hexadecimal(&digest.finalize()))
}

/// The digest of a file. `progress` is told the bytes read so far; if it breaks the work off, there is no digest.
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
    let mut buffer = vec![0; CHUNK];
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

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;
    use crate::testing::Scratch;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        // FIPS 180-4, the example of one block.
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let stop = AtomicBool::new(false);
        assert_eq!(sha256_until(b"abc", &stop), Some(sha256(b"abc")));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(sha256_until(b"abc", &stop), None);
    }

    #[test]
    fn a_file_has_the_digest_of_its_bytes_and_tells_its_progress() {
        let scratch = Scratch::new();
        let bytes: Vec<u8> = (0..CHUNK + 1000).map(|index| (index % 251) as u8).collect();
        scratch.write("file", &bytes);
        let mut told = 0;
        let digest = sha256_file(&scratch.path("file"), &mut |done| {
            told = done;
            ControlFlow::Continue(())
        });
        assert_eq!(digest, Ok(Some(sha256(&bytes))));
        assert_eq!(told, bytes.len() as u64);
        let stopped = sha256_file(&scratch.path("file"), &mut |_| ControlFlow::Break(()));
        assert_eq!(stopped, Ok(None));
        let absent = sha256_file(&scratch.path("absent"), &mut |_| ControlFlow::Continue(()));
        assert_eq!(absent.unwrap_err().code, codes::FILE_MISSING);
    }
}
