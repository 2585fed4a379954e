//! Files as PyTorch writes them.

use half::{bf16, f16};
use safetensors::Dtype;

use super::*;

fn i32s(file: &PickleFile, name: &str) -> Vec<i32> {
    let data = file.data(name).unwrap();
    let (numbers, rest) = data.as_chunks();
    assert!(rest.is_empty());
    numbers
        .iter()
        .map(|bytes| i32::from_le_bytes(*bytes))
        .collect()
}

#[test]
fn a_state_dict_reads_the_same_in_every_protocol() {
    for name in ["plain.bin", "protocol_4.bin", "protocol_5.bin"] {
        let file = open(name);
        let described: Vec<(&str, Dtype, &[usize])> = file
            .tensors()
            .map(|(name, tensor)| (name, tensor.dtype, tensor.shape.as_slice()))
            .collect();
        let expected: [(&str, Dtype, &[usize]); 9] = [
            ("bf16", Dtype::BF16, &[2, 3]),
            ("bool", Dtype::BOOL, &[2, 3]),
            ("empty", Dtype::F32, &[0, 3]),
            ("f16", Dtype::F16, &[2, 3]),
            ("f32", Dtype::F32, &[2, 3]),
            ("i32", Dtype::I32, &[2, 3]),
            ("i64", Dtype::I64, &[2, 3]),
            ("scalar", Dtype::F32, &[]),
            ("u8", Dtype::U8, &[2, 3]),
        ];
        assert_eq!(described, expected, "{name}");
        let bytes = |size: &dyn Fn(i16) -> Vec<u8>, from: i16| -> Vec<u8> {
            (from..from + 6).flat_map(size).collect()
        };
        let data = |name| file.data(name).unwrap();
        assert_eq!(
            *data("bf16"),
            bytes(&|n| bf16::from_f32(n.into()).to_le_bytes().into(), 0)
        );
        assert_eq!(
            *data("f16"),
            bytes(&|n| f16::from_f32(n.into()).to_le_bytes().into(), 6)
        );
        assert_eq!(
            *data("f32"),
            bytes(&|n| f32::from(n).to_le_bytes().into(), 12)
        );
        assert_eq!(
            *data("i64"),
            bytes(&|n| i64::from(n).to_le_bytes().into(), -3)
        );
        assert_eq!(
            *data("i32"),
            bytes(&|n| i32::from(n).to_le_bytes().into(), 24)
        );
        assert_eq!(*data("u8"), [250, 251, 252, 253, 254, 255]);
        assert_eq!(*data("bool"), [1, 0, 1, 0, 1, 0]);
        assert!(data("empty").is_empty());
        assert_eq!(*data("scalar"), 1.5_f32.to_le_bytes());
        assert_eq!(file.prefix(), "");
    }
}

#[test]
fn contiguous_tensors_are_slices_of_the_file() {
    let file = open("plain.bin");
    for (name, tensor) in file.tensors() {
        assert!(tensor.is_contiguous(), "{name}");
        assert!(matches!(file.data(name), Ok(Cow::Borrowed(_))), "{name}");
        assert_eq!(file.data(name).unwrap().len(), tensor.bytes(), "{name}");
    }
}

#[test]
fn the_attributes_of_a_modules_state_dict_are_passed_over() {
    let file = open("module.bin");
    let names: Vec<&str> = file.tensors().map(|(name, _)| name).collect();
    assert_eq!(names, ["fc.bias", "fc.weight", "norm.bias", "norm.weight"]);
    let expected: Vec<u8> = (0..6_u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    assert_eq!(*file.data("fc.weight").unwrap(), expected);
}

#[test]
fn a_parameter_is_a_tensor() {
    let file = open("parameter.bin");
    assert_eq!(file.tensor("weight").unwrap().shape, [2]);
    assert_eq!(file.data("weight").unwrap()[4..], 2.0_f32.to_le_bytes());
}

#[test]
fn a_file_that_is_one_tensor_has_the_empty_name() {
    let file = open("bare.pt");
    assert_eq!(file.tensors().len(), 1);
    assert_eq!(file.tensor("").unwrap().dtype, Dtype::I64);
    assert_eq!(file.data("").unwrap()[8], 3);
}

#[test]
fn untyped_storages_take_their_dtype_from_the_tensor() {
    let file = open("untyped.bin");
    assert_eq!(file.tensor("f8").unwrap().dtype, Dtype::F8_E4M3);
    assert_eq!(*file.data("f8").unwrap(), [0x38, 0x40]);
    assert_eq!(file.tensor("u16").unwrap().dtype, Dtype::U16);
    assert_eq!(*file.data("u16").unwrap(), [1, 0, 0xff, 0xff]);
}

#[test]
fn a_dtype_that_safetensors_lacks_is_named() {
    let found = refused("complex128.bin");
    assert_eq!(found.code, codes::TENSOR_DTYPE);
    assert_eq!(
        found.title,
        "`wide` is of `torch.ComplexDoubleStorage`, which safetensors has no dtype for"
    );
}

#[test]
fn tensors_in_another_order_are_copied_into_row_major_order() {
    let file = open("layouts.bin");
    let transposed: Vec<i32> = (0..6)
        .flat_map(|row| (0..4).map(move |column| column * 6 + row))
        .collect();
    assert_eq!(i32s(&file, "transposed"), transposed);
    assert!(!file.tensor("transposed").unwrap().is_contiguous());
    let permuted: Vec<i32> = (0..4)
        .flat_map(|a| (0..2).flat_map(move |b| (0..3).map(move |c| b * 12 + c * 4 + a)))
        .collect();
    assert_eq!(i32s(&file, "permuted"), permuted);
    assert_eq!(
        i32s(&file, "every_other"),
        (0..24).step_by(2).collect::<Vec<_>>()
    );
    assert_eq!(*file.data("bytes").unwrap(), [0, 3, 1, 4, 2, 5]);
    let longs: Vec<u8> = [0_i64, 3, 1, 4, 2, 5]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    assert_eq!(*file.data("longs").unwrap(), longs);
    let halves: Vec<u8> = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        .iter()
        .flat_map(|&n| bf16::from_f32(n).to_le_bytes())
        .collect();
    assert_eq!(*file.data("halves").unwrap(), halves);
}

#[test]
fn tensors_may_share_a_storage() {
    let file = open("layouts.bin");
    assert_eq!(i32s(&file, "whole"), (0..24).collect::<Vec<_>>());
    assert_eq!(i32s(&file, "tail"), [20, 21, 22, 23]);
    assert!(matches!(file.data("tail"), Ok(Cow::Borrowed(_))));
}

#[test]
fn a_tensor_that_repeats_elements_is_refused_with_the_remedy() {
    let found = refused("expanded.bin");
    assert_eq!(
        found.title,
        "`row` repeats elements: its shape takes more than the 4 bytes of `expanded/data/0`"
    );
    assert_eq!(
        found.help.as_deref(),
        Some("save it as `tensor.contiguous()`")
    );
}

#[test]
fn a_training_checkpoint_is_a_tree() {
    let file = open("nested.pt");
    let names: Vec<&str> = file.tensors().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "draft_state_dict.fc.weight",
            "history.0",
            "optimizer.state.0.exp_avg"
        ]
    );
    assert_eq!(file.prefix(), "draft_state_dict.");
    let root = file.value();
    assert!(matches!(root.get("step"), Some(Value::Int(70_000))));
    assert!(matches!(root.get("negative"), Some(Value::Int(-300))));
    assert!(matches!(root.get("name"), Some(Value::Str("tiny"))));
    assert!(matches!(root.get("done"), Some(Value::Bool(true))));
    assert!(matches!(
        root.get("seed"),
        Some(Value::LongInt([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]))
    ));
    assert!(matches!(
        root.get("dtype"),
        Some(Value::Other("torch.bfloat16"))
    ));
    assert!(matches!(
        root.get("device"),
        Some(Value::Other("torch.device"))
    ));
    let Some(Value::Tuple(shape)) = root.get("shape") else {
        panic!("no shape")
    };
    assert!(matches!(
        (shape.get(0), shape.get(1), shape.len()),
        (Some(Value::Int(2)), Some(Value::Int(3)), 2)
    ));
    let Some(Value::List(history)) = root.get("history") else {
        panic!("no history")
    };
    assert!(matches!(
        history.iter().collect::<Vec<_>>()[..],
        [Value::Tensor, Value::None]
    ));
    let Some(Value::List(groups)) = root
        .get("optimizer")
        .and_then(|value| value.get("param_groups"))
    else {
        panic!("no parameter groups")
    };
    assert!(matches!(
        groups.get(0).and_then(|group| group.get("lr")),
        Some(Value::Float(1e-4))
    ));
    assert!(root.get("absent").is_none());
}

#[test]
fn token_counts_are_pairs_of_numbers() {
    let file = open("token_freq.pt");
    assert_eq!(file.tensors().len(), 0);
    let Value::Dict(counts) = file.value() else {
        panic!("no counts")
    };
    let counts: Vec<(i64, i64)> = counts
        .iter()
        .map(|(token, count)| match (token, count) {
            (Value::Int(token), Value::Int(count)) => (token, count),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        counts,
        (0..200)
            .map(|token| (token, token * 7919 % 1000))
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_counter_is_a_dictionary() {
    let file = open("counter.pt");
    let Value::Dict(counts) = file.value() else {
        panic!("no counts")
    };
    assert!(matches!(
        counts.iter().collect::<Vec<_>>()[..],
        [
            (Value::Int(3), Value::Int(2)),
            (Value::Int(5), Value::Int(1))
        ]
    ));
}

#[test]
fn a_tensor_that_is_not_there_is_a_finding() {
    let found = open("bare.pt").data("fc.weight").unwrap_err();
    assert_eq!(found.code, codes::TENSOR_MISSING);
    assert_eq!(found.title, "`bare.pt` has 1 tensors, but no `fc.weight`");
}
