//! The opcodes that would run code in Python. Here they make one of a few known values, or a finding.

use super::super::globals::{self, Global};
use super::super::graph::{Id, Node};
use super::super::{opcode, shorten};
use super::Machine;
use crate::codes;
use crate::diagnostic::Diagnostic;

impl Machine<'_> {
    /// GLOBAL, STACK_GLOBAL and INST: the only opcodes that name something in Python.
    pub(super) fn global(&mut self, module: &str, name: &str) -> Result<(), Diagnostic> {
        if let Some(global) = globals::find(module, name)
            && self.opcode != opcode::INST
        {
            return self.push(Node::Global(global));
        }
        let shown = shorten(&format!("{module}.{name}"));
        Err(Diagnostic::error(
            codes::PICKLE_FORBIDDEN,
            format!("the pickle names `{shown}`, which a weights file has no use for"),
        )
        .at(self.place.clone())
        .note(format!(
            "opcode {} at byte {} names it; allowed are `collections.OrderedDict`, `torch.*Storage` and what \
             `torch.save` rebuilds tensors with",
            self.opcode_name(),
            self.opcode_at
        ))
        .note("nothing was run")
        .help(
            "do not load a file you were given with PyTorch either, ask for safetensors; if it is your own training \
             checkpoint, save its state dict alone",
        ))
    }

    pub(super) fn reduce(&mut self, callee: Id, arguments: Id) -> Result<(), Diagnostic> {
        let &Node::Global(global) = self.node(callee) else {
            return Err(self.forbidden("calls something that is not a function"));
        };
        let Node::Tuple(list) = self.node(arguments) else {
            return Err(self.wrong("REDUCE finds something other than a tuple of arguments"));
        };
        let (count, first) = (list.len(), list.first().copied());
        let first_node = first.map(|id| self.node(id));
        // Fits: the length of the program was checked.
        let position = u32::try_from(self.opcode_at).unwrap_or(u32::MAX);
        match (global, count, first, first_node) {
            (Global::TensorV2, 6 | 7, ..) => self.push(Node::Tensor {
                arguments,
                untyped: false,
                position,
            }),
            (Global::TensorV3, 7 | 8, ..) => self.push(Node::Tensor {
                arguments,
                untyped: true,
                position,
            }),
            (Global::OrderedDict | Global::Counter, 0, ..) => self.push(Node::Dict(Vec::new())),
            (Global::Device, 1 | 2, ..) => self.push(Node::Device),
            // These three hand on what they are given, so that no value is copied.
            (Global::Parameter, 3, Some(id), Some(Node::Tensor { .. }))
            | (Global::Counter, 1, Some(id), Some(Node::Dict(_)))
            | (Global::Size, 1, Some(id), Some(Node::Tuple(_))) => {
                self.stack.push(id);
                Ok(())
            }
            (Global::Storage(..) | Global::Dtype(..), ..) => {
                Err(self.forbidden(&format!("calls `{}`", global.name())))
            }
            _ => Err(self.wrong(format!(
                "`{}` is called with {count} arguments that do not suit it",
                global.name()
            ))),
        }
    }

    /// S112 for opcodes that reach for code without naming it.
    pub(super) fn forbidden(&self, does: &str) -> Diagnostic {
        Diagnostic::error(
            codes::PICKLE_FORBIDDEN,
            format!("the pickle {does}, which a weights file has no use for"),
        )
        .at(self.place.clone())
        .note(format!(
            "opcode {} at byte {} does it",
            self.opcode_name(),
            self.opcode_at
        ))
        .note("nothing was run")
        .help("if it is your own training checkpoint, save its state dict alone; otherwise ask for safetensors")
    }
}
