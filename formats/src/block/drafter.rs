//! What a block drafter has beside its layers, from the config and the tensors.

use super::{Drafter, MarkovHead};
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::Resolver;
use crate::speculator::Algorithm;

impl Resolver<'_> {
    pub(super) fn drafter(
        &mut self,
        algorithm: Algorithm,
        hidden_size: usize,
        vocab_size: usize,
        draft_vocab_size: usize,
    ) -> Option<Drafter> {
        match algorithm {
            Algorithm::DFlash2 => self.dflash2(hidden_size, vocab_size, draft_vocab_size),
            Algorithm::DSpark => self.dspark(hidden_size),
            Algorithm::XPress => self.xpress(),
            _ => Some(Drafter::DFlash),
        }
    }

    fn dflash2(&mut self, hidden: usize, vocabulary: usize, draft: usize) -> Option<Drafter> {
        let taps = self
            .view("layers.0.attention_conv.base_kernel")
            .filter(|view| view.shape.len() == 3)
            .map(|view| view.shape[1]);
        let conv_kernel_size = self.part("conv_kernel_size", taps, 2)?;
        // The projection has one row for each side, tap and group.
        let rows = self.dimension("layers.0.attention_conv.kernel_projection.weight", 0);
        let groups = rows
            .map(|rows| rows / conv_kernel_size.saturating_mul(2).max(1))
            .filter(|groups| *groups > 0);
        let conv_group_size = self.part(
            "conv_group_size",
            groups
                .map(|groups| hidden / groups)
                .filter(|size| *size > 0),
            16,
        )?;
        let rank = self.dimension("candidate_selector.hidden_projection.weight", 0);
        let selector_rank = self.part("selector_rank", rank, 256)?;
        let selector_top_k = self.part("selector_top_k", None, 16)?;
        if !hidden.is_multiple_of(conv_group_size) {
            let key = self.head_key("conv_group_size");
            self.contradiction(
                &key,
                format!("{hidden} channels cannot be parted into groups of {conv_group_size}"),
            );
            return None;
        }
        if draft != vocabulary {
            let title = format!(
                "the head has {draft} draft tokens of {vocabulary}, and DFlash2 needs the whole vocabulary"
            );
            self.contradiction("draft_vocab_size", title);
            return None;
        }
        if selector_top_k > vocabulary {
            let key = self.head_key("selector_top_k");
            let title = format!(
                "the selector chooses from {selector_top_k} candidates, and there are {vocabulary} tokens"
            );
            self.contradiction(&key, title);
            return None;
        }
        Some(Drafter::DFlash2 {
            conv_kernel_size,
            conv_group_size,
            selector_rank,
            selector_top_k,
        })
    }

    fn dspark(&mut self, hidden: usize) -> Option<Drafter> {
        let rank = self.dimension("markov_head.markov_w1.weight", 1);
        let key = self.head_key("markov_rank");
        let written = self.root.usize(&key);
        let written = self.keep(written)?;
        let markov_rank = match (written, rank) {
            (Some(written), _) => written,
            (None, rank) if rank.is_some() || self.foreign() => rank.unwrap_or(0),
            (None, _) => {
                self.assume("markov_rank", 256);
                256
            }
        };
        let markov_head_type = self.markov_head_type()?;
        let inputs = self.dimension("confidence_head.proj.weight", 1);
        let (there, joined) = (
            inputs.is_some(),
            inputs.is_some_and(|inputs| inputs > hidden),
        );
        // In foreign layouts the tensors know; the Python package's defaults are true.
        let flag = |key: &str| self.root.bool(&self.head_key(key));
        let (enabled, with_markov) = (
            flag("enable_confidence_head"),
            flag("confidence_head_with_markov"),
        );
        let (enabled, with_markov) = (self.keep(enabled)?, self.keep(with_markov)?);
        let (enable_confidence_head, confidence_head_with_markov) = if self.foreign() {
            (there, joined)
        } else {
            (enabled.unwrap_or(true), with_markov.unwrap_or(true))
        };
        if enable_confidence_head && confidence_head_with_markov && markov_rank == 0 {
            let key = self.head_key("confidence_head_with_markov");
            let title = "the confidence head reads the embedding of the previous token, and there is none: `markov_rank` is 0";
            self.contradiction(&key, title.to_owned());
            return None;
        }
        Some(Drafter::DSpark {
            markov_rank,
            markov_head_type,
            enable_confidence_head,
            confidence_head_with_markov,
        })
    }

    fn markov_head_type(&mut self) -> Option<MarkovHead> {
        let key = self.head_key("markov_head_type");
        let kinds = [MarkovHead::Vanilla, MarkovHead::Gated, MarkovHead::Rnn];
        let written = self.root.str(&key);
        if let Some(written) = self.keep(written)? {
            let known = kinds
                .into_iter()
                .find(|kind| written.eq_ignore_ascii_case(kind.as_str()));
            if known.is_none() {
                let title =
                    format!("`{key}` is `{written}`, but has to be `vanilla`, `gated` or `rnn`");
                self.problems
                    .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(self.root.place(&key)));
            }
            return known;
        }
        Some(if self.has("markov_head.gate_proj.weight") {
            MarkovHead::Gated
        } else if self.has("markov_head.joint_proj.weight") {
            MarkovHead::Rnn
        } else {
            MarkovHead::Vanilla
        })
    }

    fn xpress(&mut self) -> Option<Drafter> {
        let rank = self.dimension("refiner_head.down_h.weight", 0);
        let xpress_rank = self.part("xpress_rank", rank, 256)?;
        let mlp = self.dimension("refiner_head.mlp_gate.weight", 0);
        let ratio = mlp
            .map(|rows| rows / xpress_rank)
            .filter(|ratio| *ratio > 0);
        Some(Drafter::XPress {
            xpress_rank,
            xpress_mlp_ratio: self.part("xpress_mlp_ratio", ratio, 2)?,
            num_jacobi_passes: self.part("num_jacobi_passes", None, 6)?,
        })
    }

    /// A size of the drafter: written down, or read off a tensor, or what the Python package assumes.
    fn part(&mut self, key: &str, by_tensor: Option<usize>, default: usize) -> Option<usize> {
        let name = self.head_key(key);
        let written = self.root.usize(&name);
        match (self.keep(written)?, by_tensor) {
            (Some(0), _) => {
                let title = format!("`{name}` is 0, but has to be positive");
                self.problems
                    .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(self.root.place(&name)));
                None
            }
            (Some(written), _) => Some(written),
            (None, Some(size)) if size > 0 => {
                let reason = "the config does not say; the tensors do";
                self.decisions.push(Decision::settled(key, size, reason));
                Some(size)
            }
            _ => {
                self.assume(key, default);
                Some(default)
            }
        }
    }

    fn assume(&mut self, key: &str, default: usize) {
        let reason = "the config does not say; this is the default of the Python package";
        self.decisions.push(Decision::guessed(key, default, reason));
    }
}
