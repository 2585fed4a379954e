//! Arrays in the format of NumPy, `*.npy`: `\x93NUMPY · version · length · header · data`, the header a Python dictionary of
//! three entries in a plain spelling.
//!
//! Only one-dimensional arrays of whole numbers and booleans are needed. An array of objects would hold a pickle; that is
//! refused by its dtype, and nothing in the file is ever run.

use std::ops::Range;
use std::path::{Path, PathBuf};

use safetensors::Dtype;

use crate::checkpoint::TensorView;
use crate::codes;
use crate::config::file_name;
use crate::diagnostic::{Diagnostic, Place};
use crate::file::{self, Content};
use crate::pickle::shorten;

/// How every such file begins.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Longest header: that of an array in one dimension has about a hundred bytes.
const LONGEST_HEADER: usize = 4096;

/// An array in a file.
pub(super) struct NumpyFile {
    path: PathBuf,
    content: Content,
    dtype: Dtype,
    shape: Vec<usize>,
    data: Range<usize>,
}

impl NumpyFile {
    /// Opens a file and checks what it says against its length.
    ///
    /// # Errors
    /// S101 if it cannot be read, S102 if it is cut short, S311 if it is malformed or holds something else than numbers.
    pub fn open(path: &Path) -> Result<NumpyFile, Diagnostic> {
        NumpyFile::new(path, file::map(path)?)
    }

    pub fn new(path: &Path, content: Content) -> Result<NumpyFile, Diagnostic> {
        let (header, start) = header(path, &content)?;
        let Header { descr, shape } = Header::parse(header).map_err(|what| {
            malformed(path, format!("the header of `{}` {what}", file_name(path)))
                .note(format!("it is `{}`", shorten(header.trim_end())))
        })?;
        let dtype = dtype(descr).ok_or_else(|| {
            malformed(
                path,
                format!(
                    "`{}` holds elements of dtype `{}`",
                    file_name(path),
                    shorten(descr)
                ),
            )
            .note(
                "whole numbers of 4 or 8 bytes and booleans are read, in little-endian byte order",
            )
        })?;
        let bytes = shape
            .iter()
            .try_fold(dtype.bitsize() / 8, |bytes, size| bytes.checked_mul(*size));
        let found = content.len() - start;
        match bytes {
            Some(bytes) if bytes == found => Ok(NumpyFile {
                path: path.to_path_buf(),
                dtype,
                shape,
                data: start..content.len(),
                content,
            }),
            Some(bytes) if bytes < found => Err(malformed(
                path,
                format!(
                    "`{}` goes on for {} bytes after its array",
                    file_name(path),
                    found - bytes
                ),
            )
            .note(format!(
                "{descr} {shape:?} takes {bytes} bytes; {found} follow the header"
            ))),
            _ => Err(Diagnostic::error(
                codes::FILE_TRUNCATED,
                format!("`{}` ends before its array does", file_name(path)),
            )
            .at(Place::file(path))
            .note(match bytes {
                Some(bytes) => {
                    format!("{descr} {shape:?} takes {bytes} bytes; {found} follow the header")
                }
                None => format!("{descr} {shape:?} takes more bytes than can be addressed"),
            })),
        }
    }

    /// The array, under this name.
    pub fn view<'a>(&'a self, name: &'a str) -> TensorView<'a> {
        TensorView {
            name,
            dtype: self.dtype,
            shape: &self.shape,
            data: self.content.get(self.data.clone()).unwrap_or_default(),
            path: &self.path,
        }
    }
}

/// The dictionary, and where the data begin.
fn header<'a>(path: &Path, bytes: &'a [u8]) -> Result<(&'a str, usize), Diagnostic> {
    let name = file_name(path);
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(malformed(
            path,
            format!("`{name}` is no NumPy array: it does not begin with `\\x93NUMPY`"),
        ));
    };
    let (length, start) = match rest {
        [1, _, low, high, ..] => (usize::from(u16::from_le_bytes([*low, *high])), 4),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 6),
        [] | [_] | [1..=3, ..] => {
            return Err(Diagnostic::error(
                codes::FILE_TRUNCATED,
                format!(
                    "`{name}` ends inside its header, after {} bytes",
                    bytes.len()
                ),
            )
            .at(Place::file(path)));
        }
        [major, minor, ..] => {
            return Err(malformed(
                path,
                format!(
                    "`{name}` is of version {major}.{minor} of the format, but 1 to 3 are read"
                ),
            ));
        }
    };
    if length > LONGEST_HEADER {
        return Err(
            malformed(path, format!("`{name}` claims a header of {length} bytes")).note(format!(
                "up to {LONGEST_HEADER} are read; that of a list of numbers has about 100"
            )),
        );
    }
    let Some(header) = rest.get(start..start + length) else {
        return Err(Diagnostic::error(
            codes::FILE_TRUNCATED,
            format!(
                "`{name}` ends inside its header, after {} bytes",
                bytes.len()
            ),
        )
        .at(Place::file(path))
        .note(format!("the header claims {length} bytes")));
    };
    let header = std::str::from_utf8(header)
        .map_err(|_| malformed(path, format!("the header of `{name}` is not text")))?;
    Ok((header, MAGIC.len() + start + length))
}

/// What the dictionary says.
struct Header<'a> {
    descr: &'a str,
    shape: Vec<usize>,
}

impl<'a> Header<'a> {
    /// `{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }`, the keys in any order. The order of elements matters
    /// in several dimensions only, which whoever reads the array refuses.
    fn parse(text: &'a str) -> Result<Header<'a>, &'static str> {
        let mut rest = Rest(text);
        let (mut descr, mut shape, mut order) = (None, None, None);
        rest.expect("{")?;
        while !rest.take("}") {
            match rest.quoted()? {
                "descr" if descr.is_none() => {
                    rest.expect(":")?;
                    descr = Some(rest.quoted().map_err(|_| "names no plain dtype")?);
                }
                "fortran_order" if order.is_none() => {
                    rest.expect(":")?;
                    order = Some(rest.take("True") || rest.take("False"));
                }
                "shape" if shape.is_none() => {
                    rest.expect(":")?;
                    shape = Some(rest.tuple()?);
                }
                _ => return Err("has a key that does not belong there"),
            }
            if !rest.take(",") {
                rest.expect("}")?;
                break;
            }
        }
        match (descr, order, shape) {
            (Some(descr), Some(true), Some(shape)) if rest.0.trim().is_empty() => {
                Ok(Header { descr, shape })
            }
            (Some(_), Some(true), Some(_)) => Err("goes on after its end"),
            _ => Err("lacks the dtype, the order or the shape"),
        }
    }
}

/// What is left of a header.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), &'static str> {
        if self.take(token) {
            Ok(())
        } else {
            Err("is not a dictionary of dtype, order and shape")
        }
    }

    fn quoted(&mut self) -> Result<&'a str, &'static str> {
        let quote = if self.take("'") { '\'' } else { '"' };
        if quote == '"' {
            self.expect("\"")?;
        }
        let (text, rest) = self.0.split_once(quote).ok_or("has a string without end")?;
        self.0 = rest;
        Ok(text)
    }

    fn tuple(&mut self) -> Result<Vec<usize>, &'static str> {
        const WRONG: &str = "gives no shape that is a list of sizes";
        self.expect("(")?;
        let mut sizes = Vec::new();
        while !self.take(")") {
            let digits = self.0.trim_start();
            let end = digits
                .find(|letter: char| !letter.is_ascii_digit())
                .unwrap_or(digits.len());
            sizes.push(digits[..end].parse().map_err(|_| WRONG)?);
            self.0 = &digits[end..];
            if !self.take(",") {
                self.expect(")").map_err(|_| WRONG)?;
                break;
            }
        }
        Ok(sizes)
    }
}

fn dtype(descr: &str) -> Option<Dtype> {
    Some(match descr {
        "<i8" => Dtype::I64,
        "<u8" => Dtype::U64,
        "<i4" => Dtype::I32,
        "<u4" => Dtype::U32,
        "|b1" => Dtype::BOOL,
        "|u1" => Dtype::U8,
        "|i1" => Dtype::I8,
        _ => return None,
    })
}

/// S311.
fn malformed(path: &Path, title: String) -> Diagnostic {
    Diagnostic::error(codes::NUMPY_MALFORMED, title).at(Place::file(path))
}

/// A file of one list, byte for byte as NumPy writes it; `descr` is the name of the dtype there.
pub(super) fn write(descr: &str, length: usize, data: impl Iterator<Item = u8>) -> Vec<u8> {
    const ALIGNMENT: usize = 64;
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({length},), }}");
    // With the ten bytes before it and a line feed at its end, the header fills whole blocks, so that data are aligned.
    let used = MAGIC.len() + 4 + header.len() + 1;
    let padding = used.next_multiple_of(ALIGNMENT) - used;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut file = [MAGIC, &[1, 0]].concat();
    // Fits: a header of a list has about a hundred bytes.
    let length = u16::try_from(header.len()).unwrap_or(u16::MAX);
    file.extend(length.to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}
