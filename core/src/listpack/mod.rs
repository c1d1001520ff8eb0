//! Listpack: a sequence of byte strings and integers in one block of bytes, in the very format of Redis.
//!
//! Small lists, hashes, sets and sorted sets, and the nodes of lists and streams, are listpacks; since the bytes are Redis's own, DUMP
//! and RDB files copy them. Format (public, `listpack.md` by Salvatore Sanfilippo): a header of the block's length (u32) and the number of elements (u16, 65,535: count
//! them), elements, and a final 0xFF. An element is its encoding byte, its data, and its length once more, backwards readable, for walks from the end.

mod element;
mod pack;
#[cfg(test)]
mod tests;

pub use element::Item;
pub use pack::{Corrupt, Listpack, Pos};
