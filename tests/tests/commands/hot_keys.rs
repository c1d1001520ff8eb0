//! Which keys are hot and which are large: HOTKEYS, MEMORY KEYS, and what INFO tells of them.

use tessera_tests::client::Client;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

/// The lines of a section of INFO.
fn section(client: &mut Client, name: &str) -> Vec<String> {
    let text = client.call(&["INFO", name]).text();
    text.lines().map(str::to_owned).collect()
}

/// The fields of HOTKEYS GET.
fn found(client: &mut Client) -> Vec<(String, Reply)> {
    client.call(&["HOTKEYS", "GET"]).elements()[0].pairs()
}

/// The keys that one of them lists.
fn keys(found: &[(String, Reply)], name: &str) -> Vec<(String, i64)> {
    let list = found.iter().find(|(field, _)| field == name);
    let list = list.unwrap_or_else(|| panic!("no {name} in {found:?}"));
    let amounts = list.1.pairs().into_iter();
    amounts.map(|(key, amount)| (key, amount.int())).collect()
}

/// GETs of `cold:0` to `cold:999`, every tenth one of `hot` instead, by pipelines.
fn warm(client: &mut Client) {
    for round in 0..20 {
        let line = |n: usize| match n % 10 {
            3 => vec!["GET".to_owned(), "hot".to_owned()],
            _ => vec![
                "GET".to_owned(),
                format!("cold:{}", (n * 7 + round) % 1_000),
            ],
        };
        client.pipeline(&(0..1_000).map(line).collect::<Vec<_>>());
    }
}

#[test]
fn the_hottest_key_is_known_without_asking_before() {
    for shards in [1, 2] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        client.call(&["SET", "hot", &"x".repeat(1_000)]).expect_ok();
        client
            .call(&["CONFIG", "SET", "hotkeys-sample-ratio", "4"])
            .expect_ok();
        warm(&mut client);
        let answer = found(&mut client);
        for list in ["by-accesses", "by-net-bytes"] {
            assert_eq!(keys(&answer, list)[0].0, "hot", "{answer:?}");
        }
        let (_, accesses) = keys(&answer, "by-accesses")[0];
        assert!((1_000..3_000).contains(&accesses), "{accesses} of 2,000");
        let lines = section(&mut client, "hotkeys");
        assert!(
            lines.contains(&"hotkeys_sample_ratio:4".to_owned()),
            "{lines:?}"
        );
        let first = lines
            .iter()
            .find(|line| line.starts_with("hotkey_by_accesses_0:"));
        assert!(
            first.is_some_and(|line| line.ends_with(",key=hot")),
            "{lines:?}"
        );
    }
}

#[test]
fn a_session_counts_exactly() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    client
        .call(&[
            "HOTKEYS", "START", "METRICS", "2", "CPU", "NET", "COUNT", "2",
        ])
        .expect_ok();
    // 27 bytes there and 5 back.
    for _ in 0..10 {
        client.call(&["SET", "a", "v"]).expect_ok();
    }
    client.say("MULTI");
    for _ in 0..15 {
        client.call(&["SET", "b", "v"]);
    }
    client.say("EXEC");
    client.say("SET c v");
    // Nothing of it is for a key.
    client.say("PING");
    client.call(&["HOTKEYS", "STOP"]).expect_ok();
    for _ in 0..50 {
        client.call(&["SET", "c", "v"]).expect_ok();
    }
    let answer = found(&mut client);
    let expected = [("b".to_owned(), 15 * 32), ("a".to_owned(), 10 * 32)];
    assert_eq!(keys(&answer, "by-net-bytes"), expected);
    assert_eq!(keys(&answer, "by-cpu-time-us").len(), 2);
    let field = |name: &str| {
        answer
            .iter()
            .find(|(it, _)| it == name)
            .map(|it| it.1.int())
    };
    assert_eq!(field("tracking-active"), Some(0));
    assert!(
        field("net-bytes-all-commands-all-slots") > Some(25 * 32),
        "{answer:?}"
    );
    client.call(&["HOTKEYS", "RESET"]).expect_ok();
    assert!(client.call(&["HOTKEYS", "STOP"]).is_error());
}

#[test]
fn heavy_commands_are_all_seen() {
    let server = Launch::tessera()
        .shards(2)
        .with("hotkeys-sample-ratio", "4294967295")
        .start();
    let mut client = server.client();
    let mut fill = vec!["SADD".to_owned(), "big".to_owned()];
    fill.extend((0..20_000).map(|n| format!("member:{n}")));
    client.call(&fill);
    let members = client.call(&["SMEMBERS", "big"]).elements().len();
    assert_eq!(members, 20_000);
    let answer = found(&mut client);
    let (key, bytes) = &keys(&answer, "by-net-bytes")[0];
    assert!(key == "big" && *bytes > 200_000, "{answer:?}");
}

#[test]
fn the_largest_keys_of_all_databases() {
    for shards in [1, 3] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        for n in 0..3_000 {
            client
                .call(&["SET", &format!("k:{n}"), &"x".repeat(n)])
                .expect_ok();
        }
        client.say("SELECT 5");
        let mut fill = vec!["RPUSH".to_owned(), "list".to_owned()];
        fill.extend((0..1_000).map(|n| format!("element:{n}")));
        client.call(&fill);
        let largest = |client: &mut Client, options: &[&str]| {
            let words = [&["MEMORY", "KEYS"], options].concat();
            let reply = client.call(&words);
            let fields = reply.elements().iter().map(Reply::pairs);
            let shown = fields.map(|fields| {
                let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
                assert_eq!(names, ["key", "db", "type", "elements", "bytes"]);
                let [key, db, kind, elements, bytes] = [0, 1, 2, 3, 4].map(|at| &fields[at].1);
                let line = format!(
                    "{} {} {} {}",
                    key.text(),
                    db.int(),
                    kind.text(),
                    elements.int()
                );
                (line, bytes.int())
            });
            shown.collect::<Vec<_>>()
        };
        let all = largest(&mut client, &["COUNT", "3000"]);
        assert_eq!(all.len(), 3_000);
        assert!(all.is_sorted_by(|a, b| a.1 >= b.1));
        let (first, bytes) = &all[0];
        assert_eq!(first, "list 5 list 1000");
        assert_eq!(client.call(&["MEMORY", "USAGE", "list"]).int(), *bytes);
        assert_eq!(largest(&mut client, &[]).len(), 10);
        let of_type = largest(&mut client, &["TYPE", "list"]);
        assert_eq!(of_type.len(), 1);
        let matching = largest(&mut client, &["MATCH", "k:299?", "COUNT", "20"]);
        assert_eq!(matching.len(), 10);
        assert!(matching[0].0.ends_with(" 0 string 2999"), "{matching:?}");
        client.say("MULTI");
        client.say("MEMORY KEYS COUNT 2");
        let ran = client.say("EXEC");
        assert_eq!(ran.elements()[0].elements().len(), 2);
    }
}

#[test]
fn large_keys_in_info() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    client
        .call(&["SET", "odd name,=", &"x".repeat(100_000)])
        .expect_ok();
    client.call(&["SET", "small", "x"]).expect_ok();
    let wanted = "type=string,elements=100000,bytes=";
    let mut lines = Vec::new();
    for _ in 0..100 {
        lines = section(&mut client, "bigkeys");
        if lines.iter().any(|line| line.starts_with("bigkey_1:")) {
            break;
        }
    }
    let first = lines.iter().find(|line| line.starts_with("bigkey_0:"));
    let first = first.unwrap_or_else(|| panic!("no large key in {lines:?}"));
    assert!(
        first.contains(wanted) && first.ends_with(",key=odd\\x20name\\x2c\\x3d"),
        "{lines:?}"
    );
    assert!(
        section(&mut client, "default")
            .iter()
            .all(|line| !line.starts_with("bigkey"))
    );
    assert!(
        section(&mut client, "all")
            .iter()
            .any(|line| line == "# Hotkeys")
    );
}
