//! Numbers at every edge, in every place of a command that takes one: refused or taken as redis-server refuses or takes them.

use crate::both::Both;

const NUMBERS: &[&str] = &[
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "4294967295",
    "4294967296",
    "536870911",
    "536870912",
    "2147483647",
    "2147483648",
    "-1",
    "-2147483649",
    "18446744073709551615",
    "1e3",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-0",
    "1e308",
    "-1e308",
    "0x10",
    "1e-400",
];

/// The keys that the commands meet.
const KEYS: &[&str] = &[
    "RPUSH l a b c",
    "SET s abc",
    "SADD set a b",
    "ZADD z 1 a 2 b",
    "HSET h f 1 g x",
    "XADD x 1-1 f v",
    "GEOADD geo 1 1 m",
    "SET n 10",
    "PFADD hll a",
];

/// An `@` stands for the number. A string that this would make larger than a few bytes has no key here: `large.rs` asks about those.
const COMMANDS: &[&str] = &[
    "LPOS l a RANK @",
    "LPOS l a COUNT @",
    "LPOS l a MAXLEN @",
    "LRANGE l @ -1",
    "LRANGE l 0 @",
    "LRANGE l @ @",
    "LTRIM l 0 @",
    "LINDEX l @",
    "LSET l @ v",
    "LPOP l @",
    "RPOP l @",
    "LREM l @ zz",
    "LMPOP @ l LEFT",
    "LMPOP 1 l LEFT COUNT @",
    "GETRANGE s @ 2",
    "GETRANGE s 0 @",
    "GETRANGE s @ @",
    "SETBIT nb @ 2",
    "GETBIT s @",
    "BITCOUNT s @ -1",
    "BITCOUNT s 0 @ BIT",
    "BITPOS s 1 @",
    "BITPOS s 0 0 @ BIT",
    "BITFIELD s GET u8 @",
    "BITFIELD s GET i64 #@",
    "BITFIELD bf INCRBY i5 0 @",
    "BITFIELD_RO s GET u63 @",
    "SINTERCARD 1 set LIMIT @",
    "SINTERCARD @ set",
    "ZINTERCARD @ z",
    "ZUNION @ z",
    "ZRANGE z @ -1",
    "ZRANGE z 0 @ REV",
    "ZRANGEBYSCORE z -inf +inf LIMIT @ 1",
    "ZRANGEBYSCORE z -inf +inf LIMIT 0 @",
    "ZRANGEBYSCORE z @ +inf",
    "ZRANGEBYSCORE z (@ +inf",
    "ZCOUNT z @ @",
    "ZADD z2 @ m",
    "ZADD z2 INCR @ m",
    "ZINCRBY z2 @ m",
    "ZPOPMIN z0 @",
    "ZMPOP 1 z0 MIN COUNT @",
    "ZREMRANGEBYRANK z0 @ @",
    "ZRANGESTORE d z @ -1",
    "ZUNIONSTORE d 1 z WEIGHTS @",
    "INCRBY n @",
    "DECRBY n @",
    "INCRBYFLOAT n2 @",
    "HINCRBY h f @",
    "HINCRBYFLOAT h2 f @",
    "EXPIRE nokey @",
    "PEXPIRE nokey @",
    "EXPIREAT nokey @",
    "SET k v EX @",
    "SET k v PXAT @",
    "SETEX k @ v",
    "GETEX s EX @",
    "XADD x2 @ f v",
    "XTRIM x MAXLEN @ LIMIT 1",
    "XTRIM x MAXLEN ~ 1 LIMIT @",
    "XRANGE x @ +",
    "XRANGE x - + COUNT @",
    "XREVRANGE x + - COUNT @",
    "XREAD COUNT @ STREAMS x 0",
    "XSETID x0 @",
    "XDEL x @",
    "XPENDING x g - + @",
    "GEOADD g3 @ 1 m",
    "GEORADIUS geo 1 1 @ m",
    "GEORADIUS geo 1 1 1 m COUNT @",
    "GEOSEARCH geo FROMMEMBER m BYBOX @ @ km",
    "GEOSEARCH geo FROMLONLAT 1 1 BYRADIUS 1 m COUNT @",
    "HSCAN h @",
    "ZSCAN z @",
    "SORT l LIMIT 0 @ ALPHA",
    "SORT l LIMIT @ 1 ALPHA",
    "SORT set LIMIT @ @ ALPHA",
    "COPY s s2 DB @",
    "MOVE s @",
    "LCS s n MINMATCHLEN @ IDX",
    "RESTORE r @ x",
    "RESTORE r 0 x IDLETIME @",
    "RESTORE r 0 x FREQ @",
    "LINSERT l BEFORE zz @",
    "ZDIFF @ z",
    "ZINTER 1 z WEIGHTS @",
    "SMISMEMBER set @",
];

/// Whether our answer is another one on purpose, or that of Redis means nothing (see docs/COMPAT.md).
fn is_known(command: &str, number: &str) -> bool {
    let is_least = number == i64::MIN.to_string();
    is_least && (command.starts_with("LPOS l a RANK") || command.contains("#@"))
}

#[test]
fn numbers_at_every_edge() {
    let mut both = Both::start();
    for command in COMMANDS {
        both.say(&["FLUSHALL"]);
        both.say(KEYS);
        for number in NUMBERS.iter().filter(|number| !is_known(command, number)) {
            both.say(&[&command.replace('@', number)]);
        }
    }
}
