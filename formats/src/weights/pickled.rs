//! One file of PyTorch as weights: names without the key of the state dict, elements in row-major order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::path::Path;

use crate::checkpoint::TensorView;
use crate::codes;
use crate::config::file_name;
use crate::diagnostic::{Diagnostic, Place};
use crate::file::Content;
use crate::pickle::{PickleFile, shorten};

/// A file of PyTorch.
#[derive(Debug)]
pub(super) struct Pickled {
    file: PickleFile,
    tensors: BTreeMap<String, Tensor>,
}

/// A tensor in it.
#[derive(Debug)]
struct Tensor {
    /// Its name in the file, with the keys that lead to the state dict.
    full: String,
    /// Its elements in row-major order, if the file has them in another.
    copy: Option<Vec<u8>>,
}

impl Pickled {
    /// Opens a file and copies what it has in another order.
    pub fn open(path: &Path) -> Result<Pickled, Diagnostic> {
        let file = PickleFile::open(path)?;
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
                Slot::Vacant(slot) => drop(slot.insert(Tensor {
                    full: full.to_owned(),
                    copy,
                })),
                Slot::Occupied(slot) => return Err(doubled(&file, &slot.get().full, full)),
            }
        }
        Ok(Pickled { file, tensors })
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    pub fn content(&self) -> &Content {
        self.file.content()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let (name, held) = self.tensors.get_key_value(name)?;
        let tensor = self.file.tensor(&held.full)?;
        let data = match &held.copy {
            Some(copy) => copy,
            None => match self.file.data(&held.full).ok()? {
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
            path: self.file.path(),
        })
    }

    pub fn place(&self, name: &str) -> Option<Place> {
        Some(self.file.place(&self.tensors.get(name)?.full))
    }
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
