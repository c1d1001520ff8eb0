//! Bytes that are not what they should be, to both servers: the same replies and the same end.

use tessera_tests::client::Client;
use tessera_tests::command;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::rng::{Rng, seed};
use tessera_tests::server::Server;

/// What a server says to `bytes`, followed by the end of writing, until it closes the connection.
fn answer(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut client = server.raw_client();
    // A server that has seen enough may close before everything is written.
    if client.write_raw(bytes).is_ok() {
        let _ = client.end_writing();
    }
    client.read_to_end()
}

fn shown(bytes: &[u8]) -> String {
    command::show_bytes(bytes)
}

/// Sends each to both; a PING goes after it, to see whether the connection goes on.
fn compare(tessera: &Server, oracle: &Server, cases: &[Vec<u8>]) {
    for case in cases {
        let bytes = [case.as_slice(), b"*1\r\n$4\r\nPING\r\n"].concat();
        let (ours, theirs) = (answer(tessera, &bytes), answer(oracle, &bytes));
        assert_eq!(
            shown(&ours),
            shown(&theirs),
            "ours and the oracle's answer to {}",
            shown(case)
        );
    }
}

const BROKEN: &[&[u8]] = &[
    // Counts.
    b"*1000000000\r\n",
    b"*2147483647\r\n",
    b"*2147483648\r\n",
    b"*99999999999999999999\r\n",
    b"*-1\r\n",
    b"*-2147483648\r\n",
    b"*0\r\n",
    b"*\r\n",
    b"*abc\r\n",
    b"*1x\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"* 1\r\n$4\r\nPING\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*1 \r\n$4\r\nPING\r\n",
    b"*1.0\r\n",
    b"**\r\n",
    // Lengths.
    b"*1\r\n$9999999999\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$-5\r\nabc\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$+4\r\nPING\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$ 4\r\nPING\r\n",
    b"*1\r\n$0\r\n\r\n",
    b"*2\r\n$0\r\n\r\n$0\r\n\r\n",
    b"*1\r\n$18446744073709551616\r\n",
    // Other types where a bulk string must be.
    b"*1\r\n+PING\r\n",
    b"*1\r\n:1\r\n",
    b"*1\r\nPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n*1\r\n$1\r\na\r\n",
    b"*1\r\n\r\n",
    b"*1\r\n=8\r\ntxt:PING\r\n",
    b"%1\r\n+a\r\n+b\r\n",
    b"~1\r\n$4\r\nPING\r\n",
    b">1\r\n$4\r\nPING\r\n",
    b"$4\r\nPING\r\n",
    b"+OK\r\n",
    b"-ERR\r\n",
    b":1\r\n",
    // A length that does not fit its string.
    b"*1\r\n$4\r\nPINGPONG\r\n",
    b"*2\r\n$4\r\nECHO\r\n$2\r\nabc\r\n",
    b"*2\r\n$4\r\nECHO\r\n$2\r\na\r\n\r\n",
    // Inline commands.
    b"\r\n",
    b"\n",
    b"\r\n\r\n\r\n",
    b"   \r\n",
    b"\t\r\n",
    b"PING\n",
    b"PING\r\n",
    b"  PING  \r\n",
    b"\tPING\t\r\n",
    b"ping hello\r\n",
    b"ECHO \"a b\"\r\n",
    b"ECHO 'a b'\r\n",
    b"ECHO \"a\\nb\\x41\\t\\\\\"\r\n",
    b"ECHO \"\\xzz\\q\"\r\n",
    b"ECHO 'it\\'s'\r\n",
    b"ECHO 'a\\nb'\r\n",
    b"ECHO \"open\r\n",
    b"ECHO 'open\r\n",
    b"ECHO \"a\"b\r\n",
    b"ECHO 'a'b\r\n",
    b"ECHO a\"b c\"\r\n",
    b"ECHO \"\"\r\n",
    b"\"PING\"\r\n",
    b"\"\"\r\n",
    b"ECHO a\0b\r\n",
    b"PING\0\r\n",
    b"\0\r\n",
    b"ECHO \xff\xfe\r\n",
    b"ECHO a\rb\r\n",
    b"PING\r\r\n",
    b"NOSUCH command here\r\n",
    b"QUIT\r\nPING\r\n",
    b"QUIT now\r\nPING\r\n",
    // Protocols of others.
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nFLUSHALL\r\n",
    b"post / HTTP/1.1\r\n\r\n",
    b"Host: localhost\r\n",
    b"HOST:\r\n",
    b"*1\r\n$4\r\nPOST\r\n",
    b"*2\r\n$5\r\nHost:\r\n$1\r\nx\r\n",
    b"HEAD / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    // An error in the middle of good commands: those before it are answered.
    b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n*1\r\n$x\r\n*1\r\n$4\r\nPING\r\n",
    b"*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
];

#[test]
fn broken_frames() {
    let (tessera, oracle) = (
        Launch::tessera().shards(2).start(),
        Launch::oracle().start(),
    );
    let cases: Vec<Vec<u8>> = BROKEN.iter().map(|case| case.to_vec()).collect();
    compare(&tessera, &oracle, &cases);
}

#[test]
fn lines_without_an_end() {
    let (tessera, oracle) = (Launch::tessera().start(), Launch::oracle().start());
    let long = |head: &[u8], byte: u8, count: usize| [head, &vec![byte; count]].concat();
    let mut cases = vec![
        long(b"", b'a', 200_000),
        long(b"ECHO ", b'a', 200_000),
        long(b"*", b'1', 200_000),
        long(b"*1\r\n$", b'1', 200_000),
        long(b"*1\r\n", b'$', 200_000),
        [long(b"ECHO ", b'a', 60_000), b"\r\n".to_vec()].concat(),
        b"*1\r\n".repeat(50_000),
        b"*1\r\n$4\r\nPING\r\n".repeat(20_000),
        b"\r\n".repeat(50_000),
    ];
    // One command of very many arguments.
    let mut many = Vec::new();
    command::encode(&vec!["EXISTS"; 50_000], &mut many);
    cases.push(many);
    compare(&tessera, &oracle, &cases);
}

#[test]
fn unauthenticated_clients_get_little() {
    let (tessera, oracle) = (
        Launch::tessera().password("pw").start(),
        Launch::oracle().password("pw").start(),
    );
    let cases: Vec<Vec<u8>> = [
        &b"*10\r\n"[..],
        b"*11\r\n",
        b"*1\r\n$16384\r\n",
        b"*1\r\n$16385\r\n",
        b"GET k\r\n",
        b"NOSUCH\r\n",
        b"GET\r\n",
        b"AUTH wrong\r\n",
        b"AUTH\r\n",
        b"AUTH default wrong\r\n",
        b"AUTH nobody pw\r\n",
        b"AUTH a b c\r\n",
        b"AUTH pw\r\nGET k\r\n",
        b"AUTH default pw\r\n*11\r\n",
        b"HELLO\r\n",
        b"HELLO 3\r\n",
        b"HELLO 4\r\n",
        b"HELLO 3 AUTH default wrong\r\n",
        b"HELLO 3 SETNAME x\r\n",
        b"RESET\r\n",
        b"AUTH pw\r\nRESET\r\nGET k\r\n",
        b"QUIT\r\n",
        b"COMMAND COUNT\r\n",
        b"CLIENT ID\r\n",
        b"SHUTDOWN\r\n",
    ]
    .iter()
    .map(|case| case.to_vec())
    .collect();
    compare(&tessera, &oracle, &cases);
}

/// A pipeline that gives replies of every sort.
fn pipeline() -> Vec<u8> {
    let mut bytes = b"PING inline\r\n".to_vec();
    for text in [
        "SET k value",
        "GET k",
        "APPEND k !",
        "MSET a 1 b 2 c 3",
        "MGET a b c missing",
        "INCR k",
        "NOSUCH",
        "DEL k a b c",
        "EXISTS k",
    ] {
        command::encode(&command::words(text), &mut bytes);
    }
    command::encode(&["ECHO", &"x".repeat(300)], &mut bytes);
    bytes
}

#[test]
fn any_split_is_the_same() {
    let tessera = Launch::tessera().shards(2).start();
    let bytes = pipeline();
    let whole = answer(&tessera, &bytes);
    assert!(
        whole.starts_with(b"$6\r\ninline\r\n+OK\r\n$5\r\nvalue\r\n:6\r\n"),
        "{}",
        shown(&whole)
    );
    for split in 1..bytes.len() {
        let mut client = tessera.raw_client();
        client.write_raw(&bytes[..split]).expect("the server reads");
        // The first part has been read once another client is served.
        tessera.raw_client().call(&["PING"]);
        client.write_raw(&bytes[split..]).expect("the server reads");
        client.end_writing().expect("an open connection");
        assert_eq!(
            shown(&client.read_to_end()),
            shown(&whole),
            "split at {split}"
        );
    }
}

#[test]
fn one_byte_at_a_time() {
    let tessera = Launch::tessera().shards(2).start();
    let bytes = pipeline();
    let whole = answer(&tessera, &bytes);
    let mut clients: Vec<Client> = (0..20).map(|_| tessera.raw_client()).collect();
    // Their commands must not meet on the same keys half way: one after the other.
    for client in &mut clients {
        for byte in &bytes {
            client
                .write_raw(std::slice::from_ref(byte))
                .expect("the server reads");
        }
        client.end_writing().expect("an open connection");
        assert_eq!(shown(&client.read_to_end()), shown(&whole));
    }
}

/// Good pipelines with a few bytes changed, dropped or doubled.
#[test]
fn mutated_pipelines() {
    let (tessera, oracle) = (
        Launch::tessera().shards(2).start(),
        Launch::oracle().start(),
    );
    let seed = seed();
    println!("TESSERA_SEED={seed}");
    let mut rng = Rng::new(seed);
    let good = pipeline();
    for _ in 0..400 {
        let mut bytes = good.clone();
        for _ in 0..rng.between(1, 4) {
            let at = rng.below(bytes.len());
            match rng.below(4) {
                0 => bytes[at] = rng.pick(b"*$\r\n0123456789-+: \"'\\xPG\xff"),
                1 => {
                    bytes.remove(at);
                }
                2 => bytes.insert(at, rng.pick(b"*$\r\n0123456789-+:\"'")),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let (ours, theirs) = (answer(&tessera, &bytes), answer(&oracle, &bytes));
        assert_eq!(
            String::from_utf8_lossy(&ours),
            String::from_utf8_lossy(&theirs),
            "TESSERA_SEED={seed}: {:?}",
            bytes.escape_ascii().to_string()
        );
    }
}

/// Garbage of all sorts must not end the server, whatever it says to it.
#[test]
fn random_bytes() {
    let tessera = Launch::tessera().shards(2).start();
    let seed = seed();
    println!("TESSERA_SEED={seed}");
    let mut rng = Rng::new(seed);
    for _ in 0..500 {
        let length = rng.between(1, 3000);
        answer(&tessera, &rng.bytes(length));
    }
    assert_eq!(tessera.raw_client().call(&["PING"]).text(), "PONG");
}

/// Somebody talks HTTP to us, perhaps from a browser: closed without a word, and logged.
#[test]
fn http_is_logged_as_an_attack() {
    let server = Launch::tessera().start();
    let said = answer(
        &server,
        b"POST /x HTTP/1.1\r\nHost: localhost\r\n\r\nSET k v\r\n",
    );
    assert_eq!(shown(&said), "\"\"");
    // Whether the error of the first line is seen depends on how the bytes arrive; what follows is not run.
    answer(
        &server,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nSET k v\r\n",
    );
    assert_eq!(server.client().call(&["EXISTS", "k"]).int(), 0);
    wait_until("the log says it", || {
        server.log().contains("Possible SECURITY ATTACK detected")
    });
}
