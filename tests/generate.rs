//! `speculators generate`: the text of `eval`, as it comes.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const MODELS: [&str; 4] = [
    "--verifier",
    "fixtures/verifier",
    "--speculator",
    "fixtures/heads/speculators",
];

fn speculators(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_speculators"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RAYON_NUM_THREADS", "2")
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn generate(more: &[&str]) -> Output {
    let arguments = [&["generate"], &MODELS[..], more].concat();
    speculators(&arguments).output().unwrap()
}

/// The text that goes to stdout, where all is well.
fn text(more: &[&str]) -> String {
    let output = generate(more);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn report(more: &[&str]) -> Value {
    serde_json::from_str(&text(&[more, &["--format", "json"]].concat())).unwrap()
}

/// What `eval` makes of prompts: a line of `--outputs` each.
fn evaluated(prompts: &[Value], more: &[&str]) -> Vec<Value> {
    let scratch = tempfile::tempdir().unwrap();
    let (file, outputs) = (
        scratch.path().join("p.jsonl"),
        scratch.path().join("o.jsonl"),
    );
    let lines: Vec<String> = prompts.iter().map(Value::to_string).collect();
    fs_err::write(&file, lines.join("\n")).unwrap();
    let arguments = [&["eval"], &MODELS[..], more].concat();
    let status = speculators(&arguments)
        .arg("--prompts")
        .arg(&file)
        .arg("--outputs")
        .arg(&outputs)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let written = fs_err::read_to_string(&outputs).unwrap();
    written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A text as a line of its own.
fn line(text: &Value) -> String {
    let text = text.as_str().unwrap();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}")
}

#[test]
fn the_text_is_that_of_eval_for_every_prompt() {
    let prompts = fs_err::read_to_string("fixtures/prompts.jsonl").unwrap();
    let prompts: Vec<Value> = prompts
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let outputs = evaluated(&prompts, &["--max-new-tokens", "40"]);
    assert_eq!(outputs.len(), prompts.len());
    let mut checked = 0;
    for (prompt, output) in prompts.iter().zip(outputs) {
        let mut more = vec!["--max-new-tokens", "40", "--prompt"];
        let messages = prompt["messages"].as_array().map_or(&[][..], Vec::as_slice);
        match (messages, &prompt["prompt"]) {
            ([message], _) => more.push(message["content"].as_str().unwrap()),
            (_, Value::String(text)) => more.extend([text.as_str(), "--raw"]),
            // Conversations that have been led already; a chat leads its own.
            _ => continue,
        }
        assert_eq!(text(&more), line(&output["text"]), "{prompt}");
        checked += 1;
    }
    assert!(checked > 15, "{checked}");
}

#[test]
fn sampled_text_is_that_of_eval_with_the_same_seed_and_of_plain_decoding() {
    let sampling = [
        "--temperature",
        "0.9",
        "--seed",
        "7",
        "--max-new-tokens",
        "40",
    ];
    let outputs = evaluated(&[json!({ "prompt": "The answer" })], &sampling);
    let more = [&["--raw", "--prompt", "The answer"], &sampling[..]].concat();
    assert_eq!(text(&more), line(&outputs[0]["text"]));
    assert_eq!(
        report(&more)["output_token_ids"],
        outputs[0]["output_token_ids"]
    );
    for other in [&["--no-speculation"][..], &["--tree", "dynamic"]] {
        assert_eq!(
            text(&[&more[..], other].concat()),
            line(&outputs[0]["text"])
        );
    }
    let other = [
        "--temperature",
        "0.9",
        "--seed",
        "8",
        "--max-new-tokens",
        "40",
    ];
    assert_ne!(
        text(&[&more[..3], &other].concat()),
        line(&outputs[0]["text"])
    );
}

/// Tokens drawn nearly at random are rarely whole characters.
#[test]
fn bytes_that_are_no_characters_come_as_the_whole_text_has_them() {
    let mut broken = 0;
    for seed in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        let more = [
            "--raw",
            "--prompt",
            "é",
            "--temperature",
            "5",
            "--seed",
            seed,
        ];
        let report = report(&more);
        assert_eq!(text(&more), line(&report["text"]));
        broken += usize::from(report["text"].as_str().unwrap().contains('\u{FFFD}'));
    }
    assert!(broken > 0);
}

#[test]
fn a_stop_string_ends_the_text_before_it() {
    for stop in [" 80. 6", "is", "The ans", "Q"] {
        let more = ["--stop", stop, "--stop", "166"];
        let prompt = json!({ "messages": [{ "role": "user", "content": "What is 86 + 80?" }] });
        let outputs = evaluated(&[prompt], &more);
        let prompt = ["--prompt", "What is 86 + 80?", "--show-accepted=brackets"];
        let marked = text(&[&prompt[..], &more].concat());
        assert_eq!(marked.replace(['[', ']'], ""), line(&outputs[0]["text"]));
        assert!(!marked.contains("166"));
    }
}

#[test]
fn the_report_adds_up() {
    let report = report(&["--prompt", "What is 86 + 80?"]);
    assert_eq!(report["schema"], "speculators.generate/1");
    assert_eq!(
        (&report["finish_reason"], &report["chat_template"]),
        (&json!("stop"), &json!(true))
    );
    let accepted: Vec<u64> = serde_json::from_value(report["accepted_per_step"].clone()).unwrap();
    let counts = &report["counts"];
    assert_eq!(counts["accepted"], accepted.iter().sum::<u64>());
    assert_eq!(counts["steps"], accepted.len());
    let tokens = report["output_token_ids"].as_array().unwrap().len();
    assert_eq!(counts["output_tokens"], tokens);
    assert_eq!(counts["emitted"], tokens - 1);
    let plain = self::report(&["--prompt", "What is 86 + 80?", "--no-speculation"]);
    assert_eq!(plain["text"], report["text"]);
    assert_eq!(
        (&plain["speculator"], &plain["acceptance"]),
        (&Value::Null, &Value::Null)
    );
    let cut = self::report(&["--prompt", "What is 86 + 80?", "--max-new-tokens", "5"]);
    assert_eq!(
        (&cut["finish_reason"], &cut["counts"]["output_tokens"]),
        (&json!("length"), &json!(5))
    );
}

#[test]
fn marks_are_beside_the_text_and_not_in_a_pipe_unasked() {
    let prompt = [
        "--prompt",
        "Ada has 6 candles and gets 6 more from Carla. How many candles does Ada have now?",
    ];
    let plain = text(&prompt);
    assert!(!plain.contains(['[', ']', '\u{1b}']));
    let output = generate(&[&prompt[..], &["--show-accepted"]].concat());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), plain);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("stdout takes no colors")
    );

    let marked = text(&[&prompt[..], &["--show-accepted=brackets"]].concat());
    assert_eq!(marked.replace(['[', ']'], ""), plain);
    let colored = text(&[&prompt[..], &["--show-accepted", "--color", "always"]].concat());
    let (accepted, own, end) = ("\u{1b}[32m", "\u{1b}[1;34m", "\u{1b}[0m");
    assert_eq!(
        colored
            .replace(accepted, "[")
            .replace(own, "")
            .replace(end, "")
            .replace('[', ""),
        plain
    );
    // The same pieces in both forms.
    let green = colored
        .split(accepted)
        .skip(1)
        .map(|rest| rest.split(end).next().unwrap());
    let within = marked
        .split('[')
        .skip(1)
        .map(|rest| rest.split(']').next().unwrap());
    let green: Vec<&str> = green.collect();
    assert_eq!(green, within.collect::<Vec<_>>());
    assert!(green.len() > 2);

    // As many tokens are marked as were accepted: here each of them is text by itself.
    let accepted = report(&prompt)["counts"]["accepted"].as_u64().unwrap();
    let tokenizer = speculators::text::TextTokenizer::load(Path::new("fixtures/verifier")).unwrap();
    let ids: Vec<u32> =
        serde_json::from_value(report(&prompt)["output_token_ids"].clone()).unwrap();
    let steps: Vec<usize> =
        serde_json::from_value(report(&prompt)["accepted_per_step"].clone()).unwrap();
    assert_eq!(accepted as usize, steps.iter().sum::<usize>());
    let (mut expected, mut place) = (Vec::new(), 1);
    for accepted in steps {
        let end = (place + accepted).min(ids.len());
        expected.push(tokenizer.decode(&ids[place..end]).unwrap());
        place = end + 1;
    }
    expected.retain(|run| !run.is_empty());
    assert_eq!(green, expected);
}

/// Feeds stdin, and gives back the output.
fn fed(arguments: &[&str], input: &str) -> Output {
    let arguments = [&["generate"], &MODELS[..], arguments].concat();
    let mut child = speculators(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_prompt_comes_from_stdin_as_well() {
    let output = fed(&["--prompt", "-"], "What is 86 + 80?\n");
    let expected = text(&["--prompt", "What is 86 + 80?"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn a_chat_remembers_until_it_is_told_not_to() {
    let first = "My name is Tariq. I will visit Prague in winter. What should I see?";
    let questions = [first, "What should I see?"];
    let outputs = evaluated(
        &[json!({ "turns": questions })],
        &["--max-new-tokens", "40"],
    );
    let [first, second] = [0, 1].map(|turn| line(&outputs[turn]["text"]));
    let alone = text(&["--prompt", questions[1], "--max-new-tokens", "40"]);
    assert_ne!(second, alone);
    let input = format!(
        "{}\n\n{}\n/clear\n{1}\n/exit\n{1}\n",
        questions[0], questions[1]
    );
    let output = fed(&["--chat", "--max-new-tokens", "40"], &input);
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        [first, second, alone].concat()
    );
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("in 3 answers"), "{stderr}");
}

#[test]
fn a_verifier_without_chat_template_takes_the_prompt_as_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    for name in [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
    ] {
        fs_err::copy(
            Path::new("fixtures/verifier").join(name),
            scratch.path().join(name),
        )
        .unwrap();
    }
    let models = [
        "generate",
        "--verifier",
        scratch.path().to_str().unwrap(),
        "--speculator",
        MODELS[3],
    ];
    let run = |more: &[&str]| speculators(&[&models[..], more].concat()).output().unwrap();
    let output = run(&["--prompt", "The answer", "--max-new-tokens", "8"]);
    let expected = text(&["--prompt", "The answer", "--max-new-tokens", "8", "--raw"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("has no chat template")
    );
    for more in [&["--chat"][..], &["--prompt", "x", "--system", "y"]] {
        let refused = run(more);
        assert_eq!(refused.status.code(), Some(2));
        assert!(refused.stdout.is_empty());
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_the_text_so_far_and_a_summary() {
    use std::io::{BufRead, BufReader, Read};
    let arguments = [
        &["generate"],
        &MODELS[..],
        &["--chat", "--system", "Be brief."],
    ]
    .concat();
    let mut child = speculators(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Far more than can be answered before the interrupt arrives; it ends when the program does.
    let feeder =
        std::thread::spawn(move || while stdin.write_all(b"What is 86 + 80?\n/clear\n").is_ok() {});
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut answer = String::new();
    stdout.read_line(&mut answer).unwrap();
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let rest = std::thread::spawn(move || {
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        rest
    });
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    feeder.join().unwrap();
    // Each answer is whole but for the last, which is its beginning.
    let rest = rest.join().unwrap();
    let lines: Vec<&str> = rest.lines().collect();
    for (place, line) in lines.iter().enumerate() {
        let last = place + 1 == lines.len();
        let whole = answer.trim_end();
        assert!(
            *line == whole || (last && whole.starts_with(line)),
            "{line}"
        );
    }
    let summaries = stderr.lines().filter(|line| line.contains("tokens/s"));
    assert!(summaries.count() > lines.len(), "{stderr}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let arguments = [
        &["generate"],
        &MODELS[..],
        &["--prompt", "What is 86 + 80?"],
    ]
    .concat();
    let mut child = speculators(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!String::from_utf8(output.stderr).unwrap().contains("error"));
}

#[test]
fn a_file_holds_the_options_and_says_where_each_comes_from() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("run.yaml");
    let yaml = "verifier: fixtures/verifier\nspeculator: fixtures/heads/speculators\ngenerate:\n  prompt: What is 86 + 80?\n  max_new_tokens: 9\n";
    fs_err::write(&file, yaml).unwrap();
    let file = file.to_str().unwrap();
    let run = |more: &[&str]| {
        speculators(&[&["generate", "--config", file], more].concat())
            .output()
            .unwrap()
    };
    let output = run(&[]);
    let expected = text(&["--prompt", "What is 86 + 80?", "--max-new-tokens", "9"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    let output = run(&["--max-new-tokens", "2", "--show-config"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    let found = |start: &str, end: &str| {
        shown
            .lines()
            .any(|line| line.starts_with(start) && line.ends_with(end))
    };
    assert!(
        found("max-new-tokens: 2 ", "# flag") && found("temperature: 0 ", "# default"),
        "{shown}"
    );
    assert!(
        found("prompt: \"What is 86 + 80?\" ", "run.yaml:4"),
        "{shown}"
    );

    fs_err::write(file, "max-new-tokns: 2\n").unwrap();
    let output = run(&["--demo", "--format", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["diagnostics"][0]["code"], "S032");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("did you mean `max-new-tokens`?") && stderr.contains(":1:1"),
        "{stderr}"
    );
}
