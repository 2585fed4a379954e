//! Closed lists of tensors: what a description asks for, and the comparison of that list with what is there.

use std::collections::BTreeSet;

use safetensors::Dtype;

use crate::checkpoint::TensorView;
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};

/// Lists in findings stop here.
const SHOWN: usize = 10;

/// A floating-point tensor the head needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Canonical name.
    pub name: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Where the shape comes from, in config keys.
    pub sum: String,
}

/// Compares the list with what is there. `view` finds a tensor by canonical name; `names` are all canonical names.
pub(crate) fn compare<'a>(
    expected: &[Expected],
    names: impl Iterator<Item = &'a str>,
    view: impl Fn(&str) -> Option<TensorView<'a>>,
    place: &Place,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let (mut missing, mut misshaped) = (Vec::new(), Vec::new());
    for wanted in expected {
        match view(&wanted.name) {
            None => missing.push(wanted),
            Some(found) if !is_float(found.dtype) => problems.push(
                Diagnostic::error(
                    codes::TENSOR_DTYPE,
                    format!(
                        "`{}` has dtype {:?}, but has to be F32, F16 or BF16",
                        wanted.name, found.dtype
                    ),
                )
                .at(Place::tensor(found.path, found.name)),
            ),
            Some(found) if found.shape != wanted.shape => misshaped.push((wanted, found)),
            Some(_) => {}
        }
    }
    let known: BTreeSet<&str> = expected
        .iter()
        .map(|wanted| wanted.name.as_str())
        .chain(["d2t", "t2d"])
        .collect();
    let unexpected: Vec<TensorView<'_>> = names
        .filter(|name| !known.contains(name))
        .filter_map(&view)
        .collect();
    problems.extend(report_missing(&missing, place));
    problems.extend(report_unexpected(&unexpected));
    problems.extend(report_misshaped(&misshaped));
    problems
}

/// The dtypes weights come in.
pub(crate) fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

fn report_missing(missing: &[&Expected], place: &Place) -> Option<Diagnostic> {
    let first = missing.first()?;
    let title = match missing.len() {
        1 => format!("`{}` is missing", first.name),
        count => format!("{count} tensors are missing"),
    };
    let problem = Diagnostic::error(codes::TENSOR_MISSING, title).at(place.clone());
    let lines = missing
        .iter()
        .map(|wanted| format!("{} {:?} ({})", wanted.name, wanted.shape, wanted.sum));
    Some(
        listed(problem, lines)
            .note("a loader that fills missing tensors with random values would not say so"),
    )
}

fn report_unexpected(unexpected: &[TensorView<'_>]) -> Option<Diagnostic> {
    let first = unexpected.first()?;
    let title = match unexpected.len() {
        1 => format!("`{}` belongs to no part of the head", first.name),
        count => format!("{count} tensors belong to no part of the head"),
    };
    let place = match unexpected {
        [only] => Place::tensor(only.path, only.name),
        _ => Place::file(first.path),
    };
    let problem = Diagnostic::error(codes::TENSOR_UNEXPECTED, title).at(place);
    Some(listed(
        problem,
        unexpected
            .iter()
            .map(|found| format!("{} {:?}", found.name, found.shape)),
    ))
}

fn report_misshaped(misshaped: &[(&Expected, TensorView<'_>)]) -> Option<Diagnostic> {
    let (wanted, found) = misshaped.first()?;
    if misshaped.len() == 1 {
        let title = format!(
            "`{}` is {:?}, but the config asks for {:?}",
            found.name, found.shape, wanted.shape
        );
        let problem =
            Diagnostic::error(codes::TENSOR_SHAPE, title).at(Place::tensor(found.path, found.name));
        return Some(problem.note(format!("{:?}: {}", wanted.shape, wanted.sum)));
    }
    let title = format!(
        "{} tensors have another shape than the config asks for",
        misshaped.len()
    );
    let problem = Diagnostic::error(codes::TENSOR_SHAPE, title).at(Place::file(found.path));
    let lines = misshaped.iter().map(|(wanted, found)| {
        format!(
            "{} is {:?}, asked for {:?} ({})",
            found.name, found.shape, wanted.shape, wanted.sum
        )
    });
    Some(listed(problem, lines))
}

/// Notes, one per line of a list, cut where a reader stops reading.
fn listed(mut problem: Diagnostic, lines: impl ExactSizeIterator<Item = String>) -> Diagnostic {
    let total = lines.len();
    for line in lines.take(SHOWN) {
        problem = problem.note(line);
    }
    if total > SHOWN {
        problem = problem.note(format!("and {} more", total - SHOWN));
    }
    problem
}
