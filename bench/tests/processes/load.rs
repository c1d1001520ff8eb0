//! What is sent and counted when nothing goes wrong.

use crate::harness::Server;

/// Client and server may differ by this share in the number of commands.
const MISCOUNT: f64 = 0.01;

fn both() -> [Server; 2] {
    [Server::redis(&[]), Server::tessera(&["--shards", "2"])]
}

#[test]
fn the_servers_own_count_agrees() {
    for server in both() {
        for flags in [
            "--pipeline 1",
            "--pipeline 16",
            "--pipeline 16 --pipeline-batches",
            "--resp 3",
        ] {
            let line = format!("-t 2 -c 5 --test-time 0.3 --key-maximum 999 {flags}");
            let run = server.bench(&line).expect(0);
            let (here, there) = (
                run.number("/run/commands"),
                run.number("/run/server/commands"),
            );
            assert!(
                here > 0.0 && (there - here).abs() <= MISCOUNT * here,
                "{flags}: {here} here, {there} there"
            );
        }
    }
}

#[test]
fn so_many_requests_are_so_many_replies() {
    for server in both() {
        let run = server
            .bench("-t 2 -c 3 -n 500 --pipeline 4 --ratio 1:1 --key-maximum 99")
            .expect(0);
        assert_eq!(run.number("/run/totals/replies"), 3000.0);
        assert_eq!(run.number("/run/rows/0/replies"), 1500.0);
        let populate = server
            .bench("--populate -t 2 -c 3 --key-maximum 9999")
            .expect(0);
        assert_eq!(populate.number("/populate/totals/replies"), 10_000.0);
        let reads = server
            .bench("-t 1 -c 2 --ratio 0:1 -n 100 --key-maximum 9999")
            .expect(0);
        assert!(reads.number("/run/totals/hits_per_s") > 0.0);
        assert_eq!(reads.number("/run/totals/misses_per_s"), 0.0);
    }
}

#[test]
fn an_open_loop_makes_the_requests_that_are_due() {
    for server in both() {
        let run = server
            .bench("-t 1 -c 5 --rate-limiting 100 --test-time 1 --key-maximum 99")
            .expect(0);
        // 500 become due within the second; how many of them the machine lets us send is its affair.
        let made = run.number("/run/totals/replies") + run.number("/run/unsent");
        assert!((100.0..=505.0).contains(&made), "{made}");
    }
}

#[test]
fn commands_of_ones_own_are_sent_with_keys_and_data() {
    for server in both() {
        let flags = "-t 1 -c 2 -n 50 --key-prefix own: --key-maximum 9 -d 7";
        let command = "--command SET~__key__~__data__ --command-key-pattern S";
        let run = server.bench(&format!("{flags} {command}")).expect(0);
        assert_eq!(run.number("/run/totals/replies"), 100.0);
        assert_eq!(server.ask("DBSIZE").unwrap(), ":10\r\n");
        assert_eq!(server.ask("STRLEN own:9").unwrap(), ":7\r\n");
    }
}

#[test]
fn a_miss_is_followed_by_its_command() {
    let server = Server::redis(&[]);
    let get = "--command GET~k:__key__ --command-key-pattern S";
    let follow = "--command-on-miss SET~k:__same_key__~1";
    let run = server
        .bench(&format!(
            "-t 1 -c 1 -n 30 --key-prefix x --key-maximum 9 {get} {follow}"
        ))
        .expect(0);
    assert_eq!(run.number("/run/rows/1/replies"), 10.0);
    assert_eq!(server.ask("DBSIZE").unwrap(), ":10\r\n");
}

#[test]
fn a_request_of_several_commands_counts_once_here_and_in_full_there() {
    let server = Server::redis(&[]);
    let command = "--command MULTI~__then__~SET~__key__~1~__then__~EXEC";
    let run = server
        .bench(&format!("-t 1 -c 2 -n 50 --key-maximum 9 {command}"))
        .expect(0);
    assert_eq!(run.number("/run/totals/replies"), 100.0);
    assert_eq!(run.number("/run/commands"), 300.0);
    assert_eq!(run.number("/run/server/commands"), 300.0);
}

#[test]
fn a_unix_socket_serves_as_well() {
    for server in both() {
        let line = format!(
            "--unix {} -t 1 -c 2 -n 100 --key-maximum 99",
            server.socket()
        );
        let run = server.bench(&line).expect(0);
        assert_eq!(run.number("/run/totals/replies"), 200.0);
    }
}
