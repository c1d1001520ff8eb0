//! Huge pages: they come once they pay, ready before a shard asks for them, and not where they are forbidden.

use tessera_tests::client::Client;
use tessera_tests::deadline::wait_until;
use tessera_tests::launch::{Kind, Launch};

const MIB: u64 = 1 << 20;
const HUGE_PAGE_BYTES: u64 = 2 * MIB;

/// Writes so many MiB of values of 1 KiB.
fn fill(client: &mut Client, name: &str, mib: u64) {
    let value = "x".repeat(1_000);
    let keys: Vec<String> = (0..mib * 1024).map(|n| format!("{name}:{n}")).collect();
    for some in keys.chunks(1024) {
        for key in some {
            client.send(&["SET", key, &value]);
        }
        for _ in some {
            assert_eq!(client.read().text(), "OK");
        }
    }
}

/// Whether this kernel gives huge pages to those who ask.
fn kernel_has_huge_pages() -> bool {
    std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
        .is_ok_and(|choices| !choices.contains("[never]"))
}

#[test]
fn huge_pages_are_ready_for_a_server_that_grows() {
    if Launch::tessera().kind() == Kind::Redis || !kernel_has_huge_pages() {
        return;
    }
    for shards in [1, 2] {
        let mut server = Launch::tessera().shards(shards).start();
        let mut client = server.client();
        // What the allocator took before it was told to wait.
        let first = server.process().huge_bytes();
        fill(&mut client, "few", 4);
        assert_eq!(server.process().huge_bytes(), first, "they do not pay yet");
        fill(&mut client, "enough", 28);
        wait_until("one is ready", || {
            server.process().huge_bytes() >= first + HUGE_PAGE_BYTES
        });
        fill(&mut client, "more", 16);
        wait_until("a shard took one and the next is ready", || {
            server.process().huge_bytes() >= first + 2 * HUGE_PAGE_BYTES
        });
    }
}

#[test]
fn forbidden_huge_pages_do_not_come() {
    if Launch::tessera().kind() == Kind::Redis {
        return;
    }
    let mut server = Launch::tessera().with("disable-thp", "yes").start();
    let mut client = server.client();
    let first = server.process().huge_bytes();
    fill(&mut client, "all", 48);
    assert_eq!(server.process().huge_bytes(), first);
}
