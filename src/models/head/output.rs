//! The output matrix of a head and what its columns stand for.

use std::sync::Arc;

use speculators_formats::Head;
use speculators_kernels::DraftVocabulary;

use crate::Result;
use crate::models::verifier::Verifier;
use crate::models::weights::{Linear, Weights};

/// The output matrix with its rows in the order of their verifier ids: then the first of equal logits is the one
/// with the smallest verifier id, which is the one that an engine scattering them into the whole vocabulary takes.
pub(super) fn output(
    head: &Head,
    weights: &Weights,
    verifier: &Verifier,
) -> Result<(Arc<Linear>, DraftVocabulary)> {
    let description = &head.description;
    let width = verifier.config().vocab_size;
    match head.vocabulary_map() {
        Some(map) => {
            let mut order: Vec<usize> = (0..map.draft_to_target.len()).collect();
            order.sort_by_key(|draft| map.draft_to_target[*draft]);
            let ids: Vec<u32> = order
                .iter()
                .map(|draft| map.draft_to_target[*draft])
                .collect();
            let matrix = weights.permuted("lm_head.weight", &order, description.hidden_size)?;
            Ok((Arc::new(matrix), DraftVocabulary::new(&ids, width)?))
        }
        // A head that drafts over the whole vocabulary may leave its output matrix to the verifier.
        None if !weights.has("lm_head.weight")
            && description.hidden_size == verifier.config().hidden_size =>
        {
            Ok((Arc::clone(verifier.lm_head()), DraftVocabulary::full(width)))
        }
        None => {
            let parts = [("lm_head".to_string(), description.draft_vocab_size)];
            Ok((
                Arc::new(weights.linear(&parts, description.hidden_size, false)?),
                DraftVocabulary::full(width),
            ))
        }
    }
}
