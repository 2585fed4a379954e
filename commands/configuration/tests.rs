//! The rules by which a file and the command line come together.

use std::path::Path;

use clap::builder::ArgAction;
use clap::{Arg, Command};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// What `speculators … --config run.yaml` resolves to.
fn resolved(arguments: &[&str], yaml: &str) -> Result<Resolved, Vec<Diagnostic>> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("run.yaml");
    fs_err::write(&path, yaml).unwrap();
    let mut typed: Vec<OsString> = vec!["speculators".into()];
    typed.extend(arguments.iter().map(OsString::from));
    typed.extend(["--show-config".into(), "--config".into(), path.into()]);
    resolve(typed).map_err(|stop| match stop {
        Stop::File(problems, _) => problems,
        Stop::Clap(error) => panic!("{error}"),
    })
}

fn options_of(arguments: &[&str], yaml: &str) -> Value {
    let resolved = resolved(arguments, yaml).unwrap_or_else(|found| panic!("{found:?}"));
    resolved.shown.unwrap().json()["options"].clone()
}

/// Title, line and help of the findings about a file.
fn problems(arguments: &[&str], yaml: &str) -> Vec<(String, usize, String)> {
    let found = resolved(arguments, yaml).err().unwrap();
    let told = found.into_iter().map(|problem| {
        let line = problem.place.and_then(|place| place.line).unwrap();
        let rest = problem.notes.into_iter().chain(problem.help);
        (problem.title, line, rest.collect::<Vec<_>>().join("; "))
    });
    told.collect()
}

fn only_problem(arguments: &[&str], yaml: &str) -> (String, usize, String) {
    let mut found = problems(arguments, yaml);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn what_is_typed_wins_over_the_file_and_the_file_over_defaults() {
    let yaml = "temperature: 0.6\nlimit: 3\nmax_new_tokens: 12\n";
    let options = options_of(&["eval", "--demo", "--limit", "5"], yaml);
    let of = |name: &str| {
        [
            options[name]["value"].clone(),
            options[name]["origin"].clone(),
        ]
    };
    assert_eq!(of("limit"), [json!(5), json!("flag")]);
    assert_eq!(of("demo"), [json!(true), json!("flag")]);
    assert_eq!(of("temperature"), [json!(0.6), json!("file")]);
    assert_eq!(options["temperature"]["line"], 1);
    assert_eq!(of("max-new-tokens"), [json!(12), json!("file")]);
    assert_eq!(options["max-new-tokens"]["line"], 3);
    assert_eq!(of("format"), [json!("text"), json!("default")]);
    assert_eq!(of("threads"), [json!(null), json!("not set")]);

    let arguments = resolved(&["eval", "--demo"], yaml).unwrap().arguments;
    let crate::arguments::Command::Eval(eval) = arguments.command else {
        panic!("another command")
    };
    assert_eq!((eval.limit, eval.max_new_tokens), (Some(3), Some(12)));
}

#[test]
fn what_a_command_requires_may_stand_in_the_file() {
    let yaml = "verifier: V\nspeculator: 'true'\nprompts: a b.jsonl\n";
    let options = options_of(&["eval"], yaml);
    assert_eq!(options["speculator"]["value"], "true");
    assert_eq!(options["prompts"]["value"], json!(["a b.jsonl"]));
    // And what it lacks still is missed.
    let typed = ["speculators", "eval", "--show-config"].map(OsString::from);
    assert!(matches!(resolve(typed.into()), Err(Stop::Clap(_))));
}

#[test]
fn flags_are_on_or_off_and_lists_are_repeated() {
    let yaml = "demo: true\nfail-under: [mean_length=2.5, draft_rate=0.1]\nno_progress: false\nverbose: 2\n";
    let options = options_of(&["eval"], yaml);
    assert_eq!(options["demo"]["value"], true);
    assert_eq!(options["no-progress"]["value"], false);
    assert_eq!(options["no-progress"]["origin"], "file");
    assert_eq!(options["verbose"]["value"], 2);
    let gates = json!(["mean_length=2.5", "draft_rate=0.1"]);
    assert_eq!(options["fail-under"]["value"], gates);
    // What is typed takes the place of the whole list.
    let options = options_of(&["eval", "--fail-under", "mean_length=1"], yaml);
    assert_eq!(options["fail-under"]["value"], json!(["mean_length=1"]));
    // A mapping is an object where an option takes one; an option whose value may be left out is switched on.
    let yaml = "verifier: V\noutput-path: O\nalgorithm-kwargs: {norm_before_residual: true, n: 1.5}\nnorm-before-fc: true\n";
    let options = options_of(&["convert", "head"], yaml);
    let object = "{\"norm_before_residual\":true,\"n\":1.5}";
    assert_eq!(options["algorithm-kwargs"]["value"], object);
    assert_eq!(options["norm-before-fc"]["value"], true);
    let options = options_of(&["generate", "--demo"], "show-accepted: true\n");
    assert_eq!(options["show-accepted"]["value"], "color");
}

#[test]
fn keys_that_are_no_options_are_refused_with_line_and_nearest_name() {
    let (title, line, help) = only_problem(&["eval", "--demo"], "limit: 1\ntemprature: 0.5\n");
    assert_eq!(title, "`eval` has no option `temprature`");
    assert_eq!((line, help.as_str()), (2, "did you mean `temperature`?"));
    let (title, _, help) = only_problem(&["eval", "--demo"], "zebra-crossing: 1\n");
    assert!(title.contains("zebra") && help.contains("--help"), "{help}");
    let (_, _, help) = only_problem(&["convert", "head"], "temperature: 1\n");
    assert!(
        help.contains("it is an option of `eval`, `generate`"),
        "{help}"
    );
    assert!(help.contains("`eval: {temperature: …}`"), "{help}");
    let (title, ..) = only_problem(&["eval", "--demo"], "config: other.yaml\n");
    assert_eq!(title, "`config` is for the command line alone");
    let (_, _, help) = only_problem(&["eval", "--demo"], "evall: {limit: 1}\n");
    assert_eq!(help, "did you mean `eval`?");
    // All of them at once.
    assert_eq!(problems(&["eval", "--demo"], "a1: 1\nb2: 2\n").len(), 2);
}

#[test]
fn values_that_an_option_cannot_have_are_refused_with_their_line() {
    for (yaml, title, rest) in [
        ("limit: many", "`limit` cannot be `many`", "invalid digit"),
        (
            "tree-depth: 64",
            "`tree-depth` cannot be `64`",
            "64 is not in 1..=63",
        ),
        (
            "format: xml",
            "`format` cannot be `xml`",
            "possible values: text, json",
        ),
        (
            "demo: yes",
            "`demo` is a flag, and its value is \"yes\"",
            "`true` or `false`",
        ),
        ("demo: 'true'", "`demo` is a flag", "`true` or `false`"),
        (
            "verbose: -1",
            "`verbose` is counted, and its value is -1",
            "from 0 to 9",
        ),
        ("limit:", "`limit` has no value", "leave the line out"),
        ("limit: [1, 2]", "`limit` takes one value, not a list", ""),
        ("limit: {a: 1}", "`limit` takes a value, not a mapping", ""),
        (
            "fail-under: [a=1, ]\nfail_under: 2",
            "`fail_under` is set twice",
            ":2:1, as `fail-under`",
        ),
        (
            "fail-under: [mean_length=1, null]",
            "`fail-under` holds no value",
            "",
        ),
        (
            "fail-under: mean_length",
            "`fail-under` cannot be `mean_length`",
            "",
        ),
    ] {
        let (found, line, told) = only_problem(&["eval", "--demo"], &format!("\n{yaml}\n"));
        assert!(
            found.contains(title) && told.contains(rest),
            "{yaml}: {found}: {told}"
        );
        assert_eq!(line, if yaml.contains('\n') { 3 } else { 2 }, "{yaml}");
    }
}

#[test]
fn what_is_typed_puts_aside_what_it_excludes() {
    let yaml = "verifier: V\nspeculator: S\nprompts: P\nlimit: 2\n";
    let resolved = resolved(&["eval", "--demo"], yaml).unwrap();
    assert_eq!(resolved.told.len(), 3, "{:?}", resolved.told);
    let reason = "`verifier` is put aside: `--demo` on the command line excludes it";
    assert!(
        resolved.told[0].ends_with(&format!("run.yaml:1:1: {reason}")),
        "{:?}",
        resolved.told
    );
    let options = resolved.shown.unwrap().json()["options"].clone();
    assert_eq!(options["prompts"]["value"], Value::Null);
    assert_eq!(options["limit"]["value"], 2);
    // And with it what goes with nothing else.
    let yaml = "tree: dynamic\ntree-budget: 16\ntemperature: 1\n";
    let arguments = ["eval", "--demo", "--num-speculative-tokens", "2"];
    let resolved = self::resolved(&arguments, yaml).unwrap();
    assert_eq!(resolved.told.len(), 2, "{:?}", resolved.told);
    assert!(
        resolved.told[1].contains("`tree-budget` is put aside"),
        "{:?}",
        resolved.told
    );
    assert_eq!(
        resolved.shown.unwrap().json()["options"]["temperature"]["value"],
        1
    );
}

#[test]
fn settings_that_exclude_each_other_are_refused_with_both_lines() {
    let yaml = "tree: dynamic\nlimit: 1\nnum-speculative-tokens: 2\n";
    let (title, line, note) = only_problem(&["eval", "--demo"], yaml);
    assert_eq!(
        title,
        "`tree` and `num-speculative-tokens` exclude each other"
    );
    assert!(
        line == 3 && note.contains("`tree` is set at") && note.ends_with(":1:1"),
        "{note}"
    );
}

#[test]
fn sections_serve_several_commands() {
    let yaml = "verifier: V\nformat: json\neval:\n  speculator: S\n  prompts: P\n  format: text\nconvert: {output_path: O}\n";
    let options = options_of(&["eval"], yaml);
    assert_eq!(options["format"]["value"], "text");
    assert_eq!(options["format"]["line"], 6);
    assert_eq!(options["verifier"]["value"], "V");
    // Names are looked at in every section.
    let yaml = "demo: true\nconvert: {output_pth: O}\nstitch_mtp: {}\n";
    let (title, line, help) = only_problem(&["eval"], yaml);
    assert_eq!(
        (title.as_str(), line),
        ("`convert` has no option `output_pth`", 2)
    );
    assert!(help.contains("`output-path`"), "{help}");
    // The section is more special than what stands outside, wherever that is.
    let yaml = "eval: {tree: dynamic}\nnum-speculative-tokens: 3\ndemo: true\n";
    let resolved = resolved(&["eval"], yaml).unwrap();
    assert!(resolved.told[0].contains("`tree` of the command's section excludes it"));
    assert_eq!(
        resolved.shown.unwrap().json()["options"]["tree"]["value"],
        "dynamic"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let typed = ["speculators", "eval", "--demo", "--config", "nowhere.yaml"].map(OsString::from);
    let Err(Stop::File(found, _)) = resolve(typed.into()) else {
        panic!("it was found")
    };
    assert_eq!(found[0].code, speculators_formats::codes::FILE_MISSING);
    assert_eq!(
        found[0].place.as_ref().unwrap().path,
        Path::new("nowhere.yaml")
    );
}

/// A value that an option takes, found by trying.
fn sample(command: &Command, option: &Arg) -> Value {
    match option.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => return true.into(),
        ArgAction::Count => return 2.into(),
        _ => {}
    }
    let possible = option.get_possible_values();
    let mut candidates: Vec<String> = possible.iter().map(|v| v.get_name().to_owned()).collect();
    let others = [
        "1",
        "0.5",
        "config",
        "feedback",
        "mean_length=2",
        "S404",
        "eagle3",
        "true",
        "a/b",
        "a=1",
        "{}",
        "typical",
        "page.html",
        "1000",
    ];
    candidates.extend(others.map(str::to_owned));
    let takes = |text: &String| {
        let typed = format!("--{}={text}", option.get_long().unwrap());
        options::fault(command, &typed).is_none()
    };
    let found = candidates.into_iter().find(takes);
    file::plain(&found.unwrap_or_else(|| panic!("no sample for {option}")))
}

#[test]
fn every_option_of_every_command_can_be_set() {
    let mut program = Arguments::command();
    program.build();
    let mut checked = 0;
    for command in program
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        for option in options::options(command) {
            let (name, value) = (option.get_long().unwrap(), sample(command, option));
            for key in [name.to_owned(), name.replace('-', "_")] {
                let entries =
                    file::parse(Path::new("run.yaml"), &format!("{key}: {value}\n")).unwrap();
                let nothing = command.clone().no_binary_name(true).ignore_errors(true);
                let nothing = nothing.try_get_matches_from(Vec::<String>::new()).unwrap();
                let settings = Settings::settle(&program, command, &entries, &nothing);
                let settings = settings.unwrap_or_else(|found| panic!("{key}: {found:?}"));
                let lenient = command.clone().no_binary_name(true).ignore_errors(true);
                let matches = lenient.try_get_matches_from(settings.tokens()).unwrap();
                let shown = Shown::new(command, &settings, &matches).json();
                let shown = &shown["options"][name];
                let repeats = matches!(option.get_action(), ArgAction::Append);
                let text = |value: &Value| {
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                };
                let found = if repeats {
                    &shown["value"][0]
                } else {
                    &shown["value"]
                };
                assert_eq!(text(found), text(&value), "{} {name}", command.get_name());
                assert_eq!(
                    (&shown["origin"], &shown["line"]),
                    (&json!("file"), &json!(1))
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 300, "{checked}");
}

#[test]
fn what_is_shown_is_a_file_that_gives_the_same() {
    let eval = [
        "eval",
        "--demo",
        "--tree",
        "dynamic",
        "--tree-top-k",
        "4",
        "--temperature",
        "0.5",
        "--seed",
        "7",
        "--outputs",
        "a b: c.jsonl",
        "--fail-under",
        "mean_length=1",
        "--quiet",
    ];
    let generate = [
        "generate",
        "--demo",
        "--prompt=- 1: 2 # 3",
        "--show-accepted",
    ];
    let convert = [
        "convert",
        "head",
        "--verifier",
        "V",
        "--output-path",
        "true",
        "--aux-layers",
        "1,2,3",
    ];
    for typed in [&eval[..], &generate, &convert] {
        let first = resolved(typed, "").unwrap().shown.unwrap();
        let positional = usize::from(typed[0] == "convert");
        let again = resolved(&typed[..=positional], &first.yaml())
            .unwrap()
            .shown
            .unwrap();
        let values = |shown: &Shown| {
            let options = shown.json()["options"].clone();
            let options = options.as_object().unwrap().clone();
            let values = options
                .into_iter()
                .map(|(name, option)| (name, option["value"].clone()));
            values.collect::<Vec<_>>()
        };
        assert_eq!(values(&first), values(&again), "{}", first.yaml());
    }
}
