//! From `config.json` and `generation_config.json` to [`VerifierConfig`].

use std::path::Path;

use super::{FloatType, HiddenAct, MOST_LAYERS, ModelType, VerifierConfig, not_a_head};
use crate::config::{ConfigFile, Section};
use crate::diagnostic::Diagnostic;
use crate::rope::Rope;
use crate::{Result, checkpoint, codes};

impl VerifierConfig {
    /// Reads `config.json`, and `generation_config.json` where there is one; no weights are needed.
    ///
    /// # Errors
    /// S101, S104 and S105 for the files, S106 for sizes that are not written down, S410 for a head or a
    /// family that is not supported.
    pub fn read(dir: &Path) -> Result<VerifierConfig> {
        checkpoint::directory(dir)?;
        let config = ConfigFile::read(dir.join("config.json"))?;
        let generation = dir.join("generation_config.json");
        let generation = if generation.exists() {
            Some(ConfigFile::read(generation)?)
        } else {
            None
        };
        VerifierConfig::from_config(&config, generation.as_ref())
    }

    /// Resolves a config that has been read already.
    ///
    /// # Errors
    /// As [`VerifierConfig::read`], without S101.
    pub fn from_config(
        config: &ConfigFile,
        generation: Option<&ConfigFile>,
    ) -> Result<VerifierConfig> {
        let root = config.root();
        // A multimodal verifier keeps its decoder under `text_config`; heads read the decoder.
        let text = root.section("text_config")?;
        let section = text.clone().unwrap_or_else(|| root.clone());
        not_a_head(&root)?;
        let model_type = model_type(&section)?;
        for part in [Some(&root), text.as_ref()].into_iter().flatten() {
            not_quantized(part)?;
        }
        let mut reader = Reader {
            section: &section,
            problems: Vec::new(),
        };
        let family = Family::of(model_type);
        let hidden_size = reader.size("hidden_size");
        let num_attention_heads = reader.size("num_attention_heads");
        let num_hidden_layers = reader.size("num_hidden_layers");
        let num_key_value_heads =
            reader.key_value_heads(family.num_key_value_heads, num_attention_heads);
        let head_dim = reader.or(
            "head_dim",
            family
                .head_dim
                .unwrap_or(hidden_size / num_attention_heads.max(1)),
        );
        let max_position_embeddings =
            reader.or("max_position_embeddings", family.max_position_embeddings);
        let attention_bias = match model_type {
            ModelType::Qwen2 => true,
            ModelType::Mistral => false,
            ModelType::Llama | ModelType::Qwen3 => reader.flag("attention_bias"),
        };
        let tie = reader.keep(section.bool("tie_word_embeddings")).flatten();
        let tie = tie.or_else(|| reader.keep(root.bool("tie_word_embeddings")).flatten());
        let rope = reader
            .keep(Rope::from_config(&section))
            .map(|(rope, _)| rope);
        let resolved = VerifierConfig {
            model_type,
            architectures: reader
                .keep(root.str_list("architectures"))
                .flatten()
                .unwrap_or_default(),
            vocab_size: reader.size("vocab_size"),
            hidden_size,
            intermediate_size: reader.size("intermediate_size"),
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            rms_norm_eps: reader
                .keep(section.f64("rms_norm_eps"))
                .flatten()
                .unwrap_or(1e-6),
            rope: rope.unwrap_or(Rope {
                theta: 1.0,
                scaling: crate::RopeScaling::Default,
                partial_rotary_factor: 1.0,
            }),
            max_position_embeddings,
            attention_bias,
            attention_output_bias: attention_bias && model_type != ModelType::Qwen2,
            mlp_bias: model_type == ModelType::Llama && reader.flag("mlp_bias"),
            qk_norm: model_type == ModelType::Qwen3,
            hidden_act: reader.keep(hidden_act(&section)).unwrap_or(HiddenAct::Silu),
            sliding_window: reader.sliding_windows(model_type, num_hidden_layers),
            tie_word_embeddings: tie.unwrap_or(false),
            dtype: reader
                .keep(dtype(&section, &root))
                .unwrap_or(FloatType::Float32),
            eos_token_ids: reader.eos(generation, &root),
        };
        if reader.problems.is_empty() {
            consistent(&resolved, &section, &mut reader.problems);
        }
        if reader.problems.is_empty() {
            Ok(resolved)
        } else {
            Err(reader.problems)
        }
    }
}

/// Defaults of the config classes where they differ between families.
struct Family {
    head_dim: Option<usize>,
    /// For an absent key; null always means "as many as query heads".
    num_key_value_heads: Option<usize>,
    max_position_embeddings: usize,
}

impl Family {
    fn of(model_type: ModelType) -> Family {
        let (head_dim, num_key_value_heads, max_position_embeddings) = match model_type {
            ModelType::Llama => (None, None, 2048),
            ModelType::Qwen2 => (None, Some(32), 32_768),
            ModelType::Qwen3 => (Some(128), Some(32), 32_768),
            ModelType::Mistral => (None, Some(8), 131_072),
        };
        Family {
            head_dim,
            num_key_value_heads,
            max_position_embeddings,
        }
    }
}

/// Collects every problem instead of stopping at the first.
struct Reader<'a> {
    section: &'a Section<'a>,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// A size nothing can stand in for.
    fn size(&mut self, key: &str) -> usize {
        match self.keep(self.section.usize(key)) {
            Some(Some(0)) => {
                let title = format!("`{}` is 0, but has to be positive", self.section.name(key));
                self.problems
                    .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(self.section.place(key)));
                1
            }
            Some(Some(layers)) if key == "num_hidden_layers" && layers > MOST_LAYERS => {
                let title = format!(
                    "`{}` is {layers}, but has to be {MOST_LAYERS} at most",
                    self.section.name(key)
                );
                self.problems
                    .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(self.section.place(key)));
                1
            }
            Some(Some(size)) => size,
            Some(None) => {
                let title = format!(
                    "`{}` is missing, and nothing can stand in for it",
                    self.section.name(key)
                );
                self.problems.push(
                    Diagnostic::error(codes::CONFIG_KEY_MISSING, title).at(self.section.place(key)),
                );
                1
            }
            None => 1,
        }
    }

    fn or(&mut self, key: &str, default: usize) -> usize {
        self.keep(self.section.usize(key))
            .flatten()
            .unwrap_or(default)
    }

    fn flag(&mut self, key: &str) -> bool {
        self.keep(self.section.bool(key)).flatten().unwrap_or(false)
    }

    fn key_value_heads(&mut self, absent: Option<usize>, heads: usize) -> usize {
        let written_null = self.section.map().contains_key("num_key_value_heads");
        let default = if written_null {
            heads
        } else {
            absent.unwrap_or(heads)
        };
        self.or("num_key_value_heads", default)
    }

    fn sliding_windows(&mut self, model_type: ModelType, layers: usize) -> Vec<Option<usize>> {
        let window = match self.section.map().get("sliding_window") {
            // The class default of every family that has the key.
            None => Some(4096),
            Some(_) => self.keep(self.section.usize("sliding_window")).flatten(),
        };
        // vLLM takes 0 for "none".
        let window = window.filter(|window| *window > 0);
        match model_type {
            ModelType::Llama => vec![None; layers],
            ModelType::Mistral => vec![window; layers],
            ModelType::Qwen2 | ModelType::Qwen3 => {
                if !self.flag("use_sliding_window") {
                    return vec![None; layers];
                }
                let full_below = self.or("max_window_layers", 28);
                match self.keep(self.section.str_list("layer_types")).flatten() {
                    Some(types) => (0..layers)
                        .map(|layer| {
                            window.filter(|_| {
                                types
                                    .get(layer)
                                    .is_some_and(|kind| kind == "sliding_attention")
                            })
                        })
                        .collect(),
                    None => (0..layers)
                        .map(|layer| window.filter(|_| layer >= full_below))
                        .collect(),
                }
            }
        }
    }

    fn eos(&mut self, generation: Option<&ConfigFile>, root: &Section<'_>) -> Vec<u32> {
        let generation = generation.map(ConfigFile::root);
        for part in [generation.as_ref(), Some(self.section), Some(root)]
            .into_iter()
            .flatten()
        {
            match self.keep(part.one_or_many("eos_token_id")) {
                Some(Some(ids)) => {
                    return ids
                        .into_iter()
                        .filter_map(|id| u32::try_from(id).ok())
                        .collect();
                }
                Some(None) => {}
                None => return Vec::new(),
            }
        }
        Vec::new()
    }
}

fn model_type(section: &Section<'_>) -> Result<ModelType, Diagnostic> {
    let Some(name) = section.str("model_type")? else {
        return Err(Diagnostic::error(
            codes::CONFIG_KEY_MISSING,
            format!(
                "`{}` is missing, so the verifier's family is unknown",
                section.name("model_type")
            ),
        )
        .at(section.place("model_type"))
        .note("supported are `llama`, `qwen2`, `qwen3` and `mistral`"));
    };
    match name {
        "llama" => Ok(ModelType::Llama),
        "qwen2" => Ok(ModelType::Qwen2),
        "qwen3" => Ok(ModelType::Qwen3),
        "mistral" => Ok(ModelType::Mistral),
        other => Err(Diagnostic::error(
            codes::VERIFIER_UNSUPPORTED,
            format!("the verifier is of family `{other}`, which is not supported"),
        )
        .at(section.place("model_type"))
        .note("supported are `llama`, `qwen2`, `qwen3` and `mistral`")),
    }
}

fn not_quantized(section: &Section<'_>) -> Result<(), Diagnostic> {
    let Some(quantization) = section.section("quantization_config")? else {
        return Ok(());
    };
    let method = quantization
        .str("quant_method")?
        .unwrap_or("an unnamed method");
    Err(Diagnostic::error(
        codes::VERIFIER_UNSUPPORTED,
        format!("the verifier is quantized with `{method}`"),
    )
    .at(section.place("quantization_config"))
    .note("quantized verifiers are not supported in this version")
    .help("pass the checkpoint it was quantized from"))
}

/// `hidden_act`; absent means SiLU.
pub(crate) fn hidden_act(section: &Section<'_>) -> Result<HiddenAct, Diagnostic> {
    Ok(match section.str("hidden_act")? {
        None | Some("silu" | "swish") => HiddenAct::Silu,
        Some("gelu") => HiddenAct::Gelu,
        Some("gelu_pytorch_tanh" | "gelu_new") => HiddenAct::GeluTanh,
        Some("relu") => HiddenAct::Relu,
        Some(other) => {
            return Err(Diagnostic::error(
                codes::NOT_REPRESENTABLE,
                format!(
                    "`{}` is `{other}`, which is not supported",
                    section.name("hidden_act")
                ),
            )
            .at(section.place("hidden_act"))
            .note("supported are `silu`, `gelu`, `gelu_pytorch_tanh`, `gelu_new` and `relu`"));
        }
    })
}

/// `dtype`, or the older `torch_dtype`; with or without `torch.` in front.
pub(crate) fn float_type(section: &Section<'_>) -> Result<Option<FloatType>, Diagnostic> {
    let key = if section.get("dtype").is_some() {
        "dtype"
    } else {
        "torch_dtype"
    };
    let Some(name) = section.str(key)? else {
        return Ok(None);
    };
    match name.strip_prefix("torch.").unwrap_or(name) {
        "float32" | "float" => Ok(Some(FloatType::Float32)),
        "float16" | "half" => Ok(Some(FloatType::Float16)),
        "bfloat16" => Ok(Some(FloatType::Bfloat16)),
        _ => Err(Diagnostic::error(
            codes::CONFIG_TYPE,
            format!(
                "`{}` is `{name}`, but has to be `float32`, `float16` or `bfloat16`",
                section.name(key)
            ),
        )
        .at(section.place(key))),
    }
}

fn dtype(section: &Section<'_>, root: &Section<'_>) -> Result<FloatType, Diagnostic> {
    // PyTorch's default where neither is written.
    Ok(float_type(section)?
        .map_or_else(|| float_type(root), |dtype| Ok(Some(dtype)))?
        .unwrap_or(FloatType::Float32))
}

fn consistent(config: &VerifierConfig, section: &Section<'_>, problems: &mut Vec<Diagnostic>) {
    let (heads, shared) = (config.num_attention_heads, config.num_key_value_heads);
    if shared == 0 || !heads.is_multiple_of(shared) {
        problems.push(
            Diagnostic::error(
                codes::NOT_REPRESENTABLE,
                format!("{heads} query heads cannot share {shared} key and value heads"),
            )
            .at(section.place("num_key_value_heads")),
        );
    }
    if config.head_dim == 0 || !config.head_dim.is_multiple_of(2) {
        problems.push(
            Diagnostic::error(
                codes::NOT_REPRESENTABLE,
                format!(
                    "a head of {} channels cannot be rotated in pairs",
                    config.head_dim
                ),
            )
            .at(section.place("head_dim")),
        );
    }
}
