//! Which layers of a block drafter look back over a window only, and what such a layer sees of the block.
//!
//! A layer without a window sees the whole block, later positions included. A layer with one sees it up to its own
//! position, or all of it where the head says so.

use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::Resolver;
use crate::speculator::Algorithm;

const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";
const NON_CAUSAL: &str = "sliding_window_non_causal";

/// Per layer its window; and whether such layers see the whole block, where the source settles that.
type Windows = (Vec<Option<usize>>, Option<bool>);

impl Resolver<'_> {
    pub(super) fn block_windows(&mut self, layers: usize) -> Option<Windows> {
        let types = self.decoder.str_list("layer_types");
        let types = self.keep(types)?;
        self.sound_types(types.as_deref().unwrap_or_default(), layers)?;
        let any = types.iter().flatten().any(|kind| kind == SLIDING);
        let swa = self.root.bool("dflash_config.use_swa");
        let swa = self.foreign() && self.keep(swa)?.unwrap_or(false);
        let own = self.root.usize("dflash_config.swa_window_size");
        let own = self.keep(own)?.filter(|_| self.foreign());
        let windows = if swa && !any {
            // Every layer slides, whatever its type, and sees the whole block.
            vec![self.window(own)?; layers]
        } else if any && own.is_some() {
            let window = self.window(own)?;
            let types = types.unwrap_or_default();
            types
                .iter()
                .map(|kind| window.filter(|_| kind == SLIDING))
                .collect()
        } else {
            if any {
                self.window(None)?;
            }
            self.sliding_windows(layers)
        };
        Some((windows, (swa && !any).then_some(true)))
    }

    /// One entry per layer, each of a kind that is known.
    fn sound_types(&mut self, types: &[String], layers: usize) -> Option<()> {
        let title = if !types.is_empty() && types.len() != layers {
            format!(
                "`{}` has {} entries for {layers} layers",
                self.decoder.name("layer_types"),
                types.len()
            )
        } else {
            let unknown = types.iter().find(|kind| *kind != FULL && *kind != SLIDING);
            let Some(unknown) = unknown else {
                return Some(());
            };
            format!(
                "`{}` has `{unknown}`, but has to have `{FULL}` or `{SLIDING}`",
                self.decoder.name("layer_types")
            )
        };
        self.problems.push(
            Diagnostic::error(codes::CONFIG_TYPE, title).at(self.decoder.place("layer_types")),
        );
        None
    }

    /// The width of the window, which a layer that slides cannot do without.
    fn window(&mut self, own: Option<usize>) -> Option<Option<usize>> {
        let written = self.decoder.usize("sliding_window");
        let width = own.or(self.keep(written)?).filter(|width| *width > 0);
        if width.is_some() {
            return Some(width);
        }
        self.problems.push(
            Diagnostic::error(
                codes::CONFIG_KEY_MISSING,
                format!(
                    "`{}` is missing, although layers slide",
                    self.decoder.name("sliding_window")
                ),
            )
            .at(self.decoder.place("layer_types")),
        );
        None
    }

    /// Whether layers with a window see the whole block.
    pub(super) fn non_causal(
        &mut self,
        algorithm: Algorithm,
        windows: &[Option<usize>],
        forced: Option<bool>,
    ) -> bool {
        let slides = windows.iter().any(Option::is_some);
        if !self.foreign() {
            let written = self.root.bool(NON_CAUSAL);
            if let Some(written) = self.keep(written).flatten() {
                return written;
            }
            let value = algorithm == Algorithm::DFlash2;
            let reason =
                "the config does not say; the Python package takes this then, and vLLM true";
            self.decisions.push(Decision {
                subject: NON_CAUSAL.to_owned(),
                value: value.to_string(),
                reason: reason.to_owned(),
                guess: !value,
            });
            return value;
        }
        let causal = self.root.bool("dflash_config.causal");
        let causal = self.keep(causal).flatten();
        if causal == Some(true) && windows.iter().any(Option::is_none) {
            self.contradiction(
                "dflash_config.causal",
                "layers without a window see no later position of the block, and that is not supported".to_owned(),
            )
            .notes
            .push("`dflash_config.causal` is true; in the speculators layout such layers see the whole block".to_owned());
        }
        let (value, reason) = match (causal, forced) {
            _ if !slides => (
                true,
                "no layer slides; vLLM goes by it for layers that do not, and these see the whole block",
            ),
            (Some(causal), _) => (!causal, "`dflash_config.causal` says so"),
            (None, Some(forced)) => (
                forced,
                "`use_swa` gives every layer a window, and such layers see the whole block",
            ),
            (None, None) => (
                false,
                "the config does not say; trainers and vLLM let a layer that slides see no later position",
            ),
        };
        self.decisions
            .push(Decision::settled(NON_CAUSAL, value, reason));
        value
    }
}
