//! The objects of a file as a tree to look around in: counts, step numbers, settings.

use std::fmt;

use super::graph::{Graph, Id, Node};

/// One object.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number of more than 64 bits: little-endian two's complement.
    LongInt(&'a [u8]),
    /// A fraction.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list.
    List(Items<'a>),
    /// A tuple; `torch.Size` is one.
    Tuple(Items<'a>),
    /// A set, in the order it was written in.
    Set(Items<'a>),
    /// A dictionary; `OrderedDict` and `Counter` are ones.
    Dict(Entries<'a>),
    /// A tensor, which is reached by its name.
    Tensor,
    /// Something else that is allowed, such as `torch.float32` or a device, by name.
    Other(&'static str),
}

impl<'a> Value<'a> {
    pub(super) fn new(graph: &'a Graph, program: &'a [u8], id: Id) -> Value<'a> {
        let items = |ids| Items {
            graph,
            program,
            ids,
        };
        match graph.node(id) {
            Node::None => Value::None,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::LongInt(span) => Value::LongInt(span.of(program)),
            Node::Float(value) => Value::Float(*value),
            Node::Str(span) => Value::Str(span.text(program)),
            Node::Bytes(span) => Value::Bytes(span.of(program)),
            Node::List(ids) => Value::List(items(ids)),
            Node::Tuple(ids) => Value::Tuple(items(ids)),
            Node::Set(ids) => Value::Set(items(ids)),
            Node::Dict(ids) => Value::Dict(Entries {
                graph,
                program,
                ids,
            }),
            Node::Global(global) => Value::Other(global.name()),
            Node::Device => Value::Other("torch.device"),
            Node::Storage(_) => Value::Other("torch.storage"),
            Node::Tensor { .. } => Value::Tensor,
        }
    }

    /// The entry of a dictionary under this key, if this is a dictionary that has it.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        match self {
            Value::Dict(entries) => entries.get(key),
            _ => None,
        }
    }
}

/// The items of a list, tuple or set.
#[derive(Clone, Copy)]
pub struct Items<'a> {
    graph: &'a Graph,
    program: &'a [u8],
    ids: &'a [Id],
}

impl<'a> Items<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.ids.is_empty()
    }

    /// The item at this position.
    #[must_use]
    pub fn get(self, position: usize) -> Option<Value<'a>> {
        let &id = self.ids.get(position)?;
        Some(Value::new(self.graph, self.program, id))
    }

    /// The items, in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Value<'a>> {
        self.ids
            .iter()
            .map(move |&id| Value::new(self.graph, self.program, id))
    }
}

/// The entries of a dictionary.
#[derive(Clone, Copy)]
pub struct Entries<'a> {
    graph: &'a Graph,
    program: &'a [u8],
    ids: &'a [(Id, Id)],
}

impl<'a> Entries<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.ids.is_empty()
    }

    /// The value under a key that is text. Of two, the later, as in Python.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        let &(_, value) = self.ids.iter().rev().find(
            |&&(id, _)| matches!(self.graph.node(id), Node::Str(span) if span.text(self.program) == key),
        )?;
        Some(Value::new(self.graph, self.program, value))
    }

    /// Keys and values, in the order they were written in; a key that was set twice comes twice.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (Value<'a>, Value<'a>)> {
        self.ids.iter().map(move |&(key, value)| {
            (
                Value::new(self.graph, self.program, key),
                Value::new(self.graph, self.program, value),
            )
        })
    }
}

// Containers are shown by their size: one may hold itself, and then the whole would never end.
impl fmt::Debug for Items<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items", self.ids.len())
    }
}

impl fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries", self.ids.len())
    }
}
