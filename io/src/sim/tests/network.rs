//! The rules of a connection one by one, in calm worlds where they are plain to see.

use std::time::Duration;

use crate::sim::{Bounds, Faults, SimChunk, SimEnv, Step, World};
use crate::{CloseMode, ConnId, Env, Event, Hangup, Peer, Wait};

/// Lets the world run, polling shard 0, until nothing happens; says what was seen.
fn settle(world: &World, env: &mut SimEnv) -> Vec<Event<SimChunk>> {
    let mut events = Vec::new();
    loop {
        match world.step() {
            Step::Shard(_) => env.poll(Wait::Forever, &mut events).unwrap(),
            Step::Time => {}
            Step::Idle => return events,
        }
    }
}

fn accepted(events: &[Event<SimChunk>]) -> ConnId {
    match &events[0] {
        Event::Accepted { conn, .. } => *conn,
        event => panic!("{event:?}"),
    }
}

fn received(events: &[Event<SimChunk>]) -> Vec<u8> {
    let chunks = events.iter().filter_map(|event| match event {
        Event::Received { chunk, .. } => Some(&chunk[..]),
        _ => None,
    });
    chunks.collect::<Vec<_>>().concat()
}

fn hangup(events: &[Event<SimChunk>]) -> Option<Hangup> {
    events.iter().find_map(|event| match event {
        Event::Closed { hangup, .. } => Some(*hangup),
        _ => None,
    })
}

fn small_sockets(bytes: u64) -> Faults {
    Faults {
        socket_bytes: Bounds::new(bytes, bytes),
        ..Faults::none()
    }
}

#[test]
fn a_request_and_its_reply_take_time() {
    let world = World::new(1, Faults::none());
    let mut env = world.env(0);
    let mut client = world.connect(0);
    client.send(b"ping");
    let events = settle(&world, &mut env);
    let conn = accepted(&events);
    assert_eq!(b"ping", &received(&events)[..]);
    let asked_at = world.now();
    env.send(conn, b"pong".to_vec());
    assert_eq!(4, env.backlog(conn), "bytes leave with the next poll");
    env.poll(Wait::Forever, &mut Vec::new()).unwrap();
    assert_eq!(0, env.backlog(conn));
    assert!(client.received().is_empty());
    settle(&world, &mut env);
    assert_eq!(b"pong", &client.received()[..]);
    assert!(world.now() >= asked_at + 20_000);
}

#[test]
fn a_slow_reader_causes_a_backlog_and_reading_drains_it() {
    let world = World::new(1, small_sockets(100));
    let mut env = world.env(0);
    let mut client = world.connect(0);
    let conn = accepted(&settle(&world, &mut env));
    client.stop_reading();
    env.send(conn, vec![b'a'; 150]);
    env.send(conn, vec![b'b'; 60]);
    assert!(settle(&world, &mut env).is_empty());
    assert_eq!(110, env.backlog(conn));
    assert_eq!(0, client.readable());
    client.start_reading();
    let mut got = client.received();
    assert!(settle(&world, &mut env).is_empty());
    assert_eq!(10, env.backlog(conn));
    got.extend(client.received());
    let events = settle(&world, &mut env);
    assert!(matches!(events[..], [Event::Drained { conn: drained }] if drained == conn));
    got.extend(client.received());
    assert_eq!([vec![b'a'; 150], vec![b'b'; 60]].concat(), got);
    assert_eq!(1, world.stats().drained);
}

#[test]
fn a_paused_connection_is_not_read() {
    let world = World::new(1, small_sockets(10));
    let mut env = world.env(0);
    let mut client = world.connect(0);
    let conn = accepted(&settle(&world, &mut env));
    env.pause(conn);
    client.send(b"0123456789abcdef");
    client.shutdown();
    assert!(settle(&world, &mut env).is_empty());
    assert_eq!(6, client.unsent());
    env.resume(conn);
    let events = settle(&world, &mut env);
    assert_eq!(b"0123456789abcdef", &received(&events)[..]);
    assert_eq!(Some(Hangup::Eof), hangup(&events));
}

#[test]
fn after_an_eof_replies_still_leave() {
    let world = World::new(1, small_sockets(10));
    let mut env = world.env(0);
    let mut client = world.connect(0);
    client.send(b"half");
    client.shutdown();
    let events = settle(&world, &mut env);
    let conn = accepted(&events);
    assert_eq!(Some(Hangup::Eof), hangup(&events));
    env.send(conn, b"a last reply in parts".to_vec());
    env.close(conn, CloseMode::Flush);
    let mut got = Vec::new();
    while !client.is_closed() {
        match world.step() {
            Step::Shard(_) => env.poll(Wait::Forever, &mut Vec::new()).unwrap(),
            Step::Time => assert!(client.receive_into(&mut got) <= 10),
            Step::Idle => panic!("the rest never comes"),
        }
    }
    assert_eq!(b"a last reply in parts", &got[..]);
    assert_eq!(Some(Hangup::Eof), client.hangup());
}

#[test]
fn a_flush_gives_up_on_a_peer_that_does_not_read() {
    let world = World::new(1, small_sockets(10));
    let mut env = world.env(0);
    let mut client = world.connect(0);
    let conn = accepted(&settle(&world, &mut env));
    client.stop_reading();
    env.send(conn, vec![b'x'; 30]);
    env.close(conn, CloseMode::Flush);
    let closed_at = world.now();
    settle(&world, &mut env);
    assert!(world.now() - closed_at >= 5_000_000_000);
    client.start_reading();
    assert_eq!(10, client.received().len());
    settle(&world, &mut env);
    assert!(client.is_closed());
}

#[test]
fn an_abort_drops_what_is_queued() {
    let world = World::new(1, Faults::none());
    let mut env = world.env(0);
    let mut client = world.connect(0);
    let conn = accepted(&settle(&world, &mut env));
    env.send(conn, b"never".to_vec());
    env.close(conn, CloseMode::Abort);
    settle(&world, &mut env);
    assert!(client.is_closed() && client.received().is_empty());
}

#[test]
fn a_reset_takes_what_is_on_its_way() {
    let world = World::new(1, Faults::none());
    let mut env = world.env(0);
    let mut client = world.connect(0);
    let conn = accepted(&settle(&world, &mut env));
    client.send(b"lost");
    client.reset();
    let events = settle(&world, &mut env);
    assert!(received(&events).is_empty());
    assert_eq!(Some(Hangup::Error(libc::ECONNRESET)), hangup(&events));
    env.send(conn, b"to nobody".to_vec());
    assert_eq!(0, env.backlog(conn));
    env.close(conn, CloseMode::Flush);
    assert!(settle(&world, &mut env).is_empty());
}

#[test]
fn a_client_that_left_answers_bytes_with_a_reset() {
    let world = World::new(1, Faults::none());
    let mut env = world.env(0);
    let client = world.connect(0);
    let conn = accepted(&settle(&world, &mut env));
    env.pause(conn); // so that the end of file is not found first
    drop(client);
    assert!(settle(&world, &mut env).is_empty());
    env.send(conn, b"hello?".to_vec());
    let mut events = settle(&world, &mut env);
    world.advance(1_000_000);
    env.resume(conn);
    events.extend(settle(&world, &mut env));
    assert_eq!(Some(Hangup::Error(libc::ECONNRESET)), hangup(&events));
}

#[test]
fn a_name_is_dead_after_close() {
    let world = World::new(1, Faults::none());
    let mut env = world.env(0);
    let mut first = world.connect(0);
    let old = accepted(&settle(&world, &mut env));
    env.close(old, CloseMode::Abort);
    first.send(b"more");
    let mut second = world.connect(0);
    let events = settle(&world, &mut env);
    let new = accepted(&events);
    assert_eq!((1, old.index), (events.len(), new.index));
    assert_ne!(old.generation, new.generation);
    env.send(old, b"stray".to_vec());
    env.pause(old);
    env.close(old, CloseMode::Abort);
    env.send(new, b"right".to_vec());
    settle(&world, &mut env);
    assert_eq!(b"right", &second.received()[..]);
    assert_eq!(3, world.stats().ignored_calls);
}

#[test]
fn nobody_listens_after_stop_listening() {
    let world = World::new(1, Faults::none());
    let mut env = world.env(0);
    let early = world.connect(0);
    env.stop_listening();
    let late = world.connect(0);
    let nowhere = world.connect(7);
    assert!(settle(&world, &mut env).is_empty());
    assert!(early.is_closed() && late.is_closed() && nowhere.is_closed());
}

#[test]
fn peers_are_as_the_test_says() {
    let world = World::new(1, Faults::none());
    let mut env = world.env(0);
    let wanted = Peer::Unix {
        path: "/run/tessera.sock".into(),
    };
    let _client = world.connect_from(0, wanted.clone());
    let events = settle(&world, &mut env);
    assert!(matches!(&events[0], Event::Accepted { peer, .. } if *peer == wanted));
}

#[test]
fn held_chunks_stop_the_reading_until_they_are_dropped() {
    let faults = Faults {
        chunks_max: 2,
        ..Faults::none()
    };
    let world = World::new(1, faults);
    let mut env = world.env(0);
    let mut clients: Vec<_> = (0..4).map(|_| world.connect(0)).collect();
    clients.iter_mut().for_each(|client| client.send(b"x"));
    let events = settle(&world, &mut env);
    assert_eq!(2, received(&events).len());
    assert!(!world.runnable(0));
    drop(events);
    assert!(world.runnable(0));
    assert_eq!(2, received(&settle(&world, &mut env)).len());
}

#[test]
fn sleeps_end_by_deadline_wake_up_and_alarm() {
    let world = World::new(1, Faults::none());
    let (mut env, mut other) = (world.env(0), world.env(1));
    let mut events = Vec::new();
    other.poll(Wait::Forever, &mut events).unwrap();
    env.poll(Wait::Until(1_000_000), &mut events).unwrap();
    assert!(world.asleep(0) && !world.runnable(0));
    assert_eq!(Some(1_000_000), world.next_deadline());
    world.alarm(500_000);
    assert_eq!(Step::Time, world.step());
    assert_eq!(500_000, world.now());
    assert_eq!((Step::Time, Step::Shard(0)), (world.step(), world.step()));
    env.poll(Wait::Until(1_000_000), &mut events).unwrap();
    assert!(!world.asleep(0));
    env.wake(1);
    assert!(!world.runnable(1));
    env.poll(Wait::Forever, &mut events).unwrap();
    assert_eq!((Step::Time, Step::Shard(1)), (world.step(), world.step()));
    other.poll(Wait::Forever, &mut events).unwrap();
    assert!(!world.asleep(1) && events.is_empty());
    other.poll(Wait::Forever, &mut events).unwrap();
    assert!(world.asleep(1));
    assert_eq!(Step::Idle, world.step());
}

#[test]
fn a_shard_that_slept_finds_its_clock_moved() {
    let world = World::new(1, Faults::none());
    let mut env = world.env(0);
    let (now, wall) = (env.now(), env.unix_us());
    env.sleep(Duration::from_millis(3));
    assert_eq!((now + 3_000_000, wall + 3_000), (env.now(), env.unix_us()));
    assert!(!world.runnable(0));
    assert_eq!(Step::Time, world.step());
    assert_eq!(now + 3_000_000, world.now());
    assert!(world.runnable(0));
    world.step_wall_clock(-1_000);
    assert_eq!(wall + 2_000, env.unix_us());
    world.stall(0, world.now() + 5);
    assert_eq!(Some(world.now() + 5), world.next_deadline());
}
