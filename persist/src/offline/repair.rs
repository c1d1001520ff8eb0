//! Cuts what is damaged off a snapshot. The bytes that go are written to a file beside it first, then the rest takes the place of the old file in one step.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tessera_io::Mapped;

use crate::crc::checksum;
use crate::native::{ChunkHead, ChunkKind, FileSum, Footer, NativeFile, whole_chunk};
use crate::rdb::file_footer;

/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;

/// How much was cut off, and where it is.
type Cut = (u64, PathBuf);

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(extension);
    PathBuf::from(name)
}

/// A file beside this one that is not there yet.
fn place_for_cut(path: &Path) -> PathBuf {
    let mut place = beside(path, ".cut");
    let mut number = 1;
    while place.exists() {
        number += 1;
        place = beside(path, &format!(".cut-{number}"));
    }
    place
}

fn finish(file: File, temporary: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(temporary, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Cuts an RDB file off at this byte and gives it an end.
pub(super) fn cut_rdb(path: &Path, at: u64) -> io::Result<Cut> {
    let mut from = File::open(path)?;
    let kept = place_for_cut(path);
    let temporary = beside(path, ".repaired");
    let mut rest = File::create(&temporary)?;
    let (mut sum, mut left) = (checksum(), at);
    let mut buffer = vec![0; COPY_BYTES];
    while left > 0 {
        let length = left.min(COPY_BYTES as u64) as usize;
        from.read_exact(&mut buffer[..length])?;
        sum.update(&buffer[..length]);
        rest.write_all(&buffer[..length])?;
        left -= length as u64;
    }
    let mut end = Vec::new();
    file_footer(&mut end);
    sum.update(&end);
    rest.write_all(&end)?;
    rest.write_all(&sum.finalize().to_le_bytes())?;
    let mut cut = File::create_new(&kept)?;
    let bytes = io::copy(&mut from, &mut cut)?;
    cut.sync_all()?;
    finish(rest, &temporary, path)?;
    Ok((bytes, kept))
}

/// A chunk that is whole.
struct Whole {
    head: ChunkHead,
    at: Range<usize>,
    sum: u64,
}

/// Keeps all chunks of a native file that are whole, but for those of values and libraries that are not.
pub(super) fn cut_native(path: &Path) -> io::Result<Cut> {
    let file = Mapped::of(&File::open(path)?)?;
    let opened = NativeFile::open_torn(&file).map_err(io::Error::other)?;
    let begin = opened.offset();
    let chunks = whole_chunks(&file, begin);
    let chunks = without_parts(chunks);
    let temporary = beside(path, ".repaired");
    let mut rest = File::create(&temporary)?;
    let mut sum = FileSum::of_header(&file[..begin]);
    let mut footer = Footer::default();
    rest.write_all(&file[..begin])?;
    let mut length = begin;
    for chunk in &chunks {
        rest.write_all(&file[chunk.at.clone()])?;
        sum.add(chunk.sum);
        length += chunk.at.len();
        footer.chunks += 1;
        if chunk.head.kind != ChunkKind::Function {
            footer.keys += u64::from(chunk.head.keys);
            footer.databases = footer.databases.max(chunk.head.db_last + 1);
        }
    }
    footer.bytes = length as u64;
    rest.write_all(&footer.to_bytes(&sum))?;
    let kept = place_for_cut(path);
    let mut cut = File::create_new(&kept)?;
    let (mut at, mut bytes) = (begin, 0);
    let end = file.len()..file.len();
    for next in chunks.iter().map(|chunk| chunk.at.clone()).chain([end]) {
        cut.write_all(&file[at..next.start])?;
        bytes += (next.start - at) as u64;
        at = next.end;
    }
    cut.sync_all()?;
    finish(rest, &temporary, path)?;
    Ok((bytes, kept))
}

/// All chunks that are what they say, wherever they are.
fn whole_chunks(file: &[u8], begin: usize) -> Vec<Whole> {
    let (mut at, mut chunks) = (begin, Vec::new());
    while at < file.len() {
        match whole_chunk(&file[at..]) {
            Some((head, length, sum)) => {
                let end = at + length;
                chunks.push(Whole {
                    head,
                    at: at..end,
                    sum,
                });
                at = end;
            }
            None => at += 1,
        }
    }
    chunks
}

/// Leaves out pieces of what is not there from its first piece to its last.
fn without_parts(mut chunks: Vec<Whole>) -> Vec<Whole> {
    // Pieces in their order, and whether the last one was among them.
    let mut values: HashMap<u64, (u32, bool)> = HashMap::new();
    for chunk in &chunks {
        if chunk.head.kind == ChunkKind::Piece {
            let (next, is_whole) = values.entry(chunk.head.value).or_default();
            if *next == chunk.head.piece {
                *next += 1;
                *is_whole |= chunk.head.is_last;
            }
        }
    }
    let mut is_library = false;
    let mut library_ends = vec![false; chunks.len()];
    for (at, chunk) in chunks.iter().enumerate().rev() {
        if chunk.head.kind == ChunkKind::Function {
            is_library = chunk.head.is_last || is_library;
            library_ends[at] = is_library;
            is_library &= chunk.head.piece > 0;
        }
    }
    let mut at = 0;
    chunks.retain(|chunk| {
        at += 1;
        match chunk.head.kind {
            ChunkKind::Keys => true,
            ChunkKind::Piece => values
                .get(&chunk.head.value)
                .is_some_and(|(_, is_whole)| *is_whole),
            ChunkKind::Function => library_ends[at - 1],
        }
    });
    chunks
}
