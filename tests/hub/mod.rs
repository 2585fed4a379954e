//! A Hub to test against: it speaks the part of the Hugging Face Hub's API that models need, on two
//! ports of this machine, and misbehaves on demand.
//!
//! The first port, the *hub*, answers `/api/…` and `/{repository}/resolve/…`; files in LFS it
//! redirects to the second, the *cdn*, with a signed address, as huggingface.co does. A
//! repository is a directory `ROOT/{organization}/{name}` (or `ROOT/{name}`), read when it is first
//! asked for and not watched after. What is uploaded goes to `ROOT/.objects`. There is no Xet:
//! clients that know it find that these repositories do not use it.
//!
//! Where the real Hub is particular, so is this one: strangers are told 401 of what does not
//! exist, the storage refuses requests that carry a token, a digest that does not fit is refused,
//! and contents above 10 MiB are refused inside a commit. Every request is recorded.

#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod accounts;
mod blob;
mod control;
mod faults;
mod files;
mod models;
mod records;
mod repository;
mod request;
mod response;
mod routes;
mod server;
mod shared;
mod storage;
pub mod text;
mod upload;

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use faults::{Door, Fault, Kind};
pub use records::Record;
pub use repository::Access;
use shared::Shared;

/// A running server. It stops when this is dropped.
pub struct Hub {
    shared: Arc<Shared>,
}

impl Hub {
    /// Starts a server on free ports over the repositories below a directory.
    pub fn start(root: &Path) -> io::Result<Self> {
        Self::start_at(root, 0)
    }

    /// Starts a server whose API is at a given port; 0 means any.
    pub fn start_at(root: &Path, port: u16) -> io::Result<Self> {
        let hub = TcpListener::bind(("127.0.0.1", port))?;
        let cdn = TcpListener::bind(("127.0.0.1", 0))?;
        let address = |listener: &TcpListener| -> io::Result<String> {
            Ok(format!("http://{}", listener.local_addr()?))
        };
        let root = fs_err::canonicalize(root)?;
        let shared = Arc::new(Shared::new(root, address(&hub)?, address(&cdn)?));
        server::listen(Door::Hub, hub, Arc::clone(&shared));
        server::listen(Door::Cdn, cdn, Arc::clone(&shared));
        Ok(Self { shared })
    }

    /// What `HF_ENDPOINT` has to be.
    pub fn endpoint(&self) -> &str {
        &self.shared.endpoint
    }

    /// Where files in LFS are redirected to.
    pub fn cdn(&self) -> &str {
        &self.shared.cdn
    }

    /// Adds a rule. The first one that applies to a request decides.
    pub fn fault(&self, fault: Fault) {
        self.shared.state().faults.push(fault);
    }

    /// Behaves again.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// All requests so far, in the order of their arrival, once none is in progress.
    pub fn requests(&self) -> Vec<Record> {
        self.shared.settle();
        self.arrived()
    }

    /// All requests so far, also those in progress.
    pub fn arrived(&self) -> Vec<Record> {
        self.shared.state().records.clone()
    }

    /// Forgets the requests so far, once none is in progress.
    pub fn forget(&self) {
        self.shared.settle();
        self.shared.state().records.clear();
    }

    /// Bytes of files that were sent so far.
    pub fn bytes(&self) -> u64 {
        let content = self.requests().into_iter().filter(Record::is_content);
        content.map(|record| record.sent).sum()
    }

    /// Makes a commit of what a directory holds and moves a branch there; without a directory,
    /// of the repository's own. Returns the commit's name. Files of earlier commits are read
    /// from where they lay: do not overwrite what is still to be downloaded.
    pub fn publish(
        &self,
        repository: &str,
        branch: &str,
        directory: Option<&Path>,
    ) -> io::Result<String> {
        self.shared.publish(repository, branch, directory)
    }

    /// Names a state with a tag; returns the commit's name.
    pub fn tag(&self, repository: &str, tag: &str, revision: &str) -> io::Result<String> {
        self.shared.tag(repository, tag, revision)
    }

    /// The commit that a revision means.
    pub fn commit(&self, repository: &str, revision: &str) -> io::Result<Option<String>> {
        let found = self.shared.repository(repository, |repository| {
            let commit = repository.resolve(revision)?;
            Some(commit.id.clone())
        })?;
        Ok(found.flatten())
    }

    /// The paths of a state of a repository.
    pub fn paths(&self, repository: &str, revision: &str) -> io::Result<Vec<String>> {
        let found = self.shared.repository(repository, |repository| {
            let commit = repository.resolve(revision)?;
            Some(commit.files.keys().cloned().collect())
        })?;
        Ok(found.flatten().unwrap_or_default())
    }

    /// A file of a repository, read past the door.
    pub fn read(
        &self,
        repository: &str,
        revision: &str,
        path: &str,
    ) -> io::Result<Option<Vec<u8>>> {
        let found = self.shared.repository(repository, |repository| {
            let commit = repository.resolve(revision)?;
            Some(commit.files.get(path)?.file.clone())
        })?;
        found.flatten().map(fs_err::read).transpose()
    }

    /// Who may read a repository.
    pub fn access(&self, repository: &str, access: Access) -> io::Result<()> {
        let set = |repository: &mut repository::Repository| repository.access = access;
        self.shared.repository(repository, set)?;
        Ok(())
    }

    /// Gives a repository another name; requests for the old one are redirected.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.shared.rename(from, to)
    }

    /// How many entries of a listing one answer has.
    pub fn page(&self, entries: usize) {
        self.shared.state().page = entries;
    }

    /// Requires this token for everything, and refuses all others.
    pub fn require(&self, token: &str) {
        self.shared.state().token = Some(token.to_owned());
    }

    /// Uploads of more bytes than this come in parts of this size.
    pub fn part(&self, bytes: u64) {
        self.shared.state().part = bytes;
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the listeners.
        for address in [&self.shared.endpoint, &self.shared.cdn] {
            drop(TcpStream::connect(address.trim_start_matches("http://")));
        }
    }
}
