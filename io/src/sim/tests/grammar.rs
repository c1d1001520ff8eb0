//! The contract of `Env` under chaos: both ends do anything at any time, and the events of every
//! connection keep to the grammar `Accepted (Received | Drained)* Closed?`, with `Drained` also after an end of file,
//! and stop at `close`.

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::{Faults, Prng, SimChunk, SimClient, SimEnv, Stats, Step, World};
use crate::{CloseMode, ConnId, Env, Event, Hangup, Wait};

/// Rounds in which new things happen; then the world runs out.
const ROUNDS: usize = 600;

/// What the events so far say about a connection that has not been closed.
#[derive(Default)]
struct Known {
    hung: Option<Hangup>,
    paused: bool,
    /// The backlog was not zero after the last poll.
    owed: bool,
}

/// A server that does random things and checks every event.
struct Chaos {
    env: SimEnv,
    known: BTreeMap<ConnId, Known>,
    dead: BTreeSet<ConnId>,
    /// Chunks kept for a while, as a parser that waits for more would.
    kept: Vec<SimChunk>,
    drained: usize,
}

impl Chaos {
    fn new(world: &World, shard: usize) -> Self {
        let (known, dead) = (BTreeMap::new(), BTreeSet::new());
        Self {
            env: world.env(shard),
            known,
            dead,
            kept: Vec::new(),
            drained: 0,
        }
    }

    fn turn(&mut self, world: &World) {
        let wait = match world.choose(3) {
            0 => Wait::Never,
            1 => Wait::Until(self.env.now() + world.choose(50_000) as u64),
            _ => Wait::Forever,
        };
        let owed: BTreeSet<ConnId> = self
            .known
            .iter()
            .filter(|(_, known)| known.owed)
            .map(|(&conn, _)| conn)
            .collect();
        let mut events = Vec::new();
        self.env.poll(wait, &mut events).unwrap();
        assert!(events.is_empty() || !world.asleep(self.env.shard()));
        let mut drained = BTreeSet::new();
        for event in events {
            self.check(event, &owed, &mut drained, world);
        }
        for (&conn, known) in &mut self.known {
            known.owed = self.env.backlog(conn) > 0;
            let due = owed.contains(&conn) && !known.owed;
            // After an error there is nothing left to tell of.
            let came = drained.contains(&conn) || matches!(known.hung, Some(Hangup::Error(_)));
            assert!(
                !known.owed || !drained.contains(&conn),
                "Drained, and something is left"
            );
            assert!(!due || came, "Drained did not come when it was due");
        }
        if !world.asleep(self.env.shard()) {
            self.meddle(world);
        }
    }

    fn check(
        &mut self,
        event: Event<SimChunk>,
        owed: &BTreeSet<ConnId>,
        drained: &mut BTreeSet<ConnId>,
        world: &World,
    ) {
        let conn = match &event {
            Event::Accepted { conn, .. } => {
                assert!(!self.dead.contains(conn), "a name is given twice");
                assert!(self.known.insert(*conn, Known::default()).is_none());
                return;
            }
            Event::Received { conn, .. } | Event::Drained { conn } => *conn,
            Event::Closed { conn, .. } => *conn,
        };
        let known = self
            .known
            .get_mut(&conn)
            .expect("an event of an unknown or closed connection");
        let is_late = known.hung.is_some();
        let may_drain = known.hung == Some(Hangup::Eof);
        let is_drained = matches!(event, Event::Drained { .. });
        assert!(!is_late || may_drain && is_drained, "an event after Closed");
        match event {
            Event::Received { chunk, .. } => {
                assert!(!chunk.is_empty());
                if self.kept.len() < 8 && world.chance(100_000) {
                    self.kept.push(chunk);
                }
            }
            Event::Drained { .. } => {
                assert!(
                    owed.contains(&conn) && drained.insert(conn),
                    "Drained for no reason"
                );
                self.drained += 1;
            }
            Event::Closed { hangup, .. } => known.hung = Some(hangup),
            Event::Accepted { .. } => {}
        }
    }

    /// Something random to a random connection, dead ones included. Between two polls, so nothing
    /// may change the backlog but `send` and `close`.
    fn meddle(&mut self, world: &World) {
        if world.choose(4) == 0 {
            self.kept.clear();
        }
        if let Some(&conn) = self.dead.iter().nth(world.choose(self.dead.len().max(1))) {
            self.env.send(conn, b"stray".to_vec());
            self.env.resume(conn);
            assert_eq!(0, self.env.backlog(conn));
        }
        let place = world.choose(self.known.len().max(1));
        let Some((&conn, known)) = self.known.iter_mut().nth(place) else {
            return;
        };
        match world.choose(10) {
            0..=4 => {
                let before = self.env.backlog(conn);
                let mut bytes = self.env.buffer();
                bytes.resize(world.choose(2_000), b'x');
                let count = bytes.len();
                self.env.send(conn, bytes);
                let after = self.env.backlog(conn);
                assert!(after == before + count || known.hung.is_some() && after == 0);
            }
            5 | 6 => {
                known.paused = !known.paused;
                if known.paused {
                    self.env.pause(conn)
                } else {
                    self.env.resume(conn)
                }
            }
            7 => {
                let mode = if world.chance(500_000) {
                    CloseMode::Flush
                } else {
                    CloseMode::Abort
                };
                self.env.close(conn, mode);
                assert_eq!(0, self.env.backlog(conn));
                self.known.remove(&conn);
                self.dead.insert(conn);
            }
            _ => {}
        }
    }
}

/// Something random on the side of the clients.
fn meddle(world: &World, clients: &mut Vec<SimClient>) {
    if clients.len() < 6 && world.choose(3) == 0 {
        clients.push(world.connect(world.choose(2)));
    }
    let place = world.choose(clients.len().max(1));
    let Some(client) = clients.get_mut(place) else {
        return;
    };
    match world.choose(16) {
        0 => client.reset(),
        1 => client.close(),
        2 => client.shutdown(),
        3 => client.stop_reading(),
        4 => drop(clients.swap_remove(place)),
        5..=9 => client.send(&vec![b'y'; world.choose(3_000)]),
        _ => {
            client.start_reading();
            assert!(client.received().iter().all(|&byte| byte == b'x'));
        }
    }
}

/// The hash of the run, how often `Drained` came, and the counts.
fn run(seed: u64) -> (u64, usize, Stats) {
    let world = World::new(seed, Faults::from_seed(&mut Prng::new(seed)));
    let mut shards = [Chaos::new(&world, 0), Chaos::new(&world, 1)];
    let mut clients = Vec::new();
    for _ in 0..ROUNDS {
        if let Step::Shard(shard) = world.step() {
            shards[shard].turn(&world);
        }
        meddle(&world, &mut clients);
    }
    clients.clear();
    let stats = world.stats();
    assert_eq!(0, stats.unknown_names);
    (
        world.trace_hash(),
        shards[0].drained + shards[1].drained,
        stats,
    )
}

#[test]
fn events_keep_to_the_grammar_under_chaos() {
    let (mut drained, mut ignored, mut closed, mut accepted) = (0, 0, 0, 0);
    for seed in 0..500 {
        let (hash, count, stats) = run(seed);
        if seed % 50 == 0 {
            assert_eq!((hash, count, stats), run(seed), "seed {seed}");
        }
        drained += count;
        ignored += stats.ignored_calls;
        closed += stats.closed;
        accepted += stats.accepted;
    }
    let counts = [drained as u64, ignored, closed, accepted];
    assert!(counts.iter().all(|&count| count > 500), "{counts:?}");
}

#[test]
fn a_world_comes_to_rest_when_nobody_acts() {
    for seed in 0..200 {
        let world = World::new(seed, Faults::from_seed(&mut Prng::new(seed)));
        let mut shards = [Chaos::new(&world, 0), Chaos::new(&world, 1)];
        let mut clients = Vec::new();
        for _ in 0..ROUNDS {
            if let Step::Shard(shard) = world.step() {
                shards[shard].turn(&world);
            }
            meddle(&world, &mut clients);
        }
        shards.iter_mut().for_each(|shard| shard.kept.clear());
        let mut idle = false;
        for _ in 0..100_000 {
            match world.step() {
                Step::Shard(shard) => {
                    shards[shard]
                        .env
                        .poll(Wait::Forever, &mut Vec::new())
                        .unwrap();
                }
                Step::Time => {}
                Step::Idle => {
                    idle = true;
                    break;
                }
            }
        }
        assert!(idle, "seed {seed} never comes to rest: {:?}", world.stats());
    }
}
