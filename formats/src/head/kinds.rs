//! Checkpoints that are no EAGLE-3 heads, recognized by the tensors only they have and refused by name, with what it
//! would take to serve or convert them.

use super::bare_name;
use crate::checkpoint::Checkpoint;
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};

/// A kind of checkpoint this version does not read.
struct Kind {
    /// What it is, with its article.
    name: &'static str,
    /// Whether a tensor, by its name without prefixes, gives it away.
    shows: fn(&str) -> bool,
    /// What reading it would take.
    needed: &'static str,
}

const KINDS: [Kind; 10] = [
    Kind {
        name: "a quantized head",
        shows: |name| {
            [
                ".weight_scale",
                ".weight_scale_2",
                ".input_scale",
                ".weight_scale_inv",
                ".weight_packed",
                ".qweight",
                ".qzeros",
                ".scales",
            ]
            .iter()
            .any(|end| name.ends_with(end))
        },
        needed: "start from the checkpoint it was quantized from; its codes would have to be turned back into numbers by \
                 the scheme of its exporter",
    },
    Kind {
        name: "a head with latent attention (MLA)",
        shows: |name| name.contains("self_attn.q_a_proj") || name.contains("self_attn.kv_a_proj"),
        needed: "the layouts written here have q, k and v projections; vLLM serves such a head as it is, under the \
                 architecture `Eagle3DeepseekV2ForCausalLM`",
    },
    Kind {
        name: "an EAGLE-4 head",
        shows: |name| name.contains("efficient_lm_head"),
        needed: "a layout with a low-rank output matrix that proposes candidates; no runtime served here has one",
    },
    Kind {
        name: "a Domino head",
        shows: |name| name.contains("prefix_gru"),
        needed: "a layout with a recurrent cell over the prefix of a block; the Python package and vLLM have none",
    },
    Kind {
        name: "an EagleMedusa head",
        shows: |name| name.contains("parallel_draft_heads"),
        needed: "a layout with a Medusa head per draft position; only ModelOpt's own runtimes read one",
    },
    Kind {
        name: "a prediction layer of the DeepSeek kind",
        shows: |name| name.contains("eh_proj"),
        needed: "vLLM serves it out of its verifier (`method: mtp`); only layers named `mtp.*` are converted",
    },
    Kind {
        name: "a Medusa head",
        shows: |name| {
            name.starts_with("medusa_head")
                || name.starts_with("lm_heads.")
                || (name.starts_with("blocks.") && name.contains(".layers."))
                || name.split('.').next().is_some_and(is_number)
        },
        needed: "Medusa predicts from the verifier's last state without attention; vLLM serves it as it is \
                 (`method: medusa`)",
    },
    Kind {
        name: "an MLP speculator",
        shows: |name| name.starts_with("speculator."),
        needed: "vLLM serves it as it is (`method: mlp_speculator`)",
    },
    Kind {
        name: "a head with early-exit columns",
        shows: |name| name.contains("early_stop"),
        needed: "a layout in which `fc` has rows for stopping early; only AngelSlim's own runtime reads one",
    },
    Kind {
        name: "an adapter, not a head",
        shows: |name| name.contains("lora_A.") || name.contains("lora_B."),
        needed: "merge it into the head it adapts, and convert the result",
    },
];

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// S110 for what is recognizably something else; `bare` are the names without prefixes.
pub(super) fn refused(
    checkpoint: &Checkpoint,
    bare: &[&str],
    first_layer: bool,
) -> Option<Diagnostic> {
    let refusal = |name: &str| {
        Diagnostic::error(
            codes::LAYOUT_UNKNOWN,
            format!("this is {name}, which this version does not read"),
        )
        .at(Place::file(checkpoint.root()))
    };
    for kind in &KINDS {
        if let Some(name) = bare.iter().find(|name| (kind.shows)(name)) {
            return Some(
                refusal(kind.name)
                    .note(format!("it has `{name}`"))
                    .help(kind.needed),
            );
        }
    }
    if first_layer {
        return early_exit(checkpoint).map(|(rows, width)| {
            refusal("a head with early-exit columns")
                .note(format!(
                    "`fc.weight` has {rows} rows, {} more than the head is wide",
                    rows - width
                ))
                .help("only AngelSlim's own runtime reads one")
        });
    }
    let has = |wanted: &str| bare.contains(&wanted);
    (!has("fc.weight") && has("layers.1.input_layernorm.weight")).then(|| {
        refusal("a complete language model")
            .note("it has decoder layers and no `fc.weight`")
            .help("pass it as `--verifier`, and the head as the model")
    })
}

/// SpecExit heads predict when to stop in a few rows of `fc` beyond the width of the head.
fn early_exit(checkpoint: &Checkpoint) -> Option<(usize, usize)> {
    checkpoint.config().root().get("early_stop_method")?;
    let rows = |wanted: &str| {
        let name = checkpoint.names().find(|name| bare_name(name) == wanted)?;
        checkpoint.tensor(name)?.shape.first().copied()
    };
    let (rows, width) = (rows("fc.weight")?, rows("norm.weight")?);
    (rows > width).then_some((rows, width))
}
