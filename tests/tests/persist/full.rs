//! A small file system that is full: the log latches, reads go on, and it recovers without a restart when there is room again.
//!
//! The limit is that of the process on the length of its files, which a test may set without rights; the server learns of it as of a full disk, from a write that fails.

use tessera_tests::client::Client;
use tessera_tests::deadline::wait_until;
use tessera_tests::reply::Reply;
use tessera_tests::server::Server;

use super::node;

const LIMIT: u64 = 100_000;

fn field(client: &mut Client, name: &str) -> String {
    let text = client.say("INFO persistence").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.strip_prefix(':'))
        .unwrap_or_else(|| panic!("{name} in {text}"))
        .to_owned()
}

/// Writes until it is refused. Returns the numbers that were acknowledged.
fn fill(server: &Server, from: usize) -> usize {
    let value = "v".repeat(1000);
    let mut client = server.client();
    for number in from..10_000 {
        match client.try_call(&["SET", &format!("key:{number}"), &value]) {
            Ok(Reply::Simple(_)) => {}
            Ok(other) => {
                let error = other.error();
                assert!(error.starts_with("MISCONF Errors writing to the AOF file: "));
                return number;
            }
            // Nobody knows what became of what was under way.
            Err(_) => return number,
        }
    }
    panic!("the disk is never full");
}

/// What may be done while the log cannot be written, and what not.
fn latched(server: &Server) {
    let mut client = server.client();
    let refusal = "MISCONF Errors writing to the AOF file: File too large";
    wait_until("the failure", || {
        field(&mut client, "aof_last_write_status") == "err"
    });
    assert_eq!(client.say("GET key:0").text().len(), 1000);
    for line in ["SET a 1", "PING", "DEL key:0", "FUNCTION FLUSH"] {
        assert_eq!(client.say(line).error(), refusal, "{line}");
    }
    let script = "return redis.call('SET', KEYS[1], 'x')";
    let error = client.call(&["EVAL", script, "1", "a"]).error();
    assert!(error.starts_with(refusal), "{error}");
    let reads = "return redis.call('STRLEN', KEYS[1])";
    assert_eq!(client.call(&["EVAL", reads, "1", "key:0"]).int(), 1000);
    let caught = "return redis.pcall('INCR', KEYS[1])";
    assert!(
        client
            .call(&["EVAL", caught, "1", "a"])
            .error()
            .starts_with(refusal)
    );
    let marked = format!("#!lua\n{script}");
    assert_eq!(
        client.call(&["EVAL", &marked, "1", "a"]).error(),
        "MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. Writable scripts are blocked. Use \
         'no-writes' flag for read only scripts. AOF error: File too large"
    );
    client.say("MULTI").expect_ok();
    assert_eq!(client.say("SET a 1").error(), refusal);
    assert!(client.say("EXEC").error().starts_with("EXECABORT"));
    client.say("MULTI").expect_ok();
    client.say("GET key:0");
    assert_eq!(client.say("EXEC").elements().len(), 1);
}

#[test]
fn a_full_disk_latches_and_is_made_good() {
    for (sync, remedy) in [
        ("always", "BGREWRITEAOF"),
        ("always", "CONFIG SET appendfsync always"),
        ("everysec", "BGREWRITEAOF"),
    ] {
        let mut server = node(2, sync).ignoring_file_limits().start();
        server.limit_files(&LIMIT.to_string());
        // What waits for EXEC when the disk fills up is refused, too.
        let mut early = server.client();
        early.say("MULTI").expect_ok();
        early.say("SET queued 1");
        let written = fill(&server, 0);
        latched(&server);
        assert_eq!(
            early.say("EXEC").error(),
            "EXECABORT Transaction discarded because of: MISCONF Errors writing to the AOF file: File too large"
        );
        server.limit_files("unlimited");
        let mut client = server.client();
        // The limit alone changes nothing: somebody has to say so.
        assert!(client.say("SET a 1").is_error());
        let said = client.say(remedy);
        assert!(!said.is_error(), "{said}");
        wait_until("the rewrite", || {
            field(&mut client, "aof_last_write_status") == "ok"
        });
        client.say("SET a 1").expect_ok();
        assert_eq!(client.say("WAITAOF 1 0 0").elements()[0].int(), 1);
        let all = client.say("DBSIZE").int();
        assert!(all > written as i64, "{all} {written}");
        let server = server.crash(node(1, sync));
        let mut client = server.client();
        // `everysec` acknowledges what the disk refuses within that second, but the rewrite had it.
        assert_eq!(client.say("DBSIZE").int(), all);
        assert_eq!(client.say("GET a").text(), "1");
        assert_eq!(client.say("EXISTS queued").int(), 0);
    }
}

#[test]
fn what_always_has_acknowledged_survives_a_full_disk_and_a_crash() {
    let mut server = node(2, "always").ignoring_file_limits().start();
    server.limit_files(&LIMIT.to_string());
    let written = fill(&server, 0);
    let server = server.crash(node(3, "always"));
    let mut client = server.client();
    for number in 0..written {
        assert_eq!(
            client.say(&format!("EXISTS key:{number}")).int(),
            1,
            "{number}"
        );
    }
}
