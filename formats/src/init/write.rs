//! The write: streamed, checked, atomic.

use std::io::Error;

use serde_json::Value;

use super::config::{RECORD, TAKEN};
use super::{InitPlan, InitReport};
use crate::convert::config::text;
use crate::convert::output;
use crate::convert::read_back::ReadBack;
use crate::convert::write::{NewFile, Progress, Stop, file_header, interrupted};
use crate::diagnostic::{Diagnostic, Place};
use crate::digest::Running;
use crate::scan::{self, TensorScan};
use crate::{Result, codes};

/// Bytes digested at once.
const BLOCK: usize = 256 << 10;

impl InitPlan {
    /// Writes the head. `progress` is told the bytes done and the bytes in all, and may break it off.
    ///
    /// # Errors
    /// S205 where the verifier's tensors hold what is no number; S108 when something has appeared at the output meanwhile,
    /// S109 when it cannot be written or was broken off; whatever is wrong with what was written when it is read back. In
    /// each case nothing is left behind.
    pub fn write_until(&self, progress: Progress<'_>) -> Result<InitReport> {
        let config = self.with_digests()?;
        let parent = output::parent(&self.output)?;
        let failed = |error: &Error| output::unwritable(&self.output, error);
        // Beside the output, so that the last step is a rename; private until then, and gone when dropped.
        let scratch = tempfile::Builder::new()
            .prefix(".speculators-")
            .tempdir_in(&parent)
            .map_err(|error| failed(&error))?;
        // A directory of its own inside gets the permissions of the user's umask.
        let finished = scratch.path().join("head");
        fs_err::create_dir(&finished).map_err(|error| failed(&error))?;
        let file = NewFile {
            path: &finished.join("model.safetensors"),
            header: &file_header(&self.rows),
            rows: &self.rows,
            sources: self.sources(),
        };
        let written = file.write(|_| &[], progress);
        let bytes = written.map_err(|stop| match stop {
            Stop::Interrupted => interrupted(&self.output, "initialization"),
            Stop::Failed(error) => failed(&error),
        })?;
        fs_err::write(finished.join("config.json"), text(&config))
            .map_err(|error| failed(&error))?;
        ReadBack {
            output: &self.output,
            facts: &self.facts,
            description: &self.description,
            map: self.map.as_ref(),
            rows: &self.rows,
            sources: self.sources(),
        }
        .check(&finished)?;
        output::publish(
            &finished,
            &self.output,
            &scratch.path().join("replaced"),
            self.force,
        )?;
        Ok(InitReport {
            output: self.output.clone(),
            bytes,
            description: self.description.clone(),
            tensors: self.shown.clone(),
            decisions: self.decisions.clone(),
        })
    }

    /// The config with the digests of the verifier's tensors, whose values are looked at on the way.
    fn with_digests(&self) -> Result<serde_json::Map<String, Value>> {
        let mut config = self.config.clone();
        let record = config
            .get_mut(RECORD)
            .and_then(|record| record.get_mut(TAKEN));
        let taken = record.and_then(Value::as_array_mut).into_iter().flatten();
        let mut names = std::collections::BTreeMap::new();
        for entry in taken {
            let Some(name) = entry["name"].as_str().map(str::to_owned) else {
                continue;
            };
            let digest = match names.get(&name) {
                Some(digest) => String::clone(digest),
                None => self.digest(&name)?,
            };
            entry["blake3"] = Value::String(digest.clone());
            names.insert(name, digest);
        }
        Ok(config)
    }

    fn digest(&self, name: &str) -> Result<String> {
        let Some(view) = self.verifier.tensor(name) else {
            return Ok(String::new());
        };
        let stretch = self.verifier.stretch(&view);
        let (mut running, mut buffer) = (Running::default(), Vec::new());
        let mut scanned = TensorScan::EMPTY;
        for begin in (0..view.data.len()).step_by(BLOCK) {
            let end = view.data.len().min(begin + BLOCK);
            let block = stretch.part(begin..end, &mut buffer);
            running.update(block);
            if let Some(scan) = scan::scan_block(view.dtype, block) {
                scanned = scanned.followed_by(scan);
            }
        }
        if scanned.non_finite() == 0 {
            return Ok(running.finish());
        }
        let title = format!(
            "{} of {} values of `{name}` of the verifier are not finite",
            scanned.non_finite(),
            scanned.elements
        );
        Err(Diagnostic::error(codes::TENSOR_NON_FINITE, title)
            .at(Place::tensor(view.path, name))
            .note("a head that takes them over would draft nothing")
            .into())
    }
}
