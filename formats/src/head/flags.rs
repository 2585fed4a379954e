//! The switches of a head: norms and biases, which the config states and the tensors show.

use serde_json::Value;

use super::HeadDescription;
use super::layout::Origin;
use super::resolver::Resolver;
use crate::codes;
use crate::convert::provenance;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;

impl Resolver<'_> {
    /// A group of biases: all of them in every layer, or none.
    pub(crate) fn biases(&mut self, key: &str, block: &str, parts: &[&str]) -> bool {
        let flag = self.decoder.bool(key);
        let flag = self.keep(flag).flatten();
        if !self.foreign() {
            return flag.unwrap_or(false);
        }
        let name = |part: &str| format!("layers.0.{block}.{part}.bias");
        let there: Vec<&str> = parts
            .iter()
            .copied()
            .filter(|part| self.has(&name(part)))
            .collect();
        if there.len() == parts.len() {
            if flag != Some(true) {
                self.decisions.push(Decision::settled(
                    key,
                    true,
                    "the checkpoint has the biases",
                ));
            }
            return true;
        }
        if !there.is_empty() {
            let kind = if block == "mlp" { "MLP" } else { "attention" };
            let title = format!("the {kind} biases are there for {} only", there.join(", "));
            let problem = self.contradiction(key, title);
            problem.notes.push(format!(
                "the layout has biases for all of {} or for none",
                parts.join(", ")
            ));
            return false;
        }
        // Biases that are promised but not there come out as missing tensors.
        flag.unwrap_or(false)
    }

    pub(super) fn norm_before_residual(&mut self) -> bool {
        const KEY: &str = "norm_before_residual";
        if let Some(given) = self.given(KEY, self.options.norm_before_residual) {
            return given;
        }
        let written = self.root.bool(KEY);
        if let Some(written) = self.keep(written).flatten() {
            return written;
        }
        if self.foreign() {
            // None of the foreign trainers has the variant.
            let reason = format!(
                "the config does not say, and {} knows no other",
                self.origin.name()
            );
            self.decisions.push(Decision::settled(KEY, false, reason));
            return false;
        }
        let reason = "the config does not say; vLLM takes true then, the Python package false";
        self.decisions.push(Decision::guessed(KEY, true, reason));
        true
    }

    pub(super) fn norm_output(&mut self) -> bool {
        const KEY: &str = "norm_output";
        if let Some(given) = self.given(KEY, self.options.norm_output) {
            return given;
        }
        let written = self.root.bool(KEY);
        let written = self.keep(written).flatten();
        let exported = self.root.bool("eagle_config.return_hidden_post_norm");
        let written = written.or(self.keep(exported).flatten()).unwrap_or(false);
        if !written || !matches!(self.origin, Origin::SpecForge | Origin::SafeAiLab) {
            return written;
        }
        if self.recorded(provenance::NORM_OUTPUT) == Some(&Value::Bool(true)) {
            let reason = "the converter that wrote the checkpoint recorded that it means the fed-back output";
            self.decisions.push(Decision::settled(KEY, true, reason));
            return true;
        }
        // SpecForge wrote true for ordinary heads until September 2026, meaning the norm before lm_head that all have.
        // Its heads of the later kind, where the flag has today's meaning, also normalize the states before fc.
        let later = self.has("fc_norm.0.weight");
        let reason = if later {
            "the config says true, and `fc_norm.*` shows a head of the kind that feeds the normalized output back"
        } else {
            "the config says true, but SpecForge long wrote that for heads that feed the plain output back"
        };
        self.decisions.push(Decision::guessed(KEY, later, reason));
        later
    }

    /// The norms before `fc`: tensors and flags have to say the same.
    pub(super) fn input_norms(&mut self, description: &mut HeadDescription) {
        let before = self.flag_or_tensor(
            "norm_before_fc",
            self.options.norm_before_fc,
            "input_norm.weight",
        );
        let each = self.flag_or_tensor("fc_norm", self.options.fc_norm, "fc_norm.0.weight");
        if before && each {
            let problem = Diagnostic::error(
                codes::NOT_REPRESENTABLE,
                "`norm_before_fc` and `fc_norm` are both set, but exclude each other",
            );
            self.problems.push(problem.at(self.root.place("fc_norm")));
            // Whichever is really there is asked for, so that the contradiction is the only finding.
            description.norm_before_fc = self.has("input_norm.weight");
            description.fc_norm = self.has("fc_norm.0.weight") && !description.norm_before_fc;
            return;
        }
        (description.norm_before_fc, description.fc_norm) = (before, each);
    }

    pub(super) fn flag_or_tensor(&mut self, key: &str, given: Option<bool>, tensor: &str) -> bool {
        if let Some(given) = self.given(key, given) {
            return given;
        }
        let written = self.root.bool(key);
        let written = self.keep(written).flatten();
        let nested = self.root.bool(&format!("eagle_config.{key}"));
        let nested = self.keep(nested).flatten();
        match written.or(nested) {
            Some(written) => written,
            None if self.has(tensor) => {
                let reason = format!("the config does not say, but `{tensor}` is there");
                self.decisions.push(Decision::settled(key, true, reason));
                true
            }
            None => false,
        }
    }

    pub(crate) fn given(&mut self, key: &str, given: Option<bool>) -> Option<bool> {
        let given = given?;
        self.decisions
            .push(Decision::settled(key, given, "given by the caller"));
        Some(given)
    }
}
