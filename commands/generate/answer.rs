//! One text that is generated: decoding, and the text on its way to the reader.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use speculators::Error;
use speculators::decoding::{
    Choosing, Limits, Sampling, StepRecord, Strategy, generate_with, speculate_with,
};
use speculators::evaluation::{RequestFigures, StepFigures};
use speculators::text::{HeldText, TextStream};

use super::models::Models;
use super::screen::Screen;
use crate::failure::Failure;
use crate::session::Session;

/// What came of one prompt.
pub struct Answer {
    /// The prompt, in tokens.
    pub prompt_token_ids: Vec<u32>,
    /// The output, in tokens; as far as it came.
    pub output_token_ids: Vec<u32>,
    /// The output as text.
    pub text: String,
    /// Why it ended, in the terms of serving engines; nothing where the user has ended it.
    pub finish: Option<&'static str>,
    /// Draft tokens accepted, step by step.
    pub accepted_per_step: Vec<usize>,
    /// The figures of it.
    pub figures: RequestFigures,
}

impl Answer {
    /// Continues a prompt. The text goes to `screen` as it comes, where there is one, up to the first of the strings of
    /// `stop`, at which `limits` ends it. Ctrl-C ends it early.
    pub fn generate(
        models: &Models,
        prompt: Vec<u32>,
        sampling: Sampling,
        limits: &Limits<'_>,
        stop: &[String],
        screen: Option<&mut Screen>,
        session: &Session,
    ) -> Result<Answer, Failure> {
        let mut listener = Listener {
            stream: TextStream::new(&models.text.tokenizer),
            held: HeldText::new(stop),
            screen,
            steps: Vec::new(),
            begin: Instant::now(),
            first_token: None,
            listening: Duration::ZERO,
            failed: None,
            session,
        };
        let choosing = Choosing {
            sampling,
            penalties: models.choosing.penalties,
        };
        let progress = &mut |tokens: &[u32], step: Option<&StepRecord>| listener.hear(tokens, step);
        let (verifier, cancelled) = (&models.verifier, session.cancelled());
        let generation = match &models.speculator {
            Some(speculator) => {
                let strategy = Strategy {
                    drafting: speculator.drafting.clone(),
                    sampling,
                    penalties: choosing.penalties,
                    verification: speculator.verification,
                };
                let head = &speculator.head;
                speculate_with(
                    verifier, head, &prompt, limits, &strategy, cancelled, progress,
                )
            }
            None => generate_with(verifier, &prompt, limits, choosing, cancelled, progress),
        };
        if let Some(failure) = listener.failed {
            return Err(failure);
        }
        let finish = match generation {
            Ok(generation) => Some(generation.finish.as_str()),
            Err(Error::Interrupted) => None,
            Err(other) => return Err(other.into()),
        };
        let heard = listener.finish()?;
        let mut text = models.text.tokenizer.decode(&heard.output_token_ids)?;
        if let Some(stop) = &limits.stop {
            text.truncate(stop.cut(&text).len());
        }
        let Heard {
            output_token_ids,
            steps,
            prefill,
            decode,
        } = heard;
        Ok(Answer {
            text,
            finish,
            accepted_per_step: steps.iter().map(|step| step.accepted).collect(),
            figures: RequestFigures {
                prompt_tokens: prompt.len(),
                output_tokens: output_token_ids.len(),
                prefill,
                decode,
                steps,
                ..RequestFigures::default()
            },
            prompt_token_ids: prompt,
            output_token_ids,
        })
    }
}

/// Passes tokens on as text.
struct Listener<'a> {
    stream: TextStream<'a>,
    /// What may be the beginning of a string that ends the text waits here, with who made it.
    held: HeldText<'a, bool>,
    screen: Option<&'a mut Screen>,
    steps: Vec<StepFigures>,
    begin: Instant,
    first_token: Option<Duration>,
    /// What listening has cost, which is no part of decoding.
    listening: Duration,
    failed: Option<Failure>,
    session: &'a Session,
}

/// What was heard.
struct Heard {
    output_token_ids: Vec<u32>,
    steps: Vec<StepFigures>,
    prefill: Duration,
    decode: Duration,
}

impl Listener<'_> {
    fn hear(&mut self, tokens: &[u32], step: Option<&StepRecord>) {
        let begin = Instant::now();
        self.first_token.get_or_insert(begin - self.begin);
        self.steps.extend(step.map(StepFigures::from));
        let accepted = step.map_or(0, |step| step.accepted);
        if self.failed.is_none()
            && let Err(failure) = self.pass_on(tokens, accepted)
        {
            self.failed = Some(failure);
            // Nobody hears the rest.
            self.session.cancelled().store(true, Ordering::Relaxed);
        }
        self.listening += begin.elapsed();
    }

    /// The first `accepted` tokens are the head's.
    fn pass_on(&mut self, tokens: &[u32], accepted: usize) -> Result<(), Failure> {
        for (place, token) in tokens.iter().enumerate() {
            let piece = self.stream.push(*token)?;
            let certain = self.held.push(&piece, place < accepted);
            if let Some(screen) = &mut self.screen {
                write(screen, &certain)?;
            }
        }
        match &mut self.screen {
            Some(screen) => Ok(screen.flush()?),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Heard, Failure> {
        let total = self.begin.elapsed().saturating_sub(self.listening);
        let prefill = self.first_token.unwrap_or(total);
        let output_token_ids = self.stream.ids().to_vec();
        // What was held back is no whole character: nobody drafted it.
        let mut rest = self.held.push(&self.stream.finish()?, false);
        rest.extend(self.held.finish());
        if let Some(screen) = self.screen {
            write(screen, &rest)?;
            screen.end()?;
        }
        Ok(Heard {
            output_token_ids,
            steps: self.steps,
            prefill,
            decode: total.saturating_sub(prefill),
        })
    }
}

fn write(screen: &mut Screen, pieces: &[(String, bool)]) -> io::Result<()> {
    pieces
        .iter()
        .try_for_each(|(piece, drafted)| screen.write(piece, *drafted))
}
