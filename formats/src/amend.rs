//! Corrects what the config of a head in the speculators layout says, in place: the values that were found to be right, and a
//! record of how they were found. Weights are not touched.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::checkpoint::Checkpoint;
use crate::config::ConfigFile;
use crate::convert::config::text;
use crate::convert::output::unwritable;
use crate::diagnostic::{Diagnostic, Place};
use crate::head::{Head, HeadDescription, Layout};
use crate::options::ReadOptions;
use crate::rope::Rope;
use crate::verifier::VerifierConfig;
use crate::{Result, codes};

/// The key of the record. A head that is corrected again keeps the record of the time before under `earlier`.
pub(crate) const KEY: &str = "probe";

/// What is to be said in the place of what is said; `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Amendment {
    /// Verifier layers, counted as layers that have run.
    pub aux_layer_ids: Option<Vec<usize>>,
    /// The residual of the first layer is the normalized fc output.
    pub norm_before_residual: Option<bool>,
    /// The normalized output goes to the next draft step.
    pub norm_output: Option<bool>,
    /// One norm over all states before `fc`.
    pub norm_before_fc: Option<bool>,
    /// One norm per state before `fc`.
    pub fc_norm: Option<bool>,
    /// Rotary embedding.
    pub rope: Option<Rope>,
}

impl Amendment {
    /// What the head will be.
    #[must_use]
    pub fn describe(&self, head: &HeadDescription) -> HeadDescription {
        let mut head = head.clone();
        if let Some(ids) = &self.aux_layer_ids {
            head.aux_layer_ids.clone_from(ids);
        }
        if let Some(rope) = &self.rope {
            head.rope.clone_from(rope);
        }
        let flags = [
            (&mut head.norm_before_residual, self.norm_before_residual),
            (&mut head.norm_output, self.norm_output),
            (&mut head.norm_before_fc, self.norm_before_fc),
            (&mut head.fc_norm, self.fc_norm),
        ];
        for (flag, value) in flags {
            *flag = value.unwrap_or(*flag);
        }
        head
    }

    fn apply(&self, config: &mut Map<String, Value>) {
        let flags = [
            ("norm_before_residual", self.norm_before_residual),
            ("norm_output", self.norm_output),
            ("norm_before_fc", self.norm_before_fc),
            ("fc_norm", self.fc_norm),
        ];
        for (key, value) in flags {
            if let Some(value) = value {
                config.insert(key.to_owned(), json!(value));
            }
        }
        if let Some(ids) = &self.aux_layer_ids {
            config.insert("eagle_aux_hidden_state_layer_ids".to_owned(), json!(ids));
        }
        let decoder = config.get_mut("transformer_layer_config");
        let decoder = decoder.and_then(Value::as_object_mut);
        if let (Some(rope), Some(decoder)) = (&self.rope, decoder) {
            let mut parameters = rope.to_parameters();
            // How channels are shared out between axes is no part of the question.
            let before = decoder.get("rope_parameters").and_then(Value::as_object);
            for key in ["mrope_section", "mrope_interleaved"] {
                if let Some(value) = before.and_then(|before| before.get(key)) {
                    parameters.insert(key.to_owned(), value.clone());
                }
            }
            // The older spelling would contradict it.
            decoder.shift_remove("rope_theta");
            decoder.shift_remove("rope_scaling");
            decoder.insert("rope_parameters".to_owned(), Value::Object(parameters));
        }
    }
}

/// Writes the amendment and its record into the config of a head, which keeps its other keys and their order. The config
/// takes its name when the head has been opened with it and is what it should be; gives the path.
///
/// # Errors
/// S454 where the head is in another layout or its config is a link, as in the cache of the Hub; S109 where it cannot be
/// written; whatever speaks against the head as amended.
pub fn amend(
    directory: &Path,
    verifier: &VerifierConfig,
    expected: &HeadDescription,
    amendment: &Amendment,
    record: Value,
) -> Result<PathBuf> {
    let checkpoint = Checkpoint::open(directory)?;
    let path = checkpoint.config().path().to_path_buf();
    let linked = fs_err::symlink_metadata(&path).is_ok_and(|file| file.file_type().is_symlink());
    if linked {
        return Err(refused(
            "the config is a link to a file that others may share",
            &path,
        )
        .help("fetch a copy of your own: `speculators pull NAME --local-dir DIR`")
        .into());
    }
    let mut config = checkpoint.config().value.clone();
    amendment.apply(&mut config);
    let mut record = record;
    if let Some(earlier) = config.get(KEY) {
        record["earlier"] = earlier.clone();
    }
    config.insert(KEY.to_owned(), record);
    let text = text(&config);

    let amended = checkpoint.with_config(ConfigFile::from_text(&path, text.clone())?);
    let head = Head::from_checkpoint(amended, Some(verifier), &ReadOptions::default())?;
    if head.layout != Layout::Speculators {
        let title = format!("the head is in the {} layout", head.layout);
        return Err(refused(title, &path)
            .note("only the speculators layout says all of it in so many words")
            .into());
    }
    if head.description != *expected {
        return Err(
            refused("the config would not be read as it was meant", &path)
                .note("this is a fault of the program; the config is as it was")
                .into(),
        );
    }
    replace(&path, &text)?;
    Ok(path)
}

/// The config as it will be, whole, in the place of what was there.
fn replace(path: &Path, text: &str) -> Result<(), Diagnostic> {
    let failed = |error: &std::io::Error| unwritable(path, error);
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(|error| failed(&error))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| failed(&error))?;
    // Temporary files are private; whoever could read the config before can do so after.
    let permissions = fs_err::metadata(path).map_err(|error| failed(&error))?;
    fs_err::set_permissions(file.path(), permissions.permissions())
        .map_err(|error| failed(&error))?;
    file.persist(path).map_err(|error| failed(&error.error))?;
    Ok(())
}

fn refused(title: impl Into<String>, path: &Path) -> Diagnostic {
    Diagnostic::error(codes::PROBE_WRITE, title).at(Place::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scratch, TinyHead};

    #[test]
    fn the_older_spelling_of_rope_gives_way_and_axes_stay() {
        let mut config = json!({"transformer_layer_config": {
            "rope_theta": 1.0, "rope_scaling": null,
            "rope_parameters": {"rope_theta": 1.0, "mrope_section": [8, 4, 4]},
        }});
        let map = config.as_object_mut().unwrap();
        let amendment = Amendment {
            rope: Some(Rope::plain(500_000.0)),
            norm_output: Some(true),
            ..Amendment::default()
        };
        amendment.apply(map);
        assert_eq!(
            config,
            json!({"transformer_layer_config": {"rope_parameters":
                {"rope_type": "default", "rope_theta": 500_000.0, "mrope_section": [8, 4, 4]}},
                "norm_output": true})
        );
    }

    #[test]
    fn nothing_is_written_that_would_not_be_read_as_meant() {
        let scratch = Scratch::new();
        let path = TinyHead::speculators().write(&scratch, "head");
        let head = Head::open(&path, None, &ReadOptions::default()).unwrap();
        let bytes = crate::testing::verifier_config().to_string();
        scratch.write("config.json", bytes.as_bytes());
        let verifier = VerifierConfig::read(scratch.root()).unwrap();
        let before = fs_err::read(path.join("config.json")).unwrap();
        let amendment = Amendment {
            norm_before_residual: Some(!head.description.norm_before_residual),
            ..Amendment::default()
        };
        // Told to expect the head as it was.
        let found = amend(&path, &verifier, &head.description, &amendment, json!({}));
        assert_eq!(found.unwrap_err()[0].code, codes::PROBE_WRITE);
        assert_eq!(fs_err::read(path.join("config.json")).unwrap(), before);

        let expected = amendment.describe(&head.description);
        for _ in 0..2 {
            amend(
                &path,
                &verifier,
                &expected,
                &amendment,
                json!({"tokens": 1}),
            )
            .unwrap();
        }
        let written = ConfigFile::read(path.join("config.json")).unwrap();
        assert_eq!(
            written.value[KEY],
            json!({"tokens": 1, "earlier": {"tokens": 1}})
        );
        let names: Vec<_> = fs_err::read_dir(&path).unwrap().flatten().collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}
