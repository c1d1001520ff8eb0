//! Many keys, long values, and the limit of what a string may be.

use tessera_tests::command;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

use crate::both::Both;

#[test]
fn ten_thousand_keys_at_once() {
    for shards in [1, 2, 4] {
        let server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        let keys: Vec<String> = (0..10_000).map(|n| format!("key:{n}")).collect();
        let mut mset = vec!["MSET".to_owned()];
        for key in &keys {
            mset.extend([key.clone(), format!("value of {key}")]);
        }
        client.call(&mset).expect_ok();
        assert_eq!(client.call(&["DBSIZE"]).int(), 10_000);
        let over = |name: &str| [&[name.to_owned()], keys.as_slice()].concat();
        let values = client.call(&over("MGET"));
        for (key, value) in keys.iter().zip(values.elements()) {
            assert_eq!(value, &Reply::bulk(&format!("value of {key}")));
        }
        mset[0] = "MSETNX".to_owned();
        assert_eq!(client.call(&mset).int(), 0);
        assert_eq!(client.call(&over("EXISTS")).int(), 10_000);
        assert_eq!(client.call(&over("TOUCH")).int(), 10_000);
        assert_eq!(client.call(&["KEYS", "*"]).elements().len(), 10_000);
        assert_eq!(client.call(&over("UNLINK")).int(), 10_000);
        assert_eq!(client.call(&mset).int(), 1);
        assert_eq!(client.call(&over("DEL")).int(), 10_000);
        assert_eq!(client.call(&["DBSIZE"]).int(), 0);
    }
}

/// The last of several values for one key wins, the same key counts as often as it is named.
#[test]
fn the_same_key_many_times() {
    let mut both = Both::start();
    both.say(&[
        "MSET a 1 b 2 a 3",
        "MGET a a b a",
        "EXISTS a a a b missing",
        "DEL a a b",
        "MSETNX x 1 x 2",
        "GET x",
        "TOUCH x x",
        "UNLINK x x",
    ]);
}

#[test]
fn a_pipeline_of_a_hundred_thousand() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    let batch: Vec<Vec<Vec<u8>>> = (0..100_000)
        .map(|n| command::words(&format!("INCRBY n{} {}", n % 10, n / 10)))
        .collect();
    let replies = client.pipeline(&batch);
    let mut sums = [0; 10];
    for (n, reply) in replies.iter().enumerate() {
        sums[n % 10] += i64::try_from(n / 10).expect("small");
        assert_eq!(reply.int(), sums[n % 10], "command {n}");
    }
}

#[test]
fn values_of_many_megabytes() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    for (n, length) in [1 << 16, (1 << 20) + 1, 5_000_000, 64 << 20]
        .into_iter()
        .enumerate()
    {
        let value: Vec<u8> = (0..length).map(|at: usize| (at % 251) as u8).collect();
        let key = format!("large{n}").into_bytes();
        client
            .call(&[b"SET".to_vec(), key.clone(), value.clone()])
            .expect_ok();
        assert_eq!(
            client.call(&[b"STRLEN".to_vec(), key.clone()]).int(),
            i64::try_from(length).expect("it fits")
        );
        assert!(
            client.call(&[b"GET".to_vec(), key.clone()]).bytes() == value,
            "{length} bytes came back changed"
        );
        let copied = client.call(&[
            b"COPY".to_vec(),
            key.clone(),
            b"copy".to_vec(),
            b"REPLACE".to_vec(),
        ]);
        assert_eq!(copied, Reply::Int(1));
        client.call(&[b"APPEND".to_vec(), key.clone(), b"!".to_vec()]);
        assert!(
            client
                .call(&[b"GETRANGE".to_vec(), key, b"-3".to_vec(), b"-1".to_vec()])
                .bytes()
                .ends_with(b"!")
        );
        assert!(
            client.call(&["GET", "copy"]).bytes() == value,
            "the copy changed with its source"
        );
    }
    let mut key = vec![b'k'; 1 << 20];
    key.push(0);
    client
        .call(&[b"SET".to_vec(), key.clone(), b"v".to_vec()])
        .expect_ok();
    assert_eq!(client.call(&[b"GET".to_vec(), key]).text(), "v");
}

#[test]
fn the_limit_of_a_string() {
    let mut both = Both::start();
    both.say(&[
        "SETRANGE k 536870912 x",
        "SETRANGE k 536870911 xy",
        "SETRANGE k -1 x",
        "SETRANGE k 9223372036854775807 x",
        "EXISTS k",
        "SET k abc",
        "SETRANGE k 536870912 x",
        "GET k",
    ]);
    both.call(&["SETRANGE", "k", "99999999999", ""]);
    both.call(&["SETRANGE", "missing", "5", ""]);
    both.say(&["EXISTS missing"]);
    both.say(&[
        "CONFIG SET proto-max-bulk-len 1mb",
        "SETRANGE k 1048576 x",
        "SETRANGE k 1048575 x",
        "STRLEN k",
        "APPEND k x",
        "STRLEN k",
    ]);
    both.say(&["CONFIG SET proto-max-bulk-len 512kb"]);
}

/// Nothing of this is built before it is refused or cut to what is there.
#[test]
fn ranges_and_counts_of_any_size() {
    let mut both = Both::start();
    both.say(&[
        "SETBIT k 4294967296 1",
        "SETBIT k 9223372036854775807 1",
        "SETBIT k -1 1",
        "BITFIELD k SET u8 4294967296 1",
        "BITFIELD k SET u8 #536870912 1",
        "BITFIELD k INCRBY i64 4294967233 1",
        "GETBIT k 4294967296",
        "EXISTS k",
        "SET k 1",
        "INCRBYFLOAT k 1e5000",
        "INCRBYFLOAT k 1e4932",
        "INCRBY k 9223372036854775807",
        "DECRBY k -9223372036854775808",
        "GETRANGE k -9223372036854775808 9223372036854775807",
        "BITCOUNT k -9223372036854775808 9223372036854775807",
        "BITCOUNT k 0 9223372036854775807 BIT",
        "BITPOS k 1 -9223372036854775808 9223372036854775807 BIT",
        "SETEX k 9223372036854775807 v",
        "RPUSH l a b a",
        "LRANGE l -9223372036854775808 9223372036854775807",
        "LPOS l a RANK 9223372036854775807",
        "LPOS l a COUNT 9223372036854775807 MAXLEN 9223372036854775807",
        "LPOS l a COUNT -1",
        "LINDEX l 9223372036854775807",
        "LINDEX l -9223372036854775808",
        "LSET l -9223372036854775808 x",
        "LREM l -9223372036854775807 none",
        "LPOP l 9223372036854775808",
        "LMPOP 9223372036854775807 l LEFT",
        "LMPOP 1 l LEFT COUNT 9223372036854775808",
        "LTRIM l -9223372036854775808 9223372036854775807",
        "LPOP l 9223372036854775807",
        "SADD s a",
        "SRANDMEMBER s -9223372036854775808",
        "SRANDMEMBER s 9223372036854775807",
        "SPOP s -1",
        "SINTERCARD 9223372036854775807 s",
        "SINTERCARD 1 s LIMIT 9223372036854775807",
        "HSET h f 1",
        "HRANDFIELD h -9223372036854775808",
        "HRANDFIELD h 9223372036854775807 WITHVALUES",
        "HINCRBY h f 9223372036854775807",
        "HINCRBYFLOAT h f 1e5000",
        "ZADD z 1 a",
        "ZADD z 1e400 b",
        "ZINCRBY z 1e308 a",
        "ZINCRBY z 1.7e308 a",
        "ZRANGE z -9223372036854775808 9223372036854775807",
        "ZRANGEBYSCORE z -inf +inf LIMIT 9223372036854775807 9223372036854775807",
        "ZRANGEBYSCORE z -inf +inf LIMIT 0 -9223372036854775808",
        "ZRANDMEMBER z -9223372036854775808 WITHSCORES",
        "ZRANDMEMBER z 9223372036854775807 WITHSCORES",
        "ZUNION 9223372036854775807 z",
        "ZPOPMIN z 9223372036854775808",
        "ZPOPMIN z 9223372036854775807",
        "XADD x 18446744073709551615-18446744073709551615 f v",
        "XADD x * f v",
        "XADD x MAXLEN 9223372036854775808 * f v",
        "XRANGE x - + COUNT 9223372036854775807",
        "XREAD COUNT 9223372036854775807 STREAMS x 18446744073709551614",
        "XTRIM x MAXLEN 9223372036854775807",
        "SCAN 18446744073709551616",
        "SORT l LIMIT -9223372036854775808 9223372036854775807",
        "EXPIRE h 9223372036854775807",
        "DBSIZE",
    ]);
}

/// A wish that no reply can hold is refused at once, and not when two gigabytes of it have been written.
#[test]
fn random_elements_beyond_all_bounds() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    client.say("HSET h f v");
    client.say("SADD s m");
    client.say("ZADD z 1 m");
    for line in [
        "HRANDFIELD h -999999999",
        "SRANDMEMBER s -999999999",
        "ZRANDMEMBER z -999999999",
    ] {
        let said = client.say(line).error();
        assert!(said.contains("out of memory"), "{line}: {said}");
        assert_eq!(client.say("DBSIZE").int(), 3);
    }
}
