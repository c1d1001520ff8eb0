//! Scripts and functions: the same words to ours and to the oracle.

use crate::scene::{Cue, compare};

/// What runs is said by one client in RESP2 and by another in RESP3.
fn both(lines: &[&'static str]) {
    let mut scene: Vec<Cue> = Vec::new();
    for line in lines {
        scene.push(("one", line, &[("one", 1)]));
        scene.push(("three", line, &[("three", 1)]));
    }
    compare(&scene);
}

#[test]
fn values_and_errors() {
    both(&[
        "EVAL 'return {1, 2.9, \"a\", true, false, {ok=\"fine\"}, {1, nil, 2}}' 0",
        "EVAL 'return {err=\"My Err\"}' 0",
        "EVAL 'return redis.error_reply(\"x\")' 0",
        "EVAL 'return redis.status_reply(\"x\")' 0",
        "EVAL 'return {double=3.5}' 0",
        "EVAL 'return {map={a=1}}' 0",
        "EVAL 'return {set={a=1}}' 0",
        "EVAL 'return {big_number=\"12\"}' 0",
        "EVAL 'return {verbatim_string={format=\"txt\", string=\"x\"}}' 0",
        "EVAL 'redis.setresp(3) return {true, false}' 0",
        "EVAL 'redis.call(\"zadd\", KEYS[1], 1.5, \"m\") redis.setresp(3) return redis.call(\"zscore\", KEYS[1], \"m\")' 1 z",
        "EVAL 'redis.call(\"hset\", KEYS[1], \"f\", \"v\") redis.setresp(3) return redis.call(\"hgetall\", KEYS[1])' 1 h",
        "EVAL 'return redis.call(\"nosuch\")' 0",
        "EVAL 'return redis.call(\"get\")' 0",
        "EVAL 'return redis.call(\"subscribe\", \"c\")' 0",
        "EVAL 'return redis.pcall(\"lpush\", KEYS[1], 1)' 1 h",
        "EVAL 'return redis.call(\"lpush\", KEYS[1], 1)' 1 h",
        "EVAL 'return nothing' 0",
        "EVAL 'x = 1' 0",
        "EVAL 'x x' 0",
        "EVAL 'return 1' 2 a",
        "EVAL 'return 1' -1",
        "EVAL 'return 1' x",
        "EVALSHA ffff 0",
        "EVAL_RO 'return redis.call(\"set\", KEYS[1], 1)' 1 k",
        "EVAL \"#!lua flags=no-writes\\nreturn redis.call('set', KEYS[1], 1)\" 1 k",
        "EVAL \"#!lua flags=foo\\nreturn 1\" 0",
        "EVAL 'return redis.call(\"xread\", \"block\", 0, \"streams\", KEYS[1], 0)' 1 st",
    ]);
}

#[test]
fn libraries_of_the_sandbox() {
    both(&[
        "EVAL 'return cjson.encode({1, {a=\"b/\"}, true, cjson.null, 0.1, 1e20})' 0",
        "EVAL 'return cjson.decode(ARGV[1])' 0 '[1,2,\"x\",[null,true],1.5e3]'",
        "EVAL 'return cjson.decode(ARGV[1])' 0 '[1,'",
        "EVAL 'return cmsgpack.pack(1, -5, 300, \"abc\", {1, 2}, {a=1}, 1.5, true)' 0",
        "EVAL 'return {cmsgpack.unpack(cmsgpack.pack(1, -500, 70000, \"abc\", {1, {2}}))}' 0",
        "EVAL 'return cmsgpack.unpack(\"\\193\")' 0",
        "EVAL 'return struct.pack(\">hHi3ds\", 1, 2, -3, 2.5, \"abc\")' 0",
        "EVAL 'return {struct.unpack(\"<bHi4\", \"\\1\\2\\3\\4\\5\\6\\7\")}' 0",
        "EVAL 'return {bit.band(255, 60), bit.bnot(0), bit.lshift(1, 31), bit.rol(5, 30), bit.tohex(255)}' 0",
        "EVAL 'return redis.sha1hex(\"\")' 0",
    ]);
}

#[test]
fn keys_wherever_they_are_and_whether_declared_or_not() {
    both(&[
        "EVAL 'for i = 1, #KEYS do redis.call(\"set\", KEYS[i], i) end return redis.call(\"mget\", unpack(KEYS))' 4 a b c d",
        "EVAL 'redis.call(\"incr\", KEYS[1]) for i = 1, 30 do redis.call(\"incrby\", \"n\" .. i, i) end return redis.call(\"get\", KEYS[1])' 1 a",
        "MGET n1 n2 n3 n29 n30",
        "EVAL 'redis.call(\"incr\", \"a\") redis.call(\"rename\", \"b\", \"e\") redis.call(\"rename\", \"e\", \"b\") return redis.call(\"get\", \"a\")' 0",
        "EVAL 'redis.call(\"incr\", KEYS[1]) return redis.call(\"dbsize\")' 1 a",
        "EVAL 'redis.call(\"incr\", KEYS[1]) return #redis.call(\"keys\", \"*\")' 1 a",
        "EVAL 'redis.call(\"select\", 3) redis.call(\"incr\", \"a\") return redis.call(\"get\", \"a\")' 1 a",
        "EVAL 'redis.call(\"incr\", KEYS[1]) return redis.call(\"copy\", KEYS[1], \"copied\", \"db\", 4)' 1 a",
        "EVAL 'redis.call(\"del\", \"l\") redis.call(\"rpush\", \"l\", 3, 1, 2) return redis.call(\"sort\", \"l\", \"by\", \"n*\", \"get\", \"n*\")' 0",
        "EVAL 'redis.call(\"incr\", KEYS[1]) return redis.call(\"nosuch\", \"x\")' 1 b",
        "GET a",
        "GET b",
    ]);
}

#[test]
fn scripts_in_transactions() {
    both(&[
        "SET k 1",
        "MULTI",
        "INCR k",
        "EVAL 'redis.call(\"incr\", \"other\") return redis.call(\"incr\", KEYS[1])' 1 k",
        "EVALSHA ffff 0",
        "GET other",
        "EXEC",
    ]);
}

#[test]
fn names_of_scripts() {
    both(&[
        "SCRIPT FLUSH",
        "SCRIPT LOAD 'return 5'",
        "EVALSHA 4ca238f611c9d0ae4e9a75a5dbac22aedc1e44b1 0",
        "SCRIPT EXISTS 4ca238f611c9d0ae4e9a75a5dbac22aedc1e44b1 x",
        "SCRIPT KILL",
        "SCRIPT NOSUCH",
        "COMMAND GETKEYS EVAL return(1) 2 a b c",
    ]);
}

#[test]
fn functions() {
    both(&[
        "FUNCTION FLUSH",
        "FUNCTION LOAD \"#!lua name=lib\\nlocal function both(keys, args) return {keys, args} end redis.register_function('both', both) redis.register_function{function_name='reads', callback=function(keys) return redis.call('get', keys[1]) end, flags={'no-writes'}}\"",
        "FCALL both 2 a b c d",
        "FCALL reads 1 none",
        "FCALL_RO reads 1 none",
        "FCALL_RO both 0",
        "FCALL nosuch 0",
        "FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('other', function() end)\"",
        "FUNCTION LOAD \"#!lua name=other\\nredis.register_function('both', function() end)\"",
        "FUNCTION LOAD \"#!lua name=bad\\nredis.call('get', 'x')\"",
        "FUNCTION LOAD \"#!lua name=bad\\nreturn 1\"",
        "FUNCTION LOAD nothing",
        "FUNCTION STATS",
        "FUNCTION KILL",
        "FUNCTION DELETE nosuch",
        "FUNCTION DELETE lib",
        "FUNCTION LIST",
    ]);
}
