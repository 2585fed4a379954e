//! SHA-256 of files and of bytes, as people compare them: lower-case hexadecimal.

use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use crate::file::Stretch;

/// Bytes taken at once; they stay in the processor's cache between reading and digesting.
const BLOCK: usize = 256 << 10;

/// The digest of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The digest of bytes that are looked at once, unless `stop` becomes true meanwhile.
pub(crate) fn sha256_until(bytes: Stretch<'_>, stop: &AtomicBool) -> Option<String> {
    let (mut digest, mut buffer) = (Sha256::new(), Vec::new());
    for begin in (0..bytes.len()).step_by(BLOCK) {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        digest.update(bytes.part(begin..bytes.len().min(begin + BLOCK), &mut buffer));
    }
    Some(hexadecimal(&digest.finalize()))
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        // FIPS 180-4, the example of one block.
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let stop = AtomicBool::new(false);
        assert_eq!(
            sha256_until(Stretch::held(b"abc"), &stop),
            Some(sha256(b"abc"))
        );
        stop.store(true, Ordering::Relaxed);
        assert_eq!(sha256_until(Stretch::held(b"abc"), &stop), None);
    }
}
