//! The closed list of tensors a description asks for, each with its shape and the sum behind it; and the comparison of
//! that list with what is there.

use std::collections::BTreeSet;

use safetensors::Dtype;

use super::{DraftLayer, HeadDescription};
use crate::checkpoint::TensorView;
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};

/// Lists in findings stop here.
const SHOWN: usize = 10;

/// A floating-point tensor the head needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Canonical name.
    pub name: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Where the shape comes from, in config keys.
    pub sum: String,
}

impl HeadDescription {
    /// Every floating-point tensor of a head with this description that reads `auxiliary` states; vocabulary maps aside.
    #[must_use]
    pub fn expected_tensors(&self, auxiliary: usize) -> Vec<Expected> {
        let mut list = Vec::new();
        let mut add = |name: String, shape: &[usize], sum: &str| {
            list.push(Expected {
                name,
                shape: shape.to_vec(),
                sum: sum.to_owned(),
            });
        };
        let (hidden, target) = (self.hidden_size, self.target_hidden_size);
        let states = auxiliary * target;
        let states_sum = format!("{auxiliary} auxiliary layers x {target} = {states}");
        add(
            "fc.weight".to_owned(),
            &[hidden, states],
            &format!("hidden_size, {states_sum}"),
        );
        if self.fc_bias {
            add("fc.bias".to_owned(), &[hidden], "hidden_size");
        }
        if self.norm_before_fc {
            add("input_norm.weight".to_owned(), &[states], &states_sum);
        }
        if self.fc_norm {
            for index in 0..auxiliary {
                add(
                    format!("fc_norm.{index}.weight"),
                    &[target],
                    "target_hidden_size",
                );
            }
        }
        for layer in 0..self.num_hidden_layers {
            self.layer(layer, &mut add);
        }
        add("norm.weight".to_owned(), &[hidden], "hidden_size");
        add(
            "lm_head.weight".to_owned(),
            &[self.draft_vocab_size, hidden],
            "draft_vocab_size, hidden_size",
        );
        if self.own_embeddings {
            add(
                "embed_tokens.weight".to_owned(),
                &[self.vocab_size, hidden],
                "vocab_size, hidden_size",
            );
        }
        list
    }

    fn layer(&self, layer: usize, add: &mut impl FnMut(String, &[usize], &str)) {
        let (hidden, mlp) = (self.hidden_size, self.intermediate_size);
        let (queries, shared) = (
            self.num_attention_heads * self.head_dim,
            self.num_key_value_heads * self.head_dim,
        );
        // The first layer reads the embedding and the state side by side.
        let inputs = if layer == 0 { 2 * hidden } else { hidden };
        let inputs_sum = if layer == 0 {
            format!("2 x hidden_size = {inputs}")
        } else {
            "hidden_size".to_owned()
        };
        let queries_sum = format!(
            "num_attention_heads x head_dim = {} x {} = {queries}",
            self.num_attention_heads, self.head_dim
        );
        let shared_sum = format!(
            "num_key_value_heads x head_dim = {} x {} = {shared}",
            self.num_key_value_heads, self.head_dim
        );
        if layer == 0 {
            add(
                "layers.0.hidden_norm.weight".to_owned(),
                &[hidden],
                "hidden_size",
            );
        }
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            add(
                format!("layers.{layer}.{norm}.weight"),
                &[hidden],
                "hidden_size",
            );
        }
        let mut linear = |part: &str,
                          rows: usize,
                          rows_sum: &str,
                          columns: usize,
                          columns_sum: &str,
                          bias: bool| {
            add(
                format!("layers.{layer}.{part}.weight"),
                &[rows, columns],
                &format!("{rows_sum}, {columns_sum}"),
            );
            if bias {
                add(format!("layers.{layer}.{part}.bias"), &[rows], rows_sum);
            }
        };
        let bias = self.attention_bias;
        linear(
            "self_attn.q_proj",
            queries,
            &queries_sum,
            inputs,
            &inputs_sum,
            bias,
        );
        linear(
            "self_attn.k_proj",
            shared,
            &shared_sum,
            inputs,
            &inputs_sum,
            bias,
        );
        linear(
            "self_attn.v_proj",
            shared,
            &shared_sum,
            inputs,
            &inputs_sum,
            bias,
        );
        linear(
            "self_attn.o_proj",
            hidden,
            "hidden_size",
            queries,
            &queries_sum,
            bias,
        );
        linear(
            "mlp.gate_proj",
            mlp,
            "intermediate_size",
            hidden,
            "hidden_size",
            self.mlp_bias,
        );
        linear(
            "mlp.up_proj",
            mlp,
            "intermediate_size",
            hidden,
            "hidden_size",
            self.mlp_bias,
        );
        linear(
            "mlp.down_proj",
            hidden,
            "hidden_size",
            mlp,
            "intermediate_size",
            self.mlp_bias,
        );
        if self.draft_layer == DraftLayer::Qwen3 {
            for norm in ["q_norm", "k_norm"] {
                add(
                    format!("layers.{layer}.self_attn.{norm}.weight"),
                    &[self.head_dim],
                    "head_dim",
                );
            }
        }
    }
}

/// Compares the list with what is there. `view` finds a tensor by canonical name; `names` are all canonical names.
pub(crate) fn compare<'a>(
    expected: &[Expected],
    names: impl Iterator<Item = &'a str>,
    view: impl Fn(&str) -> Option<TensorView<'a>>,
    place: &Place,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let (mut missing, mut misshaped) = (Vec::new(), Vec::new());
    for wanted in expected {
        match view(&wanted.name) {
            None => missing.push(wanted),
            Some(found) if !is_float(found.dtype) => problems.push(
                Diagnostic::error(
                    codes::TENSOR_DTYPE,
                    format!(
                        "`{}` has dtype {:?}, but has to be F32, F16 or BF16",
                        wanted.name, found.dtype
                    ),
                )
                .at(Place::tensor(found.path, found.name)),
            ),
            Some(found) if found.shape != wanted.shape => misshaped.push((wanted, found)),
            Some(_) => {}
        }
    }
    let known: BTreeSet<&str> = expected
        .iter()
        .map(|wanted| wanted.name.as_str())
        .chain(["d2t", "t2d"])
        .collect();
    let unexpected: Vec<TensorView<'_>> = names
        .filter(|name| !known.contains(name))
        .filter_map(&view)
        .collect();
    problems.extend(report_missing(&missing, place));
    problems.extend(report_unexpected(&unexpected));
    problems.extend(report_misshaped(&misshaped));
    problems
}

/// The dtypes weights come in.
pub(crate) fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

fn report_missing(missing: &[&Expected], place: &Place) -> Option<Diagnostic> {
    let first = missing.first()?;
    let title = match missing.len() {
        1 => format!("`{}` is missing", first.name),
        count => format!("{count} tensors are missing"),
    };
    let problem = Diagnostic::error(codes::TENSOR_MISSING, title).at(place.clone());
    let lines = missing
        .iter()
        .map(|wanted| format!("{} {:?} ({})", wanted.name, wanted.shape, wanted.sum));
    Some(
        listed(problem, lines)
            .note("a loader that fills missing tensors with random values would not say so"),
    )
}

fn report_unexpected(unexpected: &[TensorView<'_>]) -> Option<Diagnostic> {
    let first = unexpected.first()?;
    let title = match unexpected.len() {
        1 => format!("`{}` belongs to no part of the head", first.name),
        count => format!("{count} tensors belong to no part of the head"),
    };
    let place = match unexpected {
        [only] => Place::tensor(only.path, only.name),
        _ => Place::file(first.path),
    };
    let problem = Diagnostic::error(codes::TENSOR_UNEXPECTED, title).at(place);
    Some(listed(
        problem,
        unexpected
            .iter()
            .map(|found| format!("{} {:?}", found.name, found.shape)),
    ))
}

fn report_misshaped(misshaped: &[(&Expected, TensorView<'_>)]) -> Option<Diagnostic> {
    let (wanted, found) = misshaped.first()?;
    if misshaped.len() == 1 {
        let title = format!(
            "`{}` is {:?}, but the config asks for {:?}",
            found.name, found.shape, wanted.shape
        );
        let problem =
            Diagnostic::error(codes::TENSOR_SHAPE, title).at(Place::tensor(found.path, found.name));
        return Some(problem.note(format!("{:?}: {}", wanted.shape, wanted.sum)));
    }
    let title = format!(
        "{} tensors have another shape than the config asks for",
        misshaped.len()
    );
    let problem = Diagnostic::error(codes::TENSOR_SHAPE, title).at(Place::file(found.path));
    let lines = misshaped.iter().map(|(wanted, found)| {
        format!(
            "{} is {:?}, asked for {:?} ({})",
            found.name, found.shape, wanted.shape, wanted.sum
        )
    });
    Some(listed(problem, lines))
}

/// Notes, one per line of a list, cut where a reader stops reading.
fn listed(mut problem: Diagnostic, lines: impl ExactSizeIterator<Item = String>) -> Diagnostic {
    let total = lines.len();
    for line in lines.take(SHOWN) {
        problem = problem.note(line);
    }
    if total > SHOWN {
        problem = problem.note(format!("and {} more", total - SHOWN));
    }
    problem
}
