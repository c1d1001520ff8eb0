//! A glance at the frames that follow, before they are parsed.
//!
//! [`Ahead`] finds the argument that is most likely a key, the second one, in frame after frame, so that the caller can
//! fetch from memory what the commands will touch. It promises nothing: it knows the usual form of a frame only and
//! ends at the first one that is unusual or unfinished. What it yields must not decide anything but what is fetched.

/// Digits of a bulk's length.
const DIGITS_MAX: usize = 7;

/// The second arguments of the frames in some bytes. `next` costs O(arguments), whatever their length.
pub struct Ahead<'a> {
    bytes: &'a [u8],
}

impl<'a> Ahead<'a> {
    /// Starts with the frame at `bytes[0]`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Hops over a frame of up to eight arguments; a longer one ends the glance. `Some(None)`: it has no second argument.
    #[inline]
    fn frame(&mut self) -> Option<Option<&'a [u8]>> {
        let [b'*', count @ b'1'..=b'8', b'\r', b'\n', rest @ ..] = self.bytes else {
            return None;
        };
        let mut bytes = rest;
        let mut second = None;
        for index in 0..usize::from(count - b'0') {
            let (bulk, rest) = bulk(bytes)?;
            if index == 1 {
                second = Some(bulk);
            }
            bytes = rest;
        }
        self.bytes = bytes;
        Some(second)
    }
}

/// The bulk at the start, and what follows it.
#[inline]
fn bulk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (b'$', digits) = bytes.split_first()? else {
        return None;
    };
    let mut length = 0;
    for (index, &byte) in digits.iter().take(DIGITS_MAX + 1).enumerate() {
        if byte == b'\r' {
            let rest = digits.get(index + 2..)?;
            return Some((rest.get(..length)?, rest.get(length + 2..)?));
        }
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        length = length * 10 + usize::from(digit);
    }
    None
}

impl<'a> Iterator for Ahead<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.frame()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::resp::{Limits, Parsed, Parser};

    fn keys(bytes: &[u8]) -> Vec<Option<&[u8]>> {
        Ahead::new(bytes).collect()
    }

    #[test]
    fn second_arguments_of_whole_frames() {
        let bytes = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$2\r\nbc\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nd";
        assert_eq!(keys(bytes), [Some(&b"a"[..]), None, Some(b"bc")]);
    }

    #[test]
    fn the_unusual_ends_it() {
        for bytes in [
            &b""[..],
            b"PING\r\n",
            b"*0\r\n",
            b"*9\r\n",
            b"*2\r\n$3\r\nGET\r\n:1\r\n",
            b"*1\r\n$-1\r\n",
            b"*1\r\n$99999999\r\n",
            b"*1\r\n$",
        ] {
            assert_eq!(keys(bytes), [None; 0], "{bytes:?}");
        }
    }

    proptest! {
        /// Where it yields something for well-formed frames, the parser finds the same.
        #[test]
        fn it_agrees_with_the_parser(commands in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 1..8), 0..6)) {
            let mut bytes = Vec::new();
            for args in &commands {
                crate::resp::write_command(&mut bytes, args);
            }
            let seen: Vec<_> = keys(&bytes).into_iter().map(|key| key.map(<[u8]>::to_vec)).collect();
            let mut parser = Parser::new();
            let mut rest = &bytes[..];
            let mut parsed = Vec::new();
            while let Ok(Parsed::Complete { consumed }) = parser.parse(rest, &Limits::default()) {
                parsed.push(parser.args(rest).get(1).map(|key| key.to_vec()));
                rest = &rest[consumed..];
            }
            prop_assert_eq!(seen, parsed);
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(keys(&bytes).len() <= bytes.len());
        }
    }
}
