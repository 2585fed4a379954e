//! What a pickle has built: values that refer to each other by position.

use super::globals::Global;

/// The position of a value in [`Graph::nodes`].
pub(super) type Id = u32;

/// A stretch of the program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    begin: u32,
    end: u32,
}

/// A value.
#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// Little-endian two's complement of more than eight bytes.
    LongInt(Span),
    Float(f64),
    Str(Span),
    Bytes(Span),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Device,
    /// What is said about a storage: a tuple.
    Storage(Id),
    /// What a tensor is made from: a tuple. `position` is that of the opcode that made it.
    Tensor {
        arguments: Id,
        untyped: bool,
        position: u32,
    },
}

/// Everything a program has built.
#[derive(Debug)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    /// The value the program ended with.
    pub root: Id,
}

impl Graph {
    pub fn node(&self, id: Id) -> &Node {
        // Ids are only ever made by the machine, so that none is out of range.
        self.nodes.get(id as usize).unwrap_or(&Node::None)
    }
}

impl Span {
    /// The length of a program was checked to fit 32 bits before anything of it was read.
    pub fn new(begin: usize, end: usize) -> Span {
        let narrow = |position| u32::try_from(position).unwrap_or(u32::MAX);
        Span {
            begin: narrow(begin),
            end: narrow(end),
        }
    }

    /// Its first byte.
    pub fn begin(self) -> usize {
        self.begin as usize
    }

    /// The bytes it covers.
    pub fn of(self, program: &[u8]) -> &[u8] {
        program
            .get(self.begin as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// The text it covers; it was checked to be UTF-8 when it was read.
    pub fn text(self, program: &[u8]) -> &str {
        std::str::from_utf8(self.of(program)).unwrap_or_default()
    }
}
