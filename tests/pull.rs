//! `speculators pull` against the Hub of the tests: what lies in the cache afterwards, and what is made of everything that
//! goes wrong on the way. Every run also looks for the token in all that is printed and left behind.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

#[path = "pull/answers.rs"]
mod answers;
#[path = "pull/connection.rs"]
mod connection;
mod hub;
#[path = "pull/places.rs"]
mod places;
#[path = "pull/processes.rs"]
mod processes;
#[path = "pull/token.rs"]
mod token;
mod user;

use std::path::{Path, PathBuf};

use hub::Hub;
use tempfile::TempDir;
use user::{User, noise, walk};

const MODEL: &str = "org/model";
/// Of the files that [`start`] makes, in the order of their names.
const FILES: [&str; 5] = [
    "README.md",
    "config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "original/params.json",
];

struct World {
    root: TempDir,
    hub: Hub,
    user: User,
}

/// A Hub with one repository: small files, and two of 3 MB and 1 MB in LFS.
fn start() -> World {
    let root = TempDir::new().unwrap();
    let model = root.path().join(MODEL);
    fs_err::create_dir_all(model.join("original")).unwrap();
    for (number, name) in FILES.into_iter().enumerate() {
        let length = match number {
            2 => 3_000_000,
            3 => 1_000_000,
            _ => 1000 + number,
        };
        fs_err::write(model.join(name), noise(number as u64, length)).unwrap();
    }
    let hub = Hub::start(root.path()).unwrap();
    let user = User::of(&hub).unwrap();
    World { root, hub, user }
}

impl World {
    fn file(&self, name: &str) -> Vec<u8> {
        fs_err::read(self.root.path().join(MODEL).join(name)).unwrap()
    }

    /// Bytes of all files of the repository.
    fn size(&self) -> u64 {
        FILES.iter().map(|name| self.file(name).len() as u64).sum()
    }

    /// All files are in a directory, and are those of the repository.
    fn assert_complete(&self, directory: &Path) {
        for name in FILES {
            let found = fs_err::read(directory.join(name)).unwrap();
            assert!(found == self.file(name), "{name} differs");
        }
    }

    /// A directory whose files make another state of the repository.
    fn other_state(&self, change: &[(&str, &[u8])]) -> PathBuf {
        let other = self.root.path().join(format!(".state-{}", change[0].0));
        fs_err::create_dir_all(other.join("original")).unwrap();
        for name in FILES {
            fs_err::write(other.join(name), self.file(name)).unwrap();
        }
        for (name, content) in change {
            fs_err::write(other.join(name), content).unwrap();
        }
        other
    }
}

/// Files below a directory whose names end so.
fn ending(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(directory, &mut files);
    files.retain(|file| file.to_string_lossy().ends_with(end));
    files
}
