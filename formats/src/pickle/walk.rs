//! Finding the tensors in what a pickle has built, and naming each by the keys that lead to it.
//!
//! A few bytes of pickle can describe a list that holds itself, or one with more paths through it than there are atoms.
//! So the search keeps its own stack, and depth, number of visits and length of names are limited.

use super::graph::{Graph, Id, Node};
use super::{malformed, shorten};
use crate::diagnostic::{Diagnostic, Place};

/// Deepest nesting of containers.
const DEEPEST: usize = 64;

/// Most objects looked at; as many as a program has opcodes at most.
const MOST_VISITS: usize = 1 << 22;

/// Longest key that becomes part of a name.
const LONGEST_KEY: usize = 1024;

/// Most tensors in a file.
const MOST_TENSORS: usize = 1 << 17;

/// A container that is being looked through.
struct Level {
    id: Id,
    next: usize,
    /// Length of the name of the container itself.
    name: usize,
}

/// Every tensor with its name. A tensor that is the whole file is named by the empty text.
pub(super) fn tensors(
    graph: &Graph,
    program: &[u8],
    place: &Place,
) -> Result<Vec<(String, Id)>, Diagnostic> {
    let wrong = |title: String| malformed(place.clone(), title);
    let mut found = Vec::new();
    if let Node::Tensor { .. } = graph.node(graph.root) {
        found.push((String::new(), graph.root));
    }
    let mut name = String::new();
    let mut levels = vec![Level {
        id: graph.root,
        next: 0,
        name: 0,
    }];
    let mut visits = 0;
    while let Some(level) = levels.last_mut() {
        let Some((key, id)) = child(graph, level) else {
            levels.pop();
            continue;
        };
        level.next += 1;
        visits += 1;
        if visits > MOST_VISITS {
            return Err(wrong(format!(
                "the pickle leads to more than {MOST_VISITS} objects"
            ))
            .note(
                "it has fewer opcodes than that, so most are the same objects reached in many ways",
            ));
        }
        let tensor = match graph.node(id) {
            Node::Tensor { .. } => true,
            Node::Dict(_) | Node::List(_) | Node::Tuple(_) | Node::Set(_) => false,
            _ => continue,
        };
        name.truncate(level.name);
        append(&mut name, graph, program, key).map_err(|length| {
            wrong(format!(
                "a key is {length} bytes long, but a tensor's name has at most {LONGEST_KEY}"
            ))
        })?;
        if tensor {
            if found.len() == MOST_TENSORS {
                return Err(wrong(format!(
                    "the pickle holds more than {MOST_TENSORS} tensors"
                )));
            }
            found.push((name.clone(), id));
        } else if levels.len() == DEEPEST {
            return Err(wrong(format!(
                "the pickle nests more than {DEEPEST} objects into each other"
            ))
            .note(format!("the outermost keys are `{}`", shorten(&name))));
        } else {
            levels.push(Level {
                id,
                next: 0,
                name: name.len(),
            });
        }
    }
    Ok(found)
}

/// The step from a container to something in it.
enum Key {
    Position(usize),
    Of(Id),
}

fn child(graph: &Graph, level: &Level) -> Option<(Key, Id)> {
    match graph.node(level.id) {
        Node::Dict(entries) => entries.get(level.next).map(|&(key, id)| (Key::Of(key), id)),
        Node::List(ids) | Node::Tuple(ids) | Node::Set(ids) => ids
            .get(level.next)
            .map(|&id| (Key::Position(level.next), id)),
        _ => None,
    }
}

/// Adds a key to a name, with a dot between; gives the length of a key that is too long.
fn append(name: &mut String, graph: &Graph, program: &[u8], key: Key) -> Result<(), usize> {
    if !name.is_empty() {
        name.push('.');
    }
    match key {
        Key::Position(position) => name.push_str(&position.to_string()),
        Key::Of(key) => match graph.node(key) {
            Node::Str(span) => {
                let text = span.text(program);
                if text.len() > LONGEST_KEY {
                    return Err(text.len());
                }
                name.push_str(text);
            }
            Node::Int(number) => name.push_str(&number.to_string()),
            // Something must stand there; two tensors under such keys are refused as doubles.
            _ => name.push('?'),
        },
    }
    Ok(())
}
