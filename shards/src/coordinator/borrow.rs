//! Borrowing: keys of several shards come to the coordinator, the command runs there as if they were its own, and they go home.
//!
//! The entries change hands by pointer. The owner keeps the keys locked meanwhile; keys of the coordinator itself stay where they are, locked. The
//! foreign keys are in the coordinator's table only within one uninterrupted step, so that nobody sees them there.

use smallvec::{SmallVec, smallvec};
use tessera_core::number::parse_i64;

use crate::coordinator::engine::{Asker, Engine, Submitted, distinct};
use crate::coordinator::route::Places;
use crate::coordinator::work::Parked;
use crate::mesh::{Parcel, TakenKey};

/// A command that waits for its keys.
pub(super) struct Borrow {
    command: Parked,
    waiting: usize,
    /// Owner, its lock, its keys.
    taken: Vec<(usize, u32, Vec<TakenKey>)>,
}

/// Keys of one owner, borrowed under one lock. The coordinator's own keys are not in the list: they stay in its table.
pub(super) struct Loan {
    owner: usize,
    lock: u32,
    keys: Vec<TakenKey>,
}

/// Where a loan's entries lie while they are in the table.
pub(super) struct Place {
    owner: usize,
    lock: u32,
    keys: Vec<(usize, Box<[u8]>)>,
}

/// The databases that a command touches: COPY is the one that names a second.
fn databases(args: &[&[u8]], db: usize, count: usize) -> SmallVec<[usize; 2]> {
    let named = args
        .windows(2)
        .skip(3)
        .filter(|pair| args[0].eq_ignore_ascii_case(b"copy") && pair[0].eq_ignore_ascii_case(b"db"))
        .filter_map(|pair| usize::try_from(parse_i64(pair[1])?).ok())
        .next_back();
    match named {
        Some(other) if other != db && other < count => smallvec![db, other],
        _ => smallvec![db],
    }
}

impl<X> Engine<X> {
    /// Sends the takes of a command whose keys lie on several shards.
    pub(super) fn submit_borrow(
        &mut self,
        command: u16,
        asker: &Asker,
        args: &[&[u8]],
        places: &Places,
    ) -> Submitted {
        let head = self.head(command, asker);
        let dbs = databases(args, asker.db, self.shard.databases());
        let borrow = Borrow {
            command: Parked::new(&head, args),
            waiting: 0,
            taken: Vec::new(),
        };
        let number = self.borrows.insert(borrow);
        for target in 0..self.shards {
            let keys = distinct(
                places
                    .keys
                    .iter()
                    .filter(|(_, owner)| *owner == target)
                    .map(|(at, _)| args[*at].into()),
            );
            if keys.is_empty() {
                continue;
            }
            self.borrows[number].waiting += 1;
            self.hops += u64::from(target != self.id);
            self.out[target].parcel(Parcel::Take {
                sender: self.id,
                borrow: number as u32,
                dbs: dbs.clone(),
                keys,
            });
        }
        Submitted::Batched(self.id)
    }

    /// A message about a borrow.
    pub fn parcel(&mut self, parcel: Parcel<X>) {
        match parcel {
            take @ Parcel::Take { .. } => self.take(take),
            Parcel::Taken {
                borrow,
                owner,
                lock,
                keys,
            } => {
                let open = &mut self.borrows[borrow as usize];
                open.taken.push((owner, lock, keys));
                open.waiting -= 1;
                if open.waiting == 0 {
                    let ready = self.borrows.remove(borrow as usize);
                    self.run_with_borrowed(ready);
                }
            }
            Parcel::Return { lock, keys } => {
                for key in keys {
                    if let Some(entry) = key.entry {
                        self.shard.insert(key.db, entry);
                    }
                }
                self.release(lock);
            }
            // The front end runs calls itself.
            Parcel::Call { .. } => {}
        }
    }

    /// The keys of a take are locked: sends their entries. The coordinator's own stay.
    pub(super) fn hand_over(&mut self, lock: u32, take: Parcel<X>) {
        let Parcel::Take {
            sender,
            borrow,
            dbs,
            keys,
        } = take
        else {
            return;
        };
        let mut taken = Vec::new();
        if sender != self.id {
            for db in dbs {
                for key in &keys {
                    taken.push(TakenKey {
                        db,
                        key: key.clone(),
                        entry: self.shard.take(db, key),
                    });
                }
            }
        }
        let parcel = Parcel::Taken {
            borrow,
            owner: self.id,
            lock,
            keys: taken,
        };
        if sender == self.id {
            self.parcel(parcel);
        } else {
            self.out[sender].parcel(parcel);
        }
    }

    fn run_with_borrowed(&mut self, ready: Borrow) {
        let Borrow { command, taken, .. } = ready;
        let loans = taken
            .into_iter()
            .map(|(owner, lock, keys)| Loan { owner, lock, keys });
        let places = self.lay_out(loans.collect());
        let task = self.run_or_task(&command.head, &command.args());
        let loans = self.pick_up(places);
        match task {
            Some(task) if task.holds_keys() => {
                self.start_with(&command.head, task, None, loans);
            }
            Some(task) => {
                self.start_with(&command.head, task, None, Vec::new());
                self.give_back(loans);
            }
            None => self.give_back(loans),
        }
    }

    /// Puts borrowed entries into this shard's table, for one uninterrupted step.
    pub(super) fn lay_out(&mut self, loans: Vec<Loan>) -> Vec<Place> {
        let lay_out = |Loan { owner, lock, keys }| {
            let lay_out = |TakenKey { db, key, entry }| {
                if let Some(entry) = entry {
                    self.shard.insert(db, entry);
                }
                (db, key)
            };
            let keys = keys.into_iter().map(lay_out).collect();
            Place { owner, lock, keys }
        };
        loans.into_iter().map(lay_out).collect()
    }

    /// Takes what is under the borrowed keys out of the table again.
    pub(super) fn pick_up(&mut self, places: Vec<Place>) -> Vec<Loan> {
        let pick_up = |Place { owner, lock, keys }| {
            let pick_up = |(db, key): (usize, Box<[u8]>)| {
                let entry = self.shard.take(db, &key);
                TakenKey { db, key, entry }
            };
            let keys = keys.into_iter().map(pick_up).collect();
            Loan { owner, lock, keys }
        };
        places.into_iter().map(pick_up).collect()
    }

    /// Sends borrowed keys home; the own ones become free.
    pub(super) fn give_back(&mut self, loans: Vec<Loan>) {
        let mut own_lock = None;
        for Loan { owner, lock, keys } in loans {
            if owner == self.id {
                own_lock = Some(lock);
            } else {
                self.out[owner].parcel(Parcel::Return { lock, keys });
            }
        }
        if let Some(lock) = own_lock {
            self.release(lock);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_copy_names_a_second_database() {
        let dbs = |line: &str| {
            databases(
                &line.split(' ').map(str::as_bytes).collect::<Vec<_>>(),
                3,
                16,
            )
            .to_vec()
        };
        assert_eq!(dbs("COPY a b"), [3]);
        assert_eq!(dbs("copy a b DB 5 REPLACE"), [3, 5]);
        assert_eq!(dbs("copy a b DB 3"), [3]);
        assert_eq!(dbs("copy a b DB 16"), [3]);
        assert_eq!(dbs("copy a b DB x"), [3]);
        assert_eq!(dbs("copy db 5 REPLACE"), [3]);
        assert_eq!(dbs("RENAME a b"), [3]);
    }
}
