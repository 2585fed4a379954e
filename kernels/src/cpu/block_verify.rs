//! Looks once at each row of a chain: as fast as memory is read, and next to a verifier pass nothing.

pub use crate::reference::block_verify;
