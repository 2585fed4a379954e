//! Taking numbers, text and names out of the program, none longer than what is left of it.

use super::super::graph::Span;
use super::super::{malformed, opcode};
use super::Machine;
use crate::diagnostic::Diagnostic;

impl Machine<'_> {
    pub(super) fn byte(&mut self) -> Result<u8, Diagnostic> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Diagnostic> {
        let rest = self.program.get(self.at..).unwrap_or_default();
        match rest.first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(malformed(
                self.place.clone(),
                format!(
                    "the pickle ends at byte {} without STOP",
                    self.program.len()
                ),
            )
            .help("the file was cut short or damaged; fetch it again")),
        }
    }

    /// The length that text and bytes begin with; how wide it is depends on the opcode.
    pub(super) fn length(&mut self) -> Result<u64, Diagnostic> {
        match self.opcode {
            opcode::SHORT_BINUNICODE | opcode::SHORT_BINBYTES => self.byte().map(u64::from),
            opcode::BINUNICODE | opcode::BINBYTES => {
                self.array().map(|bytes| u32::from_le_bytes(bytes).into())
            }
            _ => self.array().map(u64::from_le_bytes),
        }
    }

    pub(super) fn memo_key(&mut self) -> Result<u32, Diagnostic> {
        match self.opcode {
            opcode::BINGET | opcode::BINPUT => self.byte().map(u32::from),
            _ => self.array().map(u32::from_le_bytes),
        }
    }

    /// The end of a stretch of this length, if the program is as long as that.
    pub(super) fn fits(&self, length: u64) -> Result<usize, Diagnostic> {
        usize::try_from(length)
            .ok()
            .and_then(|length| self.at.checked_add(length))
            .filter(|&end| end <= self.program.len())
            .ok_or_else(|| {
                self.wrong(format!(
                    "{} claims {length} bytes, but {} are left",
                    self.opcode_name(),
                    self.program.len().saturating_sub(self.at)
                ))
            })
    }

    pub(super) fn take(&mut self, length: u64) -> Result<Span, Diagnostic> {
        let end = self.fits(length)?;
        let span = Span::new(self.at, end);
        self.at = end;
        Ok(span)
    }

    /// A line of text, without its end.
    pub(super) fn line(&mut self) -> Result<Span, Diagnostic> {
        let rest = self.program.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return Err(self.wrong(format!(
                "{} begins a name that does not end",
                self.opcode_name()
            )));
        };
        let span = Span::new(self.at, self.at + length);
        self.at += length + 1;
        self.utf8(span)?;
        Ok(span)
    }

    pub(super) fn utf8(&self, span: Span) -> Result<(), Diagnostic> {
        std::str::from_utf8(span.of(self.program))
            .map(drop)
            .map_err(|error| {
                self.wrong(format!(
                    "{} holds text that is not UTF-8",
                    self.opcode_name()
                ))
                .note(format!(
                    "the first byte that is not is byte {}",
                    span.begin() + error.valid_up_to()
                ))
            })
    }
}
