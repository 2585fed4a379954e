//! What a probe found, as tables and sentences.

use std::io::{self, Write};

use speculators::evaluation::Statement;
use speculators::probe::{Figures, Findings, Standing, Verdict};

use crate::tables;

/// Writes the report for people. `names` are verifier, speculator and layout.
pub fn write(
    findings: &Findings,
    diagnosis: &[Statement],
    [verifier, speculator, layout]: &[String; 3],
    output: &mut impl Write,
) -> io::Result<()> {
    writeln!(output, "verifier    {verifier}")?;
    writeln!(output, "speculator  {speculator} ({layout} layout)")?;
    writeln!(
        output,
        "measured    {} positions in {} texts of {} tokens that the verifier wrote, {} readings\n",
        findings.after.positions, findings.texts, findings.tokens, findings.readings
    )?;
    candidates(findings, output)?;
    verdicts(findings, output)?;
    let shares = |figures: &Figures| {
        let shares: Vec<String> = figures
            .accepted_share
            .iter()
            .map(|share| percent(*share))
            .collect();
        format!("{} ({:.2} of 3)", shares.join(", "), figures.accepted)
    };
    match &findings.before {
        Some(before) if before != &findings.after => writeln!(
            output,
            "accepted: {} as declared, {} as measured\n",
            shares(before),
            shares(&findings.after)
        )?,
        _ => writeln!(output, "accepted: {}\n", shares(&findings.after))?,
    }
    for statement in diagnosis {
        writeln!(
            output,
            "{}\n  {}",
            sentence(&statement.seen),
            sentence(&statement.advice)
        )?;
    }
    Ok(())
}

fn candidates(findings: &Findings, output: &mut impl Write) -> io::Result<()> {
    let mut table = tables::plain(&[
        "question",
        "answer",
        "",
        "1 token",
        "2",
        "3",
        "accepted",
        "log q",
        "against the best",
        "",
    ]);
    for answer in &findings.answers {
        for (index, tried) in answer.tried.iter().enumerate() {
            let log_q = &tried.difference.log_q;
            let difference = match tried.standing {
                Standing::Best => "best".to_owned(),
                _ => format!("{:+.3} +- {:.3}", log_q.mean, log_q.error),
            };
            let standing = match tried.standing {
                Standing::Same => "makes no difference",
                Standing::Noise => "within noise",
                Standing::Best | Standing::Worse => "",
            };
            let share = |depth: usize| {
                let share = tried.figures.accepted_share.get(depth);
                share.map_or(String::new(), |share| percent(*share))
            };
            table.add_row([
                if index == 0 { answer.key } else { "" }.to_owned(),
                tried.answer.clone(),
                tried.origin.clone(),
                share(0),
                share(1),
                share(2),
                format!("{:.3}", tried.figures.accepted),
                format!("{:.3}", tried.figures.log_q),
                difference,
                standing.to_owned(),
            ]);
        }
    }
    writeln!(output, "{}\n", table.trim_fmt())
}

fn verdicts(findings: &Findings, output: &mut impl Write) -> io::Result<()> {
    let mut table = tables::plain(&["question", "verdict", "because"]);
    for answer in &findings.answers {
        let verdict = match (answer.verdict, &answer.picked) {
            (Verdict::AsDeclared, _) => format!("as declared: {}", answer.declared),
            (Verdict::Picked, Some(picked)) => {
                format!("picked {picked} in the place of {}", answer.declared)
            }
            _ => format!("undecided; declared is {}", answer.declared),
        };
        let reason = match (&answer.reason, &answer.guessed) {
            (Some(reason), _) => reason.clone(),
            (None, Some(_)) => "it was guessed, and now is measured".to_owned(),
            (None, None) if !findings.informative => "the head tells nothing".to_owned(),
            (None, None) => String::new(),
        };
        table.add_row([answer.key.to_owned(), verdict, reason]);
    }
    writeln!(output, "{}\n", table.trim_fmt())
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// With its first letter large and a full stop: here these are whole sentences.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}
