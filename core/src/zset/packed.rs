//! The packed encoding: one listpack of member, score, member, score, ..., in order, as Redis has it.
//!
//! Owns [`Packed`]. A score that is a whole number of at most 2^62 is a listpack integer (so -0 becomes 0, as in Redis), every other one its `%.17g`
//! text. Invariants: members are unique; pairs are in the order of sorted sets; every score can be read. Everything is O(n), as n is small.
//! Called by `zset.rs`.

use std::cmp::Ordering;

use super::cut::{Cut, order};
use super::inserted::Inserted;
use crate::listpack::{Item, Listpack, Pos};
use crate::number::{parse_double, write_double};

/// A small sorted set.
#[derive(Clone)]
pub(super) struct Packed {
    pack: Listpack,
}

/// Whole numbers up to this are written as integers.
const WHOLE_MAX: f64 = (1u64 << 62) as f64;

/// A score as a listpack element, with its text if it has one.
struct ScoreItem {
    whole: Option<i64>,
    text: Vec<u8>,
}

impl ScoreItem {
    fn of(score: f64) -> Self {
        if score.abs() <= WHOLE_MAX && score.trunc() == score {
            return Self {
                whole: Some(score as i64),
                text: Vec::new(),
            };
        }
        let mut text = Vec::with_capacity(24);
        write_double(&mut text, score);
        Self { whole: None, text }
    }

    fn item(&self) -> Item<'_> {
        match self.whole {
            Some(whole) => Item::Int(whole),
            None => Item::of(&self.text),
        }
    }
}

fn score_of(item: Item<'_>) -> Option<f64> {
    match item {
        Item::Int(whole) => Some(whole as f64),
        Item::Bytes(text) => parse_double(text),
    }
}

/// An element of the listpack, its place and its score.
struct Pair<'a> {
    pos: Pos,
    member: Item<'a>,
    score: f64,
}

impl Packed {
    /// Where the elements begin, to be fetched ahead.
    #[inline]
    #[must_use]
    pub(super) fn contents(&self) -> *const u8 {
        self.pack.as_bytes().as_ptr()
    }

    pub(super) fn new() -> Self {
        Self {
            pack: Listpack::new(),
        }
    }

    /// Takes a listpack from elsewhere, after checking all that this encoding relies on. O(n log n).
    pub(super) fn from_listpack(pack: Listpack) -> Option<Self> {
        let mut members = Vec::new();
        let mut last: Option<(Vec<u8>, f64)> = None;
        let mut items = pack.iter();
        while let Some(member) = items.next() {
            let member = member.to_vec();
            let score = items.next().and_then(score_of)?;
            if let Some((last_member, last_score)) = last.take()
                && order(last_score, &last_member, score, &member) != Ordering::Less
            {
                return None;
            }
            members.push(member.clone());
            last = Some((member, score));
        }
        let len = members.len();
        members.sort_unstable();
        members.dedup();
        if members.len() != len {
            return None;
        }
        Some(Self { pack })
    }

    pub(super) fn listpack(&self) -> &Listpack {
        &self.pack
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.pack.len() / 2
    }

    /// Whether a member of this many bytes still fits into a listpack.
    pub(super) fn has_room(&self, member_bytes: usize) -> bool {
        self.pack.has_room(member_bytes)
    }

    fn score_at(&self, member: Pos) -> f64 {
        let score = self.pack.next(member);
        score
            .and_then(|pos| score_of(self.pack.at(pos)))
            .expect("behind every member is a score that can be read")
    }

    /// The place of a member's element.
    fn find(&self, member: &[u8]) -> Option<Pos> {
        self.pack.find(self.pack.first(), member, 2)
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|pos| self.score_at(pos))
    }

    fn pair(&self, pos: Pos) -> Pair<'_> {
        Pair {
            pos,
            member: self.pack.at(pos),
            score: self.score_at(pos),
        }
    }

    fn pairs(&self) -> impl Iterator<Item = Pair<'_>> {
        let next = |pos: &Pos| self.after(*pos);
        std::iter::successors(self.pack.first(), next).map(|pos| self.pair(pos))
    }

    /// The place of the member after this one.
    pub(super) fn after(&self, pos: Pos) -> Option<Pos> {
        self.pack.next(self.pack.next(pos)?)
    }

    /// The place of the member before this one.
    pub(super) fn before(&self, pos: Pos) -> Option<Pos> {
        self.pack.prev(self.pack.prev(pos)?)
    }

    /// The place of the element with this rank.
    pub(super) fn at_rank(&self, rank: usize) -> Option<Pos> {
        self.pack.nth(2 * i64::try_from(rank).ok()?)
    }

    pub(super) fn element(&self, pos: Pos) -> (Item<'_>, f64) {
        let pair = self.pair(pos);
        (pair.member, pair.score)
    }

    /// The first pair behind the cut.
    fn place_of(&self, cut: &Cut<'_>) -> Option<Pos> {
        let mut digits = itoa::Buffer::new();
        self.pairs()
            .find(|pair| !cut.is_after(pair.score, pair.member.text(&mut digits)))
            .map(|pair| pair.pos)
    }

    pub(super) fn rank_at(&self, cut: &Cut<'_>) -> usize {
        let mut digits = itoa::Buffer::new();
        self.pairs()
            .take_while(|pair| cut.is_after(pair.score, pair.member.text(&mut digits)))
            .count()
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<usize> {
        let wanted = Item::of(member);
        self.pairs().position(|pair| pair.member == wanted)
    }

    /// Gives a member that is there this score; `None` if it is not there.
    pub(super) fn update(&mut self, member: &[u8], score: f64) -> Option<Inserted> {
        let pos = self.find(member)?;
        if self.score_at(pos) == score {
            return Some(Inserted::Same);
        }
        self.remove_at(pos, 1);
        self.add(member, score);
        Some(Inserted::Updated)
    }

    /// Inserts a member that is not there.
    pub(super) fn add(&mut self, member: &[u8], score: f64) {
        let place = self.place_of(&Cut::At(score, member));
        let score = ScoreItem::of(score);
        self.pack.insert(place, &[Item::of(member), score.item()]);
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let pos = self.find(member)?;
        let score = self.score_at(pos);
        self.remove_at(pos, 1);
        Some(score)
    }

    fn remove_at(&mut self, pos: Pos, count: usize) {
        self.pack.remove(pos, 2 * count);
    }

    pub(super) fn remove_ranks(
        &mut self,
        start: usize,
        end: usize,
        each: &mut dyn FnMut(Item<'_>, f64),
    ) {
        for pair in self.pairs().skip(start).take(end - start) {
            each(pair.member, pair.score);
        }
        if let Some(pos) = self.at_rank(start) {
            self.remove_at(pos, end - start);
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.pack.heap_bytes()
    }
}
