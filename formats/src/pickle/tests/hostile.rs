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

/// An archive of `a/data.pkl`, which is `None`, and these entries, as `zip` writes it.
fn with_entries(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let none: (&str, &[u8]) = ("a/data.pkl", b"\x80\x02N.");
    archive(&[&[none], entries].concat())
}

/// Where the directory of an archive has the entry of this name: its signature begins 46 bytes before the name.
fn directory_entry(bytes: &[u8], name: &str) -> usize {
    let found = bytes
        .windows(name.len())
        .rposition(|window| window == name.as_bytes());
    let at = found.unwrap() - 46;
    assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
    at
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn entries_outside_the_folder_are_refused() {
    assert!(open_bytes(&with_entries(&[("a/data/0", b"1"), ("a/.data/id", b"2")])).is_ok());
    for name in [
        "b/other",
        "other",
        "a/../../etc/passwd",
        "a/./x",
        "/etc/passwd",
        "a\\..\\x",
        "a/x\\y",
    ] {
        let found = open_bytes(&with_entries(&[(name, b"1")])).unwrap_err();
        assert_eq!(found.code, codes::PICKLE_MALFORMED, "{name}");
        assert_eq!(
            found.title,
            format!(
                "`{}` lies outside `a`, the folder of the archive",
                shorten(name)
            )
        );
    }
}

#[test]
fn entries_that_share_bytes_are_refused() {
    let mut bytes = with_entries(&[("a/data/0", &[1; 64]), ("a/data/1", &[2; 64])]);
    let (first, second) = (
        directory_entry(&bytes, "a/data/0"),
        directory_entry(&bytes, "a/data/1"),
    );
    // The second entry is said to begin where the first does, which is how one kilobyte becomes a gigabyte.
    let mut doubled = bytes.clone();
    doubled.copy_within(first + 42..first + 46, second + 42);
    let found = open_bytes(&doubled).unwrap_err();
    assert_eq!(found.code, codes::PICKLE_MALFORMED);
    assert_eq!(found.title, "`a/data/0` overlaps `a/data/1`");
    // The last entry is said to go on into the directory.
    put(&mut bytes, second + 20, 80);
    put(&mut bytes, second + 24, 80);
    assert_eq!(
        open_bytes(&bytes).unwrap_err().title,
        "`a/data/1` overlaps the directory of the archive"
    );
}

#[test]
fn an_entry_that_expands_is_refused_by_what_it_claims() {
    let mut bytes = with_entries(&[("a/data/0", &[0; 16])]);
    let at = directory_entry(&bytes, "a/data/0");
    // Stored, but said to hold four gigabytes.
    put(&mut bytes, at + 24, u32::MAX - 1);
    let found = open_bytes(&bytes).unwrap_err();
    assert_eq!(
        found.title,
        "`a/data/0` is stored as it is, but claims 4294967294 bytes for the 16 it takes"
    );
    // The same, deflated.
    bytes[at + 10] = 8;
    let found = open_bytes(&bytes).unwrap_err();
    assert_eq!(
        found.title,
        "`a/data/0` is compressed, but PyTorch stores entries as they are"
    );
    assert_eq!(
        found.notes,
        ["it takes 16 bytes in the archive and claims 4294967294 when unpacked"]
    );
    // And encrypted.
    bytes[at + 8] |= 1;
    let found = open_bytes(&bytes).unwrap_err();
    assert_eq!(found.title, "`a/data/0` is encrypted");
}

#[test]
fn an_entry_beyond_the_file_is_cut_short_or_malformed() {
    let bytes = with_entries(&[("a/data/0", &[0; 16])]);
    let at = directory_entry(&bytes, "a/data/0");
    for (field, value) in [(20, 1_000_000), (42, 1_000_000), (42, u32::MAX - 1)] {
        let mut bytes = bytes.clone();
        put(&mut bytes, at + field, value);
        if field == 20 {
            put(&mut bytes, at + 24, value);
        }
        let found = open_bytes(&bytes).unwrap_err();
        assert!(
            [codes::FILE_TRUNCATED, codes::PICKLE_MALFORMED].contains(&found.code),
            "{}",
            found.title
        );
    }
}

#[test]
fn sizes_that_are_said_to_stand_in_a_zip64_field_are_looked_for_there() {
    // All bits set means that the size is in an extra field, which is not there.
    let mut bytes = with_entries(&[("a/data/0", &[0; 16])]);
    let at = directory_entry(&bytes, "a/data/0");
    put(&mut bytes, at + 20, u32::MAX);
    put(&mut bytes, at + 24, u32::MAX);
    let found = open_bytes(&bytes).unwrap_err();
    assert!(
        [codes::FILE_TRUNCATED, codes::PICKLE_MALFORMED].contains(&found.code),
        "{}",
        found.title
    );
    // One that is there, and lies.
    let zip64 = {
        let mut extra = vec![1, 0, 16, 0];
        extra.extend((1_u64 << 60).to_le_bytes());
        extra.extend((1_u64 << 60).to_le_bytes());
        extra
    };
    let end = at + 46 + "a/data/0".len();
    bytes.splice(end..end, zip64.iter().copied());
    bytes[at + 30] = 20;
    let close = bytes.len() - 22;
    assert_eq!(&bytes[close..close + 4], b"PK\x05\x06");
    let directory = u32::from_le_bytes(*bytes[close + 12..].first_chunk().unwrap());
    put(&mut bytes, close + 12, directory + 20);
    let found = open_bytes(&bytes).unwrap_err();
    assert_eq!(found.code, codes::FILE_TRUNCATED, "{}", found.title);
    assert_eq!(
        found.notes[0],
        format!(
            "the archive gives it 1152921504606846976 bytes; the whole file has {}",
            bytes.len()
        )
    );
}

#[test]
fn a_directory_that_claims_too_many_entries_is_malformed() {
    let mut bytes = with_entries(&[]);
    let close = bytes.len() - 22;
    for at in [close + 8, close + 10] {
        bytes[at..at + 2].copy_from_slice(&u16::MAX.to_le_bytes());
    }
    assert_eq!(
        open_bytes(&bytes).unwrap_err().code,
        codes::PICKLE_MALFORMED
    );
}

#[test]
fn an_archive_after_something_else_is_refused() {
    let inner = with_entries(&[]);
    let polyglot = [b"PK\x03\x04 and then anything at all".as_slice(), &inner].concat();
    let found = open_bytes(&polyglot).unwrap_err();
    assert_eq!(found.code, codes::PICKLE_MALFORMED);
    assert_eq!(found.title, "`x.bin` holds a zip archive from byte 29");
}
