//! COPY of something large: in slices, while both keys stay locked. The elements of a collection go the way that they would go to a snapshot and back, a
//! slice at a time; the blocks of a stream and the bytes of a string are copied as they are. The copy is kept in the same way as what it was made of,
//! whatever the limits say by now.

use tessera_core::entry::{Entry, OutOfMemory, StrValue, ValueRef};
use tessera_core::list::ListLimits;
use tessera_core::object::{Collection, Object, PackLimits, View};
use tessera_core::resp::{Chain, Proto, Reply};
use tessera_core::set::SetLimits;
use tessera_core::stream::Stream;
use tessera_persist::rdb::{Encoder, Input, Limits, RdbError, Value, ValueReader, ValueWriter};

use super::copy::Copy;
use crate::command::Task;
use crate::shard::Shard;

/// A collection of at most so many elements is copied at once; and as many are copied per slice.
const ELEMENTS_AT_ONCE: usize = 1024;
/// Blocks of a stream that are copied per slice.
const BLOCKS_PER_SLICE: usize = 64;
/// Bytes of a string that are copied per slice; a string of at most so many is copied at once.
const BYTES_PER_SLICE: usize = 1 << 20;

/// A copy that is being made.
enum Making {
    Elements(Box<Elements>),
    Stream(Box<Stream>),
    /// A string, as far as it has been copied; there until it is whole.
    Text(Option<Entry>),
}

/// Elements on their way.
struct Elements {
    writer: ValueWriter,
    reader: ValueReader,
    encoder: Encoder,
    /// What has been written and not been read yet: nothing, between two slices.
    bytes: Vec<u8>,
}

impl Elements {
    /// Copies some more; the copy when it is whole.
    fn step(&mut self, entry: &Entry) -> Result<Option<Object>, RdbError> {
        self.bytes.clear();
        self.writer
            .step(entry, &mut self.encoder, &mut self.bytes, ELEMENTS_AT_ONCE);
        let mut input = Input::new(&self.bytes[..]);
        while input.offset() < self.bytes.len() as u64 {
            if let Some(Value::Object(object)) = self.reader.step(&mut input, 1)? {
                return Ok(Some(object));
            }
        }
        Ok(None)
    }
}

/// Copies some more of a string and says whether that was all.
fn copy_bytes(copy: &mut Entry, bytes: &[u8]) -> Result<bool, OutOfMemory> {
    let done = copy.string().map_or(0, |value| value.len());
    let rest = bytes.get(done..).unwrap_or(b"");
    let part = rest.get(..BYTES_PER_SLICE).unwrap_or(rest);
    copy.append(part)?;
    Ok(part.len() == rest.len())
}

/// Limits which no collection of more than one element is within.
fn unpacked(shard: &Shard) -> Limits {
    let seed = shard.collection_seed();
    let pack = PackLimits {
        entries_max: 0,
        value_bytes_max: 0,
        seed,
    };
    Limits {
        hash: pack,
        list: ListLimits::of(1),
        set: SetLimits {
            integers_max: 0,
            entries_max: 0,
            value_bytes_max: 0,
            seed,
        },
        zset: pack,
    }
}

impl Making {
    /// Begins a copy, if it is to go on in slices.
    fn of(entry: &Entry, copy: &Copy, shard: &Shard) -> Result<Option<Self>, OutOfMemory> {
        if let Some(ValueRef::Bytes(bytes)) = entry.string() {
            return Self::of_bytes(bytes, copy, entry.expire_at());
        }
        let Some(object) = entry.object() else {
            return Ok(None);
        };
        if object.weight() <= ELEMENTS_AT_ONCE {
            return Ok(None);
        }
        if let View::Stream(_) = object.view() {
            return Ok(Some(Self::Stream(Box::default())));
        }
        // What is one blob is one copy.
        if !matches!(object.encoding(), "hashtable" | "quicklist" | "skiplist") {
            return Ok(None);
        }
        Ok(Self::of_elements(entry, shard))
    }

    fn of_bytes(
        bytes: &[u8],
        copy: &Copy,
        expire_at: Option<u64>,
    ) -> Result<Option<Self>, OutOfMemory> {
        if bytes.len() <= BYTES_PER_SLICE {
            return Ok(None);
        }
        let mut empty = Entry::try_new(copy.target(), StrValue::Bytes(b""), expire_at)?;
        empty.reserve(bytes.len())?;
        Ok(Some(Self::Text(Some(empty))))
    }

    fn of_elements(entry: &Entry, shard: &Shard) -> Option<Self> {
        let (mut encoder, mut bytes) = (Encoder::new(false), Vec::new());
        let writer = ValueWriter::begin(entry, &mut encoder, &mut bytes)?;
        let mut input = Input::new(&bytes[..]);
        let kind = ValueWriter::kind(entry);
        // The time 0: fields whose time has come are copied, too.
        let reader = ValueReader::begin(kind, &mut input, unpacked(shard), 0).ok()?;
        bytes.clear();
        Some(Self::Elements(Box::new(Elements {
            writer,
            reader,
            encoder,
            bytes,
        })))
    }

    /// Copies some more; the copy when it is whole.
    fn step(&mut self, entry: &Entry, copy: &Copy) -> Result<Option<Entry>, OutOfMemory> {
        let object = match self {
            // What was just written can be read.
            Self::Elements(elements) => elements.step(entry).map_err(|_| OutOfMemory)?,
            Self::Stream(copy) => {
                let stream = entry.object().and_then(Stream::of);
                let is_whole = stream.is_none_or(|stream| stream.copy_some(copy, BLOCKS_PER_SLICE));
                is_whole.then(|| std::mem::take(&mut **copy).into_object())
            }
            Self::Text(text) => {
                let (Some(part), Some(ValueRef::Bytes(bytes))) = (&mut *text, entry.string())
                else {
                    return Err(OutOfMemory);
                };
                let is_whole = copy_bytes(part, bytes)?;
                return Ok(if is_whole { text.take() } else { None });
            }
        };
        Ok(object.map(|object| copy.entry(entry, object)))
    }
}

/// See the head of this file.
pub(super) struct Copying {
    copy: Copy,
    making: Making,
    proto: Proto,
}

impl Copying {
    /// The task that makes this copy, if it takes long.
    pub(super) fn of(
        entry: &Entry,
        copy: &Copy,
        shard: &Shard,
        proto: Proto,
    ) -> Result<Option<Self>, OutOfMemory> {
        let making = Making::of(entry, copy, shard)?;
        Ok(making.map(|making| Self {
            copy: copy.clone(),
            making,
            proto,
        }))
    }
}

impl Task for Copying {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let mut reply = Reply::new(reply.tail(), self.proto);
        let (db, from) = self.copy.source();
        let Some(entry) = shard.table(db).get(shard.hash(from), from) else {
            // Its time has come.
            reply.integer(0);
            return true;
        };
        match self.making.step(entry, &self.copy) {
            Ok(None) => return false,
            Ok(Some(copy)) => {
                self.copy.put(shard, copy);
                reply.integer(1);
            }
            Err(OutOfMemory) => reply.refuse(),
        }
        true
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn large_ones_in_slices() {
        let mut rig = Rig::new();
        for n in 0..5_000 {
            rig.run(&format!("HSET h f{n} v{n}"));
            rig.run(&format!("SADD s m{n}"));
            rig.run(&format!("ZADD z {n} m{n}"));
            rig.run(&format!("RPUSH l element:{n}"));
            rig.run(&format!("XADD x {}-1 f v{n}", n + 1));
        }
        rig.run("HEXPIRE h 1000 FIELDS 1 f7");
        rig.run("XGROUP CREATE x g 5-1");
        for (key, size, look) in [
            ("h", "HLEN", "HGET $ f4999"),
            ("s", "SCARD", "SISMEMBER $ m4999"),
            ("z", "ZCARD", "ZRANK $ m4321"),
            ("l", "LLEN", "LINDEX $ 4321"),
            ("x", "XLEN", "XRANGE $ 777 778"),
        ] {
            rig.check(&[
                ("SET copy old EX 100", "OK"),
                (&format!("COPY {key} copy"), "0"),
            ]);
            assert_eq!(rig.run(&format!("COPY {key} copy REPLACE")), "1");
            assert!(rig.slices > 0, "{key}");
            assert_eq!(rig.run(&format!("{size} copy")), "5000");
            assert_eq!(
                rig.run(&look.replace('$', "copy")),
                rig.run(&look.replace('$', key))
            );
            let encodings = [key, "copy"].map(|key| rig.run(&format!("OBJECT ENCODING {key}")));
            assert_eq!(encodings[0], encodings[1]);
            rig.check(&[("TTL copy", "-1")]);
        }
        rig.check(&[
            ("COPY h copy REPLACE", "1"),
            ("HTTL copy FIELDS 2 f7 f8", "[1000 -1]"),
            ("COPY x copy DB 1", "1"),
        ]);
    }

    /// Written in the order in which another table is walked, a table of the same seed would be mostly holes.
    #[test]
    fn what_is_copied_lies_evenly() {
        let mut rig = Rig::new();
        for start in (0..50_000).step_by(1_000) {
            let members: Vec<String> = (start..start + 1_000).map(|n| format!("m{n}")).collect();
            rig.run(&format!("SADD s {}", members.join(" ")));
        }
        rig.check(&[("COPY s copy", "1"), ("SUNIONSTORE union s none", "50000")]);
        let [model, copy, union] = ["s", "copy", "union"].map(|key| {
            let bytes = rig.run(&format!("MEMORY USAGE {key}"));
            bytes.parse::<usize>().expect("a number")
        });
        for bytes in [copy, union] {
            assert!(bytes < model + model / 8, "{bytes} instead of {model}");
        }
    }

    #[test]
    fn the_copy_is_kept_as_its_model() {
        let mut rig = Rig::new();
        for n in 0..2_000 {
            rig.run(&format!("SADD s m{n}"));
        }
        rig.shard.settings.thresholds.set_entries_max = 4_000;
        rig.check(&[
            ("COPY s copy", "1"),
            ("OBJECT ENCODING copy", "\"hashtable\""),
        ]);
    }

    #[test]
    fn large_strings_in_slices() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SETRANGE k 5000000 end", "5000003"),
            ("SETRANGE k 1500000 middle", "5000003"),
            ("EXPIRE k 100", "1"),
            ("COPY k copy", "1"),
        ]);
        assert_eq!(rig.slices, 5);
        rig.check(&[
            ("STRLEN copy", "5000003"),
            ("GETRANGE copy 1500000 1500005", "\"middle\""),
            ("GETRANGE copy 5000000 -1", "\"end\""),
            ("BITCOUNT copy 0 1499999", "0"),
            ("TTL copy", "100"),
            ("OBJECT ENCODING copy", "\"raw\""),
            ("SETRANGE copy 0 x", "5000003"),
            ("GETRANGE k 0 0", "\"\\x00\""),
        ]);
    }
}
