//! The machine that reads a pickle, protocols 2 to 5. It builds values and nothing else.
//!
//! What a hostile program could do to it is bounded beforehand: values live in one vector and refer to each other by
//! position, so that neither reading nor dropping them recurses; each opcode adds at most one value, one memo entry and
//! one place on the stack, and the number of opcodes is limited; text and bytes stay where they are in the file; a length
//! is compared with what is left of the program before it is believed.

mod calls;
mod reading;

use std::collections::HashMap;

use super::graph::{Graph, Id, Node};
use super::malformed;
use super::opcode::{self, name};
use crate::diagnostic::{Diagnostic, Place};

/// Most opcodes a program may have. A head has a few thousand, a table of token counts some hundred thousand.
const MOST_STEPS: usize = 1 << 22;

/// Longest program: positions in it are kept in 32 bits.
const LONGEST_PROGRAM: usize = 1 << 28;

/// Runs a program to its end.
pub(super) fn run(program: &[u8], place: &Place) -> Result<Graph, Diagnostic> {
    if program.len() > LONGEST_PROGRAM {
        return Err(malformed(
            place.clone(),
            format!(
                "the pickle is {} bytes long, but a list of tensors needs far less",
                program.len()
            ),
        )
        .note(format!("up to {LONGEST_PROGRAM} bytes are read")));
    }
    let mut machine = Machine {
        program,
        place,
        at: 0,
        opcode: 0,
        opcode_at: 0,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    machine.header()?;
    for _ in 0..MOST_STEPS {
        machine.opcode_at = machine.at;
        machine.opcode = machine.byte()?;
        if machine.opcode == opcode::STOP {
            let root = machine.pop()?;
            return Ok(Graph {
                nodes: machine.nodes,
                root,
            });
        }
        machine.step()?;
    }
    Err(machine.wrong(format!(
        "the pickle goes on after {MOST_STEPS} opcodes, more than a list of tensors needs"
    )))
}

struct Machine<'a> {
    program: &'a [u8],
    place: &'a Place,
    at: usize,
    /// The opcode being run and where it is.
    opcode: u8,
    opcode_at: usize,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    fn header(&mut self) -> Result<(), Diagnostic> {
        let first = self.byte()?;
        if first != opcode::PROTO {
            return Err(self.wrong(format!(
                "the pickle begins with byte {first:02x}, but one of protocol 2 or later begins with 80"
            )));
        }
        let protocol = self.byte()?;
        if !(2..=5).contains(&protocol) {
            return Err(self.wrong(format!(
                "the pickle is of protocol {protocol}, but only 2 to 5 are read"
            )));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Diagnostic> {
        match self.opcode {
            opcode::PROTO => {
                self.at = self.opcode_at;
                self.header()
            }
            opcode::FRAME => {
                // Frames only help a reader that buffers; that one fits is all there is to check.
                let length = u64::from_le_bytes(self.array()?);
                self.fits(length).map(drop)
            }
            opcode::NONE => self.push(Node::None),
            opcode::NEWTRUE => self.push(Node::Bool(true)),
            opcode::NEWFALSE => self.push(Node::Bool(false)),
            opcode::BININT => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))
            }
            opcode::BININT1 => {
                let value = self.byte()?;
                self.push(Node::Int(value.into()))
            }
            opcode::BININT2 => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))
            }
            opcode::LONG1 => {
                let length = self.byte()?;
                self.long(length.into())
            }
            opcode::LONG4 => {
                let length = u32::from_le_bytes(self.array()?);
                self.long(length.into())
            }
            opcode::BINFLOAT => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(value))
            }
            opcode::SHORT_BINUNICODE | opcode::BINUNICODE | opcode::BINUNICODE8 => self.text(),
            opcode::SHORT_BINBYTES | opcode::BINBYTES | opcode::BINBYTES8 | opcode::BYTEARRAY8 => {
                let length = self.length()?;
                let span = self.take(length)?;
                self.push(Node::Bytes(span))
            }
            opcode::EMPTY_TUPLE => self.push(Node::Tuple(Vec::new())),
            opcode::TUPLE1 => self.tuple(1),
            opcode::TUPLE2 => self.tuple(2),
            opcode::TUPLE3 => self.tuple(3),
            opcode::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items))
            }
            opcode::EMPTY_LIST => self.push(Node::List(Vec::new())),
            opcode::LIST => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items))
            }
            opcode::EMPTY_SET => self.push(Node::Set(Vec::new())),
            opcode::FROZENSET => {
                let items = self.pop_to_mark()?;
                self.push(Node::Set(items))
            }
            opcode::APPEND => {
                let item = self.pop()?;
                self.append(&[item])
            }
            opcode::APPENDS | opcode::ADDITEMS => {
                let items = self.pop_to_mark()?;
                self.append(&items)
            }
            opcode::EMPTY_DICT => self.push(Node::Dict(Vec::new())),
            opcode::DICT => {
                let items = self.pop_to_mark()?;
                self.push(Node::Dict(Vec::new()))?;
                self.set_items(&items)
            }
            opcode::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])
            }
            opcode::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)
            }
            opcode::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            opcode::POP => {
                // On an empty stack after a mark, POP takes the mark away.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                    Ok(())
                } else {
                    self.pop().map(drop)
                }
            }
            opcode::POP_MARK => self.pop_to_mark().map(drop),
            opcode::DUP => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            opcode::BINGET | opcode::LONG_BINGET => {
                let key = self.memo_key()?;
                let Some(&id) = self.memo.get(&key) else {
                    return Err(self.wrong(format!(
                        "{} asks for memo entry {key}, which was never set",
                        self.opcode_name()
                    )));
                };
                self.stack.push(id);
                Ok(())
            }
            opcode::BINPUT | opcode::LONG_BINPUT => {
                let key = self.memo_key()?;
                let top = self.top()?;
                self.memo.insert(key, top);
                Ok(())
            }
            opcode::MEMOIZE => {
                // Fits: there are fewer entries than opcodes.
                let key = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
                let top = self.top()?;
                self.memo.insert(key, top);
                Ok(())
            }
            opcode::GLOBAL | opcode::INST => {
                let module = self.line()?;
                let name = self.line()?;
                let (module, name) = (module.text(self.program), name.text(self.program));
                self.global(module, name)
            }
            opcode::STACK_GLOBAL => {
                let name = self.pop()?;
                let module = self.pop()?;
                match (self.node(module), self.node(name)) {
                    (&Node::Str(module), &Node::Str(name)) => {
                        self.global(module.text(self.program), name.text(self.program))
                    }
                    _ => Err(self.wrong("STACK_GLOBAL finds something other than two names")),
                }
            }
            opcode::BINPERSID => {
                let id = self.pop()?;
                match self.node(id) {
                    Node::Tuple(_) => self.push(Node::Storage(id)),
                    _ => Err(self.wrong("BINPERSID finds something other than a tuple")),
                }
            }
            opcode::REDUCE => {
                let arguments = self.pop()?;
                let callee = self.pop()?;
                self.reduce(callee, arguments)
            }
            opcode::BUILD => {
                let _state = self.pop()?;
                let object = self.top()?;
                match self.node(object) {
                    // A state dict carries versions of its modules as an attribute, which nothing here needs.
                    Node::Dict(_) => Ok(()),
                    _ => {
                        Err(self.forbidden("sets attributes of something other than a dictionary"))
                    }
                }
            }
            opcode::NEWOBJ | opcode::NEWOBJ_EX | opcode::OBJ => {
                Err(self.forbidden("creates an object of a class"))
            }
            opcode::EXT1 | opcode::EXT2 | opcode::EXT4 => {
                Err(self.forbidden("names something by its number in a registry of extensions"))
            }
            opcode::PERSID => Err(self.forbidden("names something outside by a line of text")),
            other => Err(match name(other) {
                Some(name) => self
                    .wrong(format!("opcode {name} has no place in a weights file"))
                    .note("it belongs to protocol 0 or 1, or to buffers that are not in the file"),
                None => self.wrong(format!("there is no opcode {other:02x}")),
            }),
        }
    }

    fn append(&mut self, items: &[Id]) -> Result<(), Diagnostic> {
        let set = self.opcode == opcode::ADDITEMS;
        let target = self.top()?;
        match self.nodes.get_mut(target as usize) {
            Some(Node::List(list)) if !set => list.extend_from_slice(items),
            Some(Node::Set(list)) if set => list.extend_from_slice(items),
            _ => {
                let what = if set { "a set" } else { "a list" };
                return Err(self.wrong(format!(
                    "{} finds something other than {what}",
                    self.opcode_name()
                )));
            }
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), Diagnostic> {
        let (pairs, rest) = items.as_chunks::<2>();
        let target = self.top()?;
        match self.nodes.get_mut(target as usize) {
            Some(Node::Dict(entries)) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            Some(Node::Dict(_)) => Err(self.wrong(format!(
                "{} finds {} items, which do not pair up",
                self.opcode_name(),
                items.len()
            ))),
            _ => Err(self.wrong(format!(
                "{} finds something other than a dictionary",
                self.opcode_name()
            ))),
        }
    }

    fn tuple(&mut self, count: usize) -> Result<(), Diagnostic> {
        let mut items = vec![0; count];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.push(Node::Tuple(items))
    }

    fn text(&mut self) -> Result<(), Diagnostic> {
        let length = self.length()?;
        let span = self.take(length)?;
        self.utf8(span)?;
        self.push(Node::Str(span))
    }

    fn long(&mut self, length: u64) -> Result<(), Diagnostic> {
        let span = self.take(length)?;
        let digits = span.of(self.program);
        if digits.len() > 8 {
            return self.push(Node::LongInt(span));
        }
        let sign = if digits.last().is_some_and(|&top| top & 0x80 != 0) {
            0xff
        } else {
            0
        };
        let mut bytes = [sign; 8];
        bytes[..digits.len()].copy_from_slice(digits);
        self.push(Node::Int(i64::from_le_bytes(bytes)))
    }

    fn add(&mut self, node: Node) -> Id {
        // Fits: there are fewer values than opcodes.
        let id = Id::try_from(self.nodes.len()).unwrap_or(Id::MAX);
        self.nodes.push(node);
        id
    }

    fn push(&mut self, node: Node) -> Result<(), Diagnostic> {
        let id = self.add(node);
        self.stack.push(id);
        Ok(())
    }

    fn node(&self, id: Id) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&Node::None)
    }

    /// The top of the stack, above the last mark.
    fn top(&self) -> Result<Id, Diagnostic> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.get(floor..).and_then(<[Id]>::last) {
            Some(&id) => Ok(id),
            None => Err(self.wrong(format!("{} finds nothing on the stack", self.opcode_name()))),
        }
    }

    fn pop(&mut self) -> Result<Id, Diagnostic> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Diagnostic> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark.min(self.stack.len()))),
            None => Err(self.wrong(format!("{} finds no mark", self.opcode_name()))),
        }
    }

    fn opcode_name(&self) -> &'static str {
        name(self.opcode).unwrap_or("an opcode")
    }

    fn wrong(&self, title: impl Into<String>) -> Diagnostic {
        malformed(self.place.clone(), title).note(format!(
            "byte {} of {} in the pickle",
            self.opcode_at,
            self.program.len()
        ))
    }
}
