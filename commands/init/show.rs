//! What `init` says to people.

use std::io::Write;

use speculators_formats::init::{InitPlan, InitReport, InitRow};
use speculators_formats::speculator::Description;

use crate::failure::Failure;
use crate::tables;

/// The plan: the head, what was decided, the config, the tensors.
pub fn plan(plan: &InitPlan, output: &mut impl Write) -> Result<(), Failure> {
    writeln!(output, "{}\n", head(plan.description(), plan.tensors()))?;
    writeln!(output, "{}\n", tables::decisions(plan.decisions()))?;
    let mut config = plan.config().clone();
    // It repeats what is shown above and below.
    config.shift_remove("initialization");
    writeln!(output, "{:#}\n", serde_json::Value::Object(config))?;
    let mut table = tables::plain(&["tensor", "dtype", "shape", "from"]);
    for row in plan.tensors() {
        let from = match &row.verifier_tensor {
            Some(name) => format!("{}: {name}", row.from),
            None => row.from.clone(),
        };
        table.add_row([
            row.name.clone(),
            row.dtype.clone(),
            format!("{:?}", row.shape),
            from,
        ]);
    }
    writeln!(output, "{}\n", table.trim_fmt())?;
    writeln!(
        output,
        "would write {} tensors, {}, to {}",
        plan.tensors().len(),
        tables::bytes(plan.total_bytes()),
        plan.output().display()
    )?;
    Ok(())
}

/// The head that was written, and what to do with it.
pub fn report(report: &InitReport, verifier: &str, output: &mut impl Write) -> Result<(), Failure> {
    writeln!(output, "{}\n", head(&report.description, &report.tensors))?;
    writeln!(output, "{}\n", tables::decisions(&report.decisions))?;
    writeln!(
        output,
        "wrote {} tensors, {}, to {}",
        report.tensors.len(),
        tables::bytes(report.bytes),
        report.output.display()
    )?;
    writeln!(
        output,
        "next: speculators validate {} --verifier {}",
        report.output.display(),
        verifier
    )?;
    Ok(())
}

/// Sizes of the head in one table.
fn head(description: &Description, tensors: &[InitRow]) -> String {
    let mut table = tables::plain(&["head", ""]);
    let mut line = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    match description {
        Description::Eagle3(head) => {
            line("kind", head.algorithm.to_string());
            line(
                "layers",
                format!("{} of {}", head.num_hidden_layers, layer(head.draft_layer)),
            );
            line("hidden size", head.hidden_size.to_string());
            line("MLP width", head.intermediate_size.to_string());
            line(
                "attention",
                attention(
                    head.num_attention_heads,
                    head.num_key_value_heads,
                    head.head_dim,
                ),
            );
            line("reads layers", format!("{:?}", head.aux_layer_ids));
            line(
                "vocabulary",
                vocabulary(head.draft_vocab_size, head.vocab_size),
            );
            line("draft tokens", head.speculative_tokens.to_string());
        }
        Description::Block(head) => {
            line("kind", head.algorithm().to_string());
            line("layers", format!("{} of Qwen 3", head.num_hidden_layers));
            line("hidden size", head.hidden_size.to_string());
            line("MLP width", head.intermediate_size.to_string());
            line(
                "attention",
                attention(
                    head.num_attention_heads,
                    head.num_key_value_heads,
                    head.head_dim,
                ),
            );
            line("reads layers", format!("{:?}", head.aux_layer_ids));
            line(
                "vocabulary",
                vocabulary(head.draft_vocab_size, head.vocab_size),
            );
            line("block", head.block_size.to_string());
            line("draft tokens", head.speculative_tokens.to_string());
        }
        Description::Eagle(_) | Description::Mtp(_) => {}
    }
    let (mut all, mut taken) = (0, 0);
    for row in tensors {
        if matches!(row.dtype.as_str(), "I64" | "BOOL") {
            continue;
        }
        let elements = row.shape.iter().product::<usize>() as u64;
        all += elements;
        if row.verifier_tensor.is_some() {
            taken += elements;
        }
    }
    line(
        "parameters",
        format!(
            "{}, of which {} are the verifier's",
            tables::grouped(all),
            tables::grouped(taken)
        ),
    );
    table.trim_fmt()
}

fn layer(kind: speculators_formats::head::DraftLayer) -> &'static str {
    match kind {
        speculators_formats::head::DraftLayer::Llama => "Llama",
        speculators_formats::head::DraftLayer::Qwen3 => "Qwen 3",
    }
}

fn attention(heads: usize, shared: usize, channels: usize) -> String {
    format!("{heads} query heads, {shared} key and value heads, {channels} channels each")
}

fn vocabulary(draft: usize, whole: usize) -> String {
    if draft == whole {
        format!("all {} tokens", tables::grouped(whole as u64))
    } else {
        format!(
            "{} of {} tokens",
            tables::grouped(draft as u64),
            tables::grouped(whole as u64)
        )
    }
}
