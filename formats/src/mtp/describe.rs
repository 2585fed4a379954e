//! From a config and the tensors beside it to [`MtpDescription`].

use super::decoder::{Decoder, Reader};
use super::recognize::Recognized;
use super::{ExpertStorage, MtpDescription, MtpFamily};
use crate::Result;
use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::config::Section;
use crate::decision::{self, Decision};
use crate::diagnostic::Diagnostic;
use crate::dtype;
use crate::expected;
use crate::head::Layout;
use crate::options::ReadOptions;
use crate::speculator::Algorithm;
use crate::verifier::{FloatType, VerifierFacts, float_type};

/// Describes the head and holds its tensors against the description.
pub(super) fn resolve(
    checkpoint: &Checkpoint,
    recognized: &Recognized,
    verifier: Option<&VerifierFacts>,
    options: &ReadOptions,
) -> Result<(MtpDescription, Vec<Decision>)> {
    let root = checkpoint.config().root();
    let section = decoder_section(&root, recognized.layout)?;
    let mut resolver = Resolver {
        checkpoint,
        recognized,
        root: &root,
        decoder: &section,
        problems: Vec::new(),
        decisions: recognized.decisions.clone(),
    };
    let Some(description) = resolver.describe() else {
        return Err(resolver.problems);
    };
    if options.rope.is_some() {
        let title = "an MTP layer rotates positions as its verifier does, and nothing else can be asked for";
        resolver
            .problems
            .push(Diagnostic::error(codes::USAGE, title));
    }
    let storage = recognized.experts().unwrap_or(match recognized.layout {
        Layout::Speculators => ExpertStorage::Fused,
        _ => ExpertStorage::Split,
    });
    let found = expected::compare(
        &description.expected_as(storage),
        recognized.names.keys().map(String::as_str),
        |name| resolver.view(name),
        &checkpoint.weights_place(),
    );
    resolver.problems.extend(found);
    if let Some(verifier) = verifier {
        resolver.fits(&description, verifier);
    }
    let config = checkpoint.config();
    let decisions = decision::finish(
        Algorithm::Mtp,
        resolver.decisions,
        resolver.problems,
        options,
        config,
    )?;
    Ok((description, decisions))
}

/// The part of a config that describes the decoder.
pub(super) fn decoder_section<'a>(
    root: &Section<'a>,
    layout: Layout,
) -> Result<Section<'a>, Diagnostic> {
    if layout != Layout::Speculators {
        return Ok(root.section("text_config")?.unwrap_or_else(|| root.clone()));
    }
    root.section("transformer_layer_config")?.ok_or_else(|| {
        Diagnostic::error(
            codes::CONFIG_KEY_MISSING,
            "`transformer_layer_config` is missing",
        )
        .at(root.place("speculators_model_type"))
        .note("it holds the sizes of the MTP layer")
    })
}

struct Resolver<'a> {
    checkpoint: &'a Checkpoint,
    recognized: &'a Recognized,
    /// The whole config.
    root: &'a Section<'a>,
    /// The part that describes the decoder.
    decoder: &'a Section<'a>,
    problems: Vec<Diagnostic>,
    decisions: Vec<Decision>,
}

impl<'a> Resolver<'a> {
    fn view(&self, canonical: &str) -> Option<TensorView<'a>> {
        self.checkpoint
            .tensor(self.recognized.names.get(canonical)?)
    }

    fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// The description; `None` after a problem that leaves it undetermined.
    fn describe(&mut self) -> Option<MtpDescription> {
        let mut reader = Reader::new(self.decoder);
        let decoder = reader.decoder(self.root);
        self.problems.append(&mut reader.problems);
        self.decisions.append(&mut reader.decisions);
        self.not_quantized();
        self.layers();
        self.own_parts();
        let Decoder {
            family,
            hidden_size,
            vocab_size,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            attention_bias,
            mlp,
            hidden_act,
            rms_norm_eps,
            rope,
            rope_axes,
            max_position_embeddings,
        } = decoder?;
        let description = MtpDescription {
            model_type: family,
            hidden_size,
            vocab_size,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            gated_attention: family != MtpFamily::Qwen3,
            attention_bias,
            mlp,
            hidden_act,
            rms_norm_eps,
            norm_gain: family.norm_gain(),
            rope,
            rope_axes,
            max_position_embeddings,
            num_nextn_predict_layers: 1,
            dtype: self.dtype(),
            speculative_tokens: self.speculative_tokens(),
        };
        // What is said wrongly makes tensors wrong that are right.
        self.problems.is_empty().then_some(description)
    }

    /// A quantized verifier may well keep its MTP layer in full; the dtypes of its tensors tell.
    fn not_quantized(&mut self) {
        for section in [self.root, self.decoder] {
            let quantization = section.section("quantization_config");
            let Some(quantization) = self.keep(quantization).flatten() else {
                continue;
            };
            let mut names = self.recognized.names.keys();
            let packed = names.find(|name| {
                self.view(name)
                    .is_some_and(|view| !expected::is_float(view.dtype))
            });
            if let Some(packed) = packed.and_then(|name| self.view(name)) {
                let method = quantization
                    .str("quant_method")
                    .ok()
                    .flatten()
                    .unwrap_or("an unnamed method");
                self.problems.push(
                    Diagnostic::error(
                        codes::LAYOUT_UNKNOWN,
                        format!("the MTP layer is quantized with `{method}`"),
                    )
                    .at(section.place("quantization_config"))
                    .note(format!("`{}` has dtype {:?}", packed.name, packed.dtype))
                    .note("quantized heads are not supported in this version")
                    .help("start from the checkpoint it was quantized from"),
                );
                return;
            }
        }
    }

    /// The number of layers as the config states it; how many there are was looked at before.
    fn layers(&mut self) {
        let keys = [
            (self.root, "num_nextn_predict_layers"),
            (self.decoder, "num_nextn_predict_layers"),
            (self.decoder, "mtp_num_hidden_layers"),
        ];
        for (section, key) in keys {
            let written = section.usize(key);
            let Some(written) = self.keep(written).flatten().filter(|layers| *layers != 1) else {
                continue;
            };
            let title = format!(
                "`{}` is {written}, but the checkpoint has 1 MTP layer",
                section.name(key)
            );
            self.problems.push(
                Diagnostic::error(codes::NOT_REPRESENTABLE, title)
                    .at(section.place(key))
                    .note("the Python package refuses any number but 1, and vLLM builds as many layers as it says")
                    .help(format!("set `{}` to 1", section.name(key))),
            );
            return;
        }
    }

    /// Variants that neither layout has a place for.
    fn own_parts(&mut self) {
        for (key, wanted, what) in [
            (
                "mtp_use_dedicated_embeddings",
                false,
                "the MTP layer would have embeddings of its own",
            ),
            (
                "attn_output_gate",
                true,
                "the attention would have no gate, and the Python package builds one",
            ),
        ] {
            let written = self.decoder.bool(key);
            if self
                .keep(written)
                .flatten()
                .is_some_and(|written| written != wanted)
            {
                let title = format!(
                    "`{}` is {}, which is not supported",
                    self.decoder.name(key),
                    !wanted
                );
                self.problems.push(
                    Diagnostic::error(codes::NOT_REPRESENTABLE, title)
                        .at(self.decoder.place(key))
                        .note(what),
                );
            }
        }
    }

    /// The dtype on disk, which is what counts; configs often name another.
    fn dtype(&mut self) -> FloatType {
        let written = [self.root, self.decoder]
            .into_iter()
            .find_map(|section| float_type(section).ok().flatten());
        let names = self.recognized.names.keys();
        let tensors = names.filter_map(|name| self.view(name));
        let main = self.view("mtp_layers.0.input_proj.weight");
        let (dtype, decision) = dtype::of_tensors(tensors, main, written);
        self.decisions.extend(decision);
        dtype
    }

    /// Whatever is wrong with the proposal methods is for validation to say; a head drafts without them.
    fn speculative_tokens(&self) -> usize {
        let methods = self.root.get("speculators_config.proposal_methods");
        let tokens =
            methods.and_then(|methods| methods.get(0)?.get("speculative_tokens")?.as_u64());
        tokens
            .and_then(|tokens| usize::try_from(tokens).ok())
            .filter(|tokens| *tokens > 0)
            .unwrap_or(3)
    }

    /// Width and vocabulary are the verifier's own.
    fn fits(&mut self, description: &MtpDescription, verifier: &VerifierFacts) {
        if description.hidden_size != verifier.hidden_size {
            self.problems.push(
                Diagnostic::error(
                    codes::HIDDEN_SIZE,
                    format!(
                        "the head reads states of width {}, and the verifier's are {} wide",
                        description.hidden_size, verifier.hidden_size
                    ),
                )
                .at(self.decoder.place("hidden_size")),
            );
        }
        if description.vocab_size != verifier.vocab_size {
            self.problems.push(
                Diagnostic::error(
                    codes::VOCABULARY,
                    format!(
                        "the head's vocabulary has {} tokens, the verifier's {}",
                        description.vocab_size, verifier.vocab_size
                    ),
                )
                .at(self.decoder.place("vocab_size")),
            );
        }
    }
}
