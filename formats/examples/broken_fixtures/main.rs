//! Writes `fixtures/broken`: one tiny head for each thing that can be wrong with one, a sound head and their verifier.
//!
//! With `--check` nothing is written; the exit status says whether the committed files are what this program makes.
//! Everything is derived from names, so each run on each machine makes the same bytes.

mod cases;
mod kinds;
mod tiny;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cases::{CASES, Case, Change, Verdict};
use serde_json::json;
use tiny::{Files, Fixture};

fn main() -> std::io::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/broken");
    let made = everything();
    if std::env::args().any(|argument| argument == "--check") {
        return check(&root, &made);
    }
    if root.exists() {
        std::fs::remove_dir_all(&root)?; // folders of cases that are no more
    }
    for (name, bytes) in &made {
        let path = root.join(name);
        fs_err::create_dir_all(path.parent().unwrap_or(&root))?;
        fs_err::write(path, bytes)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn everything() -> Files {
    let verifier = tiny::verifier_files().into_iter();
    let mut made: Files = verifier
        .map(|(name, bytes)| (format!("verifier/{name}"), bytes))
        .collect();
    for case in CASES {
        let folder = case_files(case).into_iter();
        made.extend(folder.map(|(name, bytes)| (format!("{}/{name}", case.name), bytes)));
    }
    made
}

fn case_files(case: &Case) -> Files {
    let mut head = Fixture::sound();
    if let Change::Head(change) = case.change {
        change(&mut head);
    }
    let mut files = head.files();
    if let Change::Files(change) = case.change {
        change(&mut files);
    }
    let verdict = match case.verdict {
        Verdict::Valid => "valid",
        Verdict::NotValid => "not_valid",
        Verdict::CouldNotTell => "could_not_tell",
    };
    let findings: Vec<_> = case
        .findings
        .iter()
        .map(|(code, level)| json!({ "code": code, "level": level }))
        .collect();
    let expected = json!({ "verdict": verdict, "findings": findings });
    files.insert("expected.json".into(), tiny::json_bytes(&expected));
    files
}

fn check(root: &Path, made: &Files) -> std::io::Result<ExitCode> {
    let mut committed = Vec::new();
    list(root, &mut committed)?;
    let mut current = true;
    let mut report = |what: &str, name: &str| {
        current = false;
        say(&format!("{what}: fixtures/broken/{name}"));
    };
    for path in &committed {
        let name = path
            .strip_prefix(root)
            .unwrap_or(path)
            .to_string_lossy()
            .replace('\\', "/");
        if !made.contains_key(&name) {
            report("not made by this program", &name);
        }
    }
    for (name, bytes) in made {
        match fs_err::read(root.join(name)) {
            Ok(found) if found == *bytes => (),
            Ok(_) => report("differs", name),
            Err(_) => report("missing", name),
        }
    }
    Ok(if current {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[expect(
    clippy::print_stderr,
    reason = "an example may speak, the library may not"
)]
fn say(line: &str) {
    eprintln!("{line}");
}
