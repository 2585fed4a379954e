//! The config, the index and the headers of a repository, without the tensors behind them.

use std::collections::BTreeMap;
use std::path::Path;

use speculators_formats::{ConfigFile, Diagnostic, codes, header, index};

use super::super::listing::{Listing, RemoteFile};
use super::super::repository::Repository;
use super::super::transfer::Source;
use super::super::{Hub, Watch};
use super::RemoteTensor;
use crate::Result;

/// How much of a shard is read at first; most headers are shorter.
const FIRST: u64 = 64 << 10;

/// Reads small things from a repository.
pub(super) struct Headers<'a> {
    pub hub: &'a Hub,
    pub watch: Watch<'a>,
    pub repository: &'a Repository,
    pub listing: &'a Listing,
}

/// Where the tensors of a repository lie.
pub(super) enum Shards {
    /// Tensor to file, from the index.
    Indexed(BTreeMap<String, String>),
    /// There is no index; all of these have to be looked at.
    Listed(Vec<String>),
}

impl Headers<'_> {
    /// `config.json`.
    pub fn config(&self, companions: &[RemoteFile]) -> Result<ConfigFile> {
        let file = companions.iter().find(|file| file.path == "config.json");
        match file {
            Some(file) => self.parsed(file),
            None => Err(self.lacks("config.json")),
        }
    }

    /// What the index says, or which files there are.
    pub fn shards(&self) -> Result<Shards> {
        let root =
            |file: &&RemoteFile| !file.path.contains('/') && file.path.ends_with(".safetensors");
        let weights: Vec<&RemoteFile> = self.listing.files.iter().filter(root).collect();
        if let Some(file) = self.file(index::SAFETENSORS) {
            if file.size > index::LONGEST {
                let title = format!("`{}` has {} bytes", file.path, file.size);
                return Err(Diagnostic::error(codes::INDEX_MALFORMED, title)
                    .note(format!(
                        "an index of at most {} bytes is read",
                        index::LONGEST
                    ))
                    .into());
            }
            return Ok(Shards::Indexed(index::weight_map(&self.parsed(file)?)?));
        }
        if let Some(only) = weights.iter().find(|file| file.path == "model.safetensors") {
            return Ok(Shards::Listed(vec![only.path.clone()]));
        }
        if weights.is_empty() {
            let pickles =
                |file: &&RemoteFile| file.path.ends_with(".bin") || file.path.ends_with(".pth");
            let others = self.listing.files.iter().filter(pickles).count();
            return Err(Diagnostic::error(
                codes::HUB_SELECTION,
                format!("`{}` has no safetensors files", self.repository),
            )
            .note(format!(
                "it has {others} PyTorch files, of which no parts can be fetched"
            ))
            .help("fetch it whole: leave out `--only`")
            .into());
        }
        Ok(Shards::Listed(
            weights.iter().map(|file| file.path.clone()).collect(),
        ))
    }

    /// All tensors of a shard.
    pub fn tensors(&self, path: &str) -> Result<Vec<RemoteTensor>> {
        let file = self.file(path).ok_or_else(|| self.lacks(path))?;
        let mut head = self.bytes(file, 0, FIRST.min(file.size))?;
        if let Some((length, _)) = head.split_first_chunk::<8>() {
            let length = u64::from_le_bytes(*length);
            let end = length.saturating_add(8).min(file.size);
            // What claims more is refused when it is parsed.
            if length <= header::LONGEST && end > head.len() as u64 {
                head.extend(self.bytes(file, head.len() as u64, end)?);
            }
        }
        let size = usize::try_from(file.size).unwrap_or(usize::MAX);
        let entries = header::parse_head(Path::new(path), &head, size)?;
        let tensor = |entry: header::Entry| RemoteTensor {
            name: entry.name,
            dtype: entry.dtype,
            shape: entry.shape,
            file: path.to_owned(),
            begin: entry.begin as u64,
            end: entry.end as u64,
        };
        Ok(entries.into_iter().map(tensor).collect())
    }

    fn file(&self, path: &str) -> Option<&RemoteFile> {
        self.listing.files.iter().find(|file| file.path == path)
    }

    fn lacks(&self, path: &str) -> crate::Error {
        let title = format!("`{}` has no `{path}`", self.repository);
        Diagnostic::error(codes::HUB_MISSING, title).into()
    }

    fn parsed(&self, file: &RemoteFile) -> Result<ConfigFile> {
        let bytes = self.bytes(file, 0, file.size)?;
        Ok(ConfigFile::from_bytes(&file.path, bytes)?)
    }

    fn bytes(&self, file: &RemoteFile, begin: u64, end: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let source = Source {
            id: &self.repository.id,
            commit: &self.listing.commit,
            path: &file.path,
            size: file.size,
        };
        self.hub
            .stream(self.watch, source, begin..end, &mut |chunk| {
                bytes.extend_from_slice(chunk);
                Ok(())
            })
            .map_err(|trouble| self.hub.explain(trouble, self.repository, Some(&file.path)))?;
        Ok(bytes)
    }
}
