//! A checkpoint up to the Hub, in one commit.

use std::path::PathBuf;

use hf_hub::RepoTypeModel;
use hf_hub::repository::CommitOperation;
use serde::Serialize;
use speculators_formats::{Diagnostic, codes};

use super::repository::Repository;
use super::trouble::Trouble;
use super::{Hub, Watch};
use crate::Result;

/// What is put on the Hub.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Where to; the revision is the branch.
    pub repository: Repository,
    /// A repository that does not exist yet becomes a private one.
    pub private: bool,
    /// Ask the owner to take it instead of putting it there.
    pub pull_request: bool,
    /// What the commit says.
    pub message: String,
    /// The files, by their names in the repository.
    pub files: Vec<(String, Content)>,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// The content of this file.
    File(PathBuf),
    /// This text.
    Text(String),
}

/// What has become of it.
#[derive(Clone, Debug, Serialize)]
pub struct Pushed {
    /// The commit.
    pub commit: Option<String>,
    /// Where to look at it.
    pub address: String,
}

impl Hub {
    /// Makes the repository if there is none, and commits the files, all or none.
    ///
    /// # Errors
    /// S512 where this user may not, S521 where the Hub refuses the commit, and S511–S515 as for anything else.
    pub fn push(&self, upload: &Upload, watch: Watch<'_>) -> Result<Pushed> {
        let repository = &upload.repository;
        let explain = |trouble| self.explain(trouble, repository, None);
        if self.environment.token.is_none() {
            return Err(Diagnostic::error(
                codes::HUB_DENIED,
                format!("`{repository}` cannot be written to without a token"),
            )
            .help("set `HF_TOKEN` to a token with write access, or store one with `hf auth login`")
            .into());
        }
        let create = || {
            self.wait(watch, async {
                let create = self.client.create_repository();
                let create = create
                    .repo_id(repository.id.as_str())
                    .repo_type(RepoTypeModel);
                Ok(create.private(upload.private).exist_ok(true).send().await?)
            })
        };
        let made = self.persist(watch, repository.id.as_str(), create);
        let address = made.map_err(explain)?.url;
        // A commit is not tried again by itself: it may have been taken although its answer was lost.
        let committed = self.wait(watch, self.commit(upload)).map_err(explain)?;
        Ok(Pushed {
            commit: committed.commit_oid,
            address: committed.pr_url.unwrap_or(address),
        })
    }

    async fn commit(&self, upload: &Upload) -> Result<hf_hub::repository::CommitInfo, Trouble> {
        let operations = upload
            .files
            .iter()
            .map(|(name, content)| match content {
                Content::File(path) => CommitOperation::add_file(name, path),
                Content::Text(text) => CommitOperation::add_bytes(name, text.clone().into_bytes()),
            })
            .collect();
        let model = self.model(&upload.repository.id);
        let commit = model
            .create_commit()
            .operations(operations)
            .commit_message(upload.message.clone())
            .revision(upload.repository.revision())
            .create_pr(upload.pull_request);
        Ok(commit.send().await?)
    }
}
