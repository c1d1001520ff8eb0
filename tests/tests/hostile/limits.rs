//! Limits an operator sets: how many clients, how long they may idle, who may connect at all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use tessera_tests::client::Client;
use tessera_tests::deadline::{wait_for, wait_until};
use tessera_tests::launch::Launch;
use tessera_tests::server::Server;

const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

/// A client that was let in, or what it was told instead.
fn knock(server: &Server) -> Result<Client, Vec<u8>> {
    let mut client = server.raw_client();
    match client.try_call(&["PING"]) {
        Ok(reply) if !reply.is_error() => Ok(client),
        Ok(reply) => Err(format!("-{}\r\n", reply.error()).into_bytes()),
        Err(_) => Err(Vec::new()),
    }
}

#[test]
fn maxclients() {
    for shards in [1, 2] {
        let server = Launch::tessera()
            .shards(shards)
            .with("maxclients", "5")
            .start();
        // The connection that found the server ready may take its time to be forgotten.
        let mut inside: Vec<Client> = Vec::new();
        while inside.len() < 5 {
            inside.push(wait_for("there is room", || knock(&server).ok()));
        }
        assert_eq!(server.raw_client().read_to_end(), TOO_MANY);
        for client in &mut inside {
            assert_eq!(client.call(&["PING"]).text(), "PONG");
        }
        inside.pop();
        inside.push(wait_for("a place is free again", || knock(&server).ok()));
        assert_eq!(server.raw_client().read_to_end(), TOO_MANY);
        inside[0]
            .call(&["CONFIG", "SET", "maxclients", "6"])
            .expect_ok();
        inside.push(wait_for("there is one place more", || knock(&server).ok()));
        assert_eq!(server.raw_client().read_to_end(), TOO_MANY);
    }
}

#[test]
fn timeout_closes_idle_clients_only() {
    let server = Launch::tessera().shards(2).with("timeout", "1").start();
    let (mut idle, mut half, mut busy) = (server.client(), server.client(), server.client());
    half.write_raw(b"*2\r\n$3\r\nGET\r\n")
        .expect("the server reads");
    let closed = std::thread::scope(|scope| {
        let closed = scope.spawn(|| idle.is_closed() && half.is_closed());
        while !closed.is_finished() {
            assert_eq!(busy.call(&["PING"]).text(), "PONG");
        }
        closed.join().expect("it does not panic")
    });
    assert!(closed, "idle clients were not closed");
    assert_eq!(busy.call(&["PING"]).text(), "PONG");
    busy.call(&["CONFIG", "SET", "timeout", "0"]).expect_ok();
    let listed = busy.call(&["CLIENT", "LIST"]).text();
    assert_eq!(listed.lines().count(), 1, "{listed}");
}

/// An address of this machine that is not the loopback's, if it has one. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn protected_mode_refuses_strangers() {
    let Some(address) = own_address() else {
        println!("this machine has only a loopback address: nothing to try");
        return;
    };
    let (tessera, oracle) = (
        Launch::tessera().shards(2).start(),
        Launch::oracle().start(),
    );
    let refusal = |server: &Server| {
        let mut stranger =
            Client::connect(SocketAddr::new(address, server.port())).expect("the port is open");
        String::from_utf8_lossy(&stranger.read_to_end()).into_owned()
    };
    let ours = refusal(&tessera);
    assert!(ours.starts_with("-DENIED "), "{ours}");
    assert_eq!(ours, refusal(&oracle));
    tessera
        .client()
        .call(&["CONFIG", "SET", "protected-mode", "no"])
        .expect_ok();
    wait_until("strangers are let in", || {
        let mut stranger =
            Client::connect(SocketAddr::new(address, tessera.port())).expect("the port is open");
        stranger
            .try_call(&["PING"])
            .is_ok_and(|reply| !reply.is_error())
    });
}

#[test]
fn a_password_is_protection_enough() {
    let Some(address) = own_address() else {
        println!("this machine has only a loopback address: nothing to try");
        return;
    };
    let server = Launch::tessera().password("pw").start();
    let mut stranger =
        Client::connect(SocketAddr::new(address, server.port())).expect("the port is open");
    assert!(stranger.call(&["PING"]).error().starts_with("NOAUTH"));
    stranger.call(&["AUTH", "pw"]).expect_ok();
}
