//! Messages published to many: one publisher, subscribers on a thread of their own, and the time from the moment a
//! message was sent to the moment a subscriber read it.
//!
//! Every message has the same length and carries the time of its sending, so a subscriber's stream is a row of
//! frames of one size.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::clock::{Clock, SECOND_NS};
use crate::error::BenchError;
use crate::load::Limit;
use crate::plan::Plan;
use crate::process::own_cpu_ns;
use crate::report::{Latency, PhaseReport, Row};
use crate::server_stats::Probe;
use crate::tally::CommandTally;
use crate::target::Target;
use crate::timeline::Timeline;

const CHANNEL: &str = "fan";
/// Digits of the time in a message.
const STAMP_BYTES: usize = 20;
/// Subscribers that have heard nothing for so long hear nothing any more.
const SILENCE_NS_MAX: u64 = 2 * SECOND_NS;
const EVENTS_MAX: usize = 256;
const READ_BYTES: usize = 64 * 1024;
/// The publisher has not finished.
const UNKNOWN: u64 = u64::MAX;

/// Publishes for as long as the plan says, so many messages at once, and reports the deliveries as replies; and what else there is to say.
pub(super) fn fan_out(
    plan: &Plan,
    probe: &mut Probe,
    (subscribers, at_once, bytes): (usize, usize, usize),
) -> Result<(PhaseReport, Vec<String>), BenchError> {
    let bytes = bytes.max(STAMP_BYTES);
    let listeners = subscribe(&plan.target, subscribers)?;
    let mut publisher = plan.target.connect()?;
    let clock = Clock::start();
    let expected = AtomicU64::new(UNKNOWN);
    let before = probe.before();
    let cpu_before_ns = own_cpu_ns();
    let started_ns = clock.now_ns();
    let (published, heard) = thread::scope(|scope| {
        let ear = Ear {
            clock,
            bytes,
            expected: &expected,
        };
        let listening = scope.spawn(move || ear.listen(listeners, started_ns));
        let mut published = 0u64;
        let mut sent = Ok(());
        let wanted = |count: u64| match plan.limit {
            Some(Limit::Time(duration_ns)) => clock.now_ns() - started_ns < duration_ns,
            Some(Limit::Requests(requests)) => count < requests,
            _ => false,
        };
        while sent.is_ok() && wanted(published) {
            let message = format!(
                "{:0>STAMP_BYTES$}{}",
                clock.now_ns(),
                "x".repeat(bytes - STAMP_BYTES)
            );
            let publish = ["PUBLISH", CHANNEL, &message].map(str::to_owned).to_vec();
            sent = publisher.call_many(&vec![publish; at_once]);
            if sent.is_ok() {
                published += at_once as u64;
            }
        }
        expected.store(published * subscribers as u64, Ordering::Release);
        let heard = listening
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sent.map(|()| (published, heard))
    })?;
    let heard = heard?;
    let elapsed_ns = heard.last_ns.max(started_ns + 1) - started_ns;
    let replies = heard.tally.replies();
    let mut report = PhaseReport {
        elapsed_s: elapsed_ns as f64 / SECOND_NS as f64,
        server: probe.after(&before, replies),
        client_cpu_us_per_op: (own_cpu_ns() - cpu_before_ns) as f64 / 1e3 / replies.max(1) as f64,
        free_commands: true,
        commands: published,
        timeline: heard.timeline.points(elapsed_ns),
        longest_gap_us: heard.longest_gap_ns as f64 / 1e3,
        partial: replies < published * subscribers as u64,
        ..PhaseReport::default()
    };
    if report.partial {
        report.lost_reason = Some(format!(
            "{} messages were not delivered",
            published * subscribers as u64 - replies
        ));
    }
    report.totals = Row {
        label: "Messages".to_owned(),
        replies,
        ops_per_s: replies as f64 / report.elapsed_s,
        kb_per_s: heard.tally.bytes_received as f64 / 1024.0 / report.elapsed_s,
        latency: Latency::of(&heard.tally.latency_ns, &plan.percentiles),
        ..Row::default()
    };
    report.rows = vec![report.totals.clone()];
    let rate = published as f64 / report.elapsed_s;
    Ok((
        report,
        vec![format!(
            "{rate:.0} published/s; the columns count deliveries"
        )],
    ))
}

/// Connections that have subscribed. RESP2 always: its messages are plain arrays, whatever the load speaks.
fn subscribe(target: &Target, count: usize) -> Result<Vec<OwnedFd>, BenchError> {
    let target = Target {
        resp: 2,
        ..target.clone()
    };
    let one = |_| {
        let mut control = target.connect()?;
        control.call(&["SUBSCRIBE", CHANNEL])?;
        let socket = control.into_socket();
        rustix::io::ioctl_fionbio(&socket, true)
            .map_err(|errno| BenchError::system("cannot unblock a socket")(errno.into()))?;
        Ok(socket)
    };
    (0..count).map(one).collect()
}

/// What the subscribers heard.
struct Heard {
    tally: CommandTally,
    timeline: Timeline,
    longest_gap_ns: u64,
    last_ns: u64,
}

/// How to listen.
struct Ear<'a> {
    clock: Clock,
    bytes: usize,
    /// Deliveries there will have been, once that is known.
    expected: &'a AtomicU64,
}

impl Ear<'_> {
    fn listen(&self, sockets: Vec<OwnedFd>, started_ns: u64) -> Result<Heard, BenchError> {
        let fail = |errno: Errno| BenchError::system("listening failed")(errno.into());
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(fail)?;
        for (at, socket) in (0u64..).zip(&sockets) {
            let interest = EventFlags::IN | EventFlags::RDHUP;
            epoll::add(&epoll, socket, EventData::new_u64(at), interest).map_err(fail)?;
        }
        let mut heard = Heard {
            tally: CommandTally::default(),
            timeline: Timeline::starting(started_ns),
            longest_gap_ns: 0,
            last_ns: started_ns,
        };
        let mut streams = vec![Vec::new(); sockets.len()];
        let mut buffer = vec![0; READ_BYTES];
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
        let tick = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        while heard.tally.replies() < self.expected.load(Ordering::Acquire) {
            events.clear();
            match epoll::wait(&epoll, spare_capacity(&mut events), Some(&tick)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(fail(errno)),
            }
            let now_ns = self.clock.now_ns();
            if events.is_empty()
                && self.expected.load(Ordering::Acquire) != UNKNOWN
                && now_ns - heard.last_ns > SILENCE_NS_MAX
            {
                break;
            }
            for event in &events {
                let at = event.data.u64() as usize;
                let got = match rustix::net::recv(&sockets[at], &mut *buffer, RecvFlags::empty()) {
                    Ok((0, _)) => return Ok(heard),
                    Ok((got, _)) => got,
                    Err(Errno::AGAIN | Errno::INTR) => continue,
                    Err(_) => return Ok(heard),
                };
                self.take(&buffer[..got], &mut streams[at], &mut heard);
            }
        }
        Ok(heard)
    }

    /// Takes in what a subscriber has read, whole messages first.
    fn take(&self, input: &[u8], stream: &mut Vec<u8>, heard: &mut Heard) {
        let now_ns = self.clock.now_ns();
        heard.longest_gap_ns = heard.longest_gap_ns.max(now_ns - heard.last_ns);
        heard.last_ns = now_ns;
        heard.tally.bytes_received += input.len() as u64;
        stream.extend_from_slice(input);
        let head = format!(
            "*3\r\n$7\r\nmessage\r\n${}\r\n{CHANNEL}\r\n${}\r\n",
            CHANNEL.len(),
            self.bytes
        )
        .len();
        let frame = head + self.bytes + 2;
        let whole = stream.len() / frame * frame;
        for message in stream[..whole].chunks(frame) {
            let stamp = &message[head..head + STAMP_BYTES];
            let sent_ns = stamp.iter().fold(0u64, |sum, digit| {
                sum.wrapping_mul(10)
                    .wrapping_add(u64::from(digit.wrapping_sub(b'0')))
            });
            let latency_ns = now_ns.saturating_sub(sent_ns);
            heard.tally.latency_ns.saturating_record(latency_ns);
            heard.timeline.record(now_ns, latency_ns, 1);
        }
        stream.drain(..whole);
    }
}
