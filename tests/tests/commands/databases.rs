//! Sixteen databases over all shards.

use tessera_tests::client::Client;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

use crate::both::Both;

fn select(client: &mut Client, database: usize) {
    client.call(&["SELECT", &database.to_string()]).expect_ok();
}

#[test]
fn each_has_its_own_keys() {
    let server = Launch::tessera().shards(4).start();
    let mut client = server.client();
    for database in 0..16 {
        select(&mut client, database);
        for n in 0..=database {
            client
                .call(&["SET", &format!("k{n}"), &format!("{n} in {database}")])
                .expect_ok();
        }
    }
    for database in 0..16 {
        select(&mut client, database);
        assert_eq!(
            client.call(&["DBSIZE"]).int(),
            i64::try_from(database).expect("small") + 1
        );
        assert_eq!(
            client.call(&["GET", "k0"]).text(),
            format!("0 in {database}")
        );
    }
    assert_eq!(
        client.call(&["SELECT", "16"]).error(),
        "ERR DB index is out of range"
    );
    select(&mut client, 3);
    client.call(&["FLUSHDB"]).expect_ok();
    assert_eq!(client.call(&["DBSIZE"]).int(), 0);
    select(&mut client, 4);
    assert_eq!(client.call(&["DBSIZE"]).int(), 5);
    let keyspace = client.say("INFO keyspace").text();
    assert!(
        keyspace.contains("db15:keys=16,expires=0") && !keyspace.contains("db3:"),
        "{keyspace}"
    );
    client.call(&["FLUSHALL"]).expect_ok();
    assert!(!client.say("INFO keyspace").text().contains("keys="));
}

/// A connection keeps its database; others do not follow.
#[test]
fn select_is_for_one_connection() {
    let server = Launch::tessera().shards(2).start();
    let (mut one, mut two) = (server.client(), server.client());
    select(&mut one, 7);
    one.call(&["SET", "k", "seven"]).expect_ok();
    assert_eq!(two.call(&["GET", "k"]), Reply::Null);
    one.call(&["RESET"]);
    assert_eq!(one.call(&["GET", "k"]), Reply::Null);
    select(&mut two, 7);
    assert_eq!(two.call(&["GET", "k"]).text(), "seven");
}

#[test]
fn swapdb_moves_everyone() {
    let server = Launch::tessera().shards(4).start();
    let (mut in_one, mut in_two) = (server.client(), server.client());
    select(&mut in_one, 1);
    select(&mut in_two, 2);
    for n in 0..50 {
        in_one
            .call(&["SET", &format!("k{n}"), "from one", "EX", "1000"])
            .expect_ok();
    }
    in_two.call(&["SET", "k1", "from two"]).expect_ok();
    server.client().call(&["SWAPDB", "1", "2"]).expect_ok();
    assert_eq!(in_one.call(&["DBSIZE"]).int(), 1);
    assert_eq!(in_one.call(&["GET", "k1"]).text(), "from two");
    assert_eq!(in_two.call(&["DBSIZE"]).int(), 50);
    assert_eq!(in_two.call(&["GET", "k1"]).text(), "from one");
    assert!(in_two.call(&["TTL", "k1"]).int() > 0);
    assert_eq!(in_one.call(&["TTL", "k1"]).int(), -1);
}

#[test]
fn move_and_copy_between_databases() {
    let mut both = Both::start();
    both.say(&[
        "SET a 1 EXAT 4000000000",
        "SET b 2",
        "MOVE a 1",
        "MOVE a 1",
        "EXISTS a",
        "MOVE b 0",
        "MOVE b 16",
        "MOVE b x",
        "COPY b b",
        "COPY b b DB 0",
        "COPY b b DB 1",
        "COPY b b DB 1",
        "COPY b b DB 1 REPLACE",
        "COPY b c DB 16",
        "COPY b c DB x",
        "COPY b c DB",
        "COPY missing c",
        "COPY b c REPLACE REPLACE",
        "COPY b c NONSENSE",
        "SELECT 1",
        "MGET a b",
        "EXPIRETIME a",
        "DBSIZE",
        "MOVE b 0",
        "DBSIZE",
        "SWAPDB 0 1",
        "DBSIZE",
        "SWAPDB 0 16",
        "SWAPDB x 0",
        "SWAPDB 0 x",
        "SWAPDB 1 1",
        "SELECT 0",
        "MGET a b",
        "FLUSHDB SYNC",
        "FLUSHDB ASYNC",
        "FLUSHALL NONSENSE",
        "FLUSHALL SYNC ASYNC",
        "DBSIZE extra",
    ]);
}

/// DEBUG DIGEST and its kin tell redis-server 7.0's figures for the same commands, whatever the number of shards.
#[test]
fn fingerprints_are_those_of_redis() {
    for shards in [1, 3] {
        let launch = Launch::tessera().shards(shards);
        let server = launch.with("enable-debug-command", "yes").start();
        let mut client = server.client();
        for line in [
            "SET a 1",
            "SET b hello",
            "SET t x EX 100",
            "RPUSH l 1 b -5 c",
            "SADD s 1 2 3",
            "SADD s2 a b c 7",
            "ZADD z 1 a 2.5 b -inf c 0.1 d 1e20 e",
            "HSET h f v g 2",
            "XADD st 1-1 a b c 5",
            "XADD st 1-2 a b c 6",
            "XADD st 2-2 z b",
            "XGROUP CREATE st g 0",
        ] {
            assert!(!client.say(line).is_error(), "{line}");
        }
        let values = client.say("DEBUG DIGEST-VALUE a b t l s s2 z h st nokey");
        let values: Vec<String> = values.elements().iter().map(Reply::text).collect();
        assert_eq!(
            values,
            [
                "b4fc66738120fba0b5aa500ab5c2bf89cea1c5da",
                "36b23a1456b2dce2c3ed252c456761301dba8060",
                "0745672cb1bf060476eedeb8a28f5ffe1ff5a2be",
                "87854060de8dc2024d1665015977152a25180f8c",
                "2a462a3f51a1db89738ebbeef0c47ce1bbc85246",
                "c91787d9d9e54d4537dc9af1186ce3d3608755a8",
                "d3e27ee2c74a8eee725020c7e51675e9a1d3fde8",
                "9dc7e1ed596e8ccab4b91d04b8317fc85b68294a",
                "201e341bf370f0f9cad296f5776ce7a7d284a426",
                "0000000000000000000000000000000000000000",
            ]
        );
        client.say("SELECT 3").expect_ok();
        client.say("SET x y").expect_ok();
        client.say("SELECT 0").expect_ok();
        for (line, digest) in [
            ("PING", "ae4fde5eb9b82f5ce44b8285b3735a3fc303e5b4"),
            (
                "DEBUG POPULATE 100 p 5",
                "db70a572f6a6fb4bc7fc5fee1476b0fee9db043e",
            ),
            (
                "DEBUG POPULATE 10 q",
                "273a0ba6dd576dbb9fea0c628f6bf915c36a848c",
            ),
        ] {
            client.say(line);
            assert_eq!(client.say("DEBUG DIGEST").text(), digest, "{line}");
        }
    }
}
