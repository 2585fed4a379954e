//! What can be wrong with the arguments of an operation.

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can get wrong. Nothing is written to the outputs when one of these is returned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice does not have the length which the other arguments ask for.
    #[error("{operation}: {what}: expected {expected}, found {found}")]
    Shape {
        /// The operation, by the name of its function.
        operation: &'static str,
        /// The argument, and what is counted.
        what: &'static str,
        /// What the other arguments ask for.
        expected: usize,
        /// What was passed.
        found: usize,
    },
    /// A length that must be a multiple of another is not.
    #[error("{operation}: {what}: {found} is not a multiple of {of}")]
    Multiple {
        /// The operation, by the name of its function.
        operation: &'static str,
        /// The argument, and what is counted.
        what: &'static str,
        /// What the length must be a multiple of.
        of: usize,
        /// The length.
        found: usize,
    },
    /// An index, a position or a count lies outside what it refers to.
    #[error("{operation}: {what}: {found} is out of range, the limit is {limit}")]
    Range {
        /// The operation, by the name of its function.
        operation: &'static str,
        /// What is out of range.
        what: &'static str,
        /// The first value that is too large.
        limit: usize,
        /// The value.
        found: usize,
    },
    /// A storage type that this buffer cannot have.
    #[error("{operation}: weights of type {found:?} are not supported here, {expected} are")]
    Storage {
        /// The operation, by the name of its function.
        operation: &'static str,
        /// The types that are supported, in words.
        expected: &'static str,
        /// The type.
        found: crate::WeightType,
    },
    /// A list that must be strictly ascending is not.
    #[error("{operation}: {what}: entry {index} is {found}, after {previous}; they must ascend")]
    Order {
        /// The operation, by the name of its function.
        operation: &'static str,
        /// The list.
        what: &'static str,
        /// The first entry that does not ascend.
        index: usize,
        /// The entry before it.
        previous: usize,
        /// The entry.
        found: usize,
    },
    /// A list in which nothing may come twice has something twice.
    #[error("{operation}: {what}: {found} is entry {first} and again entry {index}")]
    Repeated {
        /// The operation.
        operation: &'static str,
        /// What comes twice.
        what: &'static str,
        /// Where it is first.
        first: usize,
        /// Where it is again.
        index: usize,
        /// What it is.
        found: usize,
    },
    /// A parameter of sampling or of a rule of verification outside its domain.
    #[error("{operation}: {what} is {found}, expected {expected}")]
    Sampling {
        /// The operation, by the name of its function.
        operation: &'static str,
        /// The parameter.
        what: &'static str,
        /// Its domain, in words.
        expected: &'static str,
        /// The value.
        found: f32,
    },
    /// The processor lacks the instruction set that was asked for.
    #[error("this processor does not have {wanted}; the best it has is {best}")]
    Isa {
        /// What was asked for.
        wanted: &'static str,
        /// What there is.
        best: &'static str,
    },
    /// The operating system refused memory.
    #[error("cannot allocate {bytes} bytes")]
    Memory {
        /// How much was asked for.
        bytes: usize,
    },
}
