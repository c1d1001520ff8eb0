//! What goes wrong: errors are counted and shown, servers that refuse or die are said in one line, and what was
//! measured until then is kept.

use crate::harness::{Run, Server};

#[test]
fn error_replies_are_counted_and_shown() {
    for server in [Server::redis(&[]), Server::tessera(&[])] {
        server.ask("SET word abc");
        let run = server
            .bench("-t 1 -c 2 -n 50 --command INCR~word --command GET~word")
            .expect(3);
        let error = "ERR value is not an integer or out of range";
        assert_eq!(run.number(&format!("/run/errors/{error}")), 50.0);
        assert_eq!(run.number("/run/rows/0/errors"), 50.0);
        assert_eq!(run.number("/run/rows/1/errors"), 0.0);
        assert!(run.stdout.contains(&format!("ERROR REPLIES: 50 x {error}")));
        assert_eq!(run.error_line(), "tessera-bench: 50 error replies");
    }
}

#[test]
fn a_server_that_dies_leaves_partial_results() {
    let mut servers = [Server::redis(&[]), Server::tessera(&[])];
    for server in &mut servers {
        let begun = server.begin("-t 2 -c 5 --test-time 60 --key-maximum 999");
        server.wait_until("DBSIZE", |answer| answer.len() >= ":100\r\n".len());
        server.kill();
        let run = begun.end().expect(4);
        assert_eq!(run.json.pointer("/run/partial"), Some(&true.into()));
        assert!(run.number("/run/totals/replies") > 0.0);
        assert_eq!(run.number("/run/lost_connections"), 10.0);
        assert!(run.stdout.contains("ALL STATS (PARTIAL)"), "{}", run.stdout);
        let line = run.error_line();
        assert!(
            line.starts_with("tessera-bench: PARTIAL RESULTS: 10 of 10 connections lost"),
            "{line}"
        );
    }
}

#[test]
fn a_workload_whose_server_dies_keeps_its_rows() {
    let mut server = Server::redis(&[]);
    let begun =
        server.begin("--workload dragonfly-docs --key-maximum 999 --test-time 0.5 --warmup-time 0");
    // The second row reads what the first one and the filling wrote.
    server.wait_until("INFO commandstats", |answer| {
        answer.contains("cmdstat_get:")
    });
    server.kill();
    let run = begun.end().expect(4);
    let steps = run.json.pointer("/steps").unwrap().as_array().unwrap();
    assert!(!steps.is_empty() && steps.len() <= 3);
    assert!(run.number("/steps/0/run/totals/replies") > 0.0);
    assert!(run.stderr.contains("PARTIAL RESULTS"), "{}", run.stderr);
}

#[test]
fn nobody_there_is_one_line() {
    let mut server = Server::redis(&[]);
    server.kill();
    let run = server.bench("-t 1 -c 1 -n 1").expect(1);
    assert!(run.error_line().contains("no connection to 127.0.0.1:"));
}

#[test]
fn a_missing_password_is_one_line() {
    for server in [
        Server::redis(&["--requirepass", "secret"]),
        Server::tessera(&["--requirepass", "secret"]),
    ] {
        let without = server.bench("-t 1 -c 1 -n 1").expect(1);
        assert_eq!(
            without.error_line(),
            "tessera-bench: the server refused PING: NOAUTH Authentication required. Give the password with -a."
        );
        let named = server.bench("--workload zipf").expect(1);
        assert!(named.error_line().contains("NOAUTH"));
        let wrong = server.bench("-t 1 -c 1 -n 1 -a wrong").expect(1);
        assert!(wrong.error_line().contains("WRONGPASS"));
        let right = server
            .bench("-t 1 -c 1 -n 10 -a secret --key-maximum 9")
            .expect(0);
        assert!(!right.json.to_string().contains("secret"));
        server
            .bench("-t 1 -c 1 -n 10 -a default:secret --resp 3 --key-maximum 9")
            .expect(0);
    }
}

#[test]
fn a_server_without_memory_for_the_keys_is_one_line() {
    let server = Server::redis(&["--maxmemory", "4mb"]);
    let run = server
        .bench("--populate -d 100 --key-maximum 99999 -t 1 -c 2 --test-time 1")
        .expect(4);
    let refused = run
        .stderr
        .lines()
        .filter(|line| line.contains("has no memory for 100000 keys"));
    assert_eq!(refused.count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("PARTIAL RESULTS"));
    assert!(run.number("/populate/totals/replies") > 0.0);
    assert!(
        run.json.pointer("/run").unwrap().is_null(),
        "nothing is measured on a part of the keys"
    );
    let named = server
        .bench("--workload redis-8 --key-maximum 99999 --test-time 0.1")
        .expect(4);
    assert!(
        named
            .stdout
            .contains("skipped: the server has no memory for 100000 keys"),
        "{}",
        named.stdout
    );
}

#[test]
fn flags_that_make_no_load_are_one_line_and_a_status_of_their_own() {
    for (flags, text) in [
        (
            "--workload nothing",
            "there is no workload nothing; --list shows them all",
        ),
        (
            "--disturb nothing",
            "there is no disturbance nothing; --list shows them all",
        ),
        ("--ratio 0:0", "the ratios add up to 0"),
    ] {
        let run = Run::start(flags).end().expect(2);
        assert!(run.error_line().contains(text), "{}", run.stderr);
    }
}
