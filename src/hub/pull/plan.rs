//! What a pull will do: which files, where to, and what of them is here already.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Serialize;
use speculators_formats::{Diagnostic, codes};

use super::super::cache::Cache;
use super::super::disk::room;
use super::super::environment::Environment;
use super::super::folder::Folder;
use super::super::listing::{Listing, RemoteFile};
use super::super::repository::{Repository, RepositoryId};
use super::super::select::Selection;
use super::super::{Hub, Watch, in_parallel};
use super::{WORKERS, incomplete, length};
use crate::Result;

/// Where files are put.
#[derive(Clone, Debug)]
pub enum Destination {
    /// The cache that all clients share.
    Cache,
    /// A directory of the user's.
    Directory {
        /// Which.
        path: PathBuf,
        /// Files of the same names may be replaced.
        force: bool,
    },
}

/// How much of a file is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// All of it, in place.
    Present,
    /// All of it, under another revision or name.
    Elsewhere,
    /// Its beginning, of an earlier attempt.
    Begun {
        /// Bytes that are here.
        bytes: u64,
    },
    /// Nothing.
    Missing,
}

/// One file of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedFile {
    /// Path in the repository.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// How much of it is here.
    #[serde(flatten)]
    pub state: State,
    /// The name of its content; not asked for where the file is present.
    #[serde(skip)]
    pub(super) etag: Option<String>,
}

/// What a pull will do.
#[derive(Clone, Debug, Serialize)]
pub struct PullPlan {
    /// From where.
    pub repository: RepositoryId,
    /// The revision as it was asked for.
    pub revision: String,
    /// The commit it stands for.
    pub commit: String,
    /// Directory the files will be in.
    pub directory: PathBuf,
    /// The files, in the order of their paths.
    pub files: Vec<PlannedFile>,
    #[serde(skip)]
    pub(super) place: Placing,
}

#[derive(Clone, Debug)]
pub(super) enum Placing {
    Cache(Cache),
    Folder(Folder),
}

impl PullPlan {
    /// Bytes of all files.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Bytes that have to be fetched.
    #[must_use]
    pub fn missing_bytes(&self) -> u64 {
        self.files.iter().map(PlannedFile::missing).sum()
    }
}

impl PlannedFile {
    fn missing(&self) -> u64 {
        match self.state {
            State::Present | State::Elsewhere => 0,
            State::Begun { bytes } => self.size - bytes,
            State::Missing => self.size,
        }
    }
}

/// The snapshot of a repository that the cache holds, as it was when the Hub was last asked.
#[must_use]
pub fn cached(environment: &Environment, repository: &Repository) -> Option<PathBuf> {
    Cache::new(&environment.cache, &repository.id).known_snapshot(repository)
}

impl Hub {
    /// The snapshot in the cache, if it holds all that is selected; nothing more is asked.
    #[must_use]
    pub fn present(
        &self,
        repository: &Repository,
        listing: &Listing,
        selection: &Selection,
    ) -> Option<PathBuf> {
        let cache = Cache::new(&self.environment.cache, &repository.id);
        let snapshot = cache.snapshot(&listing.commit);
        let mut selected = listing
            .files
            .iter()
            .filter(|file| selection.takes(&file.path));
        selected
            .all(|file| length(&snapshot.join(&file.path)) == Some(file.size))
            .then_some(snapshot)
    }

    /// Finds out what has to be fetched.
    ///
    /// # Errors
    /// S519 where nothing is selected, S108 where a file of the user's is in the way, S518 where the disk has no room, and
    /// whatever the Hub says when it is asked for hashes.
    pub fn plan(
        &self,
        repository: &Repository,
        listing: &Listing,
        selection: &Selection,
        destination: &Destination,
        watch: Watch<'_>,
    ) -> Result<PullPlan> {
        let chosen: Vec<&RemoteFile> = listing
            .files
            .iter()
            .filter(|file| selection.takes(&file.path))
            .collect();
        if chosen.is_empty() {
            return Err(Diagnostic::error(
                codes::HUB_SELECTION,
                format!(
                    "none of the {} files of `{repository}` is selected",
                    listing.files.len()
                ),
            )
            .help("`--dry-run` without patterns lists them")
            .into());
        }
        let cache = Cache::new(&self.environment.cache, &repository.id);
        let (place, directory) = match destination {
            Destination::Cache => {
                let directory = cache.snapshot(&listing.commit);
                (Placing::Cache(cache), directory)
            }
            Destination::Directory { path, force } => {
                (Placing::Folder(Folder::new(path, *force)), path.clone())
            }
        };
        let planned: Vec<OnceLock<PlannedFile>> = chosen.iter().map(|_| OnceLock::new()).collect();
        in_parallel(watch, WORKERS, chosen.len(), |watch, number| {
            let file = self.examine(repository, listing, chosen[number], &place, watch)?;
            planned[number].get_or_init(|| file);
            Ok(())
        })?;
        let plan = PullPlan {
            repository: repository.id.clone(),
            revision: repository.revision().to_owned(),
            commit: listing.commit.clone(),
            directory,
            files: planned
                .into_iter()
                .filter_map(|file| file.into_inner())
                .collect(),
            place,
        };
        room(&plan.directory, plan.missing_bytes())?;
        Ok(plan)
    }

    fn examine(
        &self,
        repository: &Repository,
        listing: &Listing,
        file: &RemoteFile,
        place: &Placing,
        watch: Watch<'_>,
    ) -> Result<PlannedFile> {
        let mut planned = PlannedFile {
            path: file.path.clone(),
            size: file.size,
            state: State::Present,
            etag: None,
        };
        if let Placing::Cache(cache) = place
            && length(&cache.snapshot(&listing.commit).join(&file.path)) == Some(file.size)
        {
            return Ok(planned);
        }
        let etag = self.etag(repository, &listing.commit, file, watch)?;
        planned.state = match place {
            Placing::Cache(cache) => {
                let blob = cache.blob(&etag);
                if length(&blob) == Some(file.size) {
                    State::Elsewhere
                } else {
                    begun(&incomplete(&blob), file.size)
                }
            }
            Placing::Folder(folder) => {
                if folder.holds(watch, &file.path, &etag, file.size)? {
                    State::Present
                } else {
                    begun(&folder.part(&file.path, &etag), file.size)
                }
            }
        };
        planned.etag = Some(etag);
        Ok(planned)
    }
}

fn begun(part: &Path, size: u64) -> State {
    match length(part) {
        Some(bytes) if bytes > 0 && bytes <= size => State::Begun { bytes },
        _ => State::Missing,
    }
}
