//! The demonstration that the program carries: a small trained verifier, a head for it, and prompts.

use std::io;
use std::path::Path;

/// Directory of the verifier in the unpacked demonstration.
pub const VERIFIER: &str = "verifier";
/// Directory of the head in the unpacked demonstration.
pub const SPECULATOR: &str = "speculator";
/// What diagnostics call the prompts.
pub const PROMPTS_NAME: &str = "prompts.jsonl";
/// The prompts.
pub const PROMPTS: &str = include_str!("../fixtures/prompts.jsonl");

const FILES: [(&str, &str, &[u8]); 7] = [
    (
        VERIFIER,
        "config.json",
        include_bytes!("../fixtures/verifier/config.json"),
    ),
    (
        VERIFIER,
        "generation_config.json",
        include_bytes!("../fixtures/verifier/generation_config.json"),
    ),
    (
        VERIFIER,
        "model.safetensors",
        include_bytes!("../fixtures/verifier/model.safetensors"),
    ),
    (
        VERIFIER,
        "tokenizer.json",
        include_bytes!("../fixtures/verifier/tokenizer.json"),
    ),
    (
        VERIFIER,
        "tokenizer_config.json",
        include_bytes!("../fixtures/verifier/tokenizer_config.json"),
    ),
    (
        SPECULATOR,
        "config.json",
        include_bytes!("../fixtures/heads/speculators/config.json"),
    ),
    (
        SPECULATOR,
        "model.safetensors",
        include_bytes!("../fixtures/heads/speculators/model.safetensors"),
    ),
];

/// Writes verifier and head below `directory`.
///
/// # Errors
/// Where a file cannot be written.
pub fn unpack(directory: &Path) -> io::Result<()> {
    for (folder, name, content) in FILES {
        let folder = directory.join(folder);
        fs_err::create_dir_all(&folder)?;
        fs_err::write(folder.join(name), content)?;
    }
    Ok(())
}
