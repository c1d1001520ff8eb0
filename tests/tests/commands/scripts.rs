//! Scripts and functions: the same words to ours and to the oracle.

use tessera_tests::deadline::PATIENCE;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

use crate::both::Both;
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

/// Searches that could take long are not left to Lua's own matcher; what they find is the same.
#[test]
fn long_searches() {
    let text = "(('key=value, k2=v2;  [x] %d -- f(a(b)c) \\0 THE (quick) fox' .. ARGV[1]):rep(40))";
    let patterns = [
        "%w+=%w+",
        "(%w+)=(%w+)",
        "^(%w+)",
        "^ *x",
        "(.-)=(.*)$",
        "%b()",
        "%f[%a]%a+%f[%A]",
        "()f()",
        "(%w)(%w)%2*",
        "[^%s,;]+",
        "[]x]*",
        "[a-f%-]*",
        "x*",
        "%s*$",
        ".-zzz",
        "(a*(.)%w(%s*))",
        "%d+%%?",
        "%x%X%u%l%p%c*",
        "nope+",
        "(%w+) (%w+) (%w+)",
        "%",
        "[a",
        "(a",
        "a)",
        "%1*",
        "%bx",
        "%f",
        "%a+%",
        "[%",
        "[a%",
    ];
    let uses = [
        "local r = {string.find(s, p)} r[1] = r[1] or 'none' return r",
        "local r = {string.find(s, p, -20)} r[1] = r[1] or 'none' return r",
        "local r = {string.match(s, p, 7)} r[1] = r[1] or 'none' return r",
        "local n, r = 0, {} for a, b in string.gmatch(s, p) do n = n + 1 r[#r + 1] = a .. '|' .. tostring(b) if n > 50 then break end end return r",
        "local r, n = string.gsub(s, p, '<%0>', 30) return {r, n}",
        "local r, n = string.gsub(s, p, '%1%%') return {redis.sha1hex(r), n}",
        "local r, n = string.gsub(s, p, function(a, b) if b then return a .. b .. '!' end end) return {redis.sha1hex(r), n}",
        "local r, n = string.gsub(s, p, {key = 'KEY', k2 = false, [''] = '-'}) return {redis.sha1hex(r), n}",
    ];
    let mut both = Both::start();
    for pattern in patterns {
        for used in uses {
            let code = format!(
                "local s, p = {text}, ARGV[2] local function f() {used} end local ok, r = pcall(f) return {{ok and 1 or 0, r}}"
            );
            both.call(&["EVAL", &code, "0", "", pattern]);
        }
    }
}

/// A pattern that goes back very often, an endless recursion, and strings without end: the server answers others, and the script ends.
#[test]
fn what_never_ends_holds_nobody() {
    let server = Launch::tessera().shards(1).start();
    let mut other = server.client();
    for code in [
        "return string.find(('a'):rep(40), ('a-'):rep(30) .. 'b')",
        "return string.gsub(('a'):rep(2000), '(.-)(.-)(.-)(.-)b', '')",
        "while true do pcall(function() error('x') end) end",
        "local function f() return pcall(f) end while true do f() end",
    ] {
        let mut client = server.client();
        client.send(&["EVAL", code, "1", "key"]);
        while other.say("SCRIPT KILL").is_error() {
            other.say("SET others 1").expect_ok();
        }
        assert!(client.read().error().contains("Script killed by user"));
    }
    for (code, error) in [
        ("return ('x'):rep('1e15')", "not enough memory"),
        (
            "local s = 'x' while true do s = s .. s end",
            "not enough memory",
        ),
        (
            "local function f() return 1 + f() end return f()",
            "stack overflow",
        ),
    ] {
        let said = other.call(&["EVAL", code, "0"]).error();
        assert!(said.contains(error), "{said}");
        assert_eq!(
            other
                .call(&["EVAL", "return #string.rep('', 1e15)", "0"])
                .int(),
            0
        );
    }
}

/// SHUTDOWN NOSAVE ends the node although a script holds it.
#[test]
fn shutdown_while_a_script_is_busy() {
    for shards in [1, 2] {
        let launch = Launch::tessera()
            .shards(shards)
            .with("busy-reply-threshold", "50");
        let mut server = launch.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.send(&[
            "EVAL",
            "redis.call('set', KEYS[1], 1) while true do end",
            "1",
            "key",
        ]);
        let is_busy = |said: Reply| said.is_error() && said.error().starts_with("UNKILLABLE");
        while !is_busy(other.say("SCRIPT KILL")) {}
        other.send(&["SHUTDOWN", "NOSAVE"]);
        let status = server.wait_end(PATIENCE).expect("the node ends");
        assert!(status.success(), "{status}");
    }
}

/// What a script reads is read by its client.
#[test]
fn reads_are_tracked() {
    for shards in [1, 2] {
        let server = Launch::tessera().shards(shards).start();
        let (mut reader, mut writer) = (server.client3(), server.client());
        reader.say("CLIENT TRACKING on").expect_ok();
        let declared = "redis.call('get', KEYS[1]) return redis.call('get', KEYS[2])";
        let hidden = "redis.call('get', ARGV[1]) return redis.call('get', ARGV[2])";
        let whole =
            "redis.call('dbsize') redis.call('get', ARGV[1]) return redis.call('get', ARGV[2])";
        for (code, keys) in [(declared, "2"), (hidden, "0"), (whole, "0")] {
            assert_eq!(
                reader.call(&["EVAL", code, keys, "foo", "bar"]),
                Reply::Null
            );
            for key in ["foo", "bar"] {
                writer.call(&["INCR", key]);
                let message = reader.read();
                let told = message.elements();
                assert_eq!(told[0].text(), "invalidate");
                assert_eq!(told[1].elements()[0].text(), key);
                writer.call(&["DEL", key]);
            }
        }
        assert_eq!(
            reader.call(&["PING"]).text(),
            "PONG",
            "nothing else was told"
        );
    }
}

/// PUBLISH in a script tells how many hear it.
#[test]
fn receivers_of_a_script() {
    for shards in [1, 2] {
        let server = Launch::tessera().shards(shards).start();
        let mut listeners = [server.client(), server.client(), server.client()];
        listeners[0].say("SUBSCRIBE news");
        listeners[1].say("PSUBSCRIBE n*");
        listeners[2].say("SSUBSCRIBE news");
        let mut client = server.client();
        let code = "return {redis.call('publish', 'news', 'x'), redis.call('spublish', 'news', 'y'), redis.call('publish', 'other', 'z')}";
        let counts = client.call(&["EVAL", code, "0"]);
        let counts: Vec<i64> = counts.elements().iter().map(Reply::int).collect();
        assert_eq!(counts, [2, 1, 0]);
        let heard = listeners.map(|mut listener| {
            let message = listener.read();
            message.elements().last().expect("a message").text()
        });
        assert_eq!(heard, ["x", "x", "y"]);
    }
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

/// Tables with more values than fit on a stack of Lua's, and as many arguments as one call can pass.
#[test]
fn large_tables_and_many_arguments() {
    both(&[
        "EVAL 'local t = {} for i = 1, 20000 do t[i .. \"\"] = {i} end return #cjson.encode(t)' 0",
        "EVAL 'local t = {} for i = 1, 20000 do t[i .. \"\"] = {i} end return #cmsgpack.pack(t)' 0",
        "EVAL 'local t = {} for i = 1, 20000 do t[i] = \"a\" .. i end return cmsgpack.unpack(cmsgpack.pack(t))[20000]' 0",
        "SET a1 x",
        "EVAL 'local t = {} for i = 1, 7900 do t[i] = \"a\" .. i end return redis.call(\"exists\", unpack(t))' 0",
        "EVAL 'local t = {} for i = 1, 7900 do t[i] = \"a\" .. i end return redis.pcall(\"exists\", unpack(t))' 0",
        "EVAL 'local t = {} for i = 1, 7900 do t[i] = \"a\" .. i end return redis.sha1hex(unpack(t))' 0",
    ]);
}

/// mlua panics when it is handed more values than it can hold: an error of the script, not the end of the server.
#[test]
fn too_many_values_end_the_script_alone() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    for call in [
        "redis.call('exists', unpack(t))",
        "redis.pcall('exists', unpack(t))",
        "pcall(redis.call, 'exists', unpack(t))",
        "pcall(pcall, redis.call, 'exists', unpack(t))",
        "redis.error_reply(unpack(t))",
        "redis.acl_check_cmd('del', unpack(t))",
        "cmsgpack.pack(unpack(t))",
        "cjson.encode(unpack(t))",
        "bit.band(1, unpack(t))",
        "math.random(unpack(t))",
        "pairs(unpack(t))",
        "setmetatable(unpack(t))",
        "__redis__err__handler(unpack(t))",
    ] {
        let code = format!(
            "local t = {{}} for i = 1, 7990 do t[i] = 'a' .. i end return tostring({call})"
        );
        client.call(&["EVAL", &code, "0"]);
        let next = client.call(&["EVAL", "return #redis.call('echo', ARGV[1])", "0", "abc"]);
        assert_eq!(next.int(), 3, "the machine goes on after {call}");
    }
}

/// FCALL takes large letters for small ones, and so does whoever makes sure that a name is new.
#[test]
fn names_of_functions_and_numbers_of_arguments() {
    compare(&[
        (
            "one",
            "FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('Fn', function() return 'hello' end)\"",
            &[("one", 1)],
        ),
        ("one", "FCALL fN 0", &[("one", 1)]),
        ("one", "FCALL fn 0", &[("one", 1)]),
        ("one", "FCALL f 0", &[("one", 1)]),
        (
            "one",
            "FUNCTION LOAD \"#!lua name=other\\nredis.register_function('fn', function() return 1 end)\"",
            &[("one", 1)],
        ),
        (
            "one",
            "FUNCTION LOAD \"#!lua name=two\\nredis.register_function('x', function() end) redis.register_function('X', function() end)\"",
            &[("one", 1)],
        ),
        ("one", "FUNCTION RESTORE a b c", &[("one", 1)]),
        // A script does not see how a set is kept.
        ("one", "SADD numbers 10 9 -2 1", &[("one", 1)]),
        (
            "one",
            "EVAL \"return redis.call('SORT', KEYS[1], 'BY', 'nosort', 'DESC')\" 1 numbers",
            &[("one", 1)],
        ),
        (
            "one",
            "EVAL_RO \"return redis.call('SORT_RO', KEYS[1], 'BY', 'nosort')\" 1 numbers",
            &[("one", 1)],
        ),
        ("one", "FUNCTION FLUSH a b", &[("one", 1)]),
        ("one", "FUNCTION FLUSH a", &[("one", 1)]),
    ]);
}

/// LOAD quotes the name of a library that is there already, RESTORE does not.
#[test]
fn names_that_are_taken() {
    let tell = |launch: Launch| -> Vec<Reply> {
        let server = launch.start();
        let mut client = server.client();
        let source = "#!lua name=one\nredis.register_function('f', function() return 1 end)";
        let mut call = |words: &[&[u8]]| client.call(words);
        call(&[b"FUNCTION", b"LOAD", source.as_bytes()]);
        let dumped = call(&[b"FUNCTION", b"DUMP"]).bytes().to_vec();
        vec![
            call(&[b"FUNCTION", b"LOAD", source.as_bytes()]),
            call(&[b"FUNCTION", b"RESTORE", &dumped]),
            call(&[b"FUNCTION", b"RESTORE", &dumped, b"REPLACE"]),
        ]
    };
    let told = tell(Launch::tessera().shards(2));
    assert!(told[0] != told[1], "{told:?}");
    assert_eq!(told, tell(Launch::oracle()));
}

/// Past the threshold everybody is told so, as in Redis, until the script is killed; before it others go on.
#[test]
fn a_late_script_makes_the_node_busy() {
    for (shards, begin, end) in [
        (1, ["EVAL", "while true do end", "0"], "SCRIPT KILL"),
        (2, ["EVAL", "while true do end", "0"], "SCRIPT KILL"),
        (2, ["FCALL", "spin", "0"], "FUNCTION KILL"),
    ] {
        let launch = Launch::tessera().shards(shards);
        let server = launch.with("busy-reply-threshold", "200").start();
        let (mut client, mut other, mut queues) =
            (server.client(), server.client(), server.client());
        other.call(&[
            "FUNCTION",
            "LOAD",
            "#!lua name=l\nredis.register_function('spin', function() while true do end end)",
        ]);
        queues.say("MULTI").expect_ok();
        queues.say("SET k 1");
        client.send(&begin);
        let is_busy = |said: &Reply| said.is_error() && said.error().starts_with("BUSY");
        while !is_busy(&other.say("PING")) {}
        for line in ["GET k", "GET j", "SET k 1", "INFO", "EVAL 'return 1' 0"] {
            assert!(is_busy(&other.say(line)), "{line} on {shards} shards");
        }
        let said = queues.say("EXEC").error();
        assert!(
            said.starts_with("EXECABORT") && said.contains("BUSY"),
            "{said}"
        );
        other.say(end).expect_ok();
        assert!(client.read().is_error());
        while is_busy(&other.say("PING")) {}
        assert_eq!(other.say("GET k"), Reply::Null);
    }
}

/// What concerns the node is answered by the front end, with the help of the other shards, while the script waits.
#[test]
fn commands_about_the_node() {
    both(&[
        "EVAL 'return redis.call(\"info\", \"cluster\")' 0",
        "EVAL 'redis.setresp(3) return redis.call(\"info\", \"cluster\")' 0",
        "EVAL 'return redis.call(\"pubsub\", \"numsub\", \"a\", \"b\")' 0",
        "EVAL 'return redis.call(\"pubsub\", \"channels\")' 0",
        "EVAL 'return redis.call(\"pubsub\", \"numpat\")' 0",
        "EVAL 'return redis.call(\"command\", \"getkeys\", \"mget\", \"x\", \"y\")' 0",
        "EVAL 'return redis.call(\"command\", \"info\", \"get\", \"nosuch\")' 0",
        "EVAL 'return redis.call(\"memory\", \"purge\")' 0",
        "EVAL 'return #redis.call(\"memory\", \"stats\") > 10' 0",
        "EVAL 'return redis.call(\"lastsave\") > 1000' 0",
        "EVAL 'return redis.call(\"slowlog\", \"reset\")' 0",
        "EVAL 'return redis.pcall(\"slowlog\", \"get\", 1, 2)' 0",
        "EVAL 'return redis.pcall(\"slowlog\", \"get\", \"-2\")' 0",
        "EVAL 'return redis.call(\"config\", \"get\", \"save\")' 0",
        "EVAL 'return redis.call(\"client\", \"id\")' 0",
        "EVAL 'return redis.call(\"memory\", \"nosuch\")' 0",
        // With keys, declared and not, on one shard and on several, and with whole shards.
        "EVAL 'redis.call(\"set\", KEYS[1], 1) local info = redis.call(\"info\", \"cluster\") return {redis.call(\"incr\", KEYS[1]), info}' 1 a",
        "EVAL 'redis.call(\"set\", KEYS[1], 1) redis.call(\"pubsub\", \"numpat\") redis.call(\"set\", KEYS[2], 2) return redis.call(\"mget\", KEYS[1], KEYS[2], \"c\")' 2 a b",
        "EVAL 'for i = 1, 9 do redis.call(\"set\", \"k\" .. i, i) redis.call(\"pubsub\", \"numpat\") end return redis.call(\"mget\", \"k1\", \"k2\", \"k9\")' 0",
        "EVAL 'local count = #redis.call(\"keys\", \"k*\") redis.call(\"set\", \"k\" .. #redis.call(\"info\", \"cluster\"), 1) return count' 0",
        "MULTI",
        "EVAL 'return redis.call(\"info\", \"cluster\")' 0",
        "SET k1 v",
        "EVAL 'return {redis.call(\"get\", \"k1\"), redis.call(\"pubsub\", \"numpat\")}' 1 k1",
        "EXEC",
        "DBSIZE",
    ]);
}

#[test]
fn details_of_the_api_and_the_libraries() {
    both(&[
        "EVAL 'redis.setresp(\"3\") return {true}' 0",
        "EVAL 'redis.setresp(\"x\")' 0",
        "EVAL 'local kept = collectgarbage(\"nosuch\") return kept' 0",
        "EVAL 'return cjson.encode({[true]=1})' 0",
        "EVAL 'return cjson.decode(\"+1\")' 0",
        "EVAL 'return cjson.decode(\"+x\")' 0",
        "EVAL 'return cjson.decode(\"\\0\")' 0",
        "EVAL 'return cjson.decode(\"infinite\") == 1/0' 0",
        "EVAL 'return cmsgpack.unpack(\"\\207\\255\\255\\255\\255\\255\\255\\255\\255\")' 0",
        "EVAL 'return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 0)}' 0",
        "EVAL 'return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 0, 1)}' 0",
        "EVAL 'return struct.pack(\"!3b\", 1)' 0",
        "EVAL 'return struct.size()' 0",
        "EVAL 'return struct.pack(\"I4\")' 0",
        "EVAL 'return struct.unpack(\"I4\")' 0",
    ]);
}
