//! The number of nodes that Redis's radix tree would have for these blocks: XINFO STREAM tells it.
//!
//! The tree has a node per branching, one per run of bytes without a branching, and one per end. Its shape depends on the keys only, so it can be
//! counted from where neighbouring keys part.

use super::entries::Entries;

/// Bytes of a key.
const KEY_BYTES: usize = 16;

impl Entries {
    /// See the head of this file. O(blocks).
    #[must_use]
    pub fn radix_nodes(&self) -> usize {
        let keys: Vec<[u8; KEY_BYTES]> = self.blocks.iter().map(|(id, _)| id.to_bytes()).collect();
        if keys.is_empty() { 1 } else { nodes(&keys, 0) }
    }
}

/// Nodes of the subtree of keys that agree in the bytes before `at`.
fn nodes(keys: &[[u8; KEY_BYTES]], at: usize) -> usize {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
        return 0;
    };
    if at == KEY_BYTES {
        return 1;
    }
    let alike = (at..KEY_BYTES).take_while(|&i| first[i] == last[i]).count();
    if alike > 0 {
        return 1 + nodes(keys, at + alike);
    }
    let children = keys.chunk_by(|a, b| a[at] == b[at]);
    1 + children.map(|keys| nodes(keys, at + 1)).sum::<usize>()
}
