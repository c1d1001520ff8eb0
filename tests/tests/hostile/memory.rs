//! No memory left: whoever asks for more than there is gets an error or is closed; everybody else is served, and nothing of what
//! was stored is lost.

use tessera_tests::client::Client;
use tessera_tests::launch::{Kind, Launch};
use tessera_tests::reply::Reply;
use tessera_tests::server::Server;

const MIB: usize = 1 << 20;
/// Enough to start in, and for a dozen of the large values.
const ADDRESS_SPACE_BYTES: u64 = 800 << 20;
const LARGE_BYTES: usize = 32 * MIB;
/// The largest value there may be, and an address space with room for one of it.
const HUGE_BYTES: usize = 512 * MIB;
const HUGE_SPACE_BYTES: u64 = 1000 << 20;
const RESERVE_BYTES: usize = 7 * MIB;
const REFUSED: &str = "ERR out of memory: the value cannot grow that large";

/// A server in which no further value of `LARGE_BYTES` finds room, a client, and how many such values it has.
/// Room for `reserves` values of [`RESERVE_BYTES`] is left: the allocator keeps large blocks apart from all others, so a large value that is deleted
/// makes no room for small ones.
fn full_server(shards: usize, reserves: usize) -> Option<(Server, Client, usize)> {
    let launch = Launch::tessera().shards(shards);
    if launch.kind() == Kind::Redis {
        return None;
    }
    let server = launch.address_space(ADDRESS_SPACE_BYTES).start();
    let mut client = server.client();
    let (last, reserved) = (
        (LARGE_BYTES - 1).to_string(),
        (RESERVE_BYTES - 1).to_string(),
    );
    for n in 0..reserves {
        client.call(&["SETRANGE", &format!("reserve:{n}"), &reserved, "x"]);
    }
    let mut count = 0;
    loop {
        match client.call(&["SETRANGE", &format!("fill:{count}"), &last, "x"]) {
            Reply::Int(length) => assert_eq!(length, LARGE_BYTES as i64),
            refused => {
                assert_eq!(refused.error(), REFUSED);
                break;
            }
        }
        count += 1;
        assert!(count < 100, "the limit does not hold");
    }
    assert!(count >= 4, "only {count} values fit");
    for n in 0..reserves {
        client.call(&["DEL", &format!("reserve:{n}")]);
    }
    Some((server, client, count))
}

/// A reply needs no memory in one piece: the value is larger than all that is left beside it.
#[test]
fn a_reply_without_memory_is_an_error() {
    for shards in [1, 2] {
        let launch = Launch::tessera().shards(shards);
        if launch.kind() == Kind::Redis {
            return;
        }
        let server = launch.address_space(HUGE_SPACE_BYTES).start();
        let mut client = server.client();
        let last = (HUGE_BYTES - 1).to_string();
        let length = client.call(&["SETRANGE", "huge", &last, "x"]).int();
        assert_eq!(length, HUGE_BYTES as i64);
        client.call(&["SET", "small", "v"]).expect_ok();
        let requests: [&[&str]; 8] = [
            &["GET", "huge"],
            &["GETRANGE", "huge", "0", "-1"],
            &["MGET", "small", "huge"],
            &["MGET", "huge", "huge", "small"],
            &["GETEX", "huge", "EX", "100"],
            &["GETDEL", "huge"],
            &["GETSET", "huge", "new"],
            &["SET", "huge", "new", "GET"],
        ];
        for request in requests {
            assert_eq!(client.call(request).error(), REFUSED, "{request:?}");
        }
        assert_eq!(client.call(&["TTL", "huge"]).int(), -1);
        assert_eq!(client.call(&["STRLEN", "huge"]).int(), length);
        // In a pipeline only the one that is too large is refused.
        client.send(&["GET", "small"]);
        client.send(&["GET", "huge"]);
        client.send(&["GET", "small"]);
        assert_eq!(client.read().text(), "v");
        assert_eq!(client.read().error(), REFUSED);
        assert_eq!(client.read().text(), "v");
        assert_eq!(server.client().call(&["PING"]).text(), "PONG");
    }
}

/// What became of a SET of one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Stored,
    Refused,
    Closed,
}

fn try_set(server: &Server, key: &str, bytes: usize) -> Outcome {
    let mut client = server.client();
    let request = [b"SET".to_vec(), key.into(), vec![b'y'; bytes]];
    match client.try_call(&request) {
        Err(_) => Outcome::Closed,
        Ok(Reply::Error(text)) => {
            assert_eq!(String::from_utf8_lossy(&text), REFUSED);
            Outcome::Refused
        }
        Ok(reply) => {
            reply.expect_ok();
            Outcome::Stored
        }
    }
}

/// The request itself needs memory first, and a client whose request finds none is closed. A little smaller, and there is memory for
/// the request but not for the value as well: that is an error. Smaller still, and it is stored.
#[test]
fn a_request_without_memory_ends_only_its_client() {
    for shards in [1, 2] {
        let Some((server, mut client, count)) = full_server(shards, 8) else {
            return;
        };
        client.call(&["DEL", "fill:0"]);
        let mut outcomes = Vec::new();
        let mut bytes = 3 * LARGE_BYTES;
        while bytes > MIB {
            for n in 0..2 {
                let key = format!("key:{n}");
                let outcome = try_set(&server, &key, bytes);
                let expected = if outcome == Outcome::Stored { bytes } else { 0 };
                assert_eq!(client.call(&["STRLEN", &key]).int(), expected as i64);
                client.call(&["DEL", &key]);
                outcomes.push(outcome);
            }
            bytes -= bytes / 8;
        }
        for outcome in [Outcome::Stored, Outcome::Refused, Outcome::Closed] {
            assert!(outcomes.contains(&outcome), "{outcomes:?}");
        }
        assert!(server.log().contains("no memory for its query buffer"));
        assert_eq!(client.call(&["DBSIZE"]).int(), count as i64 - 1);
    }
}
