//! What is told of generated texts: a summary for people, a report for programs.

use serde::Serialize;
use speculators::decoding::{Drafting, Verification};
use speculators::evaluation::{
    Acceptance, Counts, PenaltiesSetting, RequestFigures, SamplingSetting,
};

use super::answer::Answer;
use super::models::Models;

/// The answer of `generate --format json`.
#[derive(Serialize)]
pub struct Generated<'a> {
    schema: &'static str,
    verifier: &'a str,
    speculator: Option<&'a str>,
    /// Whether the prompt went through the verifier's chat template.
    chat_template: bool,
    drafting: Option<&'a Drafting>,
    verification: Option<Verification>,
    sampling: SamplingSetting,
    penalties: Option<PenaltiesSetting>,
    stop: &'a [String],
    max_new_tokens: usize,
    dtype: String,
    instruction_set: &'static str,
    threads: usize,
    prompt_token_ids: &'a [u32],
    output_token_ids: &'a [u32],
    text: &'a str,
    /// `stop`, `length` or `interrupted`.
    finish_reason: &'a str,
    accepted_per_step: &'a [usize],
    counts: Counts,
    acceptance: Option<Acceptance>,
    timings: Timings,
}

/// Times, writing the text left out.
#[derive(Serialize)]
struct Timings {
    prefill_ms: f64,
    decode_ms: f64,
    tokens_per_second: f64,
}

impl<'a> Generated<'a> {
    /// Of one answer. The seed is the one that the user has given.
    pub fn new(
        models: &'a Models,
        answer: &'a Answer,
        chat_template: bool,
        stop: &'a [String],
        max_new_tokens: usize,
    ) -> Generated<'a> {
        let figures = std::slice::from_ref(&answer.figures);
        let counts = Counts::fold(figures, models.positions());
        let speculator = models.speculator.as_ref();
        let penalties = models.choosing.penalties;
        Generated {
            schema: "speculators.generate/1",
            verifier: &models.verifier_name,
            speculator: speculator.map(|speculator| speculator.name.as_str()),
            chat_template,
            drafting: speculator.map(|speculator| &speculator.drafting),
            verification: speculator.map(|speculator| speculator.verification),
            sampling: models.choosing.sampling.into(),
            penalties: (!penalties.is_none()).then_some(PenaltiesSetting {
                repetition: penalties.repetition,
                frequency: penalties.frequency,
                presence: penalties.presence,
            }),
            stop,
            max_new_tokens,
            dtype: models.verifier.precision().to_string(),
            instruction_set: speculators_kernels::cpu::features().name(),
            threads: rayon::current_num_threads(),
            prompt_token_ids: &answer.prompt_token_ids,
            output_token_ids: &answer.output_token_ids,
            text: &answer.text,
            finish_reason: answer.finish.unwrap_or("interrupted"),
            accepted_per_step: &answer.accepted_per_step,
            acceptance: speculator.map(|_| counts.acceptance()),
            timings: Timings {
                prefill_ms: answer.figures.prefill.as_secs_f64() * 1e3,
                decode_ms: answer.figures.decode.as_secs_f64() * 1e3,
                tokens_per_second: tokens_per_second(figures),
            },
            counts,
        }
    }
}

/// A few lines about what came; `positions` are the most draft tokens that a step can accept, 0 without speculation.
pub fn summary(answers: &[RequestFigures], positions: usize, ending: &str) -> String {
    let counts = Counts::fold(answers, positions);
    let passes: usize = answers.iter().map(|answer| answer.steps.len()).sum();
    let prefill: f64 = answers
        .iter()
        .map(|answer| answer.prefill.as_secs_f64())
        .sum();
    let mut text = format!(
        "{} tokens {ending}: prompt pass {:.0} ms, then {:.1} tokens/s in {passes} verifier passes",
        counts.output_tokens,
        prefill * 1e3,
        tokens_per_second(answers)
    );
    if counts.steps > 0 {
        let acceptance = counts.acceptance();
        let positions: Vec<String> = acceptance
            .per_position
            .iter()
            .map(|share| format!("{share:.2}"))
            .collect();
        text.push_str(&format!(
            "\nmean acceptance length {:.2} tokens per step (1 + {} accepted / {} steps); accepted by position: {}",
            acceptance.mean_length,
            counts.accepted,
            counts.steps,
            positions.join(" ")
        ));
    }
    text
}

/// Prompt passes and the tokens that they emit left out, as in the report of `eval`.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn tokens_per_second(answers: &[RequestFigures]) -> f64 {
    let tokens: usize = answers
        .iter()
        .map(|answer| answer.output_tokens.saturating_sub(1))
        .sum();
    let seconds: f64 = answers
        .iter()
        .map(|answer| answer.decode.as_secs_f64())
        .sum();
    if seconds > 0.0 {
        tokens as f64 / seconds
    } else {
        0.0
    }
}
