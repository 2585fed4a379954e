//! Any bytes as a safetensors file. What is accepted lies in the file, end to end and without overlap.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use speculators_formats::header;

fuzz_target!(|bytes: &[u8]| {
    let Ok(entries) = header::parse(Path::new("model.safetensors"), bytes) else {
        return;
    };
    let mut at = entries.first().map_or(bytes.len(), |entry| entry.begin);
    for entry in &entries {
        assert_eq!(entry.begin, at);
        assert!(entry.end >= entry.begin);
        let elements: usize = entry.shape.iter().product();
        assert_eq!(
            elements * entry.dtype.bitsize(),
            8 * (entry.end - entry.begin)
        );
        at = entry.end;
    }
    assert_eq!(at, bytes.len());
});
