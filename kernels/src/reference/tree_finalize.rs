use crate::{DraftTree, Result, VerifyTree, shape};

/// Keeps the best candidates of a draft tree for verification: `nodes` nodes in all, the root included (fewer when
/// there are not so many candidates).
///
/// Candidates are ranked by score, ties by the smaller index, and then put in the order of their indices. As no child
/// scores above its parent and none comes before it, the ancestors of whatever is kept are kept as well.
///
/// # Errors
///
/// [`Error::Range`](crate::Error::Range) when `nodes` is 0.
pub fn tree_finalize(tree: &DraftTree, root: u32, nodes: usize) -> Result<VerifyTree> {
    shape::below("tree_finalize", "root among the nodes", nodes, 0)?;
    let mut kept: Vec<usize> = (0..tree.len()).collect();
    kept.sort_by(|a, b| tree.order(*a, *b));
    kept.truncate(nodes - 1);
    kept.sort_unstable();

    let mut tokens = vec![root];
    let mut parents = vec![-1];
    for candidate in &kept {
        tokens.push(tree.tokens[*candidate]);
        parents.push(match usize::try_from(tree.parents[*candidate]) {
            // The place of the parent among those kept, after the root.
            Ok(parent) => kept.partition_point(|other| *other < parent) as i32 + 1,
            Err(_) => 0,
        });
    }
    VerifyTree::from_parents(tokens, parents)
}
