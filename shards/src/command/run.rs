//! How a keyspace command runs: the function on the owner, and what the router does when its keys lie on several shards.

use crate::command::{Cx, Spec};

/// Carries a command out on the shard that holds all its keys and writes its reply. `args[0]` is the name as the client sent it;
/// the arity has been checked.
pub type Op = for<'a, 'b, 'c> fn(&'a mut Cx<'b>, &'c [&'c [u8]]);

/// How the replies of the parts of a split command become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Merge {
    /// Integers, added.
    Sum,
    /// All say the same; any error wins.
    Same,
    /// Arrays with one element per key, put back into the order of the keys.
    Interleave,
    /// Arrays, one after the other.
    Concat,
    /// Pairs of a weight and a value: one value, chosen with the weights; null if all weights are 0.
    Weighted,
}

/// What the router does with the keys of a command that are not all on one shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spread {
    /// Cannot happen: there is one key.
    One,
    /// Each key (with the `stride - 1` arguments after it) is independent: every owner runs the same function on its share.
    Split {
        /// Arguments per key.
        stride: usize,
        /// How the replies are put together.
        merge: Merge,
    },
    /// The function must see all keys in one place: they are borrowed.
    Borrow,
    /// No keys: every shard runs the function over all it has.
    Everywhere {
        /// How the replies are put together.
        merge: Merge,
    },
    /// SCAN: the shards one after the other.
    Cursor,
    /// EVAL and its kin: borrowed like the keys of `Borrow`; other commands run inside.
    Script,
}

/// A keyspace command: its row, its function, its spread.
#[derive(Clone, Copy, Debug)]
pub struct KeyspaceRow {
    /// What is known of it.
    pub spec: Spec,
    /// The function that runs on the owner.
    pub op: Op,
    /// What happens when keys lie apart.
    pub spread: Spread,
}

/// How a command of the registry runs: over keys, or at the connection by a function of type `S` that the server defines.
#[derive(Clone, Copy, Debug)]
pub enum Run<S> {
    /// On owners.
    Keyspace {
        /// The function.
        op: Op,
        /// The spread.
        spread: Spread,
    },
    /// At the coordinator's connection.
    Session(S),
}
