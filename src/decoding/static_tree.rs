//! Trees of one shape for all steps, as Medusa and EAGLE-1 publish them: a list of paths of child ranks.
//!
//! `[0, 2]` is the third likeliest token after the likeliest one. A node is there when its path is listed, and its
//! parent has to be there too.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use speculators_formats::{Diagnostic, Place, codes};

use super::strategy::{MAX_SPECULATIVE_TOKENS, MAX_TREE_TOKENS, MAX_TREE_WIDTH};
use crate::Result;

/// A tree of one shape for all steps.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(try_from = "Paths")]
pub struct StaticTree {
    /// Shorter ones first, and those of a length by their ranks: then a parent comes before its children.
    paths: Vec<Vec<usize>>,
    /// Of each path, the place of its parent among the nodes, the root being node 0.
    #[serde(skip)]
    parents: Vec<usize>,
}

/// What is written down of a tree.
#[derive(JsonSchema, Deserialize)]
struct Paths {
    paths: Vec<Vec<usize>>,
}

impl TryFrom<Paths> for StaticTree {
    type Error = crate::Error;

    fn try_from(written: Paths) -> Result<StaticTree> {
        StaticTree::new(written.paths)
    }
}

impl StaticTree {
    /// A tree of some paths, in any order.
    ///
    /// # Errors
    /// A diagnostic for each path that cannot be: empty, too long, listed twice, of a rank that is too large, or
    /// without its parent; or for too many or no paths.
    pub fn new(mut paths: Vec<Vec<usize>>) -> Result<StaticTree> {
        paths.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        let mut found = Vec::new();
        let mut problem = |title: String| found.push(Diagnostic::error(codes::USAGE, title));
        if !(1..=MAX_TREE_TOKENS).contains(&paths.len()) {
            problem(format!(
                "the tree has {} paths, 1 to {MAX_TREE_TOKENS} are possible",
                paths.len()
            ));
        }
        let mut parents = Vec::with_capacity(paths.len());
        for (index, path) in paths.iter().enumerate() {
            let Some((rank, above)) = path.split_last() else {
                problem("the tree lists an empty path, which would be its root".to_owned());
                continue;
            };
            if path.len() > MAX_SPECULATIVE_TOKENS {
                problem(format!(
                    "path {path:?} of the tree has {} tokens, up to {MAX_SPECULATIVE_TOKENS} are possible",
                    path.len()
                ));
            }
            if *rank >= MAX_TREE_WIDTH {
                problem(format!(
                    "path {path:?} of the tree ends in rank {rank}, 0 to {} are possible",
                    MAX_TREE_WIDTH - 1
                ));
            }
            if index > 0 && paths[index - 1] == *path {
                problem(format!("the tree lists path {path:?} twice"));
            }
            let parent = paths[..index].iter().position(|other| other == above);
            match parent {
                Some(parent) => parents.push(parent + 1),
                None if above.is_empty() => parents.push(0),
                None => problem(format!(
                    "the tree lists path {path:?} without its parent {above:?}"
                )),
            }
        }
        if found.is_empty() {
            Ok(StaticTree { paths, parents })
        } else {
            Err(found.into())
        }
    }

    /// A path whose last rank is not the first below its parent, while the rank before it is not there.
    pub(crate) fn gap(&self) -> Option<&[usize]> {
        let before = |path: &[usize]| {
            let mut before = path.to_vec();
            let rank = before.last_mut()?;
            *rank = rank.checked_sub(1)?;
            Some(before)
        };
        let lacks =
            |path: &&Vec<usize>| before(path).is_some_and(|before| !self.paths.contains(&before));
        self.paths.iter().find(lacks).map(Vec::as_slice)
    }

    /// Reads a JSON list of lists of child ranks.
    ///
    /// # Errors
    /// Diagnostics for a file that cannot be read or is something else, and as for [`StaticTree::new`].
    pub fn read(path: &Path) -> Result<StaticTree> {
        let text = fs_err::read_to_string(path).map_err(|error| {
            Diagnostic::error(codes::FILE_MISSING, "the tree cannot be read")
                .at(Place::file(path))
                .note(error.to_string())
        })?;
        let paths: Vec<Vec<usize>> = serde_json::from_str(&text).map_err(|error| {
            Diagnostic::error(
                codes::JSON_MALFORMED,
                "the tree is not a list of paths of child ranks",
            )
            .at(Place::text(path, error.line().max(1), error.column().max(1)))
            .note(error.to_string())
            .help("write it as JSON: `[[0], [1], [0, 0]]` is two children of the root and one below the first")
        })?;
        StaticTree::new(paths).map_err(|error| match error {
            crate::Error::Diagnostics(problems) => problems
                .into_iter()
                .map(|problem| problem.at(Place::file(path)))
                .collect::<Vec<_>>()
                .into(),
            other => other,
        })
    }

    /// The paths, shorter ones first.
    #[must_use]
    pub fn paths(&self) -> &[Vec<usize>] {
        &self.paths
    }

    /// The length of the longest path.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.paths.last().map_or(0, Vec::len)
    }

    /// The most children that a node could need ranked: one more than the largest rank.
    #[must_use]
    pub fn width(&self) -> usize {
        let ranks = self.paths.iter().filter_map(|path| path.last());
        ranks.max().map_or(0, |rank| rank + 1)
    }

    /// The nodes of paths up to a length, without the root: place of the parent (0 is the root), and rank among its
    /// children. Node `n` is entry `n - 1`.
    pub(crate) fn nodes(&self, depth: usize) -> impl Iterator<Item = (usize, usize)> {
        let nodes = self.parents.iter().zip(&self.paths);
        nodes
            .take_while(move |(_, path)| path.len() <= depth)
            .filter_map(|(parent, path)| Some((*parent, *path.last()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_come_in_any_order() {
        let tree = StaticTree::new(vec![vec![0, 1, 0], vec![1], vec![0, 1], vec![0]]).unwrap();
        assert_eq!(tree.paths(), [vec![0], vec![1], vec![0, 1], vec![0, 1, 0]]);
        assert_eq!((tree.depth(), tree.width()), (3, 2));
        let nodes: Vec<_> = tree.nodes(9).collect();
        assert_eq!(nodes, [(0, 0), (0, 1), (1, 1), (3, 0)]);
        assert_eq!(tree.nodes(2).count(), 3);
    }

    #[test]
    fn says_what_is_wrong_with_each_path() {
        let message = |paths| StaticTree::new(paths).unwrap_err().to_string();
        assert_eq!(
            message(vec![]),
            "the tree has 0 paths, 1 to 255 are possible"
        );
        assert_eq!(
            message(vec![vec![0], vec![], vec![1, 0], vec![0], vec![64]]),
            "the tree lists an empty path, which would be its root; the tree lists path [0] twice; \
             path [64] of the tree ends in rank 64, 0 to 63 are possible; \
             the tree lists path [1, 0] without its parent [1]"
        );
        let long = (1..=64).map(|length| vec![0; length]).collect();
        assert!(message(long).ends_with("has 64 tokens, up to 63 are possible"));
    }
}
