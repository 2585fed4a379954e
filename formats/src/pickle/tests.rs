//! Support for the tests: fixtures that PyTorch wrote, and archives put together by hand.

mod files;
mod hostile;
mod programs;
mod random;

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::testing::Scratch;

/// A file that `fixtures/pickles/make.py` made.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/pickles")).join(name)
}

fn open(name: &str) -> PickleFile {
    PickleFile::open(fixture(name)).unwrap()
}

fn refused(name: &str) -> Diagnostic {
    PickleFile::open(fixture(name)).unwrap_err()
}

/// Opens bytes as a file.
fn open_bytes(bytes: &[u8]) -> Result<PickleFile, Diagnostic> {
    let scratch = Scratch::new();
    scratch.write("x.bin", bytes);
    PickleFile::open(scratch.path("x.bin"))
}

/// An archive of these entries, stored as they are.
pub(crate) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(*name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A program of protocol 2: its opcodes between PROTO and STOP.
pub(crate) fn program(parts: &[&[u8]]) -> Vec<u8> {
    [b"\x80\x02", parts.concat().as_slice(), b"."].concat()
}

/// The opcodes that make one tensor of 32-bit floats in storage `0`.
pub(crate) fn tensor(elements: i32, offset: i32, shape: &[i32], stride: &[i32]) -> Vec<u8> {
    let int = |number: &i32| [b"J".as_slice(), &number.to_le_bytes()].concat();
    let tuple = |numbers: &[i32]| {
        let numbers: Vec<u8> = numbers.iter().flat_map(int).collect();
        [b"(".as_slice(), &numbers, b"t"].concat()
    };
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu".as_slice(),
        &int(&elements),
        b"tQ",
        &int(&offset),
        &tuple(shape),
        &tuple(stride),
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

/// A file with one tensor, whose storage has `bytes` bytes.
fn one(tensor: &[u8], bytes: usize) -> Result<PickleFile, Diagnostic> {
    open_bytes(&archive(&[
        ("a/data.pkl", &program(&[tensor])),
        ("a/data/0", &vec![7; bytes]),
    ]))
}
