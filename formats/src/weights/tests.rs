use ::safetensors::Dtype;
use serde_json::json;

use super::*;
use crate::pickle::tests::{archive, program, tensor};
use crate::testing::{Scratch, tensors};

/// The opcodes of a dictionary.
fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries = entries.iter().flat_map(|(key, value)| {
        let length = (key.len() as u32).to_le_bytes();
        [b"X", &length[..], key.as_bytes(), value].concat()
    });
    [&b"}("[..], &entries.collect::<Vec<u8>>(), b"u"].concat()
}

/// Opens a file that holds one object and a storage of 64 x 64 floats.
fn open(object: &[u8]) -> Result<Weights> {
    let scratch = Scratch::new();
    let file = archive(&[
        ("a/data.pkl", &program(&[object])),
        ("a/data/0", &[0; 4 * 4096]),
    ]);
    scratch.write("model.pt", &file);
    Weights::open(scratch.root())
}

#[test]
fn two_tensors_never_share_a_name() {
    let weight = || tensor(4096, 0, &[64, 64], &[64, 1]);
    let inner = || dictionary(&[("weight", weight())]);
    // Once `model.` is taken off, both are `fc.weight`.
    let state = dictionary(&[("fc.weight", weight())]);
    let found = open(&dictionary(&[("model", state), ("fc", inner())])).unwrap_err();
    assert_eq!(found[0].code, codes::PICKLE_MALFORMED);
    assert!(
        found[0].title.contains("`model.fc.weight`"),
        "{}",
        found[0].title
    );
    let told_apart = dictionary(&[("model", inner()), ("fc", inner())]);
    let weights = open(&told_apart).unwrap();
    assert_eq!(weights.names().collect::<Vec<_>>(), ["fc.weight", "weight"]);
}

#[test]
fn copies_take_no_more_memory_than_the_file_has_bytes() {
    let transposed = || tensor(4096, 0, &[64, 64], &[1, 64]);
    assert!(open(&dictionary(&[("a", transposed())])).is_ok());
    let found = open(&dictionary(&[("a", transposed()), ("b", transposed())])).unwrap_err();
    assert_eq!(found[0].code, codes::PICKLE_MALFORMED);
    // What lies in the file as it is needs no copy, however often it is named.
    let whole = || tensor(4096, 0, &[64, 64], &[64, 1]);
    assert!(open(&dictionary(&[("a", whole()), ("b", whole())])).is_ok());
}

/// A file of PyTorch whose tensors are 2 x 2 floats, each of its own value throughout.
fn pickled(tensors: &[(&str, u8)]) -> Vec<u8> {
    let entries: Vec<(&str, Vec<u8>)> = tensors
        .iter()
        .zip(b'0'..)
        .map(|((name, _), key)| {
            let opcodes = tensor(4, 0, &[2, 2], &[2, 1]);
            // The one-letter key of the storage, which `tensor` has as `0`.
            let at = opcodes
                .windows(6)
                .position(|window| window == b"X\x01\0\0\x000")
                .unwrap();
            let mut opcodes = opcodes;
            opcodes[at + 5] = key;
            (*name, opcodes)
        })
        .collect();
    let pickle = program(&[&dictionary(&entries)]);
    let storages: Vec<(String, Vec<u8>)> = tensors
        .iter()
        .enumerate()
        .map(|(key, (_, value))| (format!("a/data/{key}"), vec![*value; 16]))
        .collect();
    let mut files: Vec<(&str, &[u8])> = vec![("a/data.pkl", &pickle)];
    files.extend(
        storages
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
    );
    archive(&files)
}

const FIRST: &str = "pytorch_model-00001-of-00002.bin";
const SECOND: &str = "pytorch_model-00002-of-00002.bin";

/// A PyTorch checkpoint in two files.
fn two_pickles() -> Scratch {
    let scratch = Scratch::new();
    scratch.write(FIRST, &pickled(&[("x", 1), ("y", 2)]));
    scratch.write(SECOND, &pickled(&[("z", 3)]));
    index(
        &scratch,
        index::PICKLES,
        &[("x", FIRST), ("y", FIRST), ("z", SECOND)],
    );
    scratch
}

fn index(scratch: &Scratch, file: &str, map: &[(&str, &str)]) {
    let map: BTreeMap<_, _> = map.iter().copied().collect();
    let index = json!({ "metadata": { "total_size": 48 }, "weight_map": map });
    scratch.write(file, index.to_string().as_bytes());
}

fn refused(scratch: &Scratch) -> Vec<Diagnostic> {
    Weights::open(scratch.root()).unwrap_err()
}

#[test]
fn pickles_are_joined_through_their_index() {
    let scratch = two_pickles();
    let weights = Weights::open(scratch.root()).unwrap();
    assert_eq!(weights.names().collect::<Vec<_>>(), ["x", "y", "z"]);
    assert_eq!(weights.files(), [scratch.path(FIRST), scratch.path(SECOND)]);
    assert_eq!(weights.place(), &Place::file(scratch.path(index::PICKLES)));
    for (name, value, file) in [("x", 1, FIRST), ("y", 2, FIRST), ("z", 3, SECOND)] {
        let view = weights.tensor(name).unwrap();
        assert_eq!(view.data, [value; 16]);
        assert_eq!(view.path, scratch.path(file));
        let place = weights.tensor_place(name).unwrap().to_string();
        assert!(
            place.ends_with(&format!("{file}!a/data.pkl ({name})")),
            "{place}"
        );
    }
    let bytes = |name| fs_err::metadata(scratch.path(name)).unwrap().len();
    assert_eq!(weights.bytes(), bytes(FIRST) + bytes(SECOND));
}

#[test]
fn an_index_of_pickles_is_as_closed_as_one_of_safetensors() {
    let scratch = two_pickles();
    fs_err::remove_file(scratch.path(SECOND)).unwrap();
    let found = refused(&scratch);
    assert_eq!(found[0].code, codes::INDEX_MALFORMED);
    assert_eq!(
        found[0].title,
        format!("the index places 1 tensors in `{SECOND}`, which is missing")
    );

    let scratch = two_pickles();
    index(
        &scratch,
        index::PICKLES,
        &[("x", FIRST), ("y", SECOND), ("z", SECOND)],
    );
    let titles: Vec<String> = refused(&scratch)
        .into_iter()
        .map(|found| found.title)
        .collect();
    assert_eq!(
        titles,
        [
            format!("`{FIRST}` holds 1 tensors that the index places elsewhere"),
            format!("the index places 1 tensors in `{SECOND}` that are not there"),
        ]
    );

    let scratch = two_pickles();
    index(&scratch, index::PICKLES, &[("x", FIRST), ("y", FIRST)]);
    // A file that no tensor is said to be in is no part of the checkpoint.
    assert_eq!(Weights::open(scratch.root()).unwrap().names().count(), 2);
    index(&scratch, index::PICKLES, &[("x", FIRST), ("z", SECOND)]);
    assert_eq!(
        refused(&scratch)[0].title,
        format!("`{FIRST}` holds 1 tensors that the index does not list")
    );
}

#[test]
fn a_tensor_in_two_shards_is_refused() {
    // Which of the two is loaded would depend on the order of the files.
    let scratch = two_pickles();
    scratch.write(SECOND, &pickled(&[("z", 3), ("x", 9)]));
    assert_eq!(
        refused(&scratch)[0].title,
        format!("`{SECOND}` holds 1 tensors that the index places elsewhere")
    );
}

#[test]
fn a_hostile_shard_is_refused_for_what_it_is() {
    let scratch = two_pickles();
    let eval = program(&[b"cbuiltins\neval\nX\x01\0\0\x001\x85R"]);
    scratch.write(SECOND, &archive(&[("a/data.pkl", &eval)]));
    assert_eq!(refused(&scratch)[0].code, codes::PICKLE_FORBIDDEN);
    scratch.write(SECOND, &tensors(&[("z", Dtype::U8, &[1], vec![1])]));
    assert_eq!(refused(&scratch)[0].code, codes::PICKLE_MALFORMED);
}

#[test]
fn no_index_leads_out_of_the_directory() {
    for file in [index::SAFETENSORS, index::PICKLES] {
        for name in [
            "../a.bin",
            "/etc/passwd",
            "sub/a.bin",
            "sub\\a.bin",
            "..\\a.bin",
            "C:\\a.bin",
            "C:a.bin",
            "./a.bin",
            "a.bin/",
            ".",
            "..",
            "",
            "a\0.bin",
            "a\n.bin",
        ] {
            let scratch = Scratch::new();
            index(&scratch, file, &[("x", name)]);
            let found = refused(&scratch);
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].code, codes::INDEX_MALFORMED, "{name}");
            assert!(
                found[0]
                    .title
                    .ends_with("is not the name of a file beside it")
            );
        }
    }
}

#[test]
fn an_index_that_is_no_map_of_names_is_refused() {
    for (text, code) in [
        ("[]", codes::CONFIG_TYPE),
        ("3", codes::CONFIG_TYPE),
        ("{}", codes::INDEX_MALFORMED),
        (r#"{"weight_map": []}"#, codes::CONFIG_TYPE),
        (r#"{"weight_map": "a.bin"}"#, codes::CONFIG_TYPE),
        (r#"{"weight_map": {}}"#, codes::INDEX_MALFORMED),
        (r#"{"weight_map": {"x": 1}}"#, codes::INDEX_MALFORMED),
        (
            r#"{"weight_map": {"x": ["a.bin"]}}"#,
            codes::INDEX_MALFORMED,
        ),
        (
            r#"{"weight_map": {"x": "a.bin", "x": "b.bin"}}"#,
            codes::JSON_MALFORMED,
        ),
    ] {
        let scratch = Scratch::new();
        scratch.write(index::PICKLES, text.as_bytes());
        assert_eq!(refused(&scratch)[0].code, code, "{text}");
    }
}

#[test]
fn what_is_read_first_is_settled() {
    // In the order they are read in; each but the first is only read once those before it are gone.
    let scratch = two_pickles();
    let safetensors = |name: &str| tensors(&[(name, Dtype::U8, &[1], vec![1])]);
    scratch.write("model.safetensors", &safetensors("one"));
    scratch.write("shard.safetensors", &safetensors("shard"));
    index(
        &scratch,
        index::SAFETENSORS,
        &[("shard", "shard.safetensors")],
    );
    scratch.write("pytorch_model.bin", &pickled(&[("bin", 1)]));
    for name in OTHER_PICKLES {
        scratch.write(name, &pickled(&[(name, 1)]));
    }
    for (file, tensor) in [
        ("model.safetensors", "one"),
        (index::SAFETENSORS, "shard"),
        ("pytorch_model.bin", "bin"),
        (index::PICKLES, "x"),
        ("model.pt", "model.pt"),
        ("pytorch_model.pt", "pytorch_model.pt"),
        ("draft_model.pt", "draft_model.pt"),
    ] {
        let weights = Weights::open(scratch.root()).unwrap();
        assert_eq!(weights.names().next(), Some(tensor));
        fs_err::remove_file(scratch.path(file)).unwrap();
    }
    // What is left are shards, which no name or index leads to.
    assert_eq!(refused(&scratch)[0].code, codes::WEIGHTS_NAME);
}

#[test]
fn one_file_under_another_name_is_named_with_the_remedy() {
    for (name, goal) in [
        ("eagle3.safetensors", "model.safetensors"),
        ("head.bin", "pytorch_model.bin"),
        ("head.pt", "pytorch_model.bin"),
        ("head.pth", "pytorch_model.bin"),
    ] {
        let scratch = Scratch::new();
        scratch.write("config.json", b"{}");
        scratch.write("training_args.bin", b"not weights");
        scratch.write("optimizer.pt", b"not weights");
        scratch.write(name, b"not looked at");
        let found = refused(&scratch);
        assert_eq!(found[0].code, codes::WEIGHTS_NAME);
        assert!(
            found[0].title.contains(&format!("`{name}`")),
            "{}",
            found[0].title
        );
        assert_eq!(found[0].place, Some(Place::file(scratch.path(name))));
        let link = format!("`ln -s {name} {}`", scratch.path(goal).display());
        let help = found[0].help.as_deref().unwrap();
        assert!(help.ends_with(&link), "{help}");
    }
    let scratch = Scratch::new();
    scratch.write("training_args.bin", b"not weights");
    assert_eq!(refused(&scratch)[0].code, codes::FILE_MISSING);
    scratch.write("b.safetensors", b"");
    scratch.write("a.safetensors", b"");
    assert!(refused(&scratch)[0].title.starts_with("2 files may hold"));
}
