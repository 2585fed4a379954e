//! Touches the tokens of the text, not the vocabulary.

pub use crate::reference::penalize;
