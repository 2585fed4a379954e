use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use super::*;

fn verifier() -> TextModel {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/verifier");
    TextModel::load(Path::new(path)).unwrap()
}

/// A verifier with the tokenizer of the fixture and another template.
fn verifier_with(template: &str) -> (tempfile::TempDir, TextModel) {
    let directory = tempfile::tempdir().unwrap();
    let from = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/verifier"));
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs_err::copy(from.join(name), directory.path().join(name)).unwrap();
    }
    fs_err::write(directory.path().join("chat_template.jinja"), template).unwrap();
    let model = TextModel::load(directory.path()).unwrap();
    (directory, model)
}

const OPTIONS: CountOptions = CountOptions {
    vocab_size: 1024,
    counted: Counted::Assistant,
    seq_length: None,
    skip_invalid: false,
    threads: None,
};

fn run(text: &str, model: &TextModel, options: &CountOptions) -> Result<Counting> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.jsonl");
    fs_err::write(&path, text).unwrap();
    let never = AtomicBool::new(false);
    let sources = [Source::File(path)];
    count(&sources, Some(model), options, &never, &mut |_, _| {})
}

fn counted(lines: &[Value], model: &TextModel, options: &CountOptions) -> Counting {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    run(&lines.join("\n"), model, options).unwrap()
}

fn findings(text: &str, options: &CountOptions) -> Vec<Diagnostic> {
    match run(text, &verifier(), options) {
        Err(Error::Diagnostics(found)) => found,
        other => panic!("expected findings, found {other:?}"),
    }
}

/// Counts of these tokens.
fn of(tokens: &[u32]) -> TokenCounts {
    let mut list = vec![0; 1024];
    for token in tokens {
        list[*token as usize] += 1;
    }
    TokenCounts::from_list(&list).unwrap()
}

#[test]
fn of_a_conversation_the_answers_are_counted_with_what_closes_them() {
    let model = verifier();
    let encode = |text: &str| model.tokenizer.encode(text, false).unwrap();
    let line = json!({"messages": [
        {"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "It is 4."},
        {"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Good."}]});
    let found = counted(std::slice::from_ref(&line), &model, &OPTIONS);
    let answers = encode("It is 4.<|end|>\nYes.<|end|>\n");
    assert_eq!(found.counts, of(&answers));
    assert_eq!(found.counts.get(4), 2);
    assert_eq!((found.lines.conversations, found.lines.answers), (1, 2));
    let all = CountOptions {
        counted: Counted::All,
        ..OPTIONS
    };
    let found = counted(&[line], &model, &all);
    assert_eq!((found.counts.get(0), found.counts.get(4)), (1, 5));
}

#[test]
fn every_spelling_gives_the_same_counts() {
    let model = verifier();
    let ids = model.tokenizer.encode("It is 4.<|end|>\n", false).unwrap();
    let mut padded = vec![2, 17, 3];
    padded.extend(&ids);
    let mask: Vec<u8> = padded
        .iter()
        .enumerate()
        .map(|(i, _)| u8::from(i >= 3))
        .collect();
    for line in [
        json!({"messages": [{"role": "user", "content": "2?"}, {"role": "assistant", "content": "It is 4."}]}),
        json!({"conversations": [{"from": "human", "value": "2?"}, {"from": "gpt", "value": "It is 4."}]}),
        json!({"conversations": [{"role": "user", "content": "2?"}, {"role": "assistant", "content": "It is 4."}], "tools": "[]"}),
        json!({"input_ids": padded, "loss_mask": mask, "text": "not looked at", "messages": 5}),
        json!({"input_ids": ids}),
        json!({"text": "It is 4.<|end|>\n"}),
    ] {
        let found = counted(std::slice::from_ref(&line), &model, &OPTIONS);
        assert_eq!(found.counts, of(&ids), "{line}");
        assert!(found.warnings.is_empty());
    }
}

#[test]
fn an_answer_to_nothing_and_a_question_without_answer_count_nothing() {
    let model = verifier();
    let found = counted(
        &[
            json!({"messages": [{"role": "assistant", "content": "Hello."}]}),
            json!({"messages": [{"role": "user", "content": "Hello."}]}),
        ],
        &model,
        &OPTIONS,
    );
    assert_eq!((found.counts.total(), found.lines.without_answer), (0, 2));
}

#[test]
fn a_sequence_is_cut_as_in_training() {
    let model = verifier();
    let cut = |seq_length: usize| {
        let options = CountOptions {
            seq_length: Some(seq_length),
            ..OPTIONS
        };
        let line = json!({"messages": [{"role": "user", "content": "2?"}, {"role": "assistant", "content": "It is 4."}]});
        counted(&[line], &model, &options).counts.total()
    };
    let whole = cut(1000);
    assert!(whole > 3);
    let prompt = (1..1000).find(|length| cut(*length) == 1).unwrap() - 1;
    assert_eq!(
        [cut(prompt), cut(prompt + 2), cut(prompt + whole as usize)],
        [0, 2, whole]
    );
}

#[test]
fn unknown_roles_are_answers_and_said_to_be() {
    let model = verifier();
    let line = json!({"conversations": [{"from": "human", "value": "2?"}, {"from": "some-model", "value": "4"}]});
    let found = counted(&[line], &model, &OPTIONS);
    assert_eq!((found.lines.answers, found.lines.unknown_roles), (1, 1));
    assert_eq!(found.warnings[0].code, codes::DATA_ROLES);
}

#[test]
fn a_template_that_opens_answers_otherwise_is_said_and_one_that_rewrites_history_refused() {
    let conversation = json!({"messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]});
    let turns = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}";
    let opening = "{% if add_generation_prompt %}<|assistant|>think{% endif %}";
    let (_directory, model) = verifier_with(&format!("{turns}{opening}"));
    let found = counted(std::slice::from_ref(&conversation), &model, &OPTIONS);
    let expected = model.tokenizer.encode("b<|end|>d<|end|>", false).unwrap();
    assert_eq!(found.counts, of(&expected));
    assert_eq!((found.lines.answers, found.lines.diverging), (2, 2));
    assert_eq!(found.warnings[0].code, codes::SPANS_DIVERGE);

    let rewritten = "{{ messages | length }}<|end|>";
    let (_directory, model) = verifier_with(&format!("{rewritten}{turns}{opening}"));
    let Err(Error::Diagnostics(found)) = run(&conversation.to_string(), &model, &OPTIONS) else {
        panic!("counted what cannot be told apart")
    };
    assert_eq!(found[0].code, codes::SPANS_UNSTABLE);
    assert_eq!(found[0].place.as_ref().unwrap().line, Some(1));
    let skip = CountOptions {
        skip_invalid: true,
        ..OPTIONS
    };
    let found = run(&conversation.to_string(), &model, &skip).unwrap();
    assert_eq!((found.lines.skipped, found.counts.total()), (1, 0));
    assert_eq!(found.lines.conversations, 0);
}

#[test]
fn every_broken_line_is_named_with_its_place() {
    let text = concat!(
        "{\"text\": \"fine\"}\n\n",
        "not json\n",
        "{\"text\": 5}\n",
        "{\"input_ids\": [1, -1]}\n",
        "{\"input_ids\": [1, 2], \"loss_mask\": [1]}\n",
        "{\"input_ids\": [1, 2], \"loss_mask\": [1, 2]}\n",
        "{\"loss_mask\": [1]}\n",
        "{}\n",
        "{\"text\": \"a\", \"messages\": []}\n",
        "{\"messages\": [{\"content\": \"a\"}]}\n",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}]}\n",
        "{\"conversations\": []}\n",
        "[1]\n",
    );
    let found = findings(text, &OPTIONS);
    let lines: Vec<usize> = found
        .iter()
        .map(|found| found.place.as_ref().unwrap().line.unwrap())
        .collect();
    assert_eq!(lines, (3..=14).collect::<Vec<_>>());
    assert!(
        found
            .iter()
            .all(|found| found.code == codes::DATA_MALFORMED)
    );
    assert_eq!(found[2].place.as_ref().unwrap().column, Some(20));
    let ids = "{\"input_ids\": [1, 2000]}\n";
    assert_eq!(findings(ids, &OPTIONS)[0].code, codes::DATA_TOKEN_RANGE);
    // A template refuses a role it does not know.
    let role = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"tool\", \"content\": \"b\"}, {\"role\": \"assistant\", \"content\": \"c\"}]}\n";
    assert_eq!(findings(role, &OPTIONS)[0].code, codes::TOKENIZER);
}

#[test]
fn findings_end_somewhere_and_skipping_counts_all_of_them() {
    let text = "nothing\n".repeat(100_000);
    let found = findings(&text, &OPTIONS);
    assert_eq!(found.len(), 21);
    assert!(
        found[20].title.starts_with("at least"),
        "{}",
        found[20].title
    );
    let skip = CountOptions {
        skip_invalid: true,
        ..OPTIONS
    };
    let found = run(&text, &verifier(), &skip).unwrap();
    assert_eq!(found.lines.skipped, 100_000);
    assert_eq!(
        found.warnings[0].title,
        "100000 of 100000 lines were left out"
    );
}

#[test]
fn any_number_of_threads_counts_the_same() {
    let mut text = String::new();
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for line in 0..12_000 {
        let number = draw(1_000_000);
        let entry = match line % 3 {
            0 => json!({"text": format!("There are {number} apples in Riga.")}),
            1 => {
                let ids: Vec<u64> = (0..30).map(|_| draw(1024)).collect();
                let mask: Vec<u64> = (0..30).map(|_| draw(2)).collect();
                json!({"input_ids": ids, "loss_mask": mask})
            }
            _ => json!({"messages": [
                {"role": "user", "content": format!("Is it {number}?")},
                {"role": "assistant", "content": format!("No, it is {}.", number + 1)}]}),
        };
        let broken = if line % 4_001 == 17 { "oops" } else { "" };
        writeln!(text, "{broken}{entry}").unwrap();
    }
    let model = verifier();
    let with = |threads: usize| {
        let options = CountOptions {
            skip_invalid: true,
            threads: Some(threads),
            ..OPTIONS
        };
        run(&text, &model, &options).unwrap()
    };
    let one = with(1);
    assert_eq!(one.lines.skipped, 3);
    assert_eq!(one.sources[0].lines, 12_000);
    assert_eq!(one.sources[0].bytes, text.len() as u64);
    for threads in [2, 5] {
        let many = with(threads);
        assert_eq!(many.counts, one.counts);
        assert_eq!(many.lines, one.lines);
        assert_eq!(many.sources[0].blake3, one.sources[0].blake3);
    }
}

#[test]
fn what_cannot_be_read_at_all_is_said_once() {
    let never = AtomicBool::new(false);
    let model = verifier();
    let fail = |source: &Path, model: Option<&TextModel>| {
        let sources = [Source::File(source.to_path_buf())];
        match count(&sources, model, &OPTIONS, &never, &mut |_, _| {}) {
            Err(Error::Diagnostics(found)) => (found.len(), found[0].code),
            other => panic!("{other:?}"),
        }
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.jsonl");
    assert_eq!(fail(&path, Some(&model)), (1, codes::FILE_MISSING));
    assert_eq!(
        fail(directory.path(), Some(&model)),
        (1, codes::FILE_MISSING)
    );
    fs_err::write(&path, b"\x1f\x8b\x08").unwrap();
    assert_eq!(fail(&path, Some(&model)), (1, codes::DATA_MALFORMED));
    fs_err::write(&path, "{\"text\": \"a\"}\n".repeat(5)).unwrap();
    assert_eq!(fail(&path, None), (1, codes::TOKENIZER));
}

#[test]
fn the_user_can_stop_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.jsonl");
    fs_err::write(&path, "{\"text\": \"a\"}\n").unwrap();
    let always = AtomicBool::new(true);
    let sources = [Source::File(path)];
    let stopped = count(
        &sources,
        Some(&verifier()),
        &OPTIONS,
        &always,
        &mut |_, _| {},
    );
    assert!(matches!(stopped, Err(Error::Interrupted)));
}

#[test]
fn arguments_of_tool_calls_reach_the_template_as_the_object_they_are() {
    let template = "{% for m in messages %}{{ m.content }}{% for call in m.tool_calls or [] %}{{ call.function.arguments.city }}{% endfor %}{% endfor %}";
    let (_directory, model) = verifier_with(template);
    let function = json!({"name": "weather", "arguments": "{\"city\": \"Riga\"}"});
    let line = json!({"conversations": [
        {"from": "human", "value": "Rain?"},
        {"from": "gpt", "value": null, "tool_calls": [{"function": function}]}]});
    let found = counted(&[line], &model, &OPTIONS);
    assert_eq!(
        found.counts,
        of(&model.tokenizer.encode("Riga", false).unwrap())
    );
}
