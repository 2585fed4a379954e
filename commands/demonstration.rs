//! The demonstration, unpacked for the time of a run.

use anyhow::Context;
use speculators::demo;
use speculators_formats::{Diagnostic, Place, codes};
use tempfile::TempDir;

use crate::failure::Failure;

/// Writes verifier and head to a temporary directory, which goes when this is dropped.
pub fn unpack() -> Result<TempDir, Failure> {
    let unpacked = tempfile::Builder::new()
        .prefix("speculators-demo-")
        .tempdir()
        .context("no temporary directory for the demonstration")
        .map_err(Failure::Other)?;
    demo::unpack(unpacked.path()).map_err(|error| {
        Diagnostic::error(
            codes::OUTPUT_UNWRITABLE,
            "the demonstration cannot be unpacked",
        )
        .at(Place::file(unpacked.path()))
        .note(error.to_string())
    })?;
    Ok(unpacked)
}
