//! One connection of the load: what it still has to send, what it waits for, and how a request or a reply
//! changes that.
//!
//! Invariant: `outstanding` is the sum of `runs[..].count`, and never more than the load's pipeline. Replies come
//! in the order of the requests, so a queue of runs (requests of one command sent at one moment) is all the
//! bookkeeping: constant time per request. Called by `worker`, which owns the event loop.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use crate::clock::Clock;
use crate::keys::KeySource;
use crate::live::Live;
use crate::load::{Load, Schedule};
use crate::random::Random;
use crate::reply::{Outcome, Skipper};
use crate::tally::PhaseTally;

/// What the connections of one worker share while a phase runs.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The load.
    pub load: &'a Load,
    /// The time.
    pub clock: Clock,
    /// Draws keys and values.
    pub random: &'a mut Random,
    /// Counts.
    pub tally: PhaseTally,
    /// Counts for the progress line, when there is one.
    pub live: Option<&'a Live>,
    /// The times of an open loop.
    pub schedule: Option<Schedule>,
    /// No more requests are made: the time is up.
    pub stopping: bool,
    /// When the last replies came.
    pub last_reply_ns: u64,
}

/// Requests of one command that count from the same moment.
#[derive(Clone, Copy, Debug)]
struct Run {
    command: u16,
    count: u32,
    since_ns: u64,
}

/// What is to be done about a connection after it was served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing: the next event will come.
    Open,
    /// It is closed, for this reason.
    Lost(String),
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    /// Its number among the connections of all threads.
    index: u64,
    out: Vec<u8>,
    out_sent: usize,
    skipper: Skipper,
    runs: VecDeque<Run>,
    outstanding: u32,
    sources: Vec<KeySource>,
    cycle_at: usize,
    remaining: u64,
    /// Open loop: requests made, and requests whose time has come.
    issued: u64,
    due: u64,
    /// Whether the event loop has been told to report room in the socket's buffer.
    pub watches_writable: bool,
    /// Closed; its fields are of no more use.
    pub lost: bool,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Connection {
    /// A connection on a non-blocking socket that has been made ready.
    #[must_use]
    pub fn new(socket: OwnedFd, index: u64) -> Self {
        Self {
            socket,
            index,
            out: Vec::new(),
            out_sent: 0,
            skipper: Skipper::default(),
            runs: VecDeque::new(),
            outstanding: 0,
            sources: Vec::new(),
            cycle_at: 0,
            remaining: 0,
            issued: 0,
            due: 0,
            watches_writable: false,
            lost: false,
        }
    }

    /// Makes ready for a phase.
    pub fn prepare(&mut self, load: &Load, connections: u64, requests: u64) {
        self.sources = load.sources(self.index, connections);
        self.runs.reserve(load.pipeline as usize);
        self.cycle_at = 0;
        self.remaining = requests;
        self.issued = 0;
        self.due = 0;
    }

    /// Its number among the connections of all threads.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Requests without a reply.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Requests it has still to make.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Whether nothing more will happen on it in this phase.
    #[must_use]
    pub fn is_done(&self, stopping: bool) -> bool {
        self.lost || (self.outstanding == 0 && (stopping || self.remaining == 0))
    }

    /// Open loop: requests whose time came and that were not made.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.due.saturating_sub(self.issued).min(self.remaining)
    }

    /// Open loop: the time of one more request has come.
    pub fn add_due(&mut self) {
        self.due += 1;
    }

    /// Whether bytes wait for room in the socket's buffer.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.out_sent < self.out.len()
    }

    /// Makes the requests that the window has room for and sends them. In a closed loop they count
    /// from `now_ns`; in an open loop from the moment they were due.
    pub fn issue(&mut self, turn: &mut Turn<'_>, now_ns: u64) -> State {
        if turn.stopping || self.remaining == 0 || (turn.load.batches && self.outstanding > 0) {
            return State::Open;
        }
        let room = u64::from(turn.load.pipeline - self.outstanding);
        let wanted = if turn.schedule.is_some() {
            self.backlog()
        } else {
            u64::MAX
        };
        let count = room.min(self.remaining).min(wanted);
        if count == 0 {
            return State::Open;
        }
        for _ in 0..count {
            let since_ns = match turn.schedule {
                Some(schedule) => schedule.due_ns(self.index, self.issued),
                None => now_ns,
            };
            self.append_request(turn, since_ns);
        }
        self.remaining -= count;
        self.send()
    }

    #[inline]
    fn append_request(&mut self, turn: &mut Turn<'_>, since_ns: u64) {
        let command = turn.load.cycle[self.cycle_at];
        self.cycle_at += 1;
        if self.cycle_at == turn.load.cycle.len() {
            self.cycle_at = 0;
        }
        let which = usize::from(command);
        let before = self.out.len();
        let template = &turn.load.commands[which].template;
        template.append(
            &turn.load.filling,
            &mut self.sources[which],
            turn.random,
            &mut self.out,
        );
        turn.tally.commands[which].bytes_sent += (self.out.len() - before) as u64;
        self.issued += 1;
        self.outstanding += 1;
        match self.runs.back_mut() {
            Some(run) if run.command == command && run.since_ns == since_ns => run.count += 1,
            _ => self.runs.push_back(Run {
                command,
                count: 1,
                since_ns,
            }),
        }
    }

    /// Sends what waits.
    pub fn send(&mut self) -> State {
        while self.out_sent < self.out.len() {
            match rustix::net::send(
                &self.socket,
                &self.out[self.out_sent..],
                SendFlags::NOSIGNAL,
            ) {
                Ok(sent) => self.out_sent += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return State::Open,
                Err(error) => return State::Lost(format!("sending failed: {error}")),
            }
        }
        self.out.clear();
        self.out_sent = 0;
        State::Open
    }

    /// Reads what has come, counts the replies and makes the next requests. `closing`: the peer has
    /// closed its side, so read to the end.
    pub fn receive(&mut self, turn: &mut Turn<'_>, buffer: &mut [u8], closing: bool) -> State {
        loop {
            let got = match rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return State::Lost("the server closed the connection".to_owned()),
                Ok((got, _)) => got,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return State::Open,
                Err(error) => return State::Lost(format!("receiving failed: {error}")),
            };
            let now_ns = turn.clock.now_ns();
            turn.last_reply_ns = now_ns;
            if let Err(reason) = self.take_replies(&buffer[..got], turn, now_ns) {
                return State::Lost(reason);
            }
            let state = self.issue(turn, now_ns);
            // A short read has emptied the socket; whatever comes later is a new event.
            if state != State::Open || (got < buffer.len() && !closing) {
                return state;
            }
        }
    }

    /// Counts the replies in `input`.
    fn take_replies(
        &mut self,
        mut input: &[u8],
        turn: &mut Turn<'_>,
        now_ns: u64,
    ) -> Result<(), String> {
        while !input.is_empty() {
            let Some(run) = self.runs.front_mut() else {
                return self.take_unasked(input, turn);
            };
            let tally = &mut turn.tally.commands[usize::from(run.command)];
            let reads = turn.load.commands[usize::from(run.command)]
                .template
                .reads();
            let before = input.len();
            let mut done = 0u32;
            while done < run.count {
                let Some(outcome) = self
                    .skipper
                    .next(&mut input, &mut turn.tally.errors)
                    .map_err(|malformed| malformed.0)?
                else {
                    break;
                };
                done += 1;
                match outcome {
                    Outcome::Value => tally.hits += u64::from(reads),
                    Outcome::Null => tally.misses += u64::from(reads),
                    Outcome::Error => tally.errors += 1,
                }
            }
            tally.bytes_received += (before - input.len()) as u64;
            if done > 0 {
                let latency_ns = now_ns.saturating_sub(run.since_ns);
                tally
                    .latency_ns
                    .saturating_record_n(latency_ns, u64::from(done));
                if let Some(live) = turn.live {
                    live.record(latency_ns, u64::from(done));
                }
                self.outstanding -= done;
                run.count -= done;
                if run.count == 0 {
                    self.runs.pop_front();
                }
            }
        }
        Ok(())
    }

    /// Bytes while no request waits: a push is passed over, a reply is a fault of the server.
    fn take_unasked(&mut self, mut input: &[u8], turn: &mut Turn<'_>) -> Result<(), String> {
        match self.skipper.next(&mut input, &mut turn.tally.errors) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err("a reply came without a request".to_owned()),
            Err(malformed) => Err(malformed.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeySpace, Pattern, Shape};
    use crate::load::Command;
    use crate::template::{Filling, Template};
    use crate::values::Values;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn load(pipeline: u32) -> Load {
        let filling = Filling {
            keys: KeySpace::new(b"", 0, 9, None, Shape::default()).unwrap(),
            values: Values::new(1, 1, false).unwrap(),
            expiry: None,
        };
        let get = Command {
            template: Template::get(&filling),
            ratio: 1,
            pattern: Pattern::Sequential,
            label: "Gets".to_owned(),
        };
        Load::new(vec![get], filling, pipeline).unwrap()
    }

    fn turn<'a>(load: &'a Load, random: &'a mut Random) -> Turn<'a> {
        let tally = PhaseTally::new(load.commands.len());
        let clock = Clock::start();
        Turn {
            load,
            clock,
            random,
            tally,
            live: None,
            schedule: None,
            stopping: false,
            last_reply_ns: 0,
        }
    }

    fn pair() -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Connection::new(ours.into(), 0), theirs)
    }

    fn requests(server: &mut UnixStream) -> usize {
        let mut bytes = vec![0; 4096];
        let got = server.read(&mut bytes).unwrap_or(0);
        bytes[..got].iter().filter(|byte| **byte == b'*').count()
    }

    #[test]
    fn the_window_is_topped_up_with_every_reply_and_never_exceeded() {
        let load = load(4);
        let mut random = Random::new(1);
        let mut turn = turn(&load, &mut random);
        let (mut connection, mut server) = pair();
        connection.prepare(&load, 1, 6);
        assert_eq!(connection.issue(&mut turn, 0), State::Open);
        assert_eq!(requests(&mut server), 4);
        // One reply and a half, one of them a miss.
        server.write_all(b"$-1\r\n$1\r").unwrap();
        let mut buffer = [0; 64];
        assert_eq!(
            connection.receive(&mut turn, &mut buffer, false),
            State::Open
        );
        assert_eq!((connection.outstanding(), connection.remaining()), (4, 1));
        server.write_all(b"\nx\r\n-ERR a\r\n+b\r\n+c\r\n").unwrap();
        connection.receive(&mut turn, &mut buffer, false);
        assert_eq!((connection.outstanding(), connection.remaining()), (1, 0));
        assert_eq!(requests(&mut server), 2);
        let tally = &turn.tally.commands[0];
        assert_eq!(
            (tally.replies(), tally.hits, tally.misses, tally.errors),
            (5, 3, 1, 1)
        );
        assert_eq!(tally.bytes_received, 5 + 7 + 8 + 4 + 4);
    }

    #[test]
    fn batches_wait_for_the_last_reply() {
        let mut load = load(3);
        load.batches = true;
        let mut random = Random::new(1);
        let mut turn = turn(&load, &mut random);
        let (mut connection, mut server) = pair();
        connection.prepare(&load, 1, u64::MAX);
        connection.issue(&mut turn, 0);
        assert_eq!(requests(&mut server), 3);
        let mut buffer = [0; 64];
        server.write_all(b"+a\r\n+b\r\n").unwrap();
        connection.receive(&mut turn, &mut buffer, false);
        assert_eq!(requests(&mut server), 0);
        server.write_all(b"+c\r\n").unwrap();
        connection.receive(&mut turn, &mut buffer, false);
        assert_eq!(requests(&mut server), 3);
    }

    #[test]
    fn an_open_loop_counts_from_the_moment_a_request_was_due() {
        let load = load(1);
        let mut random = Random::new(1);
        let mut turn = turn(&load, &mut random);
        turn.schedule = Some(Schedule::new(0, 1000, 1));
        let (mut connection, mut server) = pair();
        connection.prepare(&load, 1, u64::MAX);
        for _ in 0..3 {
            connection.add_due();
        }
        connection.issue(&mut turn, 7_000_000);
        assert_eq!((requests(&mut server), connection.backlog()), (1, 2));
        for reply in 0..3 {
            connection
                .take_replies(b"+x\r\n", &mut turn, 10_000_000)
                .unwrap();
            connection.issue(&mut turn, 10_000_000);
            assert_eq!(connection.backlog(), 1u64.saturating_sub(reply));
        }
        // Due at 0, 1 and 2 ms, all answered at 10 ms.
        let latency = &turn.tally.commands[0].latency_ns;
        assert!(latency.min().abs_diff(8_000_000) < 10_000);
        assert!(latency.max().abs_diff(10_000_000) < 10_000);
    }

    #[test]
    fn a_closed_peer_and_an_unasked_reply_lose_the_connection() {
        let load = load(1);
        let mut random = Random::new(1);
        let mut turn = turn(&load, &mut random);
        let mut buffer = [0; 64];
        let (mut connection, server) = pair();
        drop(server);
        assert!(matches!(
            connection.receive(&mut turn, &mut buffer, true),
            State::Lost(_)
        ));
        let (mut connection, mut server) = pair();
        server.write_all(b"+OK\r\n").unwrap();
        assert!(matches!(
            connection.receive(&mut turn, &mut buffer, false),
            State::Lost(_)
        ));
    }
}
