//! Shards that hand requests to each other through an inbox and a wake-up, as `shards` does: the
//! right protocol never hangs, and a lost wake-up is found.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;

use crate::sim::{Faults, Prng, SimChunk, SimEnv, Step, World};
use crate::{ConnId, Env, Event, Wait};

/// The inbox of a shard, and whether it said that it sleeps.
#[derive(Default)]
struct Inbox {
    messages: RefCell<VecDeque<Message>>,
    sleeps: Cell<bool>,
}

#[derive(Clone, Copy)]
enum Message {
    Request { from: usize, conn: ConnId },
    Reply { conn: ConnId },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Say that we are about to sleep.
    Announce,
    /// Look whether something came before we said so. A wrong protocol leaves this out.
    LookAgain,
    Poll,
    Handle,
    Inbox,
}

struct RelayShard {
    env: SimEnv,
    inboxes: Rc<[Inbox; 2]>,
    events: Vec<Event<SimChunk>>,
    phase: Phase,
    wait: Wait,
    looks_again: bool,
}

impl RelayShard {
    fn post(&mut self, to: usize, message: Message) {
        self.inboxes[to].messages.borrow_mut().push_back(message);
        if self.inboxes[to].sleeps.replace(false) {
            self.env.wake(to);
        }
    }

    fn phase(&mut self) {
        let shard = self.env.shard();
        self.phase = match self.phase {
            Phase::Announce => {
                self.inboxes[shard].sleeps.set(true);
                self.wait = Wait::Forever;
                if self.looks_again {
                    Phase::LookAgain
                } else {
                    Phase::Poll
                }
            }
            Phase::LookAgain => {
                if !self.inboxes[shard].messages.borrow().is_empty() {
                    self.wait = Wait::Never;
                }
                Phase::Poll
            }
            Phase::Poll => {
                self.env.poll(self.wait, &mut self.events).unwrap();
                if self.env.world().asleep(shard) {
                    Phase::Poll
                } else {
                    self.inboxes[shard].sleeps.set(false);
                    Phase::Inbox
                }
            }
            Phase::Inbox => {
                let messages = mem::take(&mut *self.inboxes[shard].messages.borrow_mut());
                for message in messages {
                    match message {
                        Message::Request { from, conn } => self.post(from, Message::Reply { conn }),
                        Message::Reply { conn } => self.env.send(conn, b"+".to_vec()),
                    }
                }
                Phase::Handle
            }
            Phase::Handle => {
                for event in mem::take(&mut self.events) {
                    if let Event::Received { conn, chunk } = event {
                        for _ in chunk.iter() {
                            self.post(1 - shard, Message::Request { from: shard, conn });
                        }
                    }
                }
                // Messages may have come while we handled: the next turn sees to them.
                Phase::Announce
            }
        };
    }
}

/// Whether each of 20 requests per client was answered.
fn run(seed: u64, faults: Faults, looks_again: bool) -> bool {
    let world = World::new(seed, faults);
    let inboxes: Rc<[Inbox; 2]> = Rc::default();
    let mut shards: Vec<RelayShard> = (0..2)
        .map(|shard| RelayShard {
            env: world.env(shard),
            inboxes: Rc::clone(&inboxes),
            events: Vec::new(),
            phase: Phase::Announce,
            wait: Wait::Forever,
            looks_again,
        })
        .collect();
    let mut clients = [world.connect(0), world.connect(1)];
    let (mut asked, mut answered) = ([0; 2], [0; 2]);
    loop {
        match world.step() {
            Step::Shard(shard) => shards[shard].phase(),
            Step::Time => {}
            Step::Idle if answered == [20; 2] => return true,
            Step::Idle if asked != answered => return false,
            Step::Idle => {}
        }
        for (n, client) in clients.iter_mut().enumerate() {
            answered[n] += client.received().len();
            if asked[n] == answered[n] && asked[n] < 20 {
                client.send(b"?");
                asked[n] += 1;
            }
        }
    }
}

fn faults_of(seed: u64) -> Faults {
    let mut faults = Faults::from_seed(&mut Prng::new(seed));
    (faults.cut_ppm, faults.spurious_ppm) = (0, 0);
    faults
}

#[test]
fn the_right_protocol_never_hangs() {
    for seed in 0..300 {
        assert!(run(seed, faults_of(seed), true), "seed {seed} hangs");
    }
}

#[test]
fn a_lost_wake_up_is_found() {
    let hangs = (0..300)
        .filter(|&seed| !run(seed, faults_of(seed), false))
        .count();
    assert!(
        hangs > 30,
        "only {hangs} of 300 seeds show the lost wake-up"
    );
}
