use std::path::Path;

use safetensors::Dtype;

use crate::checkpoint::TensorView;
use crate::decision::Decision;
use crate::diagnostic::Place;
use crate::vocabulary::{Maps, VocabularyMap};

struct Case {
    d2t: Option<Vec<i64>>,
    t2d: Option<Vec<u8>>,
    repair: bool,
    vocab_size: usize,
}

/// Four draft tokens of eight: 1, 2, 5 and 7.
fn case() -> Case {
    Case {
        d2t: Some(vec![1, 1, 3, 4]),
        t2d: Some(vec![0, 1, 1, 0, 0, 1, 0, 1]),
        repair: false,
        vocab_size: 8,
    }
}

impl Case {
    fn resolve(&self) -> Result<(Option<VocabularyMap>, Vec<Decision>), u16> {
        let d2t_bytes: Option<Vec<u8>> = self
            .d2t
            .as_ref()
            .map(|d2t| d2t.iter().flat_map(|entry| entry.to_le_bytes()).collect());
        let d2t_shape = [self.d2t.as_ref().map_or(0, Vec::len)];
        let t2d_shape = [self.t2d.as_ref().map_or(0, Vec::len)];
        let path = Path::new("model.safetensors");
        let view = |name, dtype, shape, data| TensorView {
            name,
            dtype,
            shape,
            data,
            path,
        };
        let maps = Maps {
            d2t: d2t_bytes
                .as_ref()
                .map(|data| view("d2t", Dtype::I64, &d2t_shape, data)),
            t2d: self
                .t2d
                .as_ref()
                .map(|data| view("t2d", Dtype::BOOL, &t2d_shape, data)),
            draft_vocab_size: 4,
            vocab_size: self.vocab_size,
            repair: self.repair,
            offsets: false,
            entries: None,
            place: Place::file(path),
        };
        let (mut problems, mut decisions) = (Vec::new(), Vec::new());
        let map = maps.resolve(&mut problems, &mut decisions);
        match problems.first() {
            None => Ok((map, decisions)),
            Some(problem) => {
                assert_eq!(problems.len(), 1, "{problems:?}");
                Err(problem.code.0)
            }
        }
    }
}

#[test]
fn offsets_are_added_to_the_draft_token() {
    let (map, decisions) = case().resolve().unwrap();
    let map = map.unwrap();
    assert_eq!(map.draft_to_target, [1, 2, 5, 7]);
    assert_eq!(map.offsets().collect::<Vec<_>>(), [1, 1, 3, 4]);
    assert_eq!(
        map.members(),
        [false, true, true, false, false, true, false, true]
    );
    assert!(decisions.is_empty());
}

#[test]
fn absolute_ids_are_an_error_or_repaired_where_that_is_proven() {
    let mut absolute = Case {
        d2t: Some(vec![1, 2, 5, 7]),
        ..case()
    };
    assert_eq!(absolute.resolve(), Err(305));
    absolute.repair = true;
    let (map, decisions) = absolute.resolve().unwrap();
    assert_eq!(map.unwrap().draft_to_target, [1, 2, 5, 7]);
    assert!(!decisions[0].guess);
}

#[test]
fn absolute_ids_without_t2d_are_repaired_only_if_offsets_are_impossible() {
    let repairable = Case {
        d2t: Some(vec![1, 2, 5, 7]),
        t2d: None,
        repair: true,
        ..case()
    };
    assert_eq!(
        repairable.resolve().unwrap().0.unwrap().draft_to_target,
        [1, 2, 5, 7]
    );
    let open = Case {
        d2t: Some(vec![0, 1, 2, 4]),
        t2d: None,
        repair: true,
        ..case()
    };
    assert_eq!(open.resolve(), Err(305));
}

#[test]
fn a_missing_half_is_rebuilt() {
    let (map, decisions) = Case {
        t2d: None,
        ..case()
    }
    .resolve()
    .unwrap();
    assert_eq!(map.unwrap().draft_to_target, [1, 2, 5, 7]);
    assert!(!decisions[0].guess);
    let (map, decisions) = Case {
        d2t: None,
        ..case()
    }
    .resolve()
    .unwrap();
    assert_eq!(map.unwrap().draft_to_target, [1, 2, 5, 7]);
    assert!(decisions[0].guess);
}

#[test]
fn maps_that_were_never_loaded_are_told_from_the_first_tokens() {
    assert_eq!(
        Case {
            d2t: Some(vec![0; 4]),
            ..case()
        }
        .resolve(),
        Err(304)
    );
    assert_eq!(
        Case {
            d2t: Some(vec![0; 4]),
            t2d: None,
            repair: true,
            ..case()
        }
        .resolve(),
        Err(304)
    );
    assert_eq!(
        Case {
            t2d: Some(vec![1; 8]),
            ..case()
        }
        .resolve(),
        Err(304)
    );
    let first = Case {
        d2t: Some(vec![0; 4]),
        t2d: Some(vec![1, 1, 1, 1, 0, 0, 0, 0]),
        repair: false,
        ..case()
    };
    assert_eq!(
        first.resolve().unwrap().0.unwrap().draft_to_target,
        [0, 1, 2, 3]
    );
}

#[test]
fn range_doubles_and_disagreement_are_told_apart() {
    assert_eq!(
        Case {
            d2t: Some(vec![1, 1, 3, 40]),
            ..case()
        }
        .resolve(),
        Err(302)
    );
    assert_eq!(
        Case {
            d2t: Some(vec![1, 0, 3, 4]),
            ..case()
        }
        .resolve(),
        Err(303)
    );
    assert_eq!(
        Case {
            d2t: Some(vec![1, 1, 3, 3]),
            ..case()
        }
        .resolve(),
        Err(306)
    );
    assert_eq!(
        Case {
            d2t: Some(vec![i64::MAX; 4]),
            ..case()
        }
        .resolve(),
        Err(302)
    );
}

#[test]
fn no_memory_is_asked_for_by_the_size_of_a_vocabulary() {
    let claimed = Case {
        t2d: None,
        vocab_size: usize::MAX,
        ..case()
    };
    let (map, _) = claimed.resolve().unwrap();
    assert_eq!(map.unwrap().draft_to_target, [1, 2, 5, 7]);
}

#[test]
fn lengths_and_absence_are_findings() {
    assert_eq!(
        Case {
            d2t: Some(vec![1, 1, 3]),
            ..case()
        }
        .resolve(),
        Err(301)
    );
    assert_eq!(
        Case {
            t2d: Some(vec![0; 7]),
            ..case()
        }
        .resolve(),
        Err(301)
    );
    assert_eq!(
        Case {
            d2t: None,
            t2d: None,
            repair: true,
            ..case()
        }
        .resolve(),
        Err(307)
    );
}
