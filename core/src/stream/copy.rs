//! A copy of a stream, made in steps: whoever makes it sees to it that the stream stays as it is meanwhile.

use super::{Entries, Stream};

impl Stream {
    /// Adds some more blocks of this stream to a copy, which was empty at first, and says whether it is whole: before that it is not to be used. The groups are
    /// copied in the last step, at once.
    pub fn copy_some(&self, copy: &mut Self, blocks: usize) -> bool {
        let (from, to) = (&self.entries, &mut copy.entries);
        let last = to.blocks.iter().next_back().map(|(id, _)| id);
        let mut rest = from.blocks.above(last);
        for (id, pack) in rest.by_ref().take(blocks) {
            // A copy has no room to spare.
            let pack = pack.clone();
            to.bytes += pack.heap_bytes();
            to.blocks.push(id, pack);
        }
        if rest.next().is_some() {
            return false;
        }
        to.blocks.shrink();
        *to = Entries {
            blocks: std::mem::take(&mut to.blocks),
            bytes: to.bytes,
            ..*from
        };
        copy.groups = self.groups.clone();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Group, NewId, NodeLimits, Stream, StreamId};

    #[test]
    fn a_copy_in_steps_is_the_same_stream() {
        let limits = NodeLimits {
            bytes_max: 4096,
            entries_max: 10,
        };
        let mut stream = Stream::new();
        for ms in 1..=95 {
            let id = NewId::Given(StreamId::new(ms, 0));
            stream
                .entries
                .append(id, &[b"field", b"value"], &limits, 0)
                .expect("ids ascend");
        }
        assert!(stream.entries.delete(StreamId::new(95, 0)));
        stream
            .groups
            .insert(b"g", Group::new(StreamId::new(7, 0), None));
        let (mut copy, mut steps) = (Stream::new(), 1);
        while !stream.copy_some(&mut copy, 3) {
            steps += 1;
        }
        assert_eq!(steps, 4);
        let ids = |stream: &Stream| -> Vec<StreamId> {
            let all = stream.entries.range(StreamId::MIN, StreamId::MAX);
            all.map(|entry| entry.id).collect()
        };
        assert_eq!(ids(&copy), ids(&stream));
        assert_eq!(copy.len(), 94);
        assert_eq!(copy.entries.last_id(), StreamId::new(95, 0));
        assert_eq!(copy.entries.max_deleted_id(), StreamId::new(95, 0));
        assert_eq!(copy.entries.added(), 95);
        assert_eq!(copy.groups, stream.groups);
        assert_eq!(copy.heap_bytes(), stream.clone().heap_bytes());
    }
}
