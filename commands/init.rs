//! `speculators init`: a new head for a verifier, ready to be trained.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Map, Value};
use speculators_formats::block::MarkovHead;
use speculators_formats::head::DraftLayer;
use speculators_formats::init::{
    ALGORITHMS, DEFAULT_SEED, InitPlan, InitReport, InitRequest, InitRow, VocabularySource, plan,
};
use speculators_formats::speculator::Description;
use speculators_formats::verifier::HiddenAct;
use speculators_formats::{Algorithm, Decision};

use crate::arguments::Format;
use crate::convert::Dtype;
use crate::failure::{Exit, Failure, Outcome};
use crate::models::{self, Need};
use crate::progress;
use crate::session::Session;

mod show;

/// Start a new head for a verifier
///
/// Sizes and the rotary embedding come from the verifier's config, the embedding and the output matrix from its weights,
/// everything else is drawn at random by rules of the Python package: the same seed gives the same bytes on every machine.
/// What is decided is printed with its reason; what nothing decides is asked for. The output takes its name when it is
/// complete and validated.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators init --verifier Qwen/Qwen3-8B --output-path head
  speculators init --verifier Qwen3-8B --dry-run
  speculators init --verifier Qwen3-8B --draft-vocab-size 32000 --token-freq token_freq.pt -o head
  speculators init --verifier Qwen3-8B --vocab vocab-32000 --num-layers 2 -o head
  speculators init --verifier Qwen3-8B --algorithm dflash --block-size 8 -o head
  speculators init --verifier TinyLlama --aux-layers 1,2,3 --seed 7 -o head")]
pub struct InitArguments {
    /// Directory of the verifier, or its name on the Hub; its config, embedding and output matrix are enough
    #[arg(long, alias = "verifier-name-or-path", value_name = "MODEL")]
    pub verifier: PathBuf,
    /// Where to write the head
    #[arg(
        long,
        short = 'o',
        alias = "save-path",
        value_name = "DIR",
        default_value = "head"
    )]
    pub output_path: PathBuf,
    /// Kind of head: `eagle3`, `peagle`, `dflash` or `dspark`
    #[arg(long, alias = "speculator-type", value_name = "KIND", default_value = "eagle3", value_parser = algorithm)]
    pub algorithm: Algorithm,
    /// What the output calls its verifier [default: the path given]
    #[arg(long, value_name = "NAME")]
    pub verifier_name: Option<String>,
    /// The tokens it can propose.
    #[command(flatten)]
    pub vocabulary: VocabularyArguments,
    /// Its layers.
    #[command(flatten)]
    pub layers: LayerArguments,
    /// Its other parts.
    #[command(flatten)]
    pub parts: PartArguments,
    /// Dtype of the weights [default: bfloat16]
    #[arg(long, value_enum, value_name = "DTYPE")]
    pub dtype: Option<Dtype>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// Show the config and the tensors and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Replace the output if it exists
    #[arg(long)]
    pub force: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Which tokens the head can propose.
#[derive(Args, Debug)]
#[command(next_help_heading = "Vocabulary")]
pub struct VocabularyArguments {
    /// Tokens the head can propose [default: all of the verifier's]
    #[arg(long, value_name = "N")]
    pub draft_vocab_size: Option<usize>,
    /// Counts of tokens, of which the most frequent are taken: `token_freq` of `speculators vocab` or of the Python package
    #[arg(
        long,
        alias = "token-freq-path",
        value_name = "FILE",
        requires = "draft_vocab_size"
    )]
    pub token_freq: Option<PathBuf>,
    /// Directory with a finished map: `d2t` and `t2d`
    #[arg(long, value_name = "DIR", conflicts_with = "token_freq")]
    pub vocab: Option<PathBuf>,
}

/// The draft layers.
#[derive(Args, Debug)]
#[command(next_help_heading = "Layers")]
pub struct LayerArguments {
    /// Draft layers [default: 5 for `dflash` and `dspark`, else 1]
    #[arg(long, value_name = "N")]
    pub num_layers: Option<usize>,
    /// Kind of the draft layers [default: llama for `eagle3`, else qwen3]
    #[arg(long, value_enum, value_name = "ARCH")]
    pub draft_arch: Option<DraftArch>,
    /// Activation in the draft layers [default: silu]
    #[arg(long, alias = "draft-hidden-act", value_enum, value_name = "ACT")]
    pub hidden_act: Option<Activation>,
    /// Width of the attention window of the draft layers [default: 2048]
    #[arg(long, value_name = "TOKENS")]
    pub sliding_window: Option<usize>,
    /// Draft layers, counted from 0, that see everything instead of a window
    #[arg(long, alias = "full-attention-indices", value_name = "LAYER", value_delimiter = ',', num_args = 1..)]
    pub full_attention_layers: Vec<usize>,
    /// Verifier layers the head reads, each counted as "after this many layers have run" [default: 2, n/2, n-3]
    #[arg(long, alias = "target-layer-ids", value_name = "ID", value_delimiter = ',', num_args = 1..)]
    pub aux_layers: Option<Vec<usize>>,
}

/// What differs between kinds of heads.
#[derive(Args, Debug)]
#[command(next_help_heading = "Parts of one kind of head")]
pub struct PartArguments {
    /// The first layer's residual is the normalized `fc` output; eagle3, peagle [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub norm_before_residual: Option<bool>,
    /// One norm over the concatenated layers before `fc`; eagle3, peagle [default: true for eagle3]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub norm_before_fc: Option<bool>,
    /// One norm per layer before `fc`; eagle3, peagle [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub fc_norm: Option<bool>,
    /// The normalized output is fed to the next draft step; eagle3, peagle [default: true for eagle3]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub norm_output: Option<bool>,
    /// Token that stands for one not drafted yet; all but eagle3 [default: the tokenizer's, or the first unused row]
    #[arg(long, value_name = "ID")]
    pub mask_token_id: Option<usize>,
    /// Draft tokens per step the head asks for [default: 3, peagle 8, else what a block holds]
    #[arg(long, alias = "ttt-steps", alias = "num-depths", value_name = "K")]
    pub num_speculative_tokens: Option<usize>,
    /// Positions of a block; dflash, dspark [default: 16, dspark 8]
    #[arg(long, value_name = "N")]
    pub block_size: Option<usize>,
    /// The first position of a block predicts a token, too; dflash, dspark [default: true for dspark]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub sample_from_anchor: Option<bool>,
    /// Layers with a window see all of the block; dflash, dspark [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub sliding_window_non_causal: Option<bool>,
    /// Rank of the bias from the previous token, 0 for none; dspark [default: 256]
    #[arg(long, value_name = "RANK")]
    pub markov_rank: Option<usize>,
    /// How that bias depends on the state; dspark [default: vanilla]
    #[arg(long, value_enum, value_name = "TYPE")]
    pub markov_head_type: Option<Markov>,
    /// A head that foretells acceptance; dspark [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub enable_confidence_head: Option<bool>,
    /// It reads the embedding of the previous token, too; dspark [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub confidence_head_with_markov: Option<bool>,
}

/// Kinds of draft layers.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DraftArch {
    /// Llama's
    Llama,
    /// Qwen 3's: queries and keys are normalized per head
    Qwen3,
}

/// Activations that draft layers are run with.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Activation {
    /// x · sigmoid(x)
    Silu,
    /// The Gaussian error linear unit
    Gelu,
    /// Its approximation by tanh
    GeluPytorchTanh,
    /// max(x, 0)
    Relu,
}

/// Forms of DSpark's bias.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Markov {
    /// From the previous token alone
    Vanilla,
    /// Gated by the state
    Gated,
    /// Through a recurrent state over the block
    Rnn,
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    let known: Option<Algorithm> = text.parse().ok();
    known
        .filter(|algorithm| ALGORITHMS.contains(algorithm))
        .ok_or_else(|| {
            let names = ALGORITHMS.map(Algorithm::as_str);
            format!("heads that can be started are {}", names.join(", "))
        })
}

/// Runs the command.
pub fn run(mut arguments: Box<InitArguments>, session: &Session) -> Outcome {
    let format = arguments.format;
    init(&mut arguments, session).map_err(|failure| session.report_trouble(format, failure))
}

fn init(arguments: &mut InitArguments, session: &Session) -> Outcome {
    let named = arguments.verifier.display().to_string();
    let named = arguments.verifier_name.get_or_insert(named).clone();
    models::localize(&mut arguments.verifier, Need::Shared, session)?;
    let plan = plan(&arguments.request())?;
    if arguments.dry_run {
        match arguments.format {
            Format::Json => session.print_json(&PlanReport::of(&plan))?,
            Format::Text => show::plan(&plan, &mut session.stdout())?,
        }
        return Ok(Exit::Yes);
    }
    let report = write(&plan, session)?;
    match arguments.format {
        Format::Json => session.print_json(&WrittenReport {
            schema: "speculators.init/1",
            report: &report,
        })?,
        Format::Text => show::report(&report, &named, &mut session.stdout())?,
    }
    Ok(Exit::Yes)
}

impl InitArguments {
    fn request(&self) -> InitRequest {
        let mut request = InitRequest::new(&self.verifier, &self.output_path, self.algorithm);
        if let Some(name) = &self.verifier_name {
            request.verifier_name.clone_from(name);
        }
        request.draft_vocab_size = self.vocabulary.draft_vocab_size;
        request.vocabulary = match (&self.vocabulary.vocab, &self.vocabulary.token_freq) {
            (Some(directory), _) => Some(VocabularySource::Directory(directory.clone())),
            (None, Some(counts)) => Some(VocabularySource::Counts(counts.clone())),
            (None, None) => None,
        };
        request.num_layers = self.layers.num_layers;
        request.draft_arch = self.layers.draft_arch.map(|arch| match arch {
            DraftArch::Llama => DraftLayer::Llama,
            DraftArch::Qwen3 => DraftLayer::Qwen3,
        });
        request.hidden_act = self.layers.hidden_act.map(|act| match act {
            Activation::Silu => HiddenAct::Silu,
            Activation::Gelu => HiddenAct::Gelu,
            Activation::GeluPytorchTanh => HiddenAct::GeluTanh,
            Activation::Relu => HiddenAct::Relu,
        });
        request.sliding_window = self.layers.sliding_window;
        request
            .full_attention_layers
            .clone_from(&self.layers.full_attention_layers);
        request.aux_layers.clone_from(&self.layers.aux_layers);
        let parts = &self.parts;
        request.norm_before_residual = parts.norm_before_residual;
        request.norm_before_fc = parts.norm_before_fc;
        request.fc_norm = parts.fc_norm;
        request.norm_output = parts.norm_output;
        request.mask_token_id = parts.mask_token_id;
        request.speculative_tokens = parts.num_speculative_tokens;
        request.block_size = parts.block_size;
        request.sample_from_anchor = parts.sample_from_anchor;
        request.sliding_window_non_causal = parts.sliding_window_non_causal;
        request.markov_rank = parts.markov_rank;
        request.markov_head_type = parts.markov_head_type.map(|kind| match kind {
            Markov::Vanilla => MarkovHead::Vanilla,
            Markov::Gated => MarkovHead::Gated,
            Markov::Rnn => MarkovHead::Rnn,
        });
        request.enable_confidence_head = parts.enable_confidence_head;
        request.confidence_head_with_markov = parts.confidence_head_with_markov;
        request.dtype = self.dtype.map(Dtype::float_type);
        request.seed = self.seed;
        request.force = self.force;
        request
    }
}

fn write(plan: &InitPlan, session: &Session) -> Result<InitReport, Failure> {
    let bar = progress::bytes_bar(session, plan.total_bytes(), "writing");
    let cancelled = session.cancelled();
    let written = plan.write_until(&mut |done, _total| {
        bar.set_position(done);
        if cancelled.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish_and_clear();
    match written {
        Err(_) if cancelled.load(Ordering::Relaxed) => Err(Failure::Interrupted),
        written => Ok(written?),
    }
}

#[derive(Serialize)]
struct WrittenReport<'a> {
    schema: &'static str,
    #[serde(flatten)]
    report: &'a InitReport,
}

/// What `--dry-run` reports.
#[derive(Serialize)]
struct PlanReport<'a> {
    schema: &'static str,
    output: &'a Path,
    description: &'a Description,
    config: &'a Map<String, Value>,
    tensors: &'a [InitRow],
    decisions: &'a [Decision],
}

impl PlanReport<'_> {
    fn of(plan: &InitPlan) -> PlanReport<'_> {
        PlanReport {
            schema: "speculators.init-plan/1",
            output: plan.output(),
            description: plan.description(),
            config: plan.config(),
            tensors: plan.tensors(),
            decisions: plan.decisions(),
        }
    }
}
