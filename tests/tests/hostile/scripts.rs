//! Scripts that ask for more than there is: Redis's reply where it is safe to ask it, otherwise an error; and the server goes on.

use tessera_tests::client::Client;
use tessera_tests::launch::Launch;
use tessera_tests::reply::Reply;

/// What a library is given, and how it complains.
const COMPLAINTS: &[&str] = &[
    "cjson.decode(string.rep('[', 100000))",
    "cjson.decode(string.rep('{\"a\":', 100000))",
    "cjson.encode((function() local t = {} for i = 1, 2000 do t = {t} end return t end)())",
    "cjson.encode({[1000000000] = 1})",
    "cmsgpack.unpack('\\221\\255\\255\\255\\255')",
    "cmsgpack.unpack('\\223\\255\\255\\255\\255')",
    "cmsgpack.unpack('\\219\\255\\255\\255\\255abc')",
    "struct.unpack('c100000000', 'x')",
    "struct.pack('>I99', 1)",
    "string.format('%99999d', 1)",
    "string.rep('x', -1)",
    "table.concat({}, 'x', 1, 1000000000)",
    "unpack({}, 1, 100000000)",
];

/// Scripts that would take all memory there is.
const BOMBS: &[&str] = &[
    "local t = {} for i = 1, 1e9 do t[i] = i end",
    "return string.rep('x', 2 ^ 40)",
    "local s = string.rep('x', 6e7) local t = {} for i = 1, 1000 do t[i] = s end return cjson.encode(t)",
    "local s = string.rep('x', 6e7) local t = {} for i = 1, 1000 do t[i] = s end return cmsgpack.pack(t)",
    "local s = string.rep('x', 6e7) local t = {} for i = 1, 1000 do t[i] = s end return table.concat(t)",
    "return cmsgpack.unpack(string.rep('\\145', 1000000))",
    "local s = string.rep('x', 6e7) local t = {'rpush', 'k'} for i = 3, 1000 do t[i] = s end return redis.call(unpack(t))",
    "local function f() return 1 + f() end return f()",
];

/// Scripts that would never end, or not in this life.
const ENDLESS: &[&str] = &[
    "while true do end",
    "local function f() return f() end return f()",
    "while true do pcall(error, 'x') end",
    "local t = {} for i = 1, 60 do t = {t, t} end return cjson.encode(t)",
    "local t = {1} for i = 1, 15 do local u = {} for k = 1, 50 do u[k] = t end t = u end return cmsgpack.pack(t)",
    "local t = {} for i = 1, 60 do t = {t, t} end return t",
    "local t = {} for i = 1, 60 do t = {map = {a = t, b = t}} end return t",
    "local s = '' while true do s = s .. string.rep('x', 100) end",
    "local t = {} for i = 1, 3e4 do t[i] = i * 7919 % 1000003 end while true do table.sort(t) end",
    "while true do string.find(string.rep('a', 5000), 'a-a-a-a-b') end",
    "while true do cjson.decode('[' .. string.rep('1,', 1e6) .. '1]') end",
    "while true do redis.call('GET', 'k') end",
];

/// What the server may take at most while and after all of this, bytes: two machines and what they write.
const BYTES_MAX: u64 = 3 << 30;

fn peak_bytes(client: &mut Client) -> u64 {
    let info = client.say("INFO memory").text();
    let mut lines = info.lines();
    let line = lines.find_map(|line| line.strip_prefix("used_memory_peak:"));
    line.expect("a line about the peak")
        .trim()
        .parse()
        .expect("a number")
}

#[test]
fn libraries_complain_like_redis() {
    let servers = [
        Launch::tessera().shards(2).start(),
        Launch::oracle().start(),
    ];
    let mut clients = [servers[0].client(), servers[1].client()];
    for what in COMPLAINTS {
        let code =
            format!("local ok, said = pcall({what}) return {{tostring(ok), tostring(said)}}");
        let [ours, theirs] = clients.each_mut().map(|it| it.call(&["EVAL", &code, "0"]));
        assert_eq!(ours, theirs, "{what}");
    }
}

#[test]
fn bombs_do_no_harm() {
    let server = Launch::tessera().shards(2).start();
    let (mut client, mut other) = (server.client(), server.client());
    for code in BOMBS {
        client.send(&["EVAL", code, "1", "k"]);
        other.say("SET others 1").expect_ok();
        let said = client.read();
        assert!(said.is_error(), "{code}: {said}");
        // The next script finds a machine that has room.
        let length = client.call(&["EVAL", "return #string.rep('x', 1000000)", "0"]);
        assert_eq!(length, Reply::Int(1_000_000), "after {code}");
    }
    assert_eq!(other.say("EXISTS k"), Reply::Int(0));
    let peak = peak_bytes(&mut other);
    assert!(peak < BYTES_MAX, "{peak} bytes");
}

/// Waits until the node says that a script is late.
fn until_busy(client: &mut Client) {
    while !client.say("GET others").to_string().contains("BUSY") {}
}

#[test]
fn endless_scripts_are_told_of_and_ended() {
    for shards in [1, 2] {
        let launch = Launch::tessera().shards(shards);
        let server = launch.with("busy-reply-threshold", "20").start();
        let (mut client, mut other) = (server.client(), server.client());
        for code in ENDLESS {
            client.send(&["EVAL", code, "0"]);
            until_busy(&mut other);
            other.say("SCRIPT KILL").expect_ok();
            let said = client.read().error().to_owned();
            assert!(said.contains("Script killed by user"), "{code}: {said}");
            assert_eq!(client.say("SET others 1"), Reply::ok(), "after {code}");
        }
    }
}

#[test]
fn endless_functions_are_told_of_and_ended() {
    let launch = Launch::tessera().shards(2);
    let server = launch.with("busy-reply-threshold", "20").start();
    let (mut client, mut other) = (server.client(), server.client());
    let late = "#!lua name=late\nwhile true do end";
    let said = client.call(&["FUNCTION", "LOAD", late]);
    assert!(said.is_error() && said.error().contains("FUNCTION LOAD timeout"));
    for (number, code) in ENDLESS.iter().enumerate() {
        let library =
            format!("#!lua name=l\nredis.register_function('f{number}', function() {code} end)");
        let loaded = client.call(&["FUNCTION", "LOAD", "REPLACE", &library]);
        assert!(!loaded.is_error(), "{code}: {loaded}");
        client.send(&["FCALL", &format!("f{number}"), "0"]);
        until_busy(&mut other);
        other.say("FUNCTION KILL").expect_ok();
        assert!(client.read().is_error(), "{code}");
        assert_eq!(client.say("SET others 1"), Reply::ok(), "after {code}");
    }
}
