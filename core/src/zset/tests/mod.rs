//! Tests of sorted sets: against a sorted vector, and the invariants of the tree.

mod model;
mod packed;
mod tree;

use super::cut::order;
use super::inner::{NODE_MIN, Node};
use super::large::Large;
use super::leaf::Leaf;
use super::member::{MemberRef, score_of};
use super::zset::{Encoding, Zset};
use super::{Cut, Inserted};
use crate::object::PackLimits;

/// Elements in the order of sorted sets.
type Model = Vec<(f64, Vec<u8>)>;

/// Limits under which nothing is packed.
const NEVER_PACKED: PackLimits = limits(0, 0);
/// Redis's defaults.
const USUAL: PackLimits = limits(128, 64);

const fn limits(entries_max: usize, value_bytes_max: usize) -> PackLimits {
    PackLimits {
        entries_max,
        value_bytes_max,
        seed: 0x5eed,
    }
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn all(zset: &Zset) -> Model {
    zset.iter()
        .map(|(member, score)| (score, member.to_vec()))
        .collect()
}

impl Zset {
    /// Checks what can be counted again.
    fn check(&self) {
        match &self.encoding {
            Encoding::Packed(packed) => {
                assert_eq!(packed.listpack().len(), 2 * packed.len());
            }
            Encoding::Large(large) => large.check(),
        }
    }
}

/// What a subtree is found to be.
#[derive(Default)]
struct Seen {
    count: usize,
    bytes: usize,
    height: usize,
    last: Option<(f64, MemberRef)>,
}

/// Checks that the elements of a node are in order and behind what lies before it.
fn check_run(run: &Leaf, before: Option<(f64, MemberRef)>) {
    let elements = (0..run.len()).map(|i| run.element(i));
    let elements: Vec<_> = before.into_iter().chain(elements).collect();
    for pair in elements.windows(2) {
        let [(score, member), (next_score, next)] = [pair[0], pair[1]];
        assert!(order(score, member.bytes(), next_score, next.bytes()).is_lt());
    }
}

/// Checks a subtree; `is_last`: nothing of its level lies behind it.
fn check_node(node: &Node, is_last: bool, is_root: bool, last: Option<(f64, MemberRef)>) -> Seen {
    assert!(node.len() > 0 || is_root, "a node is empty");
    assert!(node.len() >= NODE_MIN || is_last, "a node is short");
    let mut seen = Seen {
        bytes: node.own_bytes(),
        last,
        ..Seen::default()
    };
    check_run(node.run(), last);
    let inner = match node {
        Node::Leaf(leaf) => {
            seen.count = leaf.len();
            seen.last = leaf.len().checked_sub(1).map(|i| leaf.element(i));
            return seen;
        }
        Node::Inner(inner) => inner,
    };
    assert!(!is_root || inner.len() >= 2, "the root has one child");
    for i in 0..inner.len() {
        let child = inner.child(i);
        assert!(
            child.run().element(0) == node.run().element(i),
            "a first element"
        );
        let found = check_node(child, is_last && i + 1 == inner.len(), false, seen.last);
        assert_eq!(found.count, inner.counts()[i], "a count");
        assert!(i == 0 || found.height + 1 == seen.height, "two heights");
        seen.count += found.count;
        seen.bytes += found.bytes;
        seen.height = found.height + 1;
        seen.last = found.last;
    }
    seen
}

impl Large {
    fn check(&self) {
        let seen = check_node(self.tree.root(), true, true, None);
        assert_eq!(
            (seen.count, seen.bytes),
            (self.tree.len(), self.tree.heap_bytes())
        );
        assert_eq!(self.index.len(), self.tree.len());
        let mut rank = 0;
        while rank < self.tree.len() {
            let (leaf, _) = self.tree.leaf_at(rank);
            for (member, score) in leaf.members().iter().zip(leaf.scores()) {
                let entry = self
                    .index
                    .get(self.index.hash(member.bytes()), member.bytes());
                let entry = entry.expect("a member of the tree is in the index");
                assert!(
                    MemberRef::of(entry) == *member,
                    "the bytes lie in memory once"
                );
                assert_eq!(score_of(entry).to_bits(), score.to_bits());
            }
            rank += leaf.len();
        }
    }
}

/// Where an element is, or would be, in the model.
fn place(model: &Model, score: f64, member: &[u8]) -> usize {
    model.partition_point(|(s, m)| order(*s, m, score, member).is_lt())
}

/// Inserts into both, which must say the same.
fn insert(zset: &mut Zset, model: &mut Model, member: &[u8], score: f64, limits: PackLimits) {
    let old = model.iter().position(|(_, m)| m == member);
    let expected = match old {
        None => Inserted::Added,
        Some(at) if model[at].0 == score => Inserted::Same,
        Some(_) => Inserted::Updated,
    };
    if expected != Inserted::Same {
        old.map(|at| model.remove(at));
        model.insert(place(model, score, member), (score, member.to_vec()));
    }
    assert_eq!(zset.insert(member, score, &limits), expected);
}

/// The model's rank of a cut, counted one by one.
fn count_before(model: &Model, cut: Cut<'_>) -> usize {
    let is_before = |(score, member): &&(f64, Vec<u8>)| match cut {
        Cut::Start => false,
        Cut::End => true,
        Cut::Before(bound) => *score < bound,
        Cut::After(bound) => *score <= bound,
        Cut::BeforeMember(bound) => member.as_slice() < bound,
        Cut::AfterMember(bound) => member.as_slice() <= bound,
        Cut::At(bound, name) => order(*score, member, bound, name).is_lt(),
    };
    model.iter().filter(is_before).count()
}
