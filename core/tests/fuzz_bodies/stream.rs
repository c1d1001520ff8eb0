//! Streams: ids as text, and blocks from elsewhere.

use tessera_core::listpack::{Item, Listpack};
use tessera_core::stream::{Entries, EntriesParts, NewId, StreamId};

/// An id as text, and a block of the numbers behind it.
pub(crate) fn stream(data: &[u8]) {
    let (text, numbers) = super::split::split(data);
    id(text);
    block(numbers);
}

fn id(text: &[u8]) {
    let Some(id) = StreamId::parse(text, 7) else {
        assert!(!matches!(NewId::parse(text), Some(NewId::Given(_))));
        return;
    };
    assert_eq!(StreamId::parse(id.shown().as_ref(), 0), Some(id));
    assert_eq!(id.shown().as_ref(), id.to_string().as_bytes());
    assert_eq!(StreamId::from_bytes(id.to_bytes()), id);
    assert_eq!(StreamId::parse_edge(text, 7), Some(id));
    for (there, back) in [
        (id.next(), StreamId::prev as fn(_) -> _),
        (id.prev(), StreamId::next),
    ] {
        assert_eq!(there.and_then(back), there.map(|_| id));
    }
    let seq = id.seq;
    if let Some(NewId::Given(given)) = NewId::parse(text) {
        assert!(given == id || (given.ms == id.ms && given.seq == 0 && seq == 7));
    }
}

/// What is taken as a block can be read in both directions, with the same entries.
fn block(numbers: &[u8]) {
    let mut pack = Listpack::new();
    pack.push_items(numbers.iter().map(|number| Item::Int((*number).into())));
    let block = StreamId::new(1, 1);
    let Some(mut entries) = Entries::from_parts(EntriesParts {
        blocks: vec![(block, pack)],
        last_id: StreamId::MAX,
        max_deleted_id: StreamId::MIN,
        added: None,
    }) else {
        return;
    };
    let forward: Vec<(StreamId, usize)> = entries
        .range(StreamId::MIN, StreamId::MAX)
        .map(|entry| (entry.id, entry.fields().count()))
        .collect();
    let mut backward: Vec<(StreamId, usize)> = entries
        .range_back(StreamId::MIN, StreamId::MAX)
        .map(|entry| (entry.id, entry.len()))
        .collect();
    backward.reverse();
    assert_eq!(forward, backward);
    assert_eq!(forward.len(), entries.len());
    for (id, _) in forward {
        assert!(entries.delete(id));
    }
    assert!(entries.is_empty());
}
