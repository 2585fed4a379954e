//! The content of one file: where it lies, and the names that git and LFS give it.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::text;

/// From this size on a file is in LFS, whatever its name.
pub const LFS_SIZE: u64 = 1 << 20;

/// Names by which the Hub puts a file into LFS, whatever its size.
const LFS_ENDINGS: [&str; 3] = [".safetensors", ".bin", ".gguf"];

/// Content on disk. Its digests are computed once, when somebody asks.
#[derive(Debug)]
pub struct Blob {
    pub file: PathBuf,
    pub size: u64,
    pub lfs: bool,
    digests: OnceLock<Digests>,
}

/// What the Hub says about a content.
#[derive(Debug, Clone)]
pub struct Digests {
    /// The name of the git object: of the content, or of the pointer where that is in LFS.
    pub oid: String,
    /// SHA-256 of the content, where it is in LFS.
    pub sha256: Option<String>,
}

impl Blob {
    /// The content of `file`, which a repository holds under `path`.
    pub fn new(path: &str, file: &Path) -> io::Result<Self> {
        let size = fs_err::metadata(file)?.len();
        Ok(Self {
            file: file.to_path_buf(),
            size,
            lfs: is_lfs(path, size),
            digests: OnceLock::new(),
        })
    }

    /// The digests; the first call reads the file.
    pub fn digests(&self) -> io::Result<&Digests> {
        if let Some(digests) = self.digests.get() {
            return Ok(digests);
        }
        let digests = if self.lfs {
            let sha256 = sha256_of(&self.file)?;
            let pointer = pointer(&sha256, self.size);
            Digests {
                oid: git_oid(pointer.as_bytes()),
                sha256: Some(sha256),
            }
        } else {
            Digests {
                oid: git_oid(&fs_err::read(&self.file)?),
                sha256: None,
            }
        };
        Ok(self.digests.get_or_init(|| digests))
    }

    /// What the Hub sends as the content's `ETag`, without quotes.
    pub fn etag(&self) -> io::Result<&str> {
        let digests = self.digests()?;
        Ok(digests.sha256.as_ref().unwrap_or(&digests.oid))
    }

    /// The length of the file that git holds in place of an LFS content, in bytes.
    pub fn pointer_size(&self) -> usize {
        pointer(&"0".repeat(64), self.size).len()
    }
}

/// Whether the Hub would hold a file in LFS.
pub fn is_lfs(path: &str, size: u64) -> bool {
    size >= LFS_SIZE || (size > 0 && LFS_ENDINGS.iter().any(|ending| path.ends_with(ending)))
}

/// What git holds in place of a content in LFS.
fn pointer(sha256: &str, size: u64) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n")
}

/// The name git gives to a content.
pub fn git_oid(content: &[u8]) -> String {
    let header = format!("blob {}\0", content.len());
    text::sha1(&[header.as_bytes(), content])
}

/// SHA-256 of a file as hexadecimal digits, read in pieces.
pub fn sha256_of(file: &Path) -> io::Result<String> {
    let mut source = fs_err::File::open(file)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = source.read(&mut piece)?;
        if read == 0 {
            break;
        }
        digest.update(&piece[..read]);
    }
    let mut digits = String::with_capacity(64);
    for byte in digest.finalize() {
        let _ = write!(digits, "{byte:02x}");
    }
    Ok(digits)
}
