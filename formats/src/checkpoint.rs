//! A directory of safetensors files with a config: headers are read when it is opened, tensors when they are asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::Dtype;

use crate::config::{ConfigFile, file_name, unreadable};
use crate::diagnostic::{Diagnostic, Place};
use crate::header::{self, Entry};
use crate::{Result, codes, index};

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
    files: Vec<PathBuf>,
    maps: Vec<Mmap>,
    tensors: BTreeMap<String, (usize, Entry)>,
}

impl Checkpoint {
    /// Opens a directory: `config.json` and either `model.safetensors` or `model.safetensors.index.json` with its shards.
    ///
    /// # Errors
    /// A diagnostic for each file that is missing, cut short or malformed.
    pub fn open(root: impl AsRef<Path>) -> Result<Checkpoint> {
        let root = root.as_ref();
        directory(root)?;
        let mut problems = Vec::new();
        let config =
            ConfigFile::read(root.join("config.json")).map_err(|problem| problems.push(problem));
        let weights = Weights::open(root).map_err(|found| problems.extend(found));
        match (config, weights) {
            (Ok(config), Ok(weights)) => Ok(Checkpoint {
                root: root.to_path_buf(),
                config,
                files: weights.files,
                maps: weights.maps,
                tensors: weights.tensors,
            }),
            _ => Err(problems),
        }
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

    /// The safetensors files, in order.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Bytes of the safetensors files, headers included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.maps.iter().map(|map| map.len() as u64).sum()
    }

    /// Tensor names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// One tensor by name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let (file, entry) = self.tensors.get(name)?;
        Some(TensorView {
            name: &entry.name,
            dtype: entry.dtype,
            shape: &entry.shape,
            data: self.maps.get(*file)?.get(entry.begin..entry.end)?,
            path: self.files.get(*file)?,
        })
    }

    /// A place for findings about one tensor.
    #[must_use]
    pub fn place(&self, name: &str) -> Place {
        match self.tensor(name) {
            Some(view) => Place::tensor(view.path, name),
            None => self.weights_place(),
        }
    }

    /// A place for findings about tensors that are not there: the weights file, or the index of several.
    #[must_use]
    pub fn weights_place(&self) -> Place {
        match self.files.as_slice() {
            [only] => Place::file(only),
            _ => Place::file(self.root.join(index::FILE)),
        }
    }
}

/// The files of a checkpoint, mapped, and where each tensor lies.
struct Weights {
    files: Vec<PathBuf>,
    maps: Vec<Mmap>,
    tensors: BTreeMap<String, (usize, Entry)>,
}

impl Weights {
    fn open(root: &Path) -> Result<Weights> {
        let single = root.join("model.safetensors");
        let index = root.join(index::FILE);
        let mut weights = Weights {
            files: Vec::new(),
            maps: Vec::new(),
            tensors: BTreeMap::new(),
        };
        // The single file comes first, as in transformers, where both are there.
        if single.exists() {
            let (map, entries) = shard(&single)?;
            weights.tensors = entries
                .into_iter()
                .map(|entry| (entry.name.clone(), (0, entry)))
                .collect();
            weights.files.push(single);
            weights.maps.push(map);
            return Ok(weights);
        }
        if !index.exists() {
            return Err(absent(root).into());
        }
        let index = index::read(&index)?;
        let mut problems = Vec::new();
        for (position, name) in index.shards.iter().enumerate() {
            let path = root.join(name);
            if !path.exists() {
                problems.push(index.missing(name));
                continue;
            }
            match shard(&path) {
                Ok((map, entries)) => {
                    problems.extend(index.compare(name, &path, &entries));
                    let listed = entries
                        .into_iter()
                        .filter(|entry| index.shard_of(&entry.name) == Some(name));
                    weights
                        .tensors
                        .extend(listed.map(|entry| (entry.name.clone(), (position, entry))));
                    weights.files.push(path);
                    weights.maps.push(map);
                }
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() {
            Ok(weights)
        } else {
            Err(problems)
        }
    }
}

/// Maps one file and checks its header.
fn shard(path: &Path) -> Result<(Mmap, Vec<Entry>)> {
    let file = fs_err::File::open(path).map_err(|error| unreadable(path, &error))?;
    // SAFETY: a mapping is undefined behaviour if the file shrinks or changes while it is mapped. Checkpoints are written
    // once and renamed into place (by this tool and by the Hub's cache), the mapping is read-only and private, and copying
    // tens of gigabytes to rule out a writer that does neither would defeat the purpose. Every slice into the mapping is
    // bounds-checked against its length at the time of mapping.
    #[expect(unsafe_code, reason = "memory-mapped weights")]
    let map = unsafe { Mmap::map(file.file()) }.map_err(|error| unreadable(path, &error))?;
    let entries = header::parse(path, &map)?;
    Ok((map, entries))
}

/// Checks that the path is a directory at all.
pub(crate) fn directory(root: &Path) -> Result<(), Diagnostic> {
    let metadata = fs_err::metadata(root).map_err(|error| unreadable(root, &error))?;
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

/// No safetensors: say what is there instead.
fn absent(root: &Path) -> Diagnostic {
    let pickles = [
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "model.pt",
        "pytorch_model.pt",
        "draft_model.pt",
    ];
    if let Some(pickle) = pickles.iter().find(|name| root.join(name).exists()) {
        return Diagnostic::error(
            codes::PICKLE_ONLY,
            format!("the weights are only there as a PyTorch pickle, `{pickle}`"),
        )
        .at(Place::file(root.join(pickle)))
        .note("a pickle is a program; this version reads safetensors only")
        .help(
            "rewrite it once, in an environment with PyTorch: `python -c \"import torch, safetensors.torch as s; \
             s.save_file({k: v.clone().contiguous() for k, v in torch.load('pytorch_model.bin', weights_only=True).items()}, \
             'model.safetensors', metadata={'format': 'pt'})\"`",
        );
    }
    let mut others: Vec<String> = fs_err::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".safetensors"))
        .collect();
    others.sort();
    let problem = Diagnostic::error(
        codes::FILE_MISSING,
        format!(
            "there is neither `model.safetensors` nor `{}` in `{}`",
            index::FILE,
            root.display()
        ),
    )
    .at(Place::file(root));
    match others.first() {
        Some(other) => problem.note(format!(
            "{} other safetensors files are there, the first is `{other}`",
            others.len()
        )),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scratch, tensors};

    fn codes_of(found: Vec<Diagnostic>) -> Vec<u16> {
        found.iter().map(|found| found.code.0).collect()
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

    #[test]
    fn a_pickle_alone_is_refused_with_the_remedy() {
        let scratch = Scratch::new();
        scratch.write("config.json", b"{}");
        scratch.write("pytorch_model.bin", b"PK");
        let found = Checkpoint::open(scratch.root()).unwrap_err();
        assert_eq!(found[0].code, codes::PICKLE_ONLY);
        assert!(found[0].help.is_some());
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
            index::FILE,
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
            index::FILE,
            br#"{"weight_map":{"z":"a.safetensors","y":"b.safetensors"}}"#,
        );
        assert_eq!(
            codes_of(Checkpoint::open(scratch.root()).unwrap_err()),
            [107, 107, 107]
        );
    }

    #[test]
    fn an_index_cannot_lead_out_of_its_directory() {
        let scratch = Scratch::new();
        scratch.write("config.json", b"{}");
        for name in [
            "../a.safetensors",
            "/etc/passwd",
            "sub/a.safetensors",
            "..",
            "",
        ] {
            scratch.write(
                index::FILE,
                format!(r#"{{"weight_map":{{"x":"{name}"}}}}"#).as_bytes(),
            );
            assert_eq!(
                codes_of(Checkpoint::open(scratch.root()).unwrap_err()),
                [107],
                "{name}"
            );
        }
    }
}
