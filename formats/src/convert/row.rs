//! One tensor of the output: what it is called, and which bytes it is made of.

use std::io::Write;
use std::ops::Range;

use safetensors::Dtype;
use serde::Serialize;

use super::cast;
use crate::checkpoint::{Checkpoint, TensorView};
use crate::init::random::Fill;

/// What happens to one destination tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Same name, same bytes.
    Copied,
    /// Another name, same bytes.
    Renamed,
    /// Same values in another dtype.
    Cast,
    /// Put together from parts of source tensors: stacked, split, reordered.
    Assembled,
    /// Built from what the source says in another form: a vocabulary map.
    Built,
    /// Drawn at random, for a head that is to be trained.
    Random,
}

/// One destination tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name in the source; `None` where the source has no such tensor.
    pub source: Option<String>,
    /// Name in the output.
    pub destination: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Dtype in the output.
    #[serde(serialize_with = "dtype_name")]
    pub dtype: Dtype,
    /// What happens to it.
    pub action: Action,
    /// Bytes in the output.
    pub bytes: u64,
    #[serde(skip)]
    pub(crate) content: Content,
}

/// Where the bytes of a row come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// Byte ranges of source tensors, one after another.
    Pieces(Vec<Piece>),
    /// The same, with each element converted from this dtype to the row's.
    Cast { pieces: Vec<Piece>, from: Dtype },
    /// Bytes made for the output.
    Built(Vec<u8>),
    /// Random values, made as they are written.
    Random(Fill),
}

/// Parts of one source tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    pub origin: Origin,
    /// Name in that checkpoint.
    pub tensor: String,
    /// Byte ranges, in the order they are written.
    pub ranges: Vec<Range<usize>>,
}

/// Which checkpoint a piece is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The head that is converted.
    Source,
    /// The verifier it is converted for.
    Verifier,
}

impl Piece {
    /// A whole tensor.
    pub fn whole(origin: Origin, view: &TensorView<'_>) -> Piece {
        Piece {
            origin,
            tensor: view.name.to_owned(),
            ranges: std::iter::once(0..view.data.len()).collect(),
        }
    }

    /// Rows of a matrix, in this order; neighbours are joined into one range.
    pub fn rows(origin: Origin, view: &TensorView<'_>, rows: impl Iterator<Item = usize>) -> Piece {
        let width = view
            .shape
            .first()
            .map_or(0, |rows| view.data.len() / rows.max(&1));
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for row in rows {
            let range = row * width..(row + 1) * width;
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        Piece {
            origin,
            tensor: view.name.to_owned(),
            ranges,
        }
    }

    fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.len() as u64).sum()
    }
}

impl Row {
    /// A source tensor as it is, under the name `destination`.
    pub(crate) fn copied(origin: Origin, view: &TensorView<'_>, destination: &str) -> Row {
        Row {
            source: Some(view.name.to_owned()),
            destination: destination.to_owned(),
            shape: view.shape.to_vec(),
            dtype: view.dtype,
            action: if view.name == destination && origin == Origin::Source {
                Action::Copied
            } else {
                Action::Renamed
            },
            bytes: view.data.len() as u64,
            content: Content::Pieces(vec![Piece::whole(origin, view)]),
        }
    }

    /// Parts of source tensors, one after another; `source` says in a word what they are.
    pub(crate) fn assembled(
        source: impl Into<String>,
        destination: impl Into<String>,
        dtype: Dtype,
        shape: Vec<usize>,
        pieces: Vec<Piece>,
    ) -> Row {
        Row {
            source: Some(source.into()),
            destination: destination.into(),
            shape,
            dtype,
            action: Action::Assembled,
            bytes: pieces.iter().map(Piece::bytes).sum(),
            content: Content::Pieces(pieces),
        }
    }

    /// Bytes made for the output; `source` is the tensor they restate, if there is one.
    pub(crate) fn built(
        source: Option<String>,
        destination: impl Into<String>,
        dtype: Dtype,
        shape: Vec<usize>,
        bytes: Vec<u8>,
    ) -> Row {
        Row {
            source,
            destination: destination.into(),
            shape,
            dtype,
            action: Action::Built,
            bytes: bytes.len() as u64,
            content: Content::Built(bytes),
        }
    }

    /// Random values of a floating-point dtype.
    pub(crate) fn random(
        destination: impl Into<String>,
        dtype: Dtype,
        shape: Vec<usize>,
        fill: Fill,
    ) -> Row {
        let elements: usize = shape.iter().product();
        Row {
            source: None,
            destination: destination.into(),
            shape,
            dtype,
            action: Action::Random,
            bytes: (elements * dtype.bitsize() / 8) as u64,
            content: Content::Random(fill),
        }
    }

    /// Gives the row another name in the output.
    pub(crate) fn rename(&mut self, destination: String) {
        let unchanged = self.source.as_ref() == Some(&destination);
        match self.action {
            Action::Copied | Action::Renamed if unchanged => self.action = Action::Copied,
            Action::Copied => self.action = Action::Renamed,
            _ => {}
        }
        self.destination = destination;
    }

    /// Source tensors this row is made of.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        let pieces = match &self.content {
            Content::Pieces(pieces) | Content::Cast { pieces, .. } => pieces.as_slice(),
            Content::Built(_) | Content::Random(_) => &[],
        };
        pieces
            .iter()
            .filter(|piece| piece.origin == Origin::Source)
            .map(|piece| piece.tensor.as_str())
            .chain(self.source.as_deref())
    }
}

/// The two checkpoints rows are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'a> {
    pub source: &'a Checkpoint,
    pub verifier: Option<&'a Checkpoint>,
}

impl<'a> Sources<'a> {
    /// Hands the bytes of a row on, in order and in parts of at most `limit` bytes; stops at the first error.
    ///
    /// # Errors
    /// Those of `sink`, and one for a piece that the checkpoints do not have: a fault of whoever planned the row.
    pub fn stream(
        &self,
        row: &Row,
        limit: usize,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        match &row.content {
            Content::Built(bytes) => bytes.chunks(limit).try_for_each(sink),
            Content::Random(fill) => {
                let elements: usize = row.shape.iter().product();
                let part = (limit / (row.dtype.bitsize() / 8)).max(1);
                (0..elements).step_by(part).try_for_each(|begin| {
                    sink(&fill.bytes(row.dtype, begin..elements.min(begin + part)))
                })
            }
            Content::Pieces(pieces) => self.pieces(pieces, limit, sink),
            Content::Cast { pieces, from } => {
                // In whole elements, of which the widest has eight bytes.
                let limit = (limit / 8).max(1) * 8;
                let mut buffer = Vec::new();
                self.pieces(pieces, limit, &mut |bytes| {
                    buffer.clear();
                    cast::convert(*from, row.dtype, bytes, &mut buffer);
                    sink(&buffer)
                })
            }
        }
    }

    /// The bytes of a row that is a source tensor as it stands.
    pub fn whole(&self, row: &Row) -> Option<&'a [u8]> {
        let Content::Pieces(pieces) = &row.content else {
            return None;
        };
        let [piece] = pieces.as_slice() else {
            return None;
        };
        let data = self.data(piece).ok()?;
        match piece.ranges.as_slice() {
            [only] if *only == (0..data.len()) => Some(data),
            _ => None,
        }
    }

    /// Appends the bytes of a row to a file, in parts of at most `limit` bytes, and tells the length of each.
    ///
    /// # Errors
    /// As [`Sources::stream`], and those of `told`.
    pub fn write(
        &self,
        row: &Row,
        limit: usize,
        file: &mut fs_err::File,
        told: &mut dyn FnMut(usize) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let Content::Pieces(pieces) = &row.content else {
            return self.stream(row, limit, &mut |bytes| {
                file.write_all(bytes)?;
                told(bytes.len())
            });
        };
        let mut buffer = Vec::new();
        for piece in pieces {
            let (checkpoint, view) = self.view(piece)?;
            let stretch = checkpoint.stretch(&view);
            for range in &piece.ranges {
                if range.end > view.data.len() {
                    return Err(lost(piece));
                }
                for begin in range.clone().step_by(limit) {
                    let end = range.end.min(begin + limit);
                    stretch.append_to(begin..end, file, &mut buffer)?;
                    told(end - begin)?;
                }
            }
        }
        Ok(())
    }

    fn pieces(
        &self,
        pieces: &[Piece],
        limit: usize,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        for piece in pieces {
            let data = self.data(piece)?;
            for range in &piece.ranges {
                let part = data.get(range.clone()).ok_or_else(|| lost(piece))?;
                part.chunks(limit).try_for_each(&mut *sink)?;
            }
        }
        Ok(())
    }

    fn data(&self, piece: &Piece) -> std::io::Result<&'a [u8]> {
        Ok(self.view(piece)?.1.data)
    }

    fn view(&self, piece: &Piece) -> std::io::Result<(&'a Checkpoint, TensorView<'a>)> {
        let checkpoint = match piece.origin {
            Origin::Source => Some(self.source),
            Origin::Verifier => self.verifier,
        };
        checkpoint
            .and_then(|checkpoint| Some((checkpoint, checkpoint.tensor(&piece.tensor)?)))
            .ok_or_else(|| lost(piece))
    }
}

fn lost(piece: &Piece) -> std::io::Error {
    std::io::Error::other(format!(
        "`{}` is not as long as the plan says; this is a fault of the program",
        piece.tensor
    ))
}

fn dtype_name<S: serde::Serializer>(dtype: &Dtype, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{dtype:?}"))
}
