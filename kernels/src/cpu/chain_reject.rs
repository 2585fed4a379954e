//! Looks at the numbers of the drafted tokens and once at a whole row.

pub use crate::reference::chain_reject;
