//! Vocabulary maps in files of their own, beside the training data or in the output of `vocab`.

use std::path::{Path, PathBuf};

use super::VocabularyMap;
use super::counts::vocabulary;
use super::numpy::NumpyFile;
use super::resolve::Maps;
use crate::checkpoint::TensorView;
use crate::config::{file_name, unreadable};
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::file::Content;
use crate::header::Entry;
use crate::{Result, codes, file, header};

/// A map that was read.
#[derive(Clone, Debug)]
pub struct FoundMap {
    /// The map; nothing where it maps each token to itself and the vocabulary is not reduced.
    pub map: Option<VocabularyMap>,
    /// Draft tokens.
    pub draft_vocab_size: usize,
    /// Verifier tokens.
    pub vocab_size: usize,
    /// The files it was read from.
    pub files: Vec<PathBuf>,
    /// What the files leave open.
    pub decisions: Vec<Decision>,
}

/// Reads the map of a directory: `d2t.npy` and `t2d.npy`, `d2t-<draft tokens>.npy` and `t2d-<draft tokens>.npy`, or any
/// safetensors file with tensors `d2t` and `t2d`, such as the weights of a head. A path to a safetensors file is taken as
/// the directory with that file only.
///
/// If the sizes are given, the map has to have them, and a map of another draft size is passed over. Several maps may be
/// there if they say the same.
///
/// # Errors
/// S316 if there is no map, or several that differ; S30x if `d2t` and `t2d` are not a map; S311 and the findings of
/// safetensors files for files that are malformed.
pub fn read_map(
    path: impl AsRef<Path>,
    vocab_size: Option<usize>,
    draft_vocab_size: Option<usize>,
) -> Result<FoundMap> {
    let path = path.as_ref();
    let mut found: Vec<FoundMap> = Vec::new();
    let mut others = Vec::new();
    for source in sources(path)? {
        let Some(size) = source.draft_vocab_size() else {
            continue;
        };
        if draft_vocab_size.is_some_and(|wanted| wanted != size) {
            others.push(size);
            continue;
        }
        found.push(source.resolve(vocab_size, draft_vocab_size)?);
    }
    let mut found = found.into_iter();
    let Some(first) = found.next() else {
        return Err(absent(path, draft_vocab_size, &others).into());
    };
    let same = |other: &FoundMap| {
        (other.draft_vocab_size, other.vocab_size, &other.map)
            == (first.draft_vocab_size, first.vocab_size, &first.map)
    };
    match found.find(|other| !same(other)) {
        Some(other) => Err(ambiguous(path, &first, &other).into()),
        None => Ok(first),
    }
}

/// Files that may tell one map.
struct Source {
    d2t: Option<Stored>,
    t2d: Option<Stored>,
}

/// A list in a file.
enum Stored {
    Numpy(PathBuf, NumpyFile),
    Safetensors(PathBuf, Content, Entry),
}

impl Stored {
    fn path(&self) -> &PathBuf {
        match self {
            Stored::Numpy(path, _) | Stored::Safetensors(path, ..) => path,
        }
    }

    fn view<'a>(&'a self, name: &'a str) -> TensorView<'a> {
        match self {
            Stored::Numpy(_, array) => array.view(name),
            Stored::Safetensors(path, content, entry) => TensorView {
                name: &entry.name,
                dtype: entry.dtype,
                shape: &entry.shape,
                data: content.get(entry.begin..entry.end).unwrap_or_default(),
                path,
            },
        }
    }

    /// How long the list is; what is no list is told when it is read.
    fn len(&self) -> usize {
        self.view("").shape.first().copied().unwrap_or(0)
    }
}

impl Source {
    /// Draft tokens by `d2t`, else by what `t2d` marks; nothing where there is neither.
    fn draft_vocab_size(&self) -> Option<usize> {
        let marked = |t2d: &Stored| {
            t2d.view("t2d")
                .data
                .iter()
                .filter(|byte| **byte != 0)
                .count()
        };
        self.d2t
            .as_ref()
            .map(Stored::len)
            .or_else(|| self.t2d.as_ref().map(marked))
    }

    fn resolve(
        &self,
        vocab_size: Option<usize>,
        draft_vocab_size: Option<usize>,
    ) -> Result<FoundMap> {
        let stored = || self.d2t.iter().chain(&self.t2d);
        let files: Vec<PathBuf> = stored().map(|stored| stored.path().clone()).collect();
        let place = Place::file(files.first().map_or(Path::new(""), PathBuf::as_path));
        let Some(vocab_size) = vocab_size.or_else(|| self.t2d.as_ref().map(Stored::len)) else {
            return Err(Diagnostic::error(
                codes::COUNTS_RANGE,
                "a map without `t2d` does not say how many tokens the vocabulary has",
            )
            .at(place)
            .into());
        };
        vocabulary(vocab_size).map_err(|problem| problem.at(place.clone()))?;
        let size = draft_vocab_size.or_else(|| self.draft_vocab_size());
        let size = size.unwrap_or_default();
        let (mut problems, mut decisions) = (Vec::new(), Vec::new());
        let map = Maps {
            d2t: self.d2t.as_ref().map(|stored| stored.view("d2t")),
            t2d: self.t2d.as_ref().map(|stored| stored.view("t2d")),
            draft_vocab_size: size,
            vocab_size,
            repair: false,
            offsets: false,
            entries: None,
            place,
        }
        .resolve(&mut problems, &mut decisions);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(FoundMap {
            map,
            draft_vocab_size: size,
            vocab_size,
            files,
            decisions,
        })
    }
}

/// Everything in a directory that may be a map, in the order it is preferred in.
fn sources(path: &Path) -> Result<Vec<Source>> {
    if path.is_file() {
        return Ok(in_safetensors(path)?.into_iter().collect());
    }
    let entries = fs_err::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut sources = Vec::new();
    // `d2t.npy` has the empty ending; one of the two may be missing.
    let mut endings: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix("d2t").or(name.strip_prefix("t2d")))
        .filter_map(|rest| rest.strip_suffix(".npy"))
        .filter(|ending| ending.is_empty() || ending.starts_with('-'))
        .collect();
    endings.sort_unstable();
    endings.dedup();
    for ending in endings {
        let stored = |list: &str| -> Result<Option<Stored>, Diagnostic> {
            let name = format!("{list}{ending}.npy");
            if !names.contains(&name) {
                return Ok(None);
            }
            let path = path.join(name);
            let array = NumpyFile::open(&path)?;
            Ok(Some(Stored::Numpy(path, array)))
        };
        sources.push(Source {
            d2t: stored("d2t")?,
            t2d: stored("t2d")?,
        });
    }
    for name in names.iter().filter(|name| name.ends_with(".safetensors")) {
        sources.extend(in_safetensors(&path.join(name))?);
    }
    Ok(sources)
}

/// The map in a safetensors file, if it has one.
fn in_safetensors(path: &Path) -> Result<Option<Source>> {
    let content = file::map(path)?;
    let entries = header::parse(path, &content)?;
    drop(content);
    let stored = |name: &str| -> Result<Option<Stored>, Diagnostic> {
        let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
            return Ok(None);
        };
        let content = file::map(path)?;
        Ok(Some(Stored::Safetensors(
            path.to_path_buf(),
            content,
            entry.clone(),
        )))
    };
    let source = Source {
        d2t: stored("d2t")?,
        t2d: stored("t2d")?,
    };
    Ok((source.d2t.is_some() || source.t2d.is_some()).then_some(source))
}

/// S316 for a directory without the map that is asked for.
fn absent(path: &Path, wanted: Option<usize>, others: &[usize]) -> Diagnostic {
    let name = file_name(path);
    let sizes: Vec<String> = others.iter().map(usize::to_string).collect();
    let problem = match wanted.filter(|_| !others.is_empty()) {
        Some(wanted) => Diagnostic::error(
            codes::MAP_FILES,
            format!(
                "`{name}` holds no map of {wanted} draft tokens, but one of {}",
                sizes.join(", ")
            ),
        ),
        None => Diagnostic::error(codes::MAP_FILES, format!("`{name}` holds no vocabulary map"))
            .note("looked for `d2t.npy` and `t2d.npy`, `d2t-<draft tokens>.npy` and `t2d-<draft tokens>.npy`, and safetensors files with both"),
    };
    problem.at(Place::file(path))
}

/// S316 for maps of which one would have to be chosen.
fn ambiguous(path: &Path, first: &FoundMap, other: &FoundMap) -> Diagnostic {
    let (one, two) = (first.draft_vocab_size, other.draft_vocab_size);
    let title = if one == two {
        format!(
            "`{}` holds two different maps of {one} draft tokens",
            file_name(path)
        )
    } else {
        format!(
            "`{}` holds maps of {one} and of {two} draft tokens",
            file_name(path)
        )
    };
    let named = |found: &FoundMap| {
        let names: Vec<String> = found.files.iter().map(|path| file_name(path)).collect();
        names.join(", ")
    };
    let problem = Diagnostic::error(codes::MAP_FILES, title)
        .at(Place::file(path))
        .note(format!("{}; {}", named(first), named(other)));
    if one == two {
        return problem.help("remove the one that is not meant");
    }
    problem.help("say which with the number of draft tokens")
}
