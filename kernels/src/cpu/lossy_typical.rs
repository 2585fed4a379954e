//! Looks at the rows of accepted nodes.

pub use crate::reference::lossy_typical;
