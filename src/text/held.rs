//! Text that comes in pieces and is to end before a string: what may be the beginning of it waits.

/// Pieces of a text on their way, each with a mark of the caller's.
#[derive(Clone, Debug)]
pub struct HeldText<'a, M> {
    stop: &'a [String],
    held: Vec<(String, M)>,
    ended: bool,
}

impl<'a, M: Copy> HeldText<'a, M> {
    /// A text that ends before the first of some strings; without any, nothing waits.
    #[must_use]
    pub fn new(stop: &'a [String]) -> HeldText<'a, M> {
        HeldText {
            stop,
            held: Vec::new(),
            ended: false,
        }
    }

    /// Takes in a piece and gives what can be shown: nothing of what may still become one of the strings, and nothing
    /// more once one of them was there.
    pub fn push(&mut self, piece: &str, mark: M) -> Vec<(String, M)> {
        if self.ended || piece.is_empty() {
            return Vec::new();
        }
        self.held.push((piece.to_owned(), mark));
        let text: String = self.held.iter().map(|(piece, _)| piece.as_str()).collect();
        let stops = || self.stop.iter().filter(|stop| !stop.is_empty());
        if let Some(end) = stops().filter_map(|stop| text.find(stop.as_str())).min() {
            self.ended = true;
            let shown = self.take(end);
            self.held.clear();
            return shown;
        }
        // From where on the text is how one of them begins.
        let places = text.char_indices().map(|(place, _)| place);
        let mut open = places.filter(|place| stops().any(|stop| stop.starts_with(&text[*place..])));
        let certain = open.next().unwrap_or(text.len());
        self.take(certain)
    }

    /// Ends the text: none of the strings will come any more.
    pub fn finish(self) -> Vec<(String, M)> {
        self.held
    }

    /// The first `length` bytes of what is held.
    fn take(&mut self, mut length: usize) -> Vec<(String, M)> {
        let mut taken = Vec::new();
        while length > 0 && !self.held.is_empty() {
            let (mut piece, mark) = self.held.remove(0);
            if piece.len() > length {
                self.held.insert(0, (piece.split_off(length), mark));
            }
            length -= piece.len();
            taken.push((piece, mark));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(stop: &[&str], pieces: &[&str]) -> (Vec<String>, String) {
        let stop: Vec<String> = stop.iter().map(|stop| (*stop).to_owned()).collect();
        let mut held = HeldText::new(&stop);
        let join = |pieces: Vec<(String, usize)>| -> String {
            pieces.into_iter().map(|(piece, _)| piece).collect()
        };
        let seen = pieces.iter().enumerate();
        let seen = seen
            .map(|(place, piece)| join(held.push(piece, place)))
            .collect();
        (seen, join(held.finish()))
    }

    fn same(found: (Vec<String>, String), seen: &[&str], rest: &str) {
        assert_eq!(
            found,
            (
                seen.iter().map(|s| (*s).to_owned()).collect(),
                rest.to_owned()
            )
        );
    }

    #[test]
    fn the_beginning_of_a_stop_string_waits() {
        same(
            shown(&["\n\n"], &["a\n", "b", "\n", "\nc", "d"]),
            &["a", "\nb", "", "", ""],
            "",
        );
        same(
            shown(&["END"], &["aE", "N", "d E"]),
            &["a", "", "ENd "],
            "E",
        );
        same(
            shown(&["aab"], &["a", "a", "a", "b"]),
            &["", "", "a", ""],
            "",
        );
        same(shown(&["xyz", "y"], &["x", "y"]), &["", "x"], "");
        same(shown(&[], &["a", "é"]), &["a", "é"], "");
        same(shown(&["éé"], &["ué", "e"]), &["u", "ée"], "");
    }

    #[test]
    fn pieces_keep_their_marks() {
        let stop = ["END".to_owned()];
        let mut held = HeldText::new(&stop);
        assert_eq!(held.push("aE", 1), [("a".to_owned(), 1)]);
        assert_eq!(held.push("N", 2), []);
        assert_eq!(
            held.push("E", 3),
            [("E".to_owned(), 1), ("N".to_owned(), 2)]
        );
        assert_eq!(held.finish(), [("E".to_owned(), 3)]);
    }
}
