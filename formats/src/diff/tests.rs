//! Each class of difference, on tiny heads.

use safetensors::Dtype;
use serde_json::{Value, json};

use super::*;
use crate::testing::{DRAFT, HIDDEN, Scratch, TinyHead, VOCABULARY, tensors, verifier_config};

/// Compares two heads, after writing them.
struct Case {
    scratch: Scratch,
    options: DiffOptions,
}

impl Case {
    fn new() -> Case {
        Case {
            scratch: Scratch::new(),
            options: DiffOptions::default(),
        }
    }

    /// With a verifier of eight layers and the embedding that [`embedded`] gives a head.
    fn with_verifier(self) -> Case {
        let mut verifier = TinyHead {
            config: verifier_config(),
            tensors: std::collections::BTreeMap::new(),
        };
        verifier.float("embed_tokens.weight", &[VOCABULARY, HIDDEN]);
        verifier.rename("embed_tokens.weight", "model.embed_tokens.weight");
        let directory = verifier.write(&self.scratch, "verifier");
        Case {
            options: DiffOptions {
                verifier: Some(directory),
                ..self.options
            },
            ..self
        }
    }

    fn tolerating(mut self, tolerance: f64) -> Case {
        self.options.tolerance = Some(tolerance);
        self
    }

    fn compare(&self, a: &TinyHead, b: &TinyHead) -> Comparison {
        let (a, b) = (a.write(&self.scratch, "a"), b.write(&self.scratch, "b"));
        diff(&a, &b, &self.options, &mut |_, _| ControlFlow::Continue(()))
            .unwrap()
            .unwrap()
    }
}

fn embedded(mut head: TinyHead) -> TinyHead {
    head.float("embed_tokens.weight", &[VOCABULARY, HIDDEN]);
    head
}

/// The one tensor that is not equal to the byte and by name.
fn only(comparison: &Comparison) -> &TensorRow {
    let rows = &comparison.tensors.as_ref().unwrap().rows;
    let rows: Vec<&TensorRow> = rows
        .iter()
        .filter(|row| !matches!(row.status, TensorStatus::Equal | TensorStatus::Renamed))
        .collect();
    let [row] = rows.as_slice() else {
        panic!("{} rows: {rows:#?}", rows.len());
    };
    row
}

fn bf16(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    let values = values.into_iter().map(half::bf16::from_f32);
    values.flat_map(half::bf16::to_le_bytes).collect()
}

#[test]
fn a_head_equals_itself() {
    let found = Case::new().compare(&TinyHead::speculators(), &TinyHead::speculators());
    assert_eq!(found.verdict, Verdict::Equal);
    assert_eq!(found.reasons, [""; 0]);
    assert!(found.description.unwrap().different.is_empty());
    assert!(found.config.unwrap().keys.is_empty());
    let tensors = found.tensors.unwrap();
    assert_eq!(tensors.count(TensorStatus::Equal), tensors.rows.len());
}

#[test]
fn a_head_in_two_layouts_is_equal_but_for_what_one_leaves_open() {
    let mut converted = TinyHead::speculators();
    converted.config["norm_before_residual"] = json!(false);
    converted.config["speculators_config"]["proposal_methods"][0]["speculative_tokens"] = json!(3);
    let found = Case::new().compare(&TinyHead::new(), &converted);
    assert_eq!(found.verdict, Verdict::Different);
    assert_eq!(found.reasons, ["1 field open on one side (aux_layer_ids)"]);
    let row = &found.description.as_ref().unwrap().different[0];
    assert_eq!((row.status, &row.a), (FieldStatus::Open, &json!([])));
    assert!(row.decisions_a[0].guess && row.decisions_b.is_empty());
    let config = found.config.unwrap();
    let row = config
        .keys
        .iter()
        .find(|row| row.a.as_deref() == Some("hidden_size"));
    let row = row.unwrap();
    assert_eq!(row.status, KeyStatus::SameMeaning);
    assert_eq!(
        row.b.as_deref(),
        Some("transformer_layer_config.hidden_size")
    );
    assert_eq!(row.field.as_deref(), Some("hidden_size"));
    let tensors = found.tensors.unwrap();
    assert_eq!(tensors.count(TensorStatus::Renamed), 10);

    let found = Case::new()
        .with_verifier()
        .compare(&TinyHead::new(), &converted);
    assert_eq!(found.verdict, Verdict::Equal, "{:?}", found.reasons);
}

#[test]
fn two_spellings_of_the_rotary_embedding_say_the_same_until_they_do_not() {
    let mut old = TinyHead::speculators();
    let layer = &mut old.config["transformer_layer_config"];
    layer["rope_scaling"] = json!({"rope_type": "linear", "factor": 2.0});
    let mut new = TinyHead::speculators();
    let layer = new.config["transformer_layer_config"]
        .as_object_mut()
        .unwrap();
    layer.remove("rope_theta");
    layer.insert(
        "rope_parameters".to_owned(),
        json!({"rope_type": "linear", "factor": 2, "rope_theta": 10000}),
    );
    let found = Case::new().compare(&old, &new);
    assert_eq!(found.verdict, Verdict::Equal, "{:?}", found.reasons);
    let config = found.config.unwrap();
    assert_eq!(config.keys.len(), config.count(KeyStatus::SameMeaning));

    let layer = &mut new.config["transformer_layer_config"];
    layer["rope_parameters"]["factor"] = json!(4);
    let found = Case::new().compare(&old, &new);
    assert_eq!(
        found.reasons,
        ["1 field of the description (rope.scaling.factor)"]
    );
    let row = &found.description.unwrap().different[0];
    assert_eq!((&row.a, &row.b), (&json!(2.0), &json!(4.0)));
}

#[test]
fn a_key_that_no_field_speaks_of_is_shown_and_does_not_decide() {
    let mut other = TinyHead::speculators();
    other.config["transformers_version"] = json!("5.0.0");
    other.config["speculators_config"]["verifier"]["name_or_path"] = json!("elsewhere");
    let found = Case::new().compare(&TinyHead::speculators(), &other);
    assert_eq!(found.verdict, Verdict::Equal);
    let rows = found.config.unwrap().keys;
    let statuses: Vec<_> = rows
        .iter()
        .map(|row| (row.b.as_deref(), row.status))
        .collect();
    assert_eq!(
        statuses,
        [
            (
                Some("speculators_config.verifier.name_or_path"),
                KeyStatus::Changed
            ),
            (Some("transformers_version"), KeyStatus::Added),
        ]
    );
}

#[test]
fn a_changed_value_is_measured_and_tolerated_only_where_that_is_asked_for() {
    let mut other = TinyHead::speculators();
    let mut values = vec![1.0_f32; HIDDEN];
    let mut ones = TinyHead::speculators();
    ones.put("norm.weight", Dtype::BF16, &[HIDDEN], bf16(values.clone()));
    values[5] = 1.5;
    other.put("norm.weight", Dtype::BF16, &[HIDDEN], bf16(values));
    let found = Case::new().compare(&ones, &other);
    let row = only(&found);
    assert_eq!((row.status, row.matters), (TensorStatus::Changed, true));
    assert_eq!(found.reasons, ["1 tensor changed"]);
    let statistics = row.statistics.as_ref().unwrap();
    assert_eq!((statistics.differing, statistics.max_abs), (1, 0.5));
    assert_eq!(statistics.first.as_deref(), Some(&[5][..]));

    let share = 0.5 / 17.25_f64.sqrt();
    let found = Case::new().tolerating(1.001 * share).compare(&ones, &other);
    assert_eq!(found.verdict, Verdict::Equal);
    assert!(!only(&found).matters);
    let found = Case::new().tolerating(0.999 * share).compare(&ones, &other);
    assert_eq!(found.verdict, Verdict::Different);
}

#[test]
fn another_dtype_is_a_difference_unless_numbers_are_all_that_counts() {
    let head = TinyHead::speculators();
    let mut wider = TinyHead::speculators();
    let values = head.bytes("fc.weight").as_chunks::<2>().0;
    let values = values
        .iter()
        .map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32());
    let bytes = values.flat_map(f32::to_le_bytes).collect();
    wider.put("fc.weight", Dtype::F32, &[HIDDEN, 3 * HIDDEN], bytes);
    let found = Case::new().compare(&head, &wider);
    let row = only(&found);
    assert_eq!((row.status, row.matters), (TensorStatus::Cast, true));
    assert_eq!(row.statistics.as_ref().unwrap().differing, 0);
    assert_eq!(found.reasons, ["1 tensor of another dtype"]);
    let found = Case::new().tolerating(0.0).compare(&head, &wider);
    assert_eq!(found.verdict, Verdict::Equal, "{:?}", found.reasons);
}

#[test]
fn an_embedding_that_is_the_verifiers_own_is_no_difference() {
    let (bare, own) = (TinyHead::speculators(), embedded(TinyHead::speculators()));
    let found = Case::new().compare(&bare, &own);
    assert_eq!(found.reasons, ["1 tensor only in B"]);
    let storage = &found.description.as_ref().unwrap().different;
    assert_eq!(storage[0].status, FieldStatus::Storage);
    let found = Case::new().with_verifier().compare(&bare, &own);
    assert_eq!(found.verdict, Verdict::Equal, "{:?}", found.reasons);
    assert!(only(&found).note.as_deref().unwrap().contains("verifier's"));

    let mut trained = embedded(TinyHead::speculators());
    trained.put(
        "embed_tokens.weight",
        Dtype::BF16,
        &[VOCABULARY, HIDDEN],
        bf16((0..VOCABULARY * HIDDEN).map(|index| index as f32)),
    );
    let found = Case::new().with_verifier().compare(&trained, &bare);
    assert_eq!(found.reasons, ["1 tensor only in A"]);
}

#[test]
fn tensors_that_changed_places_are_seen_from_their_bytes() {
    let mut swapped = TinyHead::speculators();
    let [gate, up] = ["gate", "up"].map(|part| format!("layers.0.mlp.{part}_proj.weight"));
    swapped.rename(&gate, "kept");
    swapped.rename(&up, &gate);
    swapped.rename("kept", &up);
    let found = Case::new().compare(&TinyHead::speculators(), &swapped);
    assert_eq!(found.reasons, ["2 tensors changed"]);
    let rows = &found.tensors.unwrap().rows;
    let row = rows.iter().find(|row| row.name == gate).unwrap();
    let note = format!("A's bytes are those of `{up}` in B");
    assert_eq!(row.note, Some(note));
}

#[test]
fn a_reordered_vocabulary_means_the_same_when_the_rows_are_reordered_too() {
    let head = TinyHead::speculators();
    let mut reversed = TinyHead::speculators();
    let targets = (0..DRAFT as i64).rev().map(|draft| 2 * draft);
    let offsets: Vec<i64> = targets
        .zip(0..)
        .map(|(target, draft)| target - draft)
        .collect();
    reversed.d2t(&offsets);
    let found = Case::new().compare(&head, &reversed);
    assert_eq!(
        found.reasons,
        ["1 tensor changed"],
        "the rows are still in the old order"
    );
    let row = only(&found);
    assert_eq!(
        row.note.as_deref(),
        Some(
            "32 rows stand for other tokens, the first is row 0: 0 in A, 62 in B; 32 tokens are in both vocabularies"
        )
    );
    let rows = head.bytes("lm_head.weight").chunks_exact(2 * HIDDEN).rev();
    let rows = rows.flatten().copied().collect();
    reversed.put("lm_head.weight", Dtype::BF16, &[DRAFT, HIDDEN], rows);
    let found = Case::new().compare(&head, &reversed);
    assert_eq!(found.verdict, Verdict::Equal, "{:?}", found.reasons);
    let tensors = found.tensors.unwrap();
    assert_eq!(tensors.count(TensorStatus::SameMeaning), 2);
}

#[test]
fn maps_in_other_words_mean_the_same() {
    let offsets = TinyHead::new();
    let mut absolute = TinyHead::new();
    absolute.d2t(&(0..DRAFT as i64).map(|draft| 2 * draft).collect::<Vec<_>>());
    let found = Case::new().compare(&offsets, &absolute);
    let row = only(&found);
    assert_eq!(row.status, TensorStatus::SameMeaning);
    assert_eq!(
        row.note.as_deref(),
        Some("offsets of I64 in A, token ids of I64 in B")
    );

    // Tokens in pairs: offsets that repeat cannot be taken for token ids, and need no `t2d` to tell.
    let target = |draft: i64| 2 * draft - draft % 2;
    let mut with = TinyHead::new();
    with.d2t(
        &(0..DRAFT as i64)
            .map(|draft| target(draft) - draft)
            .collect::<Vec<_>>(),
    );
    let mut members = vec![0; VOCABULARY];
    for draft in 0..DRAFT {
        members[target(draft as i64) as usize] = 1;
    }
    with.put("t2d", Dtype::BOOL, &[VOCABULARY], members);
    let mut without = TinyHead::new();
    without.d2t(
        &(0..DRAFT as i64)
            .map(|draft| target(draft) - draft)
            .collect::<Vec<_>>(),
    );
    without.tensors.remove("t2d");
    let found = Case::new().compare(&without, &with);
    let row = only(&found);
    assert_eq!(
        (row.status, row.matters),
        (TensorStatus::SameMeaning, false)
    );
    assert_eq!(row.note.as_deref(), Some("not in A: it follows from `d2t`"));
}

#[test]
fn a_tensor_that_is_no_part_of_the_head_does_not_decide() {
    let mut trained = TinyHead::speculators();
    trained.float("verifier_norm.weight", &[HIDDEN]);
    let found = Case::new().compare(&TinyHead::speculators(), &trained);
    assert_eq!(found.verdict, Verdict::Equal, "{:?}", found.reasons);
    let row = only(&found);
    assert_eq!((row.status, row.matters), (TensorStatus::OnlyB, false));
    assert!(
        row.note
            .as_deref()
            .unwrap()
            .starts_with("not part of the head")
    );
}

/// Two directories that are no heads at all.
fn plain(
    a: &[(&str, Dtype, &[usize], Vec<u8>)],
    b: &[(&str, Dtype, &[usize], Vec<u8>)],
) -> Comparison {
    let scratch = Scratch::new();
    for (name, list) in [("a", a), ("b", b)] {
        scratch.write(&format!("{name}/config.json"), b"{\"x\": 1}");
        scratch.write(&format!("{name}/model.safetensors"), &tensors(list));
    }
    let (a, b) = (scratch.path("a"), scratch.path("b"));
    let found = diff(&a, &b, &DiffOptions::default(), &mut |_, _| {
        ControlFlow::Continue(())
    });
    found.unwrap().unwrap()
}

#[test]
fn what_is_no_head_is_compared_by_its_names() {
    let bytes: Vec<u8> = (0..24).collect();
    let other: Vec<u8> = (1..25).collect();
    let same = plain(
        &[("w", Dtype::U8, &[24], bytes.clone())],
        &[("w", Dtype::U8, &[24], bytes.clone())],
    );
    assert_eq!(same.verdict, Verdict::Equal);
    assert!(same.description.is_none() && !same.a.diagnostics.is_empty());

    let moved = plain(
        &[
            ("left", Dtype::U8, &[24], bytes.clone()),
            ("w", Dtype::U8, &[24], other.clone()),
        ],
        &[
            ("right", Dtype::U8, &[24], bytes.clone()),
            ("w", Dtype::U8, &[24], other.clone()),
        ],
    );
    let row = only(&moved);
    assert_eq!(
        (row.status, row.name.as_str()),
        (TensorStatus::Moved, "left")
    );
    assert_eq!(row.b.as_ref().map(|b| b.name.as_str()), Some("right"));
    assert_eq!(moved.reasons, ["1 tensor under an unrelated name"]);

    let apart = plain(
        &[("left", Dtype::U8, &[24], bytes)],
        &[("right", Dtype::U8, &[24], other)],
    );
    assert_eq!(apart.reasons, ["1 tensor only in A", "1 tensor only in B"]);
}

#[test]
fn another_shape_is_told_with_what_is_left_of_the_values() {
    let bytes: Vec<u8> = (0..24).collect();
    // Element [row, column] of the [4, 6] is element [column, row] of the [6, 4].
    let transposed: Vec<u8> = (0..24).map(|index| index % 6 * 4 + index / 6).collect();
    for (shape, data, note) in [
        (
            &[4, 6][..],
            bytes.clone(),
            "the same bytes in another shape",
        ),
        (&[4, 6][..], transposed, "transposed"),
        (
            &[5, 4][..],
            bytes[..20].to_vec(),
            "the first 5 rows are the same",
        ),
    ] {
        let found = plain(
            &[("w", Dtype::U8, &[6, 4], bytes.clone())],
            &[("w", Dtype::U8, shape, data)],
        );
        let row = only(&found);
        assert_eq!((row.status, row.matters), (TensorStatus::Reshaped, true));
        assert_eq!(row.note.as_deref(), Some(note));
    }
}

#[test]
fn configs_decide_where_nothing_is_known_about_them() {
    let scratch = Scratch::new();
    for (name, config) in [
        ("a", json!({"x": 1, "y": 2})),
        ("b", json!({"x": 2, "y": 2.0})),
    ] {
        scratch.write(
            &format!("{name}/config.json"),
            config.to_string().as_bytes(),
        );
        let list = tensors(&[("w", Dtype::U8, &[1], vec![1])]);
        scratch.write(&format!("{name}/model.safetensors"), &list);
    }
    let compare = |scope| {
        let options = DiffOptions {
            scope,
            ..DiffOptions::default()
        };
        let (a, b) = (scratch.path("a"), scratch.path("b"));
        diff(&a, &b, &options, &mut |_, _| ControlFlow::Continue(()))
            .unwrap()
            .unwrap()
    };
    assert_eq!(compare(Scope::Everything).reasons, ["1 config key changed"]);
    let weights = compare(Scope::Weights);
    assert_eq!((weights.verdict, weights.config), (Verdict::Equal, None));
    let config = compare(Scope::Config);
    assert_eq!((config.verdict, config.tensors), (Verdict::Different, None));
}

#[test]
fn what_cannot_be_read_on_either_side_is_reported_for_both() {
    let scratch = Scratch::new();
    let (a, b) = (scratch.path("a"), scratch.path("b"));
    let found = diff(&a, &b, &DiffOptions::default(), &mut |_, _| {
        ControlFlow::Continue(())
    });
    let places = found
        .unwrap_err()
        .into_iter()
        .map(|problem| problem.place.unwrap().path);
    assert_eq!(places.collect::<Vec<_>>(), [a, b]);
    let options = DiffOptions {
        tolerance: Some(f64::NAN),
        ..DiffOptions::default()
    };
    let found = diff(
        &scratch.path("a"),
        &scratch.path("b"),
        &options,
        &mut |_, _| ControlFlow::Continue(()),
    );
    assert_eq!(found.unwrap_err()[0].code, codes::USAGE);
}

#[test]
fn a_comparison_can_be_broken_off_and_serialized() {
    let case = Case::new();
    let head = TinyHead::new().write(&case.scratch, "a");
    let mut told = Vec::new();
    let found = diff(&head, &head, &case.options, &mut |done, total| {
        told.push((done, total));
        if told.len() == 2 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    assert!(found.unwrap().is_none());
    assert!(told[0].0 < told[1].0 && told[1].0 < told[1].1);
    let found = case.compare(&TinyHead::new(), &TinyHead::speculators());
    let json: Value = serde_json::to_value(&found).unwrap();
    assert_eq!(json["schema"], "speculators.diff/1");
    assert_eq!(json["verdict"], "different");
    assert_eq!(json["tensors"]["rows"][0]["status"], "equal");
}
