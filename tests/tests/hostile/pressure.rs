//! Too much of everything: replies nobody reads, promises of huge strings, connections that come and
//! go. The server's memory stays bounded and the others are served.

use std::time::Duration;

use tessera_tests::client::Client;
use tessera_tests::command;
use tessera_tests::deadline::{Deadline, happens_within, wait_until};
use tessera_tests::launch::{Kind, Launch};
use tessera_tests::reply::Reply;
use tessera_tests::server::Server;

const MIB: u64 = 1 << 20;

/// Serves another client while watching the memory; gives the most that was seen.
fn serve_and_watch(server: &mut Server, rounds: usize) -> u64 {
    let mut other = server.client();
    let mut most = 0;
    for n in 0..rounds {
        let text = n.to_string();
        other.call(&["SET", "other", &text]).expect_ok();
        assert_eq!(other.call(&["GET", "other"]), Reply::bulk(&text));
        if n % 20 == 0 {
            most = most.max(server.process().resident_bytes());
        }
    }
    most.max(server.process().resident_bytes())
}

/// Redis would keep it all: its default for normal clients is no limit.
#[test]
fn a_client_that_never_reads() {
    let mut server = Launch::tessera().shards(2).start();
    if server.kind() == Kind::Redis {
        return;
    }
    const CLIENTS: usize = 6;
    const GETS: usize = 500;
    for n in 0..4 {
        server
            .client()
            .call(&[
                b"SET".to_vec(),
                format!("big{n}").into_bytes(),
                vec![b'x'; 1 << 20],
            ])
            .expect_ok();
    }
    let mut requests = Vec::new();
    for n in 0..GETS {
        command::encode(&["GET", &format!("big{}", n % 4)], &mut requests);
    }
    let mut deaf: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    for client in &mut deaf {
        client
            .write_raw(&requests)
            .expect("the requests fit the kernel's buffers");
    }
    // 3 GB of replies were asked for.
    let most = serve_and_watch(&mut server, 3000);
    assert!(most < 600 * MIB, "{} MiB resident", most / MIB);
    // One changes its mind: not a byte is missing.
    let listener = &mut deaf[0];
    for n in 0..GETS {
        let reply = listener.read();
        assert_eq!(reply.bytes().len(), 1 << 20, "reply {n}");
    }
    assert_eq!(listener.call(&["PING"]).text(), "PONG");
    drop(deaf);
    let mut client = server.client();
    wait_until("the deaf clients are gone", || {
        client.call(&["CLIENT", "LIST"]).text().lines().count() == 1
    });
}

#[test]
fn promises_of_huge_strings_cost_nothing() {
    let mut server = Launch::tessera().shards(2).start();
    let before = server.process().resident_bytes();
    let mut clients: Vec<Client> = (0..100).map(|_| server.client()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        let promise: &[u8] = match n % 4 {
            0 => b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nsmall",
            1 => b"*1000000000\r\n$3\r\nDEL\r\n",
            2 => b"*2\r\n$536870912\r\nabc",
            _ => b"*2147483647\r\n",
        };
        client.write_raw(promise).expect("the server reads");
    }
    let most = serve_and_watch(&mut server, 500);
    assert!(
        most < before + 200 * MIB,
        "{} MiB resident, {} before",
        most / MIB,
        before / MIB
    );
    drop(clients);
    let mut client = server.client();
    wait_until("they are gone", || {
        client.call(&["CLIENT", "LIST"]).text().lines().count() == 1
    });
    assert_eq!(client.call(&["EXISTS", "k"]).int(), 0);
}

fn open_files(server: &mut Server) -> usize {
    let folder = format!("/proc/{}/fd", server.process().pid());
    std::fs::read_dir(folder).expect("a live process").count()
}

#[test]
fn connections_that_come_and_go() {
    let mut server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    wait_until("the first connection is alone", || {
        client.call(&["CLIENT", "LIST"]).text().lines().count() == 1
    });
    let files = open_files(&mut server);
    let endings: &[&[u8]] = &[
        b"",
        b"*1\r\n$4\r\nPI",
        b"PING\r\n",
        b"PING",
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nQUIT\r\n",
        b"*1\r\n$x\r\n",
        b"QUIT\r\n",
    ];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for n in 0..500 {
                    let mut short = server.raw_client();
                    // It may be closed before this is written; that is the point.
                    let _ = short.write_raw(endings[(n + thread) % endings.len()]);
                }
            });
        }
    });
    assert_eq!(client.call(&["PING"]).text(), "PONG");
    wait_until("all are gone", || {
        client.call(&["CLIENT", "LIST"]).text().lines().count() == 1
    });
    wait_until("their files are closed", || {
        open_files(&mut server) <= files
    });
}

#[test]
fn hundreds_at_once() {
    let server = Launch::tessera().shards(2).start();
    let mut clients: Vec<Client> = (0..400).map(|_| server.client()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(&["SET", &format!("key:{n}"), &n.to_string()]);
        client.send(&["GET", &format!("key:{n}")]);
    }
    for (n, client) in clients.iter_mut().enumerate() {
        client.read().expect_ok();
        assert_eq!(client.read(), Reply::bulk(&n.to_string()));
    }
    assert_eq!(clients[0].call(&["DBSIZE"]).int(), 400);
}

/// A reply that comes in while its client is gone must not reach the next one on the same descriptor.
#[test]
fn replies_of_a_gone_client_reach_nobody() {
    let server = Launch::tessera().shards(2).start();
    server
        .client()
        .call(&[b"SET".to_vec(), b"big".to_vec(), vec![b'x'; 1 << 18]])
        .expect_ok();
    for n in 0..200 {
        let mut gone = server.raw_client();
        for _ in 0..4 {
            gone.send(&["GET", "big"]);
        }
        drop(gone);
        let mut next = server.raw_client();
        let word = format!("word{n}");
        assert_eq!(next.call(&["ECHO", &word]), Reply::bulk(&word));
    }
}

/// Processor time of a server with nothing to do. Redis itself uses about one tick in a hundred.
#[test]
fn an_idle_server_idles() {
    for backend in ["uring", "epoll"] {
        let mut server = Launch::tessera().shards(2).backend(backend).start();
        let _idle: Vec<Client> = (0..50).map(|_| server.client()).collect();
        let span = Duration::from_secs(2);
        let settled = Deadline::after(Duration::from_millis(200));
        happens_within(span, || settled.passed());
        let before = server.process().cpu_ticks();
        happens_within(span, || false);
        let used = server.process().cpu_ticks() - before;
        assert!(used <= 20, "{backend}: {used} ticks of 10 ms in {span:?}");
    }
}

/// A client that is not read because its commands have to wait is read again when only the start of one long frame is left of
/// what it sent.
#[test]
fn a_long_frame_behind_waiting_commands_arrives() {
    let server = Launch::tessera().shards(1).start();
    let mut client = server.client();
    client
        .call(&[b"SET".to_vec(), b"big".to_vec(), vec![b'x'; 1 << 20]])
        .expect_ok();
    let mut requests = Vec::new();
    for _ in 0..40 {
        command::encode(&["GET", "big"], &mut requests);
    }
    let long = "y".repeat(4 << 20);
    command::encode(&["SET", "long", &long], &mut requests);
    command::encode(&["STRLEN", "long"], &mut requests);
    let writing = client.write_aside(requests).expect("the socket is shared");
    for n in 0..40 {
        assert_eq!(client.read().bytes().len(), 1 << 20, "reply {n}");
    }
    client.read().expect_ok();
    assert_eq!(client.read().int(), 4 << 20);
    let written = writing.join().expect("the writer does not panic");
    written.expect("the server reads on");
}
