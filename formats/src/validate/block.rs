//! Findings about a block drafter that opens.

use crate::block::BlockHead;
use crate::codes;
use crate::config::ConfigFile;
use crate::diagnostic::{Diagnostic, Place};

impl BlockHead {
    /// What speaks against a head that could be opened, as far as its config and its tensors' shapes tell.
    #[must_use]
    pub fn findings(&self) -> Vec<Diagnostic> {
        let found = [tokens(self), mask_token(self), open_states(self)];
        found.into_iter().flatten().chain(open_keys(self)).collect()
    }
}

/// The tokens asked for against those the block holds.
fn tokens(head: &BlockHead) -> Option<Diagnostic> {
    const KEY: &str = "speculators_config.proposal_methods.0.speculative_tokens";
    let description = &head.description;
    let (asked, held) = (
        description.speculative_tokens,
        description.tokens_per_block(),
    );
    if asked == held {
        return None;
    }
    let title = format!("the head is asked for {asked} draft tokens, but its block holds {held}");
    let finding = if asked > held {
        Diagnostic::error(codes::BLOCK_TOKENS, title)
    } else {
        Diagnostic::warning(codes::BLOCK_TOKENS, title)
    };
    let first = if description.sample_from_anchor {
        "all of which predict"
    } else {
        "of which the first holds a token that is known"
    };
    Some(
        finding
            .at(head.checkpoint.config().place_of(KEY))
            .note(format!(
                "`block_size` is {}, {first}",
                description.block_size
            ))
            .help(format!("set `speculative_tokens` to {held}")),
    )
}

fn mask_token(head: &BlockHead) -> Option<Diagnostic> {
    let description = &head.description;
    unusable_mask_token(
        description.mask_token_id,
        description.vocab_size,
        head.checkpoint.config(),
    )
}

/// The token that stands where none is drafted yet, in heads that draft several at once.
pub(crate) fn unusable_mask_token(
    token: Option<usize>,
    vocabulary: usize,
    config: &ConfigFile,
) -> Option<Diagnostic> {
    const KEY: &str = "mask_token_id";
    match token {
        None => Some(
            Diagnostic::error(codes::MASK_TOKEN, format!("`{KEY}` is not written down"))
                .at(config.place_of(KEY))
                .note("no program drafts several tokens in one pass without it")
                .help("convert with `--mask-token-id`, naming the token the head was trained with"),
        ),
        Some(token) if token >= vocabulary => Some(
            Diagnostic::error(
                codes::MASK_TOKEN,
                format!("the mask token is {token}, but the vocabulary has {vocabulary} tokens"),
            )
            .at(config.place_of(KEY))
            .note("the embedding has no row for it"),
        ),
        Some(_) => None,
    }
}

/// Which states of the verifier the head reads, where the config does not settle it.
fn open_states(head: &BlockHead) -> Option<Diagnostic> {
    const KEY: &str = "aux_hidden_state_layer_ids";
    let decision = head
        .decisions
        .iter()
        .find(|decision| decision.guess && decision.subject == KEY)?;
    let config = head.checkpoint.config();
    let title = "the config does not settle which verifier layers the head reads";
    Some(
        Diagnostic::warning(codes::AUX_LAYERS_MISSING, title)
            .at(config.place_of(KEY))
            .note(format!("taken: {}", decision.value))
            .note(decision.reason.clone())
            .help("convert with `--aux-layers`; a head that reads other layers accepts next to nothing"),
    )
}

/// Keys whose absence the programs fill differently.
fn open_keys(head: &BlockHead) -> impl Iterator<Item = Diagnostic> + '_ {
    let config = head.checkpoint.config();
    let keys = ["sample_from_anchor", "sliding_window_non_causal"];
    keys.into_iter().filter_map(move |key| {
        let open = |decision: &&crate::Decision| decision.guess && decision.subject == key;
        let decision = head.decisions.iter().find(open)?;
        let finding = if config.root().get("speculators_model_type").is_some() {
            Diagnostic::error(codes::BLOCK_KEY, format!("`{key}` is not written down"))
                .help("write the value the head was trained with into the config")
        } else {
            Diagnostic::warning(
                codes::BLOCK_KEY,
                format!("the config does not settle `{key}`"),
            )
            .help("convert with `--dflash-anchor`, which says it")
        };
        Some(
            finding
                .at(Place::file(config.path()))
                .note(format!("taken: {}", decision.value))
                .note(decision.reason.clone()),
        )
    })
}
