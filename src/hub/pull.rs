//! Whole files: what is here already, what is missing, and how it gets here.

use std::path::{Path, PathBuf};

use super::cache::{Cache, Lock};
use super::folder::Folder;
use super::listing::RemoteFile;
use super::repository::Repository;
use super::transfer::{Source, unwritable};
use super::trouble::Trouble;
use super::{GLANCE, Hub, Watch, in_parallel};
use crate::Result;

mod plan;

use plan::Placing;
pub use plan::{Destination, PlannedFile, PullPlan, State, cached};

/// Files that are fetched at the same time, as many as Python's client takes.
pub(super) const WORKERS: usize = 8;

impl Hub {
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

fn incomplete(blob: &Path) -> PathBuf {
    let mut name = blob.as_os_str().to_owned();
    name.push(".incomplete");
    PathBuf::from(name)
}

/// Bytes of a file, links followed.
fn length(path: &Path) -> Option<u64> {
    let metadata = fs_err::metadata(path).ok()?;
    metadata.is_file().then_some(metadata.len())
}
