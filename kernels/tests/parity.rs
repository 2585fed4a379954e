//! One table over all operations: the fast version of each against its plain reference, for every instruction set this
//! machine has, every way to store weights and every rounding.
//!
//! A number passes when `|fast - reference| <= absolute + relative * |reference|`. Each line of the table prints how
//! much of that allowance was used (`cargo test --test parity -- --nocapture`). Tokens and indices must be equal.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "parity/exact.rs"]
mod exact;
#[path = "parity/inputs.rs"]
mod inputs;
#[path = "parity/invariance.rs"]
mod invariance;
#[path = "parity/rules.rs"]
mod rules;
#[path = "parity/table.rs"]
mod table;

use std::collections::BTreeSet;

/// The names of the files of a module.
fn stems(folder: &str) -> BTreeSet<String> {
    let path = format!("{}/src/{folder}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_operation_has_a_reference_a_fast_version_and_a_line_in_the_table() {
    assert_eq!(stems("reference"), stems("cpu"));
    let table: BTreeSet<String> = table::OPERATIONS
        .iter()
        .map(|(stem, _)| (*stem).into())
        .collect();
    assert_eq!(stems("reference"), table);
}

#[test]
fn fast_versions_agree_with_the_references() {
    for (stem, compare) in table::OPERATIONS {
        for isa in inputs::isas() {
            let used = speculators_kernels::cpu::with_isa(isa, compare).unwrap();
            println!(
                "{stem:15} {:12} {:5.1} % of the allowance",
                isa.name(),
                100.0 * used
            );
        }
    }
}
