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

/// The titles of the findings about a header with one tensor `a` that is described like this, before `data` bytes.
fn about(entry: &str, data: usize) -> Vec<(u16, String)> {
    let found = parse(Path::new("x"), &file(&format!("{{\"a\":{entry}}}"), data));
    let found = found.map_or_else(|found| found, |_| Vec::new());
    found
        .into_iter()
        .map(|found| (found.code.0, found.title))
        .collect()
}

#[test]
fn claimed_lengths_of_the_header_are_compared_with_the_file() {
    for length in [1_u64 << 60, u64::MAX, 100_000_001] {
        let bytes = [length.to_le_bytes().as_slice(), b"{}"].concat();
        let found = parse(Path::new("x"), &bytes).unwrap_err();
        assert_eq!(
            found[0].title,
            format!("`x` claims a header of {length} bytes")
        );
    }
    let bytes = [99_999_999_u64.to_le_bytes().as_slice(), b"{}"].concat();
    let found = parse(Path::new("x"), &bytes).unwrap_err();
    assert_eq!(
        found[0].title,
        "`x` claims a header of 99999999 bytes, but only 2 bytes follow the claim"
    );
}

#[test]
fn byte_ranges_that_are_none_are_refused() {
    let u8 = |shape: &str, offsets: &str| {
        about(
            &format!(r#"{{"dtype":"U8","shape":{shape},"data_offsets":{offsets}}}"#),
            4,
        )
    };
    assert_eq!(u8("[4]", "[0,4]"), []);
    for (shape, offsets, title) in [
        (
            "[4]",
            "[4,0]",
            "the byte range of `a` ends at 0, before its start at 4",
        ),
        ("[8]", "[0,8]", ""),
        ("[4]", "[1,5]", "`a` leaves a gap after `the header`"),
        ("[4]", "[0]", "the header gives no byte range for `a`"),
        ("[4]", "[0,2,4]", "the header gives no byte range for `a`"),
        ("[4]", "[-0,4]", "the header gives no byte range for `a`"),
        ("[4]", "[0.0,4]", "the header gives no byte range for `a`"),
        (
            "[4]",
            "[0,18446744073709551616]",
            "the header gives no byte range for `a`",
        ),
        ("[4]", "{\"0\":4}", "the header gives no byte range for `a`"),
        ("[-4]", "[0,4]", "the header gives no shape for `a`"),
        ("4", "[0,4]", "the header gives no shape for `a`"),
        ("[[4]]", "[0,4]", "the header gives no shape for `a`"),
        (
            "[4]",
            "[18446744073709551612,18446744073709551615]",
            "`a` takes 4 bytes by its shape, but 3 by its byte range",
        ),
        (
            "[4]",
            "[18446744073709551610,18446744073709551614]",
            "the byte range of `a`, 18446744073709551610..18446744073709551614, is beyond any file",
        ),
    ] {
        let found = u8(shape, offsets);
        assert_eq!(found.len(), 1, "{shape} {offsets}");
        if title.is_empty() {
            assert_eq!(found[0].0, 102); // longer than the file
        } else {
            assert_eq!((found[0].0, found[0].1.as_str()), (103, title));
        }
    }
}

#[test]
fn empty_shapes_and_sizes_of_zero_are_ordinary_and_absurd_ones_beside_a_zero_are_not() {
    assert_eq!(
        about(r#"{"dtype":"F32","shape":[],"data_offsets":[0,4]}"#, 4),
        []
    );
    assert_eq!(
        about(r#"{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}"#, 0),
        []
    );
    for shape in ["[0,4294967296,4294967296,4]", "[4294967296,4294967296,4,0]"] {
        let found = about(
            &format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[0,0]}}"#),
            0,
        );
        assert_eq!(
            found[0].1,
            "the size of `a` is not a number of bytes that can be addressed"
        );
    }
}

#[test]
fn keys_that_stand_twice_are_refused_at_each_depth() {
    let found = about(
        r#"{"dtype":"U8","dtype":"I8","shape":[4],"data_offsets":[0,4]}"#,
        4,
    );
    assert_eq!(found[0].0, 103);
    let one = r#"{"dtype":"U8","shape":[4],"data_offsets":[0,4]}"#;
    let twice = parse(
        Path::new("x"),
        &file(&format!("{{\"a\":{one},\"\\u0061\":{one}}}"), 4),
    );
    assert_eq!(twice.unwrap_err()[0].title, "the header names `a` twice");
}

#[test]
fn names_that_no_tensor_has_are_refused() {
    for (name, shown) in [
        ("a\\u0000b", "a\\0b"),
        ("\\u001b[2J", "\\u{1b}[2J"),
        (&*"n".repeat(1025), &*format!("{}…", "n".repeat(100))),
    ] {
        let header =
            format!("{{\"{name}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}}}");
        let found = parse(Path::new("x"), &file(&header, 0)).unwrap_err();
        assert_eq!(
            found[0].title,
            format!("the header names a tensor `{shown}`")
        );
    }
}

#[test]
fn deep_nesting_ends_in_a_finding_and_not_in_the_stack() {
    for text in ["[".repeat(1_000_000), "{\"a\":".repeat(1_000_000)] {
        assert_eq!(about(&text, 0)[0].0, 103);
    }
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    assert_eq!(
        about(&deep, 0)[0].1,
        "what the header says about `a` is not what is said about a tensor"
    );
    let long = format!("[{}0]", "0,".repeat(1_000_000));
    assert_eq!(
        about(&long, 0)[0].1,
        "the header says 2000003 bytes about `a`"
    );
}

#[test]
fn metadata_is_text_by_name() {
    let with = |metadata: &str| {
        let header = format!(r#"{{"__metadata__":{metadata}}}"#);
        parse(Path::new("x"), &file(&header, 0)).map(|entries| entries.len())
    };
    assert_eq!(with(r#"{"format":"pt"}"#), Ok(0));
    for wrong in ["3", "[]", r#"{"format":1}"#, r#"{"a":{"b":"c"}}"#] {
        assert_eq!(
            with(wrong).unwrap_err()[0].title,
            "`__metadata__` in the header is not an object of text"
        );
    }
}
