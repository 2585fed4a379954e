//! The hashes by which the Hub names content.

use std::io::{self, ErrorKind, Read};

use sha1::Sha1;
use sha2::{Digest, Sha256};
use speculators_formats::digest::hexadecimal;

/// Bytes taken at once.
const BLOCK: usize = 1 << 20;

/// A hash over content that arrives piece by piece.
pub(super) enum Digester {
    /// SHA-256, of large files.
    Sha256(Sha256),
    /// SHA-1 over `blob LENGTH\0` and the content, as git has it, of small files.
    Git(Sha1),
    /// The name of the content is no hash that is known; only its length can be checked.
    Unknown,
}

impl Digester {
    /// For content of a length that is named so.
    pub fn of(etag: &str, length: u64) -> Digester {
        let hexadecimal = etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        match etag.len() {
            64 if hexadecimal => Digester::Sha256(Sha256::new()),
            40 if hexadecimal => {
                let mut hash = Sha1::new();
                hash.update(format!("blob {length}\0"));
                Digester::Git(hash)
            }
            _ => Digester::Unknown,
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Digester::Sha256(hash) => hash.update(bytes),
            Digester::Git(hash) => hash.update(bytes),
            Digester::Unknown => {}
        }
    }

    /// Takes in all that a reader gives; tells how much that was, or `None` where `stopped` became true before the end.
    pub fn read(
        &mut self,
        reader: &mut impl Read,
        stopped: impl Fn() -> bool,
    ) -> io::Result<Option<u64>> {
        let mut buffer = vec![0; BLOCK];
        let mut done = 0;
        while !stopped() {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(Some(done)),
                Ok(length) => {
                    self.update(&buffer[..length]);
                    done += length as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The hash in hexadecimal; `None` where it is not known how to compute it.
    pub fn finish(self) -> Option<String> {
        match self {
            Digester::Sha256(hash) => Some(hexadecimal(&hash.finalize())),
            Digester::Git(hash) => Some(hexadecimal(&hash.finalize())),
            Digester::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_of_large_files() {
        for (etag, content) in [
            // `printf 'hello\n' | git hash-object --stdin`, and `sha256sum`.
            ("ce013625030ba8dba906f756967f9e9ca394464a", "hello\n"),
            (
                "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
                "hello\n",
            ),
        ] {
            let mut digest = Digester::of(etag, content.len() as u64);
            let (first, second) = content.as_bytes().split_at(2);
            digest.update(first);
            digest.update(second);
            assert_eq!(digest.finish().as_deref(), Some(etag));
        }
        assert!(Digester::of("\"abc\"", 3).finish().is_none());
    }

    #[test]
    fn a_reader_is_taken_in_to_its_end_unless_the_user_stops() {
        let content: Vec<u8> = (0..BLOCK + 1000).map(|index| (index % 251) as u8).collect();
        let etag = "0".repeat(64);
        let (mut whole, mut read) = (Digester::of(&etag, 0), Digester::of(&etag, 0));
        whole.update(&content);
        let done = read.read(&mut &content[..], || false).unwrap();
        assert_eq!(done, Some(content.len() as u64));
        assert_eq!(read.finish(), whole.finish());
        let looks = std::cell::Cell::new(0);
        let stopped = || looks.replace(looks.get() + 1) > 0;
        let mut digest = Digester::of(&etag, 0);
        assert_eq!(digest.read(&mut &content[..], stopped).unwrap(), None);
    }
}
