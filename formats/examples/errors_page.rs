//! Writes `docs/errors.md` from the table of codes; with `--check`, only says whether it is current.

use std::process::ExitCode;

use speculators_formats::codes;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");

fn main() -> std::io::Result<ExitCode> {
    let page = codes::markdown();
    if std::env::args().any(|argument| argument == "--check") {
        let current = fs_err::read_to_string(PAGE).is_ok_and(|committed| committed == page);
        return Ok(if current {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    fs_err::write(PAGE, page)?;
    Ok(ExitCode::SUCCESS)
}
