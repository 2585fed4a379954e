//! What families of heads read alike about their decoder: positions, windows, the norm's epsilon, the dtype.

use super::resolver::Resolver;
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::dtype;
use crate::options::RopeOverride;
use crate::rope::{Rope, RopeAxes};
use crate::verifier::{FloatType, float_type};

impl Resolver<'_> {
    /// Multipliers of other families would change every output, and no layout of heads has them.
    pub(crate) fn scales_nothing(&mut self) {
        for key in [
            "logit_scale",
            "logits_scaling",
            "embedding_multiplier",
            "residual_multiplier",
            "attention_multiplier",
        ] {
            let scale = self.decoder.f64(key);
            if let Some(scale) = self.keep(scale).flatten().filter(|scale| *scale != 1.0) {
                self.contradiction(
                    key,
                    format!(
                        "`{key}` is {scale}, and heads with such a multiplier are not supported"
                    ),
                );
            }
        }
    }

    /// The axes that a head for a multimodal verifier shares its channels out between, unless the caller settles the rotary
    /// embedding. `read` says whether heads of this kind are run with several.
    pub(crate) fn rope_axes(&self, read: bool) -> Option<RopeAxes> {
        let (_, axes, _) = Rope::with_axes(&self.decoder).ok()?;
        axes.filter(|_| read && self.options.rope.is_none())
    }

    /// The rotary embedding; `axes` says whether several are read.
    pub(crate) fn rope(&mut self, axes: bool) -> Option<Rope> {
        let read = if axes {
            Rope::with_axes(&self.decoder).map(|(rope, _, decisions)| (rope, decisions))
        } else {
            Rope::from_config(&self.decoder)
        };
        let (mut rope, mut decisions) = self.keep(read)?;
        if let Some(given) = self.options.rope {
            let verifier = self.verifier.and_then(|verifier| verifier.rope.clone());
            let (taken, value) = match given {
                RopeOverride::Theta(theta) => (Rope { theta, ..rope }, format!("theta {theta}")),
                RopeOverride::Plain => {
                    (Rope::plain(10_000.0), "theta 10000, no scaling".to_owned())
                }
                RopeOverride::Verifier => match verifier {
                    Some(rope) => (rope, "the verifier's".to_owned()),
                    None => {
                        self.problems.push(
                            Diagnostic::error(
                                codes::VERIFIER_UNSUPPORTED,
                                "the verifier's rotary embedding is wanted, but is not known",
                            )
                            .at(self.decoder.place("rope_theta"))
                            .note("either no verifier was named, or its config has a type of scaling that is not supported"),
                        );
                        return None;
                    }
                },
            };
            decisions.clear();
            decisions.push(Decision::settled(
                "rope_parameters",
                value,
                "given by the caller",
            ));
            rope = taken;
        }
        self.decisions.append(&mut decisions);
        Some(rope)
    }

    /// vLLM reads `layer_types` and `sliding_window` of a draft as they stand: a layer slides if its type says so and a width
    /// is given, whatever `use_sliding_window` says. The Python package does the same for Llama; for Qwen 3 it clears the
    /// width first when `use_sliding_window` is not true, and its own checkpoints then carry null. The two differ for
    /// hand-written configs only, and there the serving runtime decides.
    pub(crate) fn sliding_windows(&mut self, layers: usize) -> Vec<Option<usize>> {
        let window = self.decoder.usize("sliding_window");
        let window = self.keep(window).flatten().filter(|window| *window > 0);
        let types = self.decoder.str_list("layer_types");
        let types = self.keep(types).flatten().unwrap_or_default();
        let slides = |layer: usize| {
            types
                .get(layer)
                .is_some_and(|kind| kind == "sliding_attention")
        };
        let used = self.decoder.bool("use_sliding_window");
        if self.keep(used).flatten() == Some(false) && window.is_some() && (0..layers).any(slides) {
            self.decisions.push(Decision::guessed(
                self.decoder.name("sliding_window"),
                window.unwrap_or_default(),
                "`layer_types` asks for it and `use_sliding_window` is false; vLLM goes by the former",
            ));
        }
        (0..layers)
            .map(|layer| window.filter(|_| slides(layer)))
            .collect()
    }

    pub(crate) fn rms_norm_eps(&mut self) -> f64 {
        let eps = self.decoder.f64("rms_norm_eps");
        if let Some(eps) = self.keep(eps).flatten() {
            if eps <= 0.0 {
                let title = format!("`rms_norm_eps` is {eps}, but has to be positive");
                let place = self.decoder.place("rms_norm_eps");
                self.problems
                    .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(place));
            }
            return eps;
        }
        let decision = match (
            self.foreign(),
            self.verifier.and_then(|verifier| verifier.rms_norm_eps),
        ) {
            (false, _) => Decision::settled(
                "rms_norm_eps",
                1e-6,
                "the config does not say, and both runtimes take this then",
            ),
            (true, Some(eps)) => Decision::guessed(
                "rms_norm_eps",
                eps,
                "the config does not say; trainers copy the verifier's",
            ),
            (true, _) => Decision::guessed(
                "rms_norm_eps",
                1e-6,
                "the config does not say; this is the usual default",
            ),
        };
        let value = decision.value.parse().unwrap_or(1e-6);
        self.decisions.push(decision);
        value
    }

    pub(crate) fn max_position_embeddings(&mut self) -> usize {
        let written = self.decoder.usize("max_position_embeddings");
        if let Some(written) = self.keep(written).flatten() {
            return written;
        }
        let verifier = self
            .verifier
            .map(|verifier| verifier.max_position_embeddings);
        let (value, reason) = match verifier.filter(|positions| *positions > 0) {
            Some(positions) => (
                positions,
                "the config does not say; the verifier has that many",
            ),
            None => (
                2048,
                "the config does not say; the default of the Llama config class",
            ),
        };
        self.decisions
            .push(Decision::settled("max_position_embeddings", value, reason));
        value
    }

    /// The dtype on disk, which is what counts; configs often name another.
    pub(crate) fn dtype(&mut self) -> FloatType {
        let written = float_type(&self.root);
        let written = self.keep(written).flatten();
        let names = self.recognized.names.keys();
        let tensors = names.filter_map(|name| self.view(name));
        let (dtype, decision) = dtype::of_tensors(tensors, self.view("fc.weight"), written);
        self.decisions.extend(decision);
        dtype
    }
}
