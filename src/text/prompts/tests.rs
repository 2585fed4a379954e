use super::*;

fn set(text: &str) -> Result<PromptSet> {
    PromptSet::parse(Path::new("prompts.jsonl"), text, PromptOptions::default())
}

fn parse(text: &str) -> Result<Vec<Prompt>> {
    Ok(set(text)?.prompts)
}

fn findings(text: &str) -> Vec<Diagnostic> {
    match parse(text) {
        Err(crate::Error::Diagnostics(found)) => found,
        other => panic!("expected diagnostics, found {other:?}"),
    }
}

#[test]
fn every_spelling_is_read() {
    let prompts = parse(concat!(
        "{\"id\": \"a\", \"category\": \"qa\", \"prompt\": \"hello\"}\n\n",
        "{\"question_id\": 81, \"turns\": [\"one\", \"two\"]}\n",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"cut\"}]}\n",
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"hi\"}, {\"from\": \"gpt\", \"value\": \"cut\"}]}\n",
        "{\"prompt_token_ids\": [1, 2, 3]}\n",
    ))
    .unwrap();
    let ids: Vec<&str> = prompts.iter().map(|prompt| prompt.id.as_str()).collect();
    assert_eq!(ids, ["a", "81", "4", "5", "6"]);
    assert_eq!(prompts[0].category.as_deref(), Some("qa"));
    assert_eq!(
        prompts[1].body,
        PromptBody::Turns(vec!["one".into(), "two".into()])
    );
    assert_eq!(prompts[2].body, prompts[3].body);
    assert_eq!(prompts[4].body, PromptBody::Tokens(vec![1, 2, 3]));
}

/// One entry each, in the shape of the published files; the texts are our own.
#[test]
fn benchmarks_are_read_as_they_are_published() {
    let asked = |line: &str| {
        let prompt = parse(line).unwrap().remove(0);
        let text = match prompt.body {
            PromptBody::Text(text) => text,
            PromptBody::Turns(turns) => turns.join(" | "),
            PromptBody::Messages { messages, .. } => {
                let last = messages.last().unwrap();
                format!("{}: {}", last["role"], last["content"])
            }
            PromptBody::Tokens(tokens) => format!("{tokens:?}"),
        };
        (prompt.id, prompt.category, text)
    };
    let own = str::to_owned;
    for (line, id, category, text) in [
        (
            // MT-Bench, question.jsonl
            r#"{"question_id": 81, "category": "writing", "turns": ["Write.", "Again."], "reference": ["x"]}"#,
            "81",
            Some("writing"),
            "Write. | Again.",
        ),
        (
            // Spec-Bench, question.jsonl
            r#"{"question_id": 161, "category": "translation", "turns": ["Translate: Guten Tag"]}"#,
            "161",
            Some("translation"),
            "Translate: Guten Tag",
        ),
        (
            // HumanEval.jsonl
            r#"{"task_id": "HumanEval/0", "prompt": "def one():\n", "entry_point": "one", "canonical_solution": "    return 1\n", "test": "def check(candidate): ..."}"#,
            "HumanEval/0",
            None,
            "def one():\n",
        ),
        (
            // GSM8K, test.jsonl
            r#"{"question": "What is 2 + 2?", "answer": "2 + 2 = <<2+2=4>>4\n#### 4"}"#,
            "1",
            None,
            r#""user": "What is 2 + 2?""#,
        ),
        (
            // Alpaca, alpaca_data.json
            r#"[{"instruction": "Name the color.", "input": "grass", "output": "green"}]"#,
            "1",
            None,
            r#""user": "Name the color.\n\ngrass""#,
        ),
        (
            // CNN/DailyMail
            r#"{"article": "It rained.", "highlights": "Rain.", "id": "f001"}"#,
            "f001",
            None,
            r#""user": "Summarize:\nIt rained.""#,
        ),
        (
            // ShareGPT_V3_unfiltered_cleaned_split.json
            "[\n  {\"id\": \"Qw_0\", \"conversations\": [\n    {\"from\": \"human\", \"value\": \"Hi\"},\n    {\"from\": \"gpt\", \"value\": \"Hello\"}\n  ]}\n]",
            "Qw_0",
            None,
            r#""user": "Hi""#,
        ),
    ] {
        assert_eq!(asked(line), (own(id), category.map(own), own(text)));
    }
}

#[test]
fn a_list_names_the_entry_that_is_broken() {
    let found = findings("[{\"instruction\": \"a\"}, {\"instruction\": 1}, {}]");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].notes, ["in entry 2 of 3"]);
    assert_eq!(found[0].title, "`instruction` is a number, not a string");
    let found = findings("[{\"instruction\": \"a\"},\n {");
    assert_eq!(found[0].place.as_ref().unwrap().line, Some(2));
}

#[test]
fn a_broken_line_is_named_with_line_and_column() {
    let mut text = "{\"prompt\": \"x\"}\n".repeat(16);
    text.push_str("{\"prompt\": \"x\"\n");
    let found = findings(&text);
    assert_eq!(found.len(), 1);
    let place = found[0].place.as_ref().unwrap();
    assert_eq!((place.line, place.column), (Some(17), Some(14)));
}

#[test]
fn all_broken_lines_are_reported_at_once() {
    let found = findings("{\"prompt\": 1}\n{}\n{\"prompt\": \"a\", \"turns\": [\"b\"]}\n[1]\n");
    assert_eq!(found.len(), 4);
}

#[test]
fn a_file_without_prompts_is_an_error() {
    assert_eq!(findings("\n  \n")[0].code, codes::PROMPTS_EMPTY);
}

fn limited(path: &str, text: &str, limit: usize) -> PromptSet {
    let options = PromptOptions {
        limit: Some(limit),
        as_chat: false,
    };
    PromptSet::parse(Path::new(path), text, options).unwrap()
}

#[test]
fn the_limit_stops_before_later_lines_are_looked_at() {
    assert_eq!(
        limited("p", "{\"prompt\": \"x\"}\nbroken\n", 1)
            .prompts
            .len(),
        1
    );
    assert_eq!(limited("p.txt", "a\nb\nc\n", 2).prompts.len(), 2);
}

/// The questions of every prompt, one after another.
fn questions(set: &PromptSet) -> Vec<String> {
    let text = |prompt: &Prompt| match &prompt.body {
        PromptBody::Text(text) => format!("text {text}"),
        PromptBody::Turns(turns) => format!("turns {}", turns.join(" | ")),
        PromptBody::Messages { messages, .. } => {
            let turn = |message: &Message| format!("{}: {}", message["role"], message["content"]);
            messages.iter().map(turn).collect::<Vec<_>>().join(" ")
        }
        PromptBody::Tokens(tokens) => format!("{tokens:?}"),
    };
    set.prompts.iter().map(text).collect()
}

/// What ShareGPT_V3_unfiltered_cleaned_split.json holds beside conversations.
const SHARE_GPT: &str = r#"[
  {"id": "a_0", "conversations": []},
  {"id": "b_0", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
  {"id": "b_1", "conversations": [{"from": "gpt", "value": "Go on."}, {"from": "human", "value": "Well."}]},
  {"id": "c_0", "conversations": [{"from": "gpt", "value": "Anybody?"}]},
  {"id": "d_0", "conversations": [{"from": "user", "value": "Who?"}, {"from": "bing", "value": "Me"}, {"from": "user", "value": "And?"}]},
  {"id": "e_0", "conversations": [{"from": "human", "value": "?"}, {"from": "alien", "value": "!"}]},
  {"id": "f_0", "conversations": [{"from": "human", "value": " "}]},
  {"id": "g_0", "conversations": []}
]"#;

#[test]
fn published_conversations_are_read_and_what_is_unusable_is_counted_and_named() {
    let set = set(SHARE_GPT).unwrap();
    assert_eq!(
        questions(&set),
        [
            r#""user": "Hi""#,
            r#""user": "Well.""#,
            r#""user": "Who?" "assistant": "Me" "user": "And?""#
        ]
    );
    let [skipped, adjusted] = &set.remarks[..] else {
        panic!("{:?}", set.remarks)
    };
    assert_eq!(skipped.code, codes::PROMPTS_SKIPPED);
    assert_eq!(
        skipped.title,
        "5 of 8 entries hold no usable prompt and were skipped"
    );
    assert_eq!(
        skipped.notes,
        [
            "entries 1, 8: `conversations` is empty",
            "entries 4, 7: no turn of a human to answer",
            "entry 6: a turn comes from `alien`, which is no known role",
        ]
    );
    assert_eq!(adjusted.code, codes::PROMPTS_ADJUSTED);
    assert_eq!(
        adjusted.notes,
        ["entry 3: the turns of the assistant before anybody asked are left out"]
    );
    // The limit counts prompts, not entries.
    let two = limited("p.json", SHARE_GPT, 2);
    assert_eq!((two.prompts.len(), two.remarks.len()), (2, 2));
    assert!(two.remarks[0].title.starts_with("1 of 3 entries"));
}

#[test]
fn a_file_with_nothing_usable_is_refused() {
    let found =
        findings(r#"[{"conversations": []}, {"conversations": [{"from": "gpt", "value": "a"}]}]"#);
    assert_eq!(found[0].code, codes::PROMPTS_EMPTY);
    assert_eq!(
        found[0].title,
        "none of 2 entries of the prompts file holds a usable prompt"
    );
    assert_eq!(found[0].notes.len(), 2);
}

/// The fields of nvidia/SPEED-Bench, and what NVIDIA's scripts make of them; the texts are our own.
#[test]
fn speed_bench_is_read_as_published_and_as_prepared() {
    let published = r#"{"question_id": "5f0c", "category": "math", "sub_category": null, "turns": ["Why?", "Sure?"], "source": "x", "src_id": "1", "difficulty": null, "multiturn": true}
{"question_id": "77aa", "category": "low_entropy", "turns": ["FULL BENCHMARK DATA SHOULD BE FETCHED FROM THE SOURCE USING SPECDEC_BENCH\n\n{article}"], "source": "y", "src_id": "2", "multiturn": false}
{"question_id": "9b1e", "category": "mixed", "messages": [{"role": "user", "content": "One?"}], "source": "x"}
{"question_id": "0d44", "category": "qa", "messages": [{"role": "user", "content": "One?"}, {"role": "user", "content": "Two?"}], "source": "x"}
"#;
    let set = set(published).unwrap();
    assert_eq!(
        questions(&set),
        [
            "turns Why? | Sure?",
            r#""user": "One?""#,
            "turns One? | Two?"
        ]
    );
    assert_eq!(set.prompts[0].id, "5f0c");
    assert_eq!(set.prompts[1].category.as_deref(), Some("mixed"));
    let [skipped, adjusted] = &set.remarks[..] else {
        panic!("{:?}", set.remarks)
    };
    assert_eq!(
        skipped.notes,
        ["line 2: SPEED-Bench's text is to be fetched from its source"]
    );
    assert!(skipped.help.as_ref().unwrap().contains("prepare_data.py"));
    assert!(adjusted.notes[0].starts_with("line 4: one question"));
}

#[test]
fn a_prompt_that_repeats_the_first_turn_is_read_once() {
    let set = set(concat!(
        "{\"prompt\": \"Hi\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": \"Hello\"}]}\n",
        "{\"prompt\": \"Hi \", \"turns\": [\"Hi\", \"And?\"]}\n",
        "{\"prompt\": \"Hi\", \"conversations\": [{\"from\": \"human\", \"value\": \"Hi\"}]}\n",
    ))
    .unwrap();
    assert_eq!(
        questions(&set),
        [r#""user": "Hi""#, "turns Hi | And?", r#""user": "Hi""#]
    );
    assert!(set.remarks[0].notes[0].starts_with("lines 1, 2, 3: `prompt` repeats"));
}

#[test]
fn plain_text_is_a_prompt_a_line_or_a_file() {
    let text = "\u{feff}Once upon\r\n\n  a time\n";
    let lines = PromptSet::parse(Path::new("a.TXT"), text, PromptOptions::default()).unwrap();
    assert_eq!(questions(&lines), ["text Once upon", "text   a time"]);
    assert_eq!(lines.prompts[1].id, "3");
    let whole = PromptSet::parse(Path::new("a.md"), text, PromptOptions::default()).unwrap();
    assert_eq!(questions(&whole), ["text Once upon\r\n\n  a time"]);
    let asked = PromptOptions {
        limit: None,
        as_chat: true,
    };
    let lines = PromptSet::parse(Path::new("a.txt"), text, asked).unwrap();
    assert_eq!(questions(&lines)[0], r#""user": "Once upon""#);
    let help = findings("Once upon a time\n").remove(0).help.unwrap();
    assert!(help.contains("`.txt`"), "{help}");
}

#[test]
fn several_files_keep_their_prompts_apart() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs_err::write(&path, text).unwrap();
        path
    };
    // As in RedHatAI/speculator_benchmarks, where each file is a category.
    let paths = [
        write("qa.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n"),
        write(
            "rag.jsonl",
            "{\"prompt\": \"c\", \"id\": \"x\", \"category\": \"own\"}\n",
        ),
    ];
    let set = PromptSet::read(&paths, PromptOptions::default()).unwrap();
    let named = |set: &PromptSet| -> Vec<(String, Option<String>)> {
        let prompts = set.prompts.iter();
        prompts
            .map(|prompt| (prompt.id.clone(), prompt.category.clone()))
            .collect()
    };
    let own = |id: &str, category: &str| (id.to_owned(), Some(category.to_owned()));
    assert_eq!(
        named(&set),
        [own("qa:1", "qa"), own("qa:2", "qa"), own("rag:x", "own")]
    );
    let options = PromptOptions {
        limit: Some(2),
        as_chat: false,
    };
    assert_eq!(PromptSet::read(&paths, options).unwrap().prompts.len(), 2);
    let alone = PromptSet::read(&paths[..1], PromptOptions::default()).unwrap();
    assert_eq!(named(&alone)[0], ("1".to_owned(), None));
    let twice = [paths[0].clone(), directory.path().join("./qa.jsonl")];
    let ids = named(&PromptSet::read(&twice, PromptOptions::default()).unwrap());
    assert_ne!(ids[0].0, ids[2].0);
}

#[test]
fn what_is_not_text_is_told_from_what_is_malformed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p.jsonl");
    for (bytes, title) in [
        (
            &b"PAR1\x15\x04\xff"[..],
            "the prompts file is Parquet, not text",
        ),
        (
            &b"\x1f\x8b\x08"[..],
            "the prompts file is compressed by gzip, not text",
        ),
        (
            &b"{\"a\": \"\xe9\"}"[..],
            "the prompts file is not UTF-8 from byte 7 on",
        ),
    ] {
        fs_err::write(&path, bytes).unwrap();
        let read = PromptSet::read(std::slice::from_ref(&path), PromptOptions::default());
        let Err(crate::Error::Diagnostics(found)) = read else {
            panic!("{title}: {read:?}")
        };
        assert_eq!(
            (found[0].code, found[0].title.as_str()),
            (codes::PROMPTS_FORM, title)
        );
    }
}

#[test]
fn arguments_of_tool_calls_are_objects_as_servers_make_them() {
    let line = r#"{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{\"b\": 1}"}}]}, {"role": "tool", "content": "2"}]}"#;
    let PromptBody::Messages { messages, .. } = &parse(line).unwrap()[0].body else {
        panic!("not a conversation")
    };
    let arguments = &messages[1]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(*arguments, serde_json::json!({ "b": 1 }));
}

#[test]
fn variables_of_a_prompt_stay() {
    let verifier = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/verifier"));
    let directory = tempfile::tempdir().unwrap();
    fs_err::copy(
        verifier.join("tokenizer.json"),
        directory.path().join("tokenizer.json"),
    )
    .unwrap();
    let template = "{{ enable_thinking }} {{ level }}";
    fs_err::write(directory.path().join("chat_template.jinja"), template).unwrap();
    let text = TextModel::load(directory.path()).unwrap();
    let mut set = set(concat!(
        "{\"turns\": [\"a\"], \"chat_template_kwargs\": {\"level\": 1}}\n",
        "{\"turns\": [\"a\"]}\n",
    ))
    .unwrap();
    let mut wanted = TemplateVariables {
        given: serde_json::json!({ "level": 2 })
            .as_object()
            .unwrap()
            .clone(),
        thinking: Some(false),
    };
    let common = set.set_variables(&wanted, Some(&text)).unwrap();
    assert_eq!(
        Value::from(common),
        serde_json::json!({ "level": 2, "enable_thinking": false })
    );
    let variables = |index: usize| Value::from(set.prompts[index].template_variables.clone());
    assert_eq!(
        variables(0),
        serde_json::json!({ "level": 1, "enable_thinking": false })
    );
    assert_eq!(
        variables(1),
        serde_json::json!({ "level": 2, "enable_thinking": false })
    );
    assert!(set.remarks.is_empty());

    wanted.given.insert("other".into(), 1.into());
    set.set_variables(&wanted, Some(&text)).unwrap();
    assert!(set.remarks[0].title.contains("does not read `other`"));
    let mut plain = PromptSet::parse(Path::new("p.txt"), "a", PromptOptions::default()).unwrap();
    plain.set_variables(&wanted, Some(&text)).unwrap();
    assert!(
        plain.remarks[0]
            .title
            .contains("no prompt is a conversation")
    );
}

/// Words of a text, without regard to case.
fn words(text: &str) -> std::collections::BTreeSet<String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[test]
fn the_built_in_set_is_eighty_prompts_in_eight_categories_of_ten() {
    let set = PromptSet::built_in(PromptOptions::default()).unwrap();
    assert_eq!(set.prompts.len(), 80);
    let mut categories = std::collections::BTreeMap::<_, usize>::new();
    for prompt in &set.prompts {
        *categories
            .entry(prompt.category.clone().unwrap())
            .or_default() += 1;
    }
    assert_eq!(categories.into_values().collect::<Vec<_>>(), [10; 8]);
    let ids: std::collections::BTreeSet<&str> = set
        .prompts
        .iter()
        .map(|prompt| prompt.id.as_str())
        .collect();
    assert_eq!(ids.len(), 80);

    let turns: Vec<&Vec<String>> = set
        .prompts
        .iter()
        .map(|prompt| match &prompt.body {
            PromptBody::Turns(turns) => turns,
            other => panic!("{other:?}"),
        })
        .collect();
    let texts: Vec<&String> = turns.iter().flat_map(|turns| turns.iter()).collect();
    assert_eq!(texts.len(), 100, "twenty have a second turn");
    assert!(texts.iter().all(|text| text.trim().len() > 20));
    let lengths: Vec<usize> = turns.iter().map(|turns| turns[0].len()).collect();
    assert!(lengths.iter().min().unwrap() * 5 < *lengths.iter().max().unwrap());

    let words: Vec<_> = texts.iter().map(|text| words(text)).collect();
    for (index, one) in words.iter().enumerate() {
        for (other_index, other) in words.iter().enumerate().skip(index + 1) {
            let shared = one.intersection(other).count();
            let all = one.union(other).count();
            assert!(shared * 3 < all, "{}\n{}", texts[index], texts[other_index]);
        }
    }
}
