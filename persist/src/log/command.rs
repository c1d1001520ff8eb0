//! Commands in RESP, as the log has them: arrays of bulks.

use std::io::{self, BufRead, Read};

/// Arguments of a command, and bytes of one, above which the number cannot be right.
const ARGS_MAX: u64 = 1 << 30;
const ARG_BYTES_MAX: u64 = 1 << 40;
/// Digits of a length and what is around them.
const LINE_BYTES_MAX: u64 = 32;
/// Memory taken for an argument before its bytes have come.
const ROOM_BYTES_MAX: u64 = 1 << 20;

/// More than the lines around an argument, however long it is.
const AROUND_BYTES: usize = 32;

/// Ends a line and appends the length of an argument: most in one write of constant size.
#[inline]
fn put_length(length: usize, out: &mut Vec<u8>) {
    match length {
        0..=9 => out.extend_from_slice(&[b'\r', b'\n', b'$', b'0' + length as u8, b'\r', b'\n']),
        10..=99 => {
            let (tens, ones) = (b'0' + length as u8 / 10, b'0' + length as u8 % 10);
            out.extend_from_slice(&[b'\r', b'\n', b'$', tens, ones, b'\r', b'\n']);
        }
        _ => {
            out.extend_from_slice(b"\r\n$");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends a command.
#[inline]
pub fn put_command(args: &[&[u8]], out: &mut Vec<u8>) {
    match args.len() {
        count @ 0..=9 => out.extend_from_slice(&[b'*', b'0' + count as u8]),
        count => {
            out.push(b'*');
            out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
        }
    }
    for arg in args {
        // With what stands around it: behind a large one the buffer must not grow for two bytes.
        out.reserve(arg.len() + AROUND_BYTES);
        put_length(arg.len(), out);
        out.extend_from_slice(arg);
    }
    out.extend_from_slice(b"\r\n");
}

/// Why no command could be read.
#[derive(Debug)]
pub(super) enum CommandFault {
    /// The bytes end within it.
    Cut,
    /// It is none.
    Malformed(&'static str),
    /// The system's words.
    Io(io::Error),
}

impl From<io::Error> for CommandFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => CommandFault::Cut,
            _ => CommandFault::Io(error),
        }
    }
}

/// Reads a length behind its sign.
fn length(source: &mut impl BufRead, sign: u8, max: u64) -> Result<u64, CommandFault> {
    let mut line = Vec::new();
    source
        .by_ref()
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut line)?;
    let Some(rest) = line.strip_prefix(&[sign]) else {
        return Err(match line.is_empty() {
            true => CommandFault::Cut,
            false => CommandFault::Malformed("a length does not begin with its sign"),
        });
    };
    let Some(text) = rest.strip_suffix(b"\r\n") else {
        let is_cut = rest.len() < LINE_BYTES_MAX as usize - 1 && !rest.ends_with(b"\n");
        return Err(match is_cut {
            true => CommandFault::Cut,
            false => CommandFault::Malformed("a length does not end its line"),
        });
    };
    let number = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    number
        .filter(|number| *number <= max)
        .ok_or(CommandFault::Malformed("a length is no number that can be"))
}

/// Reads a command.
pub(super) fn read_command(source: &mut impl BufRead) -> Result<Vec<Box<[u8]>>, CommandFault> {
    let count = length(source, b'*', ARGS_MAX)?;
    if count == 0 {
        return Err(CommandFault::Malformed("a command has no name"));
    }
    let mut args = Vec::new();
    for _ in 0..count {
        let length = length(source, b'$', ARG_BYTES_MAX)?;
        let mut arg = Vec::with_capacity(length.min(ROOM_BYTES_MAX) as usize);
        if source.by_ref().take(length).read_to_end(&mut arg)? < length as usize {
            return Err(CommandFault::Cut);
        }
        let mut end = [0; 2];
        source.read_exact(&mut end)?;
        if end != *b"\r\n" {
            return Err(CommandFault::Malformed(
                "an argument is longer than it says",
            ));
        }
        args.push(arg.into_boxed_slice());
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_read_again() {
        for length in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 12_345, 1 << 20] {
            let arg = vec![b'x'; length];
            for count in [1, 2, 9, 10, 11, 100] {
                let count = if length > 1000 { count.min(3) } else { count };
                let args = vec![&*arg; count];
                let mut out = b"before".to_vec();
                put_command(&args, &mut out);
                let begin = format!("before*{count}\r\n${length}\r\n");
                assert!(out.starts_with(begin.as_bytes()), "{count} of {length}");
                let mut rest = &out[6..];
                let read = read_command(&mut rest).unwrap();
                assert!(rest.is_empty() && read.iter().all(|it| **it == *arg));
                assert_eq!(read.len(), count);
            }
        }
    }
}
