//! CONFIG: what is set is in force, what is rewritten is there after a restart.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use tessera_tests::client::Client;
use tessera_tests::launch::Launch;
use tessera_tests::port::free_port;

use crate::both::Both;

fn get(client: &mut Client, name: &str) -> String {
    let reply = client.call(&["CONFIG", "GET", name]);
    let pairs = reply.pairs();
    assert_eq!(pairs.len(), 1, "CONFIG GET {name} gave {reply}");
    pairs[0].1.text()
}

#[test]
fn rewrite_round_trip() {
    let server = Launch::tessera()
        .shards(2)
        .config_file("# first comment\nmaxclients 500\n\n# about idle clients\ntimeout 10\n")
        .start();
    let mut client = server.client();
    for (name, value) in [
        ("timeout", "77"),
        ("proto-max-bulk-len", "100mb"),
        ("requirepass", "with \"quotes\" and spaces"),
    ] {
        client.call(&["CONFIG", "SET", name, value]).expect_ok();
    }
    client.call(&["CONFIG", "REWRITE"]).expect_ok();
    let file =
        std::fs::read_to_string(server.folder().join("server.conf")).expect("the file is there");
    assert!(
        file.contains("# first comment") && file.contains("# about idle clients"),
        "{file}"
    );
    assert!(file.lines().any(|line| line == "timeout 77"), "{file}");
    assert!(file.lines().any(|line| line == "maxclients 500"), "{file}");
    assert_eq!(
        file.lines()
            .filter(|line| line.starts_with("timeout "))
            .count(),
        1,
        "{file}"
    );
    let server = server.restart();
    let mut client = server.raw_client();
    client
        .call(&["AUTH", "with \"quotes\" and spaces"])
        .expect_ok();
    assert_eq!(get(&mut client, "timeout"), "77");
    assert_eq!(get(&mut client, "maxclients"), "500");
    assert_eq!(get(&mut client, "proto-max-bulk-len"), "104857600");
    // A second rewrite changes nothing more.
    client.call(&["CONFIG", "REWRITE"]).expect_ok();
    let again =
        std::fs::read_to_string(server.folder().join("server.conf")).expect("the file is there");
    assert_eq!(
        again
            .lines()
            .filter(|line| line.starts_with("requirepass "))
            .count(),
        1,
        "{again}"
    );
}

#[test]
fn rewrite_without_a_file() {
    Both::start().say(&["CONFIG REWRITE"]);
}

#[test]
fn errors_and_edges() {
    let mut both = Both::start();
    both.say(&[
        "CONFIG",
        "CONFIG NONSENSE",
        "CONFIG GET",
        "CONFIG GET nosuchdirective",
        "CONFIG GET TimeOut",
        "CONFIG SET timeout",
        "CONFIG SET timeout 5",
        "CONFIG GET timeout",
        "CONFIG SET timeout -1",
        "CONFIG SET timeout abc",
        "CONFIG SET nosuchdirective 1",
        "CONFIG SET timeout 6 nosuchdirective 1",
        "CONFIG GET timeout",
        "CONFIG SET timeout 7 timeout 8",
        "CONFIG GET timeout",
        "CONFIG SET TIMEOUT 9",
        "CONFIG GET timeout",
        "CONFIG SET maxclients 0",
        "CONFIG SET proto-max-bulk-len 1gb",
        "CONFIG GET proto-max-bulk-len",
        "CONFIG SET proto-max-bulk-len 1zb",
        "CONFIG SET appendonly perhaps",
        "CONFIG SET dir /nowhere/at/all",
        "CONFIG SET databases 4",
        "CONFIG GET databases",
        "CONFIG RESETSTAT now",
        "CONFIG REWRITE now",
        "CONFIG SET timeout 0 maxclients 10000",
    ]);
    both.speak_resp3();
    both.say(&["CONFIG GET timeout", "CONFIG GET nosuchdirective"]);
}

#[test]
fn several_at_once_and_patterns() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    client
        .say("CONFIG SET timeout 11 maxclients 1234")
        .expect_ok();
    let mut pairs = client.say("CONFIG GET timeout maxclients TIMEOUT").pairs();
    pairs.sort();
    let found: Vec<(String, String)> = pairs
        .into_iter()
        .map(|(name, value)| (name, value.text()))
        .collect();
    assert_eq!(
        found,
        [
            ("maxclients".to_owned(), "1234".to_owned()),
            ("timeout".to_owned(), "11".to_owned())
        ]
    );
    let names: Vec<String> = client
        .say("CONFIG GET max*")
        .pairs()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(
        names.iter().all(|name| name.starts_with("max")),
        "{names:?}"
    );
    assert!(
        names.contains(&"maxclients".to_owned()) && names.contains(&"maxmemory".to_owned()),
        "{names:?}"
    );
    let all = client.say("CONFIG GET *").pairs().len();
    assert!(all >= 20, "only {all} directives");
}

#[test]
fn a_new_password_is_for_new_clients() {
    let server = Launch::tessera().shards(2).start();
    let mut old = server.client();
    old.call(&["CONFIG", "SET", "requirepass", "pw"])
        .expect_ok();
    assert_eq!(old.call(&["PING"]).text(), "PONG");
    // On whichever shard they land.
    for _ in 0..8 {
        let mut new = server.raw_client();
        assert!(new.call(&["PING"]).error().starts_with("NOAUTH"));
        assert!(new.call(&["AUTH", "no"]).error().starts_with("WRONGPASS"));
        new.call(&["AUTH", "pw"]).expect_ok();
        assert_eq!(new.call(&["PING"]).text(), "PONG");
    }
    old.call(&["CONFIG", "SET", "requirepass", ""]).expect_ok();
    for _ in 0..8 {
        assert_eq!(server.raw_client().call(&["PING"]).text(), "PONG");
    }
}

#[test]
fn resetstat_starts_over() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    for n in 0..100 {
        client.call(&["SET", &format!("k{n}"), "v"]).expect_ok();
        client.call(&["GET", &format!("k{n}")]);
        client.call(&["GET", "missing"]);
    }
    let field = |client: &mut Client, name: &str| -> u64 {
        let info = client.say("INFO stats").text();
        let value = info
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value
            .unwrap_or_else(|| panic!("no {name} in\n{info}"))
            .trim()
            .parse()
            .expect("a number")
    };
    assert!(field(&mut client, "total_commands_processed") >= 300);
    assert_eq!(field(&mut client, "keyspace_hits"), 100);
    assert_eq!(field(&mut client, "keyspace_misses"), 100);
    client.say("CONFIG RESETSTAT").expect_ok();
    assert!(field(&mut client, "total_commands_processed") < 10);
    assert_eq!(field(&mut client, "keyspace_hits"), 0);
    assert_eq!(field(&mut client, "keyspace_misses"), 0);
}

/// Whether somebody answers there, each of some times: connections come to either shard.
fn answers(port: u16) -> bool {
    (0..8).all(|_| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Client::connect(address).is_ok_and(|mut client| !client.say("PING").is_error())
    })
}

fn refuses(port: u16) -> bool {
    Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_err()
}

#[test]
fn port_and_bind_while_the_server_runs() {
    let ours = |shards, backend| Launch::tessera().shards(shards).backend(backend);
    for launch in [
        ours(1, "uring"),
        ours(2, "uring"),
        ours(2, "epoll"),
        Launch::oracle(),
    ] {
        let server = launch.start();
        let mut client = server.client();
        let (old, taken) = (server.port(), TcpListener::bind("127.0.0.1:0"));
        let taken = taken.expect("a free port");
        let taken_port = taken.local_addr().expect("an address").port();
        assert_eq!(
            client
                .say(&format!("CONFIG SET maxclients 77 port {taken_port}"))
                .error(),
            "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs."
        );
        assert_eq!(
            client.say("CONFIG SET bind 203.0.113.7").error(),
            "ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses."
        );
        assert_eq!(get(&mut client, "port"), old.to_string());
        assert_ne!(get(&mut client, "maxclients"), "77");
        assert!(answers(old), "nothing has changed");
        client.say(&format!("CONFIG SET port {old}")).expect_ok();
        assert!(answers(old), "nothing has changed");

        let new = free_port();
        client.say(&format!("CONFIG SET port {new}")).expect_ok();
        assert!(answers(new) && refuses(old));
        assert_eq!(get(&mut client, "port"), new.to_string());
        client.say("PING");
        // One address instead of all of them, and back.
        for bind in ["127.0.0.1", "* -::*", "127.0.0.1 -::1"] {
            client.call(&["CONFIG", "SET", "bind", bind]).expect_ok();
            assert!(answers(new), "{bind}");
            assert_eq!(get(&mut client, "bind"), bind);
        }
        client.say(&format!("CONFIG SET port {old}")).expect_ok();
        assert!(answers(old) && refuses(new));
        client.say("CONFIG SET port 0").expect_ok();
        assert!(refuses(old));
        client.say("PING");
        client.say(&format!("CONFIG SET port {old}")).expect_ok();
        assert!(answers(old));
        drop(taken);
    }
}
