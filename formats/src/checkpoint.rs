//! A directory of weight files with a config: what the files hold is read when it is opened, tensors when they are asked
//! for.

use std::ops::Range;
use std::path::{Path, PathBuf};

use safetensors::Dtype;

use crate::config::{ConfigFile, file_name, unreadable};
use crate::diagnostic::{Diagnostic, Place};
use crate::file::Stretch;
use crate::gguf::{self, GgufFile, GgufWeights};
use crate::scan::TensorScan;
use crate::weights::Weights;
use crate::{Result, codes, scan};

/// One tensor of a checkpoint, borrowed from the memory-mapped file.
///
/// A tensor that a PyTorch file holds in another order, such as a transposed matrix, is borrowed from a copy in row-major
/// order, which was made when the checkpoint was opened.
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
    weights: Weights,
}

impl Checkpoint {
    /// Opens a directory: `config.json` and either `model.safetensors` or `model.safetensors.index.json` with its shards.
    ///
    /// Without either, files of PyTorch are opened, of which nothing is run: `pytorch_model.bin`, the shards of
    /// `pytorch_model.bin.index.json`, `model.pt`, `pytorch_model.pt` or `draft_model.pt`, in this order. If its weights lie in a dictionary inside a training
    /// checkpoint, its key is left out of their names.
    ///
    /// A path to a GGUF file opens that file, and so does a directory that holds one and no `config.json`: its config is put
    /// together from its metadata, and its tensors come with the rows in the order that checkpoints have.
    ///
    /// # Errors
    /// A diagnostic for each file that is missing, cut short or malformed.
    pub fn open(root: impl AsRef<Path>) -> Result<Checkpoint> {
        let root = root.as_ref();
        if let Some(file) = gguf::locate(root)? {
            return Checkpoint::gguf(root, GgufFile::open(&file)?);
        }
        directory(root)?;
        let mut problems = Vec::new();
        let config = ConfigFile::read(root.join("config.json"))
            .map(unwrapped)
            .map_err(|problem| problems.push(problem));
        let weights = Weights::open(root).map_err(|found| problems.extend(found));
        match (config, weights) {
            (Ok(config), Ok(weights)) => Ok(Checkpoint {
                root: root.to_path_buf(),
                config,
                weights,
            }),
            _ => Err(problems),
        }
    }

    /// A checkpoint that is in memory already: the text of `config.json` and the bytes of `model.safetensors`. `root` is used
    /// in findings only; nothing is looked for there.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], without S101.
    pub fn in_memory(
        root: impl AsRef<Path>,
        config: String,
        weights: Vec<u8>,
    ) -> Result<Checkpoint> {
        let root = root.as_ref();
        let config = ConfigFile::from_text(root.join("config.json"), config)?;
        Ok(Checkpoint {
            root: root.to_path_buf(),
            config,
            weights: Weights::in_memory(root, weights)?,
        })
    }

    /// A GGUF file that is in memory already; `path` is used in findings only.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], without S101.
    pub fn gguf_in_memory(path: impl AsRef<Path>, bytes: Vec<u8>) -> Result<Checkpoint> {
        let path = path.as_ref();
        Checkpoint::gguf(path, GgufFile::from_bytes(path, bytes)?)
    }

    fn gguf(root: &Path, file: GgufFile) -> Result<Checkpoint> {
        let (weights, config) = GgufWeights::new(file)?;
        Ok(Checkpoint {
            root: root.to_path_buf(),
            config,
            weights: Weights::gguf(weights),
        })
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

    /// The same weights beside another config.
    pub(crate) fn with_config(self, config: ConfigFile) -> Checkpoint {
        Checkpoint { config, ..self }
    }

    /// The weight files, in order.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        self.weights.files()
    }

    /// Bytes of the weight files, headers included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.weights.bytes()
    }

    /// `config.json` and the weight files with all their bytes, in order.
    pub(crate) fn contents(&self) -> Vec<(&Path, Stretch<'_>)> {
        let config = Stretch::held(self.config.text.as_bytes());
        // The config of a GGUF file is in the file.
        std::iter::once((self.config.path(), config))
            .filter(|_| !self.is_gguf())
            .chain(self.weights.contents())
            .collect()
    }

    /// The bytes of a tensor of this checkpoint, to be looked at once.
    pub(crate) fn stretch<'a>(&'a self, tensor: &TensorView<'a>) -> Stretch<'a> {
        self.weights.stretch(tensor)
    }

    /// Tensor names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.weights.names()
    }

    /// One tensor by name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        self.weights.tensor(name)
    }

    /// One tensor by name as it lies in the file, which for a GGUF file may be in another form.
    pub(crate) fn stored(&self, name: &str) -> Option<TensorView<'_>> {
        self.weights.stored(name)
    }

    /// Whether the weights are in a GGUF file.
    pub(crate) fn is_gguf(&self) -> bool {
        self.weights.is_gguf()
    }

    /// Reads the values in a range of bytes of a floating-point tensor, as [`scan::scan`] does for all of them, but out of
    /// its file instead of the mapping, which is faster where nobody else needs the mapping.
    #[must_use]
    pub(crate) fn scan(&self, name: &str, range: Range<usize>) -> Option<TensorScan> {
        let tensor = self.tensor(name)?;
        scan::scan_stretch(tensor.dtype, self.weights.stretch(&tensor).cut(range))
    }

    /// Where a tensor lies in its file; nothing where the file is not safetensors.
    pub(crate) fn span(&self, name: &str) -> Option<Range<usize>> {
        self.weights.span(name)
    }

    /// A place for findings about one tensor. In a PyTorch file it names the entry of the archive, too, and the tensor as
    /// it is called there.
    #[must_use]
    pub fn place(&self, name: &str) -> Place {
        self.weights
            .tensor_place(name)
            .unwrap_or_else(|| self.weights_place())
    }

    /// A place for findings about tensors that are not there: the weights file, or the index of several.
    #[must_use]
    pub fn weights_place(&self) -> Place {
        self.weights.place().clone()
    }
}

/// vLLM keeps the config of a head under `model` in one of its own (`EAGLEConfig`); what stands beside it there wins.
fn unwrapped(mut config: ConfigFile) -> ConfigFile {
    let wrapper = matches!(
        config
            .value
            .get("model_type")
            .and_then(|kind| kind.as_str()),
        Some("eagle" | "eagle3")
    );
    if wrapper && let Some(serde_json::Value::Object(model)) = config.value.remove("model") {
        for (key, value) in model {
            let absent = config
                .value
                .get(&key)
                .is_none_or(serde_json::Value::is_null);
            if absent {
                config.value.insert(key, value);
            }
        }
    }
    config
}

/// `owner/name`, where there is no directory `owner` either.
fn looks_like_hub_name(path: &Path) -> bool {
    let parent = path.parent().filter(|parent| !parent.exists());
    parent.is_some() && path.is_relative() && path.components().count() == 2
}

/// Checks that the path is a directory at all.
pub(crate) fn directory(root: &Path) -> Result<(), Diagnostic> {
    let metadata = fs_err::metadata(root).map_err(|error| {
        let problem = unreadable(root, &error);
        if looks_like_hub_name(root) {
            return problem.help(
                "a path begins with `./`; for the repository of that name on the Hub, put `hf://` before it",
            );
        }
        problem
    })?;
    if metadata.is_dir() {
        return Ok(());
    }
    let mut problem = Diagnostic::error(
        codes::FILE_MISSING,
        format!(
            "`{}` is a file, but a checkpoint is a directory",
            file_name(root)
        ),
    )
    .at(Place::file(root));
    if let Some(parent) = root
        .parent()
        .filter(|parent| parent.join("config.json").is_file())
    {
        problem = problem.help(format!(
            "pass the directory it lies in, `{}`",
            parent.display()
        ));
    }
    Err(problem)
}

#[cfg(test)]
mod tests;
