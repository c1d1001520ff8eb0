//! The parts of a command that need no shard: parsing a request, finding and inserting a key, writing a reply.
//! `cargo bench -p tessera-core`. One iteration is one request, one key or one reply, as the name says.

#![allow(
    missing_docs,
    reason = "criterion's macros make functions of their own"
)]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tessera_core::entry::StrValue;
use tessera_core::resp::{Limits, Parsed, Parser, Proto, Reply, write_command};
use tessera_core::table::{ExpireChange, Table};

const SEED: u64 = 7;
/// A table that is larger than the caches.
const KEYS: usize = 1_000_000;
/// Insertions measured as one, from an empty table on, with all its splits.
const GROWN: usize = 100_000;
/// A step through the keys that visits them in no order that a prefetcher would know.
const STRIDE: usize = 7_368_787;

fn key(index: usize) -> Vec<u8> {
    format!("key:{index:012}").into_bytes()
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let value = vec![b'x'; 64];
    let requests: [(&str, Vec<Vec<u8>>); 3] = [
        ("GET", vec![b"GET".to_vec(), key(1)]),
        ("SET 64 B", vec![b"SET".to_vec(), key(1), value]),
        (
            "MGET 10",
            (0..11)
                .map(|i| if i == 0 { b"MGET".to_vec() } else { key(i) })
                .collect(),
        ),
    ];
    for (name, arguments) in &requests {
        for depth in [1usize, 16] {
            let mut bytes = Vec::new();
            for _ in 0..depth {
                write_command(&mut bytes, arguments);
            }
            let mut parser = Parser::new();
            group.throughput(Throughput::Elements(depth as u64));
            group.bench_function(
                BenchmarkId::new(*name, format!("pipeline {depth}")),
                |bencher| {
                    bencher.iter(|| parse_all(&mut parser, black_box(&bytes)));
                },
            );
        }
    }
    group.finish();
}

/// Parses every frame and looks at its arguments; their number.
fn parse_all(parser: &mut Parser, bytes: &[u8]) -> usize {
    let (mut at, mut arguments) = (0, 0);
    let limits = Limits::default();
    while let Ok(Parsed::Complete { consumed }) = parser.parse(&bytes[at..], &limits) {
        arguments += black_box(parser.args(&bytes[at..])).len();
        at += consumed;
        if at == bytes.len() {
            break;
        }
    }
    arguments
}

fn filled(keys: usize) -> Table {
    let mut table = Table::new(SEED);
    for index in 0..keys {
        set(&mut table, &key(index));
    }
    table
}

fn set(table: &mut Table, key: &[u8]) -> bool {
    let hash = table.hash(key);
    let done = table.set(hash, key, StrValue::Bytes(&[b'x'; 64]), ExpireChange::Clear);
    done.expect("64 bytes are there")
}

fn table(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table");
    let mut table = filled(KEYS);
    let names: Vec<Vec<u8>> = (0..KEYS).map(|i| key(i * STRIDE % KEYS)).collect();
    let misses: Vec<Vec<u8>> = (0..KEYS).map(|i| key(KEYS + i)).collect();
    let mut at = 0;
    let mut next = move || {
        at = (at + 1) % KEYS;
        at
    };
    group.bench_function("get, hit, 1 M keys", |bencher| {
        bencher.iter(|| {
            let key = &names[next()];
            black_box(table.get(table.hash(key), key).is_some())
        });
    });
    group.bench_function("get, miss, 1 M keys", |bencher| {
        bencher.iter(|| {
            let key = &misses[next()];
            black_box(table.get(table.hash(key), key).is_some())
        });
    });
    group.bench_function("overwrite, 1 M keys", |bencher| {
        bencher.iter(|| black_box(set(&mut table, &names[next()])));
    });
    group.bench_function("remove and insert, 1 M keys", |bencher| {
        bencher.iter(|| {
            let key = &names[next()];
            let hash = table.hash(key);
            drop(table.remove(hash, key));
            set(&mut table, key)
        });
    });
    group.sample_size(20);
    group.throughput(Throughput::Elements(GROWN as u64));
    group.bench_function("grow from empty to 100 k keys", |bencher| {
        bencher.iter_batched(
            || Table::new(SEED),
            |mut table| {
                for name in &names[..GROWN] {
                    set(&mut table, name);
                }
                table
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn reply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reply");
    let mut out = Vec::with_capacity(1 << 16);
    let values: [(&str, Vec<u8>); 2] = [
        ("bulk 64 B", vec![b'x'; 64]),
        ("bulk 1 KiB", vec![b'x'; 1024]),
    ];
    for (name, value) in &values {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                out.clear();
                Reply::new(&mut out, Proto::Resp2).bulk(black_box(value));
                out.len()
            });
        });
    }
    group.bench_function("integer", |bencher| {
        bencher.iter(|| {
            out.clear();
            Reply::new(&mut out, Proto::Resp2).integer(black_box(1_234_567));
            out.len()
        });
    });
    group.bench_function("array of 100 bulks of 16 B", |bencher| {
        bencher.iter(|| {
            out.clear();
            let mut reply = Reply::new(&mut out, Proto::Resp2);
            reply.array(100);
            for _ in 0..100 {
                reply.bulk(black_box(&[b'x'; 16]));
            }
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, parse, table, reply);
criterion_main!(benches);
