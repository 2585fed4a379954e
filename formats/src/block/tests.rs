use super::*;
use crate::options::ReadOptions;

#[test]
fn golden_scratch() {
    let Ok(list) = std::env::var("GOLDEN") else { return };
    for dir in list.split(',') {
        match BlockHead::open(std::path::Path::new(dir), None, &ReadOptions::default()) {
            Ok(head) => println!("{dir}\n  {}\n  dropped {:?}\n  {:?}", serde_json::to_string(&head.description).unwrap(), head.dropped, head.decisions),
            Err(found) => println!("{dir}\n  FAILED {found:#?}"),
        }
    }
}
