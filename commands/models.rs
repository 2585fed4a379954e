//! Models as people name them: a directory, or a repository on the Hub.

use std::path::{Path, PathBuf};

use speculators::Error;
use speculators::hub::partial::{self, PartialPlan};
use speculators::hub::pull::Destination;
use speculators::hub::{Hub, Listing, Repository, Selection, pull};
use speculators_formats::codes;

use crate::downloads::Downloads;
use crate::failure::Failure;
use crate::pull::not_cached;
use crate::session::Session;
use crate::tables;

/// How much of a model a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Config and tokenizer.
    Config,
    /// Those, and the tensors that heads share.
    Shared,
    /// All that a runtime would load.
    Everything,
}

/// Puts the directory in the place of a repository's name; fetches what is missing. A path stays what it is.
pub fn localize(model: &mut PathBuf, need: Need, session: &Session) -> Result<(), Failure> {
    if let Some(repository) = repository(model) {
        *model = fetched(&repository, need, session)?;
    }
    Ok(())
}

/// The same for an option that may not be given.
pub fn localize_some(
    model: &mut Option<PathBuf>,
    need: Need,
    session: &Session,
) -> Result<(), Failure> {
    match model {
        Some(model) => localize(model, need, session),
        None => Ok(()),
    }
}

/// The repository that something names which is no path: nothing of that name is here, nor is a directory it would be in.
fn repository(model: &Path) -> Option<Repository> {
    let text = model.to_str()?;
    if let Some(plain) = text.strip_prefix("hf://") {
        return plain.parse().ok();
    }
    if fs_err::symlink_metadata(model).is_ok() || text.starts_with(['.', '/', '~']) {
        return None;
    }
    let (owner, _) = text.split_once('/')?;
    if Path::new(owner).is_dir() {
        return None;
    }
    text.parse().ok()
}

fn fetched(repository: &Repository, need: Need, session: &Session) -> Result<PathBuf, Failure> {
    let environment = session.environment()?;
    let cached = pull::cached(&environment, repository);
    if environment.offline {
        let kept = || partial::kept(&environment, repository).filter(|_| need != Need::Everything);
        return cached
            .or_else(kept)
            .ok_or_else(|| not_cached(&environment, repository).into());
    }
    let hub = Hub::open(environment)?;
    let downloads = Downloads::new(session);
    let listing = match hub.list(repository, downloads.watch()) {
        Err(Error::Diagnostics(problems))
            if cached.is_some()
                && problems
                    .iter()
                    .any(|problem| problem.code == codes::HUB_UNREACHABLE) =>
        {
            session.say(&format!(
                "{repository}: the Hub cannot be reached; using what the cache holds"
            ));
            return Ok(cached.unwrap_or_default());
        }
        listing => listing?,
    };
    let directory = if need == Need::Shared {
        shared(&hub, repository, &listing, &downloads, session)
    } else {
        whole(&hub, repository, &listing, need, &downloads, session)
    };
    downloads.finish();
    directory
}

/// Into the cache, the files that matter.
fn whole(
    hub: &Hub,
    repository: &Repository,
    listing: &Listing,
    need: Need,
    downloads: &Downloads<'_>,
    session: &Session,
) -> Result<PathBuf, Failure> {
    let selection = selection(listing, need)?;
    let watch = downloads.watch();
    let plan = hub.plan(repository, listing, &selection, &Destination::Cache, watch)?;
    if plan.missing_bytes() > 0 {
        session.say(&format!(
            "{repository} at {}: fetching {}",
            &plan.commit[..12],
            tables::bytes(plan.missing_bytes())
        ));
    }
    Ok(hub.pull(&plan, watch)?)
}

/// A small verifier of the tensors that heads share; the whole one if it is in the cache.
fn shared(
    hub: &Hub,
    repository: &Repository,
    listing: &Listing,
    downloads: &Downloads<'_>,
    session: &Session,
) -> Result<PathBuf, Failure> {
    let everything = selection(listing, Need::Everything)?;
    if let Some(snapshot) = hub.present(repository, listing, &everything) {
        return Ok(snapshot);
    }
    let told = &mut |plan: &PartialPlan| {
        session.say(&format!(
            "{repository} at {}: fetching {} of {}",
            &plan.commit[..12],
            tables::bytes(plan.tensor_bytes()),
            tables::bytes(plan.whole_bytes)
        ));
    };
    Ok(hub.keep_shared(repository, listing, told, downloads.watch())?)
}

/// What a command needs of a repository: nothing out of directories below the root, where originals and exports lie.
fn selection(listing: &Listing, need: Need) -> Result<Selection, Failure> {
    let mut patterns = vec!["*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken"];
    if need != Need::Config {
        let holds = |ending: &str| {
            let mut files = listing.files.iter();
            files.any(|file| !file.path.contains('/') && file.path.ends_with(ending))
        };
        // One form of the weights is enough.
        let forms = ["*.safetensors", "*.bin", "*.gguf"];
        patterns.extend(forms.iter().find(|form| holds(&form[1..])));
    }
    let patterns: Vec<String> = patterns.into_iter().map(str::to_owned).collect();
    Ok(Selection::new(&patterns, &["*/*".to_owned()])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_told_apart() {
        for (text, name) in [
            ("meta-llama/Llama-3.1-8B", true),
            ("a/b@main", true),
            ("hf://a/b", true),
            ("./a/b", false),
            ("../a", false),
            ("/a/b", false),
            ("commands/nothing", false),
            ("commands", false),
            ("missing", false),
            ("a/b/c", false),
        ] {
            assert_eq!(repository(Path::new(text)).is_some(), name, "{text}");
        }
    }
}
