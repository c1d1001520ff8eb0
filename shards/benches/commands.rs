//! Commands without a network, in memtier's manner: request bytes through parser, registry, engine and table to reply
//! bytes, by ratio, value size, key distribution and pipeline depth; and a hop to another shard and back.
//! `cargo bench -p tessera-shards`. One element is one command.

#![allow(
    missing_docs,
    reason = "criterion's macros make functions of their own"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tessera_core::resp::{Limits, Parsed, Parser, Proto, write_command};
use tessera_core::slot::key_slot;
use tessera_io::ConnId;
use tessera_shards::command::Registry;
use tessera_shards::commands::FAMILIES;
use tessera_shards::coordinator::{Asker, Engine, Submitted};
use tessera_shards::mesh::{Batch, Item, Mesh};
use tessera_shards::shard::Shard;

const KEYS: usize = 1_000_000;
/// Commands made beforehand and played in a circle.
const COMMANDS: usize = 1 << 16;
const DATABASES: usize = 16;
const SEED: u64 = 7;
const NOW_MS: u64 = 1_700_000_000_000;
const SLOTS: usize = 16_384;

fn key(index: usize) -> Vec<u8> {
    format!("key:{index:012}").into_bytes()
}

/// xorshift64*: enough to draw keys with.
struct Draw(u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Which keys a mix names.
#[derive(Clone, Copy)]
enum Keys {
    Uniform,
    /// Zipf with exponent 1, by the inverse of its continuous form.
    Zipf,
}

impl Keys {
    fn draw(self, draw: &mut Draw) -> usize {
        match self {
            Self::Uniform => (draw.bits() % KEYS as u64) as usize,
            Self::Zipf => ((KEYS as f64).powf(draw.unit()) as usize - 1).min(KEYS - 1),
        }
    }
}

/// A mix of SET and GET.
struct Mix {
    name: &'static str,
    sets_in_11: usize,
    value_bytes: usize,
    keys: Keys,
    depth: usize,
}

const MIXES: &[Mix] = &[
    Mix {
        name: "GET",
        sets_in_11: 0,
        value_bytes: 64,
        keys: Keys::Uniform,
        depth: 1,
    },
    Mix {
        name: "SET",
        sets_in_11: 11,
        value_bytes: 64,
        keys: Keys::Uniform,
        depth: 1,
    },
    Mix {
        name: "1:10",
        sets_in_11: 1,
        value_bytes: 64,
        keys: Keys::Uniform,
        depth: 1,
    },
    Mix {
        name: "1:10",
        sets_in_11: 1,
        value_bytes: 64,
        keys: Keys::Uniform,
        depth: 16,
    },
    Mix {
        name: "1:10",
        sets_in_11: 1,
        value_bytes: 64,
        keys: Keys::Uniform,
        depth: 50,
    },
    Mix {
        name: "1:10",
        sets_in_11: 1,
        value_bytes: 1024,
        keys: Keys::Uniform,
        depth: 16,
    },
    Mix {
        name: "1:10, Zipf 1",
        sets_in_11: 1,
        value_bytes: 64,
        keys: Keys::Zipf,
        depth: 16,
    },
];

impl Mix {
    /// Request bytes of `depth` commands each.
    fn requests(&self) -> Vec<Vec<u8>> {
        let mut draw = Draw(SEED);
        let value = vec![b'x'; self.value_bytes];
        let request = |batch: usize| {
            let mut bytes = Vec::new();
            for place in 0..self.depth {
                let key = key(self.keys.draw(&mut draw));
                if (batch * self.depth + place) % 11 < self.sets_in_11 {
                    write_command(&mut bytes, &[b"SET".as_slice(), &key, &value]);
                } else {
                    write_command(&mut bytes, &[b"GET".as_slice(), &key]);
                }
            }
            bytes
        };
        (0..COMMANDS / self.depth).map(request).collect()
    }
}

fn engine(id: usize, shards: usize) -> Engine<()> {
    let mut shard = Shard::new(id, DATABASES, SEED, SEED);
    shard.now_ms = NOW_MS;
    Engine::new(shard, shards, FAMILIES)
}

fn asker() -> Asker {
    Asker {
        conn: ConnId {
            index: 0,
            generation: 0,
        },
        seq: 0,
        db: 0,
        proto: Proto::Resp2,
        no_touch: false,
        tracker: None,
        batched: None,
    }
}

/// Plays requests against an engine that holds all keys itself; the bytes of the replies.
fn play(
    engine: &mut Engine<()>,
    registry: &Registry<()>,
    parser: &mut Parser,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> usize {
    let limits = Limits::default();
    let mut at = 0;
    while at < bytes.len() {
        let Ok(Parsed::Complete { consumed }) = parser.parse(&bytes[at..], &limits) else {
            break;
        };
        let args = parser.args(&bytes[at..]);
        if let Some(command) = registry.find(args[0]) {
            engine.submit(command.number, &asker(), &args, out);
        }
        at += consumed;
    }
    out.len()
}

fn mixes(criterion: &mut Criterion) {
    let registry: Registry<()> = Registry::new(FAMILIES, &[]);
    let mut group = criterion.benchmark_group("in process");
    for mix in MIXES {
        let mut engine = engine(0, 1);
        let (mut parser, mut out) = (Parser::new(), Vec::new());
        let value = vec![b'x'; mix.value_bytes];
        for index in 0..KEYS {
            let mut bytes = Vec::new();
            write_command(&mut bytes, &[b"SET".as_slice(), &key(index), &value]);
            out.clear();
            play(&mut engine, &registry, &mut parser, &bytes, &mut out);
        }
        let requests = mix.requests();
        let mut at = 0;
        group.throughput(Throughput::Elements(mix.depth as u64));
        let parameter = format!("{} B, pipeline {}", mix.value_bytes, mix.depth);
        group.bench_function(BenchmarkId::new(mix.name, parameter), |bencher| {
            bencher.iter(|| {
                at = (at + 1) % requests.len();
                out.clear();
                black_box(play(
                    &mut engine,
                    &registry,
                    &mut parser,
                    &requests[at],
                    &mut out,
                ))
            });
        });
    }
    group.finish();
}

/// Two shards on one thread: a batch of GETs goes from the first to the second, and the replies come back.
fn hop(criterion: &mut Criterion) {
    let registry: Registry<()> = Registry::new(FAMILIES, &[]);
    let get = registry.find(b"get").expect("GET is a command").number;
    let set = registry.find(b"set").expect("SET is a command").number;
    let mesh: Mesh<()> = Mesh::new(2);
    let (mut here, mut there) = (engine(0, 2), engine(1, 2));
    let is_there = |key: &Vec<u8>| usize::from(key_slot(key)) >= SLOTS / 2;
    let keys: Vec<Vec<u8>> = (0..10_000).map(key).filter(is_there).collect();
    let mut mail = Vec::new();
    for key in &keys {
        let mut out = Vec::new();
        here.submit(set, &asker(), &[b"SET", key, &[b'x'; 64]], &mut out);
        round_trip(&mut here, &mut there, &mesh, &mut mail);
    }
    let mut group = criterion.benchmark_group("hop round trip");
    for depth in [1usize, 16, 64] {
        let mut at = 0;
        group.throughput(Throughput::Elements(depth as u64));
        group.bench_function(
            BenchmarkId::new("GET", format!("{depth} in a batch")),
            |bencher| {
                bencher.iter(|| {
                    let mut out = Vec::new();
                    for _ in 0..depth {
                        at = (at + 1) % keys.len();
                        let submitted = here.submit(get, &asker(), &[b"GET", &keys[at]], &mut out);
                        debug_assert_eq!(submitted, Submitted::Batched(1));
                    }
                    black_box(round_trip(&mut here, &mut there, &mesh, &mut mail))
                });
            },
        );
    }
    group.finish();
}

/// Takes the batch over, has it carried out, and takes the replies back; their bytes.
fn round_trip(
    here: &mut Engine<()>,
    there: &mut Engine<()>,
    mesh: &Mesh<()>,
    mail: &mut Vec<Batch<()>>,
) -> usize {
    here.take_spans();
    if let Some(batch) = here.take_batch(1, Vec::new()) {
        mesh.append(1, batch);
    }
    mesh.take(1, mail);
    for batch in mail.drain(..) {
        batch.open(&mut |item: Item<'_, ()>| {
            if let Item::Request(head, args) = item {
                there.request(&head, args);
            }
        });
    }
    if let Some(batch) = there.take_batch(0, Vec::new()) {
        mesh.append(0, batch);
    }
    mesh.take(0, mail);
    let mut bytes = 0;
    for batch in mail.drain(..) {
        batch.open(&mut |item: Item<'_, ()>| {
            if let Item::Reply(_, reply) = item {
                bytes += reply.len();
            }
        });
    }
    assert!(bytes > 0, "no reply came back");
    bytes
}

criterion_group!(benches, mixes, hop);
criterion_main!(benches);
