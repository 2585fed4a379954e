//! Calls with arguments that do not fit together are refused before anything is written, with the numbers.

#![allow(clippy::unwrap_used)]

use speculators_kernels::{
    Activation, DraftVocabulary, Draws, Error, KvCache, LossyThresholds, LossyTypical, Matrix,
    Proposal, RopeTable, Rounding, TreeMask, WeightType, cpu, reference,
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

#[test]
fn drafts_that_do_not_fit_are_refused() {
    let mut draws = Draws::new(0, 0);
    let vocabulary = DraftVocabulary::new(&[3, 1], 4).unwrap();
    let drawn = Proposal::Drawn {
        probabilities: &[0.5, 0.5][..],
        vocabulary: &vocabulary,
    };
    let target = [0.25; 8];
    let refused = |drafted: &[u32], target: &[f32], proposal: &Proposal<'_, f32>| {
        let token = cpu::chain_reject(drafted, target, proposal, &mut Draws::new(0, 0));
        let block = cpu::block_verify(drafted, target, proposal, &mut Draws::new(0, 0));
        let (token, block) = (
            token.unwrap_err().to_string(),
            block.unwrap_err().to_string(),
        );
        assert_eq!(
            token.strip_prefix("chain_reject"),
            block.strip_prefix("block_verify")
        );
        token
    };
    assert!(cpu::chain_reject(&[3], &target, &drawn, &mut draws).is_ok());
    assert_eq!(
        refused(&[3], &target[..5], &drawn),
        "chain_reject: target probabilities: 5 is not a multiple of 2"
    );
    assert_eq!(
        refused(&[4], &target, &drawn),
        "chain_reject: draft token: 4 is out of range, the limit is 4"
    );
    assert_eq!(
        refused(&[3], &target[..6], &drawn),
        "chain_reject: tokens of the verifier in the draft vocabulary: expected 3, found 4"
    );
    assert_eq!(
        refused(&[3, 1], &[0.25; 12], &drawn),
        "chain_reject: draft probabilities: expected 4, found 2"
    );
    let tree = cpu::tree_residual(&[-1, 0], &[0, 3], &target, &drawn, &mut draws);
    assert_eq!(
        tree.unwrap_err().to_string(),
        "tree_residual: draft probabilities: expected 4, found 2"
    );
    assert!(cpu::tree_residual(&[-1, 1], &[0, 3], &target, &Proposal::Chosen, &mut draws).is_err());
    assert!(cpu::tree_residual(&[], &[], &target, &Proposal::Chosen, &mut draws).is_err());
    assert!(cpu::draw(&target, 0, 257, &mut draws).is_err());
}

#[test]
fn draft_vocabularies_map_one_to_one() {
    let error = DraftVocabulary::new(&[2, 0, 2], 4).unwrap_err();
    assert_eq!(
        error.to_string(),
        "draft vocabulary: token of the verifier: 2 is entry 0 and again entry 2"
    );
    assert!(DraftVocabulary::new(&[4], 4).is_err());
    for vocabulary in [
        DraftVocabulary::full(4),
        DraftVocabulary::new(&[2, 0], 4).unwrap(),
    ] {
        for token in 0..6 {
            if let Some(draft) = vocabulary.to_draft(token) {
                assert_eq!(vocabulary.to_verifier(draft), Some(token));
            }
        }
        let width = vocabulary.draft_width() as u32;
        assert_eq!(vocabulary.to_verifier(width), None);
        assert_eq!(vocabulary.to_draft(4), None);
    }
}

#[test]
fn lossy_rules_refuse_thresholds_outside_their_domain() {
    let target = [1.0f32];
    let rule = LossyTypical {
        epsilon: 0.0,
        ..LossyTypical::medusa()
    };
    let error = cpu::lossy_typical(&[-1], &[0], &target, &rule).unwrap_err();
    assert_eq!(
        error.to_string(),
        "lossy_typical: epsilon is 0, expected a number above 0 and at most 1"
    );
    let rule = LossyThresholds {
        single: 1.0,
        accumulated: 1.5,
    };
    let draws = &mut Draws::new(0, 0);
    assert!(cpu::lossy_thresholds(&[-1], &[0], &target, &rule, draws).is_err());
}
