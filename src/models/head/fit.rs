//! Whether a head belongs to a verifier.

use speculators_formats::{Algorithm, Diagnostic, Head, Place, codes};

use crate::models::verifier::Verifier;

/// Where head and verifier do not belong together.
pub(super) fn misfits(head: &Head, verifier: &Verifier) -> Vec<Diagnostic> {
    let (description, config) = (&head.description, verifier.config());
    let error =
        |code, title| Diagnostic::error(code, title).at(Place::file(head.checkpoint.root()));
    let mut found = Vec::new();
    if description.algorithm != Algorithm::Eagle3 {
        let title = format!(
            "the head is of kind `{}`, and only `eagle3` heads can be run here",
            description.algorithm
        );
        found.push(error(codes::LAYOUT_UNKNOWN, title));
    }
    if description.target_hidden_size != config.hidden_size {
        let title = format!(
            "the head reads a hidden size of {}, the verifier has {}",
            description.target_hidden_size, config.hidden_size
        );
        found.push(error(codes::HIDDEN_SIZE, title));
    }
    if description.vocab_size != config.vocab_size {
        let title = format!(
            "the head was built for {} tokens, the verifier has {}",
            description.vocab_size, config.vocab_size
        );
        found.push(error(codes::VOCABULARY, title));
    }
    if !description.own_embeddings && description.hidden_size != config.hidden_size {
        let title = format!(
            "the head has no embeddings of its own, and the verifier's are {} wide instead of {}",
            config.hidden_size, description.hidden_size
        );
        found.push(error(codes::HIDDEN_SIZE, title));
    }
    if let Some(layer) = description
        .aux_layer_ids
        .iter()
        .find(|layer| **layer > config.num_hidden_layers)
    {
        let title = format!(
            "auxiliary layer {layer} lies outside the verifier, which has {}",
            config.num_hidden_layers
        );
        found.push(error(codes::AUX_LAYER_RANGE, title));
    }
    if description.aux_layer_ids.is_empty() {
        let title = "the auxiliary layer ids are not written down".to_string();
        found.push(error(codes::AUX_LAYERS_MISSING, title));
    }
    found
}
