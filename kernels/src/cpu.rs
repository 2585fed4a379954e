//! Every operation as fast as this processor allows, with the signatures of [`reference`](mod@crate::reference).
//!
//! The instruction set is chosen when an operation is called ([`features`]). Work is spread over rayon's current
//! pool, one parallel region per operation; call from inside the pool (`rayon::ThreadPool::install`, or
//! `rayon::scope`) to save waking it for each.

pub use crate::isa::{features, with_isa};
pub use crate::reference::*;
