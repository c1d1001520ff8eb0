//! What the server says of the time it takes, and of clients that take too long.

use tessera_tests::client::Client;
use tessera_tests::command;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::{Kind, Launch};

/// The value of an INFO field.
fn field(client: &mut Client, section: &str, name: &str) -> Option<String> {
    let text = client.call(&["INFO", section]).text();
    let prefix = format!("{name}:");
    text.lines()
        .find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
}

/// Each run of digits as one `9`.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for char in text.chars() {
        if !char.is_ascii_digit() {
            shape.push(char);
        } else if !shape.ends_with('9') {
            shape.push('9');
        }
    }
    shape
}

#[test]
fn times_look_as_redis_shows_them() {
    let servers = [
        Launch::tessera().shards(2).start(),
        Launch::oracle().start(),
    ];
    let [ours, theirs] = servers.each_ref().map(|server| {
        let mut client = server.client();
        for n in 0..500 {
            client.call(&["SET", &format!("k{n}"), "v"]).expect_ok();
            client.call(&["KEYS", "none*"]);
        }
        client.call(&[
            "CONFIG",
            "SET",
            "latency-tracking-info-percentiles",
            "0 50.0 99.95",
        ]);
        let names = ["set", "keys"];
        names.map(|name| {
            let stat = field(&mut client, "commandstats", &format!("cmdstat_{name}"))
                .expect("it was called");
            let name = format!("latency_percentiles_usec_{name}");
            let latency = field(&mut client, "latencystats", &name).expect("it was measured");
            assert!(stat.starts_with("calls=500,usec="), "{stat}");
            assert!(!stat.contains(",usec=0,"), "{stat}");
            [shape(&stat), shape(&latency)]
        })
    });
    assert_eq!(ours, theirs);
    assert_eq!(ours[0][1], "p9=9.9,p9=9.9,p9.9=9.9");
}

#[test]
fn subcommands_count_by_themselves() {
    let servers = [
        Launch::tessera().shards(2).start(),
        Launch::oracle().start(),
    ];
    let counted = servers.each_ref().map(|server| {
        let mut client = server.client();
        for line in [
            "CONFIG RESETSTAT",
            "SET k v",
            "OBJECT ENCODING k",
            "object encoding nosuch",
            "CONFIG GET port",
            "MULTI",
            "CONFIG GET port",
            "XGROUP CREATE k g $",
            "EXEC",
            "CLIENT ID",
            "CLIENT KILL nobody",
            "SCRIPT EXISTS x",
        ] {
            client.say(line);
        }
        let names = [
            "object|encoding",
            "config|get",
            "client|id",
            "client|kill",
            "script|exists",
            "xgroup|create",
            "object",
            "config",
        ];
        names.map(|name| {
            let stat = field(&mut client, "commandstats", &format!("cmdstat_{name}"))?;
            let counts = stat.split(',').filter(|part| !part.starts_with("usec"));
            Some(counts.collect::<Vec<_>>().join(","))
        })
    });
    assert_eq!(counted[0], counted[1]);
    assert!(counted[0][0].is_some());
}

#[test]
fn what_scripts_call_counts() {
    let servers = [
        Launch::tessera().shards(2).start(),
        Launch::oracle().start(),
    ];
    let counted = servers.each_ref().map(|server| {
        let mut client = server.client();
        client.call(&["SELECT", "0"]).expect_ok();
        client.call(&["CONFIG", "RESETSTAT"]).expect_ok();
        for script in [
            "redis.call('SET', KEYS[1], 1) return redis.call('get', KEYS[1])",
            "return redis.pcall('LPUSH', KEYS[1], 1)",
            "return redis.call('LPUSH', KEYS[1], 1)",
            "redis.pcall('LPUSH', KEYS[1], 1) return 1",
            "return redis.call('OBJECT', 'ENCODING', KEYS[1])",
            "return redis.pcall('LPUSH', KEYS[1])",
            "return redis.call('nosuch', KEYS[1])",
            "return redis.pcall('SUBSCRIBE', KEYS[1])",
            "redis.pcall('OBJECT', 'nosuch') return redis.call('PING')",
            "redis.pcall('LPUSH', KEYS[1], 1) return {err='MINE all mine'}",
            "redis.call('SET', 'elsewhere', 1) return redis.call('DBSIZE')",
            "redis.call('SELECT', 1) return redis.call('SET', KEYS[1], 1)",
        ] {
            client.call(&["EVAL", script, "1", "k"]);
        }
        client.call(&["EVAL_RO", "return redis.pcall('DEL', KEYS[1])", "1", "k"]);
        client.call(&["SET", "last", "1"]).expect_ok();
        let names = [
            "eval",
            "eval_ro",
            "set",
            "get",
            "del",
            "lpush",
            "object|encoding",
            "object",
            "subscribe",
            "ping",
            "select",
            "dbsize",
        ];
        let counts = names.map(|name| {
            let stat = field(&mut client, "commandstats", &format!("cmdstat_{name}"))?;
            let counts = stat.split(',').filter(|part| !part.starts_with("usec"));
            Some(counts.collect::<Vec<_>>().join(","))
        });
        let errors = ["ERR", "WRONGTYPE", "MINE"]
            .map(|code| field(&mut client, "errorstats", &format!("errorstat_{code}")));
        (counts, errors)
    });
    assert_eq!(counted[0], counted[1]);
    assert!(counted[0].0[0].is_some());
}

#[test]
fn times_end_with_resetstat_and_without_tracking() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    const LATENCY: &str = "latency_percentiles_usec_get";
    client.call(&["GET", "k"]);
    assert!(field(&mut client, "latencystats", LATENCY).is_some());
    client.call(&["CONFIG", "RESETSTAT"]).expect_ok();
    assert!(field(&mut client, "latencystats", LATENCY).is_none());
    assert!(field(&mut client, "commandstats", "cmdstat_get").is_none());
    client
        .call(&["CONFIG", "SET", "latency-tracking", "no"])
        .expect_ok();
    client.call(&["GET", "k"]);
    assert_eq!(
        client
            .call(&["INFO", "latencystats"])
            .text()
            .lines()
            .count(),
        usize::from(server.kind() == Kind::Tessera)
    );
    client
        .call(&["CONFIG", "SET", "latency-tracking", "yes"])
        .expect_ok();
    assert!(field(&mut client, "latencystats", LATENCY).is_none());
    client.call(&["GET", "k"]);
    assert!(field(&mut client, "latencystats", LATENCY).is_some());
}

#[test]
fn a_turn_that_takes_too_long_is_told() {
    let launch = Launch::tessera()
        .shards(2)
        .with("enable-debug-command", "yes");
    if launch.kind() == Kind::Redis {
        return;
    }
    let server = launch.start();
    let mut client = server.client();
    client
        .call(&["CONFIG", "SET", "stall-warning-ms", "0"])
        .expect_ok();
    client.call(&["DEBUG", "SLEEP", "0.03"]).expect_ok();
    client.call(&["PING"]);
    assert!(!server.log().contains("was busy for"), "{}", server.log());
    client
        .call(&["CONFIG", "SET", "stall-warning-ms", "20"])
        .expect_ok();
    client.call(&["DEBUG", "SLEEP", "0.03"]).expect_ok();
    wait_until("the log tells", || {
        let log = server.log();
        let mut lines = log.lines();
        lines.any(|line| line.contains("was busy for") && line.contains("ms in 'debug'"))
    });
}

#[test]
fn a_client_above_the_hard_limit_is_closed() {
    for launch in [Launch::tessera().shards(2), Launch::oracle()] {
        let server = launch.start();
        let mut client = server.client();
        let value = "x".repeat(300_000);
        client.call(&["SET", "big", &value]).expect_ok();
        assert_eq!(client.call(&["GET", "big"]).text(), value);
        client
            .call(&[
                "CONFIG",
                "SET",
                "client-output-buffer-limit",
                "normal 200kb 0 0",
            ])
            .expect_ok();
        assert_eq!(client.call(&["PING"]).text(), "PONG");
        let mut greedy = server.client();
        greedy.send(&["GET", "big"]);
        assert!(greedy.is_closed());
        assert_eq!(client.call(&["STRLEN", "big"]).int(), 300_000);
        client
            .call(&[
                "CONFIG",
                "SET",
                "client-output-buffer-limit",
                "normal 0 0 0",
            ])
            .expect_ok();
        assert_eq!(client.call(&["GET", "big"]).text(), value);
    }
}

#[test]
fn a_client_above_the_soft_limit_is_closed_after_a_while() {
    for launch in [Launch::tessera().shards(2), Launch::oracle()] {
        let server = launch.start();
        let mut client = server.client();
        let value = "x".repeat(1 << 20);
        client.call(&["SET", "big", &value]).expect_ok();
        client
            .call(&[
                "CONFIG",
                "SET",
                "client-output-buffer-limit",
                "normal 0 300kb 1",
            ])
            .expect_ok();
        // Above it for a moment only.
        for _ in 0..20 {
            assert_eq!(client.call(&["GET", "big"]).bytes().len(), 1 << 20);
        }
        let mut requests = Vec::new();
        for _ in 0..40 {
            command::encode(&["GET", "big"], &mut requests);
        }
        let mut deaf = server.client();
        assert_eq!(deaf.call(&["PING"]).text(), "PONG");
        deaf.write_raw(&requests).expect("the server reads");
        wait_until("the deaf client is gone", || {
            client.call(&["CLIENT", "LIST"]).text().lines().count() == 1
        });
        assert!(deaf.read_to_end().len() < 40 << 20);
    }
}
