//! The tensors of a verifier that heads share, whatever its family calls them.

use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};

/// Names of the token embedding, most usual first; multimodal models keep their language tower under a prefix.
const EMBEDDING: [&str; 8] = [
    "model.embed_tokens.weight",
    "embed_tokens.weight",
    "model.language_model.embed_tokens.weight",
    "language_model.model.embed_tokens.weight",
    "model.tok_embeddings.weight",
    "tok_embeddings.weight",
    "llm.embed.weight",
    "backbone.embeddings.weight",
];

/// The token embedding, `[vocab_size, hidden_size]`.
///
/// # Errors
/// S201 where none of the known names is there, or where an unknown one cannot be told from another.
pub(crate) fn embedding(checkpoint: &Checkpoint) -> Result<TensorView<'_>, Diagnostic> {
    if let Some(view) = EMBEDDING.iter().find_map(|name| checkpoint.tensor(name)) {
        return Ok(view);
    }
    let found: Vec<&str> = checkpoint
        .names()
        .filter(|name| name.ends_with(".embed_tokens.weight"))
        .collect();
    let problem = |title: String| {
        Diagnostic::error(codes::TENSOR_MISSING, title).at(Place::file(checkpoint.root()))
    };
    match found.as_slice() {
        [] => Err(
            problem("the verifier has no token embedding under a known name".to_owned()).note(
                format!(
                    "looked for {}",
                    EMBEDDING.map(|name| format!("`{name}`")).join(", ")
                ),
            ),
        ),
        [only] => checkpoint
            .tensor(only)
            .ok_or_else(|| problem(format!("`{only}` cannot be read"))),
        several => Err(problem(format!(
            "{} tensors of the verifier could be its token embedding",
            several.len()
        ))
        .note(
            several
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", "),
        )),
    }
}
