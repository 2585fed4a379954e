//! From a config to [`Rope`].

use serde_json::{Map, Value};

use super::{Rope, RopeAxes, RopeScaling};
use crate::codes;
use crate::config::{ConfigFile, Section};
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;

/// Base of the frequencies where a config names none.
const DEFAULT_THETA: f64 = 10_000.0;

/// Names of layer types under which transformers 5 may nest parameters.
const LAYER_TYPES: [&str; 2] = ["sliding_attention", "full_attention"];

impl Rope {
    /// Reads the rotary parameters of a decoder config, in either spelling, and says what had to be decided.
    ///
    /// Keys: `rope_parameters`, or `rope_theta`, `rope_scaling`, `partial_rotary_factor`; `max_position_embeddings` stands in
    /// for an absent `original_max_position_embeddings`.
    ///
    /// # Errors
    /// S105 for a value of the wrong type, S106 for a parameter the rope type needs, S412 for a rope type that is not
    /// supported, by name.
    pub fn from_config(section: &Section<'_>) -> Result<(Rope, Vec<Decision>), Diagnostic> {
        match resolve(section)? {
            (rope, None, decisions) => Ok((rope, decisions)),
            (_, Some(parameters), _) => Err(unsupported(&parameters, "mrope_section", "mrope")),
        }
    }

    /// The same for a decoder of text in a multimodal model, where positions may have three axes. Text has the same
    /// position on all of them, so that the axes change nothing for it; they are given back to be written again.
    ///
    /// # Errors
    /// As [`Rope::from_config`]; axes are refused only where their sections are not written down.
    pub(crate) fn with_axes(
        section: &Section<'_>,
    ) -> Result<(Rope, Option<RopeAxes>, Vec<Decision>), Diagnostic> {
        let (rope, parameters, decisions) = resolve(section)?;
        let axes = parameters.map(|parameters| {
            let sections = parameters.usize_list("mrope_section")?;
            Ok(RopeAxes {
                sections: sections
                    .ok_or_else(|| unsupported(&parameters, "mrope_section", "mrope"))?,
                interleaved: parameters.bool("mrope_interleaved")?.unwrap_or(false),
            })
        });
        Ok((rope, axes.transpose()?, decisions))
    }

    /// The parameters as transformers 5 writes them under `rope_parameters`.
    #[must_use]
    pub fn to_parameters(&self) -> Map<String, Value> {
        let mut map = match serde_json::to_value(&self.scaling) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        map.retain(|_, value| !value.is_null());
        map.insert("rope_theta".to_owned(), self.theta.into());
        if self.partial_rotary_factor != 1.0 {
            map.insert(
                "partial_rotary_factor".to_owned(),
                self.partial_rotary_factor.into(),
            );
        }
        map
    }
}

/// The parameters, and the object they were read from if it shares channels out between axes.
type Resolved<'a> = (Rope, Option<Section<'a>>, Vec<Decision>);

fn resolve<'a>(section: &Section<'a>) -> Result<Resolved<'a>, Diagnostic> {
    let mut decisions = Vec::new();
    let new = section
        .section("rope_parameters")?
        .filter(|new| !new.map().is_empty());
    let old = section
        .section("rope_scaling")?
        .filter(|old| !old.map().is_empty());
    let axes = |parameters: &Section<'_>| {
        let kind = |key: &str| parameters.get(key).and_then(Value::as_str) == Some("mrope");
        parameters.get("mrope_section").is_some() || kind("rope_type") || kind("type")
    };
    let Some(new) = new else {
        let rope = read(section, old.as_ref(), &mut decisions)?;
        return Ok((rope, old.filter(axes), decisions));
    };
    let flat = flatten(section, new, &mut decisions)?;
    let rope = read(section, Some(&flat), &mut decisions)?;
    compare(section, old.as_ref(), &rope, &mut decisions)?;
    Ok((rope, Some(flat).filter(axes), decisions))
}

/// Parameters nested per layer type, brought down to one set.
fn flatten<'a>(
    section: &Section<'a>,
    new: Section<'a>,
    decisions: &mut Vec<Decision>,
) -> Result<Section<'a>, Diagnostic> {
    let mut found = Vec::new();
    for name in LAYER_TYPES {
        if let Some(nested) = new.section(name)? {
            found.push((name, nested));
        }
    }
    let Some((name, first)) = found.first() else {
        return Ok(new);
    };
    if let Some((other, second)) = found.get(1)
        && first.map() != second.map()
    {
        // The Python package rotates every draft layer with the sliding entry; nothing else is known to read this shape.
        decisions.push(Decision::guessed(
            section.name("rope_parameters"),
            format!("those of `{name}`"),
            format!("the config has other parameters for `{other}`, and a head rotates all its layers alike"),
        ));
    }
    Ok(first.clone())
}

/// One set of parameters; keys beside it stand in for keys that are not in it.
fn read(
    section: &Section<'_>,
    parameters: Option<&Section<'_>>,
    decisions: &mut Vec<Decision>,
) -> Result<Rope, Diagnostic> {
    let within = |key: &str| parameters.map_or(Ok(None), |parameters| parameters.f64(key));
    let theta = match within("rope_theta")?
        .map_or_else(|| section.f64("rope_theta"), |theta| Ok(Some(theta)))?
    {
        Some(theta) => theta,
        None => {
            decisions.push(Decision::settled(
                section.name("rope_theta"),
                DEFAULT_THETA,
                "the config names none, and this is what every runtime takes then",
            ));
            DEFAULT_THETA
        }
    };
    let partial = within("partial_rotary_factor")?;
    let partial = partial.map_or_else(
        || section.f64("partial_rotary_factor"),
        |partial| Ok(Some(partial)),
    )?;
    positive(section, "rope_theta", theta)?;
    let partial_rotary_factor = partial.unwrap_or(1.0);
    positive(section, "partial_rotary_factor", partial_rotary_factor)?;
    let scaling = match parameters {
        Some(parameters) => scaling(section, parameters)?,
        None => RopeScaling::Default,
    };
    Ok(Rope {
        theta,
        scaling,
        partial_rotary_factor,
    })
}

fn scaling(section: &Section<'_>, parameters: &Section<'_>) -> Result<RopeScaling, Diagnostic> {
    let kind_key = if parameters.get("rope_type").is_some() {
        "rope_type"
    } else {
        "type"
    };
    let kind = parameters.str(kind_key)?.unwrap_or("default");
    let needed = |key: &str| match parameters.f64(key)? {
        Some(value) => Ok(value),
        None => Err(Diagnostic::error(
            codes::CONFIG_KEY_MISSING,
            format!(
                "`{}` is missing, which rope type `{kind}` needs",
                parameters.name(key)
            ),
        )
        .at(parameters.place(kind_key))),
    };
    let factor = || needed("factor").and_then(|factor| positive(parameters, "factor", factor));
    let trained = || -> Result<Option<usize>, Diagnostic> {
        // Phi 3 and its like keep the trained length beside the parameters, and there it takes precedence.
        match section.usize("original_max_position_embeddings")? {
            Some(beside) => Ok(Some(beside)),
            None => parameters.usize("original_max_position_embeddings"),
        }
    };
    // Made explicit, so that a later change of `max_position_embeddings` leaves the frequencies alone.
    let trained_or_longest = || -> Result<Option<usize>, Diagnostic> {
        trained()?.map_or_else(
            || section.usize("max_position_embeddings"),
            |trained| Ok(Some(trained)),
        )
    };
    Ok(match kind {
        // The axes share out plain frequencies.
        "default" | "mrope" => RopeScaling::Default,
        "linear" => RopeScaling::Linear { factor: factor()? },
        // Neither transformers nor vLLM reads a trained length here: both measure from `max_position_embeddings`.
        "dynamic" => RopeScaling::Dynamic {
            factor: factor()?,
            original_max_position_embeddings: None,
        },
        "llama3" => RopeScaling::Llama3 {
            factor: factor()?,
            low_freq_factor: needed("low_freq_factor")?,
            high_freq_factor: needed("high_freq_factor")?,
            original_max_position_embeddings: match trained_or_longest()? {
                Some(trained) => trained,
                None => {
                    return Err(needed("original_max_position_embeddings")
                        .err()
                        .unwrap_or_else(|| unsupported(parameters, kind_key, kind)));
                }
            },
        },
        "yarn" => RopeScaling::Yarn {
            factor: factor()?,
            original_max_position_embeddings: trained_or_longest()?,
            beta_fast: parameters
                .f64("beta_fast")?
                .filter(|beta| *beta != 0.0)
                .unwrap_or(32.0),
            beta_slow: parameters
                .f64("beta_slow")?
                .filter(|beta| *beta != 0.0)
                .unwrap_or(1.0),
            attention_factor: parameters.f64("attention_factor")?,
            mscale: parameters.f64("mscale")?,
            mscale_all_dim: parameters.f64("mscale_all_dim")?,
            truncate: parameters.bool("truncate")?.unwrap_or(true),
        },
        other => return Err(unsupported(parameters, kind_key, other)),
    })
}

/// Where both spellings are there they should say the same.
fn compare(
    section: &Section<'_>,
    old: Option<&Section<'_>>,
    rope: &Rope,
    decisions: &mut Vec<Decision>,
) -> Result<(), Diagnostic> {
    let old_theta = section.f64("rope_theta")?;
    if let Some(theta) = old_theta.filter(|theta| *theta != rope.theta) {
        decisions.push(Decision::guessed(
            section.name("rope_theta"),
            rope.theta,
            format!("`rope_parameters` says so; the older `rope_theta` beside it says {theta}"),
        ));
    }
    // An explicit null is how version 4 writes "no scaling"; an absent key says nothing.
    if old.is_none() && !section.map().contains_key("rope_scaling") {
        return Ok(());
    }
    let older = read(section, old, &mut Vec::new());
    if older.as_ref().map(|older| &older.scaling) != Ok(&rope.scaling) {
        decisions.push(Decision::guessed(
            section.name("rope_parameters"),
            kind_of(rope),
            "the older `rope_scaling` beside it says something else; `rope_parameters` is the newer spelling",
        ));
    }
    Ok(())
}

fn kind_of(rope: &Rope) -> String {
    rope.to_parameters()
        .get("rope_type")
        .and_then(Value::as_str)
        .unwrap_or("default")
        .to_owned()
}

fn positive(section: &Section<'_>, key: &str, value: f64) -> Result<f64, Diagnostic> {
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    let title = format!("`{}` is {value}, but has to be positive", section.name(key));
    Err(Diagnostic::error(codes::CONFIG_TYPE, title).at(section.place(key)))
}

fn unsupported(parameters: &Section<'_>, key: &str, kind: &str) -> Diagnostic {
    let file: &ConfigFile = parameters.file();
    Diagnostic::error(
        codes::NOT_REPRESENTABLE,
        format!("the rope type is `{kind}`, which is not supported"),
    )
    .at(file.place_of(&parameters.name(key)))
    .note("supported are `default`, `linear`, `dynamic`, `llama3` and `yarn`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Rope, Vec<Decision>), Diagnostic> {
        let file = ConfigFile::from_text("config.json", text.to_owned()).unwrap();
        Rope::from_config(&file.root())
    }

    #[test]
    fn both_spellings_mean_the_same() {
        let old = r#"{"rope_theta": 500000, "rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 1,
            "high_freq_factor": 4, "original_max_position_embeddings": 8192}}"#;
        let new = r#"{"rope_parameters": {"rope_theta": 500000, "rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
            "high_freq_factor": 4, "original_max_position_embeddings": 8192}}"#;
        let (old, new) = (read(old).unwrap(), read(new).unwrap());
        assert_eq!(old, new);
        assert!(old.1.is_empty());
        assert_eq!(old.0.theta, 500_000.0);
    }

    #[test]
    fn an_absent_theta_is_ten_thousand_and_said_so() {
        let (rope, decisions) = read("{}").unwrap();
        assert_eq!((rope.theta, rope.scaling), (10_000.0, RopeScaling::Default));
        assert_eq!(decisions.len(), 1);
        assert!(!decisions[0].guess);
    }

    #[test]
    fn the_newer_spelling_wins_and_the_disagreement_is_reported() {
        let text = r#"{"rope_theta": 10000, "rope_scaling": null,
            "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "linear", "factor": 2.0}}"#;
        let (rope, decisions) = read(text).unwrap();
        assert_eq!(
            (rope.theta, rope.scaling),
            (1e6, RopeScaling::Linear { factor: 2.0 })
        );
        assert_eq!(
            decisions.iter().filter(|decision| decision.guess).count(),
            2
        );
    }

    #[test]
    fn two_spellings_that_agree_need_no_word() {
        let text = r#"{"rope_theta": 1000000, "rope_scaling": {"rope_type": "linear", "factor": 2},
            "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "linear", "factor": 2.0}}"#;
        assert!(read(text).unwrap().1.is_empty());
    }

    #[test]
    fn parameters_nested_per_layer_type_are_read() {
        let text = r#"{"rope_parameters": {"full_attention": {"rope_theta": 1e6, "rope_type": "default"},
            "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"}}}"#;
        let (rope, decisions) = read(text).unwrap();
        assert_eq!(rope.theta, 1e4);
        assert!(decisions[0].guess);
    }

    #[test]
    fn unknown_types_are_refused_by_name() {
        for (text, name) in [
            (
                r#"{"rope_scaling": {"type": "longrope", "factor": 2}}"#,
                "longrope",
            ),
            (
                r#"{"rope_scaling": {"type": "mrope", "mrope_section": [1]}}"#,
                "mrope",
            ),
            (
                r#"{"rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24]}}"#,
                "mrope",
            ),
        ] {
            let problem = read(text).unwrap_err();
            assert_eq!(problem.code, codes::NOT_REPRESENTABLE);
            assert!(problem.title.contains(name), "{}", problem.title);
        }
    }

    #[test]
    fn a_type_without_its_factor_is_refused() {
        assert_eq!(
            read(r#"{"rope_scaling": {"type": "linear"}}"#)
                .unwrap_err()
                .code,
            codes::CONFIG_KEY_MISSING
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = r#"{"max_position_embeddings": 4096, "rope_theta": 150000, "rope_scaling": {"rope_type": "yarn", "factor": 32.0,
            "beta_fast": 16.0, "truncate": false}}"#;
        let (rope, _) = read(text).unwrap();
        let written = serde_json::json!({"rope_parameters": rope.to_parameters()}).to_string();
        assert_eq!(read(&written).unwrap().0, rope);
    }
}
