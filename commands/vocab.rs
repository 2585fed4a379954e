//! `speculators vocab`: token counts of training data, and the vocabulary map of a head from them.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use speculators::text::{CountOptions, Counted, Counting, Source, TextModel, count};
use speculators_formats::digest::Running;
use speculators_formats::verifier::VerifierVocabulary;
use speculators_formats::vocabulary::{BuiltMap, TokenCounts, build};
use speculators_formats::{Diagnostic, Place, codes};

use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::models::{self, Need};
use crate::progress;
use crate::session::Session;

use self::forced::Forced;
use self::report::{CountsFile, Report};

mod forced;
mod report;
mod show;
mod write;

/// Count tokens, and choose the draft vocabulary of a head by them
///
/// A head with a reduced vocabulary proposes only tokens of its map. The map is made of the tokens that occur most in the
/// answers the head is trained on; for the same counts it is the map of the Python package. Tokens that end a text and
/// tokens of the chat template are included whatever their count, and what had to go for them is said.
///
/// Without `--draft-vocab-size`, only counts are made and shown.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Data have one JSON object a line, with one of `text`, `messages`, `conversations`
(ShareGPT), or `input_ids` with an optional `loss_mask`. Of conversations, the tokens of
the answers are counted, as the Python package masks them.

Examples:
  speculators vocab answers.jsonl --verifier V --draft-vocab-size 32000 --output-path maps
  speculators vocab answers.jsonl --verifier V
  zstd -dc answers.jsonl.zst | speculators vocab - --verifier V --output-path counts
  speculators vocab --token-freq token_freq.pt --vocab-size 128256 \\
      --draft-vocab-size 32000 --force-include 128001,128008,128009 --output-path maps
  speculators vocab --token-freq counts/token_freq.npy --merge more.npy --verifier V
  speculators vocab answers.jsonl --verifier V --draft-vocab-size 32000 --no-force-include")]
pub struct VocabArguments {
    /// Training data; `-` for standard input
    #[arg(value_name = "DATA.jsonl", required_unless_present = "token_freq")]
    pub data: Vec<PathBuf>,
    /// Directory of the verifier: config, tokenizer, chat template; its weights are not read
    #[arg(long, value_name = "DIR", required_unless_present = "token_freq")]
    pub verifier: Option<PathBuf>,
    /// Counts that are there already, instead of data: `.npy`, `.safetensors`, `.json`, or `token_freq.pt` of the Python
    /// package
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub token_freq: Option<PathBuf>,
    /// Counts to be added, in any of the forms of `--token-freq`
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub merge: Vec<PathBuf>,
    /// Tokens of the verifier, where neither it nor the counts say
    #[arg(long, value_name = "N")]
    pub vocab_size: Option<usize>,
    /// Tokens of the draft vocabulary
    #[arg(long, value_name = "N")]
    pub draft_vocab_size: Option<usize>,
    /// Tokens to be in the map whatever their count: ids, `eos` for those that end a text, `chat` for those of the chat
    /// template, `none` [default: eos,chat]
    #[arg(long, value_name = "WHICH", value_delimiter = ',')]
    pub force_include: Vec<String>,
    /// Include no token but for its count, as the Python package does
    #[arg(long, conflicts_with = "force_include")]
    pub no_force_include: bool,
    /// Which tokens of conversations, and of ids with a loss mask, are counted
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Which::Assistant)]
    pub count: Which,
    /// Look only at the first tokens of each sequence, as training does
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub seq_length: Option<u32>,
    /// Leave out lines that cannot be used, and say how many there were
    #[arg(long)]
    pub skip_invalid: bool,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Where to write counts and map; the directory may hold other files [default: nothing is written]
    #[arg(long, short = 'o', value_name = "DIR")]
    pub output_path: Option<PathBuf>,
    /// Replace files of the output that exist
    #[arg(long, requires = "output_path")]
    pub force: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Which tokens are counted.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Which {
    /// Those of the answers, or where the loss mask is 1
    Assistant,
    /// All
    All,
}

/// Runs the command.
pub fn run(mut arguments: VocabArguments, session: &Session) -> Outcome {
    let format = arguments.format;
    models::localize_some(&mut arguments.verifier, Need::Config, session)
        .and_then(|()| vocab(&arguments, session))
        .map_err(|failure| session.report_trouble(format, failure))
}

fn vocab(arguments: &VocabArguments, session: &Session) -> Outcome {
    let verifier = match &arguments.verifier {
        Some(path) => Some(VerifierVocabulary::read(path)?),
        None => None,
    };
    let vocab_size = vocab_size(arguments, verifier.as_ref())?;
    let model = match arguments.verifier.as_deref() {
        // Without one, ids can still be counted; whoever needs it says that it is missing.
        Some(path) if path.join("tokenizer.json").is_file() => Some(TextModel::load(path)?),
        _ => None,
    };
    let forced = Forced::resolve(arguments, verifier.as_ref(), model.as_ref())?;
    // Before an hour of counting, not after it.
    if !arguments.data.is_empty() {
        write::check(arguments)?;
        if let (Some(draft), Some(vocab_size)) = (arguments.draft_vocab_size, vocab_size) {
            build(
                &TokenCounts::new(vocab_size, Vec::new())?,
                draft,
                &forced.ids,
            )?;
        }
    }
    let mut sources = Vec::new();
    let (mut counts, counting) = match (&arguments.token_freq, vocab_size) {
        (None, Some(vocab_size)) => {
            let counting = count_data(arguments, vocab_size, model.as_ref(), session)?;
            (counting.counts.clone(), Some(counting))
        }
        (Some(path), vocab_size) => (read(path, vocab_size, &mut sources)?, None),
        // Does not happen: data come with a verifier.
        (None, None) => return Err(needed("--verifier").into()),
    };
    for path in &arguments.merge {
        let more = read(path, Some(counts.vocab_size()), &mut sources)?;
        let placed = |problem: Diagnostic| problem.at(Place::file(path));
        counts.add(&more).map_err(placed)?;
    }
    if counts.total() == 0 {
        let mut found = vec![empty(counting.as_ref())];
        found.extend(
            counting
                .map(|counting| counting.warnings)
                .unwrap_or_default(),
        );
        return Err(found.into());
    }
    let built = match arguments.draft_vocab_size {
        Some(draft) => Some(build(&counts, draft, &forced.ids)?),
        None => None,
    };
    let mut report = Report::new(&counts, built.as_ref(), &forced, model.as_ref());
    report.options(arguments);
    report.token_freq = sources;
    if let Some(counting) = &counting {
        report.data.clone_from(&counting.sources);
        report.lines = Some(counting.lines);
    }
    let mut warnings = counting
        .map(|counting| counting.warnings)
        .unwrap_or_default();
    warnings.extend(forced.notes);
    warnings.extend(built.as_ref().and_then(padded));
    session.show(&warnings);
    report.warnings = warnings;
    if let Some(directory) = &arguments.output_path {
        write::all(
            directory,
            arguments.force,
            &counts,
            built.as_ref(),
            &mut report,
        )?;
    }
    match arguments.format {
        Format::Json => session.print_json(&report)?,
        Format::Text => show::all(&report, &mut session.stdout())?,
    }
    Ok(Exit::Yes)
}

/// The size of the verifier's vocabulary; nothing where only a file of counts can tell.
fn vocab_size(
    arguments: &VocabArguments,
    verifier: Option<&VerifierVocabulary>,
) -> Result<Option<usize>, Diagnostic> {
    let stated = verifier.map(|verifier| verifier.vocab_size);
    match (arguments.vocab_size, stated) {
        (Some(given), Some(stated)) if given != stated => Err(Diagnostic::error(
            codes::USAGE,
            format!("`--vocab-size` is {given}, but the verifier has {stated} tokens"),
        )
        .help("leave `--vocab-size` out")),
        (given, stated) => Ok(given.or(stated)),
    }
}

fn needed(option: &str) -> Diagnostic {
    Diagnostic::error(codes::USAGE, format!("`{option}` is needed to count data"))
}

fn count_data(
    arguments: &VocabArguments,
    vocab_size: usize,
    model: Option<&TextModel>,
    session: &Session,
) -> Result<Counting, Failure> {
    let paths = arguments.data.iter();
    let sources: Vec<Source> = paths
        .map(|path| match path.as_os_str() == "-" {
            true => Source::Stdin,
            false => Source::File(path.clone()),
        })
        .collect();
    if sources
        .iter()
        .filter(|source| **source == Source::Stdin)
        .count()
        > 1
    {
        let title = "standard input is named twice, but can be read once";
        return Err(Diagnostic::error(codes::USAGE, title).into());
    }
    let options = CountOptions {
        vocab_size,
        counted: arguments.counted(),
        seq_length: arguments.seq_length.map(|length| length as usize),
        skip_invalid: arguments.skip_invalid,
        threads: arguments.threads.map(usize::from),
    };
    let sizes = arguments
        .data
        .iter()
        .filter_map(|path| fs_err::metadata(path).ok());
    let total = sizes.map(|metadata| metadata.len()).sum();
    let bar: ProgressBar = progress::bytes_bar(session, total, "counting");
    let counted = count(
        &sources,
        model,
        &options,
        session.cancelled(),
        &mut |bytes, _| {
            // Of standard input, nobody knows the length.
            bar.set_length(total.max(bytes));
            bar.set_position(bytes);
        },
    );
    bar.finish_and_clear();
    Ok(counted?)
}

/// Reads counts, and records the file they come from.
fn read(
    path: &Path,
    vocab_size: Option<usize>,
    sources: &mut Vec<CountsFile>,
) -> Result<TokenCounts, Failure> {
    let counts = match TokenCounts::read(path, vocab_size) {
        Ok(counts) => counts,
        Err(found) => {
            let unknown = |found: &Diagnostic| {
                vocab_size.is_none() && found.code == codes::COUNTS_RANGE && found.help.is_none()
            };
            let help = "name the verifier with `--verifier`, or give `--vocab-size`";
            let helped = found.into_iter().map(|found| match unknown(&found) {
                true => found.help(help),
                false => found,
            });
            return Err(helped.collect::<Vec<_>>().into());
        }
    };
    let mut digest = Running::default();
    digest.update(&fs_err::read(path)?);
    sources.push(CountsFile {
        path: path.to_path_buf(),
        blake3: digest.finish(),
    });
    Ok(counts)
}

/// S318.
fn empty(counting: Option<&Counting>) -> Diagnostic {
    let problem = Diagnostic::error(codes::COUNTS_EMPTY, "not one token was counted");
    let Some(counting) = counting else {
        return problem;
    };
    let read: u64 = counting.sources.iter().map(|source| source.lines).sum();
    let lines = counting.lines;
    problem.note(format!(
        "{read} lines were read; {} conversations have no answer, {} lines were left out",
        lines.without_answer, lines.skipped
    ))
}

/// S317.
fn padded(built: &BuiltMap) -> Option<Diagnostic> {
    let (padding, draft) = (built.padding.len(), built.map.draft_to_target.len());
    (padding > 0).then(|| {
        Diagnostic::warning(
            codes::MAP_PADDED,
            format!("{padding} of {draft} draft tokens were never seen"),
        )
        .note("they are the lowest ids that were left")
    })
}

impl VocabArguments {
    fn counted(&self) -> Counted {
        match self.count {
            Which::Assistant => Counted::Assistant,
            Which::All => Counted::All,
        }
    }
}
