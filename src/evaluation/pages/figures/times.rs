//! Where the time goes.

use super::{Draft, Figure};
use crate::evaluation::Report;
use crate::evaluation::pages::charts::{self, Stack, Unit};
use crate::evaluation::pages::numbers::{number, percent};
use crate::evaluation::pages::table::Table;

/// One step against plain decoding of as many tokens; none where no time was measured.
pub(super) fn latency(report: &Report) -> Option<Figure> {
    let latency = report.latency.as_ref()?;
    let step = latency.draft_ms + latency.verify_ms + latency.other_ms;
    let tokens = report.metric("tau")?.value?;
    let plain = latency.plain_token_ms * tokens;
    if step <= 0.0 || plain <= 0.0 {
        return None;
    }
    let bars = [
        Stack {
            label: format!("one step with the head: {tokens:.2} tokens"),
            parts: vec![
                ("part one", "draft", latency.draft_ms),
                ("part two", "verify", latency.verify_ms),
                ("part three", "other", latency.other_ms),
            ],
        },
        Stack {
            label: format!("plain decoding: {tokens:.2} tokens, one at a time"),
            parts: vec![("part plain", "plain", plain)],
        },
    ];
    let unit = Unit {
        axis_title: "milliseconds",
        suffix: "ms",
    };
    let share = |part: f64| percent(Some(part / step));
    let row =
        |name: &str, time: f64, share: String| vec![name.to_owned(), number(Some(time), 3), share];
    let rows = [
        row("draft", latency.draft_ms, share(latency.draft_ms)),
        row("verify", latency.verify_ms, share(latency.verify_ms)),
        row("other", latency.other_ms, share(latency.other_ms)),
        row("whole step", step, share(step)),
        row(
            "plain decoding, one token",
            latency.plain_token_ms,
            String::new(),
        ),
        row(
            "prompt pass, per request",
            latency.prefill_ms,
            String::new(),
        ),
    ];
    let figure = Draft {
        id: "latency",
        title: "Where the time goes",
        shows: format!(
            "A step took {step:.3} ms and gave {tokens:.2} tokens, for which plain decoding took {plain:.3} ms: {} of the \
             step went into drafting and {} into verifying.",
            share(latency.draft_ms),
            share(latency.verify_ms)
        ),
        judge: "Good: the upper bar shorter than the lower one. Times hold for this program on this machine; acceptance \
                does not depend on it. A verify part much longer than one plain token means that a pass over several \
                tokens costs more here than a pass over one, as it does on CPUs."
            .to_owned(),
        table: Table::new(1, &["mean time", "milliseconds", "of the step"]).with(rows),
    };
    Some(figure.drawn(|words| charts::stacks(words, &bars, unit)))
}
