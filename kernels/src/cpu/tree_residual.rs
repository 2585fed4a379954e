//! Looks at the few rows on the accepted path.

pub use crate::reference::tree_residual;
