//! SHA-256 of files and of bytes, as people compare them: lower-case hexadecimal.

use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

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
        assert_eq!(sha256_until(b"abc", &stop), Some(sha256(b"abc")));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(sha256_until(b"abc", &stop), None);
    }
}
