//! What a repository holds at a revision.

use std::path::{Component, Path};

use futures::StreamExt as _;
use hf_hub::repository::RepoTreeEntry;
use serde::Serialize;

use super::cache::is_commit;
use super::repository::Repository;
use super::trouble::Trouble;
use super::{Hub, Watch};
use crate::Result;

/// More files than any model has.
const MOST_FILES: usize = 200_000;

/// The files of a repository at one commit.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// The commit that the revision stands for.
    pub commit: String,
    /// Its files, in the order of their paths.
    pub files: Vec<RemoteFile>,
}

/// One file on the Hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemoteFile {
    /// Path in the repository.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Git's hash of what git stores: the content, or a pointer to it.
    #[serde(skip)]
    pub(super) git: String,
    /// The content is stored apart from git.
    #[serde(skip)]
    pub(super) large: bool,
}

impl Hub {
    /// Asks what a revision stands for and what it holds.
    ///
    /// # Errors
    /// S511–S515 as the Hub, or the way to it, has it.
    pub fn list(&self, repository: &Repository, watch: Watch<'_>) -> Result<Listing> {
        let name = repository.to_string();
        let listed = self.persist(watch, &name, || self.wait(watch, self.ask(repository)));
        listed.map_err(|trouble| self.explain(trouble, repository, None))
    }

    async fn ask(&self, repository: &Repository) -> Result<Listing, Trouble> {
        let model = self.model(&repository.id);
        let info = model.info().revision(repository.revision()).send().await?;
        let commit = info
            .sha
            .filter(|commit| is_commit(commit))
            .ok_or_else(|| Trouble::Answer("it names no commit for the revision".to_owned()))?;
        let mut entries = std::pin::pin!(
            model
                .list_tree()
                .revision(commit.clone())
                .recursive(true)
                .send()?
        );
        let mut files = Vec::new();
        while let Some(entry) = entries.next().await {
            let RepoTreeEntry::File {
                path,
                size,
                oid,
                lfs,
                ..
            } = entry?
            else {
                continue;
            };
            if !is_inside(&path) {
                return Err(Trouble::Answer(format!(
                    "it lists a file `{}`, which would lie outside of the directory",
                    super::trouble::shortened(&path)
                )));
            }
            if files.len() == MOST_FILES {
                return Err(Trouble::Answer(format!(
                    "it lists more than {MOST_FILES} files"
                )));
            }
            files.push(RemoteFile {
                path,
                size,
                git: oid,
                large: lfs.is_some(),
            });
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Listing { commit, files })
    }
}

/// Whether a path stays below where it is put.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', '\0'])
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::is_inside;

    #[test]
    fn paths_that_lead_out_are_not_inside() {
        assert!(is_inside("a/b.json"));
        for path in ["", "/etc/passwd", "../a", "a/../../b", "./a", "a\\b"] {
            assert!(!is_inside(path), "{path}");
        }
    }
}
