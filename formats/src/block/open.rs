//! Opening a block drafter: recognize, resolve the config, compare with the tensors, resolve the vocabulary.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::{self, FUSED, Named};
use super::{BlockDescription, BlockHead, Slice};
use crate::Result;
use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};
use crate::expected;
use crate::head::Resolver;
use crate::options::ReadOptions;
use crate::verifier::{VerifierConfig, VerifierFacts};
use crate::vocabulary::{Maps, VocabularyMap};

impl BlockHead {
    /// Opens a block drafter in any layout this version knows.
    ///
    /// The result is closed: each tensor of the source is in [`BlockHead::tensors`] or in [`BlockHead::dropped`], and each
    /// tensor the description asks for is there, in the shape it asks for.
    ///
    /// # Errors
    /// Every problem found in one run, cause before consequence: S1xx for the files, S110 for a layout that is not known,
    /// S2xx for tensors, S3xx for vocabulary maps, S4xx for contradictions; S411 for each guess under `options.strict`.
    pub fn open(
        dir: &Path,
        verifier: Option<&VerifierConfig>,
        options: &ReadOptions,
    ) -> Result<BlockHead> {
        let facts = verifier.map(VerifierFacts::from);
        BlockHead::resolve(Checkpoint::open(dir)?, facts.as_ref(), options)
    }

    /// Resolves a checkpoint that is open already.
    pub(crate) fn resolve(
        checkpoint: Checkpoint,
        verifier: Option<&VerifierFacts>,
        options: &ReadOptions,
    ) -> Result<BlockHead> {
        let named = layout::recognize(&checkpoint)?;
        let resolved = resolve(&checkpoint, &named, verifier, options)?;
        Ok(BlockHead {
            layout: named.recognized.layout,
            description: resolved.description,
            tensors: named.recognized.names,
            decisions: resolved.decisions,
            dropped: named.recognized.dropped,
            slices: resolved.slices,
            map: resolved.map,
            checkpoint,
        })
    }
}

struct Resolved {
    description: BlockDescription,
    slices: BTreeMap<String, Slice>,
    map: Option<VocabularyMap>,
    decisions: Vec<crate::Decision>,
}

fn resolve(
    checkpoint: &Checkpoint,
    named: &Named,
    verifier: Option<&VerifierFacts>,
    options: &ReadOptions,
) -> Result<Resolved> {
    let recognized = &named.recognized;
    let mut resolver = Resolver::new(checkpoint, recognized, verifier, options)?;
    let description = resolver.describe_block(named.algorithm);
    let Some(mut description) = description.filter(|_| !resolver.misled()) else {
        return Err(resolver.problems);
    };
    let inputs = resolver.dimension("fc.weight", 1);
    let target = description.target_hidden_size;
    description.aux_layer_ids =
        resolver.block_aux_layers(inputs, target, description.num_hidden_layers);
    // The width of `fc` counts the states where the ids do not: a disagreement is one finding, not one per tensor.
    let states = match inputs {
        Some(inputs) if inputs.is_multiple_of(target) && inputs > 0 => inputs / target,
        _ => description.aux_layer_ids.len().max(1),
    };
    let slices = resolver.fused_projections(&description);
    let expected = description.expected_tensors(states);
    let find = |name: &str| find(checkpoint, &recognized.names, &slices, name);
    let names: Vec<&str> = recognized.names.keys().map(String::as_str).collect();
    let found = expected::compare(
        &expected,
        names.into_iter(),
        find,
        &checkpoint.weights_place(),
    );
    resolver.problems.extend(found);
    resolver.fits_verifier(target, description.vocab_size);
    let maps = Maps {
        d2t: resolver.view("d2t"),
        t2d: resolver.view("t2d"),
        draft_vocab_size: description.draft_vocab_size,
        vocab_size: description.vocab_size,
        repair: resolver.foreign(),
        offsets: false,
        entries: options.map_entries,
        place: checkpoint.weights_place(),
    };
    let map = maps.resolve(&mut resolver.problems, &mut resolver.decisions);
    Ok(Resolved {
        description,
        decisions: resolver.finish(named.algorithm)?,
        slices,
        map,
    })
}

/// A tensor by its canonical name: one of the checkpoint's, or rows of a fused one.
pub(super) fn find<'a>(
    checkpoint: &'a Checkpoint,
    names: &BTreeMap<String, String>,
    slices: &'a BTreeMap<String, Slice>,
    canonical: &str,
) -> Option<TensorView<'a>> {
    let view = checkpoint.tensor(names.get(canonical)?)?;
    let Some(slice) = slices.get(canonical) else {
        return Some(view);
    };
    Some(TensorView {
        shape: &slice.shape,
        data: view.data.get(slice.bytes.clone())?,
        ..view
    })
}

impl Resolver<'_> {
    /// The rows of each fused projection: queries, then keys, then values.
    fn fused_projections(&mut self, description: &BlockDescription) -> BTreeMap<String, Slice> {
        let (queries, shared) = description.projection_rows();
        let mut slices = BTreeMap::new();
        if !self.foreign() {
            return slices;
        }
        let names: Vec<&String> = self.recognized.names.keys().collect();
        for canonical in names {
            let Some(view) = self
                .view(canonical)
                .filter(|view| view.name.contains(FUSED))
            else {
                continue;
            };
            let Some((&rows, rest)) = view.shape.split_first() else {
                continue;
            };
            let wanted = shared.saturating_mul(2).saturating_add(queries);
            if rows != wanted {
                // Its three parts would be reported with a shape that nothing explains.
                if canonical.contains(".q_proj.") {
                    self.problems.push(
                        Diagnostic::error(
                            codes::TENSOR_SHAPE,
                            format!(
                                "`{}` has {rows} rows, but the config asks for {wanted}",
                                view.name
                            ),
                        )
                        .at(Place::tensor(view.path, view.name))
                        .note(format!(
                            "{queries} for queries, {shared} for keys and {shared} for values"
                        )),
                    );
                }
                continue;
            }
            let bytes_per_row = view.data.len() / rows.max(1);
            let (first, count) = if canonical.contains(".q_proj.") {
                (0, queries)
            } else if canonical.contains(".k_proj.") {
                (queries, shared)
            } else {
                (queries + shared, shared)
            };
            let shape = std::iter::once(count).chain(rest.iter().copied()).collect();
            let bytes = first * bytes_per_row..(first + count) * bytes_per_row;
            slices.insert(canonical.clone(), Slice { shape, bytes });
        }
        slices
    }
}
