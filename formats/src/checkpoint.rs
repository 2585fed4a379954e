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
                "models are local directories here; download it first, for example with `hf download`",
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
mod tests {
    use super::*;
    use crate::index;
    use crate::testing::{Scratch, tensors};

    fn codes_of(found: Vec<Diagnostic>) -> Vec<u16> {
        found.iter().map(|found| found.code.0).collect()
    }

    #[test]
    fn a_name_on_the_hub_is_told_from_a_path() {
        let help = |path: &str| Checkpoint::open(path).unwrap_err()[0].help.clone();
        assert!(help("some-owner/some-model").is_some_and(|help| help.contains("local")));
        assert_eq!(help("src/no-such-model"), None);
    }

    #[test]
    fn a_missing_directory_a_file_and_an_empty_directory_are_told_apart() {
        let scratch = Scratch::new();
        assert_eq!(
            codes_of(Checkpoint::open(scratch.path("nowhere")).unwrap_err()),
            [101]
        );
        scratch.write("config.json", b"{}");
        let found = Checkpoint::open(scratch.path("config.json")).unwrap_err();
        assert!(found[0].title.contains("is a file"), "{}", found[0].title);
        assert_eq!(
            codes_of(Checkpoint::open(scratch.root()).unwrap_err()),
            [101]
        );
    }

    /// A directory with a file of `fixtures/pickles` under another name.
    fn with_pickle(fixture: &str, name: &str) -> Scratch {
        let scratch = Scratch::new();
        scratch.write("config.json", b"{}");
        let pickles = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/pickles"));
        scratch.write(name, &fs_err::read(pickles.join(fixture)).unwrap());
        scratch
    }

    #[test]
    fn a_pickle_is_read_where_there_are_no_safetensors() {
        let scratch = with_pickle("plain.bin", "pytorch_model.bin");
        scratch.write("model.pt", b"not looked at");
        scratch.write("pytorch_model.bin.index.json", b"not looked at");
        let checkpoint = Checkpoint::open(scratch.root()).unwrap();
        let path = scratch.path("pytorch_model.bin");
        assert_eq!(checkpoint.files(), std::slice::from_ref(&path));
        assert_eq!(checkpoint.bytes(), fs_err::metadata(&path).unwrap().len());
        let view = checkpoint.tensor("i32").unwrap();
        assert_eq!((view.dtype, view.shape), (Dtype::I32, &[2, 3][..]));
        assert_eq!(view.path, path);
        let expected: Vec<u8> = (24_i32..30).flat_map(i32::to_le_bytes).collect();
        assert_eq!(view.data, expected);
        let place = checkpoint.place("i32").to_string();
        assert!(place.ends_with("data.pkl (i32)"), "{place}");
        assert_eq!(checkpoint.place("absent"), Place::file(path));

        scratch.write(
            "model.safetensors",
            &tensors(&[("x", Dtype::U8, &[1], vec![1])]),
        );
        let checkpoint = Checkpoint::open(scratch.root()).unwrap();
        assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn weights_inside_a_training_checkpoint_lose_its_key() {
        let scratch = with_pickle("nested.pt", "draft_model.pt");
        let checkpoint = Checkpoint::open(scratch.root()).unwrap();
        let names: Vec<&str> = checkpoint.names().collect();
        assert_eq!(
            names,
            ["fc.weight", "history.0", "optimizer.state.0.exp_avg"]
        );
        let view = checkpoint.tensor("fc.weight").unwrap();
        assert_eq!(view.name, "fc.weight");
        let expected: Vec<u8> = [1.0_f32, 2.0]
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect();
        assert_eq!(view.data, expected);
        assert!(checkpoint.tensor("draft_state_dict.fc.weight").is_none());
        let place = checkpoint.place("fc.weight").to_string();
        assert!(
            place.ends_with("data.pkl (draft_state_dict.fc.weight)"),
            "{place}"
        );
    }

    #[test]
    fn tensors_of_any_strides_are_row_major() {
        let scratch = with_pickle("layouts.bin", "model.pt");
        let checkpoint = Checkpoint::open(scratch.root()).unwrap();
        let numbers = |name: &str| -> Vec<i32> {
            let (numbers, rest) = checkpoint.tensor(name).unwrap().data.as_chunks();
            assert!(rest.is_empty());
            numbers
                .iter()
                .map(|bytes| i32::from_le_bytes(*bytes))
                .collect()
        };
        assert_eq!(checkpoint.tensor("transposed").unwrap().shape, [6, 4]);
        let transposed: Vec<i32> = (0..6)
            .flat_map(|row| (0..4).map(move |column| 6 * column + row))
            .collect();
        assert_eq!(numbers("transposed"), transposed);
        assert_eq!(numbers("tail"), [20, 21, 22, 23]);
        assert_eq!(numbers("whole"), (0..24).collect::<Vec<_>>());
    }

    #[test]
    fn pickles_are_refused_for_what_is_wrong_with_them() {
        for (fixture, code) in [("system_global.bin", 112), ("legacy.bin", 113)] {
            let scratch = with_pickle(fixture, "pytorch_model.pt");
            let found = Checkpoint::open(scratch.root()).unwrap_err();
            assert_eq!(codes_of(found), [code], "{fixture}");
        }
    }

    #[test]
    fn config_and_weights_are_reported_together() {
        let scratch = Scratch::new();
        scratch.write("config.json", b"{,");
        scratch.write("model.safetensors", b"1234");
        assert_eq!(
            codes_of(Checkpoint::open(scratch.root()).unwrap_err()),
            [104, 102]
        );
    }

    #[test]
    fn shards_are_joined_through_the_index() {
        let scratch = Scratch::new();
        scratch.write("config.json", b"{}");
        scratch.write(
            "a.safetensors",
            &tensors(&[("x", Dtype::U8, &[2], vec![1, 2])]),
        );
        scratch.write(
            "b.safetensors",
            &tensors(&[("y", Dtype::U8, &[1], vec![3])]),
        );
        scratch.write(
            index::SAFETENSORS,
            br#"{"weight_map":{"x":"a.safetensors","y":"b.safetensors"}}"#,
        );
        let checkpoint = Checkpoint::open(scratch.root()).unwrap();
        assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(checkpoint.tensor("y").unwrap().data, [3]);
        assert_eq!(checkpoint.files().len(), 2);
    }

    #[test]
    fn an_index_that_disagrees_with_its_shards_is_refused() {
        let scratch = Scratch::new();
        scratch.write("config.json", b"{}");
        scratch.write(
            "a.safetensors",
            &tensors(&[("x", Dtype::U8, &[2], vec![1, 2])]),
        );
        scratch.write(
            index::SAFETENSORS,
            br#"{"weight_map":{"z":"a.safetensors","y":"b.safetensors"}}"#,
        );
        assert_eq!(
            codes_of(Checkpoint::open(scratch.root()).unwrap_err()),
            [107, 107, 107]
        );
    }
}
