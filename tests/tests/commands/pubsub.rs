//! Publish and subscribe: several connections, the same words to ours and to the oracle, the same frames in the same order.

use tessera_tests::client::Client;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

use crate::scene::{Cue, compare};

/// Who says what, and how many frames come back to whom before the next word.
const SCENE: &[Cue] = &[
    ("publisher", "PUBLISH a nobody", &[("publisher", 1)]),
    ("two", "SUBSCRIBE a b a", &[("two", 3)]),
    ("three", "SUBSCRIBE a", &[("three", 1)]),
    ("three", "PSUBSCRIBE a* *", &[("three", 2)]),
    (
        "publisher",
        "PUBLISH a first",
        &[("publisher", 1), ("two", 1), ("three", 3)],
    ),
    (
        "publisher",
        "PUBLISH ab second",
        &[("publisher", 1), ("three", 2)],
    ),
    ("two", "GET x", &[("two", 1)]),
    ("two", "CLIENT ID", &[("two", 1)]),
    ("two", "PING", &[("two", 1)]),
    ("two", "PING hi", &[("two", 1)]),
    ("two", "PING hi there", &[("two", 1)]),
    ("three", "PING", &[("three", 1)]),
    ("three", "SET x 1", &[("three", 1)]),
    (
        "three",
        "PUBLISH b own",
        &[("three", 1), ("three", 1), ("two", 1)],
    ),
    ("publisher", "PUBSUB CHANNELS b*", &[("publisher", 1)]),
    ("publisher", "PUBSUB NUMSUB a b c", &[("publisher", 1)]),
    ("publisher", "PUBSUB NUMSUB", &[("publisher", 1)]),
    ("publisher", "PUBSUB NUMPAT", &[("publisher", 1)]),
    ("publisher", "PUBSUB NUMPAT x", &[("publisher", 1)]),
    ("publisher", "PUBSUB CHANNELS a b", &[("publisher", 1)]),
    ("publisher", "PUBSUB NOSUCH", &[("publisher", 1)]),
    ("two", "SSUBSCRIBE s", &[("two", 1)]),
    (
        "publisher",
        "SPUBLISH s sharded",
        &[("publisher", 1), ("two", 1)],
    ),
    (
        "publisher",
        "PUBLISH s plain",
        &[("publisher", 1), ("three", 1)],
    ),
    ("publisher", "PUBSUB SHARDCHANNELS", &[("publisher", 1)]),
    ("publisher", "PUBSUB SHARDNUMSUB s a", &[("publisher", 1)]),
    ("two", "SUNSUBSCRIBE", &[("two", 1)]),
    ("two", "SUNSUBSCRIBE", &[("two", 1)]),
    ("two", "UNSUBSCRIBE a nosuch a", &[("two", 3)]),
    ("two", "UNSUBSCRIBE", &[("two", 1)]),
    ("two", "UNSUBSCRIBE", &[("two", 1)]),
    ("two", "PUNSUBSCRIBE", &[("two", 1)]),
    ("two", "GET x", &[("two", 1)]),
    ("three", "PUNSUBSCRIBE a* *", &[("three", 2)]),
    ("three", "RESET", &[("three", 1)]),
    ("publisher", "PUBLISH a none", &[("publisher", 1)]),
    ("two", "SUBSCRIBE a", &[("two", 1)]),
    ("two", "MULTI", &[("two", 1)]),
    ("two", "QUIT", &[("two", 1)]),
    ("publisher", "MULTI", &[("publisher", 1)]),
    ("publisher", "PUBLISH a inside", &[("publisher", 1)]),
    ("publisher", "EXEC", &[("publisher", 1)]),
];

#[test]
fn as_the_oracle_does_it() {
    compare(SCENE);
}

#[test]
fn a_publishers_messages_come_in_order_and_after_its_writes() {
    const MESSAGES: i64 = 400;
    let server = Launch::tessera().shards(4).start();
    let mut listeners: Vec<Client> = (0..6).map(|_| server.client3()).collect();
    for listener in &mut listeners {
        listener.say("SUBSCRIBE news");
    }
    let mut publisher = server.client();
    let commands: Vec<Vec<String>> = (0..MESSAGES)
        .flat_map(|n| {
            let n = n.to_string();
            let key = format!("key:{}", n.len() * 7);
            [
                vec!["SET".into(), key, n.clone()],
                vec!["PUBLISH".into(), "news".into(), n],
            ]
        })
        .collect();
    publisher.pipeline(&commands);
    let mut reader = server.client();
    for listener in &mut listeners {
        for n in 0..MESSAGES {
            let message = listener.read();
            assert_eq!(message.elements()[2], Reply::bulk(&n.to_string()));
            if n % 50 == 0 {
                let key = format!("key:{}", n.to_string().len() * 7);
                let seen: i64 = reader.call(&["GET", &key]).text().parse().unwrap();
                assert!(seen >= n, "{seen} after message {n}");
            }
        }
    }
}

/// CLIENT REPLY does not hold back news, nor its own answer.
#[test]
fn silence_lets_messages_through() {
    compare(&[
        ("three", "CLIENT REPLY OFF", &[("three", 0)]),
        ("three", "SUBSCRIBE ch", &[("three", 1)]),
        ("three", "PSUBSCRIBE c*", &[("three", 1)]),
        ("two", "PUBLISH ch hi", &[("two", 1), ("three", 2)]),
        ("three", "UNSUBSCRIBE", &[("three", 1)]),
        ("one", "CLIENT REPLY SKIP", &[("one", 0)]),
        ("one", "CLIENT REPLY ON", &[("one", 1)]),
        ("one", "PING", &[("one", 1)]),
    ]);
}

/// Who publishes and leaves in one go has listened when it published; who publishes and comes has not.
#[test]
fn own_messages_of_a_pipeline() {
    let server = Launch::tessera().shards(2).start();
    // Listeners on both shards, so that messages travel.
    let mut others: Vec<Client> = (0..8).map(|_| server.client()).collect();
    for other in &mut others {
        other.say("SUBSCRIBE elsewhere");
    }
    for _ in 0..20 {
        let mut client = server.client3();
        client.say("SUBSCRIBE ch");
        let pipeline =
            b"PUBLISH ch kept\r\nUNSUBSCRIBE ch\r\nPUBLISH ch missed\r\nSUBSCRIBE ch\r\nPING\r\n";
        client.write_raw(pipeline).expect("the server reads");
        let frames: Vec<Reply> = (0..6).map(|_| client.read()).collect();
        let place = |word: &str| {
            let is_it = |reply: &Reply| reply.to_string().contains(word);
            frames.iter().position(is_it)
        };
        assert!(place("kept") < place("unsubscribe"), "{frames:?}");
        assert_eq!((place("missed"), place("PONG")), (None, Some(5)));
    }
}
