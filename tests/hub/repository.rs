//! A model repository: commits, each a list of files, and the branches and tags that point at them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::blob::Blob;
use super::text;

/// Who may read a repository.
#[derive(Debug, Clone, Default)]
pub enum Access {
    #[default]
    Everybody,
    /// The repository does not exist for those without this token.
    Private(String),
    /// Everybody sees the list of files; the files are for those with this token.
    Gated(String),
}

/// The files of one state of a repository, by path.
pub type Files = BTreeMap<String, Arc<Blob>>;

#[derive(Debug)]
pub struct Commit {
    pub id: String,
    pub title: String,
    pub files: Files,
}

#[derive(Debug, Default)]
pub struct Repository {
    pub access: Access,
    pub branches: BTreeMap<String, Arc<Commit>>,
    pub tags: BTreeMap<String, Arc<Commit>>,
    /// All commits, oldest first.
    pub commits: Vec<Arc<Commit>>,
}

impl Repository {
    /// Makes a commit of a list of files and moves a branch to it. Where the branch holds
    /// that very content already, nothing changes.
    pub fn commit(&mut self, branch: &str, title: &str, files: Files) -> io::Result<Arc<Commit>> {
        let id = identify(&files)?;
        let known = self.commits.iter().find(|commit| commit.id == id);
        let commit = known.cloned().unwrap_or_else(|| {
            Arc::new(Commit {
                id,
                title: title.to_owned(),
                files,
            })
        });
        self.commits.retain(|other| other.id != commit.id);
        self.commits.push(Arc::clone(&commit));
        self.branches.insert(branch.to_owned(), Arc::clone(&commit));
        Ok(commit)
    }

    /// The commit that a branch, a tag or a commit's own name means.
    pub fn resolve(&self, revision: &str) -> Option<Arc<Commit>> {
        let named = self.branches.get(revision).or(self.tags.get(revision));
        let by_id = || self.commits.iter().find(|commit| commit.id == revision);
        named.or_else(by_id).cloned()
    }
}

/// The files below a directory. Names that begin with a dot are left out at the top, where
/// other programs keep their own (`.git`, `.cache`), except `.gitattributes`.
pub fn scan(directory: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    collect(directory, "", &mut files)?;
    Ok(files)
}

fn collect(directory: &Path, prefix: &str, files: &mut Files) -> io::Result<()> {
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if prefix.is_empty() && name.starts_with('.') && name != ".gitattributes" {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else {
            let blob = Blob::new(&path, &entry.path())?;
            files.insert(path, Arc::new(blob));
        }
    }
    Ok(())
}

/// A name for a state: the same files give the same name on every machine.
fn identify(files: &Files) -> io::Result<String> {
    let mut listing = String::new();
    for (path, blob) in files {
        listing.push_str(&format!("{} {path}\n", blob.digests()?.oid));
    }
    Ok(text::sha1(&[b"commit\0", listing.as_bytes()]))
}
