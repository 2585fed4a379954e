//! What a caller may say, and what has to be said.

use super::*;

#[test]
fn options_of_other_kinds_are_refused() {
    let scratch = Scratch::new();
    let eagle = request(&scratch, Algorithm::Eagle3);
    for change in [
        (|request| request.block_size = Some(4)) as fn(&mut InitRequest),
        |request| request.mask_token_id = Some(4),
        |request| request.markov_rank = Some(4),
        |request| request.sample_from_anchor = Some(true),
    ] {
        let mut request = eagle.clone();
        change(&mut request);
        assert_eq!(refusal(&request), codes::OPTION_ELSEWHERE);
    }
    let mut block = request(&scratch, Algorithm::DFlash);
    block.norm_output = Some(true);
    assert_eq!(refusal(&block), codes::OPTION_ELSEWHERE);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let scratch = Scratch::new();
    for (algorithm, change) in [
        (
            Algorithm::Eagle3,
            (|request| {
                request.norm_before_fc = Some(true);
                request.fc_norm = Some(true);
            }) as fn(&mut InitRequest),
        ),
        (Algorithm::Eagle3, |request| request.num_layers = Some(0)),
        (Algorithm::Eagle3, |request| {
            request.full_attention_layers = vec![1];
        }),
        (Algorithm::Eagle3, |request| {
            request.draft_vocab_size = Some(VOCABULARY + 1);
        }),
        (Algorithm::DFlash, |request| {
            request.draft_arch = Some(DraftLayer::Llama);
        }),
        (Algorithm::DFlash, |request| {
            request.speculative_tokens = Some(16);
        }),
        (Algorithm::DFlash, |request| request.block_size = Some(1)),
        (Algorithm::DSpark, |request| {
            request.markov_rank = Some(0);
            request.confidence_head_with_markov = Some(true);
        }),
        (Algorithm::Mtp, |request| request.mask_token_id = None),
    ] {
        let mut request = request(&scratch, algorithm);
        change(&mut request);
        assert_eq!(refusal(&request), codes::USAGE, "{algorithm}");
    }
}

#[test]
fn a_smaller_vocabulary_needs_its_tokens_named() {
    let scratch = Scratch::new();
    let mut request = request(&scratch, Algorithm::Eagle3);
    request.draft_vocab_size = Some(8);
    assert_eq!(refusal(&request), codes::DRAFT_VOCABULARY_OPEN);
    request.draft_vocab_size = Some(VOCABULARY);
    plan(&request).unwrap();
    request.draft_vocab_size = None;
    let mut other = reduced();
    other.vocab_size += 1;
    request.vocabulary = Some(VocabularySource::Map(other));
    assert_eq!(refusal(&request), codes::VOCABULARY);
}

#[test]
fn counts_give_the_most_frequent_tokens() {
    let scratch = Scratch::new();
    scratch.write("counts.json", br#"{"9": 5, "40": 7, "3": 5, "60": 1}"#);
    let mut request = request(&scratch, Algorithm::Eagle3);
    request.vocabulary = Some(VocabularySource::Counts(scratch.path("counts.json")));
    assert_eq!(refusal(&request), codes::USAGE);
    request.draft_vocab_size = Some(3);
    write(&request).unwrap();
    let opened = Speculator::open(&scratch.path("head"), None, &Default::default()).unwrap();
    assert_eq!(opened.vocabulary_map().unwrap().draft_to_target, [3, 9, 40]);
    // The head is a directory with a map as well; of its end tokens, 2 and 40, the one that is outside is named.
    request.vocabulary = Some(VocabularySource::Directory(scratch.path("head")));
    request.output = scratch.path("again");
    let decisions = plan(&request).unwrap().decisions;
    assert!(
        decisions
            .iter()
            .any(|decision| decision.value == "without [2]")
    );
}

#[test]
fn auxiliary_layers_are_brought_into_order_and_held_against_the_verifier() {
    let scratch = Scratch::new();
    let mut request = request(&scratch, Algorithm::Eagle3);
    request.aux_layers = Some(vec![6, 1, 8, 0]);
    let decided = plan(&request).unwrap();
    assert_eq!(
        decided.config()["eagle_aux_hidden_state_layer_ids"],
        json!([0, 1, 6, 8])
    );
    assert_eq!(
        decided.config()["transformer_layer_config"]["num_aux_hidden_states"],
        4
    );
    for (ids, code) in [
        (vec![1, 9], codes::AUX_LAYER_RANGE),
        (vec![1, 1], codes::AUX_LAYER_COUNT),
        (vec![], codes::AUX_LAYER_COUNT),
    ] {
        request.aux_layers = Some(ids);
        assert_eq!(refusal(&request), code);
    }
}

#[test]
fn a_mask_token_is_found_only_where_it_is_certain() {
    let vocabulary = |count: usize| {
        let tokens: serde_json::Map<String, Value> =
            (0..count).map(|id| (format!("t{id}"), json!(id))).collect();
        json!({ "model": { "type": "BPE", "vocab": tokens }, "added_tokens": [] })
    };
    let scratch = Scratch::new();
    let mut request = request(&scratch, Algorithm::PEagle);
    request.mask_token_id = None;
    assert_eq!(refusal(&request), codes::MASK_TOKEN_OPEN);
    let found = |tokenizer: Value, settings: Value| {
        scratch.write("verifier/tokenizer.json", tokenizer.to_string().as_bytes());
        scratch.write(
            "verifier/tokenizer_config.json",
            settings.to_string().as_bytes(),
        );
        plan(&request).map(|plan| plan.config()["mask_token_id"].clone())
    };
    // The first row of the embedding that is left over.
    assert_eq!(found(vocabulary(60), json!({})), Ok(json!(60)));
    // The tokenizer's own, in either spelling.
    let own = json!({ "mask_token": { "content": "t5" } });
    assert_eq!(found(vocabulary(60), own), Ok(json!(5)));
    assert_eq!(
        found(vocabulary(64), json!({ "mask_token": "t6" })),
        Ok(json!(6))
    );
    // No row is left, or the ids have gaps.
    let code = |result: Result<Value>| result.unwrap_err()[0].code;
    assert_eq!(
        code(found(vocabulary(64), json!({ "pad_token": "t6" }))),
        codes::MASK_TOKEN_OPEN
    );
    let mut gaps = vocabulary(60);
    gaps["added_tokens"] = json!([{ "id": 62, "content": "x" }]);
    assert_eq!(code(found(gaps, json!({}))), codes::MASK_TOKEN_OPEN);
    request.mask_token_id = Some(64);
    assert_eq!(refusal(&request), codes::MASK_TOKEN);
}

#[test]
fn layers_slide_unless_they_are_named() {
    let scratch = Scratch::new();
    let mut request = request(&scratch, Algorithm::DFlash);
    request.full_attention_layers = vec![0, 2];
    request.sliding_window = Some(32);
    let decided = plan(&request).unwrap();
    let decoder = &decided.config()["transformer_layer_config"];
    let (full, sliding) = ("full_attention", "sliding_attention");
    assert_eq!(
        decoder["layer_types"],
        json!([full, sliding, full, sliding, sliding])
    );
    assert_eq!(decoder["sliding_window"], 32);
    assert_eq!(decided.config()["sliding_window_non_causal"], false);
    request.full_attention_layers = (0..5).collect();
    let decided = plan(&request).unwrap();
    assert_eq!(decided.config()["sliding_window_non_causal"], true);
    write(&request).unwrap();
}
