//! A whole file: what it says of itself, and whether that is so.

use super::error::NativeError;
use super::layout::{
    ChunkHead, ChunkKind, Facts, FileSum, Footer, HEAD_BYTES, MAGIC, chunk_sum, is_chunk, is_sum,
    read_header,
};

/// A chunk of a file.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// What it says of itself.
    pub head: ChunkHead,
    /// What it holds.
    pub body: &'a [u8],
}

/// What a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Chunks.
    pub chunks: u64,
    /// Keys.
    pub keys: u64,
}

/// A file that is checked from its beginning to its end.
pub struct NativeFile<'a> {
    bytes: &'a [u8],
    facts: Facts,
    footer: Footer,
    stated: u64,
    /// Where the next chunk is.
    at: usize,
    sum: FileSum,
    seen: Totals,
}

/// Whether a file begins like one of ours.
#[must_use]
pub fn is_native(file: &[u8]) -> bool {
    file.starts_with(&MAGIC)
}

/// Where the first chunk of a file is.
///
/// # Errors
/// See [`NativeError`].
pub fn chunks_begin(file: &[u8]) -> Result<usize, NativeError> {
    read_header(file).map(|(_, at, _)| at)
}

/// The chunk at this place, whose checksum somebody has looked at.
///
/// # Errors
/// See [`NativeError`].
pub fn chunk_at(file: &[u8], at: usize) -> Result<(Chunk<'_>, usize), NativeError> {
    let rest = file.get(at..).ok_or(NativeError::Truncated)?;
    if !is_chunk(rest) {
        return Err(NativeError::Corrupt("no chunk where one should begin"));
    }
    if rest.len() < HEAD_BYTES {
        return Err(NativeError::Truncated);
    }
    let (head, _) = ChunkHead::read(rest)?;
    let end = HEAD_BYTES + head.body_bytes as usize;
    let body = rest.get(HEAD_BYTES..end).ok_or(NativeError::Truncated)?;
    Ok((Chunk { head, body }, at + end))
}

/// The chunk at the beginning of these bytes, if it is whole: its head, its length with the head, its checksum.
pub(crate) fn whole_chunk(bytes: &[u8]) -> Option<(ChunkHead, usize, u64)> {
    if !is_chunk(bytes) || bytes.len() < HEAD_BYTES {
        return None;
    }
    let (head, stated) = ChunkHead::read(bytes).ok()?;
    let length = HEAD_BYTES + head.body_bytes as usize;
    let body = bytes.get(HEAD_BYTES..length)?;
    (chunk_sum(bytes, body) == stated).then_some((head, length, stated))
}

impl<'a> NativeFile<'a> {
    /// Looks at header and footer.
    ///
    /// # Errors
    /// See [`NativeError`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, NativeError> {
        let (facts, at, header) = read_header(bytes)?;
        let (footer, stated) = Footer::read(bytes)?;
        Ok(Self {
            bytes,
            facts,
            footer,
            stated,
            at,
            sum: FileSum::of_sum(header),
            seen: Totals::default(),
        })
    }

    /// One without a footer, to be repaired: chunks end where they are damaged.
    ///
    /// # Errors
    /// See [`NativeError`].
    pub fn open_torn(bytes: &'a [u8]) -> Result<Self, NativeError> {
        let (facts, at, header) = read_header(bytes)?;
        Ok(Self {
            bytes,
            facts,
            footer: Footer {
                bytes: bytes.len() as u64,
                ..Footer::default()
            },
            stated: 0,
            at,
            sum: FileSum::of_sum(header),
            seen: Totals::default(),
        })
    }

    /// What the header says.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the footer says.
    #[must_use]
    pub fn footer(&self) -> Footer {
        self.footer
    }

    /// What has been seen so far.
    #[must_use]
    pub fn seen(&self) -> Totals {
        self.seen
    }

    /// The checksum of what has been seen so far.
    #[must_use]
    pub fn sum(&self) -> &FileSum {
        &self.sum
    }

    /// Bytes that have been checked.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The next chunk, when its checksum is right; `None` at the end, when that of the file is.
    ///
    /// # Errors
    /// See [`NativeError`].
    pub fn next_chunk(&mut self) -> Result<Option<Chunk<'a>>, NativeError> {
        let end = self.footer.bytes as usize;
        if self.at == end {
            return self.check_end().map(|()| None);
        }
        let rest = &self.bytes[self.at..end];
        if rest.len() < HEAD_BYTES {
            return Err(NativeError::Truncated);
        }
        if !is_chunk(rest) {
            return Err(NativeError::Corrupt("no chunk where one should begin"));
        }
        let (head, stated) = ChunkHead::read(rest)?;
        let length = HEAD_BYTES + head.body_bytes as usize;
        let body = rest.get(HEAD_BYTES..length).ok_or(NativeError::Truncated)?;
        if chunk_sum(rest, body) != stated {
            return Err(NativeError::Checksum("a chunk"));
        }
        self.sum.add(stated);
        self.at += length;
        self.seen.chunks += 1;
        if head.kind != ChunkKind::Function {
            self.seen.keys += u64::from(head.keys);
        }
        Ok(Some(Chunk { head, body }))
    }

    fn check_end(&self) -> Result<(), NativeError> {
        let told = Totals {
            chunks: self.footer.chunks,
            keys: self.footer.keys,
        };
        if told != self.seen {
            return Err(NativeError::Corrupt(
                "it has not as many chunks and keys as it says",
            ));
        }
        if !is_sum(&self.sum, self.stated) {
            return Err(NativeError::Checksum("the whole file"));
        }
        Ok(())
    }
}
