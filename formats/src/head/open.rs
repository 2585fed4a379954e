//! Opening a head: recognize, resolve the config, compare with the tensors, resolve the vocabulary.

use std::path::Path;

use super::layout::{self, Recognized};
use super::resolver::Resolver;
use super::{Head, HeadDescription, Layout};
use crate::Result;
use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::decision::Decision;
use crate::expected;
use crate::options::ReadOptions;
use crate::verifier::{VerifierConfig, VerifierFacts};
use crate::vocabulary::{Maps, VocabularyMap};

impl Head {
    /// Opens a head in any layout this version knows.
    ///
    /// The result is closed: each tensor of the source is in [`Head::tensors`] or in [`Head::dropped`], and each tensor the
    /// description asks for is there, in the shape it asks for. With a verifier the two are also checked against each other,
    /// and the default auxiliary layers can be filled in.
    ///
    /// # Errors
    /// Every problem found in one run, cause before consequence: S1xx for the files, S110 for a layout that is not known,
    /// S2xx for tensors, S3xx for vocabulary maps, S4xx for contradictions; S411 for each guess under `options.strict`.
    pub fn open(
        dir: &Path,
        verifier: Option<&VerifierConfig>,
        options: &ReadOptions,
    ) -> Result<Head> {
        Head::from_checkpoint(Checkpoint::open(dir)?, verifier, options)
    }

    /// Resolves a checkpoint that is open already.
    ///
    /// # Errors
    /// As [`Head::open`].
    pub fn from_checkpoint(
        checkpoint: Checkpoint,
        verifier: Option<&VerifierConfig>,
        options: &ReadOptions,
    ) -> Result<Head> {
        Head::resolve(
            checkpoint,
            verifier.map(VerifierFacts::from).as_ref(),
            options,
        )
    }

    /// The same with the few numbers of a verifier that matter here, whatever its family.
    pub(crate) fn resolve(
        checkpoint: Checkpoint,
        verifier: Option<&VerifierFacts>,
        options: &ReadOptions,
    ) -> Result<Head> {
        let recognized = layout::recognize(&checkpoint)?;
        let (description, map, decisions) = resolve(&checkpoint, &recognized, verifier, options)?;
        let slices_lm_head = slices_lm_head(&checkpoint, &recognized, &description, options);
        Ok(Head {
            layout: recognized.layout,
            tensors: recognized.names,
            decisions,
            dropped: recognized.dropped,
            slices_lm_head,
            map,
            description,
            checkpoint,
        })
    }

    /// A tensor by its canonical name, such as `layers.0.self_attn.q_proj.weight`, wherever the source keeps it.
    ///
    /// `d2t` and `t2d` come as they are stored; [`Head::vocabulary_map`] has what they mean.
    #[must_use]
    pub fn tensor(&self, canonical: &str) -> Option<TensorView<'_>> {
        self.checkpoint.tensor(self.tensors.get(canonical)?)
    }

    /// Which verifier token each row of `lm_head` stands for; `None` when the vocabulary is not reduced.
    #[must_use]
    pub fn vocabulary_map(&self) -> Option<&VocabularyMap> {
        self.map.as_ref()
    }
}

type Resolved = (HeadDescription, Option<VocabularyMap>, Vec<Decision>);

fn resolve(
    checkpoint: &Checkpoint,
    recognized: &Recognized,
    verifier: Option<&VerifierFacts>,
    options: &ReadOptions,
) -> Result<Resolved> {
    let mut resolver = Resolver::new(checkpoint, recognized, verifier, options)?;
    let description = resolver.describe();
    let Some(mut description) = description.filter(|_| !resolver.misled()) else {
        return Err(resolver.problems);
    };
    let inputs = resolver.dimension("fc.weight", 1);
    let target = description.target_hidden_size;
    description.aux_layer_ids = resolver.aux_layers(inputs, target);
    // The width of `fc` counts the states where the ids do not: a disagreement is one finding, not one per tensor.
    let auxiliary = match inputs {
        Some(inputs) if inputs.is_multiple_of(target) && inputs > 0 => inputs / target,
        _ if description.aux_layer_ids.is_empty() => 3,
        _ => description.aux_layer_ids.len(),
    };
    let mut expected = description.expected_tensors(auxiliary);
    let sliced = slices_lm_head(checkpoint, recognized, &description, options);
    if sliced {
        let output = expected.iter_mut().find(|tensor| tensor.name == LM_HEAD);
        output.into_iter().for_each(|output| {
            output.shape[0] = description.vocab_size;
            output.sum = "vocab_size, hidden_size".to_owned();
        });
    }
    let names: Vec<&str> = recognized.names.keys().map(String::as_str).collect();
    let names = names.into_iter().filter(|name| !resolver.accounted(name));
    let found = expected::compare(
        &expected,
        names,
        |name| resolver.view(name),
        &checkpoint.weights_place(),
    );
    resolver.problems.extend(found);
    resolver.whole_lm_head(&description, sliced);
    resolver.fits_verifier(description.target_hidden_size, description.vocab_size);
    let maps = Maps {
        d2t: resolver.view("d2t"),
        t2d: resolver.view("t2d"),
        draft_vocab_size: description.draft_vocab_size,
        vocab_size: description.vocab_size,
        repair: resolver.foreign(),
        offsets: recognized.layout == Layout::Gguf,
        entries: options.map_entries,
        place: checkpoint.weights_place(),
    };
    // A misshaped or missing `lm_head` leaves the number of draft tokens in doubt, and then the maps are not to blame.
    let sound_rows = sliced || resolver.dimension(LM_HEAD, 0) == Some(description.draft_vocab_size);
    let map = if sound_rows {
        maps.resolve(&mut resolver.problems, &mut resolver.decisions)
    } else {
        None
    };
    let decisions = resolver.finish(description.algorithm)?;
    Ok((description, map, decisions))
}

const LM_HEAD: &str = "lm_head.weight";

/// Whether the caller wants rows of a whole output matrix, and it is one.
fn slices_lm_head(
    checkpoint: &Checkpoint,
    recognized: &Recognized,
    description: &HeadDescription,
    options: &ReadOptions,
) -> bool {
    let output = recognized.names.get(LM_HEAD);
    let rows = output
        .and_then(|name| checkpoint.tensor(name))
        .and_then(|view| view.shape.first().copied());
    options.slice_lm_head
        && rows == Some(description.vocab_size)
        && description.draft_vocab_size < description.vocab_size
}

impl Resolver<'_> {
    /// Names whose trouble has been reported in better words than "unexpected".
    fn accounted(&self, name: &str) -> bool {
        let contradicted = |part: &str| {
            self.problems.iter().any(|problem| {
                problem.code == codes::NOT_REPRESENTABLE && problem.title.contains(part)
            })
        };
        (name.ends_with("_proj.bias")
            && name.contains("self_attn")
            && contradicted("attention biases"))
            || (name.ends_with("_proj.bias")
                && name.contains(".mlp.")
                && contradicted("MLP biases"))
            || ((name.starts_with("fc_norm.") || name == "input_norm.weight")
                && contradicted("`norm_before_fc` and `fc_norm`"))
    }

    /// ModelOpt exports the verifier's whole output matrix where the draft has none of its own.
    fn whole_lm_head(&mut self, description: &HeadDescription, sliced: bool) {
        let rows = self.dimension(LM_HEAD, 0);
        if sliced {
            self.decisions.push(Decision::settled(
                LM_HEAD,
                format!(
                    "{} of {} rows",
                    description.draft_vocab_size, description.vocab_size
                ),
                "given by the caller; the rows are those of the vocabulary map",
            ));
        } else if rows == Some(description.vocab_size)
            && rows != Some(description.draft_vocab_size)
            && let Some(problem) = self.problems.iter_mut().find(|problem| {
                problem.code == codes::TENSOR_SHAPE && problem.title.contains(LM_HEAD)
            })
        {
            problem
                .notes
                .push("it has a row for each token of the verifier".to_owned());
            problem.help =
                Some("`--lm-head slice-to-draft` takes the rows of the vocabulary map".to_owned());
        }
    }
}
