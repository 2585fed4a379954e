//! Single tensors of a repository: the headers of its shards are read, then the byte ranges of the tensors that are wanted.
//!
//! What comes out is a directory that every command takes for the verifier it is a part of: config and tokenizer as they
//! are, and one safetensors file whose metadata say where each tensor came from. A cut, a kill or Ctrl-C leave a directory
//! with `.incomplete` behind its name, and the same command goes on with it.

use std::path::{Path, PathBuf};

use safetensors::Dtype;
use serde::Serialize;
use speculators_formats::convert::output;
use speculators_formats::verifier::tensors::Located;
use speculators_formats::{Diagnostic, Place, codes};

use super::cache::Cache;
use super::disk::room;
use super::environment::Environment;
use super::listing::{Listing, RemoteFile};
use super::repository::{Repository, RepositoryId};
use super::select::Selection;
use super::transfer::{Source, unwritable};
use super::{Hub, Watch};
use crate::Result;

mod fill;
mod headers;
mod spans;
mod wanted;

pub use wanted::Wanted;

use headers::Headers;

/// Small files that a verifier is not complete without. An index would name shards that are not there.
const COMPANIONS: [&str; 8] = [
    "*.json",
    "*.txt",
    "*.model",
    "*.jinja",
    "*.tiktoken",
    "LICENSE*",
    "NOTICE*",
    "USE_POLICY*",
];

/// A companion is not larger than this; tokenizers have up to thirty million bytes.
const LARGEST_COMPANION: u64 = 128 << 20;

/// What a partial pull will do.
#[derive(Clone, Debug, Serialize)]
pub struct PartialPlan {
    /// From where.
    pub repository: RepositoryId,
    /// The revision as it was asked for.
    pub revision: String,
    /// The commit it stands for.
    pub commit: String,
    /// The directory that will be made.
    pub directory: PathBuf,
    /// The tensors, in the order they will lie in.
    pub tensors: Vec<RemoteTensor>,
    /// How the tensors that heads share were found.
    pub located: Vec<Located>,
    /// Files beside the weights.
    pub companions: Vec<RemoteFile>,
    /// Bytes of the repository's weights and of the companions.
    pub whole_bytes: u64,
    #[serde(skip)]
    sizes: Vec<(String, u64)>,
}

/// A tensor on the Hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemoteTensor {
    /// Its name.
    pub name: String,
    /// Element type.
    #[serde(serialize_with = "as_text")]
    pub dtype: Dtype,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// File it lies in.
    pub file: String,
    /// Its first byte in that file.
    pub begin: u64,
    /// The byte after its last.
    pub end: u64,
}

fn as_text<S: serde::Serializer>(dtype: &Dtype, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{dtype:?}"))
}

impl RemoteTensor {
    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end - self.begin
    }
}

impl PartialPlan {
    /// Bytes of the tensors.
    #[must_use]
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().map(RemoteTensor::bytes).sum()
    }

    /// Where it is put together.
    fn staging(&self) -> PathBuf {
        let mut name = self.directory.as_os_str().to_owned();
        name.push(".incomplete");
        PathBuf::from(name)
    }

    fn size_of(&self, file: &str) -> u64 {
        let found = self.sizes.iter().find(|(path, _)| path == file);
        found.map_or(0, |(_, size)| *size)
    }
}

/// The parts of repositories that were fetched because a command needed them, laid out as the Hub's cache is.
fn parts(environment: &Environment, id: &RepositoryId) -> Cache {
    Cache::new(&environment.home.join("speculators"), id)
}

/// The tensors that heads share, of a repository as it was when the Hub was last asked.
#[must_use]
pub fn kept(environment: &Environment, repository: &Repository) -> Option<PathBuf> {
    parts(environment, &repository.id).known_snapshot(repository)
}

impl Hub {
    /// Fetches the tensors that heads share, and keeps them. `told` hears what will be fetched, if anything is.
    ///
    /// # Errors
    /// As [`Hub::plan_tensors`] and [`Hub::pull_tensors`].
    pub fn keep_shared(
        &self,
        repository: &Repository,
        listing: &Listing,
        told: &mut dyn FnMut(&PartialPlan),
        watch: Watch<'_>,
    ) -> Result<PathBuf> {
        let cache = parts(&self.environment, &repository.id);
        let directory = cache.snapshot(&listing.commit);
        let failed = |error: &std::io::Error| self.explain(unwritable(error), repository, None);
        if !directory.is_dir() {
            if let Some(parent) = directory.parent() {
                fs_err::create_dir_all(parent).map_err(|error| failed(&error))?;
            }
            let wanted = Wanted::shared();
            let plan = self.plan_tensors(repository, listing, &wanted, &directory, watch)?;
            told(&plan);
            self.pull_tensors(&plan, false, watch)?;
        }
        cache
            .note(repository.revision(), &listing.commit)
            .map_err(|error| failed(&error))?;
        Ok(directory)
    }

    /// Finds the wanted tensors: reads the config, the index and the headers of the shards that matter.
    ///
    /// # Errors
    /// S519 where a pattern matches no tensor or the repository has no safetensors files, S201 where a shared tensor is
    /// missing or ambiguous, S108 where the directory exists, S518 where the disk has no room, and what the Hub says.
    pub fn plan_tensors(
        &self,
        repository: &Repository,
        listing: &Listing,
        wanted: &Wanted,
        directory: &Path,
        watch: Watch<'_>,
    ) -> Result<PartialPlan> {
        let companions = companions(listing)?;
        let headers = Headers {
            hub: self,
            watch,
            repository,
            listing,
        };
        let config = headers.config(&companions)?;
        let (tensors, located) = wanted.resolve(&headers, &config)?;
        let weights = listing
            .files
            .iter()
            .filter(|file| file.path.ends_with(".safetensors"));
        let beside: u64 = companions.iter().map(|file| file.size).sum();
        let plan = PartialPlan {
            repository: repository.id.clone(),
            revision: repository.revision().to_owned(),
            commit: listing.commit.clone(),
            directory: directory.to_path_buf(),
            tensors,
            located,
            whole_bytes: beside + weights.clone().map(|file| file.size).sum::<u64>(),
            sizes: weights.map(|file| (file.path.clone(), file.size)).collect(),
            companions,
        };
        room(&plan.directory, plan.tensor_bytes() + beside)?;
        Ok(plan)
    }

    /// Does what the plan says; gives the directory.
    ///
    /// # Errors
    /// As [`Hub::pull`], and S108 where something has appeared at the directory meanwhile.
    pub fn pull_tensors(&self, plan: &PartialPlan, force: bool, watch: Watch<'_>) -> Result<()> {
        if let Some(problem) = output::occupied(&plan.directory, force) {
            return Err(problem.into());
        }
        output::parent(&plan.directory)?;
        let repository = Repository {
            id: plan.repository.clone(),
            revision: Some(plan.revision.clone()),
        };
        let staging = plan.staging();
        let prepared = fill::prepare(plan, &staging)
            .map_err(|error| self.explain(unwritable(&error), &repository, None))?;
        let Some(_alone) = prepared else {
            return Err(Diagnostic::error(
                codes::OUTPUT_EXISTS,
                "another process is fetching the same tensors",
            )
            .at(Place::file(&staging))
            .help("wait for it, or choose another `--local-dir`")
            .into());
        };
        let mut files: Vec<(String, u64)> = plan
            .companions
            .iter()
            .map(|file| (file.path.clone(), file.size))
            .collect();
        files.push((fill::FILE.to_owned(), plan.tensor_bytes()));
        watch.progress.begin(&files);
        for (number, file) in plan.companions.iter().enumerate() {
            let etag = self.etag(&repository, &plan.commit, file, watch)?;
            let source = Source {
                id: &plan.repository,
                commit: &plan.commit,
                path: &file.path,
                size: file.size,
            };
            let goal = staging.join(&file.path);
            self.fetch(watch, source, &etag, &goal, &mut |bytes| {
                watch.progress.at(number, bytes);
            })
            .map_err(|trouble| self.explain(trouble, &repository, Some(&file.path)))?;
            watch.progress.end(number);
        }
        self.fill(plan, &repository, &staging, watch, plan.companions.len())?;
        let mut aside = plan.directory.as_os_str().to_owned();
        aside.push(".replaced");
        let aside = PathBuf::from(aside);
        output::publish(&staging, &plan.directory, &aside, force)?;
        for old in [&staging, &aside] {
            if old.is_dir() {
                fs_err::remove_dir_all(old)
                    .map_err(|error| self.explain(unwritable(&error), &repository, None))?;
            }
        }
        Ok(())
    }
}

/// The small files in the repository's root.
fn companions(listing: &Listing) -> Result<Vec<RemoteFile>> {
    let patterns = COMPANIONS.map(str::to_owned);
    let selection = Selection::new(&patterns, &["*.index.json".to_owned()])?;
    let companions: Vec<RemoteFile> = listing
        .files
        .iter()
        .filter(|file| !file.path.contains('/') && selection.takes(&file.path))
        .filter(|file| file.size <= LARGEST_COMPANION)
        .cloned()
        .collect();
    if companions.iter().any(|file| file.path == "config.json") {
        return Ok(companions);
    }
    Err(Diagnostic::error(
        codes::HUB_SELECTION,
        "the repository has no `config.json`, so it is no verifier",
    )
    .help("fetch it whole: leave out `--only`")
    .into())
}
