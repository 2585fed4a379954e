//! Strings that end an output.

use crate::Result;
use crate::text::TextTokenizer;

/// Tokens that are decoded beyond those that a string can reach over, so that bytes cut off in front do no harm.
const MARGIN: usize = 8;

/// Strings that end an output as soon as its text contains one of them, as `stop` does in serving engines. The token
/// that completes it is the last of the output.
#[derive(Clone, Copy)]
pub struct StopStrings<'a> {
    texts: &'a [String],
    tokenizer: &'a TextTokenizer,
}

impl std::fmt::Debug for StopStrings<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.texts.fmt(formatter)
    }
}

impl<'a> StopStrings<'a> {
    /// Empty strings, which every text contains, end nothing.
    #[must_use]
    pub fn new(texts: &'a [String], tokenizer: &'a TextTokenizer) -> StopStrings<'a> {
        StopStrings { texts, tokenizer }
    }

    /// Whether the last token of an output has completed one of them. Tokens without text of their own, such as
    /// special ones, are taken for one character each.
    pub(crate) fn end(&self, output: &[u32]) -> Result<bool> {
        let longest = self.texts.iter().map(String::len).max().unwrap_or(0);
        if longest == 0 {
            return Ok(false);
        }
        let first = output.len().saturating_sub(longest + MARGIN);
        let text = self.tokenizer.decode(&output[first..])?;
        Ok(self.first_in(&text).is_some())
    }

    /// The text before the first of them, as engines return it.
    #[must_use]
    pub fn cut<'t>(&self, text: &'t str) -> &'t str {
        self.first_in(text).map_or(text, |at| &text[..at])
    }

    fn first_in(&self, text: &str) -> Option<usize> {
        let texts = self.texts.iter().filter(|stop| !stop.is_empty());
        texts.filter_map(|stop| text.find(stop.as_str())).min()
    }
}
