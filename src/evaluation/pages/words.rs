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
        Drafting::DynamicTree(tree) => format!(
            "a dynamic tree of up to {} draft tokens per step (top-k {}, depth {})",
            drafting.tokens(),
            tree.top_k,
            tree.depth
        ),
        Drafting::StaticTree(tree) => format!(
            "a static tree of {} draft tokens per step (depth {})",
            drafting.tokens(),
            tree.depth()
        ),
    }
}

/// How tokens are chosen.
pub(super) fn sampling(sampling: &SamplingSetting) -> String {
    if sampling.temperature == 0.0 {
        return "greedy: the most likely token (temperature 0)".to_owned();
    }
    let mut words = vec![format!("temperature {}", sampling.temperature)];
    if sampling.top_k > 0 {
        words.push(format!("top-k {}", sampling.top_k));
    }
    if sampling.top_p < 1.0 {
        words.push(format!("top-p {}", sampling.top_p));
    }
    if sampling.min_p > 0.0 {
        words.push(format!("min-p {}", sampling.min_p));
    }
    words.push(format!("seed {}", sampling.seed));
    words.join(", ")
}

/// By which rule draft tokens are kept, and what else changes the text.
fn kept(setting: &Setting) -> String {
    let mut words = match setting.verification {
        Verification::Match => "where the verifier would choose them itself".to_owned(),
        Verification::Rejection => "by rejection sampling".to_owned(),
        Verification::Block => "by block verification".to_owned(),
        Verification::Typical { epsilon, delta } => {
            format!("by typical acceptance ({epsilon}, {delta}), which is lossy")
        }
        Verification::Thresholds {
            single,
            accumulated,
        } => {
            format!("by thresholds ({single}, {accumulated}), which is lossy")
        }
    };
    if let Some(penalties) = setting.penalties {
        words.push_str(&format!(
            "; penalties: repetition {}, frequency {}, presence {}",
            penalties.repetition, penalties.frequency, penalties.presence
        ));
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
