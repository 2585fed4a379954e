//! A GGUF file, mapped or held: metadata by key, tensors by name.

use std::path::{Path, PathBuf};

use super::parse::{self, Contents, Field};
use super::types::ValueType;
use super::value::{self, Array, Value};
use crate::checkpoint::TensorView;
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};
use crate::file::{self, Content};

/// An opened GGUF file.
#[derive(Debug)]
pub struct GgufFile {
    path: PathBuf,
    content: Content,
    contents: Contents,
}

impl GgufFile {
    /// Opens a file and checks everything its header claims.
    ///
    /// # Errors
    /// S101 when it cannot be read, S102 when it is cut short, S114 when it is malformed, S115 when it is of a kind that is
    /// not read: quantized, big-endian, one of several parts, or of another version.
    pub fn open(path: impl AsRef<Path>) -> Result<GgufFile, Diagnostic> {
        let path = path.as_ref();
        GgufFile::new(path, file::map(path)?)
    }

    /// The same for a file that is in memory already; `path` is used in findings only.
    ///
    /// # Errors
    /// As [`GgufFile::open`], without S101.
    pub fn from_bytes(path: impl AsRef<Path>, bytes: Vec<u8>) -> Result<GgufFile, Diagnostic> {
        GgufFile::new(path.as_ref(), Content::Held(bytes))
    }

    fn new(path: &Path, content: Content) -> Result<GgufFile, Diagnostic> {
        let contents = parse::parse(path, &content)?;
        let file = GgufFile {
            path: path.to_path_buf(),
            content,
            contents,
        };
        let parts = file.value("split.count").and_then(|value| value.unsigned());
        if let Some(parts) = parts.filter(|parts| *parts > 1) {
            return Err(Diagnostic::error(
                codes::GGUF_UNSUPPORTED,
                format!("the file is one of {parts} parts"),
            )
            .at(Place::file(&file.path))
            .help("join them with `llama-gguf-split --merge`"));
        }
        Ok(file)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.content.len() as u64
    }

    /// All its bytes.
    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// A place for findings about one tensor, if it is there.
    pub(crate) fn place(&self, name: &str) -> Option<Place> {
        let view = self.tensor(name)?;
        Some(Place::tensor(view.path, view.name))
    }

    /// Version of the format, 2 or 3.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.contents.version
    }

    /// Keys of the metadata, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.contents.fields.iter().map(|field| field.key.as_str())
    }

    /// A metadata value.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Value<'_>> {
        let field = self.field(key)?;
        let bytes = self.content.get(field.range.clone())?;
        match field.elements {
            Some((element, count)) => Some(Value::Array(Array {
                element,
                count,
                bytes,
            })),
            None => Some(value::split(field.kind, bytes)?.0),
        }
    }

    /// A non-negative whole number that fits 32 bits, as all sizes of models do.
    ///
    /// # Errors
    /// S105 when the value is another.
    pub fn size(&self, key: &str) -> Result<Option<usize>, Diagnostic> {
        self.read(key, "a non-negative integer of 32 bits", |value| {
            usize::try_from(u32::try_from(value.unsigned()?).ok()?).ok()
        })
    }

    /// A number.
    ///
    /// # Errors
    /// S105 when the value is of another type.
    pub fn number(&self, key: &str) -> Result<Option<f64>, Diagnostic> {
        self.read(key, "a floating-point number", |value| value.number())
    }

    /// A truth value.
    ///
    /// # Errors
    /// S105 when the value is of another type.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, Diagnostic> {
        self.read(key, "a truth value", |value| value.boolean())
    }

    /// Text.
    ///
    /// # Errors
    /// S105 when the value is of another type, or no UTF-8.
    pub fn text(&self, key: &str) -> Result<Option<&str>, Diagnostic> {
        self.read(key, "text", |value| value.text())
    }

    /// A short list of sizes.
    ///
    /// # Errors
    /// S105 when the value is another, or a list of more than 4096 numbers.
    pub fn sizes(&self, key: &str) -> Result<Option<Vec<usize>>, Diagnostic> {
        self.read(key, "a list of non-negative integers", |value| {
            let array = value.array().filter(|array| array.len() <= 4096)?;
            let sizes = array
                .iter()
                .map(|value| usize::try_from(u32::try_from(value.unsigned()?).ok()?).ok());
            sizes.collect()
        })
    }

    fn read<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        read: impl Fn(Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, Diagnostic> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        read(value).map(Some).ok_or_else(|| {
            let found = match value {
                Value::Array(array) => {
                    format!("{} values of type {:?}", array.len(), array.element())
                }
                Value::String(text) => format!("text of {} bytes", text.len()),
                value => format!("{value:?}"),
            };
            Diagnostic::error(
                codes::CONFIG_TYPE,
                format!("`{key}` is {found}, but has to be {wanted}"),
            )
            .at(Place::file(&self.path))
        })
    }

    fn field(&self, key: &str) -> Option<&Field> {
        self.contents.fields.iter().find(|field| field.key == key)
    }

    /// Names of the tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contents
            .tensors
            .iter()
            .map(|entry| entry.name.as_str())
    }

    /// One tensor by name, its shape row-major: the reverse of the order in the file.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let tensors = &self.contents.tensors;
        let position = tensors.binary_search_by(|entry| entry.name.as_str().cmp(name));
        let entry = tensors.get(position.ok()?)?;
        Some(TensorView {
            name: &entry.name,
            dtype: entry.dtype,
            shape: &entry.shape,
            data: self.content.get(entry.begin..entry.end)?,
            path: &self.path,
        })
    }

    /// Type of a metadata value.
    #[must_use]
    pub fn value_type(&self, key: &str) -> Option<ValueType> {
        self.field(key).map(|field| field.kind)
    }
}
