//! A tensor: where its elements lie in the file, checked against how long the file's entry is.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use safetensors::Dtype;

use super::archive::Archive;
use super::globals::{Elements, Global};
use super::graph::{Graph, Id, Node};
use super::{malformed, shorten};
use crate::codes;
use crate::diagnostic::Diagnostic;

/// Most dimensions a tensor has in PyTorch.
const MOST_DIMENSIONS: usize = 64;

/// A tensor of a PyTorch file.
#[derive(Clone, Debug)]
pub struct PickleTensor {
    /// Element type.
    pub dtype: Dtype,
    /// Shape, row-major once read with [`super::PickleFile::data`].
    pub shape: Vec<usize>,
    /// Elements to move on by for a step along each dimension.
    stride: Vec<usize>,
    /// First element, counted in the storage.
    offset: usize,
    /// Bytes of the file that hold the storage.
    storage: Range<usize>,
}

impl PickleTensor {
    /// Number of bytes of all elements.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // Does not overflow: the product was checked when the file was opened, zeros aside.
        self.shape.iter().product::<usize>() * self.size()
    }

    /// Whether the elements lie in the file in row-major order, so that reading them copies nothing.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        if self.shape.contains(&0) {
            return true;
        }
        let mut expected = 1;
        for (&size, &stride) in self.shape.iter().zip(&self.stride).rev() {
            // No step is ever taken along a dimension of size 1, and PyTorch writes any stride there.
            if size != 1 && stride != expected {
                return false;
            }
            expected *= size;
        }
        true
    }

    /// The elements in row-major order, out of the mapped file.
    pub(super) fn contiguous<'a>(&self, file: &'a [u8]) -> Cow<'a, [u8]> {
        if self.bytes() == 0 {
            return Cow::Borrowed(&[]);
        }
        let storage = file.get(self.storage.clone()).unwrap_or_default();
        if self.is_contiguous() {
            let begin = self.offset * self.size();
            return Cow::Borrowed(storage.get(begin..begin + self.bytes()).unwrap_or_default());
        }
        Cow::Owned(match self.size() {
            1 => self.gather::<1>(storage),
            2 => self.gather::<2>(storage),
            4 => self.gather::<4>(storage),
            _ => self.gather::<8>(storage),
        })
    }

    /// Copies elements of `N` bytes one by one, the last dimension fastest.
    fn gather<const N: usize>(&self, storage: &[u8]) -> Vec<u8> {
        let (elements, _) = storage.as_chunks::<N>();
        let mut gathered = Vec::with_capacity(self.bytes());
        let (Some((&columns, outer)), Some((&step, strides))) =
            (self.shape.split_last(), self.stride.split_last())
        else {
            return gathered;
        };
        let mut index = vec![0; outer.len()];
        let mut row = self.offset;
        loop {
            for column in 0..columns {
                // In range: the furthest element was checked when the file was opened.
                gathered.extend_from_slice(&elements[row + column * step]);
            }
            // Counts up like an odometer; `row` follows.
            let mut dimension = outer.len();
            loop {
                let Some(next) = dimension.checked_sub(1) else {
                    return gathered;
                };
                dimension = next;
                if index[dimension] + 1 < outer[dimension] {
                    index[dimension] += 1;
                    row += strides[dimension];
                    break;
                }
                row -= strides[dimension] * index[dimension];
                index[dimension] = 0;
            }
        }
    }

    fn size(&self) -> usize {
        self.dtype.bitsize() / 8
    }
}

/// Reads the description of one tensor and checks it against the archive.
pub(super) struct Resolver<'a> {
    pub path: &'a Path,
    pub archive: &'a Archive,
    pub graph: &'a Graph,
    pub program: &'a [u8],
}

impl Resolver<'_> {
    /// The tensor that was built as `id`; `name` is for findings.
    pub fn resolve(&self, name: &str, id: Id) -> Result<PickleTensor, Diagnostic> {
        let Node::Tensor {
            arguments,
            untyped,
            position,
        } = *self.graph.node(id)
        else {
            return Err(self.wrong(name, "is not a tensor".to_owned()));
        };
        let described = |problem: Diagnostic| {
            problem.note(format!("byte {position} of the pickle builds the tensor"))
        };
        self.build(name, arguments, untyped).map_err(described)
    }

    fn build(&self, name: &str, arguments: Id, untyped: bool) -> Result<PickleTensor, Diagnostic> {
        let list = self.tuple(arguments).unwrap_or_default();
        let dtype = if untyped { list.get(6) } else { None };
        let &[storage, offset, shape, stride, ..] = list else {
            return Err(self.wrong(name, "is built from too little".to_owned()));
        };
        let (key, class, claimed) = self.storage(storage).ok_or_else(|| {
            self.wrong(
                name,
                "is built from something other than a storage".to_owned(),
            )
        })?;
        let (class, elements) = match (dtype.map(|&id| self.graph.node(id)), class) {
            (None, Global::Storage(class, elements)) => (class, elements),
            (
                Some(&Node::Global(Global::Dtype(class, elements))),
                Global::Storage(_, Elements::Untyped),
            ) => (class, elements),
            _ => return Err(self.wrong(name, "has no dtype".to_owned())),
        };
        let Elements::Are(dtype) = elements else {
            return Err(Diagnostic::error(
                codes::TENSOR_DTYPE,
                format!(
                    "`{}` is of `{class}`, which safetensors has no dtype for",
                    shorten(name)
                ),
            )
            .at(self.place(name)));
        };
        let sizes = |what: &str, id: Id| {
            self.sizes(id).ok_or_else(|| {
                self.wrong(
                    name,
                    format!("has a {what} of something other than whole numbers from 0"),
                )
            })
        };
        let (shape, stride) = (sizes("shape", shape)?, sizes("stride", stride)?);
        let offset = self.size(offset).ok_or_else(|| {
            self.wrong(
                name,
                "begins at something other than a whole number from 0".to_owned(),
            )
        })?;
        if shape.len() != stride.len() || shape.len() > MOST_DIMENSIONS {
            return Err(self.wrong(
                name,
                format!(
                    "has {} dimensions, but {} strides",
                    shape.len(),
                    stride.len()
                ),
            ));
        }
        let entry = format!("data/{key}");
        let storage = self.archive.entry(&entry).ok_or_else(|| {
            self.wrong(
                name,
                format!(
                    "lies in `{}`, which is not in the archive",
                    shorten(&self.archive.name(&entry))
                ),
            )
        })?;
        let tensor = PickleTensor {
            dtype,
            shape,
            stride,
            offset,
            storage,
        };
        let unit = if untyped { 1 } else { tensor.size() };
        self.check(name, &entry, &tensor, claimed, unit)?;
        Ok(tensor)
    }

    /// Compares what the pickle says with the length of the entry.
    fn check(
        &self,
        name: &str,
        entry: &str,
        tensor: &PickleTensor,
        claimed: usize,
        unit: usize,
    ) -> Result<(), Diagnostic> {
        let entry = shorten(&self.archive.name(entry));
        let (length, size) = (tensor.storage.len(), tensor.size());
        if claimed.checked_mul(unit) != Some(length) {
            return Err(self
                .wrong(name, format!("lies in `{entry}`, which has {length} bytes and not those the pickle expects"))
                .note(format!("the pickle expects {claimed} x {unit} bytes")));
        }
        let layout = format!(
            "{:?} {:?} with strides {:?} from element {}; {length} bytes hold {} elements",
            tensor.dtype,
            tensor.shape,
            tensor.stride,
            tensor.offset,
            length / size
        );
        let bytes = tensor
            .shape
            .iter()
            .try_fold(size, |bytes, &size| bytes.checked_mul(size.max(1)));
        let Some(bytes) = bytes else {
            return Err(self
                .wrong(name, "has a shape that no memory could hold".to_owned())
                .note(layout));
        };
        if tensor.shape.contains(&0) {
            return Ok(());
        }
        let furthest = tensor
            .shape
            .iter()
            .zip(&tensor.stride)
            .try_fold(tensor.offset, |furthest, (&size, &stride)| {
                furthest.checked_add((size - 1).checked_mul(stride)?)
            });
        if furthest.is_none_or(|furthest| furthest >= length / size) {
            return Err(self
                .wrong(
                    name,
                    format!("reaches beyond the {length} bytes of `{entry}`"),
                )
                .note(layout));
        }
        // A stride of 0 repeats elements: a few bytes could claim to be any amount of memory.
        if bytes > length {
            return Err(self
                .wrong(name, format!("repeats elements: its shape takes more than the {length} bytes of `{entry}`"))
                .note(layout)
                .help("save it as `tensor.contiguous()`"));
        }
        Ok(())
    }

    /// Key, class and number of elements of a storage.
    fn storage(&self, id: Id) -> Option<(&str, Global, usize)> {
        let &Node::Storage(description) = self.graph.node(id) else {
            return None;
        };
        let &[kind, class, key, _location, elements] = self.tuple(description)? else {
            return None;
        };
        match (
            self.graph.node(kind),
            self.graph.node(class),
            self.graph.node(key),
        ) {
            (Node::Str(kind), &Node::Global(class @ Global::Storage(..)), Node::Str(key))
                if kind.text(self.program) == "storage" =>
            {
                Some((key.text(self.program), class, self.size(elements)?))
            }
            _ => None,
        }
    }

    fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.graph.node(id) {
            Node::Tuple(ids) => Some(ids),
            _ => None,
        }
    }

    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        let ids = self.tuple(id)?;
        ids.iter()
            // One more than there may be is enough to see that there are too many.
            .take(MOST_DIMENSIONS + 1)
            .map(|&id| self.size(id))
            .collect()
    }

    fn size(&self, id: Id) -> Option<usize> {
        match *self.graph.node(id) {
            Node::Int(number) => usize::try_from(number).ok(),
            _ => None,
        }
    }

    fn place(&self, name: &str) -> crate::diagnostic::Place {
        let mut place = self.archive.place(self.path, "data.pkl");
        place.tensor = Some(name.to_owned());
        place
    }

    fn wrong(&self, name: &str, what: String) -> Diagnostic {
        malformed(self.place(name), format!("`{}` {what}", shorten(name)))
    }
}
