//! The probe from end to end: texts, search, verdicts.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use speculators_formats::{Diagnostic, codes};

use super::agreement::{Agreement, Estimate, Figures};
use super::question::Question;
use super::reading::Reading;
use super::search::Search;
use super::subject::Subject;
use super::text::Text;
use super::verdict::{Answer, Verdict, judge};
use crate::Result;
use crate::evaluation::{Evidence, Statement, Told, diagnose};
use crate::models::Verifier;

/// Fewer positions than this tell nothing.
const FEWEST_POSITIONS: usize = 64;
/// The longest continuation of a prompt. Long enough for what the rotary embedding does at a distance.
const LONGEST: usize = 256;
/// The shortest, unless the verifier ends it.
const SHORTEST: usize = 64;
/// A prompt is continued by this share of what is wanted in all, so that no one text decides.
const SHARE: usize = 8;

/// What a probe found.
#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    /// Texts that the verifier wrote.
    pub texts: usize,
    /// Tokens that it wrote.
    pub tokens: usize,
    /// What the config says.
    pub declared: Reading,
    /// The same with what was picked in its place.
    pub taken: Reading,
    /// What the declared reading came to; nothing where it cannot be run.
    pub before: Option<Figures>,
    /// What the reading taken came to.
    pub after: Figures,
    /// Share of the text that is its commonest token: what a head agrees to that knows nothing.
    pub commonest_share: f64,
    /// The head agrees more than one that knows nothing; else no question is decided.
    pub informative: bool,
    /// Each question with its answers.
    pub answers: Vec<Answer>,
    /// Readings that were run.
    pub readings: usize,
    /// Position by position, what the reading taken came to.
    #[serde(skip)]
    pub agreement: Agreement,
}

impl Findings {
    /// Whether something declared is wrong.
    #[must_use]
    pub fn contradicted(&self) -> bool {
        self.answers.iter().any(|answer| answer.contradicted)
    }

    /// Whether something could not be told.
    #[must_use]
    pub fn undecided(&self) -> bool {
        let mut verdicts = self.answers.iter().map(|answer| answer.verdict);
        verdicts.any(|verdict| verdict == Verdict::Undecided)
    }

    /// Why the head accepts what it accepts, read as taken.
    #[must_use]
    pub fn diagnosis(&self) -> Vec<Statement> {
        let mut evidence = Evidence::default();
        for position in self.agreement.texts.iter().flatten() {
            let told = position.guesses.iter().map(|guess| Told {
                accepted: guess.hit,
                known: guess.known,
                top_q: guess.top_q,
            });
            evidence.add(position.context_length, told);
        }
        let contradicted = self.picked().map(|answer| {
            let picked = answer.picked.clone().unwrap_or_default();
            (answer.key.to_owned(), answer.declared.clone(), picked)
        });
        evidence.contradicted = contradicted.collect();
        evidence.lost = self
            .before
            .as_ref()
            .map(|before| (before.accepted, self.after.accepted));
        diagnose(&evidence)
    }

    /// The answers that are to be taken in the place of what is declared.
    pub fn picked(&self) -> impl Iterator<Item = &Answer> {
        let picked = |answer: &&Answer| answer.verdict == Verdict::Picked;
        self.answers.iter().filter(picked)
    }
}

/// Has the verifier continue prompts until it has written so many tokens. `progress` hears of the tokens so far.
///
/// # Errors
/// As for [`Text::write`]; S451 where the prompts give too little text.
pub fn write_texts(
    verifier: &Verifier,
    prompts: &[Vec<u32>],
    tokens: usize,
    subject: &Subject,
    cancelled: &AtomicBool,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Text>> {
    let longest = (tokens / SHARE).clamp(SHORTEST, LONGEST);
    let layers = subject.choices.union();
    let (mut texts, mut written, mut positions) = (Vec::new(), 0, 0);
    for prompt in prompts {
        if written >= tokens {
            break;
        }
        let limit = longest.min(tokens - written).max(2);
        let text = Text::write(verifier, prompt, limit, &layers, cancelled)?;
        written += text.tokens.len() - text.prompt_length;
        positions += text.positions();
        progress(written);
        texts.push(text);
    }
    if positions < FEWEST_POSITIONS {
        let title = format!(
            "the verifier wrote {written} tokens, which give {positions} positions of the {FEWEST_POSITIONS} it takes to tell anything"
        );
        return Err(Diagnostic::error(codes::PROBE_TEXT, title)
            .note(format!(
                "{} prompts, each continued by at most {longest} tokens or up to the end of the text",
                texts.len()
            ))
            .help("give more prompts, or such as are answered at length")
            .into());
    }
    Ok(texts)
}

/// Measures the head in every reading that matters and says what each question comes to. `progress` hears of the
/// number of readings measured.
///
/// # Errors
/// As for loading a head; [`Error::Interrupted`](crate::Error::Interrupted).
pub fn probe(
    subject: &Subject,
    verifier: &Verifier,
    texts: &[Text],
    cancelled: &AtomicBool,
    progress: &mut dyn FnMut(usize),
) -> Result<Findings> {
    let heads = subject.load(verifier)?;
    let choices = &subject.choices;
    let declared = &choices.declared;
    let mut search = Search::new(heads, choices, texts, cancelled, progress);
    let best = search.best()?;
    let commonest_share = commonest_share(texts);
    let informative = knows_something(&search.agreement(&best)?, commonest_share);
    let mut answers = Vec::new();
    for question in Question::ALL {
        let guess = subject.guess(question).cloned();
        let broken = subject.broken(question);
        if let Some(mut answer) = judge(
            question,
            &best,
            declared,
            guess,
            broken.as_deref(),
            &mut search,
        )? {
            if !informative {
                answer.withdraw();
            }
            answers.push(answer);
        }
    }
    let mut taken = search.start();
    for answer in &answers {
        if let Some(reading) = &answer.taken {
            taken = answer.question.take(&taken, reading);
        }
    }
    let runnable = search.start() == *declared;
    let before = match runnable {
        true => Some(search.agreement(declared)?.figures()),
        false => None,
    };
    let agreement = search.agreement(&taken)?;
    Ok(Findings {
        texts: texts.len(),
        tokens: texts
            .iter()
            .map(|text| text.tokens.len() - text.prompt_length)
            .sum(),
        declared: declared.clone(),
        taken,
        before,
        after: agreement.figures(),
        commonest_share,
        informative,
        answers,
        readings: search.readings(),
        agreement,
    })
}

/// Share of the drafted tokens that are the one that occurs most.
fn commonest_share(texts: &[Text]) -> f64 {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    let drafted = texts
        .iter()
        .flat_map(|text| text.tokens.iter().skip(text.prompt_length + 1));
    let mut total = 0_usize;
    for token in drafted {
        *counts.entry(*token).or_default() += 1;
        total += 1;
    }
    let most = counts.values().max().copied().unwrap_or(0);
    most as f64 / total.max(1) as f64
}

/// Whether a head's first guesses are right more often than the commonest token would be, beyond doubt.
fn knows_something(agreement: &Agreement, commonest_share: f64) -> bool {
    let Estimate { mean, error, .. } = agreement.first_hits();
    mean - commonest_share > super::agreement::ERRORS * error
}
