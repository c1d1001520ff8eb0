//! SORT of many elements, where no pattern names keys: in slices, while the keys stay locked. Elements are collected, put in order, and
//! given out; nothing changes before the last slice.

use std::ops::Range;

use tessera_core::list::{End, List, ListLimits, Spot};
use tessera_core::listpack::Item;
use tessera_core::object::{Collection, Object, View};
use tessera_core::resp::{Chain, Proto, Reply};
use tessera_core::set::Set;
use tessera_core::zset::Zset;

use super::merge::Merge;
use super::options::Options;
use super::order::{Order, Weighed, number};
use super::texts::Texts;
use super::{NOT_NUMBERS, store_list};
use crate::command::{Cx, Task};
use crate::shard::Shard;

/// As many elements are sorted at once; and as many are collected or given out per slice.
const AT_ONCE: usize = 1024;

/// Leaves the sorting of a collection as a task, if it is long and nothing else is needed for it. Says whether it did, or refused to.
pub(super) fn begin(cx: &mut Cx<'_>, key: &[u8], options: &Options<'_>) -> bool {
    let entry = cx.shard.table(cx.db).get(cx.shard.hash(key), key);
    let Some(object) = entry.and_then(|entry| entry.object()) else {
        return false;
    };
    let Some(next) = Next::of(object) else {
        return false;
    };
    if object.len() <= AT_ONCE || options.names_keys() {
        return false;
    }
    let is_set = matches!(next, Next::Set(_));
    let sorts_anyway = options.sorts_sets && is_set;
    let mut rows = Vec::new();
    if rows.try_reserve_exact(object.len()).is_err() {
        cx.reply.refuse();
        return true;
    }
    let order = Order {
        is_descending: options.is_descending,
        is_text: options.is_text || sorts_anyway,
        is_stored: options.store.is_some(),
    };
    cx.task = Some(Box::new(Sorting {
        db: cx.db,
        key: key.into(),
        proto: cx.reply.proto(),
        limits: cx.shard.list_limits(),
        order,
        is_sorted: !options.is_unsorted || sorts_anyway,
        is_reversed: options.is_unsorted && options.is_descending && !is_set,
        range: options.range(object.len()),
        gets: options
            .get
            .iter()
            .map(|pattern| pattern.is_element())
            .collect(),
        store: options.store.map(Box::from),
        texts: Texts::default(),
        stage: Stage::Collect(next, rows),
    }));
    true
}

/// Where the next elements are.
#[derive(Clone, Copy)]
enum Next {
    List(Option<Spot>),
    Rank(usize),
    Set(u64),
}

impl Next {
    /// The first ones, if this type can be sorted.
    fn of(object: &Object) -> Option<Self> {
        match object.view() {
            View::List(list) => Some(Self::List(list.end(End::Front))),
            View::Zset(_) => Some(Self::Rank(0)),
            View::Set(_) => Some(Self::Set(0)),
            View::Hash(_) | View::Stream(_) => None,
        }
    }

    /// Visits some elements and says whether those were the last.
    fn visit(&mut self, object: &Object, visit: &mut dyn FnMut(Item<'_>)) -> bool {
        match self {
            Self::List(spot) => List::of(object).is_none_or(|list| {
                let mut elements = list.elements(*spot, End::Back);
                elements.by_ref().take(AT_ONCE).for_each(visit);
                *spot = elements.spot();
                spot.is_none()
            }),
            Self::Rank(rank) => Zset::of(object).is_none_or(|zset| {
                let end = zset.len().min(*rank + AT_ONCE);
                zset.range(*rank..end).for_each(|(member, _)| visit(member));
                *rank = end;
                end == zset.len()
            }),
            Self::Set(cursor) => Set::of(object).is_none_or(|set| {
                let mut seen = 0;
                while seen < AT_ONCE {
                    *cursor = set.walk(*cursor, &mut |member| {
                        seen += 1;
                        visit(member);
                    });
                    if *cursor == 0 {
                        return true;
                    }
                }
                false
            }),
        }
    }
}

enum Stage {
    Collect(Next, Vec<Weighed>),
    Merge(Merge<Weighed>),
    /// What is left to give out, and the list that becomes of it.
    Give(Vec<Weighed>, Range<usize>, List),
    /// An element is no number, or memory was refused.
    Fail(&'static str),
    Refuse,
}

/// A SORT under way.
struct Sorting {
    db: usize,
    key: Box<[u8]>,
    proto: Proto,
    limits: ListLimits,
    order: Order,
    is_sorted: bool,
    is_reversed: bool,
    /// Which of the sorted elements are wanted.
    range: Range<usize>,
    /// What is given of each, if not the element alone: itself, or nothing.
    gets: Box<[bool]>,
    store: Option<Box<[u8]>>,
    texts: Texts,
    stage: Stage,
}

impl Sorting {
    /// Reads some elements.
    fn collect(&mut self, shard: &Shard, mut next: Next, mut rows: Vec<Weighed>) -> Stage {
        let entry = shard.table(self.db).get(shard.hash(&self.key), &self.key);
        let needs_scores = self.is_sorted && !self.order.is_text;
        let (texts, mut digits, mut fails) = (&mut self.texts, itoa::Buffer::new(), false);
        let mut push = |item: Item<'_>| {
            let text = item.text(&mut digits);
            let score = if needs_scores {
                number(text)
            } else {
                Some(0.0)
            };
            fails |= score.is_none();
            rows.push(Weighed {
                score: score.unwrap_or(0.0),
                place: texts.push(text),
            });
        };
        // Without the key there is no more than what was read.
        let object = entry.and_then(|entry| entry.object());
        let is_done = object.is_none_or(|object| next.visit(object, &mut push));
        match (is_done, fails) {
            (_, true) => Stage::Fail(NOT_NUMBERS),
            (false, _) => Stage::Collect(next, rows),
            (true, _) if self.is_sorted => Merge::new(rows).map_or(Stage::Refuse, Stage::Merge),
            (true, _) => {
                if self.is_reversed {
                    rows.reverse();
                }
                self.give_from(rows)
            }
        }
    }

    fn give_from(&self, rows: Vec<Weighed>) -> Stage {
        let end = self.range.end.min(rows.len());
        let range = self.range.start.min(end)..end;
        Stage::Give(rows, range, List::new())
    }

    /// The values of an element.
    fn each_value<'a>(&'a self, row: &Weighed, visit: &mut dyn FnMut(Option<&'a [u8]>)) {
        let text = self.texts.get(row.place);
        if self.gets.is_empty() {
            visit(Some(text));
        }
        self.gets
            .iter()
            .for_each(|is_element| visit(is_element.then_some(text)));
    }

    /// Gives some out. Says whether that was all.
    fn give(
        &self,
        rows: &[Weighed],
        range: &mut Range<usize>,
        list: &mut List,
        reply: &mut Reply<'_>,
    ) -> bool {
        let end = range.end.min(range.start + AT_ONCE);
        for row in &rows[range.start..end] {
            if self.store.is_some() {
                self.each_value(row, &mut |value| {
                    list.push(End::Back, &[value.unwrap_or(b"")], &self.limits);
                });
            } else {
                self.each_value(row, &mut |value| reply.bulk_or_null(value));
            }
        }
        range.start = end;
        range.start == range.end
    }

    fn head(&self, reply: &mut Reply<'_>, len: usize) {
        if self.store.is_none() {
            reply.array(len * self.gets.len().max(1));
        }
    }
}

impl Task for Sorting {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_first = reply.is_empty();
        let mut reply = Reply::new(reply.tail(), self.proto);
        match std::mem::replace(&mut self.stage, Stage::Refuse) {
            Stage::Collect(next, rows) => self.stage = self.collect(shard, next, rows),
            Stage::Merge(mut merge) => {
                let (order, texts) = (self.order, &self.texts);
                let is_done = merge.step(|a, b| order.compare(texts, a, b));
                self.stage = if is_done {
                    self.give_from(merge.into_items())
                } else {
                    Stage::Merge(merge)
                };
            }
            Stage::Give(rows, mut range, mut list) => {
                if is_first {
                    self.head(&mut reply, range.len());
                }
                let is_done = self.give(&rows, &mut range, &mut list, &mut reply);
                if is_done && let Some(target) = &self.store {
                    reply.integer(store_list(shard, self.db, target, list));
                } else if !is_done {
                    self.stage = Stage::Give(rows, range, list);
                }
                return is_done;
            }
            Stage::Fail(text) => {
                reply.error(text);
                return true;
            }
            Stage::Refuse => {
                reply.refuse();
                return true;
            }
        }
        false
    }

    fn holds_keys(&self) -> bool {
        true
    }
}
