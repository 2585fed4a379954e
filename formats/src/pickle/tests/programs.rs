//! Pickles written opcode by opcode.

use super::*;

fn run(code: &[u8]) -> Result<Graph, Diagnostic> {
    machine::run(code, &Place::file("x.bin!a/data.pkl"))
}

fn title(parts: &[&[u8]]) -> String {
    run(&program(parts)).unwrap_err().title
}

/// The finding of a program that runs, but is not to be walked through.
fn walk(parts: &[&[u8]]) -> Result<usize, String> {
    let code = program(parts);
    let graph = run(&code).unwrap();
    let found = walk::tensors(&graph, &code, &Place::file("x.bin!a/data.pkl"));
    found
        .map(|tensors| tensors.len())
        .map_err(|found| found.title)
}

#[test]
fn every_way_to_reach_for_code_is_forbidden() {
    let programs: [&[u8]; 12] = [
        b"cos\nsystem\nX\x02\0\0\0ls\x85R",
        b"cbuiltins\neval\nX\x01\0\0\x001\x85R",
        b"X\x02\0\0\0osX\x06\0\0\0system\x93",
        b"(ios\nsystem\n",
        b"(icollections\nOrderedDict\n",
        b"ccollections\nOrderedDict\n)\x81",
        b"ccollections\nOrderedDict\n)}\x92",
        b"(ccollections\nOrderedDict\no",
        b"\x82\x01",
        b"Pname\n",
        b"ctorch\nFloatStorage\n)R",
        b"N}b",
    ];
    for code in programs {
        let found = run(&program(&[code])).unwrap_err();
        assert_eq!(found.code, codes::PICKLE_FORBIDDEN, "{}", found.title);
        assert!(found.notes[0].contains("at byte"), "{}", found.notes[0]);
    }
}

#[test]
fn names_near_allowed_ones_are_forbidden() {
    for name in [
        "torch\nload",
        "torch\nFloatStorage.x",
        "torch.FloatStorage\nx",
        "collections\nordereddict",
        "\n",
    ] {
        let found = run(&program(&[b"c", name.as_bytes(), b"\n"])).unwrap_err();
        assert_eq!(found.code, codes::PICKLE_FORBIDDEN, "{name}");
    }
}

#[test]
fn claimed_lengths_are_compared_with_what_is_left() {
    let huge = (1_u64 << 60).to_le_bytes();
    for (opcode, name) in [
        (0x8d, "BINUNICODE8"),
        (0x8e, "BINBYTES8"),
        (0x96, "BYTEARRAY8"),
        (0x95, "FRAME"),
    ] {
        assert_eq!(
            title(&[&[opcode], &huge]),
            format!("{name} claims 1152921504606846976 bytes, but 1 are left")
        );
        assert!(title(&[&[opcode], &u64::MAX.to_le_bytes()]).starts_with(name));
    }
    assert_eq!(
        title(&[b"X\xff\xff\xff\xff"]),
        "BINUNICODE claims 4294967295 bytes, but 1 are left"
    );
    assert_eq!(
        title(&[b"\x8b\xff\xff\xff\x7f"]),
        "LONG4 claims 2147483647 bytes, but 1 are left"
    );
}

#[test]
fn stack_and_marks_cannot_be_run_empty() {
    assert_eq!(title(&[b""]), "STOP finds nothing on the stack");
    assert_eq!(title(&[b"0"]), "POP finds nothing on the stack");
    assert_eq!(title(&[b"t"]), "TUPLE finds no mark");
    // What lies below a mark is out of reach until the mark is gone.
    assert_eq!(title(&[b"N(\x85"]), "TUPLE1 finds nothing on the stack");
    assert_eq!(
        title(&[b"](Nua"]),
        "SETITEMS finds something other than a dictionary"
    );
    assert_eq!(
        title(&[b"}(Nu"]),
        "SETITEMS finds 1 items, which do not pair up"
    );
    assert_eq!(title(&[b"NNa"]), "APPEND finds something other than a list");
    assert_eq!(
        title(&[b"h\x05"]),
        "BINGET asks for memo entry 5, which was never set"
    );
    assert!(run(&program(&[b"N(0"])).is_ok());
}

#[test]
fn other_protocols_and_opcodes_are_named() {
    assert_eq!(
        run(b"(dp0\n.").unwrap_err().title,
        "the pickle begins with byte 28, but one of protocol 2 or later begins with 80"
    );
    assert_eq!(
        run(b"\x80\x06N.").unwrap_err().title,
        "the pickle is of protocol 6, but only 2 to 5 are read"
    );
    assert_eq!(
        title(&[b"I1\n"]),
        "opcode INT has no place in a weights file"
    );
    assert_eq!(title(&[b"\xff"]), "there is no opcode ff");
    assert_eq!(
        run(b"\x80\x02N").unwrap_err().title,
        "the pickle ends at byte 3 without STOP"
    );
    assert_eq!(
        run(b"").unwrap_err().title,
        "the pickle ends at byte 0 without STOP"
    );
    assert_eq!(
        title(&[b"X\x01\0\0\0\xff"]),
        "BINUNICODE holds text that is not UTF-8"
    );
    assert_eq!(title(&[b"cos"]), "GLOBAL begins a name that does not end");
}

#[test]
fn a_million_nested_lists_are_read_and_dropped_without_recursion() {
    let depth = 1_000_000;
    let code = [b"]".repeat(depth), b"a".repeat(depth - 1)].concat();
    assert_eq!(
        walk(&[&code]).unwrap_err(),
        "the pickle nests more than 64 objects into each other"
    );
}

#[test]
fn a_list_in_itself_is_refused() {
    assert_eq!(
        walk(&[b"]q\0h\0a"]).unwrap_err(),
        "the pickle nests more than 64 objects into each other"
    );
}

#[test]
fn a_list_that_doubles_at_each_level_is_refused() {
    let mut code = b"]q\0".to_vec();
    for _ in 0..60 {
        code.extend(b"](h\0h\0eq\0");
    }
    assert_eq!(
        walk(&[&code]).unwrap_err(),
        "the pickle leads to more than 4194304 objects"
    );
}

#[test]
fn memo_entries_cost_no_more_than_the_opcodes_that_make_them() {
    assert!(run(&program(&[b"Nr\xff\xff\xff\xffj\xff\xff\xff\xff0"])).is_ok());
    let bomb = [b"N".as_slice(), &b"\x94".repeat(1 << 22)].concat();
    assert_eq!(
        title(&[&bomb]),
        "the pickle goes on after 4194304 opcodes, more than a list of tensors needs"
    );
}

#[test]
fn a_key_too_long_for_a_name_is_refused() {
    let key = [b"}X\x00\x10\0\0".as_slice(), &[b'k'; 4096], b"]s"].concat();
    assert_eq!(
        walk(&[&key]).unwrap_err(),
        "a key is 4096 bytes long, but a tensor's name has at most 1024"
    );
}

#[test]
fn sets_and_bytes_are_values() {
    let code = program(&[b"(\x8f(K\x01\x90(K\x02\x91C\x02xyt"]);
    let graph = run(&code).unwrap();
    let Value::Tuple(items) = Value::new(&graph, &code, graph.root) else {
        panic!("no tuple")
    };
    assert!(
        matches!(items.iter().collect::<Vec<_>>()[..], [Value::Set(a), Value::Set(b), Value::Bytes(b"xy")] if a.len() == 1 && b.len() == 1)
    );
    assert_eq!(
        format!("{:?}", Value::new(&graph, &code, graph.root)),
        "Tuple(3 items)"
    );
}
