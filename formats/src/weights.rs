//! The weight files of a checkpoint, and which of them each tensor lies in: safetensors or PyTorch, one file or several
//! with an index; or a GGUF file.

mod pickled;
mod safetensors;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use self::pickled::Pickled;
use self::safetensors::Safetensors;
use crate::checkpoint::TensorView;
use crate::diagnostic::{Diagnostic, Place};
use crate::file::{self, Content, Stretch};
use crate::gguf::GgufWeights;
use crate::pickle::shorten;
use crate::{Result, codes, index};

/// The one safetensors file with all weights.
const SAFETENSORS: &str = "model.safetensors";

/// The one file of PyTorch with all weights.
const PICKLE: &str = "pytorch_model.bin";

/// Other names of such a file, in the order they are looked for.
const OTHER_PICKLES: [&str; 3] = ["model.pt", "pytorch_model.pt", "draft_model.pt"];

/// How the names of files end that may well hold weights, the likeliest first.
const ENDINGS: [&str; 4] = ["safetensors", "bin", "pt", "pth"];

/// How the names of files begin that trainers write beside the weights.
const BESIDE: [&str; 4] = ["training_args", "optimizer", "scheduler", "rng_state"];

/// The weights of a checkpoint.
#[derive(Debug)]
pub(crate) struct Weights {
    files: Vec<PathBuf>,
    shards: Vec<Shard>,
    /// Position of the shard that a tensor lies in.
    tensors: BTreeMap<String, usize>,
    /// The index, if there is one, else the one file.
    place: Place,
}

/// One file.
#[derive(Debug)]
enum Shard {
    Safetensors(Safetensors),
    Pickle(Box<Pickled>),
    Gguf(Box<GgufWeights>),
}

/// What an index leads to.
#[derive(Clone, Copy)]
enum Kind {
    Safetensors,
    Pickle,
}

impl Weights {
    /// Opens the weights in a directory, whichever are there.
    pub fn open(root: &Path) -> Result<Weights> {
        // A single file comes before an index, as in transformers.
        for (single, index, kind) in [
            (SAFETENSORS, index::SAFETENSORS, Kind::Safetensors),
            (PICKLE, index::PICKLES, Kind::Pickle),
        ] {
            let (single, index) = (root.join(single), root.join(index));
            if file::is_there(&single) {
                return Ok(Weights::single(Shard::open(&single, kind)?));
            }
            if file::is_there(&index) {
                return Weights::sharded(root, &index, kind);
            }
        }
        for name in OTHER_PICKLES {
            let path = root.join(name);
            if file::is_there(&path) {
                return Ok(Weights::single(Shard::open(&path, Kind::Pickle)?));
            }
        }
        Err(absent(root).into())
    }

    /// Weights that are in memory already, as the bytes of a safetensors file.
    pub fn in_memory(root: &Path, bytes: Vec<u8>) -> Result<Weights> {
        let file = Safetensors::new(root.join(SAFETENSORS), Content::Held(bytes))?;
        Ok(Weights::single(Shard::Safetensors(file)))
    }

    /// Those of a GGUF file.
    pub fn gguf(weights: GgufWeights) -> Weights {
        Weights::single(Shard::Gguf(Box::new(weights)))
    }

    /// Whether they are those of a GGUF file.
    pub fn is_gguf(&self) -> bool {
        matches!(self.shards.as_slice(), [Shard::Gguf(_)])
    }

    fn single(shard: Shard) -> Weights {
        Weights {
            files: vec![shard.path().to_path_buf()],
            tensors: shard.names().map(|name| (name.to_owned(), 0)).collect(),
            place: Place::file(shard.path()),
            shards: vec![shard],
        }
    }

    fn sharded(root: &Path, index: &Path, kind: Kind) -> Result<Weights> {
        let index = index::read(index)?;
        let (mut files, mut shards, mut tensors) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut problems = Vec::new();
        for (position, name) in index.shards.iter().enumerate() {
            let path = root.join(name);
            if !file::is_there(&path) {
                problems.push(index.missing(name));
                continue;
            }
            match Shard::open(&path, kind) {
                Ok(shard) => {
                    problems.extend(index.compare(name, &path, shard.names()));
                    let listed = shard
                        .names()
                        .filter(|tensor| index.shard_of(tensor) == Some(name));
                    tensors.extend(listed.map(|tensor| (tensor.to_owned(), position)));
                    files.push(path);
                    shards.push(shard);
                }
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Weights {
            files,
            shards,
            tensors,
            place: index.place(),
        })
    }

    /// The files, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        let lengths = self.shards.iter().map(|shard| shard.content().len() as u64);
        lengths.sum()
    }

    /// Each file with all its bytes, in order.
    pub fn contents(&self) -> Vec<(&Path, Stretch<'_>)> {
        self.shards
            .iter()
            .map(|shard| {
                let content = shard.content();
                (shard.path(), content.stretch(content))
            })
            .collect()
    }

    /// Tensor names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// One tensor by name.
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        match self.shard(name)? {
            Shard::Safetensors(file) => file.tensor(name),
            Shard::Pickle(file) => file.tensor(name),
            Shard::Gguf(weights) => weights.tensor(name),
        }
    }

    /// One tensor by name as it lies in its file.
    pub fn stored(&self, name: &str) -> Option<TensorView<'_>> {
        match self.shard(name)? {
            Shard::Gguf(weights) => weights.file().tensor(name),
            _ => self.tensor(name),
        }
    }

    /// The bytes of a tensor of these weights, to be looked at once.
    pub fn stretch<'a>(&'a self, tensor: &TensorView<'a>) -> Stretch<'a> {
        match self.shard(tensor.name).map(Shard::content) {
            Some(content) => content.stretch(tensor.data),
            None => Stretch::held(tensor.data),
        }
    }

    /// Where a tensor lies in its file; nothing where the file is not safetensors.
    pub fn span(&self, name: &str) -> Option<Range<usize>> {
        match self.shard(name)? {
            Shard::Safetensors(file) => file.span(name),
            Shard::Pickle(_) | Shard::Gguf(_) => None,
        }
    }

    /// A place for findings about one tensor, if it is there.
    pub fn tensor_place(&self, name: &str) -> Option<Place> {
        match self.shard(name)? {
            Shard::Safetensors(file) => file.place(name),
            Shard::Pickle(file) => file.place(name),
            Shard::Gguf(weights) => weights.file().place(name),
        }
    }

    /// A place for findings about the whole.
    pub fn place(&self) -> &Place {
        &self.place
    }

    fn shard(&self, name: &str) -> Option<&Shard> {
        self.shards.get(*self.tensors.get(name)?)
    }
}

impl Shard {
    fn open(path: &Path, kind: Kind) -> Result<Shard> {
        Ok(match kind {
            Kind::Safetensors => {
                Shard::Safetensors(Safetensors::new(path.to_path_buf(), file::map(path)?)?)
            }
            Kind::Pickle => Shard::Pickle(Box::new(Pickled::open(path)?)),
        })
    }

    fn path(&self) -> &Path {
        match self {
            Shard::Safetensors(file) => file.path(),
            Shard::Pickle(file) => file.path(),
            Shard::Gguf(weights) => weights.file().path(),
        }
    }

    fn content(&self) -> &Content {
        match self {
            Shard::Safetensors(file) => file.content(),
            Shard::Pickle(file) => file.content(),
            Shard::Gguf(weights) => weights.file().content(),
        }
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Shard::Safetensors(file) => Box::new(file.names()),
            Shard::Pickle(file) => Box::new(file.names()),
            Shard::Gguf(weights) => Box::new(weights.file().names()),
        }
    }
}

/// No weights under a name that is looked for: S111 if they may be there under another, else S101.
fn absent(root: &Path) -> Diagnostic {
    let others = others(root);
    let Some(first) = others.first() else {
        return Diagnostic::error(
            codes::FILE_MISSING,
            format!(
                "there is no `{SAFETENSORS}`, `{}`, `{PICKLE}` or `{}` in `{}`",
                index::SAFETENSORS,
                index::PICKLES,
                root.display()
            ),
        )
        .at(Place::file(root));
    };
    let name = shorten(first);
    let to = if first.ends_with(".safetensors") {
        SAFETENSORS
    } else {
        PICKLE
    };
    if others.len() == 1 {
        return Diagnostic::error(
            codes::WEIGHTS_NAME,
            format!("the weights are probably in `{name}`, but `{SAFETENSORS}` is what they are looked for in"),
        )
        .at(Place::file(root.join(first)))
        .note("it is the only file here that may hold weights; whether it holds those of the head is not guessed")
        .help(format!("rename it, or link it: `ln -s {name} {}`", root.join(to).display()));
    }
    Diagnostic::error(
        codes::WEIGHTS_NAME,
        format!(
            "{} files may hold the weights, but none is `{SAFETENSORS}`",
            others.len()
        ),
    )
    .at(Place::file(root))
    .note(format!("the first is `{name}`"))
    .help(format!(
        "rename the one with the weights of the head to `{to}`; several need an index, `{}`",
        index::SAFETENSORS
    ))
}

/// Files that may hold weights: those of the likeliest ending that is there, sorted.
fn others(root: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(root).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !BESIDE.iter().any(|beside| name.starts_with(beside)))
        .collect();
    names.sort();
    let ending = |name: &str| name.rsplit_once('.').map(|(_, ending)| ending.to_owned());
    ENDINGS
        .iter()
        .map(|known| {
            names
                .iter()
                .filter(|name| ending(name).as_deref() == Some(known))
        })
        .map(|found| found.cloned().collect::<Vec<_>>())
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// Whether a file of this name makes a directory a checkpoint.
pub(crate) fn is_weights(name: &str) -> bool {
    name.ends_with(".safetensors")
        || [index::SAFETENSORS, index::PICKLES, PICKLE].contains(&name)
        || OTHER_PICKLES.contains(&name)
}
