//! Counts and maps as bytes of files: for this tool, for NumPy and for PyTorch.

use safetensors::Dtype;
use safetensors::tensor::{SafeTensorError, TensorView, serialize};

use super::VocabularyMap;
use super::counts::TokenCounts;
use super::numpy;
use super::read::TENSOR;

impl TokenCounts {
    /// A NumPy file: a signed 64-bit number for each token of the vocabulary.
    #[must_use]
    pub fn to_npy(&self) -> Vec<u8> {
        numpy::write("<i8", self.vocab_size(), self.bytes().into_iter())
    }

    /// A safetensors file with the same list as `token_freq`.
    #[must_use]
    pub fn to_safetensors(&self) -> Vec<u8> {
        file(&[(TENSOR, Dtype::I64, self.vocab_size(), self.bytes())])
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.vocab_size() * 8];
        let (slots, _) = bytes.as_chunks_mut::<8>();
        for &(token, count) in self.entries() {
            // Counts are below 2^63, so that signed and unsigned are the same bytes.
            slots[token as usize] = count.to_le_bytes();
        }
        bytes
    }
}

impl VocabularyMap {
    /// `d2t` as a NumPy file: a signed 64-bit offset for each draft token.
    #[must_use]
    pub fn d2t_npy(&self) -> Vec<u8> {
        let bytes = self.offsets().flat_map(i64::to_le_bytes);
        numpy::write("<i8", self.draft_to_target.len(), bytes)
    }

    /// `t2d` as a NumPy file: a boolean for each verifier token.
    #[must_use]
    pub fn t2d_npy(&self) -> Vec<u8> {
        let bytes = self.members().into_iter().map(u8::from);
        numpy::write("|b1", self.vocab_size, bytes)
    }

    /// Both as a safetensors file, named and typed as in a checkpoint.
    #[must_use]
    pub fn to_safetensors(&self) -> Vec<u8> {
        let offsets = self.offsets().flat_map(i64::to_le_bytes).collect();
        let members = self.members().into_iter().map(u8::from).collect();
        file(&[
            ("d2t", Dtype::I64, self.draft_to_target.len(), offsets),
            ("t2d", Dtype::BOOL, self.vocab_size, members),
        ])
    }
}

/// A safetensors file of lists.
fn file(lists: &[(&str, Dtype, usize, Vec<u8>)]) -> Vec<u8> {
    let views = lists.iter().map(|(name, dtype, length, bytes)| {
        TensorView::new(*dtype, vec![*length], bytes).map(|view| (*name, view))
    });
    let written = views
        .collect::<Result<Vec<_>, SafeTensorError>>()
        .and_then(|views| serialize(views, None));
    // Fails only where the length of a list is not that of its bytes.
    written.unwrap_or_default()
}
