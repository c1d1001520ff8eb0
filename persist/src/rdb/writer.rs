//! Writing a value, at once or in pieces.
//!
//! Owns [`ValueWriter`]: a place in a value. Between two steps the value must not change: whoever writes in slices holds the key. What is written is what
//! Redis 7.0 reads, but for hashes with lifetimes of fields.

use tessera_core::entry::{Entry, ValueRef};
use tessera_core::hash::{Hash, HashEncoding};
use tessera_core::list::{List, NodeRef};
use tessera_core::object::{Object, View};
use tessera_core::set::{Set, SetEncoding};
use tessera_core::stream::{Group, Stream};
use tessera_core::zset::Zset;

use super::encoder::{Encoder, put_id, put_length};
use super::kind;

/// Elements that a node or block counts for.
const ELEMENTS_PER_NODE: usize = 64;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct ValueWriter {
    /// A table's cursor, a rank, or the number of a node.
    at: u64,
    /// The least time at which a field's life ends, if there is one.
    first_ms: Option<u64>,
}

impl ValueWriter {
    /// The number of the type that is written before the key.
    #[must_use]
    pub fn kind(entry: &Entry) -> u8 {
        match entry.object().map(Object::view) {
            None => kind::STRING,
            Some(View::List(_)) => kind::LIST_QUICKLIST_2,
            Some(View::Set(set)) => match set.repr() {
                SetEncoding::Integers(_) => kind::SET_INTSET,
                SetEncoding::Packed(_) | SetEncoding::Table(_) => kind::SET,
            },
            Some(View::Zset(zset)) => match zset.as_listpack() {
                Some(_) => kind::ZSET_LISTPACK,
                None => kind::ZSET_2,
            },
            Some(View::Hash(hash)) => match hash.repr() {
                HashEncoding::Packed(_) => kind::HASH_LISTPACK,
                HashEncoding::Timed(_) | HashEncoding::Table(_) if hash.ttl_len() > 0 => {
                    kind::HASH_TTL
                }
                HashEncoding::Timed(_) | HashEncoding::Table(_) => kind::HASH,
            },
            Some(View::Stream(_)) => kind::STREAM_2,
        }
    }

    /// Writes what stands before the elements, which for a value in one piece is all of it: then there is nothing to come back for.
    #[must_use]
    pub fn begin(entry: &Entry, encoder: &mut Encoder, out: &mut Vec<u8>) -> Option<Self> {
        let mut writer = Self::default();
        match (entry.string(), entry.object()) {
            (Some(ValueRef::Int(number)), _) => encoder.integer(number, out),
            (Some(ValueRef::Bytes(bytes)), _) => encoder.string(bytes, out),
            (None, Some(object)) => return writer.head(object, encoder, out).then_some(writer),
            (None, None) => encoder.string(b"", out),
        }
        None
    }

    /// Writes what stands before the elements of a collection; false if that is all of it.
    fn head(&mut self, object: &Object, encoder: &mut Encoder, out: &mut Vec<u8>) -> bool {
        match object.view() {
            View::List(list) => put_length(list.node_count() as u64, out),
            View::Set(set) => match set.repr() {
                SetEncoding::Integers(intset) => {
                    encoder.string(intset.as_bytes(), out);
                    return false;
                }
                SetEncoding::Packed(_) | SetEncoding::Table(_) => {
                    put_length(set.len() as u64, out);
                }
            },
            View::Zset(zset) => {
                if let Some(pack) = zset.as_listpack() {
                    encoder.string(pack.as_bytes(), out);
                    return false;
                }
                put_length(zset.len() as u64, out);
            }
            View::Hash(hash) => {
                if let HashEncoding::Packed(pack) = hash.repr() {
                    encoder.string(pack.as_bytes(), out);
                    return false;
                }
                if hash.ttl_len() > 0 {
                    let first_ms = first_end(hash);
                    self.first_ms = Some(first_ms);
                    out.extend_from_slice(&first_ms.to_le_bytes());
                }
                put_length(hash.len() as u64, out);
            }
            View::Stream(stream) => put_length(stream.entries.blocks_len() as u64, out),
        }
        true
    }

    /// Writes about this many elements more and says whether that was all.
    pub fn step(
        &mut self,
        entry: &Entry,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
        elements: usize,
    ) -> bool {
        match entry.object().map(Object::view) {
            None => true,
            Some(View::List(list)) => self.nodes(list, encoder, out, elements),
            Some(View::Set(set)) => self.members(set, encoder, out, elements),
            Some(View::Zset(zset)) => self.scored(zset, encoder, out, elements),
            Some(View::Hash(hash)) => self.fields(hash, encoder, out, elements),
            Some(View::Stream(stream)) => self.blocks(stream, encoder, out, elements),
        }
    }

    /// Writes a whole value.
    pub fn write(entry: &Entry, encoder: &mut Encoder, out: &mut Vec<u8>) {
        if let Some(mut writer) = Self::begin(entry, encoder, out) {
            while !writer.step(entry, encoder, out, usize::MAX) {}
        }
    }

    fn nodes(
        &mut self,
        list: &List,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
        elements: usize,
    ) -> bool {
        for _ in 0..elements.div_ceil(ELEMENTS_PER_NODE) {
            match list.node(self.at as usize) {
                None => return true,
                Some(NodeRef::Pack(pack)) => {
                    put_length(kind::NODE_PACKED, out);
                    encoder.string(pack.as_bytes(), out);
                }
                Some(NodeRef::Plain(bytes)) => {
                    put_length(kind::NODE_PLAIN, out);
                    encoder.string(bytes, out);
                }
            }
            self.at += 1;
        }
        self.at as usize >= list.node_count()
    }

    fn members(
        &mut self,
        set: &Set,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
        elements: usize,
    ) -> bool {
        let mut written = 0;
        while written < elements {
            self.at = set.walk(self.at, &mut |member| {
                encoder.item(member, out);
                written += 1;
            });
            if self.at == 0 {
                return true;
            }
        }
        false
    }

    fn scored(
        &mut self,
        zset: &Zset,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
        elements: usize,
    ) -> bool {
        let start = self.at as usize;
        let end = start.saturating_add(elements).min(zset.len());
        for (member, score) in zset.range(start..end) {
            encoder.item(member, out);
            out.extend_from_slice(&score.to_bits().to_le_bytes());
        }
        self.at = end as u64;
        end == zset.len()
    }

    fn fields(
        &mut self,
        hash: &Hash,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
        elements: usize,
    ) -> bool {
        let mut written = 0;
        let first_ms = self.first_ms;
        while written < elements {
            // The time 0: those whose time has come are counted, too.
            self.at = hash.scan(self.at, 0, &mut |field, value| {
                if let Some(first_ms) = first_ms {
                    let ends = hash.expire_at(&field.to_vec()).flatten();
                    put_length(ends.map_or(0, |at_ms| at_ms - first_ms + 1), out);
                }
                encoder.item(field, out);
                encoder.item(value, out);
                written += 1;
            });
            if self.at == 0 {
                return true;
            }
        }
        false
    }

    fn blocks(
        &mut self,
        stream: &Stream,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
        elements: usize,
    ) -> bool {
        let mut left = elements.div_ceil(ELEMENTS_PER_NODE);
        let from = self.at as usize;
        for (id, pack) in stream.entries.blocks().skip(from) {
            if left == 0 {
                return false;
            }
            left -= 1;
            self.at += 1;
            encoder.string(&id.to_bytes(), out);
            encoder.string(pack.as_bytes(), out);
        }
        put_stream_end(stream, encoder, out);
        true
    }
}

/// The earliest end of a field's life.
fn first_end(hash: &Hash) -> u64 {
    let mut first_ms = u64::MAX;
    hash.for_each(0, &mut |field, _| {
        let ends = hash.expire_at(&field.to_vec()).flatten();
        first_ms = first_ms.min(ends.unwrap_or(u64::MAX));
    });
    first_ms
}

/// What stands behind a stream's blocks.
fn put_stream_end(stream: &Stream, encoder: &mut Encoder, out: &mut Vec<u8>) {
    let entries = &stream.entries;
    put_length(entries.len() as u64, out);
    put_id(entries.last_id(), out);
    put_id(entries.first_id(), out);
    put_id(entries.max_deleted_id(), out);
    put_length(entries.added(), out);
    put_length(stream.groups.len() as u64, out);
    for (name, group) in stream.groups.iter() {
        encoder.string(name, out);
        put_group(group, encoder, out);
    }
}

fn put_group(group: &Group, encoder: &mut Encoder, out: &mut Vec<u8>) {
    put_id(group.last_id, out);
    put_length(group.entries_read.unwrap_or(-1) as u64, out);
    put_length(group.pending().len() as u64, out);
    for (id, pending) in group.pending() {
        out.extend_from_slice(&id.to_bytes());
        out.extend_from_slice(&pending.delivered_ms.to_le_bytes());
        put_length(pending.deliveries, out);
    }
    put_length(group.consumers_len() as u64, out);
    for consumer in group.consumers() {
        encoder.string(&consumer.name, out);
        out.extend_from_slice(&consumer.seen_ms.to_le_bytes());
        put_length(consumer.pending().len() as u64, out);
        for id in consumer.pending() {
            out.extend_from_slice(&id.to_bytes());
        }
    }
}
