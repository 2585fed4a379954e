//! The room there is for what is fetched.

use std::path::Path;

use speculators_formats::{Diagnostic, Place, codes};

use crate::{Error, Result};

/// Refuses what would not fit.
pub(super) fn room(directory: &Path, bytes: u64) -> Result<()> {
    let Some(free) = free_bytes(directory) else {
        return Ok(());
    };
    if bytes <= free {
        return Ok(());
    }
    Err(Error::from(
        Diagnostic::error(
            codes::DISK_FULL,
            format!("{bytes} bytes have to be fetched, but the disk has room for {free}"),
        )
        .at(Place::file(directory))
        .help("make room, set `HF_HUB_CACHE` to another disk, or fetch less with `--include`, `--exclude` or `--only`"),
    ))
}

/// Free bytes of the file system a path will be on; `None` where that cannot be told.
#[cfg(unix)]
fn free_bytes(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).ok()?;
    let there = absolute.ancestors().find(|ancestor| ancestor.exists())?;
    let status = rustix::fs::statvfs(there).ok()?;
    status.f_bavail.checked_mul(status.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_path: &Path) -> Option<u64> {
    None
}
