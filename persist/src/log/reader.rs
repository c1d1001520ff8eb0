//! Reading a file of records: blocks of ours, bare commands of Redis, in any order.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tessera_io::{Disk, FsDisk, Source};

use super::block::{BlockLine, LINE_BYTES, MARK, other_version};
use super::command::{CommandFault, read_command};
use super::error::LogError;

const BUFFER_BYTES: usize = 1 << 18;
/// Longest annotation that Redis reads.
const ANNOTATION_BYTES_MAX: u64 = 1024;
/// How the only annotation of Redis begins.
const TIMESTAMP: &[u8] = b"#TS:";

/// A command of the log.
pub type Command = Vec<Box<[u8]>>;

/// Why a file cannot be read on.
#[derive(Debug)]
pub(super) enum Fault {
    /// A block is not whole, or there is something that is neither block nor command: a crash can leave that at the end.
    Block(&'static str),
    /// The file ends within a bare command.
    Cut,
    /// What stands there cannot be the rest of anything.
    Malformed(&'static str),
    /// The file begins with a block of another version.
    Newer(u64),
    /// The system's words.
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Cut,
            _ => Fault::Io(error),
        }
    }
}

/// See the head of this file.
pub struct Reader {
    path: PathBuf,
    source: BufReader<Box<dyn Source>>,
    /// Bytes read, those of the current block included.
    at: u64,
    length: u64,
    /// Where the last unit that is whole ends.
    good: u64,
    blocks: u64,
    /// The current block, and how much of it has been read.
    block: Vec<u8>,
    block_at: usize,
    /// Within a transaction that is no block's.
    is_open: bool,
    /// Where the blocks begin that no later one says to have been on the disk.
    doubtful: VecDeque<(u64, u64)>,
}

impl Reader {
    /// Opens a file.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        Self::open_on(&mut FsDisk::default(), path)
    }

    /// Opens a file of this disk.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn open_on(disk: &mut dyn Disk, path: &Path) -> Result<Self, LogError> {
        let length = disk.length(path);
        let length = length.map_err(LogError::io("open the log", path))?;
        let file = disk.open_read(path);
        let file = file.map_err(LogError::io("open the log", path))?;
        Ok(Self {
            path: path.to_owned(),
            source: BufReader::with_capacity(BUFFER_BYTES, file),
            at: 0,
            length,
            good: 0,
            blocks: 0,
            block: Vec::new(),
            block_at: 0,
            is_open: false,
            doubtful: VecDeque::new(),
        })
    }

    /// Bytes read so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// Bytes in the file.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Up to where blocks say that earlier ones were on the disk.
    pub(super) fn doubtful(&self) -> u64 {
        self.doubtful.front().map_or(self.good, |(_, at)| *at)
    }

    pub(super) fn good(&self) -> u64 {
        self.good
    }

    /// The next command; `None` at the end.
    ///
    /// # Errors
    /// What is wrong, and where. A file that has been recovered has nothing wrong.
    pub fn next_command(&mut self) -> Result<Option<Command>, LogError> {
        self.step().map_err(|fault| {
            let path = self.path.clone();
            match fault {
                Fault::Io(cause) => LogError::io("read the log", &path)(cause),
                Fault::Newer(version) => LogError::Newer { path, version },
                Fault::Cut => LogError::Torn {
                    path,
                    offset: self.good,
                },
                Fault::Block(why) | Fault::Malformed(why) => LogError::Damaged {
                    path,
                    offset: self.good,
                    why,
                },
            }
        })
    }

    pub(super) fn step(&mut self) -> Result<Option<Command>, Fault> {
        loop {
            if self.block_at < self.block.len() {
                return self.command_of_block().map(Some);
            }
            match self.source.fill_buf()?.first() {
                None if self.is_open => return Err(Fault::Cut),
                None => return Ok(None),
                Some(b'*') => return self.bare_command().map(Some),
                Some(b'#') => self.annotation()?,
                Some(_) => return Err(Fault::Block("there is neither a block nor a command")),
            }
        }
    }

    fn command_of_block(&mut self) -> Result<Command, Fault> {
        let mut rest = &self.block[self.block_at..];
        let command = read_command(&mut rest);
        self.block_at = self.block.len() - rest.len();
        if self.block_at == self.block.len() {
            self.good = self.at;
        }
        command.map_err(|_| Fault::Malformed("a block has something else than commands"))
    }

    fn bare_command(&mut self) -> Result<Command, Fault> {
        let command = read_command(&mut self.source).map_err(|fault| match fault {
            CommandFault::Cut => Fault::Cut,
            CommandFault::Malformed(why) => Fault::Malformed(why),
            CommandFault::Io(error) => Fault::Io(error),
        })?;
        self.at = self.source.stream_position()?;
        let is = |name: &[u8]| command.len() == 1 && command[0].eq_ignore_ascii_case(name);
        self.is_open = is(b"multi") || self.is_open && !is(b"exec");
        if !self.is_open {
            self.good = self.at;
        }
        Ok(command)
    }

    /// A line that is no command: the begin of a block, or a time that Redis noted.
    fn annotation(&mut self) -> Result<(), Fault> {
        if self.has_timestamp()? {
            return self.timestamp();
        }
        // A file is of one version; further on, another number is damage.
        if self.at == 0
            && let Some(version) = other_version(self.source.fill_buf()?)
        {
            return Err(Fault::Newer(version));
        }
        if self.length - self.at < LINE_BYTES as u64 {
            return Err(Fault::Block("a block's line is not whole"));
        }
        let mut line = [0; LINE_BYTES];
        self.source.read_exact(&mut line)?;
        self.begin_block(&line)
    }

    fn has_timestamp(&mut self) -> Result<bool, Fault> {
        let buffer = self.source.fill_buf()?;
        if buffer.len() >= TIMESTAMP.len() {
            return Ok(buffer.starts_with(TIMESTAMP));
        }
        // The mark lies across the end of the buffer.
        let at = self.source.stream_position()?;
        let mut mark = [0; TIMESTAMP.len()];
        let is_there = self.source.read_exact(&mut mark).is_ok() && mark == *TIMESTAMP;
        self.source.seek(SeekFrom::Start(at))?;
        Ok(is_there)
    }

    fn timestamp(&mut self) -> Result<(), Fault> {
        let mut line = Vec::new();
        let source = &mut self.source;
        source
            .take(ANNOTATION_BYTES_MAX)
            .read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Err(Fault::Cut);
        }
        self.at += line.len() as u64;
        if !self.is_open {
            self.good = self.at;
        }
        Ok(())
    }

    fn begin_block(&mut self, line: &[u8; LINE_BYTES]) -> Result<(), Fault> {
        let Some(block) = BlockLine::parse(line) else {
            return Err(Fault::Block("a block's line makes no sense"));
        };
        if self.is_open {
            return Err(Fault::Malformed("a transaction does not end"));
        }
        if block.number != self.blocks {
            return Err(Fault::Block("a block is not the next one"));
        }
        let left = self.length - self.at - LINE_BYTES as u64;
        if block.length > left {
            return Err(Fault::Block("a block is not whole"));
        }
        self.block.clear();
        self.block_at = 0;
        let source = &mut self.source;
        source.take(block.length).read_to_end(&mut self.block)?;
        if !block.fits(line, &self.block) {
            self.block.clear();
            return Err(Fault::Block("a block's checksum is wrong"));
        }
        self.doubtful.push_back((self.blocks, self.at));
        while self.doubtful.front().is_some_and(|it| it.0 < block.synced) {
            self.doubtful.pop_front();
        }
        self.blocks += 1;
        self.at += LINE_BYTES as u64 + block.length;
        if self.block.is_empty() {
            self.good = self.at;
        }
        Ok(())
    }

    /// Whether there is a block of our version anywhere.
    pub(super) fn has_blocks(&mut self) -> io::Result<bool> {
        Ok(self.find_mark(0)?.is_some())
    }

    /// Whether a whole block behind `from` says that more than `blocks` blocks were on the disk.
    pub(super) fn has_witness(&mut self, from: u64, blocks: u64) -> io::Result<bool> {
        let mut at = from;
        while let Some(found) = self.find_mark(at)? {
            if self.says_synced(found, blocks)? {
                return Ok(true);
            }
            at = found + 1;
        }
        Ok(false)
    }

    /// Where a mark of a block is, from an offset on.
    fn find_mark(&mut self, from: u64) -> io::Result<Option<u64>> {
        let (mut at, mut known) = (from, 0usize);
        self.source.seek(SeekFrom::Start(from))?;
        loop {
            let buffer = self.source.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let length = buffer.len();
            for byte in buffer {
                at += 1;
                known = match *byte == MARK[known] {
                    true => known + 1,
                    false => usize::from(*byte == MARK[0]),
                };
                if known == MARK.len() {
                    return Ok(Some(at - MARK.len() as u64));
                }
            }
            self.source.consume(length);
        }
    }

    fn says_synced(&mut self, at: u64, blocks: u64) -> io::Result<bool> {
        self.source.seek(SeekFrom::Start(at))?;
        let mut line = [0; LINE_BYTES];
        if at + LINE_BYTES as u64 > self.length || self.source.read_exact(&mut line).is_err() {
            return Ok(false);
        }
        let left = self.length - at - LINE_BYTES as u64;
        let Some(block) = BlockLine::parse(&line).filter(|block| block.length <= left) else {
            return Ok(false);
        };
        if block.synced <= blocks || block.synced > block.number {
            return Ok(false);
        }
        let mut payload = Vec::new();
        let source = &mut self.source;
        source.take(block.length).read_to_end(&mut payload)?;
        Ok(block.fits(&line, &payload))
    }

    /// Whether there stands as much of a block's mark as there is room for.
    pub(super) fn says_block(&mut self, at: u64) -> io::Result<bool> {
        self.source.seek(SeekFrom::Start(at))?;
        let mut mark = Vec::new();
        let source = &mut self.source;
        source.take(MARK.len() as u64).read_to_end(&mut mark)?;
        Ok(!mark.is_empty() && MARK.starts_with(&mark))
    }

    /// Whether there are only zeros from an offset on.
    pub(super) fn is_zero_from(&mut self, from: u64) -> io::Result<bool> {
        self.source.seek(SeekFrom::Start(from))?;
        loop {
            let buffer = self.source.fill_buf()?;
            if buffer.is_empty() {
                return Ok(true);
            }
            if buffer.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            let length = buffer.len();
            self.source.consume(length);
        }
    }
}
