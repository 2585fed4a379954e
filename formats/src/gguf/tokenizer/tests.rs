use serde_json::{Value, json};

use super::*;
use crate::gguf::{GgufFile, Header};
use crate::testing::Scratch;

/// Writes a verifier's tokenizer and reads back what was made of it.
fn read(scratch: &Scratch, tokenizer: &Value, settings: &Value) -> (GgufFile, Vec<Decision>) {
    let (mut metadata, mut decisions) = (Metadata::new(), Vec::new());
    scratch.write("tokenizer.json", tokenizer.to_string().as_bytes());
    scratch.write("tokenizer_config.json", settings.to_string().as_bytes());
    scratch.write(
        "config.json",
        br#"{"eos_token_id": 3, "pad_token_id": [1]}"#,
    );
    add(scratch.root(), 6, &mut metadata, &mut decisions).unwrap();
    let header = Header::new(&metadata, &[]).unwrap();
    scratch.write("t.gguf", &header.bytes);
    (GgufFile::open(scratch.path("t.gguf")).unwrap(), decisions)
}

fn byte_level() -> Value {
    json!({
        "added_tokens": [
            {"id": 3, "content": "<|end|>", "special": false},
            {"id": 4, "content": "a\u{2581}b", "special": false},
            {"id": 0, "content": "<s>", "special": true},
        ],
        "pre_tokenizer": {"type": "ByteLevel", "use_regex": true},
        "post_processor": {"type": "TemplateProcessing", "single": [
            {"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}},
        ]},
        "model": {"type": "BPE", "vocab": {"<s>": 0, "x": 1, "Ġx": 2}, "merges": [["Ġ", "x"], [" ", "x y"]]},
    })
}

fn strings(file: &GgufFile, key: &str) -> Vec<String> {
    let list = file.value(key).unwrap().array().unwrap();
    list.iter()
        .map(|text| text.text().unwrap().to_owned())
        .collect()
}

fn numbers(file: &GgufFile, key: &str) -> Vec<usize> {
    file.sizes(key).unwrap().unwrap()
}

#[test]
fn byte_level_tokens_come_with_their_kinds_and_merges() {
    let scratch = Scratch::new();
    let settings =
        json!({"bos_token": {"content": "<s>"}, "add_bos_token": false, "chat_template": "hello"});
    let (file, decisions) = read(&scratch, &byte_level(), &settings);
    assert_eq!(
        strings(&file, "tokenizer.ggml.tokens"),
        ["<s>", "x", "Ġx", "<|end|>", "a b", "[PAD5]"]
    );
    // Control, normal, normal, control by its looks, user-defined, unused.
    assert_eq!(
        numbers(&file, "tokenizer.ggml.token_type"),
        [3, 1, 1, 3, 4, 5]
    );
    assert_eq!(strings(&file, "tokenizer.ggml.merges"), ["Ġ x", "Ġ xĠy"]);
    assert_eq!(file.text("tokenizer.ggml.model").unwrap(), Some("gpt2"));
    assert_eq!(file.text("tokenizer.ggml.pre").unwrap(), Some("gpt-2"));
    assert_eq!(file.size("tokenizer.ggml.bos_token_id").unwrap(), Some(0));
    // The settings name no end of text, the config does; its padding is a list, which says nothing.
    assert_eq!(file.size("tokenizer.ggml.eos_token_id").unwrap(), Some(3));
    assert_eq!(file.size("tokenizer.ggml.padding_token_id").unwrap(), None);
    // The post-processor counts, not the settings.
    assert_eq!(
        file.boolean("tokenizer.ggml.add_bos_token").unwrap(),
        Some(true)
    );
    assert_eq!(file.text("tokenizer.chat_template").unwrap(), Some("hello"));
    assert!(!decisions[0].guess);
}

#[test]
fn byte_fallback_is_the_other_kind() {
    let scratch = Scratch::new();
    let tokenizer = json!({
        "added_tokens": [{"id": 0, "content": "<unk>", "special": true}],
        "model": {"type": "BPE", "byte_fallback": true, "vocab": {"<unk>": 0, "<0x0A>": 1, "▁a": 2}, "merges": []},
    });
    let (file, _) = read(&scratch, &tokenizer, &json!({}));
    assert_eq!(file.text("tokenizer.ggml.model").unwrap(), Some("llama"));
    assert_eq!(
        numbers(&file, "tokenizer.ggml.token_type"),
        [3, 6, 1, 5, 5, 5]
    );
    assert!(file.value("tokenizer.ggml.merges").is_none());
    assert_eq!(
        file.value("tokenizer.ggml.scores")
            .unwrap()
            .array()
            .unwrap()
            .len(),
        6
    );
}

#[test]
fn the_way_a_text_is_split_is_recognized_by_its_expressions() {
    let split = |expression: &str| json!({"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated"});
    let byte_level = json!({"type": "ByteLevel", "use_regex": false});
    let sequence = |steps: &[Value]| {
        let steps = [steps, std::slice::from_ref(&byte_level)].concat();
        json!({"type": "Sequence", "pretokenizers": steps})
    };
    let qwen = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let llama = qwen.replace(r"|\p{N}|", r"|\p{N}{1,3}|");
    let four = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let tekken = four
        .replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "")
        .replace(r"\p{N}{1,3}", r"\p{N}");
    let digits = json!({"type": "Digits", "individual_digits": true});
    let deepseek = [
        split(r"\p{N}{1,3}"),
        split("[一-龥぀-ゟ゠-ヿ]+"),
        split(
            r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
        ),
    ];
    for (pre_tokenizer, name) in [
        (sequence(&[split(qwen)]), "qwen2"),
        (sequence(&[split(&llama)]), "llama-bpe"),
        (sequence(&[split(four)]), "gpt-4o"),
        (sequence(&[split(&tekken)]), "tekken"),
        (sequence(&deepseek), "deepseek-v3"),
        (json!({"type": "ByteLevel"}), "gpt-2"),
        (
            json!({"type": "Sequence", "pretokenizers": [digits, {"type": "ByteLevel"}]}),
            "smollm",
        ),
        (sequence(&[split(r"\w+")]), "default"),
        (Value::Null, "default"),
    ] {
        let mut decisions = Vec::new();
        assert_eq!(
            family::recognize(Some(&pre_tokenizer), &mut decisions),
            name
        );
        assert_eq!(decisions[0].guess, name == "default");
    }
}

#[test]
fn other_tokenizers_are_refused_by_name() {
    let scratch = Scratch::new();
    scratch.write("config.json", b"{}");
    let add = |tokenizer: &Value| {
        scratch.write("tokenizer.json", tokenizer.to_string().as_bytes());
        let (mut metadata, mut decisions) = (Metadata::new(), Vec::new());
        super::add(scratch.root(), 6, &mut metadata, &mut decisions).unwrap_err()
    };
    let found = add(&json!({"model": {"type": "Unigram", "vocab": []}}));
    assert_eq!(found[0].code, codes::NOT_REPRESENTABLE);
    assert!(found[0].title.contains("`Unigram`"), "{}", found[0].title);
    let mut tokenizer = byte_level();
    tokenizer["model"]["vocab"]["y"] = json!(6);
    assert_eq!(add(&tokenizer)[0].code, codes::VOCABULARY);
    let mut tokenizer = byte_level();
    tokenizer["model"]["merges"] = json!([["only one"]]);
    assert_eq!(add(&tokenizer)[0].code, codes::CONFIG_TYPE);
}
