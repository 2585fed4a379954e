//! Nothing a file can hold makes the reader panic or hang.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Opens bytes and reads whatever they turn out to hold.
fn read(bytes: &[u8]) {
    let begun = Instant::now();
    if let Ok(file) = open_bytes(bytes) {
        for (name, tensor) in file.tensors() {
            assert_eq!(file.data(name).unwrap().len(), tensor.bytes());
        }
        let _ = (file.prefix(), format!("{:?}", file.value()));
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}

fn files() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        "plain.bin",
        "protocol_5.bin",
        "layouts.bin",
        "nested.pt",
        "module.bin",
    ])
    .prop_map(|name| fs_err::read(fixture(name)).unwrap())
}

/// Opcodes that get far, with small arguments; far more telling than bytes at random.
fn opcodes() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(vec![
        b"(".to_vec(),
        b"0".to_vec(),
        b"1".to_vec(),
        b"2".to_vec(),
        b"N".to_vec(),
        b")".to_vec(),
        b"]".to_vec(),
        b"}".to_vec(),
        b"a".to_vec(),
        b"e".to_vec(),
        b"s".to_vec(),
        b"u".to_vec(),
        b"t".to_vec(),
        b"d".to_vec(),
        b"l".to_vec(),
        b"Q".to_vec(),
        b"R".to_vec(),
        b"b".to_vec(),
        b"\x85".to_vec(),
        b"\x86".to_vec(),
        b"\x87".to_vec(),
        b"\x8f".to_vec(),
        b"\x90".to_vec(),
        b"\x91".to_vec(),
        b"\x94".to_vec(),
        b"K\x02".to_vec(),
        b"h\x00".to_vec(),
        b"h\x01".to_vec(),
        b"q\x00".to_vec(),
        b"q\x01".to_vec(),
        b"\x8a\x01\xff".to_vec(),
        b"X\x01\0\0\x000".to_vec(),
        b"ccollections\nOrderedDict\n".to_vec(),
        b"ctorch\nSize\n".to_vec(),
        b"ctorch._utils\n_rebuild_parameter\n".to_vec(),
        b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec(),
        tensor(4, 0, &[2, 2], &[2, 1]),
        tensor(4, 0, &[2, 2], &[1, 2]),
    ]);
    vec(whole, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn flipped_bytes_do_no_harm(mut bytes in files(), flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        read(&bytes);
    }

    #[test]
    fn flipped_bytes_of_the_pickle_do_no_harm(bytes in files(), flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = bytes;
        let archive = Archive::read(Path::new("x"), &bytes).unwrap();
        let range = archive.entry("data.pkl").unwrap();
        for (at, value) in flips {
            bytes[range.start + at.index(range.len())] = value;
        }
        read(&bytes);
    }

    #[test]
    fn any_sequence_of_opcodes_does_no_harm(code in opcodes()) {
        read(&archive(&[("a/data.pkl", &program(&[&code])), ("a/data/0", &[7; 16])]));
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..300)) {
        read(&bytes);
        read(&[b"PK\x03\x04".as_slice(), &bytes].concat());
        let _ = machine::run(&[b"\x80\x04".as_slice(), &bytes].concat(), &Place::default());
    }

    #[test]
    fn any_layout_is_read_or_refused(
        elements in 0..30_i32,
        offset in -1..30_i32,
        dimensions in vec((-1..6_i32, prop_oneof![-1..9_i32, Just(i32::MAX)]), 0..5),
    ) {
        let (shape, stride): (Vec<i32>, Vec<i32>) = dimensions.into_iter().unzip();
        let length = usize::try_from(elements).unwrap() * 4;
        if let Ok(file) = one(&tensor(elements, offset, &shape, &stride), length) {
            let data = file.data("").unwrap();
            prop_assert_eq!(data.len(), file.tensor("").unwrap().bytes());
            prop_assert!(data.iter().all(|&byte| byte == 7));
        }
    }
}
