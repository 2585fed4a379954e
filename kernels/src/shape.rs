//! Checks of lengths, shared by the reference and the fast versions so that both refuse the same calls.

use crate::{Error, Result};

/// `found == expected`, or [`Error::Shape`].
pub(crate) fn equal(
    operation: &'static str,
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(Error::Shape {
            operation,
            what,
            expected,
            found,
        })
    }
}

/// `found / of` when it leaves no remainder (and `of` is not 0), or [`Error::Multiple`].
pub(crate) fn rows(
    operation: &'static str,
    what: &'static str,
    of: usize,
    found: usize,
) -> Result<usize> {
    if of != 0 && found.is_multiple_of(of) {
        Ok(found / of)
    } else {
        Err(Error::Multiple {
            operation,
            what,
            of,
            found,
        })
    }
}

/// `found < limit`, or [`Error::Range`].
pub(crate) fn below(
    operation: &'static str,
    what: &'static str,
    limit: usize,
    found: usize,
) -> Result<()> {
    if found < limit {
        Ok(())
    } else {
        Err(Error::Range {
            operation,
            what,
            limit,
            found,
        })
    }
}

/// That node 0 is the root and that every other node comes after its parent.
pub(crate) fn parents(operation: &'static str, parents: &[i32]) -> Result<()> {
    if parents.first() != Some(&-1) {
        return Err(Error::Shape {
            operation,
            what: "roots (parent -1) at node 0",
            expected: 1,
            found: 0,
        });
    }
    for (node, parent) in parents.iter().enumerate().skip(1) {
        let parent = usize::try_from(*parent).unwrap_or(usize::MAX);
        below(operation, "parent of a node", node, parent)?;
    }
    Ok(())
}
