//! Whole files: what is here already, what is missing, and how it gets here.

use std::path::{Path, PathBuf};

use serde::Serialize;
use speculators_formats::{Diagnostic, Place, codes};

use super::cache::{Cache, Lock};
use super::environment::Environment;
use super::folder::Folder;
use super::listing::{Listing, RemoteFile};
use super::repository::Repository;
use super::select::Selection;
use super::transfer::{Source, unwritable};
use super::trouble::Trouble;
use super::{GLANCE, Hub, Watch, in_parallel};
use crate::{Error, Result};

/// Files that are fetched at the same time, as many as Python's client takes.
pub(super) const WORKERS: usize = 8;

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
    pub repository: super::RepositoryId,
    /// The revision as it was asked for.
    pub revision: String,
    /// The commit it stands for.
    pub commit: String,
    /// Directory the files will be in.
    pub directory: PathBuf,
    /// The files, in the order of their paths.
    pub files: Vec<PlannedFile>,
    #[serde(skip)]
    place: Placing,
}

#[derive(Clone, Debug)]
enum Placing {
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
        let planned: Vec<std::sync::OnceLock<PlannedFile>> =
            chosen.iter().map(|_| std::sync::OnceLock::new()).collect();
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

    /// The name of a file's content. That of a small one stands in the listing; that of a large one has to be asked for.
    pub(super) fn etag(
        &self,
        repository: &Repository,
        commit: &str,
        file: &RemoteFile,
        watch: Watch<'_>,
    ) -> Result<String> {
        if !file.large {
            return Ok(file.git.clone());
        }
        let explain = |trouble| self.explain(trouble, repository, Some(&file.path));
        let metadata = self
            .persist(watch, &file.path, || {
                self.wait(
                    watch,
                    self.http.metadata(&repository.id, commit, &file.path),
                )
            })
            .map_err(explain)?;
        if metadata.size != file.size {
            return Err(explain(Trouble::Answer(format!(
                "the listing says {} bytes, the file itself {}",
                file.size, metadata.size
            ))));
        }
        Ok(metadata.etag)
    }

    /// Does what the plan says; gives the directory the files are in.
    ///
    /// # Errors
    /// S511–S516 as the Hub, or the way to it, has it, S109 where something cannot be written. What has arrived stays, and
    /// the next attempt goes on from there.
    pub fn pull(&self, plan: &PullPlan, watch: Watch<'_>) -> Result<PathBuf> {
        let repository = Repository {
            id: plan.repository.clone(),
            revision: Some(plan.revision.clone()),
        };
        let missing: Vec<&PlannedFile> = plan
            .files
            .iter()
            .filter(|file| file.state != State::Present)
            .collect();
        let sizes: Vec<(String, u64)> = missing
            .iter()
            .map(|file| (file.path.clone(), file.size))
            .collect();
        watch.progress.begin(&sizes);
        in_parallel(watch, WORKERS, missing.len(), |watch, number| {
            let file = missing[number];
            let told = &mut |bytes| watch.progress.at(number, bytes);
            let etag = file.etag.as_deref().unwrap_or_default();
            let source = Source {
                id: &plan.repository,
                commit: &plan.commit,
                path: &file.path,
                size: file.size,
            };
            let done = match &plan.place {
                Placing::Cache(cache) => self.fetch_to_cache(watch, source, etag, cache, told),
                Placing::Folder(folder) => self.fetch_to_folder(watch, source, etag, folder, told),
            };
            done.map_err(|trouble| self.explain(trouble, &repository, Some(&file.path)))?;
            watch.progress.end(number);
            Ok(())
        })?;
        if let Placing::Cache(cache) = &plan.place {
            cache
                .note(&plan.revision, &plan.commit)
                .map_err(|error| self.explain(unwritable(&error), &repository, None))?;
        }
        Ok(plan.directory.clone())
    }

    fn fetch_to_cache(
        &self,
        watch: Watch<'_>,
        source: Source<'_>,
        etag: &str,
        cache: &Cache,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), Trouble> {
        let blob = cache.blob(etag);
        if let Some(folder) = blob.parent() {
            fs_err::create_dir_all(folder).map_err(|error| unwritable(&error))?;
        }
        // Others may have fetched it while this process waited.
        let lock = self.lock(watch, cache, etag)?;
        if length(&blob) != Some(source.size) {
            let part = incomplete(&blob);
            self.fetch(watch, source, etag, &part, told)?;
            fs_err::rename(&part, &blob).map_err(|error| unwritable(&error))?;
        }
        drop(lock);
        cache
            .link(source.commit, source.path, etag)
            .map_err(|error| unwritable(&error))
    }

    fn fetch_to_folder(
        &self,
        watch: Watch<'_>,
        source: Source<'_>,
        etag: &str,
        folder: &Folder,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), Trouble> {
        let part = folder.part(source.path, etag);
        folder
            .prepare(source.path)
            .map_err(|error| unwritable(&error))?;
        self.fetch(watch, source, etag, &part, told)?;
        folder
            .put(&part, source.path, source.commit, etag)
            .map_err(|error| unwritable(&error))
    }

    fn lock(&self, watch: Watch<'_>, cache: &Cache, etag: &str) -> Result<Lock, Trouble> {
        let mut said = false;
        loop {
            if let Some(lock) = cache.lock(etag).map_err(|error| unwritable(&error))? {
                return Ok(lock);
            }
            if !said {
                said = true;
                watch
                    .progress
                    .note("another process fetches the same file; waiting for it");
            }
            if watch.is_stopped() {
                return Err(Trouble::Interrupted);
            }
            std::thread::sleep(GLANCE);
        }
    }
}

/// Refuses what would not fit.
pub(super) fn room(directory: &Path, bytes: u64) -> Result<()> {
    let Some(free) = free_bytes(directory) else {
        return Ok(());
    };
    if bytes <= free {
        return Ok(());
    }
    Err(Error::from(
        Diagnostic::error(
            codes::DISK_FULL,
            format!("{bytes} bytes have to be fetched, but the disk has room for {free}"),
        )
        .at(Place::file(directory))
        .help("make room, set `HF_HUB_CACHE` to another disk, or fetch less with `--include`, `--exclude` or `--only`"),
    ))
}

/// Free bytes of the file system a path will be on; `None` where that cannot be told.
#[cfg(unix)]
fn free_bytes(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).ok()?;
    let there = absolute.ancestors().find(|ancestor| ancestor.exists())?;
    let status = rustix::fs::statvfs(there).ok()?;
    status.f_bavail.checked_mul(status.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_path: &Path) -> Option<u64> {
    None
}

fn incomplete(blob: &Path) -> PathBuf {
    let mut name = blob.as_os_str().to_owned();
    name.push(".incomplete");
    PathBuf::from(name)
}

fn begun(part: &Path, size: u64) -> State {
    match length(part) {
        Some(bytes) if bytes > 0 && bytes <= size => State::Begun { bytes },
        _ => State::Missing,
    }
}

/// Bytes of a file, links followed.
fn length(path: &Path) -> Option<u64> {
    let metadata = fs_err::metadata(path).ok()?;
    metadata.is_file().then_some(metadata.len())
}
