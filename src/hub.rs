//! The Hugging Face Hub: whole files and single tensors down, checkpoints up.
//!
//! hf-hub speaks the Hub's interface (what a revision is, what lies in it, commits); the content of files is fetched here,
//! because it has to go on where it was cut and to be held against the hash the Hub names. Everything is blocking for the
//! caller; a small runtime drives the connections.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hf_hub::{HFClient, HFRepository, RepoTypeModel};
use speculators_formats::{Diagnostic, codes};
use tokio::runtime::Runtime;

pub mod cache;
pub mod card;
mod digest;
mod disk;
pub mod environment;
mod folder;
mod http;
mod listing;
pub mod partial;
pub mod pull;
pub mod push;
pub mod repository;
mod select;
mod transfer;
mod trouble;

pub use environment::Environment;
pub use listing::{Listing, RemoteFile};
pub use repository::{Repository, RepositoryId};
pub use select::Selection;

use crate::{Error, Result};
use http::Http;
use trouble::{Subject, Trouble};

/// Attempts without a byte of progress before giving up.
const MOST_ATTEMPTS: u32 = 5;

/// The longest a command waits because the Hub asks it to.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// How often a waiting command looks whether the user wants to stop.
const GLANCE: Duration = Duration::from_millis(100);

/// A connection to one Hub.
pub struct Hub {
    environment: Environment,
    runtime: Runtime,
    client: HFClient,
    http: Http,
}

/// Told what happens during long work; from several threads.
pub trait Progress: Sync {
    /// The files that will be worked on: name and size in bytes.
    fn begin(&self, files: &[(String, u64)]);
    /// How far the file of this number is.
    fn at(&self, file: usize, bytes: u64);
    /// The file of this number is complete.
    fn end(&self, file: usize);
    /// Something worth a line.
    fn note(&self, line: &str);
}

/// What long work is watched by.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Told what happens.
    pub progress: &'a dyn Progress,
    /// Becomes true when the user asks to stop.
    pub cancelled: &'a AtomicBool,
    /// Becomes true when other work on the same thing has failed.
    failed: Option<&'a AtomicBool>,
    /// Counts what happens.
    pub counters: &'a Counters,
}

impl<'a> Watch<'a> {
    /// For one piece of work.
    pub fn new(
        progress: &'a dyn Progress,
        cancelled: &'a AtomicBool,
        counters: &'a Counters,
    ) -> Watch<'a> {
        Watch {
            progress,
            cancelled,
            failed: None,
            counters,
        }
    }

    fn is_stopped(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
            || self
                .failed
                .is_some_and(|failed| failed.load(Ordering::Relaxed))
    }
}

/// What is counted during long work.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests that had to be made again.
    pub retries: AtomicU64,
    /// Bytes of files that have arrived, in vain or not.
    pub received: AtomicU64,
}

impl Hub {
    /// Prepares to talk to the Hub; nothing is sent yet.
    ///
    /// # Errors
    /// S515 where the endpoint cannot be used, S511 where this machine gives no threads or no certificates.
    pub fn open(environment: Environment) -> Result<Hub> {
        let failed = |why: String| {
            Error::from(
                Diagnostic::error(codes::HUB_UNREACHABLE, "no connection can be made here")
                    .note(why),
            )
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("hub")
            .enable_all()
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let plain = http::builder(&environment)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let mut builder = HFClient::builder()
            .endpoint(&environment.endpoint)
            .client(plain)
            .cache_enabled(false)
            .retry_max_attempts(0);
        if let Some(token) = &environment.token {
            builder = builder.token(token.secret());
        }
        let client = builder.build().map_err(|error| failed(error.to_string()))?;
        let http = Http::new(&environment).map_err(|trouble| failed(trouble.brief()))?;
        Ok(Hub {
            environment,
            runtime,
            client,
            http,
        })
    }

    /// What the environment says.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    fn model(&self, id: &RepositoryId) -> HFRepository<RepoTypeModel> {
        let (owner, name) = id.parts();
        self.client.model(owner, name)
    }

    /// Waits for an answer, as long as the user does.
    fn wait<T>(
        &self,
        watch: Watch<'_>,
        future: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        self.runtime.block_on(async {
            let mut future = pin!(future);
            loop {
                if watch.is_stopped() {
                    return Err(Trouble::Interrupted);
                }
                if let Ok(answer) = tokio::time::timeout(GLANCE, &mut future).await {
                    return answer;
                }
            }
        })
    }

    /// Does something until it works or there is no hope, with growing pauses, or those that the Hub asks for.
    fn persist<T>(
        &self,
        watch: Watch<'_>,
        what: &str,
        mut attempt: impl FnMut() -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        for number in 1.. {
            match attempt() {
                Err(trouble) if trouble.passes() && number < MOST_ATTEMPTS => {
                    self.pause(watch, what, &trouble, number)?;
                }
                ended => return ended,
            }
        }
        Err(Trouble::Interrupted)
    }

    /// Waits before attempt `number + 1`.
    fn pause(
        &self,
        watch: Watch<'_>,
        what: &str,
        trouble: &Trouble,
        number: u32,
    ) -> Result<(), Trouble> {
        let wait = trouble
            .retry_after()
            .unwrap_or(Duration::from_millis(100 << number.min(6)));
        if wait > LONGEST_WAIT {
            return Err(trouble.clone());
        }
        watch.counters.retries.fetch_add(1, Ordering::Relaxed);
        watch
            .progress
            .note(&format!("{what}: {}; trying again", trouble.brief()));
        let end = Instant::now() + wait;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if watch.is_stopped() {
                return Err(Trouble::Interrupted);
            }
            std::thread::sleep(left.min(GLANCE));
        }
        Ok(())
    }

    /// As a finding about a repository, or a file of it.
    fn explain(&self, trouble: Trouble, repository: &Repository, path: Option<&str>) -> Error {
        let subject = Subject {
            repository: repository.to_string(),
            path,
            endpoint: &self.environment.endpoint,
            token: self.environment.token.is_some(),
        };
        match trouble.diagnose(&subject) {
            Some(problem) => self.redacted(problem).into(),
            None => Error::Interrupted,
        }
    }

    /// A server may repeat what it was sent, and so the token could come back in its message.
    fn redacted(&self, mut problem: Diagnostic) -> Diagnostic {
        if let Some(token) = &self.environment.token {
            for note in &mut problem.notes {
                *note = note.replace(token.secret(), "[token]");
            }
        }
        problem
    }
}

/// Runs work over numbered things on a few threads. Where one fails, the others stop as if the user had asked them to.
fn in_parallel(
    watch: Watch<'_>,
    workers: usize,
    count: usize,
    work: impl Fn(Watch<'_>, usize) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let first = Mutex::new(Ok(()));
    std::thread::scope(|scope| {
        for _ in 0..workers.min(count) {
            scope.spawn(|| {
                let watch = Watch {
                    failed: Some(&failed),
                    ..watch
                };
                while !watch.is_stopped() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    if let Err(error) = work(watch, number) {
                        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                        if !failed.swap(true, Ordering::Relaxed) {
                            *first = Err(error);
                        }
                    }
                }
            });
        }
    });
    if watch.is_stopped() {
        return Err(Error::Interrupted);
    }
    first.into_inner().unwrap_or_else(PoisonError::into_inner)
}
