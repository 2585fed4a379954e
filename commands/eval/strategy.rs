//! What `eval` drafts and how it chooses tokens, from the command line.

use std::path::{Path, PathBuf};

use clap::Args;
use speculators::decoding::{
    Calibration, Drafting, DynamicTree, MAX_SPECULATIVE_TOKENS, MAX_TREE_TOKENS, MAX_TREE_WIDTH,
    Sampling, StaticTree, Strategy,
};
use speculators_formats::{Diagnostic, codes};

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
    /// Choose the noise of sampling [default: 0]
    #[arg(long, value_name = "SEED", requires = "temperature")]
    seed: Option<u64>,
}

impl StrategyArguments {
    /// What was asked for; `speculative_tokens` is the length of the chain otherwise.
    pub fn resolve(
        &self,
        speculative_tokens: usize,
        session: &Session,
    ) -> Result<Strategy, Failure> {
        Ok(Strategy {
            drafting: self.drafting(speculative_tokens)?,
            sampling: self.sampling(session),
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

    fn sampling(&self, session: &Session) -> Sampling {
        let sampling = Sampling {
            temperature: self.temperature,
            top_k: self.top_k.unwrap_or(0),
            top_p: self.top_p.unwrap_or(1.0),
            min_p: self.min_p.unwrap_or(0.0),
            seed: self.seed.unwrap_or(0),
        };
        let filters = [
            ("--top-k", self.top_k.is_some()),
            ("--top-p", self.top_p.is_some()),
            ("--min-p", self.min_p.is_some()),
            ("--seed", self.seed.is_some()),
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
