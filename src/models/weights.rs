//! Tensors from a checkpoint into the shapes and the number format that the model computes with.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use speculators_formats::{Checkpoint, Diagnostic, Head, Place, TensorView, codes};
use speculators_kernels::{EmbeddingTable, Matrix};

use super::precision::{Precision, widen};
use crate::{Error, Result};

/// Anything that has tensors by name.
pub(crate) trait Tensors {
    /// One tensor.
    fn get(&self, name: &str) -> Option<TensorView<'_>>;
    /// Where the tensors are, for messages.
    fn root(&self) -> PathBuf;
}

impl Tensors for Checkpoint {
    fn get(&self, name: &str) -> Option<TensorView<'_>> {
        self.tensor(name)
    }
    fn root(&self) -> PathBuf {
        Checkpoint::root(self).to_path_buf()
    }
}

impl Tensors for Head {
    fn get(&self, name: &str) -> Option<TensorView<'_>> {
        self.tensor(name)
    }
    fn root(&self) -> PathBuf {
        self.checkpoint.root().to_path_buf()
    }
}

/// A linear layer: weights `[outputs, inputs]`, packed, and perhaps a bias `[outputs]`.
#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Matrix,
    pub(crate) bias: Option<Vec<f32>>,
}

/// Takes tensors out of a checkpoint. Problems are gathered, so that one run reports all of them:
/// what is missing or misshaped is replaced by an empty tensor, and [`Weights::finish`] refuses.
pub(crate) struct Weights<'a> {
    source: &'a dyn Tensors,
    precision: Precision,
    problems: RefCell<Vec<Diagnostic>>,
    taken: RefCell<BTreeSet<String>>,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(source: &'a dyn Tensors, precision: Precision) -> Weights<'a> {
        Weights {
            source,
            precision,
            problems: RefCell::default(),
            taken: RefCell::default(),
        }
    }

    /// A tensor of exactly this shape and of a floating-point type, in the bytes of the model's number format.
    fn bytes(&self, name: &str, shape: &[usize]) -> Option<Cow<'a, [u8]>> {
        self.taken.borrow_mut().insert(name.to_string());
        let Some(tensor) = self.source.get(name) else {
            self.report(
                Diagnostic::error(codes::TENSOR_MISSING, format!("`{name}` is missing"))
                    .at(Place::tensor(self.source.root(), name))
                    .note(format!("the config asks for {name} {shape:?}")),
            );
            return None;
        };
        let place = || Place::tensor(tensor.path, name);
        if tensor.shape != shape {
            let title = format!(
                "`{name}` is {:?}, the config asks for {shape:?}",
                tensor.shape
            );
            self.report(Diagnostic::error(codes::TENSOR_SHAPE, title).at(place()));
            return None;
        }
        if tensor.dtype == self.precision.dtype() {
            return Some(Cow::Borrowed(tensor.data));
        }
        let Some(values) = widen(tensor.dtype, tensor.data) else {
            let title = format!(
                "`{name}` is stored as {:?}, which cannot be run",
                tensor.dtype
            );
            self.report(
                Diagnostic::error(codes::TENSOR_DTYPE, title)
                    .at(place())
                    .note("weights are read as F32, F16 or BF16"),
            );
            return None;
        };
        let mut bytes = Vec::with_capacity(values.len() * self.precision.weight_type().size());
        for value in values {
            self.precision.write(value, &mut bytes);
        }
        Some(Cow::Owned(bytes))
    }

    /// A vector `[length]`, such as a norm's weight, rounded to the model's number format.
    pub(crate) fn vector(&self, name: &str, length: usize) -> Vec<f32> {
        self.bytes(name, &[length])
            .and_then(|bytes| widen(self.precision.dtype(), &bytes))
            .unwrap_or_default()
    }

    /// `{prefix}.weight` of several layers with the same input stacked into one, and `{prefix}.bias` likewise.
    /// `parts` are prefixes and outputs.
    pub(crate) fn linear(
        &self,
        parts: &[(String, usize)],
        inputs: usize,
        bias: bool,
    ) -> Result<Linear> {
        let weights: Vec<_> = parts
            .iter()
            .filter_map(|(prefix, outputs)| {
                self.bytes(&format!("{prefix}.weight"), &[*outputs, inputs])
            })
            .collect();
        let slices: Vec<&[u8]> = weights.iter().map(|part| &**part).collect();
        let weight = Matrix::pack(self.precision.weight_type(), inputs, &slices)?;
        let bias = bias.then(|| {
            parts
                .iter()
                .flat_map(|(prefix, outputs)| self.vector(&format!("{prefix}.bias"), *outputs))
                .collect()
        });
        Ok(Linear { weight, bias })
    }

    /// The rows `[rows, inputs]` of a tensor in another order, packed.
    pub(crate) fn permuted(&self, name: &str, order: &[usize], inputs: usize) -> Result<Linear> {
        let row = inputs * self.precision.weight_type().size();
        let bytes = self.bytes(name, &[order.len(), inputs]);
        let rows: Vec<&[u8]> = match &bytes {
            Some(bytes) => order
                .iter()
                .map(|index| &bytes[index * row..(index + 1) * row])
                .collect(),
            None => Vec::new(),
        };
        Ok(Linear {
            weight: Matrix::pack(self.precision.weight_type(), inputs, &rows)?,
            bias: None,
        })
    }

    /// An embedding table `[rows, columns]`.
    pub(crate) fn embeddings(
        &self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<EmbeddingTable> {
        let bytes = self.bytes(name, &[rows, columns]).unwrap_or_default();
        Ok(EmbeddingTable::new(
            self.precision.weight_type(),
            columns,
            &bytes,
        )?)
    }

    /// Whether there is such a tensor.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.source.get(name).is_some()
    }

    /// Marks a tensor as known without reading it.
    pub(crate) fn ignore(&self, name: &str) {
        self.taken.borrow_mut().insert(name.to_string());
    }

    /// Notes a problem.
    pub(crate) fn report(&self, problem: Diagnostic) {
        self.problems.borrow_mut().push(problem);
    }

    /// Refuses if anything was wrong; otherwise says which of `names` nobody asked for.
    pub(crate) fn finish<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<Vec<String>> {
        let problems = self.problems.take();
        if !problems.is_empty() {
            return Err(Error::Diagnostics(problems));
        }
        let taken = self.taken.borrow();
        Ok(names
            .filter(|name| !taken.contains(*name))
            .map(str::to_string)
            .collect())
    }
}
