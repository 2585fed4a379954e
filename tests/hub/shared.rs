//! What the connections share: repositories, rules, records.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::faults::{Fault, Kind};
use super::records::Record;
use super::repository::{self, Repository};
use super::request::Request;
use super::text;

pub struct Shared {
    pub root: PathBuf,
    /// `http://127.0.0.1:PORT` of the API.
    pub endpoint: String,
    /// `http://127.0.0.1:PORT` of the storage.
    pub cdn: String,
    pub stopped: AtomicBool,
    /// Told when no request is in progress any more.
    idle: Condvar,
    state: Mutex<State>,
}

pub struct State {
    /// By `org/name`; filled from the root when first asked for.
    pub repositories: HashMap<String, Repository>,
    /// Old names and what became of them.
    pub renamed: HashMap<String, String>,
    pub faults: Vec<Fault>,
    pub records: Vec<Record>,
    /// Requests in progress.
    active: usize,
    /// Contents that the storage gives out, by SHA-256, with their sizes.
    pub stored: HashMap<String, (PathBuf, u64)>,
    /// Entries of a listing in one answer.
    pub page: usize,
    /// The only token that is known; without it, any token is.
    pub token: Option<String>,
    /// Parts of an upload are at least this long, in bytes; a longer file comes in several.
    pub part: u64,
}

impl Shared {
    pub fn new(root: PathBuf, endpoint: String, cdn: String) -> Self {
        Self {
            root,
            endpoint,
            cdn,
            stopped: AtomicBool::new(false),
            idle: Condvar::new(),
            state: Mutex::new(State {
                repositories: HashMap::new(),
                renamed: HashMap::new(),
                faults: Vec::new(),
                records: Vec::new(),
                active: 0,
                stored: HashMap::new(),
                page: 1000,
                token: None,
                part: 16 << 20,
            }),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory that holds what was uploaded.
    pub fn objects(&self) -> PathBuf {
        self.root.join(".objects")
    }

    /// Looks at a repository, and reads it from the root where it was not asked for before.
    /// Nothing where there is none of this very name.
    pub fn repository<T>(
        &self,
        name: &str,
        look: impl FnOnce(&mut Repository) -> T,
    ) -> io::Result<Option<T>> {
        let mut state = self.state();
        if !state.repositories.contains_key(name) {
            if state.renamed.contains_key(name) || !self.on_disk(name) {
                return Ok(None);
            }
            let mut repository = Repository::default();
            let files = repository::scan(&self.root.join(name))?;
            repository.commit("main", "initial commit", files)?;
            state.repositories.insert(name.to_owned(), repository);
        }
        Ok(state.repositories.get_mut(name).map(look))
    }

    /// Makes a commit of what a directory holds, on a branch; without a directory, of the
    /// repository's own below the root. Earlier commits stay, but their files are read from
    /// where they lie: another state that is to be downloaded needs another directory.
    pub fn publish(
        &self,
        name: &str,
        branch: &str,
        directory: Option<&Path>,
    ) -> io::Result<String> {
        let own = self.root.join(name);
        let files = repository::scan(directory.unwrap_or(&own))?;
        // The state on disk becomes the first commit, if there is one.
        if self.repository(name, |_| ())?.is_none() {
            let mut state = self.state();
            state
                .repositories
                .insert(name.to_owned(), Repository::default());
        }
        let title = format!("Publish on {branch}");
        let commit =
            self.repository(name, |repository| repository.commit(branch, &title, files))?;
        let commit = commit.ok_or_else(|| io::Error::other(format!("no repository {name}")))??;
        Ok(commit.id.clone())
    }

    /// Names a state of a repository.
    pub fn tag(&self, name: &str, tag: &str, revision: &str) -> io::Result<String> {
        let commit = self.repository(name, |repository| {
            let commit = repository.resolve(revision)?;
            repository.tags.insert(tag.to_owned(), Arc::clone(&commit));
            Some(commit)
        })?;
        let missing = || io::Error::other(format!("no revision {revision} of {name}"));
        Ok(commit.flatten().ok_or_else(missing)?.id.clone())
    }

    /// Gives a repository another name; requests for the old one are redirected.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.repository(from, |_| ())?;
        let mut state = self.state();
        if let Some(repository) = state.repositories.remove(from) {
            state.repositories.insert(to.to_owned(), repository);
            state.renamed.insert(from.to_owned(), to.to_owned());
        }
        Ok(())
    }

    /// Whether the root holds a directory of exactly this name, also where names that differ
    /// in case are the same file.
    fn on_disk(&self, name: &str) -> bool {
        self.names().iter().any(|found| found == name)
    }

    /// The name that a request for `name` is redirected to: of a renamed repository, or of one
    /// that is spelt in other cases.
    pub fn moved(&self, name: &str) -> Option<String> {
        let state = self.state();
        if let Some(new) = state.renamed.get(name) {
            return Some(new.clone());
        }
        let known: Vec<String> = state.repositories.keys().cloned().collect();
        drop(state);
        let mut names = known.into_iter().chain(self.names());
        names.find(|found| found != name && found.eq_ignore_ascii_case(name))
    }

    /// The repositories below the root: `name` where a directory holds files, `org/name` else.
    fn names(&self) -> Vec<String> {
        let list = |directory: PathBuf| -> Vec<(String, bool)> {
            let entries = fs_err::read_dir(directory).into_iter().flatten().flatten();
            entries
                .map(|entry| {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    (name, entry.path().is_dir())
                })
                .filter(|(name, _)| !name.starts_with('.'))
                .collect()
        };
        let mut names = Vec::new();
        for (name, directory) in list(self.root.clone()) {
            let inside = list(self.root.join(&name));
            if directory && inside.iter().any(|(_, directory)| !directory) {
                names.push(name);
            } else {
                let directories = inside.into_iter().filter(|(_, directory)| *directory);
                names.extend(directories.map(|(inner, _)| format!("{name}/{inner}")));
            }
        }
        names
    }

    /// The first rule that applies to a request, among those of some kinds.
    pub fn fault(&self, request: &Request, wanted: impl Fn(&Kind) -> bool) -> Option<Fault> {
        let target = text::decode(&request.target);
        let mut state = self.state();
        let rules = state.faults.iter_mut().filter(|rule| wanted(&rule.kind));
        for rule in rules {
            if rule.applies(request.door, &request.method, &target) {
                return Some(rule.clone());
            }
        }
        None
    }

    /// Records the arrival of a request.
    pub fn begin(&self, request: &Request) -> usize {
        let mut state = self.state();
        state.active += 1;
        let concurrent = state.active;
        state.records.push(Record {
            door: request.door,
            method: request.method.clone(),
            path: text::decode(request.raw_path()),
            query: request.query.clone(),
            headers: request.headers.clone(),
            status: 0,
            sent: 0,
            received: 0,
            concurrent,
        });
        state.records.len() - 1
    }

    /// Records what is about to be answered.
    pub fn answered(&self, number: usize, status: u16, received: u64) {
        if let Some(record) = self.state().records.get_mut(number) {
            record.status = status;
            record.received = received;
        }
    }

    /// Records how much of the answer went out, and that nothing more will.
    pub fn end(&self, number: usize, sent: u64) {
        let mut state = self.state();
        if let Some(record) = state.records.get_mut(number) {
            record.sent = sent;
        }
        state.active -= 1;
        self.idle.notify_all();
    }

    /// Waits until no request is in progress, so that the records are complete. A request that
    /// is held open for a minute is left alone.
    pub fn settle(&self) {
        let busy = |state: &mut State| state.active > 0;
        let waited = self
            .idle
            .wait_timeout_while(self.state(), Duration::from_secs(60), busy);
        drop(waited);
    }
}
