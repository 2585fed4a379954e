//! A finetuned MTP head → back into the verifier it was taken from.
//!
//! [`plan`] decides everything and writes nothing: each tensor of the layer inside the verifier gets its new bytes from
//! the head, under the name, in the shape and in the dtype it has there. Files then keep their size and their headers, and
//! [`StitchPlan::write_until`] copies the directory with only those bytes exchanged.

use std::ops::Range;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use serde::Serialize;

use super::{ExpertStorage, MtpHead, MtpMlp, judge, names};
use crate::checkpoint::TensorView;
use crate::codes;
use crate::convert::output;
use crate::diagnostic::{Diagnostic, Place};
use crate::head::Dropped;
use crate::options::ReadOptions;
use crate::{Checkpoint, Result};

mod files;
mod write;

pub use files::StitchFile;

/// Which head to put into which verifier, and where to.
#[derive(Clone, Debug)]
pub struct StitchRequest {
    /// Directory of the head.
    pub speculator: PathBuf,
    /// Directory of the verifier it was taken from.
    pub verifier: PathBuf,
    /// Directory to write.
    pub output: PathBuf,
    /// Replaces an existing output once the new one is complete.
    pub force: bool,
}

/// One tensor of the verifier that gets new bytes.
#[derive(Clone, Debug, Serialize)]
pub struct StitchRow {
    /// The tensor of the head they come from.
    pub source: String,
    /// Its name in the verifier.
    pub destination: String,
    /// File it lies in, from the top of the directory.
    pub file: PathBuf,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Dtype.
    #[serde(serialize_with = "dtype_name")]
    pub dtype: Dtype,
    /// Bytes.
    pub bytes: u64,
    /// Whether any of them differs from the verifier's.
    pub changed: bool,
    /// Where the tensor lies in its file.
    #[serde(skip)]
    span: Range<usize>,
    #[serde(skip)]
    pieces: Vec<Piece>,
}

/// Part of a tensor of the head.
#[derive(Clone, Debug)]
struct Piece {
    tensor: String,
    range: Range<usize>,
}

/// A decided stitch.
#[derive(Debug)]
pub struct StitchPlan {
    speculator: MtpHead,
    verifier: MtpHead,
    output: PathBuf,
    force: bool,
    rows: Vec<StitchRow>,
    files: Vec<StitchFile>,
    directories: Vec<PathBuf>,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct StitchReport {
    /// The directory.
    pub output: PathBuf,
    /// Bytes of all files.
    pub bytes: u64,
    /// One row per tensor that was exchanged.
    pub rows: Vec<StitchRow>,
    /// Every file of the directory.
    pub files: Vec<StitchFile>,
    /// Tensors of the head that were left out.
    pub dropped: Vec<Dropped>,
}

/// Decides a stitch without writing anything.
///
/// # Errors
/// Every problem of the head and of the layer in the verifier, as [`MtpHead::open`] reports them; S417 and S401 to S402 where
/// the two are not built alike; S203 and S204 where a tensor has another shape or dtype; S108 for an output that is there,
/// or that is one of the two.
pub fn plan(request: &StitchRequest) -> Result<StitchPlan> {
    let mut problems = output::apart(
        &request.output,
        &[
            (&request.speculator, "speculator", true),
            (&request.verifier, "verifier", true),
        ],
    );
    if problems.is_empty() {
        problems.extend(output::occupied(&request.output, request.force));
    }
    let mut open = |path: &Path| {
        let head = MtpHead::open(path, &ReadOptions::default());
        head.map_err(|found| problems.extend(found)).ok()
    };
    let (speculator, verifier) = (open(&request.speculator), open(&request.verifier));
    let (Some(speculator), Some(verifier), true) = (speculator, verifier, problems.is_empty())
    else {
        return Err(problems);
    };
    let found = judge::differences(&speculator, &request.verifier)?;
    if !found.is_empty() {
        return Err(found);
    }
    let rows = rows(&speculator, &verifier)?;
    let (files, directories) = files::list(verifier.checkpoint.root(), &rows)?;
    Ok(StitchPlan {
        speculator,
        verifier,
        output: request.output.clone(),
        force: request.force,
        rows,
        files,
        directories,
    })
}

impl StitchPlan {
    /// One row per tensor that is exchanged.
    #[must_use]
    pub fn rows(&self) -> &[StitchRow] {
        &self.rows
    }

    /// Every file of the output.
    #[must_use]
    pub fn files(&self) -> &[StitchFile] {
        &self.files
    }

    /// Tensors of the head that are left out, with reasons.
    #[must_use]
    pub fn dropped(&self) -> &[Dropped] {
        &self.speculator.dropped
    }

    /// Directory to be written.
    #[must_use]
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// Bytes to be written.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// A row for each tensor of the layer, as the verifier stores it.
fn rows(speculator: &MtpHead, verifier: &MtpHead) -> Result<Vec<StitchRow>> {
    let mut problems = Vec::new();
    let mut rows = Vec::new();
    let storage = verifier.experts.unwrap_or(ExpertStorage::Split);
    for wanted in verifier.description.expected_as(storage) {
        let Some(there) = verifier.tensor(&wanted.name) else {
            continue;
        };
        let pieces = pieces(speculator, &wanted.name);
        match row(speculator, &verifier.checkpoint, there, pieces) {
            Ok(row) => rows.push(row),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(rows)
    } else {
        Err(problems)
    }
}

/// The parts of the head that make up a tensor, whichever way either stores its experts.
fn pieces(speculator: &MtpHead, canonical: &str) -> Vec<Piece> {
    let whole = |view: &TensorView<'_>| Piece {
        tensor: view.name.to_owned(),
        range: 0..view.data.len(),
    };
    let parts = speculator.parts(canonical);
    if !parts.is_empty() {
        return parts.iter().map(whole).collect();
    }
    expert(speculator, canonical).into_iter().collect()
}

/// One matrix of one expert, out of a fused tensor.
fn expert(speculator: &MtpHead, canonical: &str) -> Option<Piece> {
    let MtpMlp::Moe { num_experts, .. } = speculator.description.mlp else {
        return None;
    };
    let (expert, part) = names::expert(canonical)?;
    let (fused, half) = match part {
        "gate_proj" => (names::GATE_UP, Some(0)),
        "up_proj" => (names::GATE_UP, Some(1)),
        _ => (names::DOWN, None),
    };
    let view = speculator.tensor(&format!("{}{fused}", names::LAYER))?;
    let length = view.data.len().checked_div(num_experts)?;
    let begin = expert * length;
    let range = match half {
        Some(half) => begin + half * (length / 2)..begin + (half + 1) * (length / 2),
        None => begin..begin + length,
    };
    Some(Piece {
        tensor: view.name.to_owned(),
        range,
    })
}

fn row(
    speculator: &MtpHead,
    verifier: &Checkpoint,
    there: TensorView<'_>,
    pieces: Vec<Piece>,
) -> Result<StitchRow, Diagnostic> {
    let views: Vec<TensorView<'_>> = pieces
        .iter()
        .filter_map(|piece| speculator.checkpoint.tensor(&piece.tensor))
        .collect();
    let Some(first) = views.first() else {
        let title = format!("the head has nothing for `{}` of the verifier", there.name);
        return Err(Diagnostic::error(codes::TENSOR_MISSING, title)
            .at(speculator.checkpoint.weights_place()));
    };
    if let Some(other) = views.iter().find(|view| view.dtype != there.dtype) {
        let title = format!(
            "`{}` has dtype {:?}, and `{}` of the verifier {:?}",
            other.name, other.dtype, there.name, there.dtype
        );
        return Err(Diagnostic::error(codes::TENSOR_DTYPE, title)
            .at(Place::tensor(other.path, other.name))
            .help("convert the head with `--dtype` to the verifier's dtype first"));
    }
    let bytes: usize = pieces.iter().map(|piece| piece.range.len()).sum();
    let whole = pieces.len() == 1 && pieces[0].range.len() == first.data.len();
    if bytes != there.data.len() || (whole && first.shape != there.shape) {
        let title = format!(
            "`{}` is {:?}, and `{}` of the verifier {:?}",
            first.name, first.shape, there.name, there.shape
        );
        return Err(
            Diagnostic::error(codes::TENSOR_SHAPE, title).at(Place::tensor(first.path, first.name))
        );
    }
    let Some(span) = verifier.span(there.name) else {
        let title =
            "the verifier's weights are in a PyTorch file, and only safetensors are rewritten";
        return Err(Diagnostic::error(codes::NOT_REPRESENTABLE, title)
            .at(Place::tensor(there.path, there.name)));
    };
    let source = match views.len() {
        1 => first.name.to_owned(),
        count => format!("{} and {} more", first.name, count - 1),
    };
    let mut row = StitchRow {
        source,
        destination: there.name.to_owned(),
        file: there
            .path
            .strip_prefix(verifier.root())
            .unwrap_or(there.path)
            .to_path_buf(),
        shape: there.shape.to_vec(),
        dtype: there.dtype,
        bytes: bytes as u64,
        changed: false,
        span,
        pieces,
    };
    row.changed = !is_made_of(&row, speculator, there.data);
    Ok(row)
}

/// Whether these bytes are the row's.
fn is_made_of(row: &StitchRow, speculator: &MtpHead, mut data: &[u8]) -> bool {
    for piece in &row.pieces {
        let part = speculator
            .checkpoint
            .tensor(&piece.tensor)
            .and_then(|view| view.data.get(piece.range.clone()));
        match part.and_then(|part| data.strip_prefix(part)) {
            Some(rest) => data = rest,
            None => return false,
        }
    }
    data.is_empty()
}

fn dtype_name<S: serde::Serializer>(dtype: &Dtype, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{dtype:?}"))
}
