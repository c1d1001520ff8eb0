//! HELLO, RESET, AUTH and what changes with the protocol.

use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

use crate::both::Both;

#[test]
fn hello_says_who_answers() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    let greeting = client.call(&["HELLO", "3"]);
    let Reply::Map(_) = greeting else {
        panic!("HELLO 3 gave {greeting}")
    };
    let pairs = greeting.pairs();
    let get = |name: &str| {
        &pairs
            .iter()
            .find(|(key, _)| key == name)
            .unwrap_or_else(|| panic!("no {name} in {greeting}"))
            .1
    };
    assert_eq!(get("server").text(), "redis");
    assert_eq!(get("proto").int(), 3);
    assert_eq!(get("mode").text(), "standalone");
    assert_eq!(get("role").text(), "master");
    assert_eq!(get("modules").elements().len(), 0);
    assert_eq!(get("id").int(), client.say("CLIENT ID").int());
    let version = get("version").text();
    assert_eq!(version.split('.').count(), 3, "{version}");
    assert!(matches!(client.call(&["HELLO", "2"]), Reply::Array(_)));
}

#[test]
fn hello_with_password_and_name() {
    let server = Launch::tessera().shards(2).password("pw").start();
    let mut client = server.raw_client();
    let refused = client.say("HELLO 3").error();
    assert!(
        refused.starts_with("NOAUTH HELLO must be called with the client already authenticated"),
        "{refused}"
    );
    let refused = client.say("HELLO 3 AUTH default wrong SETNAME me").error();
    assert!(refused.starts_with("WRONGPASS"), "{refused}");
    assert!(client.say("PING").error().starts_with("NOAUTH"));
    assert!(matches!(
        client.say("HELLO 3 AUTH default pw SETNAME me"),
        Reply::Map(_)
    ));
    assert_eq!(client.say("CLIENT GETNAME").text(), "me");
    assert_eq!(client.say("GET missing"), Reply::Null);
    // A refused greeting changes nothing.
    assert!(client.say("HELLO 2 AUTH default wrong").is_error());
    assert!(client.say("HELLO 2 SETNAME bad\u{1}name").is_error());
    assert!(client.say("CLIENT INFO").text().contains(" resp=3"));
    assert!(client.say("CLIENT INFO").text().contains(" name=me "));
}

#[test]
fn reset_forgets_everything() {
    let server = Launch::tessera().shards(2).password("pw").start();
    let mut client = server.client();
    assert!(matches!(client.say("HELLO 3 SETNAME me"), Reply::Map(_)));
    client.say("SELECT 5").expect_ok();
    client.say("CLIENT REPLY ON").expect_ok();
    assert_eq!(client.say("RESET"), Reply::Simple(b"RESET".to_vec()));
    assert!(client.say("GET k").error().starts_with("NOAUTH"));
    client.say("AUTH pw").expect_ok();
    let info = client.say("CLIENT INFO").text();
    assert!(
        info.contains(" db=0 ") && info.contains(" resp=2") && info.contains(" name= "),
        "{info}"
    );
    assert!(matches!(client.say("CONFIG GET timeout"), Reply::Array(_)));
}

/// RESET also ends a silence that CLIENT REPLY OFF began.
#[test]
fn reset_ends_silence() {
    let mut both = Both::start();
    both.say(&["PING"]);
    let server = Launch::tessera().start();
    let mut client = server.client();
    client.send(&["CLIENT", "REPLY", "OFF"]);
    client.send(&["SET", "k", "v"]);
    assert_eq!(client.say("RESET").text(), "RESET");
    assert_eq!(client.say("GET k").text(), "v");
}

#[test]
fn the_same_data_in_both_protocols() {
    let mut both = Both::start();
    for _ in 0..2 {
        both.say(&[
            "MSET a 1 b two",
            "MGET a missing b",
            "GET missing",
            "GETDEL missing",
            "SET a x XX GET",
            "SET missing x XX",
            "SET missing x XX GET",
            "SET a 1",
            "INCRBYFLOAT a 1.5",
            "LCS a b IDX",
            "TTL a",
            "EXISTS a b",
            "SCAN 0 MATCH nothing COUNT 1000",
            "KEYS nothing",
            "RANDOMKEY extra",
            "OBJECT ENCODING missing",
            "MEMORY USAGE missing",
            "CONFIG GET maxmemory-policy",
            "COMMAND GETKEYS MSET a 1 b 2",
            "COMMAND INFO nosuch",
            "CLIENT GETNAME",
            "CLIENT SETNAME me",
            "CLIENT GETNAME",
            "ECHO hello",
            "PING",
            "PING hello",
            "TYPE a",
            "TYPE missing",
            "DEL a b",
        ]);
        both.speak_resp3();
    }
}

/// Text for people is a verbatim string in RESP3.
#[test]
fn verbatim_strings() {
    let server = Launch::tessera().start();
    let mut client = server.client3();
    for text in ["INFO server", "CLIENT LIST", "CLIENT INFO", "LOLWUT"] {
        client.send(&tessera_tests::command::words(text));
        let frame = client
            .read_frame()
            .expect("a reply")
            .expect("an open connection");
        assert_eq!(frame[0], b'=', "{text} gave {}", frame.escape_ascii());
        let start = frame
            .iter()
            .position(|byte| *byte == b'\n')
            .expect("a line")
            + 1;
        assert_eq!(&frame[start..start + 4], b"txt:", "{text}");
    }
}

#[test]
fn auth() {
    let mut both = Both::start();
    both.say(&[
        "AUTH pw",
        "AUTH default pw",
        "AUTH nobody pw",
        "AUTH",
        "AUTH a b c",
    ]);
    let server = Launch::tessera().shards(2).password("pw").start();
    let mut client = server.raw_client();
    assert!(client.say("AUTH no").error().starts_with("WRONGPASS"));
    client.say("AUTH pw").expect_ok();
    // A wrong password afterwards does not take away what one has.
    assert!(client.say("AUTH no").error().starts_with("WRONGPASS"));
    assert_eq!(client.say("PING").text(), "PONG");
    client.say("AUTH default pw").expect_ok();
}

/// What is wrong with a request comes before who sent it.
#[test]
fn mistakes_before_auth() {
    let servers = [
        Launch::tessera()
            .shards(2)
            .with("requirepass", "pw")
            .start(),
        Launch::oracle().with("requirepass", "pw").start(),
    ];
    let requests = [
        "CLIENT foo",
        "CLIENT",
        "CLIENT id x",
        "CLIENT ID",
        "client setname",
        "CONFIG nonsense",
        "CONFIG GET",
        "OBJECT foo k",
        "OBJECT ENCODING",
        "OBJECT ENCODING k",
        "COMMAND",
        "COMMAND foo",
        "GET",
        "NOSUCH",
    ];
    let [ours, theirs] = servers.each_ref().map(|server| {
        let mut client = server.raw_client();
        requests.map(|request| (request, client.say(request).error()))
    });
    assert_eq!(ours, theirs);
}
