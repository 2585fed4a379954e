//! Whether the head knows when it is right.

use super::{Draft, Figure};
use crate::evaluation::Calibration;
use crate::evaluation::pages::charts::{self, ReliabilityPoint};
use crate::evaluation::pages::numbers::{percent, percent_interval};
use crate::evaluation::pages::table::Table;

pub(super) fn calibration(calibration: &Calibration) -> Figure {
    let points: Vec<ReliabilityPoint> = calibration
        .bins
        .iter()
        .map(|bin| ReliabilityPoint {
            count: bin.compared,
            said: bin.probability,
            share: bin.share,
            interval: bin.interval,
        })
        .collect();
    let rows = calibration.bins.iter().map(|bin| {
        vec![
            format!("{:.0} to {:.0} %", 100.0 * bin.from, 100.0 * bin.to),
            bin.compared.to_string(),
            bin.taken.to_string(),
            percent(bin.probability),
            percent(bin.share),
            percent_interval(bin.interval),
        ]
    });
    let titles = [
        "head's probability",
        "favourites",
        "taken",
        "mean probability",
        "share taken",
        "95 % interval",
    ];
    let leaning = match calibration.bias {
        bias if bias > 0.02 => format!("too sure of itself by {:.1} points", 100.0 * bias),
        bias if bias < -0.02 => format!("too modest by {:.1} points", -100.0 * bias),
        _ => "neither too sure of itself nor too modest".to_owned(),
    };
    Draft {
        id: "calibration",
        title: "Whether the head knows when it is right",
        shows: format!(
            "Over {} favourites, the probability the head gave and the share the verifier took are {:.1} points apart on \
             average; on the whole the head is {leaning}.",
            calibration.compared,
            100.0 * calibration.error
        ),
        judge: "Good: points on the dashed line. Dynamic trees, and engines that stop drafting when the head is unsure, \
                go by these probabilities; far from the line they spend their tokens in the wrong places. At temperature 0 \
                points lie above the line even for a perfect head, since the verifier takes its likeliest token every time."
            .to_owned(),
        table: Table::new(1, &titles).with(rows),
    }
    .drawn(|words| charts::reliability(words, &points))
}
