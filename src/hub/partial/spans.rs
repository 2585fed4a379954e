//! Which bytes to ask for, so that little is asked for in vain and no request is too long to be repeated.

use std::ops::Range;

use super::RemoteTensor;

/// Bytes between two tensors that are rather fetched than asked around.
const GAP: u64 = 32 << 10;

/// Bytes of one request.
const LONGEST: u64 = 64 << 20;

/// One request, and where its bytes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// File it is of.
    pub file: String,
    /// Bytes of that file.
    pub range: Range<u64>,
    /// Parts of the range that are wanted, in order, and where each begins among the output's tensors.
    pub pieces: Vec<(Range<u64>, u64)>,
}

/// Requests for tensors that will lie one after another in the given order.
pub(super) fn spans(tensors: &[RemoteTensor]) -> Vec<Span> {
    let mut at = 0;
    let mut placed: Vec<(&RemoteTensor, u64)> = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        placed.push((tensor, at));
        at += tensor.bytes();
    }
    placed.sort_by(|(one, _), (other, _)| (&one.file, one.begin).cmp(&(&other.file, other.begin)));
    let mut spans: Vec<Span> = Vec::new();
    for (tensor, goal) in placed {
        let mut begin = tensor.begin;
        while begin < tensor.end {
            let near = spans.last_mut().filter(|span| {
                span.file == tensor.file
                    && begin >= span.range.end
                    && begin - span.range.end <= GAP
                    && begin - span.range.start < LONGEST
            });
            let start = near.as_ref().map_or(begin, |span| span.range.start);
            let end = tensor.end.min(start + LONGEST);
            let piece = (begin..end, goal + (begin - tensor.begin));
            match near {
                Some(span) => {
                    span.range.end = end;
                    span.pieces.push(piece);
                }
                None => spans.push(Span {
                    file: tensor.file.clone(),
                    range: begin..end,
                    pieces: vec![piece],
                }),
            }
            begin = end;
        }
    }
    spans
}

impl Span {
    /// The parts of `bytes`, which begin at `at` in the file, that are wanted, and where each goes.
    pub fn cut<'a>(&self, at: u64, bytes: &'a [u8]) -> impl Iterator<Item = (u64, &'a [u8])> {
        let end = at + bytes.len() as u64;
        self.pieces.iter().filter_map(move |(range, goal)| {
            let (from, to) = (range.start.max(at), range.end.min(end));
            // Inside of `bytes`, whose length is a `usize`.
            let part =
                bytes.get((from.checked_sub(at)? as usize)..(to.checked_sub(at)? as usize))?;
            (from < to).then_some((goal + (from - range.start), part))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::Dtype;

    fn tensor(file: &str, begin: u64, end: u64) -> RemoteTensor {
        RemoteTensor {
            name: format!("{file}-{begin}"),
            dtype: Dtype::U8,
            shape: vec![],
            file: file.to_owned(),
            begin,
            end,
        }
    }

    /// Every byte of every tensor goes to its place, once.
    fn check(tensors: &[RemoteTensor]) -> Vec<Span> {
        let spans = spans(tensors);
        let mut pieces: Vec<(u64, u64)> = spans
            .iter()
            .flat_map(|span| span.pieces.iter())
            .map(|(range, goal)| (*goal, goal + (range.end - range.start)))
            .collect();
        pieces.sort_unstable();
        let mut at = 0;
        for (begin, end) in pieces {
            assert_eq!(begin, at);
            at = end;
        }
        assert_eq!(at, tensors.iter().map(RemoteTensor::bytes).sum::<u64>());
        assert!(
            spans
                .iter()
                .all(|span| span.range.end - span.range.start <= LONGEST)
        );
        spans
    }

    #[test]
    fn neighbours_are_asked_for_together_and_long_ones_in_parts() {
        assert_eq!(check(&[tensor("a", 0, 10), tensor("a", 20, 30)]).len(), 1);
        assert_eq!(check(&[tensor("a", 0, 10), tensor("b", 10, 30)]).len(), 2);
        assert_eq!(
            check(&[tensor("a", 0, 10), tensor("a", 1 << 20, 2 << 20)]).len(),
            2
        );
        assert_eq!(
            check(&[tensor("a", 5, 5 + 3 * LONGEST), tensor("a", 0, 5)]).len(),
            4
        );
        assert_eq!(check(&[tensor("a", 7, 7)]).len(), 0);
    }

    #[test]
    fn what_arrives_is_cut_at_the_gaps() {
        let spans = check(&[tensor("a", 0, 4), tensor("a", 6, 9)]);
        let bytes = b"0123456789";
        let cut: Vec<(u64, &[u8])> = spans[0].cut(2, &bytes[2..8]).collect();
        assert_eq!(cut, [(2, &b"23"[..]), (4, &b"67"[..])]);
    }
}
