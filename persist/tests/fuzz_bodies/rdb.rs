//! RDB: a value and a file from anywhere. What is taken can be written and taken again, in pieces of any size, with as many elements.

use tessera_core::list::ListLimits;
use tessera_core::object::PackLimits;
use tessera_core::set::SetLimits;
use tessera_persist::rdb::{
    Encoder, FileReader, Input, Limits, RdbError, Value, ValueReader, ValueWriter, dump_footer,
    payload_of,
};

/// A type, and a value of it; the same as a file.
pub(crate) fn rdb(data: &[u8]) {
    if let Some((kind, value)) = data.split_first()
        && let Ok(value) = read(*kind, value, usize::MAX)
    {
        again(value);
    }
    let file = [b"REDIS0011", data].concat();
    if let Ok(mut reader) = FileReader::new(file.as_slice(), limits(), 0) {
        while let Ok(Some(_)) = reader.next_record() {}
        assert!(reader.offset() <= file.len() as u64);
    }
}

fn limits() -> Limits {
    let pack = PackLimits {
        entries_max: 8,
        value_bytes_max: 30,
        seed: 5,
    };
    Limits {
        hash: pack,
        list: ListLimits::of(4),
        set: SetLimits {
            integers_max: 6,
            entries_max: 8,
            value_bytes_max: 30,
            seed: 5,
        },
        zset: pack,
    }
}

fn read(kind: u8, bytes: &[u8], elements: usize) -> Result<Value, RdbError> {
    let mut input = Input::new(bytes);
    let mut reader = ValueReader::begin(kind, &mut input, limits(), 0)?;
    loop {
        if let Some(value) = reader.step(&mut input, elements)? {
            return Ok(value);
        }
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Int(number) => number.to_string().len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Long(entry) => entry.string().map_or(0, |value| value.len()),
        Value::Object(object) => object.weight(),
    }
}

fn again(value: Value) {
    let before = weight(&value);
    let entry = value.into_entry(b"k", None).expect("what is read is small");
    let mut encoder = Encoder::new(true);
    let mut payload = vec![ValueWriter::kind(&entry)];
    if let Some(mut writer) = ValueWriter::begin(&entry, &mut encoder, &mut payload) {
        while !writer.step(&entry, &mut encoder, &mut payload, 3) {}
    }
    dump_footer(&mut payload);
    let (kind, bytes) = payload_of(&payload).expect("its checksum was computed just now");
    let value = read(kind, bytes, 2).expect("it was written just now");
    assert_eq!(weight(&value), before);
}
