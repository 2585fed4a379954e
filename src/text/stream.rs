//! Token ids to text while they come: what is shown once is never taken back.
//!
//! A token need not be text by itself. It may hold some bytes of a character, which are text only with the tokens that hold the
//! others; and a tokenizer may take the space off the first token of whatever it decodes. So each piece is the difference of two
//! decodings that begin at the same token, a little before what is new, and a replacement character at the end is held back
//! until it is known that no later token completes it.

use super::TextTokenizer;
use crate::Result;

/// Stands in a decoded text for bytes that are no character.
const REPLACEMENT: char = '\u{FFFD}';

/// A text that grows token by token.
///
/// The pieces put together are what [`TextTokenizer::decode`] makes of all ids at once. Only where a tokenizer has tokens for
/// single bytes (`<0xE4>`) and they make no character, it differs: of a row of such tokens decoding at once leaves nothing but
/// replacement characters, even of characters in the row that were complete and have been given.
pub struct TextStream<'a> {
    tokenizer: &'a TextTokenizer,
    ids: Vec<u32>,
    /// Where the decodings begin that are compared: at a token that begins with whole characters.
    begin: usize,
    /// How many tokens there were when last no character was incomplete. Decoding begins here next, or later.
    whole: usize,
    /// What the tokens from `begin` on have been shown as.
    shown: String,
}

impl<'a> TextStream<'a> {
    /// An empty text.
    #[must_use]
    pub fn new(tokenizer: &'a TextTokenizer) -> TextStream<'a> {
        TextStream {
            tokenizer,
            ids: Vec::new(),
            begin: 0,
            whole: 0,
            shown: String::new(),
        }
    }

    /// Takes in a token and gives the text that is certain now; nothing where it needs tokens that are still to come, or
    /// has no text.
    ///
    /// # Errors
    /// See [`TextTokenizer::decode`].
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids[self.begin..])?;
        let certain = text.trim_end_matches(REPLACEMENT);
        let piece = match certain.strip_prefix(self.shown.as_str()) {
            Some(piece) => piece.to_owned(),
            // What was shown does not stand any longer, and cannot be taken back.
            None if certain.len() == text.len() => self.since_whole()?,
            None => String::new(),
        };
        if piece.is_empty() {
            return Ok(piece);
        }
        if certain.len() == text.len() {
            // What came last is kept, so that the next token is not the first of its decoding.
            self.begin = self.whole;
            self.whole = self.ids.len();
            self.shown = self.tokenizer.decode(&self.ids[self.begin..])?;
        } else {
            self.shown.push_str(&piece);
        }
        Ok(piece)
    }

    /// The tokens so far.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Ends the text: gives what was held back, bytes that have become no character as replacement characters.
    ///
    /// # Errors
    /// See [`TextTokenizer::decode`].
    pub fn finish(self) -> Result<String> {
        let text = self.tokenizer.decode(&self.ids[self.begin..])?;
        match text.strip_prefix(self.shown.as_str()) {
            Some(piece) => Ok(piece.to_owned()),
            None => self.since_whole(),
        }
    }

    /// The text of what came after the last whole character, as if nothing stood before it.
    fn since_whole(&self) -> Result<String> {
        self.tokenizer.decode(&self.ids[self.whole..])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The pieces of a text, the last one being what was held back.
    fn pieces(tokenizer: &TextTokenizer, ids: &[u32]) -> Vec<String> {
        let mut stream = TextStream::new(tokenizer);
        let mut pieces: Vec<String> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
        pieces.push(stream.finish().unwrap());
        pieces
    }

    static FIXTURE: LazyLock<TextTokenizer> = LazyLock::new(|| {
        let verifier = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/verifier");
        TextTokenizer::load(Path::new(verifier)).unwrap()
    });
    static BYTE_FALLBACK: LazyLock<TextTokenizer> = LazyLock::new(with_byte_fallback);
    static WORD_PIECES: LazyLock<TextTokenizer> = LazyLock::new(with_word_pieces);

    fn tokenizer(model: &Value, decoder: &Value) -> TextTokenizer {
        let directory = tempfile::tempdir().unwrap();
        let special = json!({ "id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true });
        let file = json!({ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [special],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": decoder, "model": model });
        fs_err::write(directory.path().join("tokenizer.json"), file.to_string()).unwrap();
        TextTokenizer::load(directory.path()).unwrap()
    }

    /// As of Llama 2: spaces are `▁`, the first of a text is taken off, and bytes stand for what has no token.
    fn with_byte_fallback() -> TextTokenizer {
        let mut vocabulary = json!({ "<s>": 0, "▁": 1, "▁the": 2, "a": 3, "▁▁": 4, "é": 5 });
        for byte in 0..=255_u32 {
            vocabulary[format!("<0x{byte:02X}>")] = json!(6 + byte);
        }
        let decoders = json!([
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" },
            { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 }
        ]);
        tokenizer(
            &json!({ "type": "BPE", "byte_fallback": true, "vocab": vocabulary, "merges": [] }),
            &json!({ "type": "Sequence", "decoders": decoders }),
        )
    }

    fn with_word_pieces() -> TextTokenizer {
        let vocabulary = json!({ "<s>": 0, "[UNK]": 1, "do": 2, "##ing": 3, "not": 4, ".": 5, "n't": 6, ",": 7 });
        tokenizer(
            &json!({ "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": vocabulary }),
            &json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }),
        )
    }

    #[test]
    fn a_character_comes_with_the_token_that_completes_it() {
        let tokenizer = &BYTE_FALLBACK;
        // 世 is E4 B8 96.
        let ids = [3, 6 + 0xE4, 6 + 0xB8, 6 + 0x96, 3];
        assert_eq!(pieces(tokenizer, &ids), ["a", "", "", "世", "a", ""]);
    }

    #[test]
    fn a_character_that_never_comes_is_replaced_at_the_end() {
        let tokenizer = &BYTE_FALLBACK;
        let ids = [3, 6 + 0xE4, 6 + 0xB8];
        assert_eq!(pieces(tokenizer, &ids), ["a", "", "", "\u{FFFD}\u{FFFD}"]);
        // What comes after it shows that it will not be completed.
        let ids = [6 + 0xE4, 3];
        assert_eq!(pieces(tokenizer, &ids), ["", "\u{FFFD}a", ""]);
    }

    #[test]
    fn only_the_first_space_of_the_text_is_taken_off() {
        let tokenizer = &BYTE_FALLBACK;
        let ids = [0, 2, 2, 0, 1, 2];
        assert_eq!(
            pieces(tokenizer, &ids),
            ["", "the", " the", "", " ", " the", ""]
        );
    }

    #[test]
    fn special_tokens_have_no_text() {
        let tokenizer = &FIXTURE;
        assert_eq!(pieces(tokenizer, &[4, 4]), ["", "", ""]);
        assert!(pieces(tokenizer, &[]).concat().is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        /// Whatever the tokens are, characters in pieces and special ones among them.
        #[test]
        fn the_pieces_are_the_text(ids in prop::collection::vec(0..262_u32, 0..24)) {
            let tokenizer = &FIXTURE;
            prop_assert_eq!(pieces(tokenizer, &ids).concat(), tokenizer.decode(&ids).unwrap());
            let tokenizer = &BYTE_FALLBACK;
            let (whole, pieces_of) = (tokenizer.decode(&ids).unwrap(), pieces(tokenizer, &ids).concat());
            // Nothing is lost where bytes are no characters, and nothing differs where they are.
            if whole.contains(REPLACEMENT) {
                let sound = |text: &str| text.replace(REPLACEMENT, "").len();
                prop_assert!(pieces_of.contains(REPLACEMENT) && sound(&pieces_of) >= sound(&whole));
            } else {
                prop_assert_eq!(pieces_of, whole);
            }
            let tokenizer = &WORD_PIECES;
            let ids: Vec<u32> = ids.iter().map(|id| id % 8).collect();
            prop_assert_eq!(pieces(tokenizer, &ids).concat(), tokenizer.decode(&ids).unwrap());
        }

        /// Text of any script, cut into tokens wherever the tokenizer cuts it.
        #[test]
        fn text_survives(text in "\\PC{0,24}") {
            let tokenizer = &FIXTURE;
            let ids = tokenizer.encode(&text, false).unwrap();
            let pieces = pieces(tokenizer, &ids);
            prop_assert_eq!(pieces.concat(), tokenizer.decode(&ids).unwrap());
        }
    }
}
