//! What a command that is looked at says of its keys: `Shard::heat` hears of it.
//!
//! Called where commands run: by `engine.rs` and `blocking.rs` for single ones, by `program.rs` for those of EXEC. What a script calls counts for the keys
//! that the script was given.

use crate::command::{KeyPlaces, Spec};
use crate::shard::Shard;
use crate::shard::heat::Cost;

/// Keys of one command that are noted; of more, so many at equal distances.
const KEYS_MAX: usize = 16;

/// A command with keys that goes on in slices.
pub(super) struct Heated {
    db: usize,
    keys: Vec<Box<[u8]>>,
    /// Keys for which each of these stands.
    stands_for: u32,
    bytes_in: u64,
}

/// Bytes of a request as it is sent.
fn request_bytes(args: &[&[u8]]) -> u64 {
    let digits = |number: usize| u64::from(number.checked_ilog10().unwrap_or(0)) + 1;
    let framed = |arg: &&[u8]| 5 + digits(arg.len()) + arg.len() as u64;
    3 + digits(args.len()) + args.iter().map(framed).sum::<u64>()
}

/// Which of a request's keys are noted, and for how many each of them stands.
fn chosen(spec: &Spec, args: &[&[u8]], turn: u64) -> (KeyPlaces, u32) {
    let mut places = spec.keys_of(args);
    let count = places.len();
    if count <= KEYS_MAX {
        return (places, 1);
    }
    let distance = count / KEYS_MAX;
    let first = turn as usize % distance;
    let mut at = 0;
    places.retain(|_| {
        let is_chosen = at % distance == first && at / distance < KEYS_MAX;
        at += 1;
        is_chosen
    });
    (places, distance as u32)
}

/// Tells of a command that is over. It is one of so many as `hotkeys-sample-ratio` says.
#[cold]
pub(super) fn note_heat(
    shard: &mut Shard,
    spec: &Spec,
    db: usize,
    args: &[&[u8]],
    ns: u64,
    bytes_out: usize,
) {
    let (places, stands_for) = chosen(spec, args, ns);
    if places.is_empty() {
        return;
    }
    let cost = Cost {
        weight: shard.heat.current_ratio(),
        keys: stands_for,
        ns,
        bytes: request_bytes(args) + bytes_out as u64,
    };
    let keys: Vec<&[u8]> = places.iter().map(|(at, _)| args[*at]).collect();
    spread(shard, db, &keys, cost);
}

/// Gives each key its share of what a command cost.
fn spread(shard: &mut Shard, db: usize, keys: &[&[u8]], whole: Cost) {
    let all = keys.len() as u64 * u64::from(whole.keys);
    let share = Cost {
        ns: whole.ns / all,
        bytes: whole.bytes / all,
        ..whole
    };
    let now_ms = shard.wall_ms();
    for key in keys {
        let hash = shard.hash(key);
        shard.heat.note(now_ms, hash, db, key, share);
    }
}

impl Heated {
    /// A command that begins to go on in slices, if that is of interest.
    pub(super) fn begin(
        shard: &Shard,
        spec: &Spec,
        db: usize,
        args: &[&[u8]],
    ) -> Option<Box<Self>> {
        if !shard.heat.is_on() {
            return None;
        }
        let (places, stands_for) = chosen(spec, args, shard.now_ms);
        let keys: Vec<Box<[u8]>> = places.iter().map(|(at, _)| args[*at].into()).collect();
        (!keys.is_empty()).then(|| {
            Box::new(Heated {
                db,
                keys,
                stands_for,
                bytes_in: request_bytes(args),
            })
        })
    }

    /// Tells of it when it is over. It stands for itself alone.
    pub(super) fn end(&self, shard: &mut Shard, ns: u64, bytes_out: usize) {
        let keys: Vec<&[u8]> = self.keys.iter().map(|key| &**key).collect();
        let cost = Cost {
            weight: 1,
            keys: self.stands_for,
            ns,
            bytes: self.bytes_in + bytes_out as u64,
        };
        spread(shard, self.db, &keys, cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::FAMILIES;

    fn spec(name: &str) -> &'static Spec {
        let mut rows = FAMILIES.iter().copied().flatten();
        &rows.find(|row| row.spec.name == name).unwrap().spec
    }

    fn shard() -> Shard {
        let mut shard = Shard::new(0, 1, 1, 1);
        shard.now_ms = 1_700_000_000_000;
        shard.heat.set_ratio(10);
        shard
    }

    #[test]
    fn requests_are_as_long_as_on_the_wire() {
        let args: [&[u8]; 3] = [b"SET", b"k", b"0123456789"];
        let wire = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n0123456789\r\n";
        assert_eq!(request_bytes(&args), wire.len() as u64);
        let empty: [&[u8]; 1] = [b""];
        assert_eq!(request_bytes(&empty), b"*1\r\n$0\r\n\r\n".len() as u64);
    }

    #[test]
    fn keys_share_the_cost() {
        let mut shard = shard();
        let args: [&[u8]; 3] = [b"MGET", b"a", b"b"];
        note_heat(&mut shard, spec("mget"), 0, &args, 1_000, 10);
        note_heat(&mut shard, spec("dbsize"), 0, &[b"DBSIZE"], 1, 1);
        let warmth = shard.heat.lately(shard.now_ms, 9);
        assert_eq!(warmth.totals[..2], [20, 10_000]);
        assert_eq!(warmth.keys[0].len(), 2);
        assert_eq!(warmth.keys[1][0].amount, 5_000);
    }

    #[test]
    fn of_many_keys_a_few_stand_for_all() {
        let mut shard = shard();
        let keys: Vec<Vec<u8>> = (0..163).map(|at| format!("k{at}").into_bytes()).collect();
        let mut args: Vec<&[u8]> = vec![b"DEL"];
        args.extend(keys.iter().map(|key| &**key));
        note_heat(&mut shard, spec("del"), 0, &args, 163_000, 0);
        let warmth = shard.heat.lately(shard.now_ms, 99);
        assert_eq!((warmth.keys[0].len(), warmth.totals[0]), (16, 1_600));
    }

    #[test]
    fn what_goes_on_in_slices_counts_once() {
        let mut shard = shard();
        let args: [&[u8]; 2] = [b"HGETALL", b"h"];
        let heated = Heated::begin(&shard, spec("hgetall"), 0, &args).unwrap();
        heated.end(&mut shard, 77, 1_000_000);
        let warmth = shard.heat.lately(shard.now_ms, 9);
        assert_eq!(warmth.totals[..2], [1, 77]);
        assert!(Heated::begin(&shard, spec("dbsize"), 0, &[b"DBSIZE"]).is_none());
        shard.heat.set_ratio(0);
        assert!(Heated::begin(&shard, spec("hgetall"), 0, &args).is_none());
    }
}
