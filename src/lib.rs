//! The mathematics: models, decoding and evaluation of speculative-decoding heads; and the Hub they come from.
//!
//! Nothing here knows a command line or prints: values and [`Error`]s go up, progress goes to callbacks.

pub mod decoding;
pub mod demo;
pub mod error;
pub mod evaluation;
pub mod hub;
pub mod models;
pub mod probe;
pub mod text;

pub use error::{Error, Result};
