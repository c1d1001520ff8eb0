//! The clients that people use, each as its users run it: redis-py, ioredis, node-redis, the `redis`
//! crate, redis-cli and redis-benchmark. scripts/test installs the first three.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests drive real processes in real time"
)]

use std::process::{Command, Output};

use tessera_tests::launch::Launch;
use tessera_tests::server::Server;
use tessera_tests::target;

const PASSWORD: &str = "open sesame";

fn server() -> Server {
    Launch::tessera()
        .shards(2)
        .password(PASSWORD)
        .unix()
        .start()
}

/// Runs a suite against a fresh server; it must end well and have done something.
fn run_suite(command: &mut Command, protocol: u8) {
    let server = server();
    let output = command
        .env("TESSERA_HOST", "127.0.0.1")
        .env("TESSERA_PORT", server.port().to_string())
        .env("TESSERA_PASSWORD", PASSWORD)
        .env("TESSERA_SOCKET", server.socket())
        .env("TESSERA_PROTOCOL", protocol.to_string())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "cannot run {command:?}: {error}; scripts/test --install installs the client suites"
            )
        });
    let said = said(&output);
    assert!(
        output.status.success(),
        "{command:?} failed:\n{said}\nserver:\n{}",
        server.log()
    );
    let cases = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(cases >= 8, "{command:?} ran only {cases} cases:\n{said}");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn installed(path: &str) -> std::path::PathBuf {
    let path = target::clients().join(path);
    assert!(
        path.exists(),
        "{} is missing: run scripts/test --install",
        path.display()
    );
    path
}

fn source(path: &str) -> std::path::PathBuf {
    target::workspace().join("tests/clients").join(path)
}

fn python(protocol: u8) {
    let mut command = Command::new(installed("python/bin/python"));
    run_suite(command.arg(source("python/suite.py")), protocol);
}

fn node(script: &str, protocol: u8) {
    let modules = installed("node/node_modules");
    let mut command = Command::new("node");
    run_suite(
        command
            .arg(source("node").join(script))
            .env("NODE_PATH", modules),
        protocol,
    );
}

#[test]
fn redis_py_in_resp2() {
    python(2);
}

#[test]
fn redis_py_in_resp3() {
    python(3);
}

#[test]
fn ioredis() {
    node("ioredis.cjs", 2);
}

#[test]
fn node_redis_in_resp2() {
    node("node-redis.cjs", 2);
}

#[test]
fn node_redis_in_resp3() {
    node("node-redis.cjs", 3);
}

/// redis-cli's output for these arguments; it must end well and not report an error.
fn cli(server: &Server, args: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .env("REDISCLI_AUTH", PASSWORD)
        .args(["-p", &server.port().to_string()])
        .args(args)
        .output()
        .expect("redis-cli is installed: scripts/test --install installs it");
    let said = said(&output);
    assert!(output.status.success(), "redis-cli {args:?} failed: {said}");
    said
}

#[test]
fn redis_cli() {
    let server = server();
    assert_eq!(cli(&server, &["ping"]), "PONG\n");
    assert_eq!(cli(&server, &["-n", "4", "set", "k", "v"]), "OK\n");
    assert_eq!(cli(&server, &["-3", "-n", "4", "get", "k"]), "v\n");
    assert_eq!(cli(&server, &["-3", "-n", "4", "get", "missing"]), "\n");
    assert_eq!(
        cli(&server, &["-n", "4", "incr", "k"]),
        "ERR value is not an integer or out of range\n\n"
    );
    assert_eq!(
        cli(&server, &["-2", "--no-raw", "config", "get", "timeout"]),
        "1) \"timeout\"\n2) \"0\"\n"
    );
    assert_eq!(
        cli(&server, &["-3", "--no-raw", "config", "get", "timeout"]),
        "1# \"timeout\" => \"0\"\n"
    );
    assert!(cli(&server, &["info"]).contains("redis_version:"));
    assert!(cli(&server, &["info", "keyspace"]).contains("db4:keys=1,expires=0"));
    let socket = server.socket();
    let socket = socket.to_str().expect("a temporary path is text");
    assert_eq!(
        cli(&server, &["-s", socket, "echo", "by socket"]),
        "by socket\n"
    );
    assert_eq!(cli(&server, &["-r", "5", "incr", "n"]), "1\n2\n3\n4\n5\n");
    assert_eq!(cli(&server, &["-x", "set", "from-stdin"]), "OK\n");
}

#[test]
fn redis_cli_walks_the_keys() {
    let server = server();
    let mut client = server.client();
    for n in 0..300 {
        client
            .call(&["SET", &format!("key:{n}"), &"x".repeat(n)])
            .expect_ok();
    }
    let mut keys: Vec<String> = cli(&server, &["--scan"])
        .lines()
        .map(str::to_owned)
        .collect();
    keys.sort();
    let mut wanted: Vec<String> = (0..300).map(|n| format!("key:{n}")).collect();
    wanted.sort();
    assert_eq!(keys, wanted);
    assert_eq!(
        cli(&server, &["--scan", "--pattern", "key:29?"])
            .lines()
            .count(),
        10
    );
    let summary = cli(&server, &["--bigkeys"]);
    assert!(summary.contains("Sampled 300 keys"), "{summary}");
    assert!(
        summary.contains("Biggest string found") && summary.contains("key:299\"' has 299 bytes"),
        "{summary}"
    );
    let summary = cli(&server, &["--memkeys"]);
    assert!(summary.contains("Sampled 300 keys"), "{summary}");
    let largest = "Biggest string found so far '\"key:299\"'";
    assert!(summary.contains(largest), "{summary}");
}

#[test]
fn redis_cli_finds_the_hot_keys() {
    let server = server();
    let mut client = server.client();
    client
        .call(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"])
        .expect_ok();
    for n in 0..50 {
        client.call(&["SET", &format!("cold:{n}"), "v"]).expect_ok();
    }
    for _ in 0..2_000 {
        client.call(&["INCR", "hot"]);
    }
    let summary = cli(&server, &["--hotkeys"]);
    assert!(summary.contains("Sampled 51 keys"), "{summary}");
    let first = summary
        .lines()
        .find(|line| line.starts_with("hot key found"))
        .unwrap_or_else(|| panic!("no hot key in {summary}"));
    assert!(first.ends_with("keyname: \"hot\""), "{summary}");
}

#[test]
fn redis_benchmark() {
    for shards in [1, 2] {
        let server = Launch::tessera().shards(shards).start();
        for pipeline in ["1", "16"] {
            let output = Command::new("redis-benchmark")
                .args([
                    "-p",
                    &server.port().to_string(),
                    "-q",
                    "-n",
                    "20000",
                    "-c",
                    "30",
                    "-r",
                    "1000",
                    "-P",
                    pipeline,
                ])
                .args(["-t", "ping_inline,ping_mbulk,set,get,incr,mset"])
                .output()
                .expect("redis-benchmark is installed: scripts/test --install installs it");
            let said = said(&output).replace('\r', "\n");
            assert!(output.status.success(), "{said}");
            let done = said
                .lines()
                .filter(|line| line.contains("requests per second, p50="))
                .count();
            assert_eq!(done, 6, "six tests were asked for:\n{said}");
            assert!(!said.contains("rror") && !said.contains("WARN"), "{said}");
        }
        let mut client = server.client();
        assert_eq!(client.call(&["STRLEN", "key:000000000001"]).int(), 3);
    }
}

/// The `redis` crate, synchronous, as a Rust program would use it.
mod redis_crate {
    use super::*;
    use redis::{Commands, Connection, ConnectionLike, ErrorKind, ServerErrorKind};

    fn connect(url: &str) -> Connection {
        let client = redis::Client::open(url).expect("the URL is well formed");
        client
            .get_connection()
            .unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
    }

    fn url(server: &Server, protocol: u8) -> String {
        let password = PASSWORD.replace(' ', "%20");
        format!(
            "redis://:{password}@127.0.0.1:{}/7?protocol=resp{protocol}",
            server.port()
        )
    }

    fn everyday(protocol: u8) {
        let server = server();
        let mut r = connect(&url(&server, protocol));
        let _: () = r.set("k", "v").expect("SET");
        let db: String = redis::cmd("CLIENT")
            .arg("INFO")
            .query(&mut r)
            .expect("CLIENT INFO");
        assert!(
            db.contains(" db=7 ") && db.contains(&format!(" resp={protocol}")),
            "{db}"
        );
        assert_eq!(
            r.get::<_, Option<String>>("k").expect("GET").as_deref(),
            Some("v")
        );
        assert_eq!(r.get::<_, Option<String>>("missing").expect("GET"), None);
        assert_eq!(r.incr::<_, _, i64>("n", 41).expect("INCRBY"), 41);
        assert!(r.set_nx::<_, _, bool>("nx", 1).expect("SETNX"));
        assert!(!r.set_nx::<_, _, bool>("nx", 2).expect("SETNX"));
        assert!(r.expire::<_, bool>("k", 1000).expect("EXPIRE"));
        assert!(r.ttl::<_, i64>("k").expect("TTL") > 0);
        let _: () = r.mset(&[("a", 1), ("b", 2), ("c", 3)]).expect("MSET");
        assert_eq!(
            r.mget::<_, Vec<i64>>(&["a", "b", "c"]).expect("MGET"),
            [1, 2, 3]
        );
        let binary: Vec<u8> = (0..=255).collect();
        let _: () = r.set(&binary, &binary).expect("SET");
        assert_eq!(r.get::<_, Vec<u8>>(&binary).expect("GET"), binary);
        let error = r
            .incr::<_, _, i64>("k", 1)
            .expect_err("a text is no number");
        assert_eq!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::ResponseError),
            "{error}"
        );
        assert!(
            r.check_connection(),
            "an error leaves the connection usable"
        );
    }

    #[test]
    fn everyday_in_resp2() {
        everyday(2);
    }

    #[test]
    fn everyday_in_resp3() {
        everyday(3);
    }

    #[test]
    fn pipelines_and_scans() {
        let server = server();
        let mut r = connect(&url(&server, 3));
        let mut pipe = redis::pipe();
        for n in 0..1000 {
            pipe.set(format!("key:{n}"), n)
                .ignore()
                .get(format!("key:{n}"));
        }
        let values: Vec<i64> = pipe.query(&mut r).expect("a pipeline");
        assert_eq!(values, (0..1000).collect::<Vec<i64>>());
        let found: Result<std::collections::BTreeSet<String>, _> =
            r.scan_match("key:*").expect("SCAN").collect();
        assert_eq!(found.expect("keys").len(), 1000);
    }

    #[test]
    fn by_unix_socket() {
        let server = server();
        let url = format!(
            "redis+unix://{}?db=2&pass={}",
            server.socket().display(),
            PASSWORD.replace(' ', "%20")
        );
        let mut r = connect(&url);
        let _: () = r.set("k", "by socket").expect("SET");
        assert_eq!(r.get::<_, String>("k").expect("GET"), "by socket");
    }

    #[test]
    fn wrong_password_and_killed_connections() {
        let server = server();
        let wrong = format!("redis://:wrong@127.0.0.1:{}/", server.port());
        let refused = redis::Client::open(wrong).expect("a URL").get_connection();
        assert_eq!(
            refused.err().map(|error| error.kind()),
            Some(ErrorKind::AuthenticationFailed)
        );
        let (mut victim, mut killer) = (connect(&url(&server, 2)), connect(&url(&server, 2)));
        let number: i64 = redis::cmd("CLIENT")
            .arg("ID")
            .query(&mut victim)
            .expect("CLIENT ID");
        let killed: i64 = redis::cmd("CLIENT")
            .arg(&["KILL", "ID"])
            .arg(number)
            .query(&mut killer)
            .expect("CLIENT KILL");
        assert_eq!(killed, 1);
        let error = victim
            .get::<_, Option<String>>("k")
            .expect_err("its connection is closed");
        assert!(
            error.is_io_error() || error.is_connection_dropped(),
            "{error}"
        );
        let again: i64 = redis::cmd("CLIENT")
            .arg("ID")
            .query(&mut connect(&url(&server, 2)))
            .expect("CLIENT ID");
        assert!(again > number);
    }
}
