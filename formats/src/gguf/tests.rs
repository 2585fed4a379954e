use std::path::Path;

use proptest::prelude::*;
use safetensors::Dtype;

use super::parse::parse;
use super::*;
use crate::diagnostic::Diagnostic;
use crate::testing::Scratch;

fn outline(name: &str, dtype: Dtype, shape: &[usize]) -> Outline {
    Outline {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
    }
}

/// A whole file: header, data, padding.
fn file(metadata: &Metadata, tensors: &[(Outline, Vec<u8>)]) -> Vec<u8> {
    let outlines: Vec<Outline> = tensors.iter().map(|(outline, _)| outline.clone()).collect();
    let header = Header::new(metadata, &outlines).unwrap();
    let mut file = header.bytes.clone();
    for ((_, data), offset) in tensors.iter().zip(&header.offsets) {
        assert_eq!(file.len() as u64, *offset);
        file.extend_from_slice(data);
        file.extend_from_slice(Header::padding(data.len() as u64));
    }
    assert_eq!(file.len() as u64, header.total);
    file
}

fn refusal(bytes: &[u8]) -> Diagnostic {
    parse(Path::new("m.gguf"), bytes).map(drop).unwrap_err()
}

fn open(scratch: &Scratch, bytes: &[u8]) -> GgufFile {
    scratch.write("m.gguf", bytes);
    GgufFile::open(scratch.path("m.gguf")).unwrap()
}

/// A small file whose parts the hostile tests change.
fn sound() -> Vec<u8> {
    let mut metadata = Metadata::new();
    metadata.text("general.architecture", "eagle3");
    metadata.u32("n", 7);
    let data = (0..24).collect();
    file(
        &metadata,
        &[
            (outline("a", Dtype::F32, &[2, 3]), data),
            (outline("b", Dtype::BF16, &[5]), vec![9; 10]),
        ],
    )
}

/// Header of a file of version 3 with so many tensors and values.
fn start(tensors: u64, values: u64) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(values.to_le_bytes());
    bytes
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[test]
fn what_is_written_is_read() {
    let mut metadata = Metadata::new();
    metadata.u32("u", 4_000_000_000);
    metadata.f32("eps", 1e-5);
    metadata.boolean("yes", true);
    metadata.text("name", "Ġa head");
    metadata.i32s("ids", &[-1, 2]);
    metadata.f32s("scores", &[0.5, -1000.0]);
    metadata.texts("tokens", &["a", "", "ü"]);
    metadata.u32("u", 1);
    let data: Vec<u8> = (0..24).collect();
    let bytes = file(
        &metadata,
        &[
            (outline("a.weight", Dtype::F32, &[2, 3]), data.clone()),
            (outline("d2t", Dtype::I64, &[1]), vec![1; 8]),
            (outline("scalar", Dtype::F16, &[]), vec![2; 2]),
        ],
    );
    let scratch = Scratch::new();
    let file = open(&scratch, &bytes);
    assert_eq!(file.version(), 3);
    assert_eq!(file.bytes(), bytes.len() as u64);
    assert_eq!(file.keys().count(), 7);
    assert_eq!(file.size("u").unwrap(), Some(4_000_000_000));
    assert_eq!(file.number("eps").unwrap(), Some(1e-5));
    assert_eq!(file.boolean("yes").unwrap(), Some(true));
    assert_eq!(file.text("name").unwrap(), Some("Ġa head"));
    assert_eq!(file.text("absent").unwrap(), None);
    let tokens = file.value("tokens").unwrap().array().unwrap();
    let tokens: Vec<_> = tokens
        .iter()
        .map(|token| token.text().unwrap().to_owned())
        .collect();
    assert_eq!(tokens, ["a", "", "ü"]);
    assert_eq!(file.value_type("scores"), Some(ValueType::Array));
    // A negative number is no size, and says so at the file.
    assert_eq!(
        file.sizes("ids").unwrap_err().code,
        crate::codes::CONFIG_TYPE
    );
    assert!(
        file.size("name")
            .unwrap_err()
            .title
            .contains("`name` is text of")
    );
    let view = file.tensor("a.weight").unwrap();
    assert_eq!((view.shape, view.data), (&[2, 3][..], &data[..]));
    assert_eq!(file.tensor("scalar").unwrap().shape, &[] as &[usize]);
}

#[test]
fn dimensions_lie_in_the_file_in_reverse() {
    let bytes = file(
        &Metadata::new(),
        &[(outline("w", Dtype::I8, &[2, 3]), vec![0; 6])],
    );
    // 24 bytes of header, 8 + 1 of the name, 4 of the count: the row length comes first.
    assert_eq!(
        bytes[37..53],
        [3_u64.to_le_bytes(), 2_u64.to_le_bytes()].concat()
    );
}

#[test]
fn a_file_cut_anywhere_is_a_finding() {
    let whole = sound();
    assert!(parse(Path::new("m.gguf"), &whole).is_ok());
    // The last tensor has 10 bytes, and its padding may be missing.
    let needed = whole.len() - 22;
    for length in 0..needed {
        let found = refusal(&whole[..length]);
        assert!(
            [102, 114].contains(&found.code.0),
            "{length}: {}",
            found.title
        );
    }
    assert!(parse(Path::new("m.gguf"), &whole[..needed]).is_ok());
}

#[test]
fn a_changed_byte_never_panics() {
    let whole = sound();
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            let _ = parse(Path::new("m.gguf"), &bytes);
        }
    }
}

#[test]
fn counts_and_lengths_are_held_against_the_file() {
    for (bytes, said) in [
        (start(u64::MAX, 0), "claims 18446744073709551615 tensors"),
        (start(0, 1 << 40), "claims 1099511627776 metadata values"),
        (start(0, 1), "has only 0 left"),
        (
            [start(0, 1), u64::MAX.to_le_bytes().to_vec()].concat(),
            "a key has 18446744073709551615 bytes",
        ),
        ([start(0, 1), text("")].concat(), "a key has 0 bytes"),
        (
            [start(0, 1), 2_u64.to_le_bytes().to_vec(), vec![0xff, 0xfe]].concat(),
            "is not UTF-8",
        ),
        (
            [start(0, 1), text("k"), 13_u32.to_le_bytes().to_vec()].concat(),
            "of type 13, which is not known",
        ),
        (
            [
                start(0, 1),
                text("k"),
                9_u32.to_le_bytes().to_vec(),
                9_u32.to_le_bytes().to_vec(),
                1_u64.to_le_bytes().to_vec(),
            ]
            .concat(),
            "an array of arrays",
        ),
        (
            [
                start(0, 1),
                text("k"),
                9_u32.to_le_bytes().to_vec(),
                10_u32.to_le_bytes().to_vec(),
                (u64::MAX / 4).to_le_bytes().to_vec(),
            ]
            .concat(),
            "has only 0 left",
        ),
        (
            [
                start(0, 1),
                text("k"),
                9_u32.to_le_bytes().to_vec(),
                8_u32.to_le_bytes().to_vec(),
                u64::MAX.to_le_bytes().to_vec(),
                text("only one"),
            ]
            .concat(),
            "has only 0 left",
        ),
        (
            [
                start(0, 1),
                text("k"),
                7_u32.to_le_bytes().to_vec(),
                vec![2],
            ]
            .concat(),
            "truth value 2",
        ),
    ] {
        let found = refusal(&bytes);
        assert_eq!(found.code.0, 114);
        assert!(found.title.contains(said), "{}", found.title);
    }
}

#[test]
fn a_name_is_there_once() {
    let value = [text("k"), 0_u32.to_le_bytes().to_vec(), vec![1]].concat();
    let twice = [start(0, 2), value.clone(), value].concat();
    assert!(refusal(&twice).title.contains("the key `k` is there twice"));
    let same = outline("a", Dtype::I8, &[32]);
    let header = Header::new(&Metadata::new(), &[same.clone(), same]).unwrap();
    let bytes = [header.bytes, vec![0; 64]].concat();
    assert!(
        refusal(&bytes)
            .title
            .contains("the tensor `a` is there twice")
    );
}

/// A file of one tensor with this description and 64 bytes of data.
fn tensor(dimensions: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut bytes = [start(1, 0), text("t")].concat();
    bytes.extend((dimensions.len() as u32).to_le_bytes());
    bytes.extend(dimensions.iter().flat_map(|size| size.to_le_bytes()));
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes.resize(bytes.len() + 64, 0);
    bytes
}

#[test]
fn tensors_lie_where_the_format_puts_them() {
    for (bytes, code, said) in [
        (tensor(&[64], 24, 32), 114, "leaves a gap after the header"),
        (tensor(&[64], 24, 1), 114, "leaves a gap"),
        (tensor(&[1; 5], 24, 0), 114, "has 5 dimensions"),
        (tensor(&[u64::MAX], 24, 0), 114, "elements in one dimension"),
        (
            tensor(&[1 << 40, 1 << 40], 0, 0),
            114,
            "not a number of bytes that can be addressed",
        ),
        (tensor(&[65], 24, 0), 102, "ends before its last tensor"),
        (
            tensor(&[i64::MAX as u64], 24, 0),
            102,
            "ends before its last tensor",
        ),
        (tensor(&[8], 24, 0), 114, "goes on for 32 bytes"),
        (tensor(&[64], 5, 0), 114, "of type 5, which is not known"),
        (tensor(&[64], 12, 0), 115, "the first is `t` as Q4_K"),
    ] {
        let found = refusal(&bytes);
        assert_eq!(found.code.0, code, "{}", found.title);
        assert!(found.title.contains(said), "{}", found.title);
    }
    assert!(parse(Path::new("m.gguf"), &tensor(&[64], 24, 0)).is_ok());
    // The second tensor of the sound file begins at 32: offsets that overlap the first, or are not aligned, are refused.
    let whole = sound();
    let needle = 32_u64.to_le_bytes();
    let at = whole.windows(8).rposition(|bytes| bytes == needle).unwrap();
    for (offset, said) in [
        (0_u64, "overlaps `a`"),
        (25, "overlaps `a`"),
        (64, "leaves a gap after `a`"),
    ] {
        let mut bytes = whole.clone();
        bytes[at..at + 8].copy_from_slice(&offset.to_le_bytes());
        assert!(
            refusal(&bytes).title.contains(said),
            "{}",
            refusal(&bytes).title
        );
    }
}

#[test]
fn other_kinds_of_file_are_told_apart() {
    let version =
        |number: u32| [b"GGUF".to_vec(), number.to_le_bytes().to_vec(), vec![0; 16]].concat();
    for (bytes, code, said) in [
        (version(1), 115, "version 1"),
        (version(4), 115, "version 4"),
        (version(3_u32.swap_bytes()), 115, "big-endian"),
        (
            b"ggml\x01\0\0\0".to_vec(),
            114,
            "does not begin with `GGUF`",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
            114,
            "Git LFS pointer",
        ),
    ] {
        let found = refusal(&bytes);
        assert_eq!(found.code.0, code);
        assert!(found.title.contains(said), "{}", found.title);
    }
    assert!(parse(Path::new("m.gguf"), &version(2)).is_ok());
    let mut metadata = Metadata::new();
    metadata.u32("split.count", 3);
    let scratch = Scratch::new();
    scratch.write("m.gguf", &file(&metadata, &[]));
    let found = GgufFile::open(scratch.path("m.gguf")).unwrap_err();
    assert_eq!(found.title, "the file is one of 3 parts");
}

#[test]
fn an_alignment_is_a_power_of_two() {
    for alignment in [0_u32, 3, 24, 1 << 20] {
        let mut metadata = Metadata::new();
        metadata.u32("general.alignment", alignment);
        let bytes = file(&metadata, &[]);
        assert!(refusal(&bytes).title.contains("is no alignment"));
    }
    let mut metadata = Metadata::new();
    metadata.i32s("general.alignment", &[32]);
    assert_eq!(refusal(&file(&metadata, &[])).code.0, 114);
    // A file with an alignment of its own: one tensor, data at the next multiple of 64.
    let mut metadata = Metadata::new();
    metadata.u32("general.alignment", 64);
    let header = Header::new(&metadata, &[outline("t", Dtype::I8, &[3])]).unwrap();
    let mut bytes = header.bytes;
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    bytes.extend([1, 2, 3]);
    let scratch = Scratch::new();
    assert_eq!(open(&scratch, &bytes).tensor("t").unwrap().data, [1, 2, 3]);
}

#[test]
fn what_the_format_has_no_place_for_is_not_written() {
    for tensor in [
        outline("t2d", Dtype::BOOL, &[8]),
        outline("t", Dtype::I8, &[1; 5]),
        outline(&"n".repeat(64), Dtype::I8, &[1]),
    ] {
        let found = Header::new(&Metadata::new(), &[tensor]).unwrap_err();
        assert_eq!(found.code, crate::codes::NOT_REPRESENTABLE);
    }
}

proptest! {
    #[test]
    fn any_file_goes_round(
        texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 0..20),
        numbers in proptest::collection::vec(any::<i32>(), 0..20),
        sizes in proptest::collection::vec((0_usize..5, 1_usize..9), 0..6),
    ) {
        let mut metadata = Metadata::new();
        metadata.texts("texts", &texts);
        metadata.i32s("numbers", &numbers);
        let tensors: Vec<(Outline, Vec<u8>)> = sizes
            .iter()
            .zip(0_u8..)
            .map(|(&(rows, columns), number)| {
                let outline = outline(&format!("blk.{number}.weight"), Dtype::F16, &[rows, columns]);
                (outline, vec![number; rows * columns * 2])
            })
            .collect();
        let scratch = Scratch::new();
        let file = open(&scratch, &file(&metadata, &tensors));
        let read = file.value("texts").unwrap().array().unwrap();
        let read: Vec<Vec<u8>> = read
            .iter()
            .map(|value| match value {
                Value::String(bytes) => bytes.to_vec(),
                _ => Vec::new(),
            })
            .collect();
        prop_assert_eq!(read, texts);
        let read = file.value("numbers").unwrap().array().unwrap();
        prop_assert_eq!(
            read.iter().collect::<Vec<_>>(),
            numbers.into_iter().map(Value::I32).collect::<Vec<_>>()
        );
        for (outline, data) in &tensors {
            let view = file.tensor(&outline.name).unwrap();
            prop_assert_eq!(view.shape, &outline.shape[..]);
            prop_assert_eq!(view.data, &data[..]);
        }
    }

    #[test]
    fn noise_is_a_finding(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let with_magic = [start(2, 2), bytes.clone()].concat();
        prop_assert!(parse(Path::new("m.gguf"), &bytes).is_err());
        let _ = parse(Path::new("m.gguf"), &with_magic);
    }
}
