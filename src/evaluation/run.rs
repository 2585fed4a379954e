//! Running prompts: each is decoded plainly and with speculation on the same engine, and the tokens are compared.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use speculators_formats::{Diagnostic, Place, codes};
use speculators_kernels::philox4x32;

use crate::decoding::{
    Generation, Limits, StepRecord, StopStrings, Strategy, generate_with, speculate_with,
};
use crate::evaluation::in_flight::run_in_flight;
use crate::evaluation::tally::count;
use crate::evaluation::turns::{Turns, check_ids, request_id};
use crate::evaluation::{Event, Outcome};
use crate::models::{DraftHead, Verifier};
use crate::text::{Prompt, PromptBody, TextModel};
use crate::{Error, Result};

/// Tokens decoded before anything is timed, so that page faults and thread start-up fall on nobody.
const WARM_UP_TOKENS: usize = 8;

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is drafted, and how tokens are chosen. The seed is that of the run, from which each request gets its own.
    pub strategy: Strategy,
    /// Output limit per request, in tokens.
    pub max_new_tokens: usize,
    /// Strings that end an output; they need a tokenizer.
    pub stop: Vec<String>,
    /// Prompts that are decoded at the same time. Times are those of a single stream only if it is 1.
    pub concurrency: usize,
}

/// A verifier, a head and the text model between them and the prompts.
pub struct Evaluation<'a> {
    /// The verifier.
    pub verifier: &'a Verifier,
    /// The head.
    pub head: &'a DraftHead,
    /// Tokenizer and chat template; not needed where every prompt is token ids.
    pub text: Option<&'a TextModel>,
    /// Named in diagnostics.
    pub prompts_path: &'a Path,
}

impl Evaluation<'_> {
    /// Runs the prompts that `order` names by their indices, each with the noise of its index, so that neither the
    /// order nor which others are run changes what comes of it. `watch` hears of each step and of each finished
    /// request; its time is not counted. Steps of a request come in their order before its end and turns of a prompt
    /// one after another, while with several prompts at a time those of one come between those of another.
    /// `cancelled` stops the run.
    ///
    /// # Errors
    /// Diagnostics for prompts that cannot be encoded or leave no room to generate, all of them before anything runs,
    /// and for ids that name two requests where several are run at a time; those of `watch`; [`Error::Interrupted`].
    pub fn run(
        &self,
        prompts: &[Prompt],
        order: &[usize],
        options: &Options,
        cancelled: &AtomicBool,
        watch: &mut dyn FnMut(Event<'_>) -> Result<()>,
    ) -> Result<()> {
        self.check(prompts, order)?;
        if options.concurrency > 1 {
            check_ids(prompts, order)?;
        }
        if let Some(&first) = order.first() {
            let warm_up = Limits::new(self.verifier, options.max_new_tokens.min(WARM_UP_TOKENS));
            let tokens = self.first_turn(&prompts[first])?;
            let silent = &mut |_: &[u32], _: Option<&StepRecord>| {};
            self.decode(&tokens, &warm_up, &options.strategy, cancelled, silent)?;
        }
        let work = |index: usize, tell: &mut dyn FnMut(Event<'_>) -> Result<()>| {
            self.converse(index, &prompts[index], options, cancelled, tell)
        };
        match options.concurrency {
            0 | 1 => order.iter().try_for_each(|&index| work(index, watch)),
            count => run_in_flight(order, count, watch, work),
        }
    }

    /// Runs all turns of a prompt.
    fn converse(
        &self,
        index: usize,
        prompt: &Prompt,
        options: &Options,
        cancelled: &AtomicBool,
        watch: &mut dyn FnMut(Event<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut limits = Limits::new(self.verifier, options.max_new_tokens);
        if !options.stop.is_empty() {
            limits.stop = Some(StopStrings::new(&options.stop, &self.text()?.tokenizer));
        }
        let mut turns = Turns::default();
        while turns.next(prompt) {
            let tokens = self.encode(prompt, &turns)?;
            self.check_length(prompt, &tokens)?;
            let mut strategy = options.strategy.clone();
            let request = [index as u32, turns.begun as u32];
            strategy.sampling.seed = request_seed(strategy.sampling.seed, request);
            let id = request_id(prompt, turns.begun - 1);
            let mut watched = Watched::new(&id, prompt.category.as_deref(), watch);
            let (plain, mut speculative) =
                self.decode(&tokens, &limits, &strategy, cancelled, &mut |_, step| {
                    watched.hear(step);
                })?;
            speculative.total = speculative.total.saturating_sub(watched.finish()?);
            let place = [index, turns.begun - 1];
            let mut outcome = self.outcome(place, prompt, tokens, plain, speculative)?;
            outcome.seed = strategy.sampling.seed;
            if let (Some(stop), Some(text)) = (&limits.stop, &mut outcome.text) {
                text.truncate(stop.cut(text).len());
            }
            turns.answer(outcome.text.as_deref().unwrap_or_default());
            watch(Event::Finished(&outcome))?;
        }
        Ok(())
    }

    /// Decodes a prompt plainly, and with speculation, of which `progress` hears.
    fn decode(
        &self,
        tokens: &[u32],
        limits: &Limits<'_>,
        strategy: &Strategy,
        cancelled: &AtomicBool,
        progress: &mut dyn FnMut(&[u32], Option<&StepRecord>),
    ) -> Result<(Generation, Generation)> {
        let silent = &mut |_: &[u32], _: Option<&StepRecord>| {};
        let choosing = strategy.choosing();
        let plain = generate_with(self.verifier, tokens, limits, choosing, cancelled, silent)?;
        let speculative = speculate_with(
            self.verifier,
            self.head,
            tokens,
            limits,
            strategy,
            cancelled,
            progress,
        )?;
        Ok((plain, speculative))
    }

    /// Encodes every first turn, so that all unusable prompts are reported at once.
    fn check(&self, prompts: &[Prompt], order: &[usize]) -> Result<()> {
        let mut found = Vec::new();
        for prompt in order.iter().map(|&index| &prompts[index]) {
            let checked = self
                .first_turn(prompt)
                .and_then(|tokens| self.check_length(prompt, &tokens));
            match checked {
                Err(Error::Diagnostics(problems)) => found.extend(problems),
                other => other?,
            }
        }
        // A verifier without chat template would say so once per prompt.
        found.dedup();
        if found.is_empty() {
            Ok(())
        } else {
            Err(found.into())
        }
    }

    fn check_length(&self, prompt: &Prompt, tokens: &[u32]) -> Result<()> {
        let vocabulary = self.verifier.config().vocab_size;
        if let Some(id) = tokens.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(Diagnostic::error(
                codes::PROMPT_MALFORMED,
                format!(
                    "prompt `{}` holds token id {id}, the verifier has {vocabulary} tokens",
                    prompt.id
                ),
            )
            .at(Place::file(self.prompts_path))
            .into());
        }
        let longest = self.verifier.config().max_position_embeddings;
        if tokens.is_empty() || tokens.len() >= longest {
            return Err(Diagnostic::error(
                codes::PROMPT_TOO_LONG,
                format!(
                    "prompt `{}` has {} tokens, the verifier takes 1 to {}",
                    prompt.id,
                    tokens.len(),
                    longest - 1
                ),
            )
            .at(Place::file(self.prompts_path))
            .note(format!(
                "`max_position_embeddings` is {longest}, and one position is needed to generate"
            ))
            .into());
        }
        Ok(())
    }

    /// The tokens of a prompt; of one with several turns those of the first.
    pub(super) fn first_turn(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let mut turns = Turns::default();
        turns.next(prompt);
        self.encode(prompt, &turns)
    }

    fn encode(&self, prompt: &Prompt, turns: &Turns) -> Result<Vec<u32>> {
        match &prompt.body {
            PromptBody::Tokens(tokens) => Ok(tokens.clone()),
            PromptBody::Text(text) => self.text()?.encode_prompt(text),
            PromptBody::Messages { messages, tools } => {
                self.text()?
                    .encode_chat(messages, tools.as_ref(), &prompt.template_variables)
            }
            PromptBody::Turns(_) => {
                self.text()?
                    .encode_chat(&turns.conversation, None, &prompt.template_variables)
            }
        }
    }

    fn text(&self) -> Result<&TextModel> {
        self.text.ok_or_else(|| {
            Diagnostic::error(
                codes::TOKENIZER,
                "the prompts are text, but the verifier has no tokenizer",
            )
            .into()
        })
    }

    fn outcome(
        &self,
        place: [usize; 2],
        prompt: &Prompt,
        prompt_token_ids: Vec<u32>,
        plain: Generation,
        speculative: Generation,
    ) -> Result<Outcome> {
        let text = self
            .text
            .map(|text| text.tokenizer.decode(&speculative.output_token_ids))
            .transpose()?;
        let plain_decode = plain.total.saturating_sub(plain.prefill);
        // Where rules draw anew, outputs differ in length, and times are compared for the same number of tokens.
        let later = |generation: &Generation| generation.output_token_ids.len().saturating_sub(1);
        let plain_decode = match (later(&plain), later(&speculative)) {
            (0, _) => plain_decode,
            (there, here) if there == here => plain_decode,
            (there, here) => plain_decode.mul_f64(count(here) / count(there)),
        };
        Ok(Outcome {
            place,
            id: request_id(prompt, place[1]),
            category: prompt.category.clone(),
            prompt_token_ids,
            text,
            lossless: plain.output_token_ids == speculative.output_token_ids,
            output_token_ids: speculative.output_token_ids,
            steps: speculative.steps,
            prefill: speculative.prefill,
            decode: speculative.total.saturating_sub(speculative.prefill),
            plain_prefill: plain.prefill,
            plain_decode,
            seed: 0,
        })
    }
}

/// Passes the steps of one request on, and keeps what that cost and where it failed.
struct Watched<'a> {
    id: &'a str,
    category: Option<&'a str>,
    watch: &'a mut dyn FnMut(Event<'_>) -> Result<()>,
    heard: usize,
    time: Duration,
    failed: Option<Error>,
}

impl<'a> Watched<'a> {
    fn new(
        id: &'a str,
        category: Option<&'a str>,
        watch: &'a mut dyn FnMut(Event<'_>) -> Result<()>,
    ) -> Watched<'a> {
        Watched {
            id,
            category,
            watch,
            heard: 0,
            time: Duration::ZERO,
            failed: None,
        }
    }

    fn hear(&mut self, step: Option<&StepRecord>) {
        let Some(step) = step.filter(|_| self.failed.is_none()) else {
            return;
        };
        let begin = Instant::now();
        let event = Event::Step {
            id: self.id,
            category: self.category,
            index: self.heard,
            step,
        };
        self.failed = (self.watch)(event).err();
        self.heard += 1;
        self.time += begin.elapsed();
    }

    /// What listening cost, which is no part of decoding.
    fn finish(self) -> Result<Duration> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.time),
        }
    }
}

/// The seed of a request, by the place of its prompt, counted from 0, and the turn, counted from 1. The noise at a
/// position depends on the seed and the position alone: with one seed for all of them, requests of the same length would
/// be drawn with the same luck.
#[must_use]
pub fn request_seed(seed: u64, [prompt, turn]: [u32; 2]) -> u64 {
    let key = [seed as u32, (seed >> 32) as u32];
    let [low, high, ..] = philox4x32([prompt, turn, 0, 0], key);
    u64::from(high) << 32 | u64::from(low)
}
