//! The weight files of a checkpoint, mapped, and where each tensor lies: safetensors, or one file of PyTorch.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::checkpoint::TensorView;
use crate::config::{file_name, unreadable};
use crate::diagnostic::{Diagnostic, Place};
use crate::header::{self, Entry};
use crate::pickle::{PickleFile, shorten};
use crate::{Result, codes, index};

/// Files of PyTorch that hold all weights of a head, in the order they are looked for.
pub(crate) const PICKLES: [&str; 4] = [
    "pytorch_model.bin",
    "model.pt",
    "pytorch_model.pt",
    "draft_model.pt",
];

/// Index of a PyTorch checkpoint in several files.
const SHARDED_PICKLE: &str = "pytorch_model.bin.index.json";

/// The weights of a checkpoint.
#[derive(Debug)]
pub(crate) struct Weights {
    files: Vec<PathBuf>,
    source: Source,
}

/// What the files are.
#[derive(Debug)]
enum Source {
    Safetensors {
        maps: Vec<Mmap>,
        /// Position of the file, and the place in it.
        tensors: BTreeMap<String, (usize, Entry)>,
    },
    Pickle {
        file: Box<PickleFile>,
        tensors: BTreeMap<String, Pickled>,
    },
}

/// A tensor of a PyTorch file.
#[derive(Debug)]
struct Pickled {
    /// Its name in the file, with the keys that lead to the state dict.
    full: String,
    /// Its elements in row-major order, if the file has them in another.
    copy: Option<Vec<u8>>,
}

impl Weights {
    /// Opens the weights in a directory, whichever are there.
    pub fn open(root: &Path) -> Result<Weights> {
        let single = root.join("model.safetensors");
        let index = root.join(index::FILE);
        // The single file comes first, as in transformers, where both are there.
        if single.exists() {
            return Weights::single(single);
        }
        if index.exists() {
            return Weights::sharded(root, &index);
        }
        match PICKLES
            .iter()
            .map(|name| root.join(name))
            .find(|path| path.exists())
        {
            Some(path) => Ok(Weights::pickle(path)?),
            None => Err(absent(root).into()),
        }
    }

    fn single(path: PathBuf) -> Result<Weights> {
        let (map, entries) = shard(&path)?;
        let tensors = entries
            .into_iter()
            .map(|entry| (entry.name.clone(), (0, entry)))
            .collect();
        Ok(Weights {
            files: vec![path],
            source: Source::Safetensors {
                maps: vec![map],
                tensors,
            },
        })
    }

    fn sharded(root: &Path, index: &Path) -> Result<Weights> {
        let index = index::read(index)?;
        let (mut files, mut maps, mut tensors) = (Vec::new(), Vec::new(), BTreeMap::new());
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
                    tensors.extend(listed.map(|entry| (entry.name.clone(), (position, entry))));
                    files.push(path);
                    maps.push(map);
                }
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Weights {
            files,
            source: Source::Safetensors { maps, tensors },
        })
    }

    fn pickle(path: PathBuf) -> Result<Weights, Diagnostic> {
        let file = PickleFile::open(&path)?;
        let prefix = file.prefix();
        let mut tensors = BTreeMap::new();
        let mut copied = 0_u64;
        for (full, tensor) in file.tensors() {
            // Views of one storage may overlap: without a limit, a small file could ask for any amount of memory.
            if !tensor.is_contiguous() {
                copied = copied.saturating_add(tensor.bytes() as u64);
                if copied > file.bytes() {
                    return Err(overlapping(&file, full));
                }
            }
            let copy = match file.data(full)? {
                Cow::Borrowed(_) => None,
                Cow::Owned(elements) => Some(elements),
            };
            // A tensor beside the state dict keeps its full name, so that whoever asks what it is finds it in the file.
            let name = full.strip_prefix(&prefix).unwrap_or(full);
            match tensors.entry(name.to_owned()) {
                Slot::Vacant(slot) => drop(slot.insert(Pickled {
                    full: full.to_owned(),
                    copy,
                })),
                Slot::Occupied(slot) => return Err(doubled(&file, &slot.get().full, full)),
            }
        }
        Ok(Weights {
            files: vec![path],
            source: Source::Pickle {
                file: Box::new(file),
                tensors,
            },
        })
    }

    /// The files, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        match &self.source {
            Source::Safetensors { maps, .. } => maps.iter().map(|map| map.len() as u64).sum(),
            Source::Pickle { file, .. } => file.bytes(),
        }
    }

    /// Each file with all its bytes, in order.
    pub fn contents(&self) -> Vec<(&Path, &[u8])> {
        let contents: Vec<&[u8]> = match &self.source {
            Source::Safetensors { maps, .. } => maps.iter().map(|map| &map[..]).collect(),
            Source::Pickle { file, .. } => vec![file.contents()],
        };
        self.files
            .iter()
            .map(PathBuf::as_path)
            .zip(contents)
            .collect()
    }

    /// Tensor names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        // One of the two is empty: the sources have maps of different types.
        let (safetensors, pickled) = match &self.source {
            Source::Safetensors { tensors, .. } => (Some(tensors.keys()), None),
            Source::Pickle { tensors, .. } => (None, Some(tensors.keys())),
        };
        let names = safetensors.into_iter().flatten();
        names
            .chain(pickled.into_iter().flatten())
            .map(String::as_str)
    }

    /// One tensor by name.
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        match &self.source {
            Source::Safetensors { maps, tensors } => {
                let (file, entry) = tensors.get(name)?;
                Some(TensorView {
                    name: &entry.name,
                    dtype: entry.dtype,
                    shape: &entry.shape,
                    data: maps.get(*file)?.get(entry.begin..entry.end)?,
                    path: self.files.get(*file)?,
                })
            }
            Source::Pickle { file, tensors } => {
                let (name, pickled) = tensors.get_key_value(name)?;
                let tensor = file.tensor(&pickled.full)?;
                let data = match &pickled.copy {
                    Some(copy) => copy,
                    None => match file.data(&pickled.full).ok()? {
                        Cow::Borrowed(data) => data,
                        // Does not happen: such a tensor was copied when the file was opened.
                        Cow::Owned(_) => return None,
                    },
                };
                Some(TensorView {
                    name,
                    dtype: tensor.dtype,
                    shape: &tensor.shape,
                    data,
                    path: file.path(),
                })
            }
        }
    }

    /// A place for findings about one tensor, if it is there.
    pub fn place(&self, name: &str) -> Option<Place> {
        match &self.source {
            Source::Safetensors { tensors, .. } => {
                let (file, _) = tensors.get(name)?;
                Some(Place::tensor(self.files.get(*file)?, name))
            }
            Source::Pickle { file, tensors } => Some(file.place(&tensors.get(name)?.full)),
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

/// S113 for a file whose tensors in foreign order add up to more than the file.
fn overlapping(file: &PickleFile, full: &str) -> Diagnostic {
    Diagnostic::error(
        codes::PICKLE_MALFORMED,
        format!(
            "the tensors of `{}` that are not in row-major order take more memory than the file has bytes",
            file_name(file.path())
        ),
    )
    .at(file.place(full))
    .note(format!(
        "the file has {} bytes; up to this tensor, the copies in row-major order need more",
        file.bytes()
    ))
    .note("only tensors that share their elements can add up to that")
    .help("save each of them as `tensor.contiguous()`")
}

/// S113 for two tensors that have one name once the key of the state dict is taken off.
fn doubled(file: &PickleFile, first: &str, second: &str) -> Diagnostic {
    Diagnostic::error(
        codes::PICKLE_MALFORMED,
        format!(
            "`{}` and `{}` are the same tensor of the head",
            shorten(first),
            shorten(second)
        ),
    )
    .at(file.place(second))
    .note(format!(
        "the weights are those under `{}`, and that is left out of their names",
        file.prefix()
    ))
    .help("save the state dict alone")
}

/// No weights that are read: say what is there instead.
fn absent(root: &Path) -> Diagnostic {
    let sharded = root.join(SHARDED_PICKLE);
    if sharded.exists() {
        return Diagnostic::error(
            codes::PICKLE_ONLY,
            format!("the weights are only there as a sharded PyTorch pickle, `{SHARDED_PICKLE}`"),
        )
        .at(Place::file(sharded))
        .note("this version reads a pickle that is one file, and safetensors in any number of files")
        .help(
            "rewrite it once, in an environment with PyTorch: `python -c \"import glob, torch, safetensors.torch as s; \
             s.save_file({k: v.clone().contiguous() for f in glob.glob('pytorch_model-*.bin') \
             for k, v in torch.load(f, weights_only=True).items()}, 'model.safetensors', metadata={'format': 'pt'})\"`",
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
            "there is no `model.safetensors`, `{}` or `{}` in `{}`",
            index::FILE,
            PICKLES[0],
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
    use crate::pickle::tests::{archive, program, tensor};
    use crate::testing::Scratch;

    /// The opcodes of a dictionary.
    fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let entries = entries.iter().flat_map(|(key, value)| {
            let length = (key.len() as u32).to_le_bytes();
            [b"X", &length[..], key.as_bytes(), value].concat()
        });
        [&b"}("[..], &entries.collect::<Vec<u8>>(), b"u"].concat()
    }

    /// Opens a file that holds one object and a storage of 64 x 64 floats.
    fn open(object: &[u8]) -> Result<Weights> {
        let scratch = Scratch::new();
        let file = archive(&[
            ("a/data.pkl", &program(&[object])),
            ("a/data/0", &[0; 4 * 4096]),
        ]);
        scratch.write("model.pt", &file);
        Weights::open(scratch.root())
    }

    #[test]
    fn two_tensors_never_share_a_name() {
        let weight = || tensor(4096, 0, &[64, 64], &[64, 1]);
        let inner = || dictionary(&[("weight", weight())]);
        // Once `model.` is taken off, both are `fc.weight`.
        let state = dictionary(&[("fc.weight", weight())]);
        let found = open(&dictionary(&[("model", state), ("fc", inner())])).unwrap_err();
        assert_eq!(found[0].code, codes::PICKLE_MALFORMED);
        assert!(
            found[0].title.contains("`model.fc.weight`"),
            "{}",
            found[0].title
        );
        let told_apart = dictionary(&[("model", inner()), ("fc", inner())]);
        let weights = open(&told_apart).unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), ["fc.weight", "weight"]);
    }

    #[test]
    fn copies_take_no_more_memory_than_the_file_has_bytes() {
        let transposed = || tensor(4096, 0, &[64, 64], &[1, 64]);
        assert!(open(&dictionary(&[("a", transposed())])).is_ok());
        let found = open(&dictionary(&[("a", transposed()), ("b", transposed())])).unwrap_err();
        assert_eq!(found[0].code, codes::PICKLE_MALFORMED);
        // What lies in the file as it is needs no copy, however often it is named.
        let whole = || tensor(4096, 0, &[64, 64], &[64, 1]);
        assert!(open(&dictionary(&[("a", whole()), ("b", whole())])).is_ok());
    }
}
