//! What the command reports, and writes beside the map.

use std::path::PathBuf;

use serde::Serialize;
use speculators::text::{Counted, Lines, SourceRead, TextModel};
use speculators_formats::Diagnostic;
use speculators_formats::digest::Running;
use speculators_formats::vocabulary::{BuiltMap, TokenCounts};

use super::VocabArguments;
use super::forced::Forced;

/// Sizes of draft vocabularies that are in use.
const SIZES: [usize; 4] = [8192, 16_384, 32_768, 65_536];

/// The report.
#[derive(Debug, Serialize)]
pub struct Report {
    schema: &'static str,
    writer: &'static str,
    /// Tokens of the verifier.
    pub vocab_size: usize,
    /// Which tokens were counted; nothing where counts were read.
    pub counted: Option<Counted>,
    /// Limit of a sequence.
    pub seq_length: Option<u32>,
    /// Data that were counted.
    pub data: Vec<SourceRead>,
    /// Lines of which kind they have.
    pub lines: Option<Lines>,
    /// Files of counts that were read.
    pub token_freq: Vec<CountsFile>,
    /// Digest of the counts, as they are in `token_freq.npy`.
    pub counts_blake3: String,
    /// All tokens.
    pub tokens: u64,
    /// Different ones.
    pub seen: usize,
    /// Tokens of the vocabulary that do not occur.
    pub never_seen: usize,
    /// Share of the text that the most frequent tokens make up.
    pub coverage: Vec<Coverage>,
    /// Tokens with a meaning of their own.
    pub special_tokens: Vec<SpecialToken>,
    /// The map.
    pub map: Option<MapReport>,
    /// Findings that do not stand in the way.
    pub warnings: Vec<Diagnostic>,
    /// Files that were written.
    pub files: Vec<PathBuf>,
}

/// A file of counts.
#[derive(Debug, Serialize)]
pub struct CountsFile {
    /// Path as given.
    pub path: PathBuf,
    /// BLAKE3 digest of its bytes.
    pub blake3: String,
}

/// What a number of tokens covers.
#[derive(Debug, Serialize)]
pub struct Coverage {
    /// The most frequent tokens, so many.
    pub draft_vocab_size: usize,
    /// How often they occur together.
    pub covered: u64,
    /// The part of all tokens that is.
    pub share: f64,
}

/// A token with a meaning of its own.
#[derive(Debug, Serialize)]
pub struct SpecialToken {
    /// Its id.
    pub id: u32,
    /// How it is written, where the tokenizer is there.
    pub text: Option<String>,
    /// It ends a text.
    pub eos: bool,
    /// The chat template writes it.
    pub chat: bool,
    /// How often it occurs.
    pub count: u64,
    /// Whether it is in the map, if there is one.
    pub included: Option<bool>,
}

/// What there is to say about a map.
#[derive(Debug, Serialize)]
pub struct MapReport {
    /// Tokens of the draft vocabulary.
    pub draft_vocab_size: usize,
    /// Occurrences of its tokens.
    pub covered: u64,
    /// The part of all tokens that is.
    pub share: f64,
    /// Tokens that were never seen and only fill up.
    pub padding: usize,
    /// Tokens that are in whatever their count.
    pub forced: Vec<u32>,
    /// Tokens that are in only for that, and what had to go.
    pub exchanged: Vec<Exchanged>,
    /// Digest of the map, as it is in `d2t-<draft tokens>.npy`.
    pub d2t_blake3: String,
}

/// A token that is in by force, and the one that had to go.
#[derive(Debug, Serialize)]
pub struct Exchanged {
    /// Id of the token that is in.
    pub included: u32,
    /// How it is written, where the tokenizer is there.
    pub included_text: Option<String>,
    /// Id of the token that is not.
    pub displaced: u32,
    /// How that is written.
    pub displaced_text: Option<String>,
    /// How often it occurs.
    pub displaced_count: u64,
}

impl Report {
    /// The report about counts and the map made from them.
    pub fn new(
        counts: &TokenCounts,
        built: Option<&BuiltMap>,
        forced: &Forced,
        model: Option<&TextModel>,
    ) -> Report {
        let vocab_size = counts.vocab_size();
        let total = counts.total();
        let mut sizes: Vec<usize> = SIZES
            .into_iter()
            .filter(|size| *size < vocab_size)
            .collect();
        sizes.extend(built.map(|built| built.map.draft_to_target.len()));
        sizes.push(vocab_size);
        sizes.sort_unstable();
        sizes.dedup();
        let covered = counts.covered(&sizes);
        let text = |id: u32| model.map(|model| model.tokenizer.piece(id));
        let coverage = sizes.into_iter().zip(covered);
        Report {
            schema: "speculators.vocab/1",
            writer: concat!("speculators ", env!("CARGO_PKG_VERSION")),
            vocab_size,
            counted: None,
            seq_length: None,
            data: Vec::new(),
            lines: None,
            token_freq: Vec::new(),
            counts_blake3: digest(&counts.to_npy()),
            tokens: whole(total),
            seen: counts.seen(),
            never_seen: vocab_size - counts.seen(),
            coverage: coverage
                .map(|(draft_vocab_size, covered)| Coverage {
                    draft_vocab_size,
                    covered: whole(covered),
                    share: share(covered, total),
                })
                .collect(),
            special_tokens: special_tokens(counts, built, forced, model),
            map: built.map(|built| {
                let covered = counts.covered_by(&built.map);
                MapReport {
                    draft_vocab_size: built.map.draft_to_target.len(),
                    covered: whole(covered),
                    share: share(covered, total),
                    padding: built.padding.len(),
                    forced: forced.ids.clone(),
                    exchanged: built
                        .exchanged
                        .iter()
                        .map(|exchange| Exchanged {
                            included: exchange.included,
                            included_text: text(exchange.included),
                            displaced: exchange.displaced,
                            displaced_text: text(exchange.displaced),
                            displaced_count: exchange.displaced_count,
                        })
                        .collect(),
                    d2t_blake3: digest(&built.map.d2t_npy()),
                }
            }),
            warnings: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Records how data were counted.
    pub fn options(&mut self, arguments: &VocabArguments) {
        if !arguments.data.is_empty() {
            self.counted = Some(arguments.counted());
            self.seq_length = arguments.seq_length;
        }
    }
}

/// Tokens that end a text, those of the chat template and other special ones that occur, ascending.
fn special_tokens(
    counts: &TokenCounts,
    built: Option<&BuiltMap>,
    forced: &Forced,
    model: Option<&TextModel>,
) -> Vec<SpecialToken> {
    let added = model.map(|model| model.tokenizer.added_tokens());
    let added = added.unwrap_or_default();
    let occurring = added
        .iter()
        .filter(|token| token.special && counts.get(token.id) > 0);
    let mut ids: Vec<u32> = occurring.map(|token| token.id).collect();
    ids.extend(forced.eos.iter().chain(&forced.chat).chain(&forced.ids));
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter()
        .map(|id| SpecialToken {
            id,
            text: model.map(|model| model.tokenizer.piece(id)),
            eos: forced.eos.contains(&id),
            chat: forced.chat.contains(&id),
            count: counts.get(id),
            included: built.map(|built| built.map.draft_to_target.contains(&id)),
        })
        .collect()
}

/// A count for the report; one that is beyond 64 bits is of no text there is.
fn whole(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share is told to a few digits"
)]
fn share(covered: u128, total: u128) -> f64 {
    covered as f64 / total.max(1) as f64
}

fn digest(bytes: &[u8]) -> String {
    let mut digest = Running::default();
    digest.update(bytes);
    digest.finish()
}
