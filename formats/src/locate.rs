//! Where in a JSON text a key stands: a walk over the text that follows one path and skips everything else.
//!
//! The text has been parsed by `serde_json` before, so the walk need not diagnose anything; where it loses its way it
//! answers "not found".

/// Line and column, from 1, of the key at a dotted path (`speculators_config.verifier.name_or_path`), or of a list element
/// (`eagle_aux_hidden_state_layer_ids.1`).
pub(crate) fn position(text: &str, path: &str) -> Option<(usize, usize)> {
    let parts: Vec<&str> = path.split('.').collect();
    let offset = Walk { text, at: 0 }.find(&parts)?;
    let before = text.get(..offset)?;
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    Some((line, column))
}

struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl Walk<'_> {
    fn find(&mut self, path: &[&str]) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        match self.peek()? {
            b'{' => {
                self.at += 1;
                loop {
                    if self.peek()? == b'}' {
                        return None;
                    }
                    let start = self.at;
                    let key = self.string()?;
                    self.expect(b':')?;
                    if key == *first {
                        return if rest.is_empty() {
                            Some(start)
                        } else {
                            self.find(rest)
                        };
                    }
                    self.skip()?;
                    self.comma();
                }
            }
            b'[' => {
                let wanted: usize = first.parse().ok()?;
                self.at += 1;
                for _ in 0..wanted {
                    self.skip()?;
                    self.comma();
                }
                match self.peek()? {
                    b']' => None,
                    _ if rest.is_empty() => Some(self.at),
                    _ => self.find(rest),
                }
            }
            _ => None,
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while self.text.as_bytes().get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn comma(&mut self) {
        if self.peek() == Some(b',') {
            self.at += 1;
        }
    }

    fn string(&mut self) -> Option<String> {
        (self.peek()? == b'"').then_some(())?;
        let start = self.at;
        self.at += 1;
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        serde_json::from_str(self.text.get(start..self.at)?).ok()
    }

    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' | b'[' => {
                // Depth counting is enough: brackets inside strings are passed over as strings.
                let mut depth = 0;
                loop {
                    match self.peek()? {
                        b'"' => drop(self.string()?),
                        b'{' | b'[' => {
                            depth += 1;
                            self.at += 1;
                        }
                        b'}' | b']' => {
                            depth -= 1;
                            self.at += 1;
                            if depth == 0 {
                                return Some(());
                            }
                        }
                        _ => self.at += 1,
                    }
                }
            }
            _ => {
                while !matches!(self.text.as_bytes().get(self.at)?, b',' | b'}' | b']') {
                    self.at += 1;
                }
                Some(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::position;

    const TEXT: &str =
        "{\n  \"a\": {\"x\": [1, {\"y\": 2}]},\n  \"é\\\"b\": \"}]\",\n  \"ids\": [2, 4, 5]\n}";

    #[test]
    fn finds_keys_at_any_depth() {
        assert_eq!(position(TEXT, "a"), Some((2, 3)));
        assert_eq!(position(TEXT, "a.x.1.y"), Some((2, 19)));
        assert_eq!(position(TEXT, "ids"), Some((4, 3)));
    }

    #[test]
    fn finds_list_elements() {
        assert_eq!(position(TEXT, "ids.2"), Some((4, 17)));
        assert_eq!(position(TEXT, "ids.3"), None);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(position("{\"é\": 1, \"b\": 2}", "b"), Some((1, 10)));
    }

    #[test]
    fn an_absent_key_is_nowhere() {
        assert_eq!(position(TEXT, "a.z"), None);
        assert_eq!(position(TEXT, "ids.x"), None);
        assert_eq!(position("{", "a"), None);
    }
}
