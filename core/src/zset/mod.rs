//! Sorted sets: members with scores, ordered by score, then by member.
//!
//! Two encodings. *Packed*: one listpack of member, score, member, score, ..., the bytes that Redis has. *Large*: an index from members to scores, which is
//! a [`crate::table::Table`] whose entries hold the bits of the score as an integer, and a counted B+tree whose leaves hold, for each
//! element, the score and the address of the entry. So a member's bytes lie in memory once, and a search by score touches no member unless scores are equal.
//!
//! Every range of the commands is a pair of [`Cut`]s; the tree turns a cut into a rank in O(log n), and elements are read by rank. Where a file of the
//! folder relies on an entry being live, see `member.rs`.
//!
//! **Nodes.** A leaf has 63 elements of 16 bytes and a length: 1,016 bytes of the 1,024 of its size class; eight lines of scores, fetched all at once, then a
//! binary search. An inner node has 63 children: their first elements (the same 1,016 bytes), counts, pointers, 2,528 of 2,560 bytes, which is
//! about one byte per element; 1 M elements have three levels of them, 10 M four. Larger leaves would move more bytes per insert, smaller ones cost levels.
//! A full node gives to a neighbour before it is split, and an ascending insert leaves one place free in the nodes behind it, so a leaf is about
//! 80% full after random inserts (69% is what splits alone leave) and 98% after ascending ones.
//!
//! **Measured** (members of 10 bytes, random scores, CPU time on a shared 2.8 GHz Xeon, jemalloc; redis-server 7.0.15 on the same machine: `INFO` of a
//! pipelined load, bytes by `MEMORY USAGE`). Per member at 1 M: 69 bytes (entry 32, table 17, tree 20.5; 17 with ascending scores); Redis 102. At 10 M: 66; Redis 113.
//!
//! | CPU ns per call | insert | rank | score | new score | remove | pop_min | next of a range |
//! |---|---|---|---|---|---|---|---|
//! | 1 M | 1,000 | 1,200 | 350 | 2,200 | 860 | 510 | 29 |
//! | 10 M | 2,100 | 2,600 | 970 | 4,300 | 3,200 | 960 | 78 |
//!
//! Redis's ZADD at 10 M took 12,400 ns of CPU, the protocol included.

mod cut;
mod elements;
mod inner;
mod inserted;
mod large;
mod leaf;
mod member;
mod packed;
mod scored;
#[cfg(test)]
mod tests;
mod tree;
#[expect(
    clippy::module_inception,
    reason = "the file is named after the noun it owns"
)]
mod zset;

pub use cut::Cut;
pub use elements::Elements;
pub use inserted::Inserted;
pub use scored::Scored;
pub use zset::Zset;
