//! Why a head accepts little, in plain words: what the figures of each depth and context length say, and what to do.

use serde::Serialize;

use super::request::RequestFigures;

/// Fewer drafts than this of a kind say nothing.
const FEWEST: usize = 50;
/// A difference of shares that is worth a word.
const MARKED: f64 = 0.1;
/// Acceptance at the first draft token below which a head is called weak.
const WEAK: f64 = 0.5;
/// Given that the token before was accepted, a trained head accepts about as often again; less than this share of it is a
/// collapse.
const STEEP: f64 = 0.6;

/// What a head said about one token of the verifier, down to which its draft was right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// It was the head's favourite.
    pub accepted: bool,
    /// It is in the draft vocabulary.
    pub known: bool,
    /// Probability of the head's favourite.
    pub top_q: f32,
}

/// The figures of one depth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DepthFigures {
    /// Drafts that were right down to here.
    pub reached: usize,
    /// Of these, drafts whose token here was right.
    pub accepted: usize,
    /// Of these, drafts for which the verifier's token was outside the draft vocabulary.
    pub unknown: usize,
    /// How many the head expected to be right: the sum of its favourites' probabilities.
    pub expected: f64,
}

impl DepthFigures {
    /// Share accepted of those reached.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.of_reached(self.accepted)
    }

    fn of_reached(&self, count: usize) -> f64 {
        count as f64 / self.reached.max(1) as f64
    }
}

/// Everything a diagnosis goes by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Depth 1, 2, ….
    pub depths: Vec<DepthFigures>,
    /// Of each draft, the tokens before it and whether its first token was right.
    pub firsts: Vec<(usize, bool)>,
    /// What measurement found wrong with the metadata, as key, declared and measured value; nothing where that was not
    /// looked into.
    pub contradicted: Vec<(String, String, String)>,
    /// Draft tokens accepted per draft, as declared and as measured, where something was contradicted.
    pub lost: Option<(f64, f64)>,
}

/// A reason for low acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The head reads other features than it was trained on.
    WrongFeatures,
    /// The verifier says what the head cannot.
    VocabularyMisses,
    /// The head is lost once it goes on from its own output.
    PositionCollapse,
    /// Acceptance falls as the text grows.
    ContextCollapse,
    /// The head's probabilities are not those with which it is right.
    Calibration,
    /// Nothing else is wrong: the head is simply not good.
    Undertrained,
    /// Nothing stands out.
    Sound,
}

/// One statement of a diagnosis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statement {
    /// The reason.
    pub cause: Cause,
    /// What is seen, with the numbers.
    pub seen: String,
    /// What to do about it.
    pub advice: String,
}

impl From<&[RequestFigures]> for Evidence {
    /// Of each step of a run the path that its draft shared with the verifier, and the token after it. Empty for records
    /// that were written without.
    fn from(requests: &[RequestFigures]) -> Evidence {
        let mut evidence = Evidence::default();
        for step in requests.iter().flat_map(|request| &request.steps) {
            let told = step.path.iter().enumerate().map(|(index, depth)| Told {
                accepted: index < step.accepted,
                known: depth.rank.is_some(),
                top_q: depth.top_q,
            });
            evidence.add(step.context_length, told);
        }
        evidence
    }
}

impl Evidence {
    /// Takes in one draft: of each depth what the head said, the first wrong one included.
    pub fn add(&mut self, context_length: usize, draft: impl IntoIterator<Item = Told>) {
        for (index, told) in draft.into_iter().enumerate() {
            if self.depths.len() == index {
                self.depths.push(DepthFigures::default());
            }
            let depth = &mut self.depths[index];
            depth.reached += 1;
            depth.accepted += usize::from(told.accepted);
            depth.unknown += usize::from(!told.known);
            depth.expected += f64::from(told.top_q);
            if index == 0 {
                self.firsts.push((context_length, told.accepted));
            }
            if !told.accepted {
                break;
            }
        }
    }
}

/// What the evidence says, the gravest first; one statement at least, unless there is too little of it.
#[must_use]
pub fn diagnose(evidence: &Evidence) -> Vec<Statement> {
    let Some(first) = evidence.depths.first() else {
        return Vec::new();
    };
    if first.reached < FEWEST {
        return Vec::new();
    }
    let mut found = Vec::new();
    found.extend(wrong_features(evidence));
    found.extend(vocabulary_misses(first));
    found.extend(position_collapse(&evidence.depths));
    found.extend(context_collapse(&evidence.firsts));
    let explained = !found.is_empty();
    found.extend(calibration(first));
    if !explained && first.share() < WEAK {
        found.push(undertrained(first));
    }
    if found.is_empty() {
        found.push(Statement {
            cause: Cause::Sound,
            seen: format!(
                "nothing stands out: the first draft token is accepted {} of the time, and those after it about as often",
                percent(first.share())
            ),
            advice: "more acceptance takes more training, or drafts that suit the head (trees, another length)"
                .to_owned(),
        });
    }
    found
}

fn wrong_features(evidence: &Evidence) -> Option<Statement> {
    if evidence.contradicted.is_empty() {
        return None;
    }
    let words: Vec<String> = evidence
        .contradicted
        .iter()
        .map(|(key, declared, measured)| format!("`{key}` says {declared}, measured is {measured}"))
        .collect();
    let lost = evidence.lost.map_or(String::new(), |(before, after)| {
        format!("; read as declared the head accepts {before:.2} draft tokens of 3, read as measured {after:.2}")
    });
    Some(Statement {
        cause: Cause::WrongFeatures,
        seen: format!(
            "the head is read otherwise than it was trained: {}{lost}",
            words.join("; ")
        ),
        advice: "correct the metadata before anything else; the weights are better than they look"
            .to_owned(),
    })
}

fn vocabulary_misses(first: &DepthFigures) -> Option<Statement> {
    let missed = first.of_reached(first.unknown);
    // One token in thirty costs more than most settings of the decoding gain.
    (missed > 0.03).then(|| {
        let inside = first.accepted as f64 / (first.reached - first.unknown).max(1) as f64;
        Statement {
            cause: Cause::VocabularyMisses,
            seen: format!(
                "{} of the verifier's tokens are not in the draft vocabulary ({} of {}); of those that are, {} are accepted, of all {}",
                percent(missed),
                first.unknown,
                first.reached,
                percent(inside),
                percent(first.share())
            ),
            advice: "count the tokens of texts like these (`speculators vocab`) and train with that map, or with a larger draft vocabulary"
                .to_owned(),
        }
    })
}

fn position_collapse(depths: &[DepthFigures]) -> Option<Statement> {
    let shares: Vec<f64> = depths
        .iter()
        .take_while(|depth| depth.reached >= FEWEST)
        .map(DepthFigures::share)
        .collect();
    let at = shares
        .windows(2)
        .position(|pair| pair[0] >= 0.2 && pair[1] < STEEP * pair[0])?;
    let listed: Vec<String> = shares.iter().map(|share| percent(*share)).collect();
    Some(Statement {
        cause: Cause::PositionCollapse,
        seen: format!(
            "acceptance falls from {} at draft token {} to {} at the one after it, given that the one before is right ({})",
            listed[at],
            at + 1,
            listed[at + 1],
            listed.join(", ")
        ),
        advice: "from the second token on the head reads its own output: check `norm_output` (`speculators probe` does), then train with as many steps of its own features as are drafted, or draft fewer tokens"
            .to_owned(),
    })
}

fn context_collapse(firsts: &[(usize, bool)]) -> Option<Statement> {
    let mut sorted = firsts.to_vec();
    sorted.sort_unstable_by_key(|(context, _)| *context);
    let third = sorted.len() / 3;
    if third < FEWEST {
        return None;
    }
    let (short, long) = (&sorted[..third], &sorted[sorted.len() - third..]);
    let share = |part: &[(usize, bool)]| {
        part.iter().filter(|(_, hit)| *hit).count() as f64 / part.len() as f64
    };
    let (before, after) = (share(short), share(long));
    let variance = |share: f64| share * (1.0 - share) / third as f64;
    let error = (variance(before) + variance(after)).sqrt();
    let bound = MARKED.max(3.0 * error);
    (before - after > bound).then(|| Statement {
        cause: Cause::ContextCollapse,
        seen: format!(
            "the first draft token is accepted {} of the time up to {} tokens of context, and {} from {} on",
            percent(before),
            short[third - 1].0,
            percent(after),
            long[0].0
        ),
        advice: "check the rotary embedding (`speculators probe` with long prompts); a head trained on short texts needs longer ones, or a sliding window"
            .to_owned(),
    })
}

fn calibration(first: &DepthFigures) -> Option<Statement> {
    let expected = first.expected / first.reached.max(1) as f64;
    let gap = expected - first.share();
    (gap.abs() > MARKED).then(|| Statement {
        cause: Cause::Calibration,
        seen: format!(
            "the head gives its first favourites {} on average, and {} are right: it is {}-confident by {:.0} points",
            percent(expected),
            percent(first.share()),
            if gap > 0.0 { "over" } else { "under" },
            100.0 * gap.abs()
        ),
        advice: "draft lengths and trees that go by the head's probabilities will misjudge it: calibrate them, or train longer on the verifier's own text"
            .to_owned(),
    })
}

fn undertrained(first: &DepthFigures) -> Statement {
    Statement {
        cause: Cause::Undertrained,
        seen: format!(
            "the first draft token is accepted only {} of the time, and neither metadata, vocabulary nor context explains it",
            percent(first.share())
        ),
        advice: "train it longer and on answers of this verifier itself; a few thousand conversations give such figures, hundreds of thousands good ones"
            .to_owned(),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` drafts of three tokens, of which the shares given are accepted at each depth.
    fn evidence(count: usize, shares: [f64; 3], known: f64, top_q: f32) -> Evidence {
        let mut evidence = Evidence::default();
        let turn = |index: usize, share: f64, step: usize| {
            // Spread evenly, in another order at each depth.
            ((index * step) % count) as f64 / (count as f64) < share
        };
        for index in 0..count {
            let draft = shares.iter().zip([1, 7, 11]).map(|(share, step)| Told {
                accepted: turn(index, *share, step),
                known: step != 1 || turn(index, known, 1),
                top_q,
            });
            evidence.add(100 + index * 389 % count, draft);
        }
        evidence
    }

    fn causes(evidence: &Evidence) -> Vec<Cause> {
        diagnose(evidence).iter().map(|one| one.cause).collect()
    }

    #[test]
    fn each_cause_is_told_by_its_own_figures() {
        let good = evidence(1009, [0.8, 0.8, 0.8], 1.0, 0.8);
        assert_eq!(causes(&good), [Cause::Sound]);
        assert_eq!(
            causes(&evidence(1009, [0.3, 0.3, 0.3], 1.0, 0.3)),
            [Cause::Undertrained]
        );
        assert_eq!(
            causes(&evidence(1009, [0.8, 0.2, 0.2], 1.0, 0.8)),
            [Cause::PositionCollapse]
        );
        assert_eq!(
            causes(&evidence(1009, [0.8, 0.8, 0.8], 0.9, 0.8)),
            [Cause::VocabularyMisses]
        );
        assert_eq!(
            causes(&evidence(1009, [0.6, 0.6, 0.6], 1.0, 0.9)),
            [Cause::Calibration]
        );
        assert_eq!(causes(&evidence(40, [0.1, 0.1, 0.1], 1.0, 0.9)), []);
    }

    #[test]
    fn falling_with_the_context_is_told_from_being_low_throughout() {
        let mut falling = Evidence::default();
        for index in 0..600_usize {
            let accepted = index < 300 || index % 4 == 0;
            falling.add(
                index,
                [Told {
                    accepted,
                    known: true,
                    top_q: 0.6,
                }],
            );
        }
        assert_eq!(causes(&falling), [Cause::ContextCollapse]);
        let said = &diagnose(&falling)[0].seen;
        assert!(
            said.contains("100.0 %") && said.contains("25.0 %"),
            "{said}"
        );
    }

    #[test]
    fn wrong_metadata_comes_first_and_leaves_nothing_to_training() {
        let mut wrong = evidence(1009, [0.3, 0.3, 0.3], 1.0, 0.3);
        wrong.contradicted = vec![("norm_output".into(), "false".into(), "true".into())];
        wrong.lost = Some((0.4, 2.1));
        assert_eq!(causes(&wrong), [Cause::WrongFeatures]);
        assert!(diagnose(&wrong)[0].seen.contains("0.40"));
    }

    #[test]
    fn steps_of_a_run_are_evidence() {
        let depth = |rank| crate::decoding::DepthRecord {
            rank,
            p: 0.9,
            q: 0.4,
            top_q: 0.5,
            overlap: 0.4,
        };
        let step = crate::evaluation::StepFigures {
            context_length: 12,
            accepted: 1,
            path: vec![depth(Some(0)), depth(None)],
            ..Default::default()
        };
        let request = RequestFigures {
            steps: vec![step],
            ..RequestFigures::default()
        };
        let evidence = Evidence::from(&[request][..]);
        assert_eq!(evidence.firsts, [(12, true)]);
        let second = evidence.depths[1];
        assert_eq!((second.reached, second.accepted, second.unknown), (1, 0, 1));
        assert_eq!(second.expected, 0.5);
    }

    #[test]
    fn figures_count_a_draft_down_to_its_first_wrong_token() {
        let mut evidence = Evidence::default();
        let told = |accepted| Told {
            accepted,
            known: true,
            top_q: 0.5,
        };
        evidence.add(9, [told(true), told(false), told(true)]);
        evidence.add(10, [told(false)]);
        let reached: Vec<usize> = evidence.depths.iter().map(|depth| depth.reached).collect();
        assert_eq!(reached, [2, 1]);
        assert_eq!(evidence.depths[0].share(), 0.5);
        assert_eq!(evidence.firsts, [(9, true), (10, false)]);
    }
}
