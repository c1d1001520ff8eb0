//! The forms in which results come out.

use crate::harness::{Folder, Server};

#[test]
fn the_table_is_memtiers() {
    let server = Server::redis(&[]);
    let run = server.bench("-t 1 -c 2 -n 100 --key-maximum 99").expect(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "1         Threads",
            "2         Connections per thread",
            "100       Requests per client"
        ]
    );
    let header = "Type         Ops/sec     Hits/sec   Misses/sec    Avg. Latency     p50 Latency     p99 Latency   p99.9 Latency       KB/sec ";
    let at = lines.iter().position(|line| *line == header).unwrap();
    assert_eq!(lines[at - 1], "=".repeat(header.len()));
    let types: Vec<&str> = lines[at + 2..at + 6]
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(types, ["Sets", "Gets", "Waits", "Totals"]);
    assert!(
        lines[at + 2..at + 6]
            .iter()
            .all(|line| line.len() == header.len())
    );
    assert!(run.stdout.contains("Request Latency Distribution"));
    let hidden = server
        .bench("-t 1 -c 2 -n 10 --key-maximum 99 --hide-histogram --print-percentiles 90")
        .expect(0);
    assert!(!hidden.stdout.contains("Distribution") && hidden.stdout.contains("     p90 Latency "));
}

#[test]
fn files_are_written_where_the_flags_say() {
    let server = Server::redis(&[]);
    let folder = Folder::new();
    let path = |name: &str| folder.file(name);
    let flags = format!(
        "-t 1 -c 2 --test-time 0.3 --key-maximum 99 --hdr-file-prefix {} --plot-prefix {} -o {}",
        path("hdr").display(),
        path("plot").display(),
        path("out.txt").display()
    );
    let run = server.bench(&flags).expect(0);
    assert_eq!(run.stdout, "");
    let read =
        |name: &str| std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(
        String::from_utf8(read("out.txt"))
            .unwrap()
            .contains("ALL STATS")
    );
    for name in [
        "hdr_Sets_command_run_1.hgrm",
        "hdr_Gets_command_run_1.hgrm",
        "hdr_FULL_RUN_1.hgrm",
    ] {
        let text = String::from_utf8(read(name)).unwrap();
        assert!(
            text.contains("Value     Percentile TotalCount 1/(1-Percentile)")
                && text.contains("#[Max     =")
        );
    }
    for name in ["plot_latency", "plot_time"] {
        assert!(read(&format!("{name}.svg")).starts_with(b"<svg "));
        assert!(read(&format!("{name}.png")).starts_with(b"\x89PNG\r\n"));
    }
    assert!(run.number("/run/timeline/0/ops_per_s") >= 0.0);
    assert!(run.number("/run/curve/0/1") > 0.0);
}

#[test]
fn markdown_has_the_servers_side() {
    let server = Server::redis(&[]);
    let run = server
        .bench("-t 1 -c 2 -n 1000 --key-maximum 99 --markdown")
        .expect(0);
    let header = run.stdout.lines().next().unwrap();
    assert!(header.ends_with("p99.99 | max | KB/s | server CPU us/op | RSS MB |"));
    assert_eq!(run.stdout.lines().count(), 5);
}
