//! Named workloads and disturbances, all of them, small and short, against redis-server, which has every command.

use serde_json::Value;

use crate::harness::{Run, Server};

const SMALL: &str = "--key-maximum 999 --test-time 0.05 --warmup-time 0";

fn steps(run: &Run) -> &Vec<Value> {
    run.json
        .pointer("/steps")
        .and_then(Value::as_array)
        .unwrap()
}

/// Every row was measured, and nothing was refused.
fn check_rows(run: &Run, rows: usize) {
    assert_eq!(steps(run).len(), rows);
    for step in steps(run) {
        let replies = step.pointer("/run/totals/replies").and_then(Value::as_u64);
        assert!(replies.is_some_and(|replies| replies > 0), "{step}");
        let errors = step.pointer("/run/errors").and_then(Value::as_object);
        assert!(errors.is_some_and(serde_json::Map::is_empty), "{step}");
        let facts = step["facts"].to_string();
        assert!(
            !facts.contains("NOT DONE") && !facts.contains("WRONG"),
            "{facts}"
        );
    }
}

#[test]
fn every_workload_runs_on_redis() {
    let server = Server::redis(&[]);
    let names = [
        ("common", 15),
        ("common-16", 15),
        ("dragonfly-readme", 6),
        ("dragonfly-docs", 3),
        ("valkey-8", 2),
        ("redis-8", 2),
        ("garnet", 4),
        ("zipf", 2),
        ("multi-key", 6),
        ("multi", 2),
        ("eval", 3),
        ("pubsub", 5),
        ("hand-over", 2),
        ("cache-aside", 2),
        ("leaderboard", 4),
        ("visitors", 2),
        ("recent", 3),
        ("rate-limit", 1),
        ("coupons", 1),
        ("stampede", 2),
        ("scan-keys", 4),
    ];
    for (name, rows) in names {
        let run = server
            .bench(&format!("--workload {name} {SMALL}"))
            .expect(0);
        check_rows(&run, rows);
    }
}

#[test]
fn the_matrices_run_on_redis() {
    let server = Server::redis(&[]);
    let flags =
        "--workload valkey-matrix --workload cache-benchmarks --test-time 0.01 --warmup-time 0";
    let run = server
        .bench(&format!("{flags} --key-maximum 99 -c 2"))
        .expect(0);
    check_rows(&run, 104 + 40);
}

#[test]
fn every_disturbance_runs_on_redis() {
    let server = Server::redis(&[]);
    let run = server.bench(&format!("--disturb all {SMALL}")).expect(0);
    check_rows(&run, 20);
    for step in steps(&run).iter().skip(1).step_by(2) {
        assert!(
            step["took_ms"].as_f64().is_some_and(|ms| ms >= 0.0),
            "{step}"
        );
    }
    assert!(run.stdout.contains("1000 served"), "{}", run.stdout);
    // What was switched on for it is off again.
    assert!(
        server
            .ask("CONFIG GET appendonly")
            .unwrap()
            .ends_with("$2\r\nno\r\n")
    );
    assert!(
        server
            .ask("CONFIG GET maxmemory")
            .unwrap()
            .ends_with("$1\r\n0\r\n")
    );
}

#[test]
fn what_a_server_lacks_is_said_and_passed_over() {
    let server = Server::redis(&[
        "--rename-command",
        "EVAL",
        "",
        "--rename-command",
        "RPUSH",
        "",
    ]);
    let run = server
        .bench(&format!(
            "--workload eval --workload multi --workload common {SMALL}"
        ))
        .expect(0);
    let skipped = |label: &str| {
        let step = steps(&run)
            .iter()
            .find(|step| step["label"] == label)
            .unwrap();
        step["skipped"].as_str().map(str::to_owned)
    };
    assert_eq!(
        skipped("EVAL of a GET").unwrap(),
        "skipped: the server has no EVAL"
    );
    assert_eq!(
        skipped("RPOP").unwrap(),
        "skipped: the server has no RPUSH to fill it with"
    );
    assert_eq!(skipped("MULTI of 4 SETs, pipeline 1"), None);
    assert_eq!(skipped("SADD"), None);
    assert!(run.stdout.contains("skipped: the server has no EVAL"));
}

#[test]
fn ours_runs_what_it_has_and_says_what_it_lacks() {
    let server = Server::tessera(&["--shards", "2"]);
    let run = server
        .bench(&format!(
            "--workload dragonfly-readme --workload multi-key --workload zipf {SMALL}"
        ))
        .expect(0);
    check_rows(&run, 14);
    let run = server
        .bench(&format!("--workload common --disturb all {SMALL}"))
        .expect(0);
    for step in steps(&run) {
        let measured = step
            .pointer("/run/totals/replies")
            .and_then(Value::as_u64)
            .is_some_and(|replies| replies > 0);
        assert!(measured || step["skipped"].is_string(), "{step}");
    }
}

#[test]
fn the_list_names_everything_with_its_source() {
    let run = Run::start("--list").end().expect(0);
    for name in [
        "valkey-matrix (104 rows)",
        "cache-benchmarks (40 rows)",
        "disturb-keys (2 rows)",
    ] {
        assert!(run.stdout.contains(name), "{name}");
    }
    assert!(run.stdout.matches("Source: ").count() >= 20);
}
