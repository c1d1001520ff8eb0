//! `Plan`: what a seed decides before anything runs: shards, clients and their habits, keys, commands, faults.
//!
//! Everything that can be switched off is off in a part of the worlds, and the sizes differ widely: small calm worlds
//! give histories that a person can read, wild ones find what nobody thought of (swarm testing,
//! Groce et al., ISSTA 2012).

use tessera_io::sim::{Bounds, Faults, Prng};

use super::cacher::Ears;
use super::command::Verb;
use super::node::owner;
use super::word::Word;

/// How the clients of a world behave. Probabilities in parts per million per occasion.
#[derive(Clone, Debug)]
pub struct Habits {
    /// Commands sent together, at most.
    pub depth_max: usize,
    /// Sends more before all replies have come.
    pub impatient_ppm: u32,
    /// Stops reading for a while.
    pub slow_ppm: u32,
    /// Closes, resets or half-closes its connection.
    pub leave_ppm: u32,
    /// Begins a SCAN.
    pub scan_ppm: u32,
    /// Time between two actions.
    pub think_ns: Bounds,
    /// How long a slow client does not read.
    pub pause_ns: Bounds,
}

/// What the clients of a world talk about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Keys with small values. The first `anchors` are never deleted by name.
    pub keys: Vec<Word>,
    /// How many of `keys` stay.
    pub anchors: usize,
    /// Keys with values of many KiB.
    pub big_keys: Vec<Word>,
    /// Keys of lists, sets and sorted sets; none of each in part of the worlds.
    pub lists: Vec<Word>,
    /// See `lists`.
    pub sets: Vec<Word>,
    /// See `lists`.
    pub zsets: Vec<Word>,
    /// See `lists`.
    pub hashes: Vec<Word>,
    /// Keys of streams; none in part of the worlds.
    pub streams: Vec<Word>,
    /// Lists between which BLMOVE moves.
    pub near: Vec<(Word, Word)>,
    /// Who waits keeps its place for certain: each waits for keys of one shard.
    pub is_strict: bool,
    /// Nothing but pushing and popping is done to lists, nothing but adding and reading to streams.
    pub is_careful: bool,
    /// Channels of messages.
    pub channels: Vec<Word>,
    /// How those hear of changes who keep copies of values.
    pub ears: Vec<Ears>,
    /// Times given to keys come within so many milliseconds; 0: never.
    pub near_ms: u64,
    /// Databases in use.
    pub databases: Vec<usize>,
    /// Commands and how often they are chosen.
    pub verbs: Vec<(Verb, u64)>,
}

/// What sort of world it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Few commands on few keys: histories to read.
    Tiny,
    /// Anything.
    Mixed,
    /// Writers of few keys and roaming readers, and shards that are slow to notice what came for them.
    Watched,
    /// One client sends more than a connection may have in flight.
    Flood,
    /// Values of 64 KiB, and one client who asks for more than the server lets pile up.
    Big,
}

/// What a seed decides.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What sort of world it is.
    pub kind: Kind,
    /// Shards of the node.
    pub shards: usize,
    /// Clients.
    pub clients: usize,
    /// How many of them have a line to every shard and wait for each reply; the last ones.
    pub roamers: usize,
    /// Who listens to messages.
    pub listeners: usize,
    /// Epochs, each of which is judged by itself.
    pub epochs: usize,
    /// Commands of all clients in an epoch, about.
    pub commands: usize,
    /// The first epoch sets all keys.
    pub prefills: bool,
    /// How clients behave.
    pub habits: Habits,
    /// What they talk about.
    pub subject: Subject,
    /// What a phase of a turn costs.
    pub phase_ns: Bounds,
    /// What goes wrong.
    pub faults: Faults,
}

/// Commands, and how often each is chosen relative to the others.
const WEIGHTS: &[(Verb, u64)] = &[
    (Verb::Get, 8),
    (Verb::Set, 10),
    (Verb::GetSet, 4),
    (Verb::Incr, 6),
    (Verb::IncrBy, 2),
    (Verb::Append, 6),
    (Verb::SetRange, 2),
    (Verb::GetDel, 3),
    (Verb::StrLen, 1),
    (Verb::GetRange, 1),
    (Verb::SetNx, 2),
    (Verb::Echo, 1),
    (Verb::Select, 2),
    (Verb::Mget, 10),
    (Verb::Mset, 10),
    (Verb::MsetNx, 6),
    (Verb::Del, 4),
    (Verb::Unlink, 1),
    (Verb::Exists, 3),
    (Verb::Touch, 1),
    (Verb::Rename, 8),
    (Verb::RenameNx, 4),
    (Verb::Copy, 6),
    (Verb::Move, 3),
    (Verb::SwapDb, 2),
    (Verb::FlushAll, 1),
    (Verb::FlushDb, 1),
    (Verb::DbSize, 3),
    (Verb::Keys, 4),
    (Verb::RandomKey, 2),
    (Verb::Lcs, 3),
];

/// Commands about expiry: a node with a key that expires is never quite at rest, which can hide a lost wake-up, so
/// most worlds have none.
const TIME_WEIGHTS: &[(Verb, u64)] = &[
    (Verb::PexpireAt, 4),
    (Verb::PexpireTime, 2),
    (Verb::Persist, 2),
];

/// Transactions.
const TRANSACTION_WEIGHTS: &[(Verb, u64)] = &[
    (Verb::Multi, 16),
    (Verb::Watch, 10),
    (Verb::Unwatch, 1),
    (Verb::Exec, 1),
    (Verb::Discard, 1),
];

/// Collections.
const COLLECTION_WEIGHTS: &[(Verb, u64)] = &[
    (Verb::LPush, 8),
    (Verb::RPush, 10),
    (Verb::LPop, 5),
    (Verb::RPop, 4),
    (Verb::LLen, 2),
    (Verb::LRange, 5),
    (Verb::LMove, 8),
    (Verb::SAdd, 8),
    (Verb::SRem, 4),
    (Verb::SCard, 2),
    (Verb::SMembers, 4),
    (Verb::SMove, 8),
    (Verb::SInterStore, 5),
    (Verb::SUnionStore, 5),
    (Verb::ZAdd, 8),
    (Verb::ZRange, 4),
    (Verb::ZUnionStore, 5),
    (Verb::Sort, 4),
    (Verb::BitOp, 4),
];

/// Hashes.
const HASH_WEIGHTS: &[(Verb, u64)] = &[
    (Verb::HSet, 10),
    (Verb::HGetAll, 6),
    (Verb::HIncrBy, 8),
    (Verb::HDel, 5),
    (Verb::HGet, 3),
    (Verb::HLen, 2),
];

/// Streams.
const STREAM_WEIGHTS: &[(Verb, u64)] = &[
    (Verb::XAdd, 14),
    (Verb::XGroup, 3),
    (Verb::XAck, 5),
    (Verb::XRange, 4),
    (Verb::XLen, 2),
    (Verb::XDel, 3),
];

/// Commands that wait for entries of streams.
const READING_WEIGHTS: &[(Verb, u64)] = &[(Verb::XReadGroup, 18), (Verb::XRead, 8)];

/// Commands that wait, and what ends their waiting.
const WAITING_WEIGHTS: &[(Verb, u64)] = &[
    (Verb::Blpop, 14),
    (Verb::Brpop, 6),
    (Verb::Blmpop, 5),
    (Verb::Blmove, 10),
    (Verb::BzpopMin, 8),
    (Verb::Unblock, 5),
];

/// What makes copies of elements, or takes lists away whole.
const CARELESS: &[Verb] = &[
    Verb::Copy,
    Verb::Sort,
    Verb::FlushAll,
    Verb::FlushDb,
    Verb::SwapDb,
    Verb::Del,
    Verb::Unlink,
    Verb::Rename,
    Verb::RenameNx,
    Verb::Move,
    Verb::Select,
    Verb::Eval,
    Verb::XDel,
];

/// What takes a key's time elsewhere, or counts keys whose time has come.
const CARRYING: &[Verb] = &[
    Verb::DbSize,
    Verb::Copy,
    Verb::Rename,
    Verb::RenameNx,
    Verb::Move,
    Verb::SwapDb,
];

const LISTS: &[&str] = &["l1", "l2", "{t}l3", "{t}l4", "{u}l5"];
const SETS: &[&str] = &["s1", "s2", "{t}s3", "{u}s4"];
const ZSETS: &[&str] = &["z1", "z2", "{u}z3"];
const HASHES: &[&str] = &["h1", "h2", "{t}h3"];
const STREAMS: &[&str] = &["x1", "x2", "{t}x3"];
const CHANNELS: &[&str] = &["news", "noise", "new"];

/// Names of keys: some alone, some tied together by a hash tag.
const NAMES: &[&str] = &[
    "a", "b", "c", "d", "e", "f", "{t}1", "{t}2", "{u}1", "{u}2", "{v}1", "g", "h", "i", "j", "k",
    "l", "m", "{v}2", "n",
];

/// What a world is about beside strings.
#[derive(Clone, Copy, Debug)]
struct Themes {
    times: bool,
    near: bool,
    transactions: bool,
    collections: bool,
    hashes: bool,
    streams: bool,
    waiting: bool,
    careful: bool,
    far: bool,
    messages: bool,
    scripts: bool,
    copies: bool,
}

impl Themes {
    fn chosen(prng: &mut Prng, kind: Kind) -> Self {
        let is_plain = matches!(kind, Kind::Flood | Kind::Big);
        let mut chance = |ppm| !is_plain && prng.chance(ppm);
        let collections = chance(450_000);
        let waiting = collections && chance(700_000);
        let times = !waiting && kind != Kind::Watched && chance(300_000);
        Self {
            times,
            near: times && chance(600_000),
            transactions: chance(500_000),
            collections,
            hashes: collections && chance(500_000),
            streams: collections && chance(500_000),
            waiting,
            careful: waiting && chance(400_000),
            far: waiting && chance(250_000),
            messages: chance(350_000),
            scripts: chance(300_000),
            copies: !times && chance(350_000),
        }
    }
}

/// Verbs without which a theme has nothing to say.
fn insist(verbs: &mut Vec<(Verb, u64)>, wanted: &[(Verb, u64)]) {
    if !verbs
        .iter()
        .any(|(verb, _)| wanted.iter().any(|(other, _)| other == verb))
    {
        verbs.extend_from_slice(wanted);
    }
}

fn chosen_verbs(prng: &mut Prng, kind: Kind, themes: Themes) -> Vec<(Verb, u64)> {
    let mut verbs: Vec<(Verb, u64)> = WEIGHTS.to_vec();
    if themes.times {
        verbs.extend_from_slice(TIME_WEIGHTS);
    }
    if themes.transactions {
        verbs.extend_from_slice(TRANSACTION_WEIGHTS);
    }
    if themes.collections {
        verbs.extend_from_slice(COLLECTION_WEIGHTS);
    }
    if themes.hashes {
        verbs.extend_from_slice(HASH_WEIGHTS);
    }
    if themes.streams {
        verbs.extend_from_slice(STREAM_WEIGHTS);
    }
    if themes.messages {
        verbs.push((Verb::Publish, 14));
    }
    if themes.scripts {
        verbs.push((Verb::Eval, 20));
    }
    let kept_ppm = match (kind, prng.index(6)) {
        (Kind::Watched, _) => 60_000,
        (_, 0) => 1_000_000,
        (_, 1 | 2) => 120_000,
        _ => 500_000,
    };
    verbs.retain(|_| prng.chance(kept_ppm));
    if themes.waiting {
        let mut waiting = WAITING_WEIGHTS.to_vec();
        waiting.retain(|_| prng.chance(600_000));
        insist(&mut waiting, &WAITING_WEIGHTS[..1]);
        verbs.extend(waiting);
        verbs.extend([(Verb::RPush, 12), (Verb::LPush, 6)]);
    }
    if themes.waiting && themes.streams {
        verbs.extend_from_slice(READING_WEIGHTS);
        verbs.push((Verb::XAdd, 14));
    }
    if themes.hashes {
        insist(&mut verbs, &HASH_WEIGHTS[..2]);
    }
    if themes.streams {
        insist(&mut verbs, &STREAM_WEIGHTS[..1]);
    }
    if themes.transactions {
        insist(&mut verbs, &TRANSACTION_WEIGHTS[..2]);
    }
    if themes.collections {
        insist(&mut verbs, &COLLECTION_WEIGHTS[..2]);
    }
    if themes.messages {
        insist(&mut verbs, &[(Verb::Publish, 14)]);
    }
    if themes.scripts {
        insist(&mut verbs, &[(Verb::Eval, 20)]);
    }
    if themes.careful {
        verbs.retain(|(verb, _)| !CARELESS.contains(verb));
    }
    if themes.copies {
        verbs.retain(|(verb, _)| *verb != Verb::SwapDb);
    }
    if themes.near {
        insist(&mut verbs, &TIME_WEIGHTS[..1]);
        verbs.retain(|(verb, _)| !CARRYING.contains(verb));
    }
    let has = |verbs: &[(Verb, u64)], any: [Verb; 2]| verbs.iter().any(|(v, _)| any.contains(v));
    if !has(&verbs, [Verb::Set, Verb::Mset]) {
        verbs.push((Verb::Set, 10));
        verbs.push((Verb::Mset, 10));
    }
    if !has(&verbs, [Verb::Get, Verb::Mget]) {
        verbs.push((Verb::Get, 8));
        verbs.push((Verb::Mget, 8));
    }
    verbs
}

/// Those who keep copies. No event tells that a whole database is gone.
fn chosen_ears(prng: &mut Prng, themes: Themes, verbs: &[(Verb, u64)]) -> Vec<Ears> {
    let is_flush = |verb: &Verb| matches!(verb, Verb::FlushAll | Verb::FlushDb);
    let known = match verbs.iter().any(|(verb, _)| is_flush(verb)) {
        true => 3,
        false => 4,
    };
    let all = [Ears::Tracking, Ears::OptIn, Ears::Broadcast, Ears::Events];
    let count = if themes.copies { 1 + prng.index(3) } else { 0 };
    (0..count).map(|_| all[prng.index(known)]).collect()
}

/// So many of these names.
fn some_of(prng: &mut Prng, names: &[&str], is_wanted: bool) -> Vec<Word> {
    let mut names = names.to_vec();
    let count = if is_wanted {
        1 + prng.index(names.len())
    } else {
        0
    };
    (0..count)
        .map(|_| Word::from(names.swap_remove(prng.index(names.len()))))
        .collect()
}

/// Pairs of lists for BLMOVE: on one shard, or any.
fn pairs(lists: &[Word], shards: usize, is_far: bool) -> Vec<(Word, Word)> {
    let all = lists.iter().flat_map(|a| lists.iter().map(move |b| (a, b)));
    all.filter(|(a, b)| is_far || owner(a, shards) == owner(b, shards))
        .map(|(a, b)| (a.clone(), b.clone()))
        .collect()
}

fn chosen_subject(prng: &mut Prng, kind: Kind, shards: usize) -> Subject {
    let themes = Themes::chosen(prng, kind);
    let count = match kind {
        Kind::Tiny => 2 + prng.index(3),
        Kind::Watched => 3 + prng.index(2),
        Kind::Mixed | Kind::Flood | Kind::Big => 3 + prng.index(NAMES.len() - 3),
    };
    let mut names = NAMES.to_vec();
    let keys = (0..count).map(|_| Word::from(names.swap_remove(prng.index(names.len()))));
    let keys: Vec<Word> = keys.collect();
    let anchors = if prng.chance(500_000) { count / 2 } else { 0 };
    let big_keys = if kind == Kind::Big {
        ["B1", "B2", "B3"].map(Word::from).to_vec()
    } else {
        Vec::new()
    };
    let databases = match prng.index(3) {
        0 => vec![0],
        1 => vec![0, 5],
        _ => vec![0, 3, 15],
    };
    let lists = some_of(prng, LISTS, themes.collections);
    let verbs = chosen_verbs(prng, kind, themes);
    Subject {
        ears: chosen_ears(prng, themes, &verbs),
        keys,
        anchors,
        big_keys,
        databases,
        near: pairs(&lists, shards, themes.far),
        lists,
        sets: some_of(prng, SETS, themes.collections),
        zsets: some_of(prng, ZSETS, themes.collections),
        hashes: some_of(prng, HASHES, themes.hashes),
        streams: some_of(prng, STREAMS, themes.streams),
        is_strict: !themes.far,
        is_careful: themes.careful,
        channels: some_of(prng, CHANNELS, themes.messages),
        near_ms: if themes.near {
            [2, 5, 20][prng.index(3)]
        } else {
            0
        },
        verbs,
    }
}

/// 0 in half of the cases, else a rate up to `ppm_max`.
fn sometimes(prng: &mut Prng, ppm_max: u32) -> u32 {
    let rate = 1 + prng.below(u64::from(ppm_max)) as u32;
    if prng.chance(500_000) { rate } else { 0 }
}

fn chosen_faults(prng: &mut Prng, kind: Kind) -> Faults {
    let is_calm = match kind {
        Kind::Tiny => prng.chance(600_000),
        Kind::Watched => true,
        Kind::Mixed | Kind::Flood | Kind::Big => prng.chance(200_000),
    };
    let mut faults = if is_calm {
        let mut faults = Faults::none();
        faults.delay_ns = Bounds::new(500, 20_000);
        faults.shuffle = true;
        faults
    } else {
        Faults::from_seed(prng)
    };
    if kind == Kind::Watched {
        faults.stall_ppm = sometimes(prng, 20_000);
        faults.stall_ns = Bounds::new(1_000, 50_000);
    }
    if kind == Kind::Watched || prng.chance(200_000) {
        // Bytes of clients overtake wake-ups: a shard then finds both at once.
        faults.delay_ns = Bounds::new(100, 2_000);
        faults.wake_delay_ns = Bounds::new(0, 200_000);
    }
    if kind == Kind::Flood || kind == Kind::Big {
        faults.socket_bytes = Bounds::new(32 << 10, 256 << 10);
        faults.fragment_bytes = Bounds::new(1 << 10, 64 << 10);
    }
    // A client that does not read while the server says goodbye would lose what was said.
    faults.linger_ns = Bounds::new(u64::MAX, u64::MAX);
    faults
}

fn chosen_habits(prng: &mut Prng, kind: Kind, faults: &Faults) -> Habits {
    let think_max = faults.delay_ns.max * [1, 2, 8][prng.index(3)];
    let depth_max = match kind {
        Kind::Tiny | Kind::Watched => 4,
        Kind::Mixed | Kind::Flood | Kind::Big => 12,
    };
    let is_distracted = kind != Kind::Watched;
    let mut rate = |ppm_max| {
        if is_distracted {
            sometimes(prng, ppm_max)
        } else {
            0
        }
    };
    Habits {
        slow_ppm: rate(200_000),
        leave_ppm: rate(100_000),
        scan_ppm: rate(200_000),
        impatient_ppm: sometimes(prng, 900_000),
        depth_max: 1 + prng.index(depth_max),
        think_ns: Bounds::new(0, think_max),
        pause_ns: Bounds::new(think_max, think_max * 20),
    }
}

impl Plan {
    /// The plan of this seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut prng = Prng::new(seed ^ 0x7465_7373_6572_6121);
        let prng = &mut prng;
        let kind = match prng.index(100) {
            0..25 => Kind::Tiny,
            25..45 => Kind::Watched,
            45..48 => Kind::Flood,
            48..51 => Kind::Big,
            _ => Kind::Mixed,
        };
        let faults = chosen_faults(prng, kind);
        let clients = match kind {
            Kind::Tiny => 2 + prng.index(2),
            Kind::Watched => 4 + prng.index(3),
            Kind::Mixed | Kind::Flood | Kind::Big => 2 + prng.index(5),
        };
        let roamers = match kind {
            Kind::Watched => clients / 2 + prng.index(2),
            _ if prng.chance(300_000) => 1 + prng.index(clients - 1),
            _ => 0,
        };
        let shards = match kind {
            Kind::Watched => 2 + prng.index(2),
            _ => [1, 2, 2, 2, 3, 3, 4, 5][prng.index(8)],
        };
        let subject = chosen_subject(prng, kind, shards);
        Self {
            seed,
            kind,
            shards,
            listeners: if subject.channels.is_empty() {
                0
            } else {
                1 + prng.index(3)
            },
            clients,
            roamers,
            epochs: 1 + prng.index(3),
            commands: match kind {
                Kind::Tiny => 4 + prng.index(8),
                Kind::Watched => 40 + prng.index(16),
                Kind::Mixed | Kind::Flood | Kind::Big => 10 + prng.index(46),
            },
            prefills: prng.chance(800_000),
            subject,
            habits: chosen_habits(prng, kind, &faults),
            phase_ns: Bounds::new(0, [0, 200, 2_000][prng.index(3)]),
            faults,
        }
    }

    /// Whether keys may get a time at which they expire.
    #[must_use]
    pub fn has_times(&self) -> bool {
        let is_about_time = |(verb, _): &(Verb, u64)| *verb == Verb::PexpireAt;
        self.subject.verbs.iter().any(is_about_time)
    }

    /// The plan on a few lines.
    #[must_use]
    pub fn summary(&self) -> String {
        let verbs: Vec<&str> = self
            .subject
            .verbs
            .iter()
            .map(|(verb, _)| verb.word())
            .collect();
        let Habits {
            depth_max,
            impatient_ppm,
            slow_ppm,
            leave_ppm,
            ..
        } = self.habits;
        format!(
            "{:?}: {} shards, {} clients of which {} roam, {} listeners, copies by {:?}, strict {}, careful {}, {} epochs of {} commands; pipelines to {depth_max}, impatient {impatient_ppm}, \
             slow {slow_ppm}, leaving {leave_ppm} ppm\n{}\n{:?}",
            self.kind,
            self.shards,
            self.clients,
            self.roamers,
            self.listeners,
            self.subject.ears,
            self.subject.is_strict,
            self.subject.is_careful,
            self.epochs,
            self.commands,
            verbs.join(" "),
            self.faults,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_cover_their_range() {
        let plans: Vec<Plan> = (0..400).map(Plan::from_seed).collect();
        let share = |holds: fn(&Plan) -> bool| plans.iter().filter(|plan| holds(plan)).count();
        for shards in 1..=5 {
            assert!(plans.iter().filter(|plan| plan.shards == shards).count() > 20);
        }
        assert!(share(|plan| plan.habits.leave_ppm > 0) > 150);
        assert!(share(|plan| plan.faults.spurious_ppm == 0) > 150);
        assert!((20..150).contains(&share(Plan::has_times)));
        assert!(share(|plan| plan.roamers > 0) > 150);
        assert!(plans.iter().all(|plan| plan.roamers < plan.clients));
        assert!(share(|plan| plan.kind == Kind::Flood) > 4);
        assert!(share(|plan| !plan.subject.big_keys.is_empty()) > 4);
        assert!(plans.iter().all(|plan| plan.subject.keys.len() >= 2));
    }
}
