//! Keyspace notifications: the same commands here and at the oracle, the same events per key in the same order.

use std::collections::BTreeMap;

use tessera_tests::client::Client;
use tessera_tests::command::words;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::server::Server;

/// Every command that tells of something, family by family.
const LINES: &[&str] = &[
    "SET s v",
    "SET s v2",
    "SET s v EX 100",
    "SET s v KEEPTTL",
    "SET s v NX",
    "SETEX s 100 v",
    "PSETEX e 100000 v",
    "SETNX s v",
    "SETNX sn v",
    "GETSET s w",
    "SET s x GET",
    "MSET m1 1 m2 2 m1 3",
    "MSETNX m1 1 m9 2",
    "MSETNX m8 1 m9 2",
    "APPEND s tail",
    "APPEND a head",
    "SETRANGE s 2 yy",
    "SETRANGE r 2 yy",
    "INCR n",
    "INCRBY n 5",
    "DECR n",
    "DECRBY n 2",
    "INCRBYFLOAT n 1.5",
    "INCRBYFLOAT f 1.5",
    "GETDEL f",
    "GETDEL f",
    "GETEX n EX 100",
    "GETEX n PERSIST",
    "GETEX n EXAT 1",
    "GET n",
    "MGET n s none",
    "STRLEN none",
    "EXISTS none s",
    "TYPE none",
    "TTL none",
    "OBJECT ENCODING none",
    "TOUCH none",
    "SETBIT b 7 1",
    "SETBIT b 7 1",
    "SETBIT b 9 1",
    "BITFIELD b SET u8 0 255 INCRBY u8 8 1",
    "BITFIELD bf SET u8 0 255",
    "BITFIELD b GET u8 0",
    "BITOP OR bo b bf",
    "BITOP OR bo b bf",
    "BITOP AND bo none none2",
    "PFADD hll a b c",
    "PFADD hll a",
    "PFCOUNT hll",
    "PFCOUNT none",
    "PFMERGE hll2 hll",
    "PFMERGE hll2 hll",
    "EXPIRE s 100",
    "EXPIRE s 100 NX",
    "PEXPIREAT s 1",
    "EXPIRE none 100",
    "SET p v EX 100",
    "PERSIST p",
    "PERSIST p",
    "RENAME p q",
    "RENAME a q",
    "RENAMENX q q2",
    "RENAME q2 q2",
    "COPY q2 c",
    "COPY q2 c REPLACE",
    "COPY none c",
    "COPY q2 c DB 1",
    "MOVE q2 1",
    "DEL c none m1",
    "UNLINK m2",
    "LPUSH l a b",
    "RPUSH l c",
    "LPUSHX l d",
    "RPUSHX none d",
    "LINSERT l BEFORE a z",
    "LINSERT l BEFORE none z",
    "LSET l 0 y",
    "LREM l 0 z",
    "LREM l 0 none",
    "LPOP l",
    "RPOP l",
    "RPOP l 0",
    "RPUSH l 1 2 3 4 5",
    "LPOP l 2",
    "LTRIM l 0 2",
    "LTRIM l 0 100",
    "RPOPLPUSH l l2",
    "LMOVE l l2 LEFT RIGHT",
    "LMOVE l2 l2 LEFT RIGHT",
    "LMOVE l l2 LEFT RIGHT",
    "LMPOP 2 none l2 LEFT COUNT 2",
    "BLPOP l2 0",
    "RPUSH l2 a b c d e",
    "BLMPOP 0 1 l2 RIGHT",
    "BRPOP l2 0",
    "BLMOVE l2 l3 LEFT LEFT 0",
    "BRPOPLPUSH l2 l3 0",
    "LTRIM l3 5 1",
    "LTRIM none 5 1",
    "LPOP none",
    "LLEN none",
    "RPUSH l 3 1 2",
    "SORT l STORE sorted",
    "SORT none STORE sorted",
    "SADD set a b c",
    "SADD set a",
    "SADD set2 b c d",
    "SREM set c none",
    "SREM set none",
    "SMOVE set set3 a",
    "SMOVE set set3 b",
    "SMOVE none set3 b",
    "SADD set a b c",
    "SINTERSTORE si set set2",
    "SUNIONSTORE si set set2",
    "SDIFFSTORE si set set2",
    "SINTERSTORE si set none",
    "SPOP set",
    "SPOP set 1",
    "SPOP set 9",
    "SPOP none",
    "SPOP none 3",
    "MEMORY USAGE none",
    "XINFO STREAM none",
    "SET dumped v",
    "EVAL return(redis.call('RESTORE',KEYS[1],0,redis.call('DUMP',KEYS[2]))) 2 restored dumped",
    "EVAL return(redis.call('RESTORE',KEYS[1],0,redis.call('DUMP',KEYS[2]),'REPLACE')) 2 restored dumped",
    "SISMEMBER none a",
    "HSET h f 1 g 2",
    "HSET h f 2",
    "HMSET h k 3",
    "HSETNX h f 1",
    "HSETNX h new 1",
    "HINCRBY h f 1",
    "HINCRBYFLOAT h f 1.5",
    "HDEL h none",
    "HDEL h f",
    "HDEL h g k new",
    "HGET none f",
    "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g",
    "ZADD z 1 a",
    "ZADD z XX 2 a",
    "ZADD z INCR 2 a",
    "ZINCRBY z 1 a",
    "ZREM z a none",
    "ZREM z none",
    "ZREMRANGEBYRANK z 0 0",
    "ZREMRANGEBYSCORE z 3 3",
    "ZREMRANGEBYLEX none - +",
    "ZPOPMIN z",
    "ZPOPMAX z 2",
    "ZUNIONSTORE zu 1 z",
    "ZINTERSTORE zu 2 z none",
    "ZDIFFSTORE zd 1 z",
    "ZRANGESTORE zr z 0 -1",
    "ZRANGESTORE zr none 0 -1",
    "ZMPOP 1 z MIN COUNT 10",
    "ZADD z 1 a 1 b 1 c 1 d",
    "ZREMRANGEBYLEX z [a [b",
    "BZPOPMIN z 0",
    "BZMPOP 0 1 z MAX",
    "ZPOPMIN none",
    "ZSCORE none a",
    "GEOADD geo 13 38 p 15 37 c",
    "GEOADD geo 13 38 p",
    "GEOSEARCHSTORE near geo FROMLONLAT 15 37 BYRADIUS 900 km",
    "GEORADIUS geo 15 37 900 km STORE near",
    "GEORADIUSBYMEMBER geo p 1 m STOREDIST near",
    "GEOSEARCHSTORE near geo FROMLONLAT 90 37 BYRADIUS 1 km",
    "XADD x 1-1 a 1",
    "XADD x MAXLEN 1 2-1 a 1",
    "XADD none NOMKSTREAM 2-1 a 1",
    "XADD x 3-1 a 1",
    "XTRIM x MAXLEN 1",
    "XTRIM x MAXLEN 1",
    "XDEL x 3-1",
    "XDEL x 3-1",
    "XADD x 4-1 a 1",
    "XSETID x 5-1",
    "XGROUP CREATE x g 0",
    "XGROUP CREATE made g $ MKSTREAM",
    "XGROUP SETID x g 0",
    "XGROUP CREATECONSUMER x g c",
    "XGROUP CREATECONSUMER x g c",
    "XREADGROUP GROUP g new STREAMS x >",
    "XREADGROUP GROUP g new STREAMS x >",
    "XACK x g 4-1",
    "XADD x 6-1 a 1",
    "XREADGROUP GROUP g c STREAMS x >",
    "XCLAIM x g other 0 6-1",
    "XAUTOCLAIM x g third 0 0",
    "XGROUP DELCONSUMER x g c",
    "XGROUP DESTROY x g",
    "XLEN none",
    "MULTI",
    "SET inside 1",
    "LPUSH inside2 1",
    "RENAME inside inside3",
    "DEL inside2",
    "EXEC",
    "MULTI",
    "SET inside 1",
    "DBSIZE",
    "DEL inside",
    "EXEC",
    "SELECT 3",
    "SET s v",
    "SELECT 0",
    "SWAPDB 0 3",
    "FLUSHALL",
];

/// What has been heard about each key, by channel and payload.
type Heard = BTreeMap<String, Vec<String>>;

fn hear_one(listener: &mut Client, heard: &mut Heard) {
    let message = listener.read();
    note(&message.elements()[1..], heard);
}

fn note(words: &[tessera_tests::reply::Reply], heard: &mut Heard) {
    let (channel, payload) = (words[1].text(), words[2].text());
    let (kind, rest) = channel.split_once(':').expect("a channel of events");
    let (key, event) = if kind.starts_with("__keyspace") {
        (rest.to_owned(), payload)
    } else {
        (payload, rest.to_owned())
    };
    let place = heard.entry(format!("{} {key}", &kind["__keyevent@".len()..]));
    place.or_default().push(format!("{kind} {event}"));
}

/// Everything that the oracle tells after a command: what comes before the message that follows it.
fn hear_until_mark(listener: &mut Client, heard: &mut Heard) -> usize {
    let mut count = 0;
    loop {
        let message = listener.read();
        let words = message.elements();
        if words[2].text() == "mark" {
            return count;
        }
        note(&words[1..], heard);
        count += 1;
    }
}

fn listener(server: &Server, pattern: &str) -> Client {
    let mut listener = server.client();
    listener.send(&["PSUBSCRIBE", pattern, "mark"]);
    listener.read();
    listener.read();
    listener
}

#[test]
fn every_command_tells_what_the_oracles_does() {
    let settings = ("notify-keyspace-events", "AKEmn");
    let oracle = Launch::oracle().with(settings.0, settings.1).start();
    for shards in [1, 2, 4] {
        let ours = Launch::tessera().shards(shards).start();
        let (mut theirs, mut mine) = (oracle.client(), ours.client());
        let (mut their_marker, mut marker) = (oracle.client(), ours.client());
        mine.call(&["CONFIG", "SET", settings.0, settings.1])
            .expect_ok();
        let (mut their_listener, mut listener) =
            (listener(&oracle, "__key*"), listener(&ours, "__key*"));
        let mut wrong = Vec::new();
        for line in LINES {
            let args = words(line);
            theirs.call(&args);
            their_marker.call(&["PUBLISH", "mark", "mark"]);
            let (mut expected, mut heard) = (Heard::new(), Heard::new());
            let count = hear_until_mark(&mut their_listener, &mut expected);
            mine.call(&args);
            marker.call(&["PUBLISH", "mark", "mark"]);
            let before = hear_until_mark(&mut listener, &mut heard);
            if heard != expected && before >= count {
                wrong.push(format!(
                    "{line}\n  we tell    {heard:?}\n  the oracle {expected:?}"
                ));
                continue;
            }
            // An event of another shard may come after the mark.
            (before..count).for_each(|_| hear_one(&mut listener, &mut heard));
            assert_eq!(heard, expected, "{line}, {shards} shards");
        }
        assert!(wrong.is_empty(), "{shards} shards\n{}", wrong.join("\n"));
    }
}

#[test]
fn keys_that_end_are_told_of_with_and_without_a_look() {
    for shards in [1, 2] {
        let server = Launch::tessera()
            .shards(shards)
            .with("notify-keyspace-events", "Ex")
            .start();
        let (mut client, mut listener) = (server.client(), listener(&server, "__keyevent@0__:*"));
        client.say("DEBUG SET-ACTIVE-EXPIRE 0");
        client.say("SET a v PX 1");
        wait_until("the key has ended", || {
            client.say("EXISTS a") == tessera_tests::reply::Reply::Int(0)
        });
        assert_eq!(listener.read().elements()[3].text(), "a");
        client.say("DEBUG SET-ACTIVE-EXPIRE 1");
        client.say("SET b v PX 1");
        let message = listener.read();
        assert_eq!(message.elements()[2].text(), "__keyevent@0__:expired");
        assert_eq!(message.elements()[3].text(), "b");
    }
}

#[test]
fn classes_as_the_oracle_shows_them() {
    let mut both = crate::both::Both::start();
    for letters in [
        "KEA",
        "Ex",
        "g$lshzxetdKE",
        "mnKEA",
        "xetdnmK",
        "g$lshzxetKE",
        "nmK",
        "A",
        "KEnlm",
        "",
        "foo",
        "K E",
    ] {
        both.call(&["CONFIG", "SET", "notify-keyspace-events", letters]);
        both.say(&["CONFIG GET notify-keyspace-events"]);
    }
}

/// Who hears of a change sees it.
#[test]
fn whoever_hears_of_a_change_sees_it() {
    const CHANGES: usize = 300;
    let server = Launch::tessera()
        .shards(4)
        .with("notify-keyspace-events", "E$")
        .start();
    let mut listener = listener(&server, "__keyevent@0__:set");
    let (mut writer, mut reader) = (server.client(), server.client());
    let batch: Vec<Vec<String>> = (0..CHANGES)
        .map(|n| vec!["SET".to_owned(), format!("key:{}", n % 7), n.to_string()])
        .collect();
    writer.pipeline(&batch);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..CHANGES {
        let key = listener.read().elements()[3].text();
        let count = seen.entry(key.clone()).or_default();
        let value: usize = reader.call(&["GET", &key]).text().parse().unwrap();
        let number: usize = key["key:".len()..].parse().unwrap();
        assert!(value >= number + 7 * *count, "{key}: {value}");
        *count += 1;
    }
}
