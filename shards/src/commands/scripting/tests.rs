//! Scripts on a shard that has all keys.

use crate::commands::rig::Rig;
use tessera_core::resp::Proto;

#[test]
fn values_are_converted_as_redis_does() {
    let mut rig = Rig::new();
    rig.check(&[
        ("EVAL 'return 1' 0", "1"),
        ("EVAL 'return 3.99' 0", "3"),
        ("EVAL 'return -3.99' 0", "-3"),
        ("EVAL 'return \"a\"' 0", "\"a\""),
        ("EVAL 'return true' 0", "1"),
        ("EVAL 'return false' 0", "(nil)"),
        ("EVAL 'return nil' 0", "(nil)"),
        ("EVAL 'return {1,2,nil,3}' 0", "[1 2]"),
        ("EVAL 'return {{}, {ok=\"fine\"}}' 0", "[[] fine]"),
        ("EVAL 'return {err=\"My Err\"}' 0", "My Err"),
        ("EVAL 'return redis.error_reply(\"x y\")' 0", "x y"),
        ("EVAL 'return redis.error_reply(\"xy\")' 0", "ERR xy"),
        ("EVAL 'return redis.status_reply(\"fine\")' 0", "fine"),
        (
            "EVAL 'return {KEYS, ARGV}' 1 a b c",
            "[[\"a\"] [\"b\" \"c\"]]",
        ),
        ("EVAL 'return {double=3.5}' 0", "\"3.5\""),
        ("EVAL 'return {map={a=1}}' 0", "[\"a\" 1]"),
        ("EVAL 'return {big_number=\"123\"}' 0", "\"123\""),
        ("SET k 10", "OK"),
        ("EVAL 'return redis.call(\"incr\", KEYS[1]) + 1' 1 k", "12"),
        (
            "EVAL 'return redis.call(\"get\", \"none\") == false' 0",
            "1",
        ),
        (
            "EVAL 'return redis.call(\"set\", KEYS[1], 5).ok' 1 k",
            "\"OK\"",
        ),
        (
            "EVAL 'return redis.call(\"mget\", \"k\", \"none\")' 0",
            "[\"5\" (nil)]",
        ),
        (
            "EVAL 'math.randomseed(123) return {math.random(1000), math.random(5, 7)}' 0",
            "[280 6]",
        ),
    ]);
    rig.proto = Proto::Resp3;
    rig.check(&[
        (
            "EVAL 'redis.setresp(3) return redis.call(\"get\", \"none\") == nil' 0",
            "t",
        ),
        ("EVAL 'return {true, false}' 0", "[1 (null)]"),
        ("EVAL 'return {double=3.5}' 0", "3.5"),
    ]);
}

#[test]
fn errors_name_script_and_line() {
    let mut rig = Rig::new();
    let shows = |rig: &mut Rig, code: &str, text: &str| {
        let reply = rig.run(&format!("EVAL \"{code}\" 0"));
        assert_eq!(reply.split(" script: ").next(), Some(text), "{code}");
        assert!(reply.ends_with(", on @user_script:1."), "{reply}");
    };
    for (code, text) in [
        (
            "return redis.call('incr')",
            "ERR Wrong number of args calling Redis command from script",
        ),
        (
            "return redis.call('nosuch')",
            "ERR Unknown Redis command called from script",
        ),
        (
            "return redis.call()",
            "ERR Please specify at least one argument for this redis lib call",
        ),
        (
            "return redis.call({})",
            "ERR Lua redis lib command arguments must be strings or integers",
        ),
        ("error('x')", "ERR user_script:1: x"),
        ("error({err='My Err'})", "My Err"),
        (
            "return foo",
            "ERR user_script:1: Script attempted to access nonexistent global variable 'foo'",
        ),
        (
            "foo = 1",
            "ERR user_script:1: Attempt to modify a readonly table",
        ),
        (
            "string.find = 1",
            "ERR user_script:1: Attempt to modify a readonly table",
        ),
        (
            "redis.call = 1",
            "ERR user_script:1: Attempt to modify a readonly table",
        ),
        (
            "getmetatable('').__index = 1",
            "ERR user_script:1: Attempt to modify a readonly table",
        ),
        (
            "rawset(_G, 'a', 1)",
            "ERR Attempt to modify a readonly table",
        ),
        (
            "setmetatable(_G, {})",
            "ERR Attempt to modify a readonly table",
        ),
        ("return redis.sha1hex()", "ERR wrong number of arguments"),
        (
            "return redis.setresp(4)",
            "ERR RESP version must be 2 or 3.",
        ),
        (
            "return unpack({}, 1, 1e6)",
            "ERR user_script:1: too many results to unpack",
        ),
        (
            "local f f = function() return 1 + f() end return f()",
            "ERR user_script:1: stack overflow",
        ),
        (
            "return cjson.decode('x')",
            "ERR user_script:1: Expected value but found invalid token at character 1",
        ),
    ] {
        shows(&mut rig, code, text);
    }
    rig.check(&[
        (
            "EVAL \"return redis.pcall('nosuch')\" 0",
            "ERR Unknown Redis command called from script",
        ),
        ("EVAL \"return {pcall(error, 'abc')}\" 0", "[(nil) \"abc\"]"),
        (
            "EVAL \"return {pcall(redis.call, 'incr')}\" 0",
            "[(nil) \"ERR Wrong number of args calling Redis command from script\"]",
        ),
        (
            "EVAL 'return 1' 1",
            "ERR Number of keys can't be greater than number of args",
        ),
        ("EVAL 'return 1' -1", "ERR Number of keys can't be negative"),
        (
            "EVALSHA ffff 0",
            "NOSCRIPT No matching script. Please use EVAL.",
        ),
    ]);
}

#[test]
fn nothing_leads_out_of_the_sandbox() {
    let mut rig = Rig::new();
    for name in [
        "os", "io", "require", "dofile", "loadfile", "debug", "package", "print", "getfenv",
        "setfenv", "module", "newproxy",
    ] {
        let reply = rig.run(&format!("EVAL \"return {name}\" 0"));
        assert!(
            reply.contains("nonexistent global variable"),
            "{name}: {reply}"
        );
        let reply = rig.run(&format!("EVAL \"return loadstring('return {name}')()\" 0"));
        assert!(
            reply.contains("nonexistent global variable"),
            "{name}: {reply}"
        );
    }
    rig.check(&[
        ("EVAL \"return loadstring('return 1')()\" 0", "1"),
        (
            "EVAL \"return {loadstring(string.dump(function() end))}\" 0",
            "[]",
        ),
        (
            "EVAL \"return tostring(getmetatable('').__index == string)\" 0",
            "\"true\"",
        ),
        (
            "EVAL \"local n = 0 for k in pairs(redis) do n = n + 1 end return n > 15\" 0",
            "1",
        ),
    ]);
    let reply = rig.run("EVAL \"return #string.rep('x', 2000000000)\" 0");
    assert!(reply.contains("not enough memory"), "{reply}");
    let reply = rig.run("EVAL \"local p = string.rep('a?', 100000) return ('a'):find(p)\" 0");
    assert!(reply.contains("pattern too complex"), "{reply}");
    rig.check(&[("EVAL 'return 1' 0", "1")]);
}

#[test]
fn scripts_that_read_are_held_to_it() {
    let mut rig = Rig::new();
    for line in [
        "EVAL_RO \"return redis.call('set', 'a', 1)\" 0",
        "EVAL \"#!lua flags=no-writes\\nreturn redis.call('set', 'a', 1)\" 0",
    ] {
        let reply = rig.run(line);
        assert!(
            reply.starts_with("ERR Write commands are not allowed from read-only scripts."),
            "{reply}"
        );
    }
    rig.check(&[
        ("EVAL_RO \"return redis.call('get', 'a')\" 0", "(nil)"),
        (
            "EVAL_RO \"#!lua\\nreturn 1\" 0",
            "ERR Can not execute a script with write flag using *_ro command.",
        ),
    ]);
}

#[test]
fn a_long_script_pauses() {
    let mut rig = Rig::new();
    rig.check(&[(
        "EVAL 'local n = 0 for i = 1, 1000000 do n = n + i % 7 end return n' 0",
        "2999998",
    )]);
    assert!(rig.slices > 3, "{} slices", rig.slices);
    let sorted = "EVAL 'local t = {} for i = 1, 20000 do t[i] = (i * 7919) % 20011 end table.sort(t, function(a, b) return a < b end) return t[1]' 0";
    rig.run(sorted);
    assert!(rig.slices > 3, "a comparator is interrupted too");
    let caught = "EVAL 'local ok, n = pcall(function() local n = 0 for i = 1, 300000 do n = n + 1 end return n end) return n' 0";
    rig.check(&[(caught, "300000")]);
    assert!(rig.slices > 3, "so is what pcall calls");
}
