//! The quoting rules of inline commands and of configuration lines (Redis: `sdssplitargs`).
//!
//! Words are separated by white space. Inside double quotes `\n \r \t \b \a`, `\xHH` and `\<any>` are escapes;
//! inside single quotes only `\'` is. A quote may open in the middle of a word, but after the closing one
//! there must be white space or the end of the line. Called by the request parser for inline commands and
//! by whoever reads a configuration file.

/// A quote was not closed, or something other than white space followed a closing quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbalanced;

/// What the splitter is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Double,
    Single,
}

/// Splits `line` into words and appends their unescaped bytes to `bytes`, one `(start, end)` range of `bytes` per
/// word to `words`.
///
/// O(line), one pass. `line` should hold no NUL: Redis takes one for the end of the line, and so does this.
///
/// # Errors
/// [`Unbalanced`]; `bytes` and `words` then hold the words before the bad one and part of its bytes.
pub fn split_args(
    line: &[u8],
    bytes: &mut Vec<u8>,
    words: &mut Vec<(usize, usize)>,
) -> Result<(), Unbalanced> {
    let line = match memchr::memchr(0, line) {
        Some(end) => &line[..end],
        None => line,
    };
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|&b| is_space(b)) {
            at += 1;
        }
        if at >= line.len() {
            return Ok(());
        }
        let start = bytes.len();
        at = word(line, at, bytes)?;
        words.push((start, bytes.len()));
    }
}

/// Unescapes the word that starts at `at` into `bytes`; the position after it.
fn word(line: &[u8], mut at: usize, bytes: &mut Vec<u8>) -> Result<usize, Unbalanced> {
    let mut quote = Quote::None;
    loop {
        let Some(&byte) = line.get(at) else {
            return if quote == Quote::None {
                Ok(at)
            } else {
                Err(Unbalanced)
            };
        };
        match (quote, byte) {
            // Vertical tab and form feed separate words, but do not end an unquoted one: so Redis has it.
            (Quote::None, b' ' | b'\n' | b'\r' | b'\t') => return Ok(at + 1),
            (Quote::None, b'"') => quote = Quote::Double,
            (Quote::None, b'\'') => quote = Quote::Single,
            (Quote::Double, b'"') | (Quote::Single, b'\'') => {
                return match line.get(at + 1) {
                    Some(&after) if !is_space(after) => Err(Unbalanced),
                    _ => Ok(at + 1),
                };
            }
            (Quote::Double, b'\\') => {
                let (unescaped, length) = escape(&line[at..]);
                bytes.push(unescaped);
                at += length;
                continue;
            }
            (Quote::Single, b'\\') if line.get(at + 1) == Some(&b'\'') => {
                bytes.push(b'\'');
                at += 1;
            }
            _ => bytes.push(byte),
        }
        at += 1;
    }
}

/// The byte an escape stands for and the length of the escape; `text` starts with the backslash.
fn escape(text: &[u8]) -> (u8, usize) {
    if let [_, b'x', high, low, ..] = text
        && let (Some(high), Some(low)) = (hex(*high), hex(*low))
    {
        return (high << 4 | low, 4);
    }
    match text.get(1) {
        None => (b'\\', 1),
        Some(b'n') => (b'\n', 2),
        Some(b'r') => (b'\r', 2),
        Some(b't') => (b'\t', 2),
        Some(b'b') => (0x08, 2),
        Some(b'a') => (0x07, 2),
        Some(&other) => (other, 2),
    }
}

/// C's `isspace` in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let (mut bytes, mut words) = (Vec::new(), Vec::new());
        split_args(line, &mut bytes, &mut words).ok()?;
        Some(
            words
                .iter()
                .map(|&(start, end)| bytes[start..end].to_vec())
                .collect(),
        )
    }

    fn words(expected: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        Some(expected.iter().map(|word| word.to_vec()).collect())
    }

    /// Each line was sent to redis-server 7.0 as `PING <word>` and its echo recorded.
    #[test]
    fn words_as_the_oracle_echoes_them() {
        assert_eq!(
            split(br#"ping "a\x41\n\t\q""#),
            words(&[b"ping", b"aA\n\tq"])
        );
        assert_eq!(split(br"ping 'a\'b\n'"), words(&[b"ping", br"a'b\n"]));
        assert_eq!(split(b"ping a\r"), words(&[b"ping", b"a"]));
        assert_eq!(split(b"ping\ta\x0bb"), words(&[b"ping", b"a\x0bb"]));
        assert_eq!(split(b"ping a\x0cb"), words(&[b"ping", b"a\x0cb"]));
        assert_eq!(split(br#"ping a"b c""#), words(&[b"ping", b"ab c"]));
        assert_eq!(split(br#"ping """#), words(&[b"ping", b""]));
        assert_eq!(split(br#""""#), words(&[b""]));
        assert_eq!(split(b"ping ''"), words(&[b"ping", b""]));
        assert_eq!(split(br#"ping "\xzz\x4""#), words(&[b"ping", b"xzzx4"]));
        assert_eq!(split(br#"ping "\xaF""#), words(&[b"ping", b"\xaf"]));
        assert_eq!(split(br"ping \x41"), words(&[b"ping", br"\x41"]));
        assert_eq!(split(br#"ping "a\"b""#), words(&[b"ping", b"a\"b"]));
        assert_eq!(split(br#"ping "\a\b\r""#), words(&[b"ping", b"\x07\x08\r"]));
        assert_eq!(split(b"ping \"a\"\x0b\"b\""), words(&[b"ping", b"a", b"b"]));
    }

    #[test]
    fn quotes_out_of_balance() {
        for line in [
            &br#"ping "a"b"#[..],
            br#"ping "a"#,
            br"ping 'a'b",
            br#"ping a"b"#,
            br"ping a'b",
            br#"ping "abc\"#,
            br"ping 'abc\",
            b"ping \"a\"\xa0",
        ] {
            assert_eq!(split(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn blank_lines_hold_no_words() {
        for line in [&b""[..], b" ", b"\t \x0b\x0c\r"] {
            assert_eq!(split(line), words(&[]));
        }
    }
}
