//! An EAGLE-3 head in a GGUF file, seen as the rest of the program sees any checkpoint: a config, and tensors.
//!
//! There is no config file: one is put together from the metadata, in the spelling of the speculators layout. Tensors keep
//! the names they have in the file, but come as a checkpoint has them: q and k with the rows of a head in two halves, and
//! `d2t` as offsets. Those three are copies, made when they are first asked for; everything else lies in the mapping.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use safetensors::Dtype;

use super::{GgufFile, eagle3, synthesis};
use crate::Result;
use crate::checkpoint::TensorView;
use crate::codes;
use crate::config::ConfigFile;
use crate::diagnostic::{Diagnostic, Place};

/// The weights of a head in a GGUF file.
#[derive(Debug)]
pub(crate) struct GgufWeights {
    file: GgufFile,
    /// Tensors that lie in the file in another form, and the rows of how many heads they hold.
    changed: BTreeMap<&'static str, (Change, OnceLock<Vec<u8>>)>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    /// Rows of so many heads, interleaved in the file.
    Rows { heads: usize },
    /// Verifier tokens in the file, offsets in a checkpoint.
    Offsets,
}

/// The GGUF file a path means: the file itself, or the only one in a directory that holds no other checkpoint.
pub(crate) fn locate(path: &Path) -> Result<Option<PathBuf>, Diagnostic> {
    let gguf = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "gguf")
    };
    if path.is_file() {
        return Ok(gguf(path).then(|| path.to_path_buf()));
    }
    if !path.is_dir() || path.join("config.json").exists() {
        return Ok(None);
    }
    let mut found: Vec<PathBuf> = fs_err::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| gguf(path) && path.is_file())
        .collect();
    found.sort();
    match found.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        [first, ..] => Err(Diagnostic::error(
            codes::FILE_MISSING,
            format!(
                "there are {} GGUF files in `{}`, and no `config.json`",
                found.len(),
                path.display()
            ),
        )
        .at(Place::file(path))
        .help(format!("pass one of them, such as `{}`", first.display()))),
    }
}

impl GgufWeights {
    /// The head in a file; gives the config that its metadata amounts to as well.
    pub fn new(file: GgufFile) -> Result<(GgufWeights, ConfigFile)> {
        let value = synthesis::config(&file)?;
        let mut changed = BTreeMap::new();
        let heads = synthesis::per_layer(&file, "eagle3.attention.head_count")?;
        let shared = synthesis::per_layer(&file, "eagle3.attention.head_count_kv")?.or(heads);
        for (name, heads) in [(eagle3::QUERIES, heads), (eagle3::KEYS, shared)] {
            let heads = heads.unwrap_or_default();
            changed.insert(name, (Change::Rows { heads }, OnceLock::new()));
        }
        if let Some(view) = file.tensor(eagle3::TOKENS) {
            if view.dtype != Dtype::I64 {
                return Err(Diagnostic::error(
                    codes::TENSOR_DTYPE,
                    format!(
                        "`d2t` is of dtype {:?}, but llama.cpp asks for I64",
                        view.dtype
                    ),
                )
                .at(Place::tensor(file.path(), eagle3::TOKENS))
                .into());
            }
            changed.insert(eagle3::TOKENS, (Change::Offsets, OnceLock::new()));
        }
        // No text: findings about the config point at the file.
        let config = ConfigFile {
            path: file.path().to_path_buf(),
            text: String::new(),
            value,
        };
        Ok((GgufWeights { file, changed }, config))
    }

    /// The file.
    pub fn file(&self) -> &GgufFile {
        &self.file
    }

    /// One tensor, as a checkpoint has it.
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let mut view = self.file.tensor(name)?;
        let Some((change, copy)) = self.changed.get(name) else {
            return Some(view);
        };
        match *change {
            // A matrix that does not have the rows of whole heads stays as it is: its shape is the finding.
            Change::Rows { heads } => {
                let &[rows, _] = view.shape else {
                    return Some(view);
                };
                if heads == 0 || rows == 0 || !rows.is_multiple_of(2 * heads) {
                    return Some(view);
                }
                let data = view.data;
                view.data =
                    copy.get_or_init(|| eagle3::half_split(data, rows, heads).unwrap_or_default());
            }
            Change::Offsets => view.data = copy.get_or_init(|| offsets(view.data)),
        }
        Some(view)
    }
}

/// Offsets from verifier tokens. One that is out of range stays out of range, and is found later.
fn offsets(tokens: &[u8]) -> Vec<u8> {
    let (tokens, _) = tokens.as_chunks::<8>();
    tokens
        .iter()
        .zip(0_i64..)
        .flat_map(|(token, draft)| i64::from_le_bytes(*token).wrapping_sub(draft).to_le_bytes())
        .collect()
}
