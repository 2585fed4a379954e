//! What speaks against a request before anything is decided.

use super::{ALGORITHMS, InitRequest};
use crate::codes;
use crate::convert::output;
use crate::diagnostic::Diagnostic;
use crate::head::DraftLayer;
use crate::speculator::Algorithm;

const EAGLE: &[Algorithm] = &[Algorithm::Eagle3, Algorithm::PEagle];
const BLOCK: &[Algorithm] = &[Algorithm::DFlash, Algorithm::DSpark];
const PARALLEL: &[Algorithm] = &[Algorithm::PEagle, Algorithm::DFlash, Algorithm::DSpark];
const DSPARK: &[Algorithm] = &[Algorithm::DSpark];

/// Most draft layers that are believed to be meant.
const MOST_LAYERS: usize = 64;

/// Everything wrong with the options, and with the output.
pub(super) fn check(request: &InitRequest) -> Vec<Diagnostic> {
    let mut problems = output::apart(&request.output, &[(&request.verifier, "verifier", true)]);
    if problems.is_empty() {
        problems.extend(output::occupied(&request.output, request.force));
    }
    if !ALGORITHMS.contains(&request.algorithm) {
        let title = format!(
            "a head of kind `{}` cannot be started here",
            request.algorithm
        );
        problems.push(
            Diagnostic::error(codes::USAGE, title)
                .help("kinds that can be are `eagle3`, `peagle`, `dflash` and `dspark`"),
        );
        return problems;
    }
    problems.extend(elsewhere(request));
    for (option, size) in [
        ("num-layers", request.num_layers),
        ("sliding-window", request.sliding_window),
        ("num-speculative-tokens", request.speculative_tokens),
        ("draft-vocab-size", request.draft_vocab_size),
    ] {
        if size == Some(0) {
            problems.push(usage(format!("`--{option}` is 0, but has to be positive")));
        }
    }
    let layers = layers(request);
    if layers > MOST_LAYERS {
        let title = format!("`--num-layers` is {layers}, but has to be {MOST_LAYERS} at most");
        problems.push(usage(title));
    }
    if let Some(layer) = request
        .full_attention_layers
        .iter()
        .find(|layer| **layer >= layers)
    {
        let title = format!("layer {layer} is to have full attention, but the head has {layers}");
        problems.push(usage(title).note("draft layers count from 0"));
    }
    if request.norm_before_fc == Some(true) && request.fc_norm == Some(true) {
        problems.push(usage(
            "`norm_before_fc` and `fc_norm` are both asked for, but exclude each other".to_owned(),
        ));
    }
    if request.is_block() && request.draft_arch == Some(DraftLayer::Llama) {
        let title = format!("`{}` has Qwen 3 layers and no others", request.algorithm);
        problems.push(usage(title).help("leave `--draft-arch` out"));
    }
    problems
}

/// Draft decoder layers: those asked for, or as many as the Python package takes.
pub(super) fn layers(request: &InitRequest) -> usize {
    let usual = if request.is_block() { 5 } else { 1 };
    request.num_layers.unwrap_or(usual)
}

/// S021 for each option that heads of this kind have no use for.
fn elsewhere(request: &InitRequest) -> impl Iterator<Item = Diagnostic> {
    let algorithm = request.algorithm;
    let given: [(&str, bool, &'static [Algorithm]); 12] = [
        (
            "norm-before-residual",
            request.norm_before_residual.is_some(),
            EAGLE,
        ),
        ("norm-before-fc", request.norm_before_fc.is_some(), EAGLE),
        ("fc-norm", request.fc_norm.is_some(), EAGLE),
        ("norm-output", request.norm_output.is_some(), EAGLE),
        ("block-size", request.block_size.is_some(), BLOCK),
        (
            "sample-from-anchor",
            request.sample_from_anchor.is_some(),
            BLOCK,
        ),
        (
            "sliding-window-non-causal",
            request.sliding_window_non_causal.is_some(),
            BLOCK,
        ),
        ("mask-token-id", request.mask_token_id.is_some(), PARALLEL),
        ("markov-rank", request.markov_rank.is_some(), DSPARK),
        (
            "markov-head-type",
            request.markov_head_type.is_some(),
            DSPARK,
        ),
        (
            "enable-confidence-head",
            request.enable_confidence_head.is_some(),
            DSPARK,
        ),
        (
            "confidence-head-with-markov",
            request.confidence_head_with_markov.is_some(),
            DSPARK,
        ),
    ];
    given
        .into_iter()
        .filter(move |(_, given, takers)| *given && !takers.contains(&algorithm))
        .map(move |(option, _, takers)| {
            let takers: Vec<String> = takers.iter().map(|taker| format!("`{taker}`")).collect();
            Diagnostic::error(
                codes::OPTION_ELSEWHERE,
                format!("`--{option}` says nothing about a head of kind `{algorithm}`"),
            )
            .note(format!("heads that have it are {}", takers.join(", ")))
            .help(format!(
                "leave it out, or pass another `--algorithm` than `{algorithm}`"
            ))
        })
}

pub(super) fn usage(title: String) -> Diagnostic {
    Diagnostic::error(codes::USAGE, title)
}
