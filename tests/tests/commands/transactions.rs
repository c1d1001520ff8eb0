//! MULTI, EXEC, WATCH: the same words to ours and to the oracle.

use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

use crate::both::Both;

/// Keys that lie on different shards, one that expires, and commands that look at whole shards.
const WORDS: &[&str] = &[
    "EXEC",
    "DISCARD",
    "UNWATCH",
    "MULTI",
    "MULTI",
    "WATCH x",
    "SET a 1",
    "SET b 2",
    "SET {x}c 3",
    "MGET a b {x}c",
    "PING",
    "ECHO hi",
    "SELECT 1",
    "SET a other",
    "SELECT 99",
    "SELECT 0",
    "GET a",
    "INCR a",
    "HSET h f v",
    "HGETALL h",
    "LCS a b",
    "GET h",
    "RENAME a q",
    "UNWATCH",
    "EXEC",
    "GET q",
    "MULTI",
    "EXEC",
    "MULTI",
    "SET a",
    "GET q",
    "EXEC",
    "MULTI",
    "NOSUCH",
    "EXEC",
    "MULTI",
    "SHUTDOWN",
    "EXEC",
    "MULTI",
    "OBJECT",
    "OBJECT NOSUCH x",
    "EXEC",
    "MULTI",
    "SET a 1",
    "DISCARD",
    "GET a",
    "WATCH q b",
    "SET b 9",
    "MULTI",
    "GET q",
    "EXEC",
    "WATCH q b",
    "MULTI",
    "GET q",
    "EXEC",
    "WATCH none",
    "DEL none",
    "MULTI",
    "PING",
    "EXEC",
    "WATCH b",
    "UNWATCH",
    "SET b 10",
    "MULTI",
    "GET b",
    "EXEC",
    "WATCH b",
    "MULTI",
    "DISCARD",
    "SET b 11",
    "MULTI",
    "GET b",
    "EXEC",
    "RPUSH trimmed a",
    "WATCH trimmed",
    "LTRIM trimmed 0 -1",
    "MULTI",
    "LLEN trimmed",
    "EXEC",
    "DEL trimmed",
    "WATCH b",
    "SWAPDB 0 5",
    "MULTI",
    "DBSIZE",
    "EXEC",
    "SWAPDB 0 5",
    "WATCH absent",
    "FLUSHALL",
    "MULTI",
    "DBSIZE",
    "SET a 1",
    "KEYS *",
    "RANDOMKEY",
    "SCAN 0 COUNT 1000",
    "FLUSHALL",
    "DBSIZE",
    "SET b 2 PX 1",
    "MGET a b",
    "RENAME a z",
    "EXEC",
    "WATCH z",
    "FLUSHDB",
    "MULTI",
    "PING",
    "EXEC",
    "MULTI",
    "CLIENT SETNAME me",
    "CLIENT GETNAME",
    "CONFIG GET maxclients",
    "EXEC",
    "MULTI",
    "RESET",
    "EXEC",
];

#[test]
fn as_the_oracle_has_them() {
    for shards in [1, 2, 4] {
        let mut both = Both::start_on(shards);
        both.say(WORDS);
        both.speak_resp3();
        both.say(WORDS);
    }
}

#[test]
fn a_pipeline_of_transactions() {
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        let mut commands: Vec<Vec<String>> = Vec::new();
        let mut say = |text: String| {
            commands.push(text.split(' ').map(str::to_owned).collect());
        };
        for round in 0..50 {
            for text in [
                "WATCH a",
                "MULTI",
                "SET a ROUND",
                "INCR b",
                "SELECT 1",
                "INCR c",
                "EXEC",
                "GET c",
                "SELECT 0",
                "GET a",
            ] {
                say(text.replace("ROUND", &round.to_string()));
            }
        }
        let replies = client.pipeline(&commands);
        for (round, replies) in replies.chunks(10).enumerate() {
            let number = round as i64 + 1;
            assert_eq!(
                replies[6],
                Reply::Array(vec![
                    Reply::ok(),
                    Reply::Int(number),
                    Reply::ok(),
                    Reply::Int(number)
                ]),
                "{shards} shards, round {round}"
            );
            assert_eq!(replies[7], Reply::Bulk(number.to_string().into_bytes()));
            assert_eq!(replies[9], Reply::Bulk(round.to_string().into_bytes()));
        }
    }
}

#[test]
fn watching_ends_with_the_connection() {
    let server = Launch::tessera().shards(2).start();
    for _ in 0..3 {
        let mut client = server.client();
        client.say("WATCH a b c d").expect_ok();
        client.say("MULTI").expect_ok();
    }
    let mut client = server.client();
    client.say("WATCH a b").expect_ok();
    client.say("SET a 1").expect_ok();
    client.say("MULTI").expect_ok();
    client.say("GET a");
    assert_eq!(client.say("EXEC"), Reply::Null, "it watched its own change");
}

/// A client that does not wait for EXEC watches and waits already when that is over.
#[test]
fn what_follows_exec_in_a_pipeline_stays() {
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        for n in 0..40 {
            let (a, b) = (format!("a{n}"), format!("b{n}"));
            let replies = client.pipeline(&[
                vec!["MULTI"],
                vec!["SET", &a, "1"],
                vec!["SET", &b, "1"],
                vec!["EXEC"],
                vec!["WATCH", &a, &b],
                vec!["SET", &a, "2"],
                vec!["SET", &b, "2"],
            ]);
            assert_eq!(replies[3].elements().len(), 2);
            let replies = client.pipeline(&[vec!["MULTI"], vec!["SET", &a, "3"], vec!["EXEC"]]);
            assert_eq!(
                replies[2],
                Reply::Null,
                "{shards} shards: a change was missed"
            );
            // A command behind one that waits does not run before it.
            let mut other = server.client();
            for words in [
                vec!["MULTI"],
                vec!["RPUSH", "l", "x"],
                vec!["LPOP", "l"],
                vec!["GET", &b],
                vec!["EXEC"],
                vec!["BLPOP", "l", "m", "0"],
                vec!["SET", &a, "late"],
            ] {
                client.send(&words);
            }
            for _ in 0..5 {
                client.read();
            }
            (0..3).for_each(|_| drop(other.say("DBSIZE")));
            assert_eq!(other.call(&["GET", &a]), Reply::bulk("2"));
            other.say("RPUSH m y");
            assert_eq!(client.read().elements().len(), 2);
            client.read().expect_ok();
        }
    }
}

/// MOVE in a transaction over several shards: the key is where others look for it.
#[test]
fn a_key_that_moves_in_a_transaction_is_found() {
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        for n in 0..20 {
            let (a, b) = (format!("a{n}"), format!("b{n}"));
            let replies = client.pipeline(&[
                vec!["MULTI"],
                vec!["MSET", &a, "1", &b, "2"],
                vec!["MOVE", &a, "3"],
                vec!["MOVE", &b, "3"],
                vec!["EXEC"],
                vec!["SELECT", "3"],
                vec!["MGET", &a, &b],
                vec!["SELECT", "0"],
            ]);
            let found = [Reply::bulk("1"), Reply::bulk("2")];
            assert_eq!(replies[6].elements(), found, "{shards} shards");
        }
    }
}

/// A transaction that waits for a lock when its client goes does not forget what it has been told of the watched keys.
#[test]
fn a_touched_transaction_whose_client_goes_does_not_run() {
    const LONG: &str = "local n = 0 for i = 1, 20000000 do n = n + 1 end return n";
    for shards in [1, 2] {
        let server = Launch::tessera().shards(shards).start();
        let mut control = server.client();
        for (held, watched) in [("a", "b"), ("b", "a"), ("{t}c", "{t}d")] {
            let (mut client, mut busy) = (server.client(), server.client());
            let id = client.say("CLIENT ID").int().to_string();
            client.call(&["WATCH", held, watched]).expect_ok();
            control.call(&["SET", watched, "changed"]).expect_ok();
            busy.send(&["EVAL", LONG, "1", held]);
            client.say("MULTI").expect_ok();
            client.call(&["SET", held, "by nobody"]);
            client.send(&["EXEC"]);
            drop(client);
            wait_until("it has gone", || {
                let list = control.call(&["CLIENT", "LIST", "ID", &id]).text();
                list.trim().is_empty()
            });
            assert!(matches!(busy.read(), Reply::Int(_)));
            let value = control.call(&["GET", held]);
            assert_ne!(value, Reply::bulk("by nobody"), "{held}");
        }
    }
}
