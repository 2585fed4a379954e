//! Findings about the values of the weights.

use std::ops::ControlFlow;

use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};
use crate::scan::{self, TensorScan};

/// Longest list in a finding.
const LISTED: usize = 10;

type Scanned<'a> = (TensorView<'a>, TensorScan);

/// Bytes between two reports of progress: a fraction of a second even from a slow disk, and whole values of any dtype.
const BLOCK: usize = 16 << 20;

/// Reads every floating-point tensor, until `step` breaks it off; `step` is given the bytes read and those to be read.
pub(super) fn scan<'a>(
    checkpoint: &'a Checkpoint,
    step: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> ControlFlow<(), Vec<Scanned<'a>>> {
    let tensors: Vec<TensorView<'a>> = checkpoint
        .names()
        .filter_map(|name| checkpoint.tensor(name))
        .filter(scan::is_scanned)
        .collect();
    let total = tensors.iter().map(|tensor| tensor.data.len() as u64).sum();
    let mut done = 0;
    let mut scanned = Vec::with_capacity(tensors.len());
    step(done, total)?;
    for tensor in tensors {
        let mut read = TensorScan::EMPTY;
        for block in tensor.data.chunks(BLOCK) {
            if let Some(next) = scan::scan_bytes(tensor.dtype, block) {
                read = read.followed_by(next);
            }
            done += block.len() as u64;
            step(done, total)?;
        }
        scanned.push((tensor, read));
    }
    ControlFlow::Continue(scanned)
}

pub(super) fn check(checkpoint: &Checkpoint, scanned: &[Scanned<'_>]) -> Vec<Diagnostic> {
    [
        non_finite(checkpoint, scanned),
        zeros(checkpoint, scanned),
        untrained_norms(checkpoint, scanned),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn non_finite(checkpoint: &Checkpoint, scanned: &[Scanned<'_>]) -> Option<Diagnostic> {
    let found: Vec<&Scanned> = scanned
        .iter()
        .filter(|(_, scan)| scan.non_finite() > 0)
        .collect();
    let diagnostic = match found.as_slice() {
        [] => return None,
        [(tensor, scan)] => Diagnostic::error(
            codes::TENSOR_NON_FINITE,
            format!(
                "`{}` holds {} among {} values",
                tensor.name,
                counts(scan),
                scan.elements
            ),
        )
        .note(format!("the first is at {}", index(tensor, scan))),
        several => {
            let title = format!(
                "{} of {} tensors hold NaN or infinite values",
                several.len(),
                scanned.len()
            );
            list(
                Diagnostic::error(codes::TENSOR_NON_FINITE, title),
                several,
                |(tensor, scan)| {
                    format!(
                        "{}: {}, the first at {}",
                        tensor.name,
                        counts(scan),
                        index(tensor, scan)
                    )
                },
            )
        }
    };
    Some(
        diagnostic
            .at(place(checkpoint, &found))
            .help("go back to a checkpoint without them; they cannot be repaired in place"),
    )
}

fn zeros(checkpoint: &Checkpoint, scanned: &[Scanned<'_>]) -> Option<Diagnostic> {
    let weights = scanned
        .iter()
        .filter(|(tensor, _)| tensor.name.ends_with("weight"));
    let found: Vec<&Scanned> = weights.filter(|(_, scan)| scan.all_zero).collect();
    let diagnostic = match found.as_slice() {
        [] => return None,
        [(tensor, scan)] => Diagnostic::error(
            codes::TENSOR_ALL_ZERO,
            format!("`{}` is zero in all {} values", tensor.name, scan.elements),
        ),
        several => {
            let title = format!(
                "{} of {} tensors are zero throughout",
                several.len(),
                scanned.len()
            );
            list(
                Diagnostic::error(codes::TENSOR_ALL_ZERO, title),
                several,
                |(tensor, _)| tensor.name.to_owned(),
            )
        }
    };
    Some(
        diagnostic
            .at(place(checkpoint, &found))
            .help("copy the weight again from the checkpoint this one was made from"),
    )
}

fn untrained_norms(checkpoint: &Checkpoint, scanned: &[Scanned<'_>]) -> Option<Diagnostic> {
    let is_norm =
        |tensor: &TensorView| tensor.shape.len() == 1 && tensor.name.ends_with("norm.weight");
    let is_norm = |tensor: &TensorView| is_norm(tensor) || tensor.name.contains("fc_norm.");
    let norms = scanned.iter().filter(|(tensor, _)| is_norm(tensor)).count();
    let found: Vec<&Scanned> = scanned
        .iter()
        .filter(|(tensor, scan)| is_norm(tensor) && scan.all_ones)
        .collect();
    let diagnostic = match found.as_slice() {
        [] => return None,
        [(tensor, scan)] => Diagnostic::warning(
            codes::NORM_UNTRAINED,
            format!(
                "`{}` is exactly 1 in all {} values",
                tensor.name, scan.elements
            ),
        ),
        several => {
            let title = format!(
                "{} of {norms} norm weights are exactly 1 throughout",
                several.len()
            );
            list(
                Diagnostic::warning(codes::NORM_UNTRAINED, title),
                several,
                |(tensor, _)| tensor.name.to_owned(),
            )
        }
    };
    let diagnostic = diagnostic.at(place(checkpoint, &found));
    Some(if found.len() == norms {
        diagnostic.note("this is how a head looks before it is trained")
    } else {
        diagnostic.note("the other norms have other values, so these were left out of training or lost on the way")
    })
}

/// `3 NaN and 1 infinite`.
fn counts(scan: &TensorScan) -> String {
    match (scan.nan, scan.infinite) {
        (nan, 0) => format!("{nan} NaN"),
        (0, infinite) => format!("{infinite} infinite"),
        (nan, infinite) => format!("{nan} NaN and {infinite} infinite"),
    }
}

/// The first non-finite value as coordinates.
fn index(tensor: &TensorView<'_>, scan: &TensorScan) -> String {
    let mut rest = scan.first_non_finite.unwrap_or(0);
    let mut coordinates: Vec<String> = Vec::new();
    for &size in tensor.shape.iter().rev() {
        coordinates.push((rest % size.max(1)).to_string());
        rest /= size.max(1);
    }
    coordinates.reverse();
    format!("[{}]", coordinates.join(", "))
}

/// The tensor if there is one, else the files.
fn place(checkpoint: &Checkpoint, found: &[&Scanned<'_>]) -> Place {
    match found {
        [(tensor, _)] => Place::tensor(tensor.path, tensor.name),
        _ => checkpoint.weights_place(),
    }
}

fn list<'a>(
    mut diagnostic: Diagnostic,
    found: &[&Scanned<'a>],
    line: impl Fn(&Scanned<'a>) -> String,
) -> Diagnostic {
    for item in found.iter().take(LISTED) {
        diagnostic = diagnostic.note(line(item));
    }
    if found.len() > LISTED {
        diagnostic = diagnostic.note(format!("and {} more", found.len() - LISTED));
    }
    diagnostic
}
