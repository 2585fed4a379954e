use std::path::{Path, PathBuf};

use proptest::prelude::*;
use safetensors::Dtype;

use crate::testing::{Scratch, tensors};
use crate::vocabulary::TokenCounts;
use crate::vocabulary::numpy;
use crate::{Diagnostic, codes};

fn pickle(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/pickles")).join(name)
}

fn read(bytes: &[u8], vocab_size: Option<usize>) -> Result<TokenCounts, Diagnostic> {
    let scratch = Scratch::new();
    scratch.write("counts", bytes);
    TokenCounts::read(scratch.path("counts"), vocab_size).map_err(|mut found| {
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].place.is_some(), "{found:?}");
        found.remove(0)
    })
}

fn code(bytes: &[u8], vocab_size: Option<usize>) -> u16 {
    read(bytes, vocab_size).unwrap_err().code.0
}

fn npy(descr: &str, counts: &[i64], bytes: usize) -> Vec<u8> {
    let data = counts
        .iter()
        .flat_map(|count| count.to_le_bytes()[..bytes].to_vec());
    numpy::write(descr, counts.len(), data)
}

#[test]
fn every_kind_of_file_gives_the_same_counts() {
    let expected = TokenCounts::new(5, vec![(1, 7), (3, 2)]).unwrap();
    let list = [0, 7, 0, 2, 0];
    for (descr, bytes) in [("<i8", 8), ("<u8", 8), ("<i4", 4), ("<u4", 4)] {
        assert_eq!(read(&npy(descr, &list, bytes), None), Ok(expected.clone()));
    }
    assert_eq!(read(&expected.to_npy(), Some(5)), Ok(expected.clone()));
    assert_eq!(read(&expected.to_safetensors(), None), Ok(expected.clone()));
    let json = b" {\"3\": 2, \"1\": 7}";
    assert_eq!(read(json, Some(5)), Ok(expected));
}

#[test]
fn the_python_package_saves_counts_that_are_read() {
    let counts = TokenCounts::read(pickle("token_freq.pt"), Some(256)).unwrap();
    assert_eq!(counts.entries().len(), 200);
    assert_eq!((counts.get(1), counts.get(7)), (919, 433));
    // Listed with 0, which is not the same as not listed.
    assert_eq!(counts.entries()[0], (0, 0));
    let counter = TokenCounts::read(pickle("counter.pt"), Some(6)).unwrap();
    assert_eq!(counter.entries(), [(3, 2), (5, 1)]);
    let outside = TokenCounts::read(pickle("counter.pt"), Some(5)).unwrap_err();
    assert_eq!(outside[0].code, codes::COUNTS_RANGE);
    let open = TokenCounts::read(pickle("counter.pt"), None).unwrap_err();
    assert_eq!(open[0].code, codes::COUNTS_RANGE);
    for (other, code) in [("plain.bin", 312), ("bare.pt", 312), ("eval.bin", 112)] {
        let found = TokenCounts::read(pickle(other), Some(9)).unwrap_err();
        assert_eq!(found[0].code.0, code, "{other}");
    }
}

#[test]
fn counts_that_are_none_are_refused() {
    assert_eq!(code(&npy("<i8", &[1, -1], 8), None), 312);
    assert_eq!(code(&npy("<u8", &[-1], 8), None), 312);
    assert_eq!(code(&npy("<i8", &[1, 2], 8), Some(3)), 313);
    assert_eq!(code(&npy("<i8", &[], 8), None), 313);
    assert_eq!(code(&npy("|b1", &[1], 1), None), 204);
    assert_eq!(code(b"{\"1\": -1}", Some(3)), 312);
    assert_eq!(code(b"{\"1\": 0.5}", Some(3)), 312);
    assert_eq!(code(b"{\"1\": \"5\"}", Some(3)), 312);
    assert_eq!(code(b"{\"01\": 1}", Some(3)), 312);
    assert_eq!(code(b"{\"-1\": 1}", Some(3)), 312);
    assert_eq!(code(b"{\"1\": 1, \"1\": 2}", Some(3)), 104);
    assert_eq!(code(b"{\"3\": 1}", Some(3)), 313);
    assert_eq!(code(b"{\"3\": 1}", None), 313);
    assert_eq!(code(b"{\"3\": 1}", Some(1 << 40)), 313);
    let other = tensors(&[("x", Dtype::I64, &[1], vec![0; 8])]);
    assert_eq!(code(&other, None), 201);
    let square = tensors(&[("token_freq", Dtype::I64, &[1, 1], vec![0; 8])]);
    assert_eq!(code(&square, None), 203);
    assert_eq!(code(b"", None), 102);
}

#[test]
fn numpy_files_are_checked_against_their_length() {
    let whole = npy("<i8", &[1, 2, 3], 8);
    assert_eq!(whole.len(), 128 + 24);
    let cut = |length: usize| code(&whole[..length], None);
    assert_eq!([cut(7), cut(9), cut(60), cut(129)], [102; 4]);
    let mut longer = whole.clone();
    longer.push(0);
    assert_eq!(code(&longer, None), 311);
    let replaced = |from: &str, to: &str| {
        let text: String = whole.iter().map(|byte| char::from(*byte)).collect();
        assert_eq!(from.chars().count(), to.chars().count());
        let bytes: Vec<u8> = text.replace(from, to).chars().map(|c| c as u8).collect();
        code(&bytes, None)
    };
    assert_eq!(replaced("<i8", ">i8"), 311);
    assert_eq!(replaced("<i8", "|O "), 311);
    assert_eq!(replaced("(3,), }", "(99999)"), 311);
    assert_eq!(replaced("(3,), }      ", "(3,), } 'x'  "), 311);
    assert_eq!(replaced("'shape'", "'shope'"), 311);
    assert_eq!(replaced("False", "Maybe"), 311);
    assert_eq!(replaced("(3,), }      ", "(99999999,),}"), 102);
    assert_eq!(replaced("\u{1}\0v", "\u{7}\0v"), 311);
    assert_eq!(replaced("v\0", "v\u{ff}"), 311);
}

#[test]
fn other_spellings_of_a_header_are_read() {
    for header in [
        "{'shape': (2,), 'fortran_order': True, 'descr': '<i4'}\n",
        "{\"descr\": \"<i4\", \"fortran_order\": False, \"shape\": (2,)}",
    ] {
        let mut file = b"\x93NUMPY\x02\0".to_vec();
        file.extend((header.len() as u32).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend([1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(read(&file, None).unwrap().entries(), [(0, 1), (1, 2)]);
    }
}

#[test]
fn counts_of_several_texts_are_added() {
    let mut counts = TokenCounts::new(4, vec![(0, 1), (2, 5)]).unwrap();
    let other = TokenCounts::new(4, vec![(2, 1), (3, 7)]).unwrap();
    counts.add(&other).unwrap();
    assert_eq!(counts.entries(), [(0, 1), (2, 6), (3, 7)]);
    assert_eq!((counts.total(), counts.seen()), (14, 3));
    assert_eq!(counts.covered(&[0, 1, 2, 9]), [0, 7, 13, 14]);
    let larger = TokenCounts::new(5, vec![]).unwrap();
    assert_eq!(counts.add(&larger).unwrap_err().code.0, 313);
    let many = TokenCounts::new(4, vec![(2, i64::MAX as u64)]).unwrap();
    assert_eq!(counts.add(&many).unwrap_err().code.0, 312);
    assert_eq!(
        TokenCounts::new(4, vec![(1, 1), (1, 2)])
            .unwrap_err()
            .code
            .0,
        312
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        magic in any::<bool>(),
        at in 0_usize..150,
        byte in any::<u8>(),
    ) {
        if magic {
            bytes = npy("<i8", &[1, 2, 3], 8);
            bytes[at] = byte;
        }
        let scratch = Scratch::new();
        scratch.write("counts", &bytes);
        let _ = TokenCounts::read(scratch.path("counts"), Some(3));
    }

    #[test]
    fn what_is_written_is_read(list in proptest::collection::vec(0_u64..9, 1..40)) {
        let counts = TokenCounts::from_list(&list).unwrap();
        prop_assert_eq!(read(&counts.to_npy(), None), Ok(counts.clone()));
        prop_assert_eq!(read(&counts.to_safetensors(), None), Ok(counts));
    }
}
