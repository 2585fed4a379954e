//! The evaluation report as tables.

use std::io::{self, Write};

use speculators::decoding::{Chooser, Drafting, Verification};
use speculators::evaluation::{
    AcceptanceDifference, Comparison, Difference, Guarantee, Report, Setting,
};
use speculators::text::TextModel;

use super::best;
use super::measures::{self, Metrics};
use crate::tables;

/// Writes the report for people.
pub fn write(
    report: &Report,
    text: Option<&TextModel>,
    which: Metrics,
    output: &mut impl Write,
) -> io::Result<()> {
    let setting = &report.setting;
    writeln!(output, "verifier    {}", setting.verifier)?;
    writeln!(
        output,
        "speculator  {} ({} layout)",
        setting.speculator, setting.layout
    )?;
    let line = format!(
        "setting     {}, {}, up to {} new tokens, {} on {} with {} threads{}",
        choosing(setting),
        setting.drafting,
        setting.max_new_tokens,
        setting.dtype,
        setting.instruction_set,
        setting.threads,
        running(setting)
    );
    writeln!(
        output,
        "{}\n",
        tables::wrapped(&line, 12, tables::terminal_width())
    )?;
    acceptance(report, output)?;
    categories(report, output)?;
    measures::write_contexts(report, output)?;
    measures::write_metrics(report, which, output)?;
    latency(report, output)?;
    lossless(report, output)?;
    if let Some(best) = &report.best {
        best::write(best, output)?;
    }
    if let Some(comparison) = &report.comparison {
        write_comparison(comparison, text, output)?;
    }
    if let Some(paired) = &report.against {
        measures::write_paired(paired, which, output)?;
    }
    match &report.failed_gates {
        Some(failed) => measures::write_gates(failed, output),
        None => Ok(()),
    }
}

/// How tokens are chosen, with what is not the plain way of keeping them.
fn choosing(setting: &Setting) -> String {
    let mut words = setting.sampling.to_string();
    if setting.verification != Verification::Match {
        words.push_str(&format!(", verified by {}", setting.verification));
    }
    if let Some(penalties) = setting.penalties {
        words.push_str(&format!(", {penalties}"));
    }
    words
}

/// In what way prompts were run that is not the plain one.
fn running(setting: &Setting) -> String {
    let mut words = String::new();
    if !setting.is_single_stream() {
        words.push_str(&format!(", {} requests in flight", setting.concurrency));
    }
    if let Some(seed) = setting.shuffle_seed {
        words.push_str(&format!(", prompts shuffled with seed {seed}"));
    }
    words
}

fn acceptance(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let (counts, acceptance) = (&report.counts, &report.acceptance);
    let tree = !matches!(report.setting.drafting, Drafting::Chain { .. });
    let mut titles = vec![
        "draft token",
        "accepted",
        "share of steps",
        "given the one before",
    ];
    if tree {
        // In a chain it is the number of steps.
        titles.insert(1, "proposed");
    }
    let mut table = tables::numbers(&titles);
    for (position, accepted) in counts.accepted_per_position.iter().enumerate() {
        let mut row = vec![
            (position + 1).to_string(),
            accepted.to_string(),
            percent(acceptance.per_position[position]),
            percent(acceptance.conditional[position]),
        ];
        if tree {
            row.insert(1, counts.drafted_per_position[position].to_string());
        }
        table.add_row(row);
    }
    writeln!(output, "{}\n", table.trim_fmt())?;
    let metric = report.metric("mean_length");
    let interval = match metric.and_then(|metric| metric.interval) {
        Some([low, high]) => format!(", 95 % interval {low:.3} to {high:.3} by request"),
        None => String::new(),
    };
    let line = format!(
        "mean acceptance length {:.3} tokens per step (1 + {} accepted / {} steps){interval}",
        acceptance.mean_length, counts.accepted, counts.steps
    );
    writeln!(
        output,
        "{}\n",
        tables::wrapped(&line, 2, tables::terminal_width())
    )
}

fn categories(report: &Report, output: &mut impl Write) -> io::Result<()> {
    if report.categories.is_empty() {
        return Ok(());
    }
    let mut table = tables::numbers(&[
        "category",
        "requests",
        "steps",
        "drafted",
        "accepted",
        "mean length",
        "95 % interval",
    ]);
    let whole = report.metric("mean_length");
    let whole = whole.and_then(|metric| metric.interval);
    let whole = ("all".to_owned(), &report.counts, &report.acceptance, whole);
    let parts = report.categories.iter().map(|part| {
        let interval = part.mean_length_interval;
        (
            part.category.clone(),
            &part.counts,
            &part.acceptance,
            interval,
        )
    });
    for (name, counts, acceptance, interval) in parts.chain(std::iter::once(whole)) {
        table.add_row([
            name,
            counts.requests.to_string(),
            counts.steps.to_string(),
            counts.drafted.to_string(),
            counts.accepted.to_string(),
            format!("{:.3}", acceptance.mean_length),
            measures::interval(interval),
        ]);
    }
    writeln!(output, "{}\n", table.trim_fmt())
}

fn latency(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let Some(latency) = &report.latency else {
        return writeln!(
            output,
            "latency and speed-up are not measured: {} requests were in flight at a time",
            report.setting.concurrency
        );
    };
    let mut table = tables::numbers(&["", "plain", "speculative"]);
    table.add_row([
        "tokens per second".to_owned(),
        format!("{:.1}", latency.plain_tokens_per_second),
        format!("{:.1}", latency.tokens_per_second),
    ]);
    table.add_row([
        "milliseconds per pass".to_owned(),
        format!("{:.3}", latency.plain_token_ms),
        format!(
            "{:.3} draft + {:.3} verify + {:.3} other",
            latency.draft_ms, latency.verify_ms, latency.other_ms
        ),
    ]);
    writeln!(output, "{}\n", table.trim_fmt())?;
    writeln!(output, "speed-up {:.2}x on this machine", latency.speedup)
}

fn lossless(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let lossless = &report.lossless;
    match lossless.guarantee {
        Guarantee::Tokens => {}
        Guarantee::Distribution => {
            return writeln!(
                output,
                "lossless in distribution, by the rule of verification; tokens are drawn anew, so that they cannot be compared with plain decoding"
            );
        }
        Guarantee::Nothing => {
            return writeln!(
                output,
                "LOSSY: `--lossy` keeps tokens that the verifier would not; the output is not distributed as plain decoding"
            );
        }
    }
    if lossless.mismatched == 0 {
        return writeln!(
            output,
            "lossless: {} of {} requests gave exactly the tokens of plain decoding",
            lossless.checked, lossless.checked
        );
    }
    writeln!(
        output,
        "NOT lossless: {} of {} requests differ from plain decoding ({}); please report this",
        lossless.mismatched,
        lossless.checked,
        lossless.mismatched_ids.join(", ")
    )
}

fn write_comparison(
    comparison: &Comparison,
    text: Option<&TextModel>,
    output: &mut impl Write,
) -> io::Result<()> {
    writeln!(
        output,
        "\nreference: {} of {} requests are identical",
        comparison.identical, comparison.compared
    )?;
    if !comparison.without_reference.is_empty() {
        writeln!(
            output,
            "without reference: {}",
            comparison.without_reference.join(", ")
        )?;
    }
    if !comparison.differences.is_empty() {
        let titles = [
            "request", "position", "ours", "logit", "theirs", "logit", "verdict",
        ];
        let mut table = tables::numbers(&titles);
        for difference in &comparison.differences {
            table.add_row([
                difference.id.clone(),
                difference.position.to_string(),
                token(difference.ours, text),
                logit(difference.our_logit),
                token(difference.theirs, text),
                logit(difference.their_logit),
                verdict(difference),
            ]);
        }
        writeln!(output, "{}", table.trim_fmt())?;
    }
    if comparison.acceptance_compared > 0 {
        writeln!(
            output,
            "{} of {} requests accept the same draft tokens in every step",
            comparison.acceptance_identical, comparison.acceptance_compared
        )?;
    }
    for difference in &comparison.acceptance_differences {
        write_acceptance(difference, text, output)?;
    }
    Ok(())
}

fn write_acceptance(
    difference: &AcceptanceDifference,
    text: Option<&TextModel>,
    output: &mut impl Write,
) -> io::Result<()> {
    let count =
        |accepted: Option<usize>| accepted.map_or("none".to_owned(), |count| count.to_string());
    writeln!(
        output,
        "{}: step {} accepted {}, the reference {}",
        difference.id,
        difference.step,
        count(difference.ours),
        count(difference.theirs)
    )?;
    for tie in &difference.near_ties {
        let by = match tie.by {
            Chooser::Head => "the head",
            Chooser::Verifier => "the verifier",
        };
        let choice = &tie.choice;
        writeln!(
            output,
            "  near tie: after {} draft tokens {by} took {} ({}) over {} ({})",
            tie.depth,
            token(Some(choice.token), text),
            choice.logit,
            token(Some(choice.runner_up), text),
            choice.runner_up_logit
        )?;
    }
    Ok(())
}

fn verdict(difference: &Difference) -> String {
    match difference.bfloat16_step {
        Some(step) if difference.tie => format!("tie within one bfloat16 step of {step}"),
        Some(step) => format!("no tie: a bfloat16 step is {step}"),
        None => "one output is longer".to_owned(),
    }
}

fn token(id: Option<u32>, text: Option<&TextModel>) -> String {
    match (id, text) {
        (None, _) => "(end)".to_owned(),
        (Some(id), None) => id.to_string(),
        (Some(id), Some(text)) => format!("{id} {:?}", text.tokenizer.piece(id)),
    }
}

fn logit(logit: Option<f32>) -> String {
    logit.map_or_else(String::new, |logit| logit.to_string())
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
