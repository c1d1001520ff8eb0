//! A native file from anywhere: what is taken as whole can be read by any number of shards, and a chunk that lies is an error.

use tessera_core::list::ListLimits;
use tessera_core::object::PackLimits;
use tessera_core::set::SetLimits;
use tessera_persist::native::{
    ChunkHead, ChunkKind, FileSum, Footer, NativeFile, Taker, header, put_chunk_head,
};
use tessera_persist::rdb::Limits;

/// A file as it is; and the same bytes as the bodies of chunks whose checksums are right.
pub(crate) fn native(data: &[u8]) {
    take(data);
    let mut file = header(std::iter::empty());
    let mut sum = FileSum::of_header(&file);
    let mut footer = Footer::default();
    for (at, body) in data
        .chunks(data.first().map_or(1, |byte| usize::from(*byte) + 1))
        .enumerate()
    {
        let traits = body[0];
        let head = ChunkHead {
            kind: [ChunkKind::Keys, ChunkKind::Piece, ChunkKind::Function]
                [at % 3 * usize::from(traits & 1)],
            is_last: traits & 2 != 0,
            is_open: traits & 4 != 0,
            body_bytes: 0,
            db: u32::from(traits >> 6),
            db_last: 3,
            keys: 1,
            slot_first: 0,
            slot_last: u16::MAX,
            value: u64::from(traits >> 5),
            piece: u32::from(traits >> 3 & 3),
        };
        sum.add(put_chunk_head(head, &body[1..], &mut file));
        file.extend_from_slice(&body[1..]);
        footer.chunks += 1;
        footer.keys += u64::from(head.kind != ChunkKind::Function);
        footer.databases = 4;
    }
    footer.bytes = file.len() as u64;
    file.extend_from_slice(&footer.to_bytes(&sum));
    assert!(take(&file), "its checksums are right");
}

/// Takes what is in a file; says whether its checksums are right.
fn take(file: &[u8]) -> bool {
    let Ok(mut checked) = NativeFile::open(file) else {
        return false;
    };
    let mut takers: Vec<Taker> = (0..2).map(|_| Taker::new(limits(), 7)).collect();
    loop {
        match checked.next_chunk() {
            Ok(Some(chunk)) => {
                for (shard, taker) in takers.iter_mut().enumerate() {
                    let mut at = 0;
                    while at < chunk.body.len() {
                        let mine = |slot: u16| usize::from(slot & 1) == shard;
                        match taker.take(&chunk, at, 64, &mine, &mut |_| {}) {
                            Ok(next) => at = next,
                            Err(_) => break,
                        }
                    }
                }
            }
            Ok(None) => return true,
            Err(_) => return false,
        }
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
