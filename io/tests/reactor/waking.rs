//! Wake-ups from threads and from other shards.

use std::sync::atomic::{AtomicUsize, Ordering};

use tessera_io::{BackendChoice, Env, Listen, ReactorSeed, Wait};

use crate::harness::{Node, group, on_every_backend};

on_every_backend!(
    a_thread_wakes_a_poll,
    a_wake_up_is_not_lost_between_polls,
    shards_wake_each_other,
    wakes_before_and_after_the_peer_lives,
);

fn a_thread_wakes_a_poll(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let turns = AtomicUsize::new(0);
    let waker = node.reactor.waker();
    let mut events = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..1_000 {
                while turns.load(Ordering::SeqCst) < round {
                    std::hint::spin_loop();
                    std::thread::yield_now();
                }
                waker.wake();
            }
        });
        for _ in 0..1_000 {
            node.reactor.poll(Wait::Forever, &mut events).unwrap();
            turns.fetch_add(1, Ordering::SeqCst);
        }
    });
    assert!(events.is_empty());
}

fn a_wake_up_is_not_lost_between_polls(choice: BackendChoice) {
    let mut node = Node::start(choice);
    let waker = node.reactor.waker();
    let mut events = Vec::new();
    for _ in 0..100 {
        waker.wake();
        waker.wake();
        node.reactor.poll(Wait::Forever, &mut events).unwrap();
        node.reactor.poll(Wait::Never, &mut events).unwrap();
    }
    // A shard may wake itself, and one that does not exist is nobody.
    node.reactor.wake(0);
    node.reactor.wake(99);
    node.reactor.poll(Wait::Forever, &mut events).unwrap();
    assert!(events.is_empty());
}

/// Two shards hand a turn to each other; a lost wake-up would leave both asleep.
fn shards_wake_each_other(choice: BackendChoice) {
    const ROUNDS: usize = 2_000;
    let group = group(choice, 2, &Listen::default(), |_| ()).unwrap();
    let turn = AtomicUsize::new(0);
    let play = |seed: ReactorSeed| {
        let me = seed.shard();
        let mut reactor = seed.build().unwrap();
        let mut events = Vec::new();
        loop {
            let now = turn.load(Ordering::SeqCst);
            if now >= ROUNDS {
                reactor.wake(1 - me);
                return reactor.poll(Wait::Never, &mut events).unwrap();
            }
            let wait = if now % 2 == me {
                turn.store(now + 1, Ordering::SeqCst);
                reactor.wake(1 - me);
                Wait::Never
            } else {
                Wait::Forever
            };
            reactor.poll(wait, &mut events).unwrap();
            assert!(events.is_empty());
        }
    };
    std::thread::scope(|scope| {
        for seed in group.seeds {
            scope.spawn(|| play(seed));
        }
    });
}

fn wakes_before_and_after_the_peer_lives(choice: BackendChoice) {
    let mut seeds = group(choice, 2, &Listen::default(), |_| ()).unwrap().seeds;
    let second = seeds.pop().unwrap();
    let mut first = seeds.pop().unwrap().build().unwrap();
    let mut events = Vec::new();
    first.wake(1);
    first.poll(Wait::Never, &mut events).unwrap();
    let mut second = second.build().unwrap();
    second.poll(Wait::Forever, &mut events).unwrap();
    first.wake(1);
    first.poll(Wait::Never, &mut events).unwrap();
    second.poll(Wait::Forever, &mut events).unwrap();
    first.wake(1);
    drop(second);
    first.poll(Wait::Never, &mut events).unwrap();
    first.wake(1);
    first.poll(Wait::Never, &mut events).unwrap();
    assert!(events.is_empty());
}
