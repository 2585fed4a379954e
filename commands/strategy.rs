//! What is drafted and how tokens are chosen, from the command line: for `eval` and `generate`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use speculators::decoding::{
    Calibration, Choosing, Drafting, DynamicTree, MAX_SPECULATIVE_TOKENS, MAX_TREE_TOKENS,
    MAX_TREE_WIDTH, Penalties, Sampling, StaticTree, Strategy, Verification,
};
use speculators_formats::{Diagnostic, codes};
use speculators_kernels::LossyTypical;

use crate::failure::Failure;
use crate::session::Session;

/// The values of `--tree` that are no file.
const DYNAMIC: &str = "dynamic";
const CALIBRATED: &str = "calibrated";

// The sampler has the name `--top-k`, as in vLLM, llama.cpp and transformers; what belongs to trees says so.
/// What to draft and how to choose tokens.
#[derive(Args, Debug)]
pub struct StrategyArguments {
    /// Draft tokens per step, in a chain [default: what the checkpoint asks for]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..=MAX_SPECULATIVE_TOKENS as i64))]
    num_speculative_tokens: Option<u16>,
    /// Draft a tree instead of a chain: `dynamic` (EAGLE-2), `calibrated`, or a file with a list of paths of child ranks
    ///
    /// A dynamic tree grows where the head is surest; a calibrated one where it is most often right, which is measured
    /// on the first quarter of the prompts. The others are evaluated.
    #[arg(
        long,
        value_name = "dynamic|calibrated|FILE.json",
        conflicts_with = "num_speculative_tokens"
    )]
    tree: Option<String>,
    /// Nodes expanded per level of a dynamic tree, and children of each [default: 10, as EAGLE-3 was published]
    #[arg(long, value_name = "K", requires = "tree", value_parser = clap::value_parser!(u16).range(1..=MAX_TREE_WIDTH as i64))]
    tree_top_k: Option<u16>,
    /// Levels of a dynamic tree [default: 8]
    #[arg(long, value_name = "D", requires = "tree", value_parser = clap::value_parser!(u16).range(1..=MAX_SPECULATIVE_TOKENS as i64))]
    tree_depth: Option<u16>,
    /// Draft tokens of a dynamic tree that are verified, its root not counted [default: 59]
    #[arg(long, value_name = "N", requires = "tree", value_parser = clap::value_parser!(u16).range(1..=MAX_TREE_TOKENS as i64))]
    tree_budget: Option<u16>,
    /// Rank the nodes of a dynamic tree by how often tokens like them are right, as `--write-calibration` wrote it
    #[arg(long, value_name = "FILE.json", requires = "tree")]
    calibration: Option<PathBuf>,
    /// Sample at this temperature; 0 takes the most likely token
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = temperature)]
    temperature: f32,
    /// Sample among the most likely tokens only; 0 is all
    #[arg(long, value_name = "K", requires = "temperature")]
    top_k: Option<usize>,
    /// Sample among the most likely tokens whose probabilities add up to this
    #[arg(long, value_name = "P", requires = "temperature", value_parser = top_p)]
    top_p: Option<f32>,
    /// Sample among tokens at least this probable relative to the most likely one
    #[arg(long, value_name = "P", requires = "temperature", value_parser = min_p)]
    min_p: Option<f32>,
    /// Divide the logits of tokens in prompt or output by this where they are positive, and multiply the others
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    repetition_penalty: f32,
    /// Take this off the logit of a token for each time it is in the output
    #[arg(long, value_name = "AMOUNT", default_value_t = 0.0, value_parser = amount, allow_negative_numbers = true)]
    frequency_penalty: f32,
    /// Take this off the logit of a token that is in the output
    #[arg(long, value_name = "AMOUNT", default_value_t = 0.0, value_parser = amount, allow_negative_numbers = true)]
    presence_penalty: f32,
    /// End an output at this text; may be given several times
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub stop: Vec<String>,
    /// Which draft tokens are kept, where tokens are sampled [default: match]
    #[arg(long, value_enum, value_name = "RULE", requires = "temperature")]
    verification: Option<Rule>,
    /// Keep more draft tokens than the verifier's distribution allows: the output is no longer the verifier's
    ///
    /// `typical` or `typical=EPSILON,DELTA` is the typical acceptance of Medusa, 0.09 and 0.3 by default;
    /// `thresholds=SINGLE,ACCUMULATED` are SGLang's.
    #[arg(long, value_name = "RULE", requires = "temperature", conflicts_with = "verification", value_parser = lossy)]
    lossy: Option<Verification>,
    /// Choose the noise of sampling, and the order of `--shuffle` [default: 0]
    #[arg(long, value_name = "SEED", requires = "seeded")]
    seed: Option<u64>,
}

impl StrategyArguments {
    /// What was asked for; `speculative_tokens` is the length of the chain otherwise. With `shuffle` the seed has a use
    /// even without sampling.
    pub fn resolve(
        &self,
        speculative_tokens: usize,
        shuffle: bool,
        session: &Session,
    ) -> Result<Strategy, Failure> {
        let Choosing {
            sampling,
            penalties,
        } = self.choosing(shuffle, session);
        Ok(Strategy {
            drafting: self.drafting(speculative_tokens)?,
            sampling,
            penalties,
            verification: self.verification(&sampling, session),
        })
    }

    /// Whether how often the head is right is to be measured first.
    pub fn calibrates(&self) -> bool {
        self.tree.as_deref() == Some(CALIBRATED) && self.calibration.is_none()
    }

    fn drafting(&self, speculative_tokens: usize) -> Result<Drafting, Failure> {
        let own = |number: Option<u16>, default: usize| number.map_or(default, usize::from);
        match self.tree.as_deref() {
            None => Ok(Drafting::Chain {
                num_speculative_tokens: own(self.num_speculative_tokens, speculative_tokens),
            }),
            Some(DYNAMIC | CALIBRATED) => {
                let default = DynamicTree::default();
                Ok(Drafting::DynamicTree(DynamicTree {
                    top_k: own(self.tree_top_k, default.top_k),
                    depth: own(self.tree_depth, default.depth),
                    budget: own(self.tree_budget, default.budget),
                    calibration: self
                        .calibration
                        .as_deref()
                        .map(Calibration::read)
                        .transpose()?,
                }))
            }
            Some(path) => {
                let numbers = [
                    ("--tree-top-k", self.tree_top_k),
                    ("--tree-depth", self.tree_depth),
                    ("--tree-budget", self.tree_budget),
                ];
                let given = numbers.iter().find(|(_, number)| number.is_some());
                let calibration = self.calibration.as_ref().map(|_| "--calibration");
                if let Some(name) = given.map(|(name, _)| *name).or(calibration) {
                    let title = format!("`{name}` is for dynamic trees, and `{path}` is a file");
                    return Err(Diagnostic::error(codes::USAGE, title)
                        .note("a static tree has the nodes that its file lists")
                        .help("leave out one of the two, or write `--tree dynamic`")
                        .into());
                }
                Ok(Drafting::StaticTree(StaticTree::read(Path::new(path))?))
            }
        }
    }

    fn verification(&self, sampling: &Sampling, session: &Session) -> Verification {
        let rule = match self.verification {
            None | Some(Rule::Match) => Verification::Match,
            Some(Rule::Rejection) => Verification::Rejection,
            Some(Rule::Block) => Verification::Block,
        };
        if sampling.is_greedy() && rule != Verification::Match {
            session.say("`--verification` plays no part at temperature 0, where all rules are one");
            return Verification::Match;
        }
        self.lossy.unwrap_or(rule)
    }

    /// What randomness is drawn by.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(0)
    }

    /// How tokens are chosen; `shuffle` has a use for a seed without sampling.
    pub fn choosing(&self, shuffle: bool, session: &Session) -> Choosing {
        Choosing {
            sampling: self.sampling(shuffle, session),
            penalties: Penalties {
                repetition: self.repetition_penalty,
                frequency: self.frequency_penalty,
                presence: self.presence_penalty,
            },
        }
    }

    fn sampling(&self, shuffle: bool, session: &Session) -> Sampling {
        let sampling = Sampling {
            temperature: self.temperature,
            top_k: self.top_k.unwrap_or(0),
            top_p: self.top_p.unwrap_or(1.0),
            min_p: self.min_p.unwrap_or(0.0),
            seed: self.seed(),
        };
        let filters = [
            ("--top-k", self.top_k.is_some()),
            ("--top-p", self.top_p.is_some()),
            ("--min-p", self.min_p.is_some()),
            ("--seed", self.seed.is_some() && !shuffle),
        ];
        if sampling.is_greedy() {
            for (name, _) in filters.iter().filter(|(_, given)| *given) {
                session.say(&format!("`{name}` plays no part at temperature 0"));
            }
            return Sampling::greedy();
        }
        sampling
    }
}

/// Which draft tokens are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rule {
    /// Those that the verifier draws as well, by noise of the position: the tokens of plain decoding, one for one
    Match,
    /// The head draws too, and its tokens are accepted by how probable both find them (Leviathan, Chen)
    Rejection,
    /// The same over a whole chain at once, which keeps more (Sun et al.)
    Block,
}

fn lossy(text: &str) -> Result<Verification, String> {
    const EXPECTED: &str = "expected `typical`, `typical=EPSILON,DELTA` or `thresholds=SINGLE,ACCUMULATED`, with numbers above 0 and at most 1";
    let (name, numbers) = text.split_once('=').unwrap_or((text, ""));
    let numbers: Vec<f32> = numbers
        .split(',')
        .filter(|number| !number.is_empty())
        .map(|number| number_within(number, EXPECTED))
        .collect::<Result<_, _>>()?;
    match (name, &numbers[..]) {
        ("typical", []) => {
            let LossyTypical { epsilon, delta } = LossyTypical::medusa();
            Ok(Verification::Typical { epsilon, delta })
        }
        ("typical", &[epsilon, delta]) => Ok(Verification::Typical { epsilon, delta }),
        ("thresholds", &[single, accumulated]) => Ok(Verification::Thresholds {
            single,
            accumulated,
        }),
        _ => Err(EXPECTED.to_owned()),
    }
}

fn number_within(text: &str, expected: &str) -> Result<f32, String> {
    number(text, expected, |value| value > 0.0 && value <= 1.0).map_err(|_| expected.to_owned())
}

fn factor(text: &str) -> Result<f32, String> {
    number(text, "a finite number above 0", |value| {
        value > 0.0 && value.is_finite()
    })
}

fn amount(text: &str) -> Result<f32, String> {
    number(text, "a finite number", f32::is_finite)
}

fn temperature(text: &str) -> Result<f32, String> {
    number(text, "a finite number of at least 0", |t| {
        t >= 0.0 && t.is_finite()
    })
}

fn top_p(text: &str) -> Result<f32, String> {
    number(text, "a number above 0 and at most 1", |p| {
        p > 0.0 && p <= 1.0
    })
}

fn min_p(text: &str) -> Result<f32, String> {
    number(text, "a number from 0 to 1", |p| (0.0..=1.0).contains(&p))
}

fn number(text: &str, expected: &str, good: impl Fn(f32) -> bool) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|number| good(*number))
        .ok_or_else(|| format!("expected {expected}"))
}
