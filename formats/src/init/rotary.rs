//! The rotary embedding of a head: that of its verifier, brought down to what all draft layers share and runtimes run.
//!
//! The parameters are carried as they stand rather than through [`crate::Rope`], so that the output spells them as the
//! verifier does.

use serde_json::{Map, Value, json};

use crate::codes;
use crate::config::{ConfigFile, Section};
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::rope::Rope;
use crate::verifier::family::Family;

const KEY: &str = "rope_parameters";
const SECTIONS: &str = "mrope_section";
const PARTIAL: &str = "partial_rotary_factor";

/// Names of layer types under which parameters may be nested, the one that drafts go by first.
const LAYER_TYPES: [&str; 2] = ["sliding_attention", "full_attention"];

/// Rope types that are measured against the length a model was trained on.
const MEASURED: [&str; 3] = ["llama3", "yarn", "longrope"];

type Parameters = Map<String, Value>;

/// The verifier's parameters in one set, with everything in it that its config keeps beside.
///
/// # Errors
/// S105 for values of the wrong type.
pub(super) fn of_verifier(
    section: &Section<'_>,
    family: Option<&Family>,
    decisions: &mut Vec<Decision>,
) -> Result<Parameters, Diagnostic> {
    let there = |key: &str| {
        let found = section.section(key)?;
        Ok(found.filter(|found| !found.map().is_empty()))
    };
    let written = match there(KEY)? {
        Some(new) => Some(new),
        None => there("rope_scaling")?,
    };
    let theta = section.f64("rope_theta")?;
    let theta = theta.or(family.map(|family| family.rope_theta));
    let mut parameters = match &written {
        Some(written) => one_set(section, written, decisions)?,
        None => Map::new(),
    };
    // Gemma 3 names the base of its sliding layers on its own, and in that spelling scales the other layers only.
    let local = section.f64("rope_local_base_freq")?;
    if let Some(local) = local.filter(|_| section.get(KEY).is_none()) {
        decisions.push(Decision::guessed(
            KEY,
            format!("theta {local}"),
            "`rope_local_base_freq` is the base of the verifier's sliding layers, and a head rotates all its layers alike",
        ));
        parameters = Map::new();
        parameters.insert("rope_theta".to_owned(), json!(local));
    }
    fill(&mut parameters, "rope_theta", theta.unwrap_or(10_000.0));
    let kind = parameters.get("type").cloned();
    fill(
        &mut parameters,
        "rope_type",
        kind.unwrap_or(json!("default")),
    );
    let partial = section.f64(PARTIAL)?;
    if let Some(partial) = partial.or(family.and_then(|family| family.partial_rotary_factor)) {
        fill(&mut parameters, PARTIAL, partial);
    }
    let kind = parameters.get("rope_type").and_then(Value::as_str);
    if kind.is_some_and(|kind| MEASURED.contains(&kind)) {
        const TRAINED: &str = "original_max_position_embeddings";
        match section.usize(TRAINED)? {
            // Where a config keeps it beside the parameters, that one counts.
            Some(beside) => {
                parameters.insert(TRAINED.to_owned(), json!(beside));
            }
            None => {
                if let Some(longest) = section.usize("max_position_embeddings")? {
                    fill(&mut parameters, TRAINED, longest);
                }
            }
        }
    }
    Ok(parameters)
}

/// What a head does with the verifier's parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub head_dim: usize,
    /// It drafts all tokens in one pass.
    pub parallel: bool,
}

/// The parameters of the head: all channels rotated, by one position or, drafting token by token, by the verifier's axes.
///
/// # Errors
/// S446 for axes that cannot be stretched over all channels.
pub(super) fn of_head(
    mut parameters: Parameters,
    wanted: Wanted,
    decisions: &mut Vec<Decision>,
) -> Result<Parameters, Diagnostic> {
    parameters.remove("type");
    let interleaved = parameters.remove("mrope_interleaved");
    if parameters.get("rope_type") == Some(&json!("mrope")) {
        parameters.insert("rope_type".to_owned(), json!("default"));
    }
    let partial = parameters.get(PARTIAL).and_then(Value::as_f64);
    let partial = partial.filter(|partial| *partial != 1.0);
    if let Some(sections) = parameters.get(SECTIONS).cloned() {
        if wanted.parallel {
            parameters.remove(SECTIONS);
            decisions.push(Decision::settled(
                SECTIONS,
                "left out",
                format!("the verifier has {sections}; vLLM 0.32 drafts in parallel by one position per token only, and a text has no other"),
            ));
        } else {
            axes(
                &mut parameters,
                &sections,
                partial,
                wanted.head_dim,
                decisions,
            )?;
            if interleaved == Some(json!(true)) {
                let reason =
                    "vLLM refuses the key in a draft; a text has the same position on all axes";
                decisions.push(Decision::settled("mrope_interleaved", "left out", reason));
            }
            return Ok(parameters);
        }
    }
    parameters.remove(PARTIAL);
    if let Some(partial) = partial {
        decisions.push(Decision::settled(
            PARTIAL,
            1.0,
            format!("the verifier rotates {partial} of its channels; drafts are run with all of them rotated"),
        ));
    }
    Ok(parameters)
}

/// Sections that share out all channels, where the verifier's share out a part.
fn axes(
    parameters: &mut Parameters,
    sections: &Value,
    partial: Option<f64>,
    head_dim: usize,
    decisions: &mut Vec<Decision>,
) -> Result<(), Diagnostic> {
    let Some(partial) = partial.filter(|partial| *partial < 1.0) else {
        return Ok(());
    };
    let refused = |why: String| {
        Diagnostic::error(
            codes::FAMILY_UNKNOWN,
            format!("the axes {sections} cannot be stretched over all {head_dim} channels"),
        )
        .note(why)
    };
    let stretch = (1.0 / partial).round();
    if !(1.0..=1024.0).contains(&stretch) || (1.0 / partial - stretch).abs() > 1e-6 {
        return Err(refused(format!(
            "they share out {partial} of the channels, which is not a whole part"
        )));
    }
    let list = sections.as_array().map(Vec::as_slice).unwrap_or_default();
    let list: Option<Vec<u64>> = list.iter().map(Value::as_u64).collect();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number between 1 and 1024"
    )]
    let stretched: Vec<u64> = list
        .unwrap_or_default()
        .iter()
        .map(|size| size.saturating_mul(stretch as u64))
        .collect();
    let sum: u64 = stretched
        .iter()
        .fold(0, |sum, size| sum.saturating_add(*size));
    if sum.saturating_mul(2) != head_dim as u64 {
        return Err(refused(format!(
            "2 x {stretched:?} = {}, but there are {head_dim} channels",
            sum.saturating_mul(2)
        )));
    }
    decisions.push(Decision::settled(
        SECTIONS,
        format!("{stretched:?}"),
        format!("the verifier shares {sections} of {partial} of its channels out; drafts are run with all of them rotated"),
    ));
    parameters.insert(SECTIONS.to_owned(), json!(stretched));
    parameters.insert(PARTIAL.to_owned(), json!(1.0));
    Ok(())
}

/// The parameters as readers of the head will resolve them.
///
/// # Errors
/// S412 for a rope type that is not supported, at the verifier's config.
pub(super) fn resolved(
    parameters: &Parameters,
    max_position_embeddings: usize,
    verifier: &std::path::Path,
) -> Result<(Rope, Option<crate::rope::RopeAxes>), Diagnostic> {
    let text = json!({ KEY: parameters, "max_position_embeddings": max_position_embeddings });
    let file = ConfigFile::from_text(verifier, text.to_string())?;
    let section = file.root();
    Rope::with_axes(&section)
        .map(|(rope, axes, _)| (rope, axes))
        .map_err(|problem| problem.at(crate::Place::file(verifier)))
}

/// Parameters nested per layer type, brought down to those of the sliding layers.
fn one_set(
    section: &Section<'_>,
    written: &Section<'_>,
    decisions: &mut Vec<Decision>,
) -> Result<Parameters, Diagnostic> {
    let mut nested = Vec::new();
    for name in LAYER_TYPES {
        if let Some(found) = written.section(name)? {
            nested.push((name, found));
        }
    }
    let Some((name, first)) = nested.first() else {
        return Ok(written.map().clone());
    };
    if let Some((other, second)) = nested.get(1)
        && first.map() != second.map()
    {
        decisions.push(Decision::guessed(
            section.name(KEY),
            format!("those of `{name}`"),
            format!("the verifier has other parameters for `{other}`, and a head rotates all its layers alike"),
        ));
    }
    Ok(first.map().clone())
}

fn fill(parameters: &mut Parameters, key: &str, value: impl Into<Value>) {
    if parameters.get(key).is_none_or(Value::is_null) {
        parameters.insert(key.to_owned(), value.into());
    }
}
