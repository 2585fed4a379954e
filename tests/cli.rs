//! Every transcript in `tests/cli` is run as it stands. `TRYCMD=overwrite cargo test --test cli` renews them.

#[test]
fn transcripts_hold() {
    trycmd::TestCases::new()
        .env("COLUMNS", "88")
        .env("NO_COLOR", "1")
        .env("RAYON_NUM_THREADS", "2")
        .case("tests/cli/*.md");
}
