//! That the rules of verification do what they promise: those that are lossless leave the distribution of plain
//! sampling, to 1e-12, and the check can tell when one does not.
//!
//! A rule leaves its decisions to a `Chance`. Here that is one that tries all of them and knows how probable each is
//! (`every.rs`), on vocabularies small enough to write the distribution of whole texts down (`toy.rs`). It is the code
//! of the crate that is integrated, not a copy.

#![allow(clippy::unwrap_used)]

#[path = "rules/every.rs"]
mod every;
#[path = "rules/lossless.rs"]
mod lossless;
#[path = "rules/lossy.rs"]
mod lossy;
#[path = "rules/odd.rs"]
mod odd;
#[path = "rules/planted.rs"]
mod planted;
#[path = "rules/statistics.rs"]
mod statistics;
#[path = "rules/toy.rs"]
mod toy;
