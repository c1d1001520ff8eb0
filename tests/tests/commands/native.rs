//! Native snapshots: one moment under writes, every type, large values in pieces, other numbers of shards, damaged and foreign files; and the tools for files.

use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tessera_tests::client::Client;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::server::Server;

fn native(shards: usize) -> Launch {
    Launch::tessera()
        .shards(shards)
        .with("snapshot-format", "native")
}

fn persistence(client: &mut Client, field: &str) -> String {
    let text = client.say("INFO persistence").text();
    let line = text.lines().find(|line| line.starts_with(field));
    let (_, value) = line
        .and_then(|line| line.split_once(':'))
        .expect("the field");
    value.to_owned()
}

fn save(client: &mut Client) {
    assert_eq!(client.say("BGSAVE").text(), "Background saving started");
    wait_until("the save to end", || {
        persistence(client, "rdb_bgsave_in_progress") == "0"
    });
    assert_eq!(persistence(client, "rdb_last_bgsave_status"), "ok");
}

/// A server started on a copy of another one's snapshot.
fn on_copy(launch: Launch, file: &Path) -> Server {
    let server = launch.start();
    std::fs::copy(file, server.folder().join("dump.rdb")).expect("a file");
    server.restart()
}

/// A key of every type and encoding, by commands that both servers know.
fn fill(client: &mut Client) {
    let long = "x".repeat(100);
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut add = |words: &[&str]| commands.push(words.iter().map(|w| (*w).to_owned()).collect());
    add(&["SET", "int", "12345"]);
    add(&["SET", "embstr", "short", "PXAT", "99999999999999"]);
    add(&["SET", "raw", &long]);
    add(&["SET", "", "the empty name"]);
    for number in 0..700 {
        let (text, score) = (number.to_string(), format!("{}.5", number % 50));
        let name = format!("m{number}{}", if number % 7 == 0 { &long } else { "" });
        add(&["RPUSH", "list:long", &name]);
        add(&["SADD", "set:table", &name]);
        add(&["HSET", "hash:table", &name, &text]);
        add(&["ZADD", "zset:tree", &score, &name]);
        add(&[
            "XADD",
            "stream",
            &format!("{}-1", number + 1),
            "field",
            &name,
        ]);
        if number < 20 {
            add(&["RPUSH", "list:pack", &text]);
            add(&["SADD", "set:ints", &text]);
            add(&["SADD", "set:names", &name]);
            add(&["HSET", "hash:pack", &text, "v"]);
            add(&["ZADD", "zset:pack", &score, &text]);
        }
    }
    add(&["XGROUP", "CREATE", "stream", "g", "5-1"]);
    add(&[
        "XREADGROUP",
        "GROUP",
        "g",
        "c",
        "COUNT",
        "9",
        "STREAMS",
        "stream",
        ">",
    ]);
    add(&["XGROUP", "CREATE", "empty", "g", "0", "MKSTREAM"]);
    add(&["PFADD", "hll", "a", "b", "c"]);
    add(&["GEOADD", "geo", "13.3", "38.1", "Palermo"]);
    add(&["SELECT", "7"]);
    add(&["SET", "elsewhere", "1"]);
    add(&["SELECT", "0"]);
    client.pipeline(&commands);
}

/// What a client sees of the keys that `fill` has made.
fn seen(client: &mut Client) -> Vec<String> {
    let mut seen = Vec::new();
    for key in ["int", "embstr", "raw", "", "hll"] {
        seen.push(client.call(&["GET", key]).text());
        seen.push(client.call(&["PEXPIRETIME", key]).int().to_string());
    }
    for command in [
        "LRANGE list:long 0 -1",
        "LRANGE list:pack 0 -1",
        "ZRANGE zset:tree 0 -1 WITHSCORES",
        "ZRANGE zset:pack 0 -1 WITHSCORES",
        "ZRANGE geo 0 -1 WITHSCORES",
        "XRANGE stream - +",
        "XPENDING stream g",
        "XINFO GROUPS stream",
        "XINFO GROUPS empty",
        "XLEN empty",
        "DBSIZE",
    ] {
        seen.push(format!("{command}: {}", client.say(command)));
    }
    for command in [
        "SMEMBERS set:table",
        "SMEMBERS set:ints",
        "SMEMBERS set:names",
        "HGETALL hash:table",
        "HGETALL hash:pack",
    ] {
        seen.push(format!(
            "{command}: {:?}",
            client.say(command).sorted_texts()
        ));
    }
    for key in [
        "int",
        "embstr",
        "raw",
        "list:long",
        "set:ints",
        "hash:pack",
        "hash:table",
        "zset:pack",
        "zset:tree",
    ] {
        seen.push(client.call(&["OBJECT", "ENCODING", key]).text());
    }
    client.say("SELECT 7").expect_ok();
    seen.push(client.say("GET elsewhere").text());
    client.say("SELECT 0").expect_ok();
    seen
}

#[test]
fn every_type_goes_from_redis_through_both_formats_and_back() {
    let oracle = Launch::oracle().start();
    let mut client = oracle.client();
    fill(&mut client);
    let wanted = seen(&mut client);
    client.say("SAVE").expect_ok();
    let mut file = oracle.folder().join("dump.rdb");
    let mut servers = Vec::new();
    for shards in [1, 3, 2] {
        let server = on_copy(native(shards), &file);
        let mut client = server.client();
        assert_eq!(seen(&mut client), wanted, "{shards} shards");
        client.say("SAVE").expect_ok();
        file = server.folder().join("dump.rdb");
        let bytes = std::fs::read(&file).expect("a file");
        assert!(bytes.starts_with(b"TESSERA\x1a"));
        servers.push(server);
    }
    let server = servers.last().expect("three of them");
    let mut client = server.client();
    client.say("CONFIG SET snapshot-format rdb").expect_ok();
    client.say("SAVE").expect_ok();
    let oracle = on_copy(Launch::oracle(), &file);
    assert_eq!(seen(&mut oracle.client()), wanted);
}

/// Adds to large values and counts it, in transactions.
fn grow(mut client: Client, stop: &AtomicBool) {
    let mut step = 0;
    while !stop.load(Ordering::Relaxed) {
        step += 1;
        for words in [
            "MULTI".to_owned(),
            "INCR {big}count".to_owned(),
            format!("RPUSH {{big}}list new:{step}"),
            format!("SADD {{big}}set new:{step}"),
            format!("HSET {{big}}hash new:{step} 1"),
            format!("ZADD {{big}}zset {step} new:{step}"),
            "APPEND {big}string y".to_owned(),
            "EXEC".to_owned(),
        ] {
            client.say(&words);
        }
        client.say(&format!("SET other:{step} 1"));
    }
}

const LARGE: usize = 60_000;

#[test]
fn large_values_are_of_one_moment_while_they_change() {
    for (shards, format) in [(1, "native"), (2, "native"), (1, "rdb"), (2, "rdb")] {
        let server = Launch::tessera()
            .shards(shards)
            .with("snapshot-format", format)
            .start();
        let mut client = server.client();
        client.say("SET {big}count 0").expect_ok();
        let commands: Vec<Vec<String>> = (0..LARGE)
            .flat_map(|number| {
                [
                    format!("RPUSH {{big}}list element:{number}"),
                    format!("SADD {{big}}set member:{number}"),
                    format!("HSET {{big}}hash field:{number} {number}"),
                    format!("ZADD {{big}}zset {number} member:{number}"),
                ]
            })
            .map(|line| line.split(' ').map(str::to_owned).collect())
            .collect();
        client.pipeline(&commands);
        let long = "x".repeat(5_000_000);
        client.call(&["SET", "{big}string", &long]).expect_ok();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| grow(server.client(), &stop));
            for _ in 0..2 {
                save(&mut client);
                let copy = on_copy(
                    Launch::tessera().shards(3 - shards),
                    &server.folder().join("dump.rdb"),
                );
                let mut client = copy.client();
                let count: i64 = client
                    .say("GET {big}count")
                    .text()
                    .parse()
                    .expect("a number");
                let large = LARGE as i64 + count;
                assert_eq!(client.say("LLEN {big}list").int(), large);
                assert_eq!(client.say("SCARD {big}set").int(), large);
                assert_eq!(client.say("HLEN {big}hash").int(), large);
                assert_eq!(client.say("ZCARD {big}zset").int(), large);
                assert_eq!(client.say("STRLEN {big}string").int(), 5_000_000 + count);
                assert_eq!(client.say("LINDEX {big}list 59999").text(), "element:59999");
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(client.say("GET {big}count").text() != "0");
    }
}

/// Starts a server on the folder of another one, in which `dump.rdb` is something else, and returns what it says.
fn refused(server: &Server, directives: &[(&str, &str)], bytes: &[u8]) -> String {
    let file = server.folder().join("dump.rdb");
    std::fs::write(&file, bytes).expect("it can be written");
    let launch = directives
        .iter()
        .fold(native(2), |launch, (name, value)| launch.with(name, value));
    let mut command = launch.command(server.folder().path(), server.port());
    let output = command.output().expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("dump.rdb: "), "{error}");
    let last = error.lines().last().unwrap_or_default();
    assert!(last.contains("; "), "a remedy: {error}");
    let after = std::fs::read(&file).expect("a file");
    assert_eq!(after, bytes, "it is left alone");
    last.to_owned()
}

#[test]
fn what_cannot_be_loaded_is_no_empty_node() {
    let mut server = native(2).start();
    let mut client = server.client();
    fill(&mut client);
    client.say("SAVE").expect_ok();
    client.send(&["SHUTDOWN", "NOSAVE"]);
    server
        .wait_end(std::time::Duration::from_secs(20))
        .expect("it ends");
    let whole = std::fs::read(server.folder().join("dump.rdb")).expect("a file");
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    for (number, bytes) in [
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        flipped(9),
        flipped(whole.len() / 3),
        flipped(whole.len() - 100),
        flipped(whole.len() - 1),
    ]
    .iter()
    .enumerate()
    {
        let said = refused(&server, &[], bytes);
        assert!(said.contains("at byte "), "case {number}: {said}");
    }
    let said = refused(&server, &[], b"PK\x03\x04 is no snapshot");
    assert!(said.contains("it is no RDB file"), "{said}");
    let said = refused(&server, &[("databases", "4")], &whole);
    assert!(
        said.contains("it has keys in database 7, and there are 4; set databases 8 or more"),
        "{said}"
    );
}

#[test]
fn a_full_disk_is_told_and_survived() {
    for format in ["native", "rdb"] {
        let mut server = Launch::tessera()
            .shards(2)
            .with("snapshot-format", format)
            .with("save", "1000 1000")
            .ignoring_file_limits()
            .start();
        let mut client = server.client();
        client.say("SET a 1").expect_ok();
        client.say("SAVE").expect_ok();
        let file = server.folder().join("dump.rdb");
        let before = std::fs::read(&file).expect("a file");
        let temporary = format!("temp-{}.rdb", server.process().pid());
        let temporary = server.folder().join(&temporary);
        server.limit_files("16");
        assert!(client.say("SAVE").is_error());
        assert_eq!(std::fs::read(&file).expect("a file"), before);
        let error = client.say("SET a 2").error();
        assert!(error.starts_with("MISCONF Redis is configured"), "{error}");
        assert_eq!(client.say("GET a").text(), "1");
        client
            .say("CONFIG SET stop-writes-on-bgsave-error no")
            .expect_ok();
        client.say("SET a 2").expect_ok();
        client
            .say("CONFIG SET stop-writes-on-bgsave-error yes")
            .expect_ok();
        assert!(!temporary.exists());
        server.limit_files("unlimited");
        client.say("SAVE").expect_ok();
        client.say("SET a 3").expect_ok();
    }
}

fn tool(words: &[&str]) -> Output {
    let mut command = std::process::Command::new(Launch::tessera().program());
    command.args(words).output().expect("it starts")
}

#[test]
fn files_are_checked_repaired_and_converted() {
    let server = native(2).start();
    let mut client = server.client();
    fill(&mut client);
    let wanted = seen(&mut client);
    client.say("SAVE").expect_ok();
    let place = |name: &str| server.folder().join(name).display().to_string();
    let (file, rdb, copy) = (place("dump.rdb"), place("other.rdb"), place("third"));
    let said = tool(&["check", &file]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.status.success() && text.ends_with(": whole\n"),
        "{text}"
    );
    assert!(tool(&["convert", &file, &rdb]).status.success());
    let oracle = on_copy(Launch::oracle(), Path::new(&rdb));
    assert_eq!(seen(&mut oracle.client()), wanted);
    assert!(
        tool(&["convert", &rdb, &copy, "--to", "native"])
            .status
            .success()
    );
    let again = on_copy(native(1), Path::new(&copy));
    assert_eq!(seen(&mut again.client()), wanted);
    let twice = tool(&["convert", &rdb, &copy]);
    assert_eq!(twice.status.code(), Some(1));

    let mut bytes = std::fs::read(&file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).expect("it can be written");
    assert_eq!(tool(&["check", &file]).status.code(), Some(1));
    let fixed = tool(&["check", "--fix", &file]);
    let text = String::from_utf8_lossy(&fixed.stdout).into_owned();
    assert!(fixed.status.success(), "{fixed:?}");
    assert!(text.contains("are kept in"), "{text}");
    assert!(server.folder().join("dump.rdb.cut").exists());
    let folder = tool(&["check", &server.folder().path().display().to_string()]);
    let text = String::from_utf8_lossy(&folder.stderr).into_owned();
    assert_eq!(folder.status.code(), Some(1));
    assert!(text.contains("has no manifest"), "{text}");
}

#[test]
fn nobody_sees_a_node_that_is_still_empty() {
    for format in ["native", "rdb"] {
        let server = Launch::tessera()
            .shards(2)
            .with("snapshot-format", format)
            .start();
        let mut client = server.client();
        let filling: Vec<Vec<String>> = (0..60_000)
            .map(|number| vec!["SET".to_owned(), format!("k:{number}"), "v".repeat(40)])
            .collect();
        client.pipeline(&filling);
        // A disk that is busy with others' files may take its time.
        client.set_patience(std::time::Duration::from_secs(150));
        client.say("SAVE").expect_ok();
        let port = server.port();
        let server_folder = server.folder().path().to_owned();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let mut answers = 0;
                while !stop.load(Ordering::Relaxed) {
                    let folder = &server_folder;
                    assert!(folder.exists());
                    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
                    let Ok(mut client) = Client::connect(address) else {
                        continue;
                    };
                    if let Ok(reply) = client.try_call(&["GET", "k:59999"]) {
                        answers += 1;
                        let text = format!("{reply}");
                        assert!(
                            text.contains("LOADING") || text.contains(&"v".repeat(40)),
                            "{text}"
                        );
                    }
                }
                answers
            });
            let launch = native(3);
            let mut first = server;
            let mut client = first.client();
            client.send(&["SHUTDOWN", "NOSAVE"]);
            first
                .wait_end(std::time::Duration::from_secs(20))
                .expect("it ends");
            let mut command = launch.command(first.folder().path(), port);
            let mut child = command
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .expect("it starts");
            let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
            wait_until("the keys", || {
                let client = Client::connect(address);
                client.is_ok_and(|mut client| {
                    let reply = client.try_call(&["DBSIZE"]);
                    reply.is_ok_and(|reply| !reply.is_error() && reply.int() == 60_000)
                })
            });
            stop.store(true, Ordering::Relaxed);
            assert!(looking.join().expect("no panic") > 0);
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        });
    }
}
