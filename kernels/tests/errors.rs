//! Calls with arguments that do not fit together are refused before anything is written, with the numbers.

#![allow(clippy::unwrap_used)]

use speculators_kernels::{
    Activation, Error, KvCache, Matrix, RopeTable, Rounding, TreeMask, WeightType, cpu, reference,
};

#[test]
fn both_versions_refuse_the_same_calls_in_the_same_words() {
    let matrix = Matrix::pack(WeightType::F32, 4, &[&[0; 32]]).unwrap();
    let calls = [
        (cpu::linear as fn(&Matrix, Option<&[f32]>, &[f32], Rounding, &mut [f32]) -> _),
        reference::linear,
    ];
    for linear in calls {
        let error = linear(&matrix, None, &[0.0; 5], Rounding::None, &mut [0.0; 2]).unwrap_err();
        assert_eq!(error.to_string(), "linear: input: 5 is not a multiple of 4");
        let error = linear(&matrix, None, &[0.0; 8], Rounding::None, &mut [0.0; 3]).unwrap_err();
        assert_eq!(error.to_string(), "linear: output: expected 4, found 3");
        let error = linear(
            &matrix,
            Some(&[0.0]),
            &[0.0; 4],
            Rounding::None,
            &mut [0.0; 2],
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "linear: bias: expected 2, found 1"
        );
    }
}

#[test]
fn widths_of_zero_are_refused() {
    let none: &mut [f32] = &mut [];
    assert!(cpu::rms_norm(&[], &[], 1e-5, Rounding::None, none).is_err());
    assert!(cpu::swiglu(&[], 0, Activation::Silu, Rounding::None, none).is_err());
    assert!(cpu::log_sum_exp(&[], 0, none).is_err());
    assert!(cpu::top_k(&[1.0], 1, 2, &mut [0; 2], &mut [0.0; 2]).is_err());
}

#[test]
fn positions_beyond_the_table_and_nodes_beyond_the_cache_are_refused() {
    let table = RopeTable::new(&[1.0], 1.0, 8, Rounding::None);
    let error = cpu::rope(&table, &[8], 1, 2, Rounding::None, &mut [0.0; 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rope: position: 8 is out of range, the limit is 8"
    );

    let mut cache = KvCache::new(WeightType::F32, 1, 1, 4).unwrap();
    cache.append(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]).unwrap();
    let error = cpu::kv_compact(&mut cache, 1, &[0, 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "kv_compact: node of the path: 2 is out of range, the limit is 2"
    );
    assert!(matches!(
        cpu::kv_compact(&mut cache, 0, &[1, 1]),
        Err(Error::Order { index: 1, .. })
    ));
    assert_eq!(cache.len(), 3);

    let mask = TreeMask {
        tail: 4,
        words: 1,
        bits: &[1],
    };
    let error = cpu::tree_attention(
        &[1.0],
        &cache,
        &mask,
        &[0],
        &[0; 4],
        None,
        1.0,
        Rounding::None,
        &mut [0.0],
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "tree_attention: tail of the mask: 4 is out of range, the limit is 4"
    );
}

#[test]
fn an_instruction_set_that_is_missing_is_refused() {
    for isa in speculators_kernels::Isa::ALL {
        assert_eq!(
            cpu::with_isa(isa, cpu::features).is_ok(),
            isa.is_available()
        );
    }
}
