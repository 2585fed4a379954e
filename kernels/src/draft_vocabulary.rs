//! The tokens that a head can propose.

use crate::{Error, Result, shape};

/// Which of the verifier's tokens a head can propose, and under which number. To all others it gives probability 0.
///
/// Rules of verification read the head's probabilities through this map, in the head's own numbering: nothing as wide
/// as the verifier's vocabulary is written for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftVocabulary {
    /// The verifier's tokens, by the head's numbers; nothing when both are numbered alike.
    to_verifier: Option<Vec<u32>>,
    /// The head's numbers by the verifier's tokens, [`NONE`] where it has none.
    to_draft: Vec<u32>,
    verifier_width: usize,
}

/// Marks a token that the head cannot propose.
const NONE: u32 = u32::MAX;

impl DraftVocabulary {
    /// A head that proposes all `width` tokens of the verifier.
    #[must_use]
    pub fn full(width: usize) -> DraftVocabulary {
        DraftVocabulary {
            to_verifier: None,
            to_draft: Vec::new(),
            verifier_width: width,
        }
    }

    /// A head whose token `i` is token `to_verifier[i]` of the verifier, which has `width` tokens. These are ids, not
    /// the offsets `d2t` holds in a checkpoint; any order will do.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] for an id that the verifier does not have, [`Error::Repeated`] for one that comes twice.
    pub fn new(to_verifier: &[u32], width: usize) -> Result<DraftVocabulary> {
        const OPERATION: &str = "draft vocabulary";
        let mut to_draft = vec![NONE; width];
        for (index, token) in to_verifier.iter().enumerate() {
            let token = *token as usize;
            shape::below(OPERATION, "token of the verifier", width, token)?;
            if to_draft[token] != NONE {
                return Err(Error::Repeated {
                    operation: OPERATION,
                    what: "token of the verifier",
                    first: to_draft[token] as usize,
                    index,
                    found: token,
                });
            }
            to_draft[token] = index as u32;
        }
        Ok(DraftVocabulary {
            to_verifier: Some(to_verifier.to_vec()),
            to_draft,
            verifier_width: width,
        })
    }

    /// Number of tokens the head can propose.
    #[must_use]
    pub fn draft_width(&self) -> usize {
        self.to_verifier
            .as_ref()
            .map_or(self.verifier_width, Vec::len)
    }

    /// The verifier's tokens by the head's numbers; nothing when both are numbered alike.
    #[must_use]
    pub fn verifier_ids(&self) -> Option<&[u32]> {
        self.to_verifier.as_deref()
    }

    /// Number of tokens the verifier has.
    #[must_use]
    pub fn verifier_width(&self) -> usize {
        self.verifier_width
    }

    /// The verifier's token for a number of the head's; nothing beyond [`draft_width`](Self::draft_width).
    #[must_use]
    pub fn to_verifier(&self, draft: u32) -> Option<u32> {
        match &self.to_verifier {
            Some(tokens) => tokens.get(draft as usize).copied(),
            None => Some(draft).filter(|draft| (*draft as usize) < self.verifier_width),
        }
    }

    /// The head's number for a token of the verifier; nothing for a token it cannot propose.
    #[must_use]
    #[inline(always)]
    pub fn to_draft(&self, token: u32) -> Option<u32> {
        match &self.to_verifier {
            Some(_) => self
                .to_draft
                .get(token as usize)
                .copied()
                .filter(|draft| *draft != NONE),
            None => Some(token).filter(|token| (*token as usize) < self.verifier_width),
        }
    }
}
