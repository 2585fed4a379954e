//! Files that are damaged, of another kind, or made to harm.

use super::*;

#[test]
fn code_is_named_with_its_place_and_not_run() {
    for (fixture, title, note) in [
        (
            "system_global.bin",
            "posix.system",
            "opcode GLOBAL at byte 177 ",
        ),
        (
            "system_stack_global.bin",
            "posix.system",
            "opcode STACK_GLOBAL at byte 185 ",
        ),
        ("eval.bin", "__builtin__.eval", "opcode GLOBAL at byte 13 "),
    ] {
        let found = refused(fixture);
        assert_eq!(found.code, codes::PICKLE_FORBIDDEN, "{fixture}");
        assert_eq!(
            found.title,
            format!("the pickle names `{title}`, which a weights file has no use for")
        );
        assert!(found.notes[0].starts_with(note), "{}", found.notes[0]);
        let place = found.place.unwrap().to_string();
        let folder = fixture.trim_end_matches(".bin");
        assert!(
            place.ends_with(&format!("{fixture}!{folder}/data.pkl")),
            "{place}"
        );
    }
}

#[test]
fn a_legacy_file_is_refused_with_the_remedy() {
    let found = refused("legacy.bin");
    assert_eq!(
        found.title,
        "`legacy.bin` is in the format from before PyTorch 1.6"
    );
    assert_eq!(
        found.help.as_deref(),
        Some(
            "save it again with a current PyTorch: `torch.save(torch.load('legacy.bin', weights_only=True), 'legacy.bin')`"
        )
    );
}

#[test]
fn a_big_endian_file_is_refused() {
    assert_eq!(
        refused("big_endian.bin").title,
        "the numbers in `big_endian.bin` are big-endian"
    );
}

#[test]
fn a_compressed_entry_is_refused_before_it_is_unpacked() {
    let found = refused("compressed.bin");
    assert_eq!(found.code, codes::PICKLE_MALFORMED);
    assert_eq!(
        found.title,
        "`archive/data.pkl` is compressed, but PyTorch stores entries as they are"
    );
}

#[test]
fn things_that_are_no_pytorch_file_are_told_apart() {
    assert_eq!(
        refused("bare.pkl").title,
        "`bare.pkl` is a bare pickle, not an archive of `torch.save`"
    );
    let titles = [
        (
            b"version https://git-lfs.github.com/spec/v1".to_vec(),
            "`x.bin` is a Git LFS pointer, not the tensors themselves",
        ),
        (b"<html>".to_vec(), "`x.bin` is not a PyTorch file"),
        (
            archive(&[("a/b", b"")]),
            "`x.bin` is a zip archive of 1 entries, but none is `data.pkl`",
        ),
        (
            archive(&[("a/data.pkl", b""), ("b/data.pkl", b"")]),
            "`x.bin` has `data.pkl` in two folders",
        ),
        (
            archive(&[("a/data.pkl", b""), ("a/constants.pkl", b"")]),
            "`x.bin` is a TorchScript program, not a dictionary of tensors",
        ),
    ];
    for (bytes, title) in titles {
        assert_eq!(open_bytes(&bytes).unwrap_err().title, title);
    }
    let missing = PickleFile::open(fixture("nowhere.bin")).unwrap_err();
    assert_eq!(missing.code, codes::FILE_MISSING);
    assert_eq!(
        PickleFile::open(fixture("")).unwrap_err().code,
        codes::FILE_MISSING
    );
}

#[test]
fn a_file_cut_anywhere_is_a_finding() {
    let whole = fs_err::read(fixture("parameter.bin")).unwrap();
    assert!(open_bytes(&whole).is_ok());
    for length in 0..whole.len() {
        let found = open_bytes(&whole[..length]).unwrap_err();
        // Inside the closing record the signature is there, and the archive counts as damaged.
        let expected = if length < whole.len() - 18 {
            codes::FILE_TRUNCATED
        } else {
            codes::PICKLE_MALFORMED
        };
        assert_eq!(
            found.code, expected,
            "cut to {length} bytes: {}",
            found.title
        );
    }
}

#[test]
fn two_entries_of_one_name_are_refused() {
    let mut bytes = archive(&[("a/data.pkl", b"\x80\x02N."), ("a/data.pkm", b"\x80\x02N.")]);
    for at in 0..bytes.len() - 10 {
        if bytes[at..].starts_with(b"a/data.pkm") {
            bytes[at + 9] = b'l';
        }
    }
    assert_eq!(
        open_bytes(&bytes).unwrap_err().title,
        "`x.bin` holds two entries of the same name"
    );
}

#[test]
fn a_tensor_inside_its_storage_is_read() {
    let file = one(&tensor(6, 1, &[2, 2], &[1, 2]), 24).unwrap();
    assert_eq!(file.data("").unwrap().len(), 16);
    // A stride along a dimension of size 1 is never used, whatever it is.
    let file = one(&tensor(6, 0, &[1, 2, 1], &[i32::MAX, 3, i32::MAX]), 24).unwrap();
    assert_eq!(file.data("").unwrap().len(), 8);
}

#[test]
fn a_tensor_that_reaches_beyond_its_storage_is_refused() {
    for (offset, shape, stride) in [
        (5, [1, 2], [1, 1]),
        (6, [1, 1], [1, 1]),
        (0, [2, 4], [3, 1]),
        (0, [2, 2], [5, 1]),
        (i32::MAX, [2, 2], [i32::MAX, i32::MAX]),
    ] {
        let found = one(&tensor(6, offset, &shape, &stride), 24).unwrap_err();
        assert_eq!(found.title, "`` reaches beyond the 24 bytes of `a/data/0`");
        assert!(
            found.notes[0].ends_with("24 bytes hold 6 elements"),
            "{}",
            found.notes[0]
        );
    }
}

#[test]
fn negative_and_overflowing_layouts_are_refused() {
    let titles = [
        (
            tensor(6, 0, &[2, 3], &[-3, 1]),
            "`` has a stride of something other than whole numbers from 0",
        ),
        (
            tensor(6, 0, &[-2, 3], &[3, 1]),
            "`` has a shape of something other than whole numbers from 0",
        ),
        (
            tensor(6, -1, &[2, 3], &[3, 1]),
            "`` begins at something other than a whole number from 0",
        ),
        (
            tensor(6, 0, &[2, 3], &[1]),
            "`` has 2 dimensions, but 1 strides",
        ),
        (
            tensor(6, 0, &[1; 65], &[1; 65]),
            "`` has 65 dimensions, but 65 strides",
        ),
        (
            tensor(6, 0, &[i32::MAX; 3], &[0; 3]),
            "`` has a shape that no memory could hold",
        ),
        (
            tensor(6, 0, &[i32::MAX, i32::MAX, i32::MAX, 0], &[1; 4]),
            "`` has a shape that no memory could hold",
        ),
        (
            tensor(6, 0, &[i32::MAX], &[0]),
            "`` repeats elements: its shape takes more than the 24 bytes of `a/data/0`",
        ),
    ];
    for (tensor, title) in titles {
        let found = one(&tensor, 24).unwrap_err();
        assert_eq!(
            (found.code, found.title.as_str()),
            (codes::PICKLE_MALFORMED, title)
        );
    }
}

#[test]
fn a_storage_of_another_length_than_claimed_is_refused() {
    for claimed in [5, 7, 0, i32::MAX] {
        let found = one(&tensor(claimed, 0, &[1], &[1]), 24).unwrap_err();
        assert!(
            found
                .title
                .contains("has 24 bytes and not those the pickle expects"),
            "{}",
            found.title
        );
    }
    let found = open_bytes(&archive(&[(
        "a/data.pkl",
        &program(&[&tensor(1, 0, &[1], &[1])]),
    )]))
    .unwrap_err();
    assert_eq!(
        found.title,
        "`` lies in `a/data/0`, which is not in the archive"
    );
}

#[test]
fn two_tensors_of_one_name_are_refused() {
    let one = tensor(1, 0, &[1], &[1]);
    let pickle = program(&[b"}(X\x01\0\0\0a", &one, b"X\x01\0\0\0a", &one, b"u"]);
    let found =
        open_bytes(&archive(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 4])])).unwrap_err();
    assert_eq!(found.title, "two tensors are named `a`");
}

#[test]
fn names_from_the_file_are_shown_without_control_characters() {
    assert_eq!(
        shorten("a\u{1b}[31m\n\u{202e}b"),
        "a\\u{1b}[31m\\n\\u{202e}b"
    );
    assert_eq!(shorten(&"x".repeat(1000)).chars().count(), 101);
}
