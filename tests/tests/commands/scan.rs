//! SCAN's promise: what is there from the first call to the last is returned, whatever else happens.

use std::collections::BTreeSet;

use tessera_tests::client::Client;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

/// One call; the keys found go to `seen`, the next cursor comes back.
fn step(client: &mut Client, cursor: &str, more: &[&str], seen: &mut BTreeSet<String>) -> String {
    let reply = client.call(&[&["SCAN", cursor], more].concat());
    let [next, keys] = reply.elements() else {
        panic!("SCAN gave {reply}")
    };
    seen.extend(keys.elements().iter().map(Reply::text));
    next.text()
}

fn fill(client: &mut Client, prefix: &str, count: usize) {
    for chunk in (0..count).collect::<Vec<_>>().chunks(1000) {
        let mut mset = vec!["MSET".to_owned()];
        for n in chunk {
            mset.extend([format!("{prefix}{n}"), "v".to_owned()]);
        }
        client.call(&mset).expect_ok();
    }
}

#[test]
fn keys_that_stay_are_found_while_others_come_and_go() {
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        fill(&mut client, "stays:", 1000);
        fill(&mut client, "goes:", 3000);
        let (mut seen, mut cursor, mut round) = (BTreeSet::new(), "0".to_owned(), 0);
        loop {
            cursor = step(&mut client, &cursor, &["COUNT", "20"], &mut seen);
            if cursor == "0" {
                break;
            }
            // The database grows tenfold in the first half, and shrinks while it does.
            if round < 40 {
                fill(&mut client, &format!("comes:{round}:"), 1000);
            }
            if round < 100 {
                let goes: Vec<String> = (0..30)
                    .map(|n| format!("goes:{}", round * 30 + n))
                    .collect();
                client.call(&[&["DEL".to_owned()], goes.as_slice()].concat());
            }
            round += 1;
        }
        for n in 0..1000 {
            let key = format!("stays:{n}");
            assert!(
                seen.contains(&key),
                "{key} was not returned on {shards} shards"
            );
        }
    }
}

#[test]
fn keys_that_stay_are_found_while_the_database_empties() {
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        fill(&mut client, "stays:", 300);
        fill(&mut client, "goes:", 40_000);
        let (mut seen, mut cursor, mut round) = (BTreeSet::new(), "0".to_owned(), 0);
        loop {
            cursor = step(&mut client, &cursor, &["COUNT", "100"], &mut seen);
            if cursor == "0" {
                break;
            }
            let goes: Vec<String> = (0..1000)
                .map(|n| format!("goes:{}", round * 1000 + n))
                .collect();
            client.call(&[&["UNLINK".to_owned()], goes.as_slice()].concat());
            round += 1;
        }
        let stayed = seen.iter().filter(|key| key.starts_with("stays:")).count();
        assert_eq!(stayed, 300, "on {shards} shards");
    }
}

/// A cursor is all the state there is: any connection, on any shard, can go on with it.
#[test]
fn a_cursor_is_good_on_every_connection() {
    let server = Launch::tessera().shards(4).start();
    fill(&mut server.client(), "k", 2000);
    let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
    let (mut seen, mut cursor, mut calls) = (BTreeSet::new(), "0".to_owned(), 0);
    loop {
        let client = calls % clients.len();
        cursor = step(&mut clients[client], &cursor, &[], &mut seen);
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 2000);
    assert!(calls > 20, "2,000 keys came in {calls} calls without COUNT");
}

#[test]
fn count_bounds_a_call() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    fill(&mut client, "k", 10_000);
    let mut seen = BTreeSet::new();
    step(&mut client, "0", &["COUNT", "10"], &mut seen);
    assert!(seen.len() < 500, "COUNT 10 gave {} keys", seen.len());
    let mut seen = BTreeSet::new();
    let mut cursor = step(&mut client, "0", &["COUNT", "1000000"], &mut seen);
    let mut calls = 1;
    while cursor != "0" {
        cursor = step(&mut client, &cursor, &["COUNT", "1000000"], &mut seen);
        calls += 1;
    }
    assert_eq!(seen.len(), 10_000);
    assert!(calls <= 4, "{calls} calls of a million keys each");
}

#[test]
fn filters() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    fill(&mut client, "a", 200);
    fill(&mut client, "{tag}", 200);
    let mut all = |more: &[&str]| {
        let (mut seen, mut cursor) = (BTreeSet::new(), "0".to_owned());
        loop {
            cursor = step(&mut client, &cursor, more, &mut seen);
            if cursor == "0" {
                return seen.len();
            }
        }
    };
    assert_eq!(all(&[]), 400);
    assert_eq!(all(&["MATCH", "a*"]), 200);
    assert_eq!(all(&["MATCH", "{tag}1?"]), 10);
    assert_eq!(all(&["TYPE", "string"]), 400);
    assert_eq!(all(&["TYPE", "hash"]), 0);
    assert_eq!(all(&["COUNT", "7", "MATCH", "*9", "TYPE", "STRING"]), 40);
}
