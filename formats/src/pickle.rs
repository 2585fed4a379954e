//! Weight files of PyTorch, `pytorch_model.bin` and `*.pt`, read without running anything.
//!
//! Such a file is a zip archive with a pickle in it. A pickle is a program for a small stack machine that can call any
//! function Python has; loading one from a stranger is running the stranger's code. The machine here has no functions
//! to call: it knows what a handful of names mean that `torch.save` uses for tensors, builds plain values from the rest,
//! and reports anything else together with its place.
//!
//! The tensors themselves are not in the pickle but beside it, uncompressed. They are slices of the mapped file, so a
//! large head can be converted in a stream.

mod archive;
mod globals;
mod graph;
mod machine;
mod opcode;
mod tensor;
#[cfg(test)]
pub(crate) mod tests;
mod value;
mod walk;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::path::{Path, PathBuf};

use self::archive::Archive;
use self::graph::Graph;
use self::tensor::Resolver;
use crate::codes;
use crate::config::file_name;
use crate::diagnostic::{Diagnostic, Place};
use crate::file::{self, Content};

pub use self::tensor::PickleTensor;
pub use self::value::{Entries, Items, Value};

/// Keys under which training programs keep the weights, beside optimizer states and step numbers.
const STATE_DICTS: [&str; 6] = [
    "draft_state_dict",
    "draft_model_state_dict",
    "model_state_dict",
    "state_dict",
    "module",
    "model",
];

/// A weight file of PyTorch, mapped into memory.
#[derive(Debug)]
pub struct PickleFile {
    path: PathBuf,
    content: Content,
    program: Range<usize>,
    place: Place,
    graph: Graph,
    tensors: BTreeMap<String, PickleTensor>,
}

impl PickleFile {
    /// Opens a file that `torch.save` of PyTorch 1.6 or later has written, and checks everything it says about its
    /// tensors. Their elements are not read.
    ///
    /// # Errors
    /// S101 if the file cannot be read, S102 if it is cut short, S112 if its pickle names code that is not allowed, S204
    /// for a tensor of a dtype that safetensors lacks, and S113 for everything else that is wrong with it.
    pub fn open(path: impl AsRef<Path>) -> Result<PickleFile, Diagnostic> {
        let path = path.as_ref();
        PickleFile::new(path, file::map(path)?)
    }

    /// The same for a file that is in memory already; `path` is used in findings only.
    ///
    /// # Errors
    /// As [`PickleFile::open`], without S101.
    pub fn from_bytes(path: impl AsRef<Path>, bytes: Vec<u8>) -> Result<PickleFile, Diagnostic> {
        PickleFile::new(path.as_ref(), Content::Held(bytes))
    }

    fn new(path: &Path, content: Content) -> Result<PickleFile, Diagnostic> {
        let archive = Archive::read(path, &content)?;
        let program = archive.entry("data.pkl").unwrap_or_default();
        let place = archive.place(path, "data.pkl");
        let code = content.get(program.clone()).unwrap_or_default();
        let graph = machine::run(code, &place)?;
        let resolver = Resolver {
            path,
            archive: &archive,
            graph: &graph,
            program: code,
        };
        let mut tensors = BTreeMap::new();
        for (name, id) in walk::tensors(&graph, code, &place)? {
            let tensor = resolver.resolve(&name, id)?;
            match tensors.entry(name) {
                Entry::Vacant(entry) => {
                    entry.insert(tensor);
                }
                Entry::Occupied(entry) => {
                    return Err(malformed(
                        place,
                        format!("two tensors are named `{}`", shorten(entry.key())),
                    ));
                }
            }
        }
        Ok(PickleFile {
            path: path.to_path_buf(),
            content,
            program,
            place,
            graph,
            tensors,
        })
    }

    /// The file, as given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.content.len() as u64
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// Every tensor, sorted by name.
    ///
    /// The name is made of the keys that lead to the tensor, with dots between them; a position in a list counts from 0.
    /// A file that is nothing but a tensor has one with the empty name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &PickleTensor)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// One tensor by name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&PickleTensor> {
        self.tensors.get(name)
    }

    /// The elements of a tensor, little-endian and in row-major order: a slice of the mapped file, or a copy if the file
    /// has them in another order, as for a matrix that was transposed.
    ///
    /// # Errors
    /// S201 if there is no tensor of this name.
    pub fn data(&self, name: &str) -> Result<Cow<'_, [u8]>, Diagnostic> {
        match self.tensors.get(name) {
            Some(tensor) => Ok(tensor.contiguous(&self.content)),
            None => Err(Diagnostic::error(
                codes::TENSOR_MISSING,
                format!(
                    "`{}` has {} tensors, but no `{}`",
                    file_name(&self.path),
                    self.tensors.len(),
                    shorten(name)
                ),
            )
            .at(self.place.clone())),
        }
    }

    /// A place for findings about one tensor.
    #[must_use]
    pub fn place(&self, name: &str) -> Place {
        Place {
            tensor: Some(name.to_owned()),
            ..self.place.clone()
        }
    }

    /// What the names of the weights begin with: nothing for a file that is a state dict, `state_dict.` or the like for
    /// a training checkpoint that has the state dict in it.
    #[must_use]
    pub fn prefix(&self) -> String {
        let Value::Dict(root) = self.value() else {
            return String::new();
        };
        if root.iter().any(|(_, value)| matches!(value, Value::Tensor)) {
            return String::new();
        }
        let nested = STATE_DICTS
            .iter()
            .find(|key| matches!(root.get(key), Some(Value::Dict(_))));
        nested.map_or_else(String::new, |key| format!("{key}."))
    }

    /// The object that was saved, usually a dictionary.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        let program = self.content.get(self.program.clone()).unwrap_or_default();
        Value::new(&self.graph, program, self.graph.root)
    }
}

/// S113.
fn malformed(place: Place, title: impl Into<String>) -> Diagnostic {
    Diagnostic::error(codes::PICKLE_MALFORMED, title).at(place)
}

/// The remedy for files that PyTorch reads but this does not.
fn resave(path: &Path) -> String {
    let name = file_name(path);
    format!(
        "save it again with a current PyTorch: `torch.save(torch.load('{name}', weights_only=True), '{name}')`"
    )
}

/// Text of a stranger, fit to be shown: one line, no control characters, not too long.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut characters = text.chars();
    let mut shown: String = characters
        .by_ref()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}
