//! The members that a search finds, in order, at once or in slices while the keys stay locked.
//!
//! Owns [`Hunt`]. What was found lies in a map ordered by distance, so that the order costs nothing at the end and a count keeps it short.
//! Called by `search.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use tessera_core::geo::{Place, Search};
use tessera_core::resp::{Chain, Proto, Reply};
use tessera_core::zset::{Cut, Zset};

use super::request::{Order, Request};
use super::{reply_distance, reply_place};
use crate::command::{Cx, Task};
use crate::commands::zsets::{ELEMENTS_AT_ONCE, held, store};
use crate::shard::Shard;
use crate::shard::event::Event;

/// A member inside.
struct Hit {
    member: Box<[u8]>,
    score: f64,
    place: Place,
    distance_m: f64,
}

/// What becomes of the hits.
enum Output {
    Store {
        key: Box<[u8]>,
        distances: bool,
        zset: Zset,
    },
    Reply {
        distance: bool,
        hash: bool,
        place: bool,
    },
}

/// See the head of this file.
pub(super) struct Hunt {
    db: usize,
    key: Box<[u8]>,
    proto: Proto,
    search: Search,
    order: Order,
    /// Most hits wanted.
    count: usize,
    /// The first ones will do.
    any: bool,
    output: Output,
    /// What is left to look at.
    ranks: VecDeque<Range<usize>>,
    /// By distance, if that is the order, then as found.
    hits: BTreeMap<(u64, u64), Hit>,
    found: u64,
    is_searched: bool,
    /// Hits when all had been found.
    len: usize,
    /// What storing them is.
    event: Event,
}

impl Hunt {
    pub(super) fn new(
        cx: &Cx<'_>,
        key: &[u8],
        request: &Request<'_>,
        search: Search,
        event: Event,
    ) -> Self {
        let output = match request.to {
            Some(to) => Output::Store {
                key: to.into(),
                distances: request.stores_distances,
                zset: Zset::new(),
            },
            None => Output::Reply {
                distance: request.with_distance,
                hash: request.with_hash,
                place: request.with_place,
            },
        };
        // The nearest ones are meant if there is a count and nothing else is said.
        let order = match request.order {
            Order::None if request.count > 0 && !request.any => Order::Asc,
            order => order,
        };
        let mut ranks = VecDeque::new();
        if let Some(zset) = held(cx.shard, cx.db, key) {
            for cell in search.cells() {
                let scores = cell.scores();
                ranks.push_back(zset.between(Cut::Before(scores.start), Cut::Before(scores.end)));
            }
        }
        Self {
            db: cx.db,
            key: key.into(),
            proto: cx.reply.proto(),
            search,
            order,
            count: if request.count == 0 {
                usize::MAX
            } else {
                request.count
            },
            any: request.any,
            output,
            ranks,
            hits: BTreeMap::new(),
            found: 0,
            is_searched: false,
            len: 0,
            event,
        }
    }

    /// Does it, or leaves it as a task.
    pub(super) fn run(mut self, cx: &mut Cx<'_>) {
        if self.ranks.iter().map(ExactSizeIterator::len).sum::<usize>() > ELEMENTS_AT_ONCE {
            cx.task = Some(Box::new(self));
            return;
        }
        while !self.search_some(cx.shard) {}
        self.put_out(cx.shard, &mut cx.reply);
    }

    /// Looks at some more members and says whether those were all.
    fn search_some(&mut self, shard: &Shard) -> bool {
        let Some(zset) = held(shard, self.db, &self.key) else {
            return true;
        };
        let mut left = ELEMENTS_AT_ONCE;
        while left > 0 && !self.has_enough() {
            let Some(ranks) = self.ranks.front_mut() else {
                return true;
            };
            let count = ranks.len().min(left);
            let these = ranks.start..ranks.start + count;
            ranks.start += count;
            if ranks.start == ranks.end {
                self.ranks.pop_front();
            }
            left -= count;
            for (member, score) in zset.range(these) {
                if let Some((place, distance_m)) = self.search.find(score) {
                    self.add(Hit {
                        member: member.to_vec().into(),
                        score,
                        place,
                        distance_m,
                    });
                    if self.has_enough() {
                        break;
                    }
                }
            }
        }
        self.ranks.is_empty() || self.has_enough()
    }

    fn has_enough(&self) -> bool {
        self.any && self.hits.len() >= self.count
    }

    fn add(&mut self, hit: Hit) {
        // Distances are not negative: their bits are in their order.
        let key = match self.order {
            Order::None => 0,
            Order::Asc => hit.distance_m.to_bits(),
            Order::Desc => !hit.distance_m.to_bits(),
        };
        self.hits.insert((key, self.found), hit);
        self.found += 1;
        if self.hits.len() > self.count {
            self.hits.pop_last();
        }
    }

    /// Stores or writes some of the hits and says whether those were all.
    fn put_out(&mut self, shard: &mut Shard, reply: &mut Reply<'_>) -> bool {
        if !self.is_searched {
            (self.is_searched, self.len) = (true, self.hits.len());
            if let Output::Reply { .. } = self.output {
                reply.array(self.len);
            }
        }
        let limits = shard.zset_limits();
        for _ in 0..ELEMENTS_AT_ONCE {
            let Some((_, hit)) = self.hits.pop_first() else {
                break;
            };
            let distance = hit.distance_m / self.search.unit_m;
            match &mut self.output {
                Output::Store {
                    distances, zset, ..
                } => {
                    let score = if *distances { distance } else { hit.score };
                    zset.insert(&hit.member, score, &limits);
                }
                &mut Output::Reply {
                    distance: with_distance,
                    hash,
                    place,
                } => write(reply, &hit, with_distance.then_some(distance), hash, place),
            }
        }
        let is_done = self.hits.is_empty();
        if is_done && let Output::Store { key, zset, .. } = &mut self.output {
            let zset = std::mem::take(zset);
            let event = self.event;
            reply.integer(store(shard, self.db, key, zset, self.len, event) as i64);
        }
        is_done
    }
}

/// A hit, with what was asked for beside the member.
fn write(reply: &mut Reply<'_>, hit: &Hit, distance: Option<f64>, hash: bool, place: bool) {
    let details = usize::from(distance.is_some()) + usize::from(hash) + usize::from(place);
    if details > 0 {
        reply.array(1 + details);
    }
    reply.bulk(&hit.member);
    if let Some(distance) = distance {
        reply_distance(reply, distance);
    }
    if hash {
        // Out of range, C on x86-64 has the smallest integer.
        let is_in_range = hit.score.abs() < i64::MAX as f64;
        reply.integer(if is_in_range {
            hit.score as i64
        } else {
            i64::MIN
        });
    }
    if place {
        reply_place(reply, hit.place);
    }
}

impl Task for Hunt {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        if !self.is_searched && !self.search_some(shard) {
            return false;
        }
        let mut reply = Reply::new(reply.tail(), self.proto);
        self.put_out(shard, &mut reply)
    }

    fn holds_keys(&self) -> bool {
        true
    }
}
