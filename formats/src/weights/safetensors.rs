//! One safetensors file as weights.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::checkpoint::TensorView;
use crate::diagnostic::Place;
use crate::file::Content;
use crate::header::{self, Entry};

/// A safetensors file whose header has been checked.
#[derive(Debug)]
pub(super) struct Safetensors {
    path: PathBuf,
    content: Content,
    tensors: BTreeMap<String, Entry>,
}

impl Safetensors {
    pub fn new(path: PathBuf, content: Content) -> Result<Safetensors> {
        let entries = header::parse(&path, &content)?;
        let tensors = entries
            .into_iter()
            .map(|entry| (entry.name.clone(), entry))
            .collect();
        Ok(Safetensors {
            path,
            content,
            tensors,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn content(&self) -> &Content {
        &self.content
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let entry = self.tensors.get(name)?;
        Some(TensorView {
            name: &entry.name,
            dtype: entry.dtype,
            shape: &entry.shape,
            data: self.content.get(entry.begin..entry.end)?,
            path: &self.path,
        })
    }

    pub fn span(&self, name: &str) -> Option<Range<usize>> {
        let entry = self.tensors.get(name)?;
        Some(entry.begin..entry.end)
    }

    pub fn place(&self, name: &str) -> Option<Place> {
        let entry = self.tensors.get(name)?;
        Some(Place::tensor(&self.path, &entry.name))
    }
}
