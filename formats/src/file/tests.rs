//! Things under the name of a config or of weights that are no files.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::*;
use crate::testing::{Scratch, TinyHead};
use crate::{Checkpoint, Head, ReadOptions};

/// The one finding about a directory with a sound head in it, after `spoil` was let loose on one file of it.
fn found(file: &str, spoil: impl Fn(&Path)) -> Diagnostic {
    let scratch = Scratch::new();
    let head = TinyHead::speculators().write(&scratch, "head");
    let path = head.join(file);
    fs_err::remove_file(&path).unwrap();
    spoil(&path);
    let mut found = Checkpoint::open(&head).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].place.as_ref().map(|place| &place.path),
        Some(&path)
    );
    found.remove(0)
}

#[test]
fn pipes_sockets_devices_and_directories_are_named_and_not_opened() {
    for file in ["config.json", "model.safetensors"] {
        let title = |spoil: &dyn Fn(&Path)| {
            let found = found(file, spoil);
            assert_eq!(found.code, codes::FILE_MISSING);
            found.title
        };
        // Opening a pipe that nobody writes into would never return.
        let pipe = |path: &Path| {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        };
        let socket = |path: &Path| drop(UnixListener::bind(path).unwrap());
        let device = |path: &Path| symlink("/dev/zero", path).unwrap();
        let directory = |path: &Path| fs_err::create_dir(path).unwrap();
        assert_eq!(
            title(&pipe),
            format!("`{file}` is a named pipe, not a file")
        );
        assert_eq!(title(&socket), format!("`{file}` is a socket, not a file"));
        assert_eq!(title(&device), format!("`{file}` is a device, not a file"));
        assert_eq!(
            title(&directory),
            format!("`{file}` is a directory, not a file")
        );
    }
}

#[test]
fn a_link_that_leads_nowhere_is_not_passed_over() {
    let found = found("model.safetensors", |path| {
        symlink("../../blobs/0123", path).unwrap();
        // Read instead, it would be another head than the one that is published.
        fs_err::write(path.with_file_name("pytorch_model.bin"), "not looked at").unwrap();
    });
    assert_eq!(found.code, codes::FILE_MISSING);
    assert_eq!(found.title, "`model.safetensors` is missing");
    assert_eq!(found.notes, ["it is a link to `../../blobs/0123`"]);
    assert!(found.help.is_some());
}

#[test]
fn links_that_lead_in_a_circle_end() {
    let found = found("config.json", |path| {
        let other = path.with_file_name("other");
        symlink(&other, path).unwrap();
        symlink(path, &other).unwrap();
    });
    assert_eq!(found.code, codes::FILE_MISSING);
}

#[test]
fn a_cache_of_links_reads_like_a_directory_of_files() {
    let scratch = Scratch::new();
    let head = TinyHead::speculators().write(&scratch, "models--a--b/snapshots/0123");
    for (name, blob) in [("config.json", "c0"), ("model.safetensors", "d1")] {
        scratch.write(
            &format!("models--a--b/blobs/{blob}"),
            &fs_err::read(head.join(name)).unwrap(),
        );
        fs_err::remove_file(head.join(name)).unwrap();
        symlink(format!("../../blobs/{blob}"), head.join(name)).unwrap();
    }
    assert!(Head::open(&head, None, &ReadOptions::default()).is_ok());
}

#[test]
fn empty_files_are_findings() {
    let empty = |path: &Path| fs_err::write(path, "").unwrap();
    assert_eq!(found("config.json", empty).code, codes::JSON_MALFORMED);
    assert_eq!(
        found("model.safetensors", empty).code,
        codes::FILE_TRUNCATED
    );
    let scratch = Scratch::new();
    scratch.write("config.json", b"{}");
    scratch.write("pytorch_model.bin", b"");
    let found = Checkpoint::open(scratch.root()).unwrap_err();
    assert_eq!(found[0].code, codes::FILE_TRUNCATED);
}

#[test]
fn a_config_of_hundreds_of_megabytes_is_refused_unread() {
    let found = found("config.json", |path| {
        // Sparse: the bytes are on no disk, and reading them would find that they are no JSON.
        let file = fs_err::File::create(path).unwrap();
        file.set_len(400 << 20).unwrap();
    });
    assert_eq!(found.code, codes::JSON_MALFORMED);
    assert_eq!(
        found.title,
        "`config.json` has 419430400 bytes, but is read up to 16777216"
    );
}

#[test]
fn a_file_that_grows_is_read_up_to_the_limit() {
    let scratch = Scratch::new();
    scratch.write("x", b"12345");
    assert_eq!(read(&scratch.path("x"), 5), Ok(b"12345".to_vec()));
    assert!(read(&scratch.path("x"), 4).is_err());
    // The length of this one is said to be 0.
    assert_eq!(
        read(Path::new("/proc/self/status"), 16).map_err(|found| found.code),
        Err(codes::JSON_MALFORMED)
    );
}
