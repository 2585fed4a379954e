//! What was run, in words.

use crate::decoding::{Drafting, Verification};
use crate::evaluation::{SamplingSetting, Setting};

/// What is drafted in each step.
pub(super) fn drafting(drafting: &Drafting) -> String {
    match drafting {
        Drafting::Chain {
            num_speculative_tokens: 1,
        } => "1 draft token per step".to_owned(),
        Drafting::Chain {
            num_speculative_tokens,
        } => format!("a chain of {num_speculative_tokens} draft tokens per step"),
        tree => tree.to_string(),
    }
}

/// How tokens are chosen.
pub(super) fn sampling(sampling: &SamplingSetting) -> String {
    match sampling.temperature == 0.0 {
        true => format!("{sampling}: the most likely token (temperature 0)"),
        false => sampling.to_string(),
    }
}

/// By which rule draft tokens are kept, and what else changes the text.
fn kept(setting: &Setting) -> String {
    let mut words = match setting.verification {
        Verification::Match => "where the verifier would choose them itself".to_owned(),
        rule if rule.is_lossy() => format!("by {rule}, which is lossy"),
        rule => format!("by {rule}"),
    };
    if let Some(penalties) = setting.penalties {
        words.push_str(&format!("; {penalties}"));
    }
    if !setting.stop.is_empty() {
        words.push_str(&format!("; text ends at {:?}", setting.stop));
    }
    words
}

/// How requests were run.
fn running(setting: &Setting) -> String {
    let mut words = match setting.concurrency {
        1 => "one at a time".to_owned(),
        count => format!("{count} in flight at a time, so that their times tell nothing"),
    };
    if let Some(seed) = setting.shuffle_seed {
        words.push_str(&format!(", in an order drawn by seed {seed}"));
    }
    words
}

/// The whole setting, line by line.
pub(super) fn setting(setting: &Setting) -> Vec<[String; 2]> {
    let line = |name: &str, value: String| [name.to_owned(), value];
    vec![
        line("Verifier", setting.verifier.clone()),
        line(
            "Head",
            format!("{} ({} layout)", setting.speculator, setting.layout),
        ),
        line("Draft", drafting(&setting.drafting)),
        line("Tokens are", sampling(&setting.sampling)),
        line("Draft tokens are kept", kept(setting)),
        line(
            "Output limit",
            format!("{} tokens per request", setting.max_new_tokens),
        ),
        line("Requests", running(setting)),
        line(
            "Machine",
            format!(
                "{} on {}, {} threads",
                setting.dtype, setting.instruction_set, setting.threads
            ),
        ),
    ]
}
