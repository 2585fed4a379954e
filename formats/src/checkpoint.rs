//! A directory of safetensors files with a config: headers are read when it is opened, tensors when they are asked for.

use std::path::{Path, PathBuf};

use safetensors::Dtype;

use crate::Result;
use crate::config::ConfigFile;

/// One tensor of a checkpoint, borrowed from the memory-mapped file.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// Name in the checkpoint.
    pub name: &'a str,
    /// Element type.
    pub dtype: Dtype,
    /// Shape, row-major.
    pub shape: &'a [usize],
    /// Little-endian bytes.
    pub data: &'a [u8],
    /// File the tensor lies in.
    pub path: &'a Path,
}

/// A checkpoint directory.
#[derive(Debug)]
pub struct Checkpoint {
    root: PathBuf,
    config: ConfigFile,
}

impl Checkpoint {
    /// Opens a directory: `config.json` and either `model.safetensors` or `model.safetensors.index.json` with its shards.
    ///
    /// # Errors
    /// A diagnostic for each file that is missing, cut short or malformed.
    pub fn open(_root: impl AsRef<Path>) -> Result<Checkpoint> {
        todo!("skeleton")
    }

    /// The directory, as given.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its `config.json`.
    #[must_use]
    pub fn config(&self) -> &ConfigFile {
        &self.config
    }

    /// Tensor names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    /// One tensor by name.
    #[must_use]
    pub fn tensor(&self, _name: &str) -> Option<TensorView<'_>> {
        todo!("skeleton")
    }
}
