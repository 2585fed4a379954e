//! The content of a file, or a part of it, whatever happens to the connection meanwhile.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;

use fs_err::File;
use speculators_formats::{Diagnostic, codes};

use super::digest::Digester;
use super::repository::RepositoryId;
use super::trouble::Trouble;
use super::{Hub, MOST_ATTEMPTS, Watch};

/// A file at a commit.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub id: &'a RepositoryId,
    pub commit: &'a str,
    pub path: &'a str,
    /// Bytes of the whole file.
    pub size: u64,
}

/// Trouble, and whether what was taken so far is of no use.
enum Stop {
    Trouble(Trouble),
    /// The server sends files from their beginning only.
    Restart,
}

impl Hub {
    /// Fetches a range of a file into `take`, which is given the bytes in order, each once. A cut connection is taken up
    /// where it was cut; giving up takes several attempts without a byte between them.
    pub(super) fn stream(
        &self,
        watch: Watch<'_>,
        source: Source<'_>,
        range: Range<u64>,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Trouble> {
        match self.stream_from(watch, source, range, take) {
            Ok(()) => Ok(()),
            Err(Stop::Trouble(trouble)) => Err(trouble),
            Err(Stop::Restart) => Err(Trouble::Answer(
                "it sends whole files only, where a part was asked for".to_owned(),
            )),
        }
    }

    fn stream_from(
        &self,
        watch: Watch<'_>,
        source: Source<'_>,
        range: Range<u64>,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let (mut at, mut attempts) = (range.start, 0);
        while at < range.end {
            let before = at;
            match self.once(watch, source, &mut at, range.end, take) {
                Ok(()) => {}
                Err(Stop::Trouble(trouble)) if trouble.passes() => {
                    // Any progress shows that the way is open.
                    attempts = if at > before { 1 } else { attempts + 1 };
                    if attempts >= MOST_ATTEMPTS {
                        return Err(Stop::Trouble(trouble));
                    }
                    let what = format!("{} at byte {at}", source.path);
                    self.pause(watch, &what, &trouble, attempts)
                        .map_err(Stop::Trouble)?;
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    /// One connection; `at` is moved on by what arrives.
    fn once(
        &self,
        watch: Watch<'_>,
        source: Source<'_>,
        at: &mut u64,
        end: u64,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let Source {
            id, commit, path, ..
        } = source;
        let range = *at..end;
        let opening = self.http.open(id, commit, path, &range, source.size);
        let mut opened = self.wait(watch, opening).map_err(Stop::Trouble)?;
        if opened.whole && range != (0..source.size) {
            return Err(Stop::Restart);
        }
        loop {
            let next = async { opened.response.chunk().await.map_err(Trouble::from) };
            let Some(chunk) = self.wait(watch, next).map_err(Stop::Trouble)? else {
                break;
            };
            let received = &watch.counters.received;
            received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            let left = end - *at;
            if chunk.len() as u64 > left {
                return Err(Stop::Trouble(Trouble::Answer(format!(
                    "it sends more than the {end} bytes that belong there"
                ))));
            }
            take(&chunk).map_err(|error| Stop::Trouble(unwritable(&error)))?;
            *at += chunk.len() as u64;
        }
        if *at < end {
            let cut = format!("the connection ended at byte {at} of {end}");
            return Err(Stop::Trouble(Trouble::Connection(cut)));
        }
        Ok(())
    }

    /// Fetches a whole file to a path, going on with what lies there from an earlier attempt, and holds it against its
    /// hash. What does not fit is fetched once more from the beginning. `told` hears how many bytes are there.
    pub(super) fn fetch(
        &self,
        watch: Watch<'_>,
        source: Source<'_>,
        etag: &str,
        goal: &Path,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), Trouble> {
        let mut found = None;
        // Once where nothing is wrong; again from the beginning after a resume that could not be, or that did not fit.
        for attempt in 0..3 {
            let mut part = Part::open(watch, goal, etag, source.size, attempt > 0)?;
            told(part.at);
            let streamed = self.stream_from(watch, source, part.at..source.size, &mut |bytes| {
                part.take(bytes)?;
                told(part.at);
                Ok(())
            });
            match streamed {
                Ok(()) => {}
                Err(Stop::Trouble(trouble)) => return Err(trouble),
                Err(Stop::Restart) => {
                    let (path, at) = (source.path, part.at);
                    watch.progress.note(&format!(
                        "{path}: the server cannot go on at byte {at}; again from the beginning"
                    ));
                    continue;
                }
            }
            let Some(digest) = part.digest.finish() else {
                watch.progress.note(&format!(
                    "{}: the Hub names it `{etag}`, which is no hash known here; only its length was checked",
                    source.path
                ));
                return Ok(());
            };
            if digest == etag {
                return Ok(());
            }
            // Of no use to anybody, least of all to a later attempt.
            fs_err::remove_file(goal).map_err(|error| unwritable(&error))?;
            watch
                .progress
                .note(&format!("{}: its hash is wrong", source.path));
            if found.as_ref() == Some(&digest) {
                break;
            }
            found = Some(digest);
        }
        Err(match found {
            Some(found) => Trouble::Local(Box::new(
                Diagnostic::error(
                    codes::HUB_DIGEST,
                    format!("`{}` is not what the Hub names", source.path),
                )
                .note(format!("the Hub names the hash {etag}"))
                .note(format!("what arrives has the hash {found}"))
                .help("try another line, or without a proxy; nothing was put into place"),
            )),
            None => Trouble::Answer("it does not send whole files".to_owned()),
        })
    }
}

/// A file that is being filled.
struct Part {
    file: File,
    digest: Digester,
    at: u64,
}

impl Part {
    /// Opens the file at its end, and hashes what is in it already.
    fn open(
        watch: Watch<'_>,
        goal: &Path,
        etag: &str,
        size: u64,
        anew: bool,
    ) -> Result<Part, Trouble> {
        let open = || -> io::Result<Option<Part>> {
            let mut file = fs_err::OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(goal)?;
            if anew || file.metadata()?.len() > size {
                file.set_len(0)?;
            }
            let mut digest = Digester::of(etag, size);
            let at = digest.read(&mut file, || watch.is_stopped())?;
            Ok(at.map(|at| Part { file, digest, at }))
        };
        open()
            .map_err(|error| unwritable(&error))?
            .ok_or(Trouble::Interrupted)
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.digest.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// S109 with what the operating system said; fs-err names the file.
pub(super) fn unwritable(error: &io::Error) -> Trouble {
    let problem = Diagnostic::error(codes::OUTPUT_UNWRITABLE, "a file cannot be written");
    Trouble::Local(Box::new(problem.note(error.to_string())))
}
