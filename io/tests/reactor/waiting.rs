//! How long a poll takes, and what it costs.

use std::io::Write;

use tessera_io::{BackendChoice, Env, Event, Wait};

use crate::harness::{Node, on_every_backend};

on_every_backend!(
    waits_until_the_deadline,
    does_not_wait,
    costs_nothing_when_idle
);

fn waits_until_the_deadline(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let mut events = Vec::new();
    for wait_ns in [0, 1, 100_000, 3_000_000, 50_000_000] {
        let deadline = node.reactor.now() + wait_ns;
        node.reactor
            .poll(Wait::Until(deadline), &mut events)
            .unwrap();
        let late_ns = node
            .reactor
            .now()
            .checked_sub(deadline)
            .expect("not before the deadline");
        assert!(late_ns < 5_000_000_000, "{late_ns} ns late");
    }
    node.reactor.poll(Wait::Until(0), &mut events).unwrap();
    assert!(events.is_empty());
}

fn does_not_wait(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let mut events = Vec::new();
    node.reactor.poll(Wait::Never, &mut events).unwrap();
    assert!(events.is_empty());
    // But it sees what is there already.
    let mut client = node.connect();
    client.write_all(b"x").unwrap();
    let mut bytes = 0;
    for _ in 0..1_000_000 {
        node.reactor.poll(Wait::Never, &mut events).unwrap();
        for event in events.drain(..) {
            if let Event::Received { chunk, .. } = event {
                bytes += chunk.len();
            }
        }
        if bytes > 0 {
            return;
        }
    }
    panic!("polls without waiting saw nothing");
}

/// Processor time of this thread, in nanoseconds.
fn thread_cpu_ns() -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn costs_nothing_when_idle(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let clients: Vec<_> = (0..10).map(|_| node.connect()).collect();
    let mut accepted = 0;
    while accepted < clients.len() {
        accepted += node.turn().len();
    }
    // Paused and closed clients must not keep it busy either.
    drop(clients);
    let mut closed = 0;
    while closed < accepted {
        for event in node.turn() {
            closed += usize::from(matches!(event, Event::Closed { .. }));
        }
    }
    let before = thread_cpu_ns();
    let deadline = node.reactor.now() + 300_000_000;
    let mut events = Vec::new();
    node.reactor
        .poll(Wait::Until(deadline), &mut events)
        .unwrap();
    let used_ns = thread_cpu_ns() - before;
    assert!(node.reactor.now() >= deadline && events.is_empty());
    assert!(
        used_ns < 30_000_000,
        "{used_ns} ns of processor time for nothing"
    );
}
