//! One thread of the load: its connections and the epoll loop that serves them.
//!
//! Sockets are edge-triggered and registered once; a socket is watched for room only while its buffer is full.
//! The loop wakes for replies and for one alarm (the end of the phase, or the next request that is due in an
//! open loop), so waiting costs one system call however many connections there are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use crate::clock::{Alarm, Clock, SECOND_NS};
use crate::connection::{Connection, State, Turn};
use crate::error::BenchError;
use crate::keys::Pattern;
use crate::live::Live;
use crate::load::{Limit, Load, Schedule};
use crate::random::Random;
use crate::tally::PhaseTally;
use crate::target::Target;

/// All connections of a thread read into one buffer, which stays in the cache.
const READ_BYTES: usize = 64 * 1024;
/// Events taken per wait.
const EVENTS_MAX: usize = 256;
/// Replies that are not there so long after the end of a phase will not come.
const DRAIN_NS_MAX: u64 = 10 * SECOND_NS;
/// How much longer a phase goes on each time that it is held.
const HOLD_NS: u64 = SECOND_NS / 10;
const ALARM: u64 = u64::MAX;

/// A phase, as one worker sees it.
#[derive(Clone, Copy, Debug)]
pub struct Phase<'a> {
    /// What to send.
    pub load: &'a Load,
    /// When to stop.
    pub limit: Limit,
    /// The time of all workers.
    pub clock: Clock,
    /// Connections of all workers.
    pub connections: u64,
    /// All workers start when they meet here.
    pub barrier: &'a Barrier,
    /// This worker's counters for the progress line.
    pub live: Option<&'a Live>,
    /// While this is true, a phase that ends by time goes on.
    pub hold: Option<&'a AtomicBool>,
}

/// What a worker made of a phase.
#[derive(Debug)]
pub struct PhaseEnd {
    /// The counts.
    pub tally: PhaseTally,
    /// When its first request could be sent.
    pub started_ns: u64,
    /// When its last reply came.
    pub ended_ns: u64,
}

/// A thread's connections; it outlives the phases.
#[derive(Debug)]
pub struct Worker {
    epoll: OwnedFd,
    alarm: Alarm,
    connections: Vec<Connection>,
    random: Random,
    buffer: Vec<u8>,
}

impl Worker {
    /// Opens `count` connections, numbered from `first` on; keys and values are drawn from `seed` and that number.
    ///
    /// # Errors
    /// When the server refuses one.
    pub fn connect(target: &Target, first: u64, count: u64, seed: u64) -> Result<Self, BenchError> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)
            .map_err(|errno| BenchError::system("no epoll")(errno.into()))?;
        let alarm = Alarm::new()?;
        watch(&epoll, &alarm, ALARM, EventFlags::IN)?;
        let mut connections = Vec::new();
        for index in first..first + count {
            let socket = target.connect()?.into_socket();
            rustix::io::ioctl_fionbio(&socket, true)
                .map_err(|errno| BenchError::system("cannot unblock a socket")(errno.into()))?;
            watch(&epoll, &socket, connections.len() as u64, readable())?;
            connections.push(Connection::new(socket, index));
        }
        Ok(Self {
            epoll,
            alarm,
            connections,
            random: Random::new(seed ^ first),
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Runs one phase to its end.
    ///
    /// # Errors
    /// When the system refuses a wait or a timer; a connection that breaks is part of the result instead.
    pub fn run(&mut self, phase: &Phase<'_>) -> Result<PhaseEnd, BenchError> {
        for connection in &mut self.connections {
            let requests = requests_of(phase, connection.index());
            connection.prepare(phase.load, phase.connections, requests);
        }
        phase.barrier.wait();
        let started_ns = phase.clock.now_ns();
        let turn = Turn {
            load: phase.load,
            clock: phase.clock,
            random: &mut self.random,
            tally: PhaseTally::new(phase.load.commands.len(), started_ns),
            live: phase.live,
            schedule: phase
                .load
                .rate
                .map(|rate| Schedule::new(started_ns, rate, phase.connections)),
            stopping: false,
            last_reply_ns: started_ns,
        };
        let mut course = Course {
            turn,
            epoll: &self.epoll,
            alarm: &mut self.alarm,
            connections: &mut self.connections,
            buffer: &mut self.buffer,
            hold: phase.hold,
            busy: 0,
            due_next: (0, 0),
            sleepers: BinaryHeap::new(),
            ends_ns: match phase.limit {
                Limit::Time(duration_ns) => started_ns.saturating_add(duration_ns),
                Limit::Requests(_) | Limit::AllKeys => u64::MAX,
            },
        };
        course.run(started_ns)?;
        let ended_ns = course.turn.last_reply_ns;
        Ok(PhaseEnd {
            tally: course.turn.tally,
            started_ns,
            ended_ns,
        })
    }
}

/// How many requests one connection makes.
fn requests_of(phase: &Phase<'_>, index: u64) -> u64 {
    match phase.limit {
        Limit::Time(_) => u64::MAX,
        Limit::Requests(count) => count,
        Limit::AllKeys => {
            let keys = &phase.load.filling.keys;
            let first = usize::from(phase.load.cycle[0]);
            match phase.load.commands[first].pattern {
                Pattern::Parallel => keys.part(index, phase.connections).1,
                _ => keys.count(),
            }
        }
    }
}

/// A phase under way.
struct Course<'a> {
    turn: Turn<'a>,
    epoll: &'a OwnedFd,
    alarm: &'a mut Alarm,
    connections: &'a mut [Connection],
    buffer: &'a mut [u8],
    hold: Option<&'a AtomicBool>,
    /// Connections that are not done.
    busy: usize,
    /// Open loop: number of the next request that becomes due, and the position of its connection.
    due_next: (u64, usize),
    /// Connections that wait before they send what follows a miss, by the time when they go on.
    sleepers: BinaryHeap<Reverse<(u64, usize)>>,
    ends_ns: u64,
}

impl Course<'_> {
    fn run(&mut self, started_ns: u64) -> Result<(), BenchError> {
        self.busy = self
            .connections
            .iter()
            .filter(|c| !c.is_done(false))
            .count();
        let mut now_ns = started_ns;
        if self.turn.schedule.is_none() {
            for at in 0..self.connections.len() {
                self.serve(at, |connection, turn, _| connection.issue(turn, now_ns))?;
            }
        }
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
        while self.busy > 0 {
            self.set_alarm(now_ns)?;
            events.clear();
            match epoll::wait(self.epoll, spare_capacity(&mut events), None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(BenchError::system("waiting failed")(errno.into())),
            }
            for event in &events {
                self.take_event(event.data.u64(), event.flags)?;
            }
            now_ns = self.turn.clock.now_ns();
            if now_ns >= self.ends_ns {
                if self.turn.stopping {
                    break;
                }
                if self.hold.is_some_and(|hold| hold.load(Ordering::Relaxed)) {
                    self.ends_ns = now_ns + HOLD_NS;
                } else {
                    self.stop(now_ns);
                }
            }
            self.wake_sleepers(now_ns)?;
            self.issue_due(now_ns)?;
        }
        self.count_unanswered();
        Ok(())
    }

    fn set_alarm(&mut self, now_ns: u64) -> Result<(), BenchError> {
        let mut due_ns = self.ends_ns;
        if let (Some(schedule), false) = (self.turn.schedule, self.turn.stopping) {
            let (number, at) = self.due_next;
            due_ns = due_ns.min(schedule.due_ns(self.connections[at].index(), number));
        }
        if let Some(Reverse((wakes_ns, _))) = self.sleepers.peek() {
            due_ns = due_ns.min(*wakes_ns);
        }
        if due_ns == u64::MAX {
            return Ok(());
        }
        self.alarm.set(due_ns, now_ns)
    }

    fn take_event(&mut self, token: u64, flags: EventFlags) -> Result<(), BenchError> {
        if token == ALARM {
            self.alarm.quiet();
            return Ok(());
        }
        let at = token as usize;
        if self.connections[at].lost {
            return Ok(());
        }
        if flags.contains(EventFlags::OUT) && self.connections[at].is_blocked() {
            self.serve(at, |connection, _, _| connection.send())?;
        }
        let closing = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if closing || flags.contains(EventFlags::IN) {
            self.serve(at, |connection, turn, buffer| {
                connection.receive(turn, buffer, closing)
            })?;
        }
        Ok(())
    }

    /// Does something with a connection and draws the consequences.
    #[inline]
    fn serve(
        &mut self,
        at: usize,
        action: impl FnOnce(&mut Connection, &mut Turn<'_>, &mut [u8]) -> State,
    ) -> Result<(), BenchError> {
        let connection = &mut self.connections[at];
        let was_done = connection.is_done(self.turn.stopping);
        if connection.lost {
            return Ok(());
        }
        if let State::Lost(reason) = action(connection, &mut self.turn, self.buffer) {
            connection.lost = true;
            let tally = &mut self.turn.tally;
            tally.lost_connections += 1;
            tally.lost_reason.get_or_insert(reason);
            epoll::delete(self.epoll, &*connection)
                .map_err(|errno| BenchError::system("epoll")(errno.into()))?;
        } else if connection.is_blocked() != connection.watches_writable {
            connection.watches_writable = connection.is_blocked();
            let mut flags = readable();
            flags.set(EventFlags::OUT, connection.watches_writable);
            epoll::modify(
                self.epoll,
                &*connection,
                EventData::new_u64(at as u64),
                flags,
            )
            .map_err(|errno| BenchError::system("epoll")(errno.into()))?;
        }
        if let Some(due_ns) = connection.follow_up_due_ns()
            && !connection.sleeps
            && !self.turn.stopping
        {
            connection.sleeps = true;
            self.sleepers.push(Reverse((due_ns, at)));
        }
        let is_done = connection.is_done(self.turn.stopping);
        if is_done && !was_done {
            self.busy -= 1;
        }
        Ok(())
    }

    /// Sends what follows a miss where its time has come.
    fn wake_sleepers(&mut self, now_ns: u64) -> Result<(), BenchError> {
        while let Some(Reverse((due_ns, at))) = self.sleepers.peek().copied() {
            if due_ns > now_ns {
                break;
            }
            self.sleepers.pop();
            self.connections[at].sleeps = false;
            // A full window has it sent with a later reply: it need not be woken again.
            let full = self.connections[at].outstanding() >= self.turn.load.pipeline;
            if !full {
                self.serve(at, |connection, turn, _| connection.issue(turn, now_ns))?;
            }
        }
        Ok(())
    }

    /// Open loop: makes the requests whose time has come.
    fn issue_due(&mut self, now_ns: u64) -> Result<(), BenchError> {
        let Some(schedule) = self.turn.schedule else {
            return Ok(());
        };
        while !self.turn.stopping {
            let (number, at) = self.due_next;
            if schedule.due_ns(self.connections[at].index(), number) > now_ns {
                break;
            }
            self.due_next = if at + 1 < self.connections.len() {
                (number, at + 1)
            } else {
                (number + 1, 0)
            };
            self.connections[at].add_due();
            self.serve(at, |connection, turn, _| connection.issue(turn, now_ns))?;
        }
        Ok(())
    }

    /// The time is up: no more requests, and the replies get a while to come.
    fn stop(&mut self, now_ns: u64) {
        self.sleepers.clear();
        self.turn.tally.unsent = match self.turn.schedule {
            Some(_) => self
                .connections
                .iter()
                .filter(|c| !c.lost)
                .map(Connection::backlog)
                .sum(),
            None => 0,
        };
        self.turn.stopping = true;
        self.ends_ns = now_ns + DRAIN_NS_MAX;
        self.busy = self.connections.iter().filter(|c| !c.is_done(true)).count();
    }

    fn count_unanswered(&mut self) {
        for connection in self.connections.iter_mut() {
            self.turn.tally.unanswered += u64::from(connection.outstanding());
            if connection.outstanding() > 0 && !connection.lost {
                // Its late replies would be taken for those of the next phase.
                connection.lost = true;
                self.turn.tally.lost_connections += 1;
                let reason = format!("no reply within {} s", DRAIN_NS_MAX / SECOND_NS);
                self.turn.tally.lost_reason.get_or_insert(reason);
            }
        }
    }
}

fn readable() -> EventFlags {
    EventFlags::IN | EventFlags::RDHUP | EventFlags::ET
}

fn watch(
    epoll: &OwnedFd,
    source: &impl std::os::fd::AsFd,
    token: u64,
    flags: EventFlags,
) -> Result<(), BenchError> {
    epoll::add(epoll, source, EventData::new_u64(token), flags)
        .map_err(|errno| BenchError::system("cannot watch a socket")(errno.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeySpace, Shape};
    use crate::load::Command;
    use crate::target::Address;
    use crate::template::{Filling, Template};
    use crate::values::Values;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn serve(connections: usize, limit: usize) -> Target {
        serve_with(connections, limit, b"+OK\r\n")
    }

    /// A server that gives one answer to every request of each connection, and closes after `limit`.
    fn serve_with(connections: usize, limit: usize, answer: &'static [u8]) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().unwrap();
                std::thread::spawn(move || {
                    let mut buffer = [0; 8192];
                    let mut answered = 0;
                    while let Ok(got) = stream.read(&mut buffer) {
                        if got == 0 || answered >= limit {
                            return;
                        }
                        for _ in buffer[..got].iter().filter(|byte| **byte == b'*') {
                            stream.write_all(answer).unwrap();
                            answered += 1;
                        }
                    }
                });
            }
        });
        Target {
            address,
            credentials: None,
            resp: 2,
            database: 0,
        }
    }

    fn load(pipeline: u32) -> Load {
        let filling = Filling {
            keys: KeySpace::new(b"", 0, 99, None, Shape::default()).unwrap(),
            values: Values::new(1, 1, false).unwrap(),
            expiry: None,
        };
        let set = Command {
            template: Template::set(&filling),
            ratio: 1,
            pattern: Pattern::Parallel,
            label: "Sets".to_owned(),
            on_miss: None,
        };
        Load::new(vec![set], filling, pipeline).unwrap()
    }

    fn run(worker: &mut Worker, load: &Load, limit: Limit) -> PhaseEnd {
        let barrier = Barrier::new(1);
        let connections = worker.connections.len() as u64;
        let clock = Clock::start();
        worker
            .run(&Phase {
                load,
                limit,
                clock,
                connections,
                barrier: &barrier,
                live: None,
                hold: None,
            })
            .unwrap()
    }

    #[test]
    fn phases_end_at_their_limit_and_can_follow_each_other() {
        let mut worker = Worker::connect(&serve(3, usize::MAX), 0, 3, 0).unwrap();
        let end = run(&mut worker, &load(4), Limit::Requests(10));
        assert_eq!(end.tally.totals().replies(), 30);
        let end = run(&mut worker, &load(4), Limit::AllKeys);
        assert_eq!(end.tally.totals().replies(), 100);
        let end = run(&mut worker, &load(2), Limit::Time(50_000_000));
        assert!(end.tally.totals().replies() > 6);
        assert!(end.ended_ns - end.started_ns >= 40_000_000);
        assert!(!end.tally.is_partial());
    }

    #[test]
    fn an_open_loop_keeps_its_rate() {
        let mut worker = Worker::connect(&serve(2, usize::MAX), 0, 2, 0).unwrap();
        let mut load = load(8);
        load.rate = Some(500);
        let end = run(&mut worker, &load, Limit::Time(200_000_000));
        let tally = &end.tally;
        // On a busy machine the last ones are still on their way.
        let intended = tally.totals().replies() + tally.unanswered + tally.unsent;
        assert!((195..=205).contains(&intended), "{intended}");
    }

    #[test]
    fn a_phase_ends_while_connections_wait_to_follow_a_miss() {
        let mut load = load(1);
        let follow = Command {
            ratio: 0,
            ..load.commands[0].clone()
        };
        load.commands.push(follow);
        load.commands[0].on_miss = Some(1);
        load.miss_delay_ns = 5_000_000;
        let target = serve_with(2, usize::MAX, b"$-1\r\n");
        let mut worker = Worker::connect(&target, 0, 2, 0).unwrap();
        let end = run(&mut worker, &load, Limit::Time(40_000_000));
        let replies = |at: usize| end.tally.commands[at].replies();
        assert!(replies(1) >= 2 && replies(0) >= replies(1) && replies(0) <= replies(1) + 2);
        assert!(!end.tally.is_partial());
    }

    #[test]
    fn a_connection_that_breaks_makes_the_result_partial_and_keeps_it() {
        let mut worker = Worker::connect(&serve(2, 20), 0, 2, 0).unwrap();
        let end = run(&mut worker, &load(1), Limit::Requests(1000));
        assert_eq!(end.tally.lost_connections, 2);
        assert_eq!(end.tally.totals().replies(), 40);
        assert_eq!(end.tally.unanswered, 2);
        assert!(end.tally.is_partial());
    }
}
