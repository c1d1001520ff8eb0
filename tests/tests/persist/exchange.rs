//! The same folder, read by either server.

use tessera_tests::client::Client;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::Launch;
use tessera_tests::server::Server;

use super::node;

const LINES: &str = "SET s v
SET ends v EX 1000
MSET a 1 b 2 c 3 d 4
INCRBYFLOAT float 1.25
APPEND s more
SETRANGE range 5 x
HSET h f 1 g 2
HINCRBYFLOAT h f 0.5
SADD set 1 2 3 4 5 6 7 8 9
SPOP set
SPOP set 3
RPUSH l 1 2 3 4 5
BLPOP none l 0
BLMOVE l m LEFT RIGHT 0
LMPOP 2 none l LEFT
ZADD z 1 a 2 b 3 c
BZPOPMIN z 0
XADD x 1-1 f v
XADD x MAXLEN ~ 100 * f w
XGROUP CREATE x g 0
XREADGROUP GROUP g me COUNT 1 STREAMS x >
XREADGROUP GROUP g you STREAMS x >
XCLAIM x g me 0 1-1
PFADD hll a b c
RENAME b bb
COPY c cc
DEL d nothing
GETEX a EX 500
SELECT 1
SET other v
SELECT 0
EVAL redis.call('SET',KEYS[1],ARGV[1])redis.call('INCR',KEYS[2]) 2 one two 7
MULTI
SET t1 1
INCR t2
EXEC";

const FUNCTION: &str = "#!lua name=lib\nredis.register_function('up', function(keys) return redis.call('INCR', keys[1]) end)";

fn fill(client: &mut Client) {
    for line in LINES.lines() {
        let reply = client.say(line);
        assert!(!reply.is_error(), "{line}: {reply}");
    }
    client.call(&["FUNCTION", "LOAD", FUNCTION]);
    client.say("FCALL up 1 called");
}

/// All that a client can see of the keys.
fn shown(client: &mut Client) -> Vec<String> {
    let mut lines = Vec::new();
    for db in 0..2 {
        client.say(&format!("SELECT {db}")).expect_ok();
        for key in client.say("KEYS *").sorted_texts() {
            let read = match client.say(&format!("TYPE {key}")).text().as_str() {
                "string" => format!("GET {key}"),
                "list" => format!("LRANGE {key} 0 -1"),
                "set" => format!("SORT {key} ALPHA"),
                "hash" => format!("HMGET {key} f g"),
                "zset" => format!("ZRANGE {key} 0 -1 WITHSCORES"),
                _ => {
                    lines.push(client.say(&format!("XPENDING {key} g")).to_string());
                    format!("XRANGE {key} - +")
                }
            };
            let end = client.say(&format!("PEXPIRETIME {key}"));
            lines.push(format!("{db} {key} {} {end}", client.say(&read)));
        }
    }
    lines.push(client.say("FUNCTION LIST").to_string());
    client.say("SELECT 0").expect_ok();
    lines
}

fn rewrite(server: &Server) {
    let mut client = server.client();
    client.say("BGREWRITEAOF");
    wait_until("the rewrite", || {
        let text = client.say("INFO persistence").text();
        text.contains("aof_rewrite_in_progress:0") && text.contains("aof_rewrite_scheduled:0")
    });
}

fn real() -> Launch {
    Launch::oracle()
        .with("appendonly", "yes")
        .with("appendfsync", "always")
}

#[test]
fn ours_is_read_by_the_real_server_and_its_by_ours() {
    for rewrites in [false, true] {
        let server = node(2, "always").start();
        fill(&mut server.client());
        let mut before = shown(&mut server.client());
        if rewrites {
            rewrite(&server);
            server.client().say("SET behind 1").expect_ok();
            before = shown(&mut server.client());
        }
        let server = server.crash(real());
        assert_eq!(
            shown(&mut server.client()),
            before,
            "the real server reads ours"
        );
        server.client().say("FLUSHALL").expect_ok();
        fill(&mut server.client());
        if rewrites {
            rewrite(&server);
            assert_eq!(server.client().say("INCR behind").int(), 1);
        }
        let before = shown(&mut server.client());
        let server = server.crash(node(3, "always"));
        assert_eq!(
            shown(&mut server.client()),
            before,
            "ours reads the real server's"
        );
        server.client().say("SET last 1").expect_ok();
        let before = shown(&mut server.client());
        let server = server.crash(real());
        assert_eq!(shown(&mut server.client()), before, "and behind it");
    }
}
