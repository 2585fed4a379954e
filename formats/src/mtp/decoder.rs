//! The decoder config of an MTP head, or of the verifier it lies in: one set of keys in both.

use super::{MtpFamily, MtpMlp, NormGain};
use crate::codes;
use crate::config::Section;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::rope::{Rope, RopeAxes};
use crate::verifier::{HiddenAct, MOST_LAYERS, hidden_act};

/// Larger sizes are damaged, and their products would not fit a machine word.
const MOST: usize = 1 << 28;
/// More experts than any model has; each is a name in the list of tensors.
const MOST_EXPERTS: usize = 1 << 16;

/// What the config class of a family takes where a key is absent.
struct Defaults {
    num_key_value_heads: usize,
    head_dim: usize,
    num_experts_per_tok: usize,
    partial_rotary_factor: f64,
}

impl MtpFamily {
    fn defaults(self) -> Defaults {
        let (num_key_value_heads, head_dim, num_experts_per_tok, partial_rotary_factor) = match self
        {
            MtpFamily::Qwen3 => (32, 128, 0, 1.0),
            MtpFamily::Qwen3Next => (2, 256, 10, 0.25),
            MtpFamily::Qwen35 => (4, 256, 0, 0.25),
            MtpFamily::Qwen35Moe => (2, 256, 8, 0.25),
        };
        Defaults {
            num_key_value_heads,
            head_dim,
            num_experts_per_tok,
            partial_rotary_factor,
        }
    }

    /// The family of a decoder config; a composite model is named by its whole.
    pub(super) fn from_name(name: &str) -> Option<MtpFamily> {
        match name {
            "qwen3_5" => Some(MtpFamily::Qwen35),
            "qwen3_5_moe" => Some(MtpFamily::Qwen35Moe),
            _ => MtpFamily::ALL
                .into_iter()
                .find(|family| family.as_str() == name),
        }
    }

    /// What norm weights mean in this family.
    #[must_use]
    pub fn norm_gain(self) -> NormGain {
        match self {
            MtpFamily::Qwen3 => NormGain::Weight,
            _ => NormGain::OnePlusWeight,
        }
    }
}

/// A decoder config, resolved.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decoder {
    pub family: MtpFamily,
    pub hidden_size: usize,
    pub vocab_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub attention_bias: bool,
    pub mlp: MtpMlp,
    pub hidden_act: HiddenAct,
    pub rms_norm_eps: f64,
    pub rope: Rope,
    pub rope_axes: Option<RopeAxes>,
    pub max_position_embeddings: usize,
}

/// Reads a decoder config, and collects every problem instead of stopping at the first.
pub(super) struct Reader<'a> {
    section: &'a Section<'a>,
    pub problems: Vec<Diagnostic>,
    pub decisions: Vec<Decision>,
}

impl<'a> Reader<'a> {
    pub fn new(section: &'a Section<'a>) -> Reader<'a> {
        Reader {
            section,
            problems: Vec::new(),
            decisions: Vec::new(),
        }
    }

    /// The decoder, unless there were problems.
    pub fn decoder(&mut self, root: &Section<'_>) -> Option<Decoder> {
        let family = self.family(root)?;
        let defaults = family.defaults();
        let num_hidden_layers = self.size("num_hidden_layers", None, MOST_LAYERS);
        let decoder = Decoder {
            family,
            hidden_size: self.size("hidden_size", None, MOST),
            vocab_size: self.size("vocab_size", None, MOST),
            num_hidden_layers,
            num_attention_heads: self.size("num_attention_heads", None, MOST),
            num_key_value_heads: self.size(
                "num_key_value_heads",
                Some(defaults.num_key_value_heads),
                MOST,
            ),
            head_dim: self.size("head_dim", Some(defaults.head_dim), MOST),
            attention_bias: self.flag("attention_bias", false),
            mlp: self.mlp(family, num_hidden_layers),
            hidden_act: self
                .keep(hidden_act(self.section))
                .unwrap_or(HiddenAct::Silu),
            rms_norm_eps: self.number("rms_norm_eps", 1e-6),
            rope: Rope {
                theta: 1.0,
                scaling: crate::RopeScaling::Default,
                partial_rotary_factor: defaults.partial_rotary_factor,
            },
            rope_axes: None,
            max_position_embeddings: self.size("max_position_embeddings", Some(32_768), MOST),
        };
        let rope = Rope::with_axes(self.section);
        let (rope, rope_axes) = self.rope(rope, &defaults)?;
        let decoder = Decoder {
            rope,
            rope_axes,
            ..decoder
        };
        if self.problems.is_empty() {
            self.consistent(&decoder);
        }
        self.problems.is_empty().then_some(decoder)
    }

    pub fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn family(&mut self, root: &Section<'_>) -> Option<MtpFamily> {
        let own = self.keep(self.section.str("model_type"))?;
        // Old exports of composite models name the family at the top only.
        let name = match own {
            Some(name) => Some(name),
            None => self.keep(root.str("model_type"))?,
        };
        let supported =
            "supported are `qwen3`, `qwen3_next`, `qwen3_5_text` and `qwen3_5_moe_text`";
        let key = self.section.name("model_type");
        let Some(name) = name else {
            let title = format!("`{key}` is missing, so the family of the MTP layer is unknown");
            self.problems.push(
                Diagnostic::error(codes::CONFIG_KEY_MISSING, title)
                    .at(self.section.place("model_type"))
                    .note(supported),
            );
            return None;
        };
        let family = MtpFamily::from_name(name);
        if family.is_none() {
            let title = format!("the MTP layer is of family `{name}`, which is not supported");
            self.problems.push(
                Diagnostic::error(codes::NOT_REPRESENTABLE, title)
                    .at(self.section.place("model_type"))
                    .note(supported),
            );
        }
        family
    }

    /// A positive size; the default of the config class stands in where there is one.
    fn size(&mut self, key: &str, default: Option<usize>, most: usize) -> usize {
        let Some(written) = self.keep(self.section.usize(key)) else {
            return 1;
        };
        let title = match (written, default) {
            (Some(size), _) if size > 0 && size <= most => return size,
            (Some(0), _) => format!("`{}` is 0, but has to be positive", self.section.name(key)),
            (Some(size), _) => format!(
                "`{}` is {size}, but has to be {most} at most",
                self.section.name(key)
            ),
            (None, Some(default)) => {
                let reason = "the config does not say; the default of its class";
                self.decisions
                    .push(Decision::settled(self.section.name(key), default, reason));
                return default;
            }
            (None, None) => {
                let title = format!(
                    "`{}` is missing, and nothing can stand in for it",
                    self.section.name(key)
                );
                self.problems.push(
                    Diagnostic::error(codes::CONFIG_KEY_MISSING, title).at(self.section.place(key)),
                );
                return 1;
            }
        };
        self.problems
            .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(self.section.place(key)));
        1
    }

    fn flag(&mut self, key: &str, default: bool) -> bool {
        self.keep(self.section.bool(key))
            .flatten()
            .unwrap_or(default)
    }

    fn number(&mut self, key: &str, default: f64) -> f64 {
        let written = self.keep(self.section.f64(key)).flatten();
        written.unwrap_or_else(|| {
            let reason = "the config does not say; the default of its class";
            self.decisions
                .push(Decision::settled(self.section.name(key), default, reason));
            default
        })
    }

    fn mlp(&mut self, family: MtpFamily, layers: usize) -> MtpMlp {
        let sparse = match family {
            MtpFamily::Qwen3 | MtpFamily::Qwen35 => false,
            MtpFamily::Qwen35Moe => true,
            MtpFamily::Qwen3Next => self.is_sparse(layers),
        };
        if !sparse {
            return MtpMlp::Dense {
                intermediate_size: self.size("intermediate_size", None, MOST),
            };
        }
        let per_token = family.defaults().num_experts_per_tok;
        let shared = "shared_expert_intermediate_size";
        MtpMlp::Moe {
            num_experts: self.size("num_experts", None, MOST_EXPERTS),
            num_experts_per_tok: self.size("num_experts_per_tok", Some(per_token), MOST),
            moe_intermediate_size: self.size("moe_intermediate_size", None, MOST),
            shared_expert_intermediate_size: self.size(shared, None, MOST),
            norm_topk_prob: self.flag("norm_topk_prob", true),
        }
    }

    /// Qwen3-Next may mix dense and sparse layers; the MTP layer is like the verifier's last with full attention.
    fn is_sparse(&mut self, layers: usize) -> bool {
        let layer = self.last_full_attention(layers);
        let dense = self
            .keep(self.section.usize_list("mlp_only_layers"))
            .flatten()
            .unwrap_or_default();
        let step = self
            .keep(self.section.usize("decoder_sparse_step"))
            .flatten()
            .unwrap_or(1);
        let experts = self.keep(self.section.usize("num_experts")).flatten();
        !dense.contains(&layer)
            && experts != Some(0)
            && step > 0
            && (layer + 1).is_multiple_of(step)
    }

    fn last_full_attention(&mut self, layers: usize) -> usize {
        let types = self.keep(self.section.str_list("layer_types")).flatten();
        let last = match &types {
            Some(types) => types.iter().rposition(|kind| kind == "full_attention"),
            None => {
                let interval = self
                    .keep(self.section.usize("full_attention_interval"))
                    .flatten()
                    .unwrap_or(4)
                    .max(1);
                (layers / interval * interval).checked_sub(1)
            }
        };
        if last.is_none() && self.problems.is_empty() {
            self.problems.push(
                Diagnostic::error(
                    codes::NOT_REPRESENTABLE,
                    "no layer of the verifier has full attention, and the MTP layer is modelled on the last that has",
                )
                .at(self.section.place("layer_types")),
            );
        }
        last.unwrap_or(0)
    }

    fn rope(
        &mut self,
        read: Result<(Rope, Option<RopeAxes>, Vec<Decision>), Diagnostic>,
        defaults: &Defaults,
    ) -> Option<(Rope, Option<RopeAxes>)> {
        let (mut rope, axes, mut decisions) = self.keep(read)?;
        self.decisions.append(&mut decisions);
        let partial = defaults.partial_rotary_factor;
        if rope.partial_rotary_factor == 1.0 && partial != 1.0 && !self.writes_partial() {
            let reason = "the config does not say; the default of its class";
            self.decisions.push(Decision::settled(
                self.section.name("partial_rotary_factor"),
                partial,
                reason,
            ));
            rope.partial_rotary_factor = partial;
        }
        Some((rope, axes))
    }

    /// Whether the factor is written anywhere, be it 1.
    fn writes_partial(&self) -> bool {
        [
            "partial_rotary_factor",
            "rope_parameters.partial_rotary_factor",
            "rope_parameters.full_attention.partial_rotary_factor",
            "rope_parameters.sliding_attention.partial_rotary_factor",
            "rope_scaling.partial_rotary_factor",
        ]
        .into_iter()
        .any(|key| self.section.get(key).is_some())
    }

    fn consistent(&mut self, decoder: &Decoder) {
        let layers = decoder.num_hidden_layers;
        let types = self.keep(self.section.str_list("layer_types")).flatten();
        if let Some(types) = types.filter(|types| types.len() != layers) {
            let title = format!(
                "`{}` has {} entries for {layers} layers",
                self.section.name("layer_types"),
                types.len()
            );
            self.problems.push(
                Diagnostic::error(codes::CONFIG_TYPE, title).at(self.section.place("layer_types")),
            );
        }
        let (heads, shared, dim) = (
            decoder.num_attention_heads,
            decoder.num_key_value_heads,
            decoder.head_dim,
        );
        let mut contradict = |key: &str, title: String| {
            self.problems.push(
                Diagnostic::error(codes::NOT_REPRESENTABLE, title).at(self.section.place(key)),
            );
        };
        if !heads.is_multiple_of(shared) {
            let title = format!("{heads} query heads cannot share {shared} key and value heads");
            contradict("num_key_value_heads", title);
        }
        if !dim.is_multiple_of(2) {
            let title = format!("a head of {dim} channels cannot be rotated in pairs");
            contradict("head_dim", title);
        }
        if let MtpMlp::Moe {
            num_experts,
            num_experts_per_tok,
            ..
        } = decoder.mlp
            && num_experts_per_tok > num_experts
        {
            let title = format!(
                "each token is sent to {num_experts_per_tok} experts, but there are {num_experts}"
            );
            contradict("num_experts_per_tok", title);
        }
    }
}
