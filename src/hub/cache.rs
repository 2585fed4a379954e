//! The cache that all of the Hub's clients share, as Python's `huggingface_hub` lays it out.
//!
//! ```text
//! models--owner--name/
//!   refs/main                      the commit a branch or tag stood at when it was last asked
//!   blobs/ETAG                     content, under the hash the Hub names
//!   snapshots/COMMIT/config.json   links to blobs, under the names of the repository
//! .locks/models--owner--name/ETAG.lock
//! ```

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::repository::{Repository, RepositoryId};

/// One repository's part of the cache.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    locks: PathBuf,
}

/// A lock on one blob, held until it is dropped.
pub(super) struct Lock(#[allow(dead_code, reason = "held, never read")] File);

impl Cache {
    /// That of a model repository below the root of the cache.
    #[must_use]
    pub fn new(root: &Path, id: &RepositoryId) -> Cache {
        let name = format!("models--{}", id.as_str().replace('/', "--"));
        Cache {
            folder: root.join(&name),
            locks: root.join(".locks").join(name),
        }
    }

    /// Where a commit's files are.
    #[must_use]
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The snapshot that a revision stood for when it was last asked, if any of it is here.
    #[must_use]
    pub fn known_snapshot(&self, repository: &Repository) -> Option<PathBuf> {
        let revision = repository.revision();
        let commit = if is_commit(revision) {
            revision.to_owned()
        } else {
            let text = fs_err::read_to_string(self.reference(revision)).ok()?;
            Some(text.trim().to_owned()).filter(|text| is_commit(text))?
        };
        Some(self.snapshot(&commit)).filter(|snapshot| snapshot.is_dir())
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.folder.join("refs").join(revision)
    }

    /// The right to work on a blob, if nobody else has it. Python's client takes the same lock.
    pub(super) fn lock(&self, etag: &str) -> io::Result<Option<Lock>> {
        fs_err::create_dir_all(&self.locks)?;
        let file = File::create(self.locks.join(format!("{etag}.lock")))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Notes the commit of a branch or tag; a commit needs no note.
    pub(super) fn note(&self, revision: &str, commit: &str) -> io::Result<()> {
        if revision == commit {
            return Ok(());
        }
        let goal = self.reference(revision);
        if fs_err::read_to_string(&goal).is_ok_and(|text| text == commit) {
            return Ok(());
        }
        let folder = goal.parent().unwrap_or(&self.folder);
        fs_err::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        // Temporary files are private by default; what is shared must be as readable as the user's other files are.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let scratch = builder.tempfile_in(folder)?;
        fs_err::write(scratch.path(), commit)?;
        scratch.persist(&goal).map_err(|error| error.error)?;
        Ok(())
    }

    /// Puts a blob under its name into a snapshot, by a relative link, so that the cache can be moved.
    pub(super) fn link(&self, commit: &str, path: &str, etag: &str) -> io::Result<()> {
        let pointer = self.snapshot(commit).join(path);
        let blob = self.blob(etag);
        if let Some(parent) = pointer.parent() {
            fs_err::create_dir_all(parent)?;
        }
        // A link left over from a blob that is gone.
        if fs_err::symlink_metadata(&pointer).is_ok() && !pointer.exists() {
            fs_err::remove_file(&pointer)?;
        }
        let depth = 2 + path.matches('/').count();
        let relative: PathBuf = std::iter::repeat_n("..", depth)
            .chain(["blobs", etag])
            .collect();
        match symlink(&relative, &blob, &pointer) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    }
}

#[cfg(unix)]
fn symlink(relative: &Path, _blob: &Path, pointer: &Path) -> io::Result<()> {
    fs_err::os::unix::fs::symlink(relative, pointer)
}

/// Links need rights that users of other systems do not have; Python's client copies there, too.
#[cfg(not(unix))]
fn symlink(_relative: &Path, blob: &Path, pointer: &Path) -> io::Result<()> {
    fs_err::copy(blob, pointer).map(drop)
}

/// Whether a revision is a full commit id.
#[must_use]
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_blobs_from_any_depth() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::new(root.path(), &"owner/name".parse().unwrap());
        let commit = "0123456789012345678901234567890123456789";
        fs_err::create_dir_all(cache.blob("x").parent().unwrap()).unwrap();
        fs_err::write(cache.blob("e1"), "content").unwrap();
        for path in ["config.json", "a/b/c.txt"] {
            cache.link(commit, path, "e1").unwrap();
            cache.link(commit, path, "e1").unwrap();
            let read = fs_err::read_to_string(cache.snapshot(commit).join(path)).unwrap();
            assert_eq!(read, "content");
        }
        assert!(root.path().join("models--owner--name/blobs/e1").exists());
    }

    #[test]
    fn revisions_are_found_again() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::new(root.path(), &"owner/name".parse().unwrap());
        let commit = "0123456789012345678901234567890123456789";
        fs_err::create_dir_all(cache.snapshot(commit)).unwrap();
        let at = |text: &str| cache.known_snapshot(&text.parse().unwrap());
        assert_eq!(at("owner/name"), None);
        cache.note("main", commit).unwrap();
        cache.note("refs/pr/1", commit).unwrap();
        for text in [
            "owner/name",
            "owner/name@refs/pr/1",
            &format!("owner/name@{commit}"),
        ] {
            assert_eq!(at(text), Some(cache.snapshot(commit)));
        }
    }

    #[test]
    fn notes_are_as_readable_as_other_files() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::new(root.path(), &"owner/name".parse().unwrap());
        cache.note("main", "commit").unwrap();
        fs_err::write(root.path().join("other"), "").unwrap();
        let rights = |path: &Path| fs_err::metadata(path).unwrap().permissions();
        assert_eq!(
            rights(&cache.reference("main")),
            rights(&root.path().join("other"))
        );
    }
}
