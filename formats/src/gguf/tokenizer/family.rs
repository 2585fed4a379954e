//! Which of llama.cpp's pre-tokenizers a tokenizer splits its text with.
//!
//! llama.cpp has the regular expressions built in, under the names of the models they came with, and the file says one of
//! these names. Its converter tells them apart by the ids of a test text, which identifies models, not expressions. Here the
//! expressions are compared: models that share one share the name too.

use serde_json::Value;

use crate::decision::Decision;

/// Contractions, as most expressions begin.
const ENGLISH: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

/// Key of the name in the file.
const KEY: &str = "tokenizer.ggml.pre";

/// Name of the built-in pre-tokenizer that does the same, or a guess.
pub(super) fn recognize(
    pre_tokenizer: Option<&Value>,
    decisions: &mut Vec<Decision>,
) -> &'static str {
    let mut parts = Vec::new();
    collect(pre_tokenizer.unwrap_or(&Value::Null), &mut parts);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    if let Some(name) = by_expressions(&parts) {
        let reason =
            "the tokenizer splits text by the expression that llama.cpp has under this name";
        decisions.push(Decision::settled(KEY, name, reason));
        return name;
    }
    let reason = "llama.cpp has no pre-tokenizer with these expressions under a name this version knows; \
                  a draft never splits a text, so this matters to other uses of the file only";
    decisions.push(Decision::guessed(KEY, "default", reason));
    "default"
}

/// Every step that splits, in order: expressions as they stand, other steps by their kind.
fn collect(step: &Value, parts: &mut Vec<String>) {
    let text = |key: &str| step.get(key).and_then(Value::as_str);
    match text("type") {
        Some("Sequence") => {
            let steps = step.get("pretokenizers").and_then(Value::as_array);
            for step in steps.into_iter().flatten() {
                collect(step, parts);
            }
        }
        Some("Split") => {
            let pattern = step.get("pattern");
            let expression = pattern.and_then(|pattern| pattern.get("Regex")?.as_str());
            parts.push(expression.unwrap_or("a fixed string").to_owned());
        }
        // Then it only spells bytes as letters.
        Some("ByteLevel") if step.get("use_regex").and_then(Value::as_bool) == Some(false) => {}
        Some("Digits") => {
            let each = step.get("individual_digits").and_then(Value::as_bool) == Some(true);
            parts.push(if each { "each digit" } else { "digits" }.to_owned());
        }
        Some(other) => parts.push(other.to_owned()),
        None => {}
    }
}

fn by_expressions(parts: &[&str]) -> Option<&'static str> {
    const WORD: &str = r"[^\r\n\p{L}\p{N}]?\p{L}+";
    const REST: &str = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    const UPPER: &str = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
    const LOWER: &str = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";
    const SLASHES: &str = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    const OTHER: &str = r"[^\r\n\p{L}\p{N}]?";
    match parts {
        ["ByteLevel"] => Some("gpt-2"),
        ["each digit", "ByteLevel"] => Some("smollm"),
        [only] => {
            let known = [
                (
                    format!(r"{ENGLISH}|{WORD}|\p{{N}}{{1,3}}|{REST}"),
                    "llama-bpe",
                ),
                (format!(r"{ENGLISH}|{WORD}|\p{{N}}|{REST}"), "qwen2"),
                (
                    format!(
                        r"{ENGLISH}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
                    ),
                    "qwen35",
                ),
                (
                    format!(
                        r"{OTHER}{UPPER}*{LOWER}+{ENGLISH}?|{OTHER}{UPPER}+{LOWER}*{ENGLISH}?|\p{{N}}{{1,3}}|{SLASHES}"
                    ),
                    "gpt-4o",
                ),
                (
                    format!(r"{OTHER}{UPPER}*{LOWER}+|{OTHER}{UPPER}+{LOWER}*|\p{{N}}|{SLASHES}"),
                    "tekken",
                ),
            ];
            let found = known
                .into_iter()
                .find(|(expression, _)| expression == only)?;
            Some(found.1)
        }
        [
            r"\p{N}{1,3}",
            "[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+",
            last,
        ] if last.starts_with(r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"##) => {
            Some("deepseek-v3")
        }
        [
            r"[\r\n]" | "[\r\n]",
            r"\s?\p{L}+",
            r"\s?\p{P}+",
            "[\u{4e00}-\u{9fa5}\u{0800}-\u{4e00}\u{ac00}-\u{d7ff}]+",
            ..,
        ] => Some("deepseek-coder"),
        [r"[\r\n]" | "[\r\n]", letters, punctuation, ..]
            if letters.starts_with(r"\s?[A-Za-z") && punctuation.starts_with(r"\s?[!-/:-~") =>
        {
            Some("deepseek-llm")
        }
        _ => None,
    }
}
