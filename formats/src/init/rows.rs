//! The tensors of a new head: which the verifier gives, and how the others are filled.
//!
//! The list is the closed one that opening a head is checked against, so that no part of a head can be forgotten here.

use safetensors::Dtype;
use serde::Serialize;

use super::kind::Draft;
use super::random::{Distribution, Fill};
use crate::checkpoint::{Checkpoint, TensorView};
use crate::convert::{Origin, Piece, Row, Sources, cast, eagle3, plan};
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::expected::{Expected, is_float};
use crate::speculator::Description;
use crate::verifier::tensors::{Located, SharedTensor, locate};
use crate::{Result, codes};

/// Standard deviation of weight matrices. The Python package asks its own config for `initializer_range`, which has none, and
/// takes this whatever the verifier's config says.
const DEVIATION: f64 = 0.02;

/// Standard deviation of the first factor of DSpark's Markov bias.
const MARKOV_DEVIATION: f64 = 0.01;

/// Ends of names of the parts of a quantized matrix.
const QUANTIZED: [&str; 8] = [
    "weight_scale",
    "weight_scale_inv",
    "weight_scale_2",
    "weight_packed",
    "qweight",
    "qzeros",
    "scales",
    "SCB",
];

/// One tensor of a new head.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InitRow {
    /// Its name.
    pub name: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Dtype, as safetensors names it.
    pub dtype: String,
    /// Bytes.
    pub bytes: u64,
    /// What it is made of, in words.
    pub from: String,
    /// The verifier's tensor it is taken from, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verifier_tensor: Option<String>,
}

/// What a tensor is made of.
enum Made {
    Verifier(SharedTensor),
    Ones,
    Random(Distribution),
}

/// Lays out the rows, in the order of the file.
///
/// # Errors
/// S201 and S203 for the verifier's tensors, S444 where they are quantized, S412 for values that the dtype cannot hold.
pub(super) fn lay_out(
    draft: &Draft<'_>,
    description: &Description,
    checkpoint: &Checkpoint,
    decisions: &mut Vec<Decision>,
) -> Result<(Vec<Row>, Vec<InitRow>)> {
    let states = draft.kind.aux_layer_ids.len();
    let expected = match description {
        Description::Eagle3(head) => head.expected_tensors(states),
        Description::Block(head) => head.expected_tensors(states),
        Description::Eagle(_) | Description::Mtp(_) => Vec::new(),
    };
    let dtype = plan::stored(draft.kind.dtype);
    let shared = shared(&expected, draft, checkpoint, decisions)?;
    let mut laid: Vec<(Row, String)> = Vec::with_capacity(expected.len() + 2);
    for wanted in &expected {
        laid.push(match made(wanted, &expected) {
            Made::Verifier(tensor) => taken(wanted, tensor, &shared, draft, checkpoint)?,
            Made::Ones => (ones(wanted, dtype), "ones".to_owned()),
            Made::Random(distribution) => {
                let fill = Fill::new(draft.request.seed, &wanted.name, distribution);
                let row = Row::random(&wanted.name, dtype, wanted.shape.clone(), fill);
                (row, in_words(distribution))
            }
        });
    }
    if let Some(map) = draft.map {
        let rows = eagle3::rows_of_map(map, &Default::default(), |_| None);
        laid.extend(rows.into_iter().map(|row| (row, "vocabulary".to_owned())));
    }
    let (mut rows, from): (Vec<Row>, Vec<String>) = laid.into_iter().unzip();
    let sources = Sources {
        source: checkpoint,
        verifier: None,
    };
    if let Some(mut cast) = cast::rows(&mut rows, dtype, &sources, &draft.verifier.place())? {
        if draft.request.dtype.is_none() {
            cast.reason = cast
                .reason
                .replace("given by the caller", "as all of the head");
        }
        decisions.push(cast);
    }
    // Widest dtype first, as the reference library lays them out.
    let mut both: Vec<(Row, String)> = rows.into_iter().zip(from).collect();
    both.sort_by(|(a, _), (b, _)| {
        b.dtype
            .cmp(&a.dtype)
            .then_with(|| a.destination.cmp(&b.destination))
    });
    let shown = both.iter().map(|(row, from)| show(row, from)).collect();
    Ok((both.into_iter().map(|(row, _)| row).collect(), shown))
}

fn show(row: &Row, from: &str) -> InitRow {
    InitRow {
        name: row.destination.clone(),
        shape: row.shape.clone(),
        dtype: format!("{:?}", row.dtype),
        bytes: row.bytes,
        from: from.to_owned(),
        verifier_tensor: row.source.clone(),
    }
}

/// How the Python package fills a tensor of this name.
fn made(wanted: &Expected, all: &[Expected]) -> Made {
    let name = wanted.name.as_str();
    match name {
        "embed_tokens.weight" => return Made::Verifier(SharedTensor::EmbedTokens),
        "lm_head.weight" => return Made::Verifier(SharedTensor::LmHead),
        // It is made after the package has gone over all weights, and so is everything of DSpark's.
        "mask_hidden" => return Made::Random(Distribution::Normal(1.0)),
        "markov_head.markov_w1.weight" => {
            return Made::Random(Distribution::Normal(MARKOV_DEVIATION));
        }
        _ => {}
    }
    if name.starts_with("markov_head.") || name.starts_with("confidence_head.") {
        let columns = columns(wanted, all);
        #[expect(clippy::cast_precision_loss, reason = "no matrix has 2^52 columns")]
        return Made::Random(Distribution::Uniform(1.0 / (columns as f64).sqrt()));
    }
    if wanted.shape.len() == 1 {
        return Made::Ones;
    }
    Made::Random(Distribution::Normal(DEVIATION))
}

/// Columns of a projection, or of the one that a bias belongs to: what PyTorch scales both by.
fn columns(wanted: &Expected, all: &[Expected]) -> usize {
    let weight = wanted
        .name
        .strip_suffix(".bias")
        .map(|stem| format!("{stem}.weight"));
    let matrix = weight.and_then(|name| all.iter().find(|other| other.name == name));
    matrix
        .unwrap_or(wanted)
        .shape
        .last()
        .copied()
        .unwrap_or(1)
        .max(1)
}

fn in_words(distribution: Distribution) -> String {
    match distribution {
        Distribution::Normal(deviation) => format!("normal(0, {deviation})"),
        Distribution::Uniform(bound) => format!("uniform(-{bound:.4}, {bound:.4})"),
    }
}

fn ones(wanted: &Expected, dtype: Dtype) -> Row {
    let mut one = Vec::new();
    cast::convert(Dtype::F32, dtype, &1.0_f32.to_le_bytes(), &mut one);
    let elements: usize = wanted.shape.iter().product();
    Row::built(
        None,
        &wanted.name,
        dtype,
        wanted.shape.clone(),
        one.repeat(elements),
    )
}

/// The verifier's tensors that this head takes over.
fn shared(
    expected: &[Expected],
    draft: &Draft<'_>,
    checkpoint: &Checkpoint,
    decisions: &mut Vec<Decision>,
) -> Result<Vec<Located>> {
    let wanted: Vec<SharedTensor> = [SharedTensor::EmbedTokens, SharedTensor::LmHead]
        .into_iter()
        .filter(|tensor| {
            expected
                .iter()
                .any(|expected| expected.name == format!("{tensor}.weight"))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    not_in_parts(&wanted, checkpoint)?;
    let views: Vec<TensorView<'_>> = checkpoint
        .names()
        .filter(|name| name.ends_with(".weight"))
        .filter_map(|name| checkpoint.tensor(name))
        .collect();
    let listed: Vec<(&str, &[usize])> = views.iter().map(|view| (view.name, view.shape)).collect();
    let located = locate(&wanted, &listed, checkpoint.config())?;
    for found in &located {
        let rows = match (found.tensor, draft.map) {
            (SharedTensor::LmHead, Some(map)) => {
                format!("{} rows of `{}`", map.draft_to_target.len(), found.name)
            }
            _ => format!("`{}` {:?}", found.name, found.shape),
        };
        decisions.push(Decision::settled(
            format!("{}.weight", found.tensor),
            rows,
            found.found.reason(),
        ));
    }
    Ok(located)
}

/// S444 where a matrix is stored as codes and scales, under names that are not looked for.
fn not_in_parts(wanted: &[SharedTensor], checkpoint: &Checkpoint) -> Result<()> {
    for tensor in wanted {
        let part = checkpoint.names().find(|name| {
            let Some((stem, end)) = name.rsplit_once('.') else {
                return false;
            };
            QUANTIZED.contains(&end) && stem.rsplit('.').next() == Some(tensor.keyword())
        });
        if let Some(part) = part {
            return Err(quantized(
                checkpoint,
                part,
                format!("`{tensor}` of the verifier is quantized: there is `{part}`"),
            )
            .into());
        }
    }
    Ok(())
}

fn quantized(checkpoint: &Checkpoint, name: &str, title: String) -> Diagnostic {
    Diagnostic::error(codes::SHARED_QUANTIZED, title)
        .at(checkpoint.place(name))
        .note("a head takes values over, and codes have none without their scales")
        .help("start from the checkpoint it was quantized from; the head serves the quantized verifier all the same")
}

/// A tensor of the verifier, as a whole or the rows of the vocabulary.
fn taken(
    wanted: &Expected,
    tensor: SharedTensor,
    shared: &[Located],
    draft: &Draft<'_>,
    checkpoint: &Checkpoint,
) -> Result<(Row, String)> {
    let found = shared.iter().find(|found| found.tensor == tensor);
    let view = found.and_then(|found| checkpoint.tensor(&found.name));
    let Some(view) = view else {
        let title = format!("the verifier's `{tensor}` cannot be read");
        return Err(Diagnostic::error(codes::TENSOR_MISSING, title)
            .at(checkpoint.weights_place())
            .into());
    };
    let place = || Place::tensor(view.path, view.name);
    if !is_float(view.dtype) {
        let title = format!(
            "`{}` of the verifier is stored as {:?}",
            view.name, view.dtype
        );
        return Err(quantized(checkpoint, view.name, title).into());
    }
    let whole = [draft.verifier.vocab_size, draft.verifier.hidden_size];
    if view.shape != whole {
        let title = format!(
            "`{}` of the verifier is {:?}, but its config asks for {whole:?}",
            view.name, view.shape
        );
        return Err(Diagnostic::error(codes::TENSOR_SHAPE, title)
            .at(place())
            .note(format!("{whole:?}: vocab_size, hidden_size"))
            .into());
    }
    let rows = draft.map.filter(|_| tensor == SharedTensor::LmHead);
    let Some(map) = rows else {
        let row = Row::copied(Origin::Source, &view, &wanted.name);
        return Ok((row, "verifier".to_owned()));
    };
    let targets = map.draft_to_target.iter().map(|target| *target as usize);
    let row = Row::assembled(
        view.name,
        &wanted.name,
        view.dtype,
        wanted.shape.clone(),
        vec![Piece::rows(Origin::Source, &view, targets)],
    );
    Ok((row, "verifier, rows of the vocabulary".to_owned()))
}
