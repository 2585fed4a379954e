//! Which algorithm a checkpoint holds: what its config declares, else what its tensors show.

use crate::checkpoint::Checkpoint;
use crate::diagnostic::Diagnostic;
use crate::head::bare_name;
use crate::mtp;
use crate::{Result, codes};

use super::Algorithm;

/// The algorithm of a checkpoint.
///
/// What is no kind of speculator comes out as EAGLE-3, whose reader says what it is instead.
///
/// # Errors
/// S110 for a declared algorithm this version does not know.
pub(crate) fn algorithm(checkpoint: &Checkpoint) -> Result<Algorithm> {
    let root = checkpoint.config().root();
    if let Some(declared) = root.str("speculators_model_type")? {
        return declared.parse().map_err(|()| {
            let known = Algorithm::ALL.map(|algorithm| format!("`{algorithm}`"));
            Diagnostic::error(
                codes::LAYOUT_UNKNOWN,
                format!("the head is of kind `{declared}`, which this version does not know"),
            )
            .at(root.place("speculators_model_type"))
            .note(format!("known are {}", known.join(", ")))
            .into()
        });
    }
    for key in ["transformer_layer_config", "speculators_config"] {
        if root.get(key).is_some() {
            return Err(Diagnostic::error(
                codes::CONFIG_KEY_MISSING,
                format!("`speculators_model_type` is missing, although `{key}` is there"),
            )
            .at(root.place(key))
            .note("it names the kind of head; no loader takes the config for one of speculators without it")
            .into());
        }
    }
    Ok(by_tensors(checkpoint).unwrap_or(Algorithm::Eagle3))
}

/// The algorithm that only these tensors belong to.
fn by_tensors(checkpoint: &Checkpoint) -> Option<Algorithm> {
    let bare: Vec<&str> = checkpoint.names().map(bare_name).collect();
    let any = |test: &dyn Fn(&str) -> bool| bare.iter().any(|name| test(name));
    let eagle3 =
        any(&|name| name.starts_with("midlayer.") || name == "layers.0.hidden_norm.weight");
    if eagle3 {
        return Some(if any(&|name| name == "mask_hidden") {
            Algorithm::PEagle
        } else {
            Algorithm::Eagle3
        });
    }
    if mtp::present(checkpoint) {
        return Some(Algorithm::Mtp);
    }
    // A block drafter normalizes the states once, after `fc`, for all layers.
    if any(&|name| name == "fc.weight") && any(&|name| name == "hidden_norm.weight") {
        return Some(if any(&|name| name.contains("markov_")) {
            Algorithm::DSpark
        } else if any(&|name| name.contains("refiner_head.")) {
            Algorithm::XPress
        } else if any(&|name| name.contains("_conv.base_kernel")) {
            Algorithm::DFlash2
        } else {
            Algorithm::DFlash
        });
    }
    let fusion = checkpoint
        .names()
        .find(|name| bare_name(name) == "fc.weight")
        .and_then(|name| checkpoint.tensor(name))
        .filter(|view| matches!(view.shape, &[rows, columns] if columns == 2 * rows));
    fusion.map(|_| Algorithm::Eagle)
}
