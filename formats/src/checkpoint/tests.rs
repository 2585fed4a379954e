//! Directories, files and what opening them finds.

use super::*;
use crate::index;
use crate::testing::{Scratch, tensors};

fn codes_of(found: Vec<Diagnostic>) -> Vec<u16> {
    found.iter().map(|found| found.code.0).collect()
}

#[test]
fn a_name_on_the_hub_is_told_from_a_path() {
    let help = |path: &str| Checkpoint::open(path).unwrap_err()[0].help.clone();
    assert!(help("some-owner/some-model").is_some_and(|help| help.contains("hf://")));
    assert_eq!(help("src/no-such-model"), None);
}

#[test]
fn a_missing_directory_a_file_and_an_empty_directory_are_told_apart() {
    let scratch = Scratch::new();
    assert_eq!(
        codes_of(Checkpoint::open(scratch.path("nowhere")).unwrap_err()),
        [101]
    );
    scratch.write("config.json", b"{}");
    let found = Checkpoint::open(scratch.path("config.json")).unwrap_err();
    assert!(found[0].title.contains("is a file"), "{}", found[0].title);
    assert_eq!(
        codes_of(Checkpoint::open(scratch.root()).unwrap_err()),
        [101]
    );
}

/// A directory with a file of `fixtures/pickles` under another name.
fn with_pickle(fixture: &str, name: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("config.json", b"{}");
    let pickles = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/pickles"));
    scratch.write(name, &fs_err::read(pickles.join(fixture)).unwrap());
    scratch
}

#[test]
fn a_pickle_is_read_where_there_are_no_safetensors() {
    let scratch = with_pickle("plain.bin", "pytorch_model.bin");
    scratch.write("model.pt", b"not looked at");
    scratch.write("pytorch_model.bin.index.json", b"not looked at");
    let checkpoint = Checkpoint::open(scratch.root()).unwrap();
    let path = scratch.path("pytorch_model.bin");
    assert_eq!(checkpoint.files(), std::slice::from_ref(&path));
    assert_eq!(checkpoint.bytes(), fs_err::metadata(&path).unwrap().len());
    let view = checkpoint.tensor("i32").unwrap();
    assert_eq!((view.dtype, view.shape), (Dtype::I32, &[2, 3][..]));
    assert_eq!(view.path, path);
    let expected: Vec<u8> = (24_i32..30).flat_map(i32::to_le_bytes).collect();
    assert_eq!(view.data, expected);
    let place = checkpoint.place("i32").to_string();
    assert!(place.ends_with("data.pkl (i32)"), "{place}");
    assert_eq!(checkpoint.place("absent"), Place::file(path));

    scratch.write(
        "model.safetensors",
        &tensors(&[("x", Dtype::U8, &[1], vec![1])]),
    );
    let checkpoint = Checkpoint::open(scratch.root()).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["x"]);
}

#[test]
fn weights_inside_a_training_checkpoint_lose_its_key() {
    let scratch = with_pickle("nested.pt", "draft_model.pt");
    let checkpoint = Checkpoint::open(scratch.root()).unwrap();
    let names: Vec<&str> = checkpoint.names().collect();
    assert_eq!(
        names,
        ["fc.weight", "history.0", "optimizer.state.0.exp_avg"]
    );
    let view = checkpoint.tensor("fc.weight").unwrap();
    assert_eq!(view.name, "fc.weight");
    let expected: Vec<u8> = [1.0_f32, 2.0]
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    assert_eq!(view.data, expected);
    assert!(checkpoint.tensor("draft_state_dict.fc.weight").is_none());
    let place = checkpoint.place("fc.weight").to_string();
    assert!(
        place.ends_with("data.pkl (draft_state_dict.fc.weight)"),
        "{place}"
    );
}

#[test]
fn tensors_of_any_strides_are_row_major() {
    let scratch = with_pickle("layouts.bin", "model.pt");
    let checkpoint = Checkpoint::open(scratch.root()).unwrap();
    let numbers = |name: &str| -> Vec<i32> {
        let (numbers, rest) = checkpoint.tensor(name).unwrap().data.as_chunks();
        assert!(rest.is_empty());
        numbers
            .iter()
            .map(|bytes| i32::from_le_bytes(*bytes))
            .collect()
    };
    assert_eq!(checkpoint.tensor("transposed").unwrap().shape, [6, 4]);
    let transposed: Vec<i32> = (0..6)
        .flat_map(|row| (0..4).map(move |column| 6 * column + row))
        .collect();
    assert_eq!(numbers("transposed"), transposed);
    assert_eq!(numbers("tail"), [20, 21, 22, 23]);
    assert_eq!(numbers("whole"), (0..24).collect::<Vec<_>>());
}

#[test]
fn pickles_are_refused_for_what_is_wrong_with_them() {
    for (fixture, code) in [("system_global.bin", 112), ("legacy.bin", 113)] {
        let scratch = with_pickle(fixture, "pytorch_model.pt");
        let found = Checkpoint::open(scratch.root()).unwrap_err();
        assert_eq!(codes_of(found), [code], "{fixture}");
    }
}

#[test]
fn config_and_weights_are_reported_together() {
    let scratch = Scratch::new();
    scratch.write("config.json", b"{,");
    scratch.write("model.safetensors", b"1234");
    assert_eq!(
        codes_of(Checkpoint::open(scratch.root()).unwrap_err()),
        [104, 102]
    );
}

#[test]
fn shards_are_joined_through_the_index() {
    let scratch = Scratch::new();
    scratch.write("config.json", b"{}");
    scratch.write(
        "a.safetensors",
        &tensors(&[("x", Dtype::U8, &[2], vec![1, 2])]),
    );
    scratch.write(
        "b.safetensors",
        &tensors(&[("y", Dtype::U8, &[1], vec![3])]),
    );
    scratch.write(
        index::SAFETENSORS,
        br#"{"weight_map":{"x":"a.safetensors","y":"b.safetensors"}}"#,
    );
    let checkpoint = Checkpoint::open(scratch.root()).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(checkpoint.tensor("y").unwrap().data, [3]);
    assert_eq!(checkpoint.files().len(), 2);
}

#[test]
fn an_index_that_disagrees_with_its_shards_is_refused() {
    let scratch = Scratch::new();
    scratch.write("config.json", b"{}");
    scratch.write(
        "a.safetensors",
        &tensors(&[("x", Dtype::U8, &[2], vec![1, 2])]),
    );
    scratch.write(
        index::SAFETENSORS,
        br#"{"weight_map":{"z":"a.safetensors","y":"b.safetensors"}}"#,
    );
    assert_eq!(
        codes_of(Checkpoint::open(scratch.root()).unwrap_err()),
        [107, 107, 107]
    );
}
