//! What a probe found, put into the config, or into flags for the conversion of a head in another layout.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use speculators_formats::amend::{Amendment, amend};
use speculators_formats::{
    Diagnostic, Layout, MapEntries, Place, RopeScaling, VerifierConfig, codes,
};

use super::question::Question;
use super::run::Findings;
use super::subject::Subject;
use crate::Result;

impl Findings {
    /// Writes what was picked into the head's config, with a record of the measurement; gives the path, or `None` where
    /// nothing was picked.
    ///
    /// # Errors
    /// S454 where that cannot be: for another layout than that of speculators, for a `d2t` of absolute ids, which is a
    /// tensor, and for a config that is a link; as for [`amend`].
    pub fn write(
        &self,
        directory: &Path,
        verifier: &VerifierConfig,
        subject: &Subject,
    ) -> Result<Option<PathBuf>> {
        if self.picked().next().is_none() {
            return Ok(None);
        }
        let refused = |title: String| {
            Diagnostic::error(codes::PROBE_WRITE, title)
                .at(Place::file(directory))
                .help(self.conversion(subject))
        };
        if subject.head.layout != Layout::Speculators {
            let title = format!("the head is in the {} layout", subject.head.layout);
            return Err(refused(title).into());
        }
        if self
            .picked()
            .any(|answer| answer.question == Question::VocabularyMap)
        {
            let title = "`d2t` is a tensor, and only configs are changed here".to_owned();
            return Err(refused(title).into());
        }
        let mut amendment = Amendment::default();
        for answer in self.picked() {
            match answer.question {
                Question::AuxLayers => {
                    amendment.aux_layer_ids = Some(self.taken.aux_layer_ids.clone());
                }
                Question::NormBeforeResidual => {
                    amendment.norm_before_residual = Some(self.taken.norm_before_residual);
                }
                Question::NormOutput => amendment.norm_output = Some(self.taken.norm_output),
                Question::NormBeforeFc => {
                    amendment.norm_before_fc = Some(self.taken.norm_before_fc);
                }
                Question::FcNorm => amendment.fc_norm = Some(self.taken.fc_norm),
                Question::Rope => amendment.rope = Some(self.taken.rope.clone()),
                Question::VocabularyMap => {}
            }
        }
        let expected = self.taken.describe(&subject.head.description);
        let path = amend(directory, verifier, &expected, &amendment, self.record())?;
        Ok(Some(path))
    }

    /// Whether [`Findings::write`] can write what was picked, as far as the layout goes.
    #[must_use]
    pub fn can_be_written(&self, subject: &Subject) -> bool {
        let map = |question| question == Question::VocabularyMap;
        subject.head.layout == Layout::Speculators
            && !self.picked().any(|answer| map(answer.question))
    }

    /// The command that makes a head of what was found, in the speculators layout.
    #[must_use]
    pub fn conversion(&self, subject: &Subject) -> String {
        let flags: Vec<String> = self
            .picked()
            .map(|answer| self.flag(answer.question, subject))
            .collect();
        format!(
            "`speculators convert {} --verifier VERIFIER {} --output-path OUT` writes it as it was measured",
            subject.head.checkpoint.root().display(),
            flags.join(" ")
        )
    }

    fn flag(&self, question: Question, subject: &Subject) -> String {
        let taken = &self.taken;
        match question {
            Question::AuxLayers => {
                let ids: Vec<String> = taken.aux_layer_ids.iter().map(usize::to_string).collect();
                format!("--aux-layers {}", ids.join(","))
            }
            Question::NormBeforeResidual => {
                format!("--norm-before-residual {}", taken.norm_before_residual)
            }
            Question::NormOutput if taken.norm_output => "--norm-output feedback".to_owned(),
            Question::NormOutput => "--norm-output head".to_owned(),
            Question::NormBeforeFc => format!("--norm-before-fc {}", taken.norm_before_fc),
            Question::FcNorm => format!("--fc-norm {}", taken.fc_norm),
            Question::Rope if taken.rope == subject.choices.verifier_rope => {
                "--rope verifier".to_owned()
            }
            Question::Rope if taken.rope.scaling == subject.head.description.rope.scaling => {
                format!("--rope theta={}", taken.rope.theta)
            }
            Question::Rope
                if taken.rope.scaling == RopeScaling::Default && taken.rope.theta == 10_000.0 =>
            {
                "--rope plain".to_owned()
            }
            // No flag takes away a scaling and keeps another base.
            Question::Rope => "--rope config".to_owned(),
            Question::VocabularyMap => match taken.map_entries {
                Some(MapEntries::Absolute) => "--d2t absolute".to_owned(),
                _ => "--d2t offsets".to_owned(),
            },
        }
    }

    /// What is recorded in the config: what was measured on, and each answer with what was declared before.
    fn record(&self) -> Value {
        let answers: Vec<Value> = self
            .answers
            .iter()
            .map(|answer| {
                let mut value = json!({
                    "key": answer.key,
                    "declared": answer.declared,
                    "verdict": answer.verdict,
                });
                if let Some(picked) = &answer.picked {
                    value["picked"] = json!(picked);
                }
                value
            })
            .collect();
        json!({
            "prober": concat!("speculators ", env!("CARGO_PKG_VERSION")),
            "texts": self.texts,
            "tokens": self.tokens,
            "positions": self.after.positions,
            "accepted_of_3_before": self.before.as_ref().map(|before| rounded(before.accepted)),
            "accepted_of_3_after": rounded(self.after.accepted),
            "log_q_before": self.before.as_ref().map(|before| rounded(before.log_q)),
            "log_q_after": rounded(self.after.log_q),
            "answers": answers,
        })
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
