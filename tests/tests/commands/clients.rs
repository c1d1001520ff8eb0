//! CLIENT: who is connected, and who no longer.

use tessera_tests::client::Client;
use tessera_tests::command::words;
use tessera_tests::deadline::{wait_for, wait_until};
use tessera_tests::launch::{Kind, Launch};
use tessera_tests::reply::Reply;

/// A field of a line of CLIENT LIST.
fn field(line: &str, name: &str) -> String {
    let value = line
        .trim_end()
        .split(' ')
        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    value
        .unwrap_or_else(|| panic!("no {name} in {line}"))
        .to_owned()
}

fn own(client: &mut Client, name: &str) -> String {
    field(&client.say("CLIENT INFO").text(), name)
}

#[test]
fn list_shows_everyone() {
    let server = Launch::tessera().shards(4).unix().start();
    let mut clients: Vec<Client> = (0..9).map(|_| server.client()).collect();
    clients.push(Client::connect_unix(&server.socket()).expect("the socket is there"));
    for (n, client) in clients.iter_mut().enumerate() {
        client.say(&format!("CLIENT SETNAME name{n}")).expect_ok();
        client.say(&format!("SELECT {n}")).expect_ok();
    }
    let listed = wait_for("the first connection is forgotten", || {
        let listed = clients[0].say("CLIENT LIST").text();
        (listed.lines().count() == 10).then_some(listed)
    });
    let mut numbers = Vec::new();
    for (n, client) in clients.iter_mut().enumerate() {
        let number = client.say("CLIENT ID").int().to_string();
        let line = listed
            .lines()
            .find(|line| field(line, "id") == number)
            .expect("it is listed");
        assert_eq!(field(line, "name"), format!("name{n}"));
        assert_eq!(field(line, "db"), n.to_string());
        assert_eq!(field(line, "user"), "default");
        let wanted = if n == 0 { "client|list" } else { "select" };
        assert_eq!(field(line, "cmd"), wanted);
        numbers.push(number);
    }
    let two = clients[0]
        .say(&format!(
            "CLIENT LIST ID {} {} 999999",
            numbers[3], numbers[7]
        ))
        .text();
    let found: Vec<String> = two.lines().map(|line| field(line, "id")).collect();
    assert_eq!(found, [numbers[3].clone(), numbers[7].clone()]);
    assert_eq!(
        clients[0]
            .say("CLIENT LIST TYPE normal")
            .text()
            .lines()
            .count(),
        10
    );
    assert_eq!(clients[0].say("CLIENT LIST TYPE pubsub").text(), "");
    let mut listener = server.client();
    listener.say("SUBSCRIBE news");
    let listed = clients[0].say("CLIENT LIST TYPE PubSub").text();
    assert_eq!(listed.lines().count(), 1);
    assert!(field(&listed, "cmd").starts_with("subscribe"));
    let normal = clients[0].say("CLIENT LIST TYPE normal").text();
    assert_eq!(normal.lines().count(), 10);
    assert_eq!(clients[0].say("CLIENT KILL TYPE pubsub").int(), 1);
    assert!(listener.is_closed());
    assert_eq!(clients[0].say("CLIENT LIST TYPE pubsub").text(), "");
    assert!(
        own(&mut clients[9], "flags").contains('U'),
        "a Unix socket has its flag"
    );
}

#[test]
fn ids_only_grow() {
    let server = Launch::tessera().shards(4).start();
    let mut last = 0;
    for _ in 0..50 {
        let number = server.client().say("CLIENT ID").int();
        assert!(number > last, "{number} after {last}");
        last = number;
    }
}

#[test]
fn kill_filters() {
    let server = Launch::tessera().shards(4).start();
    let mut killer = server.client();
    let fresh = || -> (Client, String, String) {
        let mut client = server.client();
        let number = client.say("CLIENT ID").int().to_string();
        let address = own(&mut client, "addr");
        (client, number, address)
    };
    let (mut victim, number, address) = fresh();
    let (mut bystander, ..) = fresh();
    assert_eq!(
        killer
            .say(&format!("CLIENT KILL ID {number} ADDR 1.2.3.4:5"))
            .int(),
        0
    );
    assert_eq!(
        killer
            .say(&format!("CLIENT KILL ID {number} ADDR {address}"))
            .int(),
        1
    );
    assert!(victim.is_closed());
    let (mut victim, _, address) = fresh();
    killer.say(&format!("CLIENT KILL {address}")).expect_ok();
    assert!(victim.is_closed());
    assert_eq!(
        killer.say(&format!("CLIENT KILL {address}")).error(),
        "ERR No such client"
    );
    assert_eq!(bystander.say("PING").text(), "PONG");
    // Several by one filter; the one who asks is spared, or not.
    let mut victims: Vec<Client> = (0..12).map(|_| server.client()).collect();
    victims
        .iter_mut()
        .for_each(|victim| assert_eq!(victim.say("PING").text(), "PONG"));
    wait_until("only these are connected", || {
        killer.say("CLIENT LIST").text().lines().count() == 14
    });
    assert_eq!(killer.say("CLIENT KILL TYPE normal").int(), 13);
    assert!(victims.iter_mut().all(Client::is_closed) && bystander.is_closed());
    assert_eq!(killer.say("PING").text(), "PONG");
    let (mut victim, ..) = fresh();
    let laddr = own(&mut killer, "laddr");
    assert_eq!(
        killer
            .say(&format!("CLIENT KILL LADDR {laddr} SKIPME yes"))
            .int(),
        1
    );
    assert!(victim.is_closed());
    let (mut victim, ..) = fresh();
    assert_eq!(killer.say("CLIENT KILL USER default SKIPME no").int(), 2);
    assert!(victim.is_closed() && killer.is_closed());
}

#[test]
fn killing_oneself_is_answered() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    let number = client.say("CLIENT ID").int();
    client.send(&words(&format!("CLIENT KILL ID {number} SKIPME no")));
    client.send(&["PING"]);
    assert_eq!(client.read_to_end(), b":1\r\n");
    let mut client = server.client();
    let address = own(&mut client, "addr");
    client.send(&["CLIENT", "KILL", &address]);
    client.send(&["PING"]);
    assert_eq!(client.read_to_end(), b"+OK\r\n");
}

#[test]
fn reply_off_and_skip() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    for text in [
        "CLIENT REPLY OFF",
        "SET k v",
        "NOSUCH",
        "GET k",
        "CLIENT REPLY SKIP",
        "PING",
    ] {
        client.send(&words(text));
    }
    client.say("CLIENT REPLY ON").expect_ok();
    assert_eq!(client.say("GET k").text(), "v");
    for text in ["CLIENT REPLY SKIP", "SET k skipped"] {
        client.send(&words(text));
    }
    assert_eq!(client.say("GET k").text(), "skipped");
    assert_eq!(client.say("GET k").text(), "skipped");
}

#[test]
fn names() {
    let server = Launch::tessera().shards(2).start();
    let mut client = server.client();
    assert_eq!(client.say("CLIENT GETNAME"), Reply::Null);
    client.say("CLIENT SETNAME me").expect_ok();
    assert_eq!(client.say("CLIENT GETNAME").text(), "me");
    let wrong = client.call(&["CLIENT", "SETNAME", "with space"]).error();
    assert_eq!(
        wrong,
        "ERR Client names cannot contain spaces, newlines or special characters."
    );
    assert_eq!(client.say("CLIENT GETNAME").text(), "me");
    client.call(&["CLIENT", "SETNAME", ""]).expect_ok();
    assert_eq!(client.say("CLIENT GETNAME"), Reply::Null);
}

/// New in Redis 7.2, so the oracle of 7.0 cannot be asked.
#[test]
fn library_names() {
    let server = Launch::tessera().shards(2).start();
    if server.kind() == Kind::Redis {
        return;
    }
    let mut client = server.client();
    client.say("CLIENT SETINFO LIB-NAME my-lib").expect_ok();
    client.say("CLIENT SETINFO lib-ver 1.2.3").expect_ok();
    assert_eq!(own(&mut client, "lib-name"), "my-lib");
    assert_eq!(own(&mut client, "lib-ver"), "1.2.3");
    let wrong = client
        .call(&["CLIENT", "SETINFO", "lib-name", "a b"])
        .error();
    assert_eq!(
        wrong,
        "ERR lib-name cannot contain spaces, newlines or special characters."
    );
    let wrong = client.say("CLIENT SETINFO nonsense x").error();
    assert_eq!(wrong, "ERR Unrecognized option 'nonsense'");
    // RESET keeps them, as Redis does.
    client.say("RESET");
    assert_eq!(own(&mut client, "lib-name"), "my-lib");
}

/// New in Redis 7.2 as well: reads that leave no trace.
#[test]
fn no_touch() {
    let server = Launch::tessera().shards(2).start();
    if server.kind() == Kind::Redis {
        return;
    }
    let (mut quiet, mut loud) = (server.client(), server.client());
    loud.say("SET k v").expect_ok();
    quiet.say("CLIENT NO-TOUCH ON").expect_ok();
    wait_until("the key has been idle for two seconds", || {
        quiet.say("OBJECT IDLETIME k").int() >= 2
    });
    assert_eq!(quiet.say("GET k").text(), "v");
    assert!(
        quiet.say("OBJECT IDLETIME k").int() >= 2,
        "a quiet read touched it"
    );
    assert_eq!(quiet.say("TOUCH k").int(), 1);
    wait_until("TOUCH touches all the same", || {
        quiet.say("OBJECT IDLETIME k").int() < 2
    });
    assert!(quiet.say("CLIENT NO-TOUCH maybe").is_error());
    quiet.say("CLIENT NO-TOUCH OFF").expect_ok();
}
