//! Findings about the values of the weights.

use std::ops::ControlFlow;

use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};
use crate::mtp::NormGain;
use crate::scan::{self, TensorScan};

/// Longest list in a finding.
const LISTED: usize = 10;

pub(crate) type Scanned<'a> = (TensorView<'a>, TensorScan);

/// Bytes between two reports of progress: a fraction of a second even from a slow disk, and whole values of any dtype.
const STEP: usize = 16 << 20;

/// Reads every floating-point tensor.
pub(super) fn scan<'a>(
    checkpoint: &'a Checkpoint,
    step: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> ControlFlow<(), Vec<Scanned<'a>>> {
    let tensors = checkpoint
        .names()
        .filter_map(|name| checkpoint.tensor(name));
    scan_tensors(checkpoint, tensors, step)
}

/// Reads those of the tensors that are of floating point, until `step` breaks it off; `step` is given the bytes read and
/// those to be read.
pub(crate) fn scan_tensors<'a>(
    checkpoint: &'a Checkpoint,
    tensors: impl Iterator<Item = TensorView<'a>>,
    step: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> ControlFlow<(), Vec<Scanned<'a>>> {
    let tensors: Vec<TensorView<'a>> = tensors.filter(scan::is_scanned).collect();
    let total = tensors.iter().map(|tensor| tensor.data.len() as u64).sum();
    let mut done = 0;
    let mut scanned = Vec::with_capacity(tensors.len());
    step(done, total)?;
    for tensor in tensors {
        let mut read = TensorScan::EMPTY;
        for begin in (0..tensor.data.len()).step_by(STEP) {
            let end = tensor.data.len().min(begin + STEP);
            if let Some(next) = checkpoint.scan(tensor.name, begin..end) {
                read = read.followed_by(next);
            }
            done += (end - begin) as u64;
            step(done, total)?;
        }
        scanned.push((tensor, read));
    }
    ControlFlow::Continue(scanned)
}

/// Findings about what was scanned; `gain` tells a norm weight that was never trained from one that was.
pub(crate) fn check(
    checkpoint: &Checkpoint,
    scanned: &[Scanned<'_>],
    gain: NormGain,
) -> Vec<Diagnostic> {
    [
        non_finite(checkpoint, scanned),
        zeros(checkpoint, scanned, gain),
        untrained_norms(checkpoint, scanned, gain),
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

fn zeros(checkpoint: &Checkpoint, scanned: &[Scanned<'_>], gain: NormGain) -> Option<Diagnostic> {
    // Fused experts have no `weight` in their names; a norm of zeros is a gain of one in some families.
    let weights = scanned.iter().filter(|(tensor, _)| {
        (tensor.name.ends_with("weight") || tensor.shape.len() == 3)
            && !starts_at_zero(tensor.name)
            && !(gain == NormGain::OnePlusWeight && is_norm(tensor))
    });
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

/// Weights that are zero before training: the convolutions of DFlash2 begin as the identity, the refiner of XPress as nothing.
fn starts_at_zero(name: &str) -> bool {
    name.ends_with("_conv.kernel_projection.weight") || name == "refiner_head.mix_l"
}

fn is_norm(tensor: &TensorView<'_>) -> bool {
    tensor.shape.len() == 1 && tensor.name.ends_with("weight") && tensor.name.contains("norm")
}

fn untrained_norms(
    checkpoint: &Checkpoint,
    scanned: &[Scanned<'_>],
    gain: NormGain,
) -> Option<Diagnostic> {
    let untouched = |scan: &TensorScan| match gain {
        NormGain::Weight => scan.all_ones,
        NormGain::OnePlusWeight => scan.all_zero,
    };
    let start = match gain {
        NormGain::Weight => 1,
        NormGain::OnePlusWeight => 0,
    };
    let norms = scanned.iter().filter(|(tensor, _)| is_norm(tensor)).count();
    let found: Vec<&Scanned> = scanned
        .iter()
        .filter(|(tensor, scan)| is_norm(tensor) && untouched(scan))
        .collect();
    let diagnostic = match found.as_slice() {
        [] => return None,
        [(tensor, scan)] => Diagnostic::warning(
            codes::NORM_UNTRAINED,
            format!(
                "`{}` is exactly {start} in all {} values",
                tensor.name, scan.elements
            ),
        ),
        several => {
            let title = format!(
                "{} of {norms} norm weights are exactly {start} throughout",
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
    let diagnostic = match gain {
        NormGain::Weight => diagnostic,
        NormGain::OnePlusWeight => {
            diagnostic.note("the gain is one plus the weight in this family, so it is 1 throughout")
        }
    };
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
