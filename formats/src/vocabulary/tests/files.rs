use safetensors::Dtype;

use crate::VocabularyMap;
use crate::testing::{Scratch, tensors};
use crate::vocabulary::{TokenCounts, build, numpy, read_map};

/// A map of so many of eight tokens, the last ones.
fn map(draft: u32) -> VocabularyMap {
    VocabularyMap {
        draft_to_target: (8 - draft..8).collect(),
        vocab_size: 8,
    }
}

fn write_npy(scratch: &Scratch, ending: &str, map: &VocabularyMap) {
    scratch.write(&format!("d2t{ending}.npy"), &map.d2t_npy());
    scratch.write(&format!("t2d{ending}.npy"), &map.t2d_npy());
}

fn code(scratch: &Scratch, vocab_size: Option<usize>, draft: Option<usize>) -> u16 {
    let found = read_map(scratch.root(), vocab_size, draft).unwrap_err();
    found[0].code.0
}

#[test]
fn a_map_is_read_under_each_of_its_names() {
    for ending in ["", "-3"] {
        let scratch = Scratch::new();
        write_npy(&scratch, ending, &map(3));
        let found = read_map(scratch.root(), None, None).unwrap();
        assert_eq!(found.map, Some(map(3)));
        assert_eq!((found.draft_vocab_size, found.vocab_size), (3, 8));
        assert_eq!(found.files.len(), 2);
        assert!(found.decisions.is_empty());
    }
    let scratch = Scratch::new();
    scratch.write("vocab-3.safetensors", &map(3).to_safetensors());
    let found = read_map(scratch.root(), Some(8), Some(3)).unwrap();
    assert_eq!(found.map, Some(map(3)));
    let file = scratch.path("vocab-3.safetensors");
    assert_eq!(read_map(file, None, None).unwrap().map, Some(map(3)));
}

#[test]
fn one_of_several_maps_is_never_chosen_unasked() {
    let scratch = Scratch::new();
    write_npy(&scratch, "-3", &map(3));
    write_npy(&scratch, "-4", &map(4));
    assert_eq!(code(&scratch, None, None), 316);
    let found = read_map(scratch.root(), None, Some(4)).unwrap();
    assert_eq!(found.map, Some(map(4)));
    assert_eq!(code(&scratch, None, Some(5)), 316);
    // The same map twice is no question.
    scratch.write("vocab-4.safetensors", &map(4).to_safetensors());
    scratch.write("token_freq.npy", b"not looked at");
    assert!(read_map(scratch.root(), None, Some(4)).is_ok());
    let other = VocabularyMap {
        draft_to_target: vec![0, 1, 2, 5],
        vocab_size: 8,
    };
    scratch.write("vocab-4.safetensors", &other.to_safetensors());
    assert_eq!(code(&scratch, None, Some(4)), 316);
    assert_eq!(code(&Scratch::new(), None, None), 316);
}

#[test]
fn a_map_that_is_none_is_refused() {
    let scratch = Scratch::new();
    write_npy(&scratch, "", &map(3));
    assert_eq!(code(&scratch, Some(9), None), 301);
    scratch.write("t2d.npy", &map(4).t2d_npy());
    assert_eq!(code(&scratch, None, None), 306);
    let ids = [5_i64, 6, 7].into_iter().flat_map(i64::to_le_bytes);
    scratch.write("d2t.npy", &numpy::write("<i8", 3, ids));
    scratch.write("t2d.npy", &map(3).t2d_npy());
    assert_eq!(code(&scratch, None, None), 305);
    scratch.write("d2t.npy", &[]);
    assert_eq!(code(&scratch, None, None), 311);
}

#[test]
fn half_a_map_is_completed_aloud_where_it_can_be() {
    let scratch = Scratch::new();
    scratch.write("d2t.npy", &map(3).d2t_npy());
    assert_eq!(code(&scratch, None, None), 313);
    let found = read_map(scratch.root(), Some(8), None).unwrap();
    assert_eq!(found.map, Some(map(3)));
    assert!(!found.decisions[0].guess);
    let scratch = Scratch::new();
    scratch.write("t2d.npy", &map(3).t2d_npy());
    let found = read_map(scratch.root(), None, None).unwrap();
    assert_eq!(found.map, Some(map(3)));
    assert!(found.decisions[0].guess);
}

#[test]
fn a_head_has_a_map_and_a_full_vocabulary_has_none() {
    let scratch = Scratch::new();
    let offsets = map(3).offsets().flat_map(i64::to_le_bytes).collect();
    let weights = tensors(&[
        ("d2t", Dtype::I64, &[3], offsets),
        ("norm.weight", Dtype::BF16, &[1], vec![0; 2]),
    ]);
    scratch.write("model.safetensors", &weights);
    let found = read_map(scratch.root(), Some(8), None).unwrap();
    assert_eq!(found.map, Some(map(3)));

    let scratch = Scratch::new();
    let counts = TokenCounts::new(4, vec![(2, 1)]).unwrap();
    write_npy(&scratch, "", &build(&counts, 4, &[]).unwrap().map);
    let found = read_map(scratch.root(), None, None).unwrap();
    assert_eq!((found.map, found.draft_vocab_size), (None, 4));
}
