//! The parts of the workloads that others have published. Their sources stand in `catalogue`.

use super::part::Part;

const MILLION: &str = "--key-prefix key: --key-minimum 0 --key-maximum 999999";

/// A load that writes every key of a range with values of so many bytes.
fn all_keys(range: &str, bytes: u32) -> Part {
    Part::fill(format!("{range} -d {bytes}"))
}

/// SET or GET rows of one value size at the pipelines given.
fn sets_and_gets(range: &str, connections: u32, bytes: u32, pipelines: &[u32]) -> Vec<Part> {
    let mut parts = vec![all_keys(range, bytes)];
    for pipeline in pipelines {
        for (name, ratio) in [("SET", "1:0"), ("GET", "0:1")] {
            parts.push(Part::row(
                format!("{name} {bytes} B, pipeline {pipeline}"),
                format!(
                    "{range} -c {connections} -d {bytes} --ratio {ratio} --pipeline {pipeline}"
                ),
            ));
        }
    }
    parts
}

pub(super) fn dragonfly_readme() -> Vec<Part> {
    let mut parts = vec![Part::flush()];
    parts.extend(sets_and_gets(MILLION, 20, 256, &[1, 30]));
    for pipeline in [1, 30] {
        parts.push(Part::row(
            format!("SETEX 256 B, pipeline {pipeline}"),
            format!(
                "{MILLION} -c 20 -d 256 --expiry-range 60-600 --command 'SETEX __key__ __expiry__ __data__' --pipeline {pipeline}"
            ),
        ));
    }
    parts
}

pub(super) fn dragonfly_docs() -> Vec<Part> {
    let mut parts = vec![Part::flush()];
    parts.extend(sets_and_gets(MILLION, 20, 32, &[1]));
    parts.push(Part::row(
        "GET 32 B, pipeline 10",
        format!("{MILLION} -c 20 -d 32 --ratio 0:1 --pipeline 10"),
    ));
    parts
}

pub(super) fn valkey_8() -> Vec<Part> {
    let range = "--key-prefix key: --key-minimum 0 --key-maximum 2999999";
    let mut parts = vec![Part::flush()];
    parts.extend(sets_and_gets(range, 650, 512, &[1]));
    parts
}

pub(super) fn redis_8() -> Vec<Part> {
    let mut parts = vec![Part::flush(), all_keys(MILLION, 1024)];
    for pipeline in [1, 10] {
        parts.push(Part::row(
            format!("SET:GET 1:10, 1 KiB, pipeline {pipeline}"),
            format!("{MILLION} -c 50 -d 1024 --ratio 1:10 --pipeline {pipeline}"),
        ));
    }
    parts
}

pub(super) fn cache_benchmarks() -> Vec<Part> {
    let mut parts = vec![Part::flush()];
    for bytes in [1, 16, 64, 256, 1024] {
        parts.extend(sets_and_gets(MILLION, 256, bytes, &[1, 10, 25, 50]));
    }
    parts
}

pub(super) fn garnet() -> Vec<Part> {
    let range = "--key-prefix '' --key-length 8 --key-minimum 0 --key-maximum 1048575";
    let mut parts = vec![Part::flush(), all_keys(range, 8)];
    for pipeline in [1, 64] {
        for (name, ratio) in [("GET", "0:1"), ("SET", "1:0")] {
            parts.push(Part::row(
                format!("{name} 8 B, batches of {pipeline}"),
                format!(
                    "{range} -c 64 -d 8 --ratio {ratio} --pipeline {pipeline} --pipeline-batches"
                ),
            ));
        }
    }
    parts
}

pub(super) fn zipf() -> Vec<Part> {
    let mix = |label: &str, ratio: &str, exponent: f64| {
        Part::row(
            label,
            format!(
                "{MILLION} -c 50 -d 1024 --ratio {ratio} --key-pattern Z:Z --key-zipf-exp {exponent}"
            ),
        )
    };
    vec![
        Part::flush(),
        all_keys(MILLION, 1024),
        mix("A: SET 50 %, GET 50 %, Zipf 0.9", "1:1", 0.9),
        mix("B: SET 5 %, GET 95 %, Zipf 1.4", "1:19", 1.4),
    ]
}

/// Name, command and, where it reads or takes, the command that fills what it needs.
const MATRIX: &[(&str, &str, &str)] = &[
    ("SET", "SET __key__ __data__", ""),
    ("GET", "GET __key__", "SET __key__ __data__"),
    ("RPUSH", "RPUSH list:__rand__ __data__", ""),
    ("LPUSH", "LPUSH list:__rand__ __data__", ""),
    (
        "LPOP",
        "LPOP pop:__rand__",
        "RPUSH pop:__rand__ __data__ __data__ __data__ __data__ __data__",
    ),
    ("SADD", "SADD set __data__:__key__", ""),
    ("SPOP", "SPOP spop", "SADD spop __data__:__key__"),
    ("HSET", "HSET hash field:__key__ __data__", ""),
    (
        "MGET",
        "MGET __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__",
        "SET __key__ __data__",
    ),
    ("LRANGE", "LRANGE range 0 99", "RPUSH range __data__"),
    (
        "ZPOPMIN",
        "ZPOPMIN zpop",
        "ZADD zpop __rand__ __data__:__key__",
    ),
    ("XADD", "XADD stream * field __data__", ""),
    (
        "XRANGE",
        "XRANGE xrange - + COUNT 100",
        "XADD xrange * field __data__",
    ),
];

pub(super) fn valkey_matrix() -> Vec<Part> {
    let mut parts = Vec::new();
    for bytes in [16, 128, 512, 2048] {
        for (name, command, fill) in MATRIX {
            for pipeline in [1, 10] {
                parts.push(Part::flush());
                if !fill.is_empty() {
                    parts.push(Part::fill(format!(
                        "{MILLION} -d {bytes} --command '{fill}' --command-key-pattern P"
                    )));
                }
                parts.push(Part::row(
                    format!("{name} {bytes} B, pipeline {pipeline}"),
                    format!(
                        "{MILLION} -c 50 -d {bytes} --command '{command}' --pipeline {pipeline}"
                    ),
                ));
            }
        }
    }
    parts
}
