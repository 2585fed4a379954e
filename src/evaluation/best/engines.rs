//! What to tell serving engines. Acceptance belongs to the two models and goes with them to any engine that is lossless;
//! times belong to a machine.

use schemars::JsonSchema;
use serde::Serialize;

use super::recommendation::{OtherMachine, fastest_of};
use super::{BestSetting, Shape};

/// Options of a serving engine.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct EngineFlags {
    /// The engine.
    pub engine: &'static str,
    /// What it can draft, and of that what is fastest.
    pub setting: BestSetting,
    /// Its options.
    pub flags: String,
}

/// Options for the settings that are fastest among those an engine knows, on the other machine if there is one; none
/// where no times are known.
pub(super) fn flags(
    here: &[BestSetting],
    elsewhere: Option<&OtherMachine>,
    speculator: &str,
) -> Vec<EngineFlags> {
    let settings = elsewhere.map_or(here, |machine| &machine.settings);
    let of = |engine, shapes: &'static [Shape], write: fn(&BestSetting, &str) -> String| {
        let known = settings
            .iter()
            .filter(|setting| shapes.contains(&setting.shape));
        fastest_of(known).map(|setting| EngineFlags {
            engine,
            setting: setting.clone(),
            flags: write(setting, speculator),
        })
    };
    [
        // vLLM had static trees and has removed them.
        of("vLLM", &[Shape::Chain], vllm),
        of("SGLang, chain", &[Shape::Chain], sglang),
        of("SGLang, tree", &[Shape::Dynamic], sglang),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn vllm(setting: &BestSetting, speculator: &str) -> String {
    let config = serde_json::json!({
        "method": "eagle3", "model": speculator, "num_speculative_tokens": setting.budget,
    });
    format!("--speculative-config {}", quoted(&config.to_string()))
}

fn sglang(setting: &BestSetting, speculator: &str) -> String {
    format!(
        "--speculative-algorithm EAGLE3 --speculative-draft-model-path {} --speculative-num-steps {} \
         --speculative-eagle-topk {} --speculative-num-draft-tokens {}",
        quoted(speculator),
        setting.depth,
        setting.top_k.unwrap_or(1),
        // SGLang counts the last token of the text, which is the root.
        setting.budget + 1
    )
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(shape: Shape, budget: usize, depth: usize, speed_up: f64) -> BestSetting {
        BestSetting {
            shape,
            budget,
            depth,
            top_k: matches!(shape, Shape::Dynamic).then_some(4),
            mean_length: 2.0,
            predicted_step_ms: Some(1.0),
            predicted_speed_up: Some(speed_up),
        }
    }

    #[test]
    fn each_engine_is_told_of_what_it_can_draft() {
        let settings = [
            setting(Shape::Chain, 2, 2, 1.5),
            setting(Shape::Chain, 3, 3, 1.6),
            setting(Shape::Static, 8, 4, 2.0),
            setting(Shape::Dynamic, 7, 5, 1.8),
        ];
        let found = flags(&settings, None, "it's a head");
        let texts: Vec<&str> = found.iter().map(|found| found.flags.as_str()).collect();
        assert_eq!(
            texts[0],
            r#"--speculative-config '{"method":"eagle3","model":"it'\''s a head","num_speculative_tokens":3}'"#
        );
        assert_eq!(
            texts[1],
            r"--speculative-algorithm EAGLE3 --speculative-draft-model-path 'it'\''s a head' --speculative-num-steps 3 --speculative-eagle-topk 1 --speculative-num-draft-tokens 4"
        );
        assert!(texts[2].ends_with(
            "--speculative-num-steps 5 --speculative-eagle-topk 4 --speculative-num-draft-tokens 8"
        ));
        // Where the head is dear, short drafts are better.
        let machine = OtherMachine::find(0.5, &settings);
        let found = flags(&settings, Some(&machine), "h");
        assert_eq!(found[0].setting.budget, 2);
    }
}
