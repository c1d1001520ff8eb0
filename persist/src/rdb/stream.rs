//! Reading a stream: its blocks one by one, then its groups.

use std::io::BufRead;

use tessera_core::object::{Collection, Object};
use tessera_core::stream::{ConsumerParts, Entries, EntriesParts, Group, Groups, Stream, StreamId};

use super::error::RdbError;
use super::input::Input;
use super::kind;
use super::reader::listpack;

/// A stream under way.
pub(super) struct StreamReader {
    kind: u8,
    blocks_left: u64,
    entries: Option<Entries>,
    /// What has come while `entries` is not whole.
    parts: EntriesParts,
    /// Known when the entries are.
    groups_left: u64,
    groups: Groups,
}

fn id<R: BufRead>(input: &mut Input<R>) -> Result<StreamId, RdbError> {
    Ok(StreamId::new(input.count()?, input.count()?))
}

/// A group's pending entry: id, delivered, deliveries.
type Pending = (StreamId, u64, u64);

impl StreamReader {
    pub(super) fn begin<R: BufRead>(kind: u8, input: &mut Input<R>) -> Result<Self, RdbError> {
        Ok(Self {
            kind,
            blocks_left: input.count()?,
            entries: None,
            parts: EntriesParts {
                blocks: Vec::new(),
                last_id: StreamId::MIN,
                max_deleted_id: StreamId::MIN,
                added: None,
            },
            groups_left: 0,
            groups: Groups::default(),
        })
    }

    /// Reads a block, what stands behind the blocks, or a group. Says whether that was all.
    pub(super) fn step<R: BufRead>(&mut self, input: &mut Input<R>) -> Result<bool, RdbError> {
        if self.entries.is_none() {
            if self.blocks_left > 0 {
                self.blocks_left -= 1;
                self.block(input)?;
                return Ok(false);
            }
            self.ids(input)?;
            self.groups_left = input.count()?;
            return Ok(self.groups_left == 0);
        }
        self.group(input)?;
        self.groups_left -= 1;
        Ok(self.groups_left == 0)
    }

    fn block<R: BufRead>(&mut self, input: &mut Input<R>) -> Result<(), RdbError> {
        let id = input
            .string()?
            .try_into()
            .map_err(|_| RdbError::Corrupt("a stream's block without an id"))?;
        let pack = listpack(input.string()?)?;
        self.parts.blocks.push((StreamId::from_bytes(id), pack));
        Ok(())
    }

    /// What stands behind the blocks: length and ids.
    fn ids<R: BufRead>(&mut self, input: &mut Input<R>) -> Result<(), RdbError> {
        let len = input.count()?;
        self.parts.last_id = id(input)?;
        if self.kind != kind::STREAM {
            id(input)?; // the first one, which is in the first block
            self.parts.max_deleted_id = id(input)?;
            self.parts.added = Some(input.count()?);
        }
        let fresh = EntriesParts {
            blocks: Vec::new(),
            ..self.parts
        };
        let parts = std::mem::replace(&mut self.parts, fresh);
        let entries = Entries::from_parts(parts)
            .filter(|entries| entries.len() as u64 == len)
            .ok_or(RdbError::Corrupt(
                "a stream's entries are not as they should be",
            ))?;
        self.entries = Some(entries);
        Ok(())
    }

    fn group<R: BufRead>(&mut self, input: &mut Input<R>) -> Result<(), RdbError> {
        const TWICE: RdbError = RdbError::Corrupt("a stream's group is there twice or wrong");
        let name = input.string()?;
        let last_id = id(input)?;
        let entries = self.entries.as_ref().ok_or(TWICE)?;
        let entries_read = if self.kind == kind::STREAM {
            entries.count_up_to(last_id)
        } else {
            Some(input.count()? as i64).filter(|read| *read >= 0)
        };
        let pending = pending(input)?;
        let consumers = (0..input.count()?)
            .map(|_| self.consumer(input))
            .collect::<Result<Vec<_>, _>>()?;
        let group = Group::from_parts(last_id, entries_read, &pending, consumers).ok_or(TWICE)?;
        if !self.groups.insert(&name, group) {
            return Err(TWICE);
        }
        Ok(())
    }

    fn consumer<R: BufRead>(&self, input: &mut Input<R>) -> Result<ConsumerParts, RdbError> {
        let name = input.string()?;
        let seen_ms = input.u64()?;
        let active_ms = if self.kind == kind::STREAM_3 {
            Some(input.u64()?).filter(|at_ms| *at_ms != u64::MAX)
        } else {
            Some(seen_ms)
        };
        let pending = (0..input.count()?)
            .map(|_| input.array().map(StreamId::from_bytes))
            .collect::<Result<_, _>>()?;
        Ok(ConsumerParts {
            name,
            seen_ms,
            active_ms,
            pending,
        })
    }

    pub(super) fn finish(self) -> Result<Object, RdbError> {
        let entries = self.entries.ok_or(RdbError::Truncated)?;
        let stream = Stream {
            entries,
            groups: self.groups,
        };
        Ok(stream.into_object())
    }
}

fn pending<R: BufRead>(input: &mut Input<R>) -> Result<Vec<Pending>, RdbError> {
    (0..input.count()?)
        .map(|_| {
            let id = StreamId::from_bytes(input.array()?);
            Ok((id, input.u64()?, input.count()?))
        })
        .collect()
}
