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
