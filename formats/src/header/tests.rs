use super::*;

fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn codes_of(bytes: &[u8]) -> Vec<u16> {
    parse(Path::new("model.safetensors"), bytes)
        .unwrap_err()
        .iter()
        .map(|found| found.code.0)
        .collect()
}

#[test]
fn reads_tensors_in_any_order_of_the_header() {
    let header = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;
    let entries = parse(Path::new("x"), &file(header, 6)).unwrap();
    assert_eq!(
        entries
            .iter()
            .map(|entry| entry.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(entries[1].end - entries[0].begin, 6);
}

#[test]
fn a_file_cut_anywhere_is_a_finding() {
    let whole = file(
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
        8,
    );
    assert!(parse(Path::new("x"), &whole).is_ok());
    for length in 0..whole.len() {
        let header = if length < 8 || length >= whole.len() - 8 {
            102
        } else {
            103
        };
        assert_eq!(
            codes_of(&whole[..length]),
            [header],
            "cut to {length} bytes"
        );
    }
}

#[test]
fn a_longer_file_than_the_header_says_is_a_finding() {
    assert_eq!(
        codes_of(&file(
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            9
        )),
        [103]
    );
}

#[test]
fn rejects_an_absurd_header_length_without_allocating() {
    assert_eq!(codes_of(&u64::MAX.to_le_bytes()), [103]);
}

#[test]
fn rejects_shapes_that_overflow() {
    let header = r#"{"a":{"dtype":"F64","shape":[4294967296,4294967296,4],"data_offsets":[0,8]}}"#;
    assert_eq!(codes_of(&file(header, 8)), [103]);
}

#[test]
fn rejects_a_shape_that_disagrees_with_its_byte_range() {
    let found = parse(
        Path::new("x"),
        &file(
            r#"{"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,8]}}"#,
            8,
        ),
    );
    let found = found.unwrap_err();
    assert_eq!(
        found[0].title,
        "`a` takes 12 bytes by its shape, but 8 by its byte range"
    );
}

#[test]
fn rejects_overlap_gap_and_doubles() {
    let two = |a: &str, b: &str| {
        format!(
            r#"{{"a":{{"dtype":"U8","shape":[4],"data_offsets":{a}}},"b":{{"dtype":"U8","shape":[4],"data_offsets":{b}}}}}"#
        )
    };
    assert_eq!(codes_of(&file(&two("[0,4]", "[2,6]"), 6)), [103]);
    assert_eq!(codes_of(&file(&two("[0,4]", "[6,10]"), 10)), [103]);
    let twice = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#;
    assert_eq!(codes_of(&file(twice, 8)), [103]);
}

#[test]
fn names_an_unknown_dtype() {
    let found = parse(
        Path::new("x"),
        &file(
            r#"{"a":{"dtype":"NF4","shape":[8],"data_offsets":[0,4]}}"#,
            4,
        ),
    );
    assert_eq!(
        found.unwrap_err()[0].title,
        "`a` has dtype `NF4`, which is not known"
    );
}

#[test]
fn rejects_a_header_that_is_not_utf8_or_not_an_object() {
    let mut bytes = file("{\"a\"", 0);
    bytes[9] = 0xff;
    assert_eq!(codes_of(&bytes), [103]);
    assert_eq!(codes_of(&file("[]", 0)), [103]);
    assert_eq!(codes_of(&file("{\"a\":1}", 0)), [103]);
}

#[test]
fn recognizes_a_git_lfs_pointer() {
    let found = parse(
        Path::new("x"),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 850\n",
    );
    assert!(found.unwrap_err()[0].title.contains("Git LFS pointer"));
}
