//! Somebody who uses the program: a home of their own, and the Hub of the tests as theirs.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::hub::Hub;

/// What nothing may ever show.
pub const TOKEN: &str = "hf_ThisIsASecretToken";

/// A user with an empty home.
pub struct User {
    home: tempfile::TempDir,
    endpoint: String,
}

/// What a command left behind.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl User {
    pub fn of(hub: &Hub) -> std::io::Result<Self> {
        Ok(Self {
            home: tempfile::TempDir::new()?,
            endpoint: hub.endpoint().to_owned(),
        })
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// What `HF_HOME` is.
    pub fn settings(&self) -> PathBuf {
        self.home().join("huggingface")
    }

    /// The cache's part for a repository.
    pub fn cached(&self, repository: &str) -> PathBuf {
        let folder = format!("models--{}", repository.replace('/', "--"));
        self.settings().join("hub").join(folder)
    }

    /// The program, with nothing of the environment that could matter to it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_speculators"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let ours = ["HF_", "HUGGING", "TRANSFORMERS_", "XDG_"];
            if ours.iter().any(|start| text.starts_with(start)) || text.ends_with("_proxy") {
                command.env_remove(&name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.home())
            .env("HOME", self.home())
            .env("HF_HOME", self.settings())
            .env("HF_ENDPOINT", &self.endpoint)
            .env("HF_TOKEN", TOKEN)
            .env("NO_PROXY", "127.0.0.1")
            .env("NO_COLOR", "1");
        command
    }

    /// Runs the program to its end, and looks for the token in all that it says and leaves.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self, self.command(arguments).output())
    }

    /// As [`User::run`], with variables set.
    pub fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        Ended::from(self, command.output())
    }

    /// The files of the home that hold the token, which must be none.
    pub fn leaks(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(self.home(), &mut files);
        files.retain(|file| {
            let content = fs_err::read(file).unwrap_or_default();
            content
                .windows(TOKEN.len())
                .any(|part| part == TOKEN.as_bytes())
        });
        files
    }
}

impl Ended {
    fn from(user: &User, output: std::io::Result<Output>) -> Self {
        let output = output.expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended = Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        assert!(!ended.stdout.contains(TOKEN), "{}", ended.stdout);
        assert!(!ended.stderr.contains(TOKEN), "{}", ended.stderr);
        assert_eq!(user.leaks(), Vec::<PathBuf>::new());
        ended
    }

    /// The one line of stdout, as a path.
    pub fn directory(&self) -> PathBuf {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        PathBuf::from(self.stdout.trim_end())
    }

    /// Stands for trouble: exit status 2 and a code in stderr.
    pub fn trouble(&self, code: &str) -> &str {
        assert_eq!(self.code, Some(2), "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(code), "not {code}: {}", self.stderr);
        assert!(
            self.stdout.is_empty(),
            "stdout is for answers: {}",
            self.stdout
        );
        &self.stderr
    }
}

/// All files below a directory; links are not followed.
pub fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), files),
            _ => files.push(entry.path()),
        }
    }
}

/// Bytes that look random and are the same everywhere (splitmix64).
pub fn noise(mut seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = seed;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(value ^ (value >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
