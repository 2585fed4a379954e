//! What the measurements say to each question.

use serde::Serialize;
use speculators_formats::Decision;

use super::agreement::{Difference, Figures};
use super::question::{DECLARED, Question, THE_VERIFIERS};
use super::reading::Reading;
use super::search::Search;
use crate::Result;

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// What is declared agrees best, or no other answer makes a difference.
    AsDeclared,
    /// Another answer agrees better, beyond doubt.
    Picked,
    /// The difference is within noise, or the head tells nothing.
    Undecided,
}

/// How a candidate stands beside the best one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// None agrees better.
    Best,
    /// It makes no difference which of the two is taken.
    Same,
    /// The difference is within noise.
    Noise,
    /// It agrees less, beyond doubt.
    Worse,
}

/// One answer that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// The answer, in words.
    pub answer: String,
    /// Where it comes from.
    pub origin: String,
    /// It is the declared one.
    pub declared: bool,
    /// What it came to, all other answers as taken.
    pub figures: Figures,
    /// Its difference to the best.
    pub difference: Difference,
    /// How it stands.
    pub standing: Standing,
    #[serde(skip)]
    pub(super) reading: Reading,
}

/// A question with everything that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// Key in the config, or tensor.
    pub key: &'static str,
    /// What is declared, in words.
    pub declared: String,
    /// Why it had to be guessed, where it is not written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guessed: Option<Decision>,
    /// What came out.
    pub verdict: Verdict,
    /// What is declared agrees less than the best, beyond doubt, or cannot be at all.
    pub contradicted: bool,
    /// The answer picked, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picked: Option<String>,
    /// Why, where the figures alone do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// All candidates, the declared one first where it could be run.
    pub tried: Vec<Tried>,
    #[serde(skip)]
    pub(super) taken: Option<Reading>,
}

/// Tries all answers to a question, all others as in `best`. `None` where there is nothing to choose from.
pub(crate) fn judge(
    question: Question,
    best: &Reading,
    declared: &Reading,
    guessed: Option<Decision>,
    broken: Option<&str>,
    search: &mut Search<'_>,
) -> Result<Option<Answer>> {
    let candidates = question.candidates(best, search.choices());
    if candidates.len() + usize::from(broken.is_some()) < 2 {
        return Ok(None);
    }
    let mut tried = Vec::new();
    for candidate in candidates {
        let difference = search.difference(&candidate.reading, best)?;
        let standing = if candidate.reading == *best {
            Standing::Best
        } else if difference.is_none() {
            Standing::Same
        } else if difference.is_worse() {
            Standing::Worse
        } else {
            Standing::Noise
        };
        tried.push(Tried {
            answer: question.answer(&candidate.reading),
            declared: question.answer(&candidate.reading) == question.answer(declared),
            origin: candidate.origin,
            figures: search.agreement(&candidate.reading)?.figures(),
            difference,
            standing,
            reading: candidate.reading,
        });
    }
    let mut answer = Answer {
        question,
        key: question.key(),
        declared: question.answer(declared),
        guessed,
        verdict: Verdict::Undecided,
        contradicted: false,
        picked: None,
        reason: None,
        tried,
        taken: None,
    };
    answer.settle(broken);
    Ok(Some(answer))
}

impl Tried {
    /// The config or the verifier says so.
    fn is_named(&self) -> bool {
        matches!(self.origin.as_str(), DECLARED | THE_VERIFIERS)
    }
}

impl Answer {
    fn settle(&mut self, broken: Option<&str>) {
        let standing = self
            .tried
            .iter()
            .find(|tried| tried.declared)
            .map_or(Standing::Worse, |tried| tried.standing);
        // What cannot be is no rival. Nor is, beside a rotary embedding that somebody names, one that nobody does: some
        // base near the right one is always within noise.
        let best = self
            .tried
            .iter()
            .find(|tried| tried.standing == Standing::Best);
        let named = self.question == Question::Rope && best.is_some_and(Tried::is_named);
        let noise = |tried: &&Tried| {
            tried.standing == Standing::Noise
                && !(tried.declared && broken.is_some())
                && (!named || tried.is_named())
        };
        let rivals: Vec<&str> = self
            .tried
            .iter()
            .filter(noise)
            .map(|tried| tried.answer.as_str())
            .collect();
        self.contradicted = standing == Standing::Worse;
        if let Some(broken) = broken {
            self.reason = Some(format!("as {}, {broken}", self.declared));
        }
        if !rivals.is_empty() {
            self.verdict = Verdict::Undecided;
            self.reason = Some(format!(
                "{} within noise of the best: {}",
                if rivals.len() == 1 {
                    "one is"
                } else {
                    "several are"
                },
                rivals.join("; ")
            ));
            return;
        }
        let same = || {
            let equal = |tried: &&Tried| tried.standing == Standing::Same && !tried.declared;
            let words: Vec<&str> = self
                .tried
                .iter()
                .filter(equal)
                .map(|tried| tried.answer.as_str())
                .collect();
            (!words.is_empty()).then(|| format!("{} makes no difference", words.join(" or ")))
        };
        match standing {
            Standing::Best => {
                self.reason = self.reason.take().or_else(same);
                self.verdict = Verdict::AsDeclared;
            }
            Standing::Same if broken.is_none() => {
                self.reason = Some("no other answer makes a difference".to_owned());
                self.verdict = Verdict::AsDeclared;
            }
            Standing::Same | Standing::Worse | Standing::Noise => {
                self.contradicted = true;
                let best = self
                    .tried
                    .iter()
                    .find(|tried| tried.standing == Standing::Best);
                self.verdict = Verdict::Picked;
                self.picked = best.map(|tried| tried.answer.clone());
                self.taken = best.map(|tried| tried.reading.clone());
            }
        }
    }

    /// Takes back what was found: the head itself tells nothing.
    pub(super) fn withdraw(&mut self) {
        self.verdict = Verdict::Undecided;
        self.contradicted = false;
        self.picked = None;
        self.taken = None;
        self.reason = None;
    }
}
