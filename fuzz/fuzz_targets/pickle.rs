//! Any bytes as a file of PyTorch: as they are if they begin like an archive, else as the pickle in one.
#![no_main]

use std::io::{Cursor, Write};

use libfuzzer_sys::fuzz_target;
use speculators_formats::pickle::PickleFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fuzz_target!(|bytes: &[u8]| {
    let file = if bytes.starts_with(b"PK") {
        bytes.to_vec()
    } else {
        archive(bytes)
    };
    let length = file.len();
    let Ok(file) = PickleFile::from_bytes("pytorch_model.bin", file) else {
        return;
    };
    for (name, tensor) in file.tensors().take(64) {
        assert!(tensor.bytes() <= length);
        assert_eq!(file.data(name).map(|data| data.len()), Ok(tensor.bytes()));
    }
    let _ = (file.prefix(), format!("{:?}", file.value()));
});

/// The pickle with two storages of 24 and 4 bytes beside it, as the seeds expect them.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::with_capacity(pickle.len() + 1024)));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [
        ("a/data.pkl", pickle),
        ("a/data/0", &[7; 24]),
        ("a/data/1", &[1; 4]),
    ] {
        zip.start_file(name, stored).expect("an entry");
        zip.write_all(bytes).expect("bytes in memory");
    }
    zip.finish().expect("an archive").into_inner()
}
