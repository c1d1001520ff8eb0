//! How the server starts, refuses to start, and ends.

use std::net::Ipv4Addr;
use std::process::Command;

use tessera_tests::client::Client;
use tessera_tests::deadline::{PATIENCE, wait_for};
use tessera_tests::folder::Folder;
use tessera_tests::launch::{Kind, Launch};
use tessera_tests::port::free_port;
use tessera_tests::process::{Process, Signal};

#[test]
fn signals_and_shutdown_end_it_well() {
    let endings: [(&str, Option<Signal>, &[&str]); 5] = [
        ("SIGTERM", Some(Signal::Terminate), &[]),
        ("SIGINT", Some(Signal::Interrupt), &[]),
        ("SHUTDOWN", None, &["SHUTDOWN"]),
        ("SHUTDOWN NOSAVE", None, &["SHUTDOWN", "NOSAVE"]),
        (
            "shutdown now force",
            None,
            &["shutdown", "nosave", "now", "force"],
        ),
    ];
    for (name, signal, command) in endings {
        for shards in [1, 4] {
            let mut server = Launch::tessera().shards(shards).unix().start();
            let mut client = server.client();
            for n in 0..100 {
                client.call(&["SET", &format!("k{n}"), "v"]).expect_ok();
            }
            match signal {
                Some(signal) => server.process().signal(signal),
                None => client.send(command),
            }
            let said = client.read_to_end();
            assert!(said.is_empty(), "{name} said {}", said.escape_ascii());
            let status = server.wait_end(PATIENCE);
            let status =
                status.unwrap_or_else(|| panic!("{name} did not end it:\n{}", server.log()));
            assert_eq!(
                status.code(),
                Some(0),
                "{name} on {shards} shards:\n{}",
                server.log()
            );
            assert!(
                !server.socket().exists(),
                "{name} left the Unix socket behind"
            );
        }
    }
}

/// Clients in the middle of something do not keep it from ending.
#[test]
fn it_ends_under_load() {
    let mut server = Launch::tessera().shards(2).start();
    let address = server.address();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || {
                let mut client =
                    tessera_tests::client::Client::connect(address).expect("it listens");
                while client
                    .try_call(&["MSET", "a", "1", "b", "2", "c", "3"])
                    .is_ok()
                {}
            });
        }
        let mut client = server.client();
        for _ in 0..200 {
            client.call(&["MGET", "a", "b", "c"]);
        }
        server.process().signal(Signal::Terminate);
        let status = server.wait_end(PATIENCE).expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", server.log());
    });
}

/// Starts a program that must not start; its exit code and what it said on stderr.
fn refused(command: &mut Command) -> (Option<i32>, String, String) {
    let folder = Folder::new();
    let mut process = Process::spawn(command, folder.path()).expect("the binary runs");
    let status = process.wait_end(PATIENCE);
    let said = (process.stdout(), process.stderr());
    let status = status.unwrap_or_else(|| panic!("it started: {said:?}"));
    (status.code(), said.0, said.1)
}

/// One clear line that names what is wrong, and exit code 1.
fn assert_refused(launch: &Launch, folder: &Folder, port: u16, names: &str) {
    let (code, stdout, stderr) = refused(&mut launch.command(folder.path(), port));
    assert_eq!(code, Some(1), "{names}: {stdout}{stderr}");
    if launch.kind() == Kind::Redis {
        // It has another way to say it.
        return;
    }
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    assert_eq!(lines.len(), 1, "one line was expected:\n{stderr}");
    assert!(
        lines[0].contains(names),
        "{:?} does not name {names:?}",
        lines[0]
    );
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn wrong_directives_are_refused() {
    let wrong = [
        ("nonsense", "1"),
        ("maxclients", "abc"),
        ("maxclients", "-5"),
        ("timeout", "soon"),
        ("appendonly", "perhaps"),
        ("proto-max-bulk-len", "12zb"),
        ("port", "70000"),
        ("dir", "/nowhere/at/all"),
    ];
    for (name, value) in wrong {
        assert_refused(
            &Launch::tessera().with(name, value),
            &Folder::new(),
            free_port(),
            name,
        );
    }
}

#[test]
fn wrong_files_are_refused() {
    let folder = Folder::new();
    let launch = Launch::tessera().config_file("maxclients 100\nnonsense 1\n");
    assert_refused(&launch, &folder, free_port(), "nonsense");
    let folder = Folder::new();
    let launch = Launch::tessera().config_file("timeout \"unbalanced\n");
    assert_refused(&launch, &folder, free_port(), "unbalanced");
    let mut command = Command::new(Launch::tessera().program());
    let (code, stdout, stderr) = refused(command.arg("/nowhere/server.conf"));
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!((stdout + &stderr).contains("/nowhere/server.conf"));
}

#[test]
fn a_port_in_use_is_refused() {
    let first = Launch::tessera().shards(2).start();
    assert_refused(
        &Launch::tessera().shards(2),
        &Folder::new(),
        first.port(),
        "in use",
    );
    assert_eq!(first.client().call(&["PING"]).text(), "PONG");
}

/// The kernel may hold the port for a moment after a kill.
#[test]
fn a_killed_server_is_replaced_at_once() {
    let launch = Launch::tessera().shards(2);
    let port = free_port();
    let address = (Ipv4Addr::LOCALHOST, port).into();
    for round in 0..10 {
        let folder = Folder::new();
        let mut process = Process::spawn(&mut launch.command(folder.path(), port), folder.path())
            .expect("the binary is there");
        // What was killed before may still take connections, but not answer.
        let ping = || Client::connect(address)?.try_call(&["PING"]);
        let answers = wait_for("it answers or has ended", || match process.ended() {
            Some(_) => Some(false),
            None => ping().is_ok().then_some(true),
        });
        assert!(answers, "round {round}: {}", process.stderr());
        // Dropping a process kills it.
        drop(process);
    }
}

#[test]
fn wrong_shards_and_backends_are_refused() {
    if Launch::tessera().kind() == Kind::Redis {
        return;
    }
    for shards in ["-1", "many", "100000"] {
        assert_refused(
            &Launch::tessera().with("shards", shards),
            &Folder::new(),
            free_port(),
            "shards",
        );
    }
    assert_refused(
        &Launch::tessera().backend("smoke-signals"),
        &Folder::new(),
        free_port(),
        "io-backend",
    );
}

/// A configuration file, with flags that win over it.
#[test]
fn flags_win_over_the_file() {
    let server = Launch::tessera()
        .config_file("# a comment\n\nmaxclients 77\ntimeout 100\nProto-Max-Bulk-Len 5mb\n")
        .with("timeout", "200")
        .start();
    let mut client = server.client();
    let mut get = |name: &str| client.call(&["CONFIG", "GET", name]).pairs()[0].1.text();
    assert_eq!(get("maxclients"), "77");
    assert_eq!(get("timeout"), "200");
    assert_eq!(get("proto-max-bulk-len"), "5242880");
}

/// Every backend there is serves; `auto` finds one.
#[test]
fn every_backend_serves() {
    for backend in ["auto", "uring", "epoll"] {
        for shards in [1, 2, 4] {
            let server = Launch::tessera().shards(shards).backend(backend).start();
            let mut client = server.client();
            let keys: Vec<String> = (0..50).map(|n| format!("k{n}")).collect();
            let mut mset = vec!["MSET".to_owned()];
            for key in &keys {
                mset.extend([key.clone(), format!("value of {key}")]);
            }
            client.call(&mset).expect_ok();
            assert_eq!(client.call(&["DBSIZE"]).int(), 50);
            assert_eq!(client.call(&["GET", "k7"]).text(), "value of k7");
        }
    }
}
