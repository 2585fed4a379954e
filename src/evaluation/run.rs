//! Running prompts: each is decoded plainly and with speculation on the same engine, and the tokens are compared.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Map;
use speculators_formats::{Diagnostic, Place, codes};
use speculators_kernels::philox4x32;

use crate::decoding::{Generation, Limits, StepRecord, Strategy, generate_with, speculate_with};
use crate::models::{DraftHead, Verifier};
use crate::text::{Message, Prompt, PromptBody, TextModel};
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
}

/// What came of one request.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The prompt's id; later turns of a `turns` prompt are `id/2`, `id/3`, ….
    pub id: String,
    /// The prompt's category.
    pub category: Option<String>,
    /// Prompt, in tokens.
    pub prompt_token_ids: Vec<u32>,
    /// Output, in tokens.
    pub output_token_ids: Vec<u32>,
    /// Output as text, where the verifier has a tokenizer.
    pub text: Option<String>,
    /// One record per verification step.
    pub steps: Vec<StepRecord>,
    /// Time of the prompt pass.
    pub prefill: Duration,
    /// Time of all later steps with speculation.
    pub decode: Duration,
    /// Time of the prompt pass with plain decoding.
    pub plain_prefill: Duration,
    /// Time of all later tokens with plain decoding.
    pub plain_decode: Duration,
    /// Both gave the same tokens.
    pub lossless: bool,
    /// Seed of the noise of this request.
    pub seed: u64,
}

/// What a run tells as it goes.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A verification step of the request under way.
    Step {
        /// Request id.
        id: &'a str,
        /// The prompt's category.
        category: Option<&'a str>,
        /// Counted from 0 in each request.
        index: usize,
        /// What came of it.
        step: &'a StepRecord,
    },
    /// A request is complete.
    Finished(&'a Outcome),
}

/// One line of `--outputs`.
#[derive(Clone, Debug, Serialize)]
pub struct OutputRecord<'a> {
    /// Request id.
    pub id: &'a str,
    /// Prompt, in tokens.
    pub prompt_token_ids: &'a [u32],
    /// Output, in tokens.
    pub output_token_ids: &'a [u32],
    /// Output as text; null where the verifier has no tokenizer.
    pub text: Option<&'a str>,
    /// Draft tokens accepted, step by step.
    pub accepted_per_step: Vec<usize>,
}

impl Outcome {
    /// The line that `--outputs` writes.
    #[must_use]
    pub fn record(&self) -> OutputRecord<'_> {
        OutputRecord {
            id: &self.id,
            prompt_token_ids: &self.prompt_token_ids,
            output_token_ids: &self.output_token_ids,
            text: self.text.as_deref(),
            accepted_per_step: self.steps.iter().map(|step| step.accepted).collect(),
        }
    }
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
    /// Runs all prompts; `watch` hears of each step and each finished request, and its time is not counted; `cancelled`
    /// stops the run.
    ///
    /// # Errors
    /// Diagnostics for prompts that cannot be encoded or leave no room to generate, all of them before anything runs;
    /// those of `watch`; [`Error::Interrupted`].
    pub fn run(
        &self,
        prompts: &[Prompt],
        options: &Options,
        cancelled: &AtomicBool,
        watch: &mut dyn FnMut(Event<'_>) -> Result<()>,
    ) -> Result<Vec<Outcome>> {
        self.check(prompts)?;
        let limits = Limits::new(self.verifier, options.max_new_tokens);
        if let Some(first) = prompts.first() {
            let warm_up = Limits::new(self.verifier, options.max_new_tokens.min(WARM_UP_TOKENS));
            let tokens = self.encode(first, &mut Turns::default())?;
            let silent = &mut |_: &[u32], _: Option<&StepRecord>| {};
            self.decode(&tokens, &warm_up, &options.strategy, cancelled, silent)?;
        }
        let mut outcomes = Vec::new();
        for (index, prompt) in prompts.iter().enumerate() {
            let mut turns = Turns::default();
            while turns.next(prompt) {
                let tokens = self.encode(prompt, &mut turns)?;
                self.check_length(prompt, &tokens)?;
                let mut strategy = options.strategy.clone();
                let request = [index as u32, turns.begun as u32];
                strategy.sampling.seed = request_seed(strategy.sampling.seed, request);
                let id = turns.id(prompt);
                let mut watched = Watched::new(&id, prompt.category.as_deref(), watch);
                let (plain, mut speculative) =
                    self.decode(&tokens, &limits, &strategy, cancelled, &mut |_, step| {
                        watched.hear(step);
                    })?;
                speculative.total = speculative.total.saturating_sub(watched.finish()?);
                let mut outcome = self.outcome(id, prompt, tokens, plain, speculative)?;
                outcome.seed = strategy.sampling.seed;
                turns.answer(outcome.text.as_deref().unwrap_or_default());
                watch(Event::Finished(&outcome))?;
                outcomes.push(outcome);
            }
        }
        Ok(outcomes)
    }

    /// Decodes a prompt plainly, and with speculation, of which `progress` hears.
    fn decode(
        &self,
        tokens: &[u32],
        limits: &Limits,
        strategy: &Strategy,
        cancelled: &AtomicBool,
        progress: &mut dyn FnMut(&[u32], Option<&StepRecord>),
    ) -> Result<(Generation, Generation)> {
        let silent = &mut |_: &[u32], _: Option<&StepRecord>| {};
        let sampling = &strategy.sampling;
        let plain = generate_with(self.verifier, tokens, limits, sampling, cancelled, silent)?;
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
    fn check(&self, prompts: &[Prompt]) -> Result<()> {
        let mut found = Vec::new();
        for prompt in prompts {
            let mut turns = Turns::default();
            turns.next(prompt);
            let checked = self
                .encode(prompt, &mut turns)
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

    fn encode(&self, prompt: &Prompt, turns: &mut Turns) -> Result<Vec<u32>> {
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
        id: String,
        prompt: &Prompt,
        prompt_token_ids: Vec<u32>,
        plain: Generation,
        speculative: Generation,
    ) -> Result<Outcome> {
        let text = self
            .text
            .map(|text| text.tokenizer.decode(&speculative.output_token_ids))
            .transpose()?;
        Ok(Outcome {
            id,
            category: prompt.category.clone(),
            prompt_token_ids,
            text,
            lossless: plain.output_token_ids == speculative.output_token_ids,
            output_token_ids: speculative.output_token_ids,
            steps: speculative.steps,
            prefill: speculative.prefill,
            decode: speculative.total.saturating_sub(speculative.prefill),
            plain_prefill: plain.prefill,
            plain_decode: plain.total.saturating_sub(plain.prefill),
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

/// Where a prompt stands: single prompts have one turn, `turns` prompts one after another.
#[derive(Default)]
struct Turns {
    begun: usize,
    conversation: Vec<Message>,
}

impl Turns {
    /// Begins the next turn, if there is one.
    fn next(&mut self, prompt: &Prompt) -> bool {
        let total = match &prompt.body {
            PromptBody::Turns(turns) => turns.len(),
            _ => 1,
        };
        if self.begun == total {
            return false;
        }
        if let PromptBody::Turns(turns) = &prompt.body {
            self.conversation.push(message("user", &turns[self.begun]));
        }
        self.begun += 1;
        true
    }

    fn answer(&mut self, text: &str) {
        self.conversation.push(message("assistant", text));
    }

    fn id(&self, prompt: &Prompt) -> String {
        if self.begun > 1 {
            format!("{}/{}", prompt.id, self.begun)
        } else {
            prompt.id.clone()
        }
    }
}

/// The seed of a request. The noise at a position depends on the seed and the position alone: with one seed for all of
/// them, requests of the same length would be drawn with the same luck.
fn request_seed(seed: u64, [prompt, turn]: [u32; 2]) -> u64 {
    let key = [seed as u32, (seed >> 32) as u32];
    let [low, high, ..] = philox4x32([prompt, turn, 0, 0], key);
    u64::from(high) << 32 | u64::from(low)
}

fn message(role: &str, content: &str) -> Message {
    let mut message = Map::new();
    message.insert("role".into(), role.into());
    message.insert("content".into(), content.into());
    message
}
