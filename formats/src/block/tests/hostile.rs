//! No config makes the reader panic or ask for memory without end.

use serde_json::json;

use super::*;

/// Values that belong to no key, and the ends of what sizes can be.
fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(0),
        json!(1),
        json!(3),
        json!(-1),
        json!(0.5),
        json!(u32::MAX),
        json!(u64::MAX),
        json!(1e308),
        json!(true),
        json!("x"),
        json!([]),
        json!([0]),
        json!([u32::MAX, 0, 0]),
        json!({}),
    ]
}

#[test]
fn any_value_of_any_key_is_read_or_refused() {
    let scratch = Scratch::new();
    let facts = verifier();
    let mut opened = 0;
    let sources = [
        dflash2(),
        dspark("rnn"),
        xpress(),
        foreign::zlab(),
        speculators("dflash"),
    ];
    for (position, source) in sources.iter().enumerate() {
        let directory = source.write(&scratch, &format!("head-{position}"));
        let mut paths: Vec<String> = Vec::new();
        for (key, value) in source.config.as_object().unwrap() {
            paths.push(format!("/{key}"));
            let inner = value.as_object().into_iter().flatten();
            paths.extend(inner.map(|(inner, _)| format!("/{key}/{inner}")));
        }
        for path in paths {
            for value in values() {
                let mut config = source.config.clone();
                *config.pointer_mut(&path).unwrap() = value;
                fs_err::write(directory.join("config.json"), config.to_string()).unwrap();
                let read = BlockHead::open(&directory, Some(&facts), &ReadOptions::default());
                if let Ok(head) = read {
                    let _ = head.findings();
                    opened += 1;
                }
            }
        }
    }
    assert!(opened > 0);
}
