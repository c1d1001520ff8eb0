//! What stands around the keys of a file, in either format: header, functions, checksums, end.

use std::io::{self, Write};

use tessera_core::entry::Entry;

use super::file::Target;
use super::packer::{Block, Format, Packer};
use crate::crc::{Checksum, checksum};
use crate::native::{self, ChunkKind, FileSum, Footer, function_chunks, put_chunk_head};
use crate::rdb::{Usage, file_footer, file_header, write_function};

/// A file under way. Where it goes is told each time.
pub(super) struct Form {
    kind: Kind,
    /// Bytes written.
    pub(super) length: u64,
}

enum Kind {
    Rdb(Option<Checksum>),
    Native(FileSum, Footer),
}

impl Form {
    /// Writes the header and the functions.
    pub(super) fn begin(to: &mut impl Write, target: &Target) -> io::Result<Self> {
        let about = target.about.iter();
        let about: Vec<(&str, &str)> = about.map(|(name, value)| (*name, value.as_str())).collect();
        let mut head = Vec::new();
        let kind = match target.format {
            Format::Rdb => {
                file_header(&about, &mut head);
                for code in &target.functions {
                    write_function(code, &mut head);
                }
                Kind::Rdb(target.sums.then(checksum))
            }
            Format::Native => {
                head = native::header(about.into_iter());
                Kind::Native(FileSum::of_header(&head), Footer::default())
            }
        };
        let mut form = Self { kind, length: 0 };
        form.put(to, &head)?;
        if target.format == Format::Native {
            let mut functions = target.functions.iter();
            functions.try_for_each(|code| form.function(to, code))?;
        }
        Ok(form)
    }

    fn put(&mut self, to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        to.write_all(bytes)?;
        self.length += bytes.len() as u64;
        if let Kind::Rdb(Some(sum)) = &mut self.kind {
            sum.update(bytes);
        }
        Ok(())
    }

    /// Writes what a part has made.
    pub(super) fn block(&mut self, to: &mut impl Write, block: &Block) -> io::Result<()> {
        if let (Kind::Native(sum, footer), Some(head)) = (&mut self.kind, block.head) {
            let mut bytes = Vec::new();
            sum.add(put_chunk_head(head, &block.bytes, &mut bytes));
            footer.chunks += 1;
            if head.kind != ChunkKind::Function {
                footer.keys += u64::from(head.keys);
                footer.databases = footer.databases.max(head.db_last + 1);
            }
            self.put(to, &bytes)?;
        }
        self.put(to, &block.bytes)
    }

    /// Writes the end, and says how long the file is.
    pub(super) fn end(mut self, to: &mut impl Write) -> io::Result<u64> {
        let mut end = Vec::new();
        match &mut self.kind {
            Kind::Rdb(sum) => {
                file_footer(&mut end);
                let sum = sum.take().map_or(0, |mut sum| {
                    sum.update(&end);
                    sum.finalize()
                });
                end.extend_from_slice(&sum.to_le_bytes());
            }
            Kind::Native(sum, footer) => {
                footer.bytes = self.length;
                end = footer.to_bytes(sum);
            }
        }
        self.put(to, &end)?;
        Ok(self.length)
    }

    /// Writes a library of functions between keys.
    pub(super) fn function(&mut self, to: &mut impl Write, code: &[u8]) -> io::Result<()> {
        if let Kind::Rdb(_) = self.kind {
            let mut bytes = Vec::new();
            write_function(code, &mut bytes);
            return self.put(to, &bytes);
        }
        let mut chunks = function_chunks(code).into_iter();
        chunks.try_for_each(|(head, bytes)| {
            let head = Some(head);
            self.block(to, &Block { head, bytes })
        })
    }
}

/// Writes a file key by key, where nobody waits.
pub struct FileWriter<W> {
    to: W,
    form: Form,
    packer: Packer,
}

impl<W: Write> FileWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// Those of the output, as of all functions here.
    pub fn begin(mut to: W, target: &Target) -> io::Result<Self> {
        Ok(Self {
            form: Form::begin(&mut to, target)?,
            to,
            packer: Packer::new(target.format, target.compresses, 0, 1),
        })
    }

    /// Writes a key.
    ///
    /// # Errors
    /// See `begin`.
    pub fn key(&mut self, db: usize, entry: &Entry, usage: Usage) -> io::Result<()> {
        let mut blocks = Vec::new();
        self.packer.key(db, entry, usage, &mut blocks);
        blocks
            .iter()
            .try_for_each(|block| self.form.block(&mut self.to, block))
    }

    /// Writes a library of functions.
    ///
    /// # Errors
    /// See `begin`.
    pub fn function(&mut self, code: &[u8]) -> io::Result<()> {
        self.form.function(&mut self.to, code)
    }

    /// Writes the end and gives the output back.
    ///
    /// # Errors
    /// See `begin`.
    pub fn end(mut self) -> io::Result<W> {
        let mut blocks = Vec::new();
        self.packer.finish(&mut blocks);
        blocks
            .iter()
            .try_for_each(|block| self.form.block(&mut self.to, block))?;
        self.form.end(&mut self.to)?;
        Ok(self.to)
    }
}
