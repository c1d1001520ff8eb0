//! Lists: sequences that are changed at both ends and read by index.
//!
//! A small one is one listpack; a large one a deque of blocks, each a listpack of bounded size, or a single element that is too large
//! for a block. Blocks know their counts, so an index is found by skipping whole blocks. What shrinks into half of one block is one listpack
//! again, as in Redis 7.2.

mod blocks;
mod elements;
mod limits;
mod node;
mod sequence;
#[cfg(test)]
mod tests;

pub use elements::Elements;
pub use limits::ListLimits;
pub use node::{End, NodeRef, Spot};
pub use sequence::List;
