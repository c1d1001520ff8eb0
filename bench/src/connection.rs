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

/// A request that a null reply has called for.
#[derive(Clone, Copy, Debug)]
struct FollowUp {
    command: u16,
    key: u64,
    due_ns: u64,
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
    /// Of a request with several replies: those that have come, and whether one was an error.
    parts_seen: u32,
    part_failed: bool,
    /// Keys of the unanswered requests that have something to follow a miss.
    keys_watched: VecDeque<u64>,
    follow_ups: VecDeque<FollowUp>,
    sources: Vec<KeySource>,
    cycle_at: usize,
    remaining: u64,
    /// Open loop: requests made, and requests whose time has come.
    issued: u64,
    due: u64,
    /// Whether the event loop has been told to report room in the socket's buffer.
    pub watches_writable: bool,
    /// Whether the event loop will come back to it to send what follows a miss.
    pub sleeps: bool,
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
            parts_seen: 0,
            part_failed: false,
            keys_watched: VecDeque::new(),
            follow_ups: VecDeque::new(),
            sources: Vec::new(),
            cycle_at: 0,
            remaining: 0,
            issued: 0,
            due: 0,
            watches_writable: false,
            sleeps: false,
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
        self.keys_watched.clear();
        self.follow_ups.clear();
        self.sleeps = false;
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
        let nothing_to_send = self.remaining == 0 && self.follow_ups.is_empty();
        self.lost || (self.outstanding == 0 && (stopping || nothing_to_send))
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

    /// When the next request that a miss has called for is to be sent.
    #[must_use]
    pub fn follow_up_due_ns(&self) -> Option<u64> {
        self.follow_ups.front().map(|follow_up| follow_up.due_ns)
    }

    /// Whether bytes wait for room in the socket's buffer.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.out_sent < self.out.len()
    }

    /// Makes the requests that the window has room for and sends them. In a closed loop they count
    /// from `now_ns`; in an open loop from the moment they were due. What follows a miss comes first, and
    /// a connection that waits to send it makes nothing else: it is busy computing.
    pub fn issue(&mut self, turn: &mut Turn<'_>, now_ns: u64) -> State {
        if turn.stopping || (turn.load.batches && self.outstanding > 0) {
            return State::Open;
        }
        while let Some(follow_up) = self.follow_ups.front().copied() {
            if follow_up.due_ns > now_ns || self.outstanding >= turn.load.pipeline {
                return self.send();
            }
            self.follow_ups.pop_front();
            let mut source = KeySource::fixed(follow_up.key);
            self.append_request(turn, follow_up.command, Some(&mut source), follow_up.due_ns);
        }
        let room = u64::from(turn.load.pipeline - self.outstanding);
        let wanted = if turn.schedule.is_some() {
            self.backlog()
        } else {
            u64::MAX
        };
        let count = room.min(self.remaining).min(wanted);
        for _ in 0..count {
            let since_ns = match turn.schedule {
                Some(schedule) => schedule.due_ns(self.index, self.issued),
                None => now_ns,
            };
            let command = turn.load.cycle[self.cycle_at];
            self.cycle_at += 1;
            if self.cycle_at == turn.load.cycle.len() {
                self.cycle_at = 0;
            }
            self.append_request(turn, command, None, since_ns);
            self.issued += 1;
        }
        self.remaining -= count;
        self.send()
    }

    #[inline]
    fn append_request(
        &mut self,
        turn: &mut Turn<'_>,
        command: u16,
        source: Option<&mut KeySource>,
        since_ns: u64,
    ) {
        let which = usize::from(command);
        let before = self.out.len();
        let sent = &turn.load.commands[which];
        let source = source.unwrap_or(&mut self.sources[which]);
        sent.template
            .append(&turn.load.filling, source, turn.random, &mut self.out);
        if sent.on_miss.is_some() {
            self.keys_watched.push_back(source.last());
        }
        turn.tally.commands[which].bytes_sent += (self.out.len() - before) as u64;
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
            let gap_ns = now_ns.saturating_sub(turn.last_reply_ns);
            turn.tally.longest_gap_ns = turn.tally.longest_gap_ns.max(gap_ns);
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
            let sent = &turn.load.commands[usize::from(run.command)];
            let reads = sent.template.reads();
            let parts = sent.template.replies();
            let before = input.len();
            let mut done = 0u32;
            while done < run.count {
                let Some(mut outcome) = self
                    .skipper
                    .next(&mut input, &mut turn.tally.errors)
                    .map_err(|malformed| malformed.0)?
                else {
                    break;
                };
                if parts > 1 {
                    self.parts_seen += 1;
                    self.part_failed |= outcome == Outcome::Error;
                    if self.parts_seen < parts {
                        continue;
                    }
                    self.parts_seen = 0;
                    if std::mem::take(&mut self.part_failed) {
                        outcome = Outcome::Error;
                    }
                }
                done += 1;
                match outcome {
                    Outcome::Value => tally.hits += u64::from(reads),
                    Outcome::Null if reads => tally.misses += 1,
                    Outcome::Null => tally.nulls += 1,
                    Outcome::Error => tally.errors += 1,
                }
                if let Some(command) = sent.on_miss
                    && let Some(key) = self.keys_watched.pop_front()
                    && outcome == Outcome::Null
                    && !turn.stopping
                {
                    self.follow_ups.push_back(FollowUp {
                        command,
                        key,
                        due_ns: now_ns + turn.load.miss_delay_ns,
                    });
                }
            }
            tally.bytes_received += (before - input.len()) as u64;
            if done > 0 {
                let latency_ns = now_ns.saturating_sub(run.since_ns);
                let times = u64::from(done);
                tally.latency_ns.saturating_record_n(latency_ns, times);
                turn.tally.timeline.record(now_ns, latency_ns, times);
                if let Some(live) = turn.live {
                    live.record(latency_ns, times);
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
mod tests;
