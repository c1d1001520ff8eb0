//! Finding where a reply ends. The scan is resumable: bytes may arrive one at a time and a large
//! array costs one pass.

/// Where the scan of one reply stands.
#[derive(Debug, Clone)]
pub struct FrameScan {
    position: usize,
    values_left: usize,
}

impl Default for FrameScan {
    fn default() -> Self {
        Self {
            position: 0,
            values_left: 1,
        }
    }
}

impl FrameScan {
    /// The length of the first reply in `bytes`, once it is all there. `bytes` must start where it
    /// started the last time. An error names what is not RESP.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, String> {
        while self.values_left > 0 {
            let rest = &bytes[self.position..];
            let Some(line_end) = rest.windows(2).position(|pair| pair == b"\r\n") else {
                return Ok(None);
            };
            if line_end == 0 {
                return Err("an empty line".to_owned());
            }
            let (kind, number) = (rest[0], &rest[1..line_end]);
            let after_line = self.position + line_end + 2;
            match kind {
                b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => self.finish(after_line, 0),
                b'$' | b'=' | b'!' => match length(number)? {
                    None => self.finish(after_line, 0),
                    Some(length) => {
                        let end = after_line + length + 2;
                        if bytes.len() < end {
                            return Ok(None);
                        }
                        if &bytes[end - 2..end] != b"\r\n" {
                            return Err("a bulk string does not end with CRLF".to_owned());
                        }
                        self.finish(end, 0);
                    }
                },
                b'*' | b'~' | b'>' => self.finish(after_line, length(number)?.unwrap_or(0)),
                b'%' => self.finish(after_line, 2 * length(number)?.unwrap_or(0)),
                // An attribute comes before the value it belongs to.
                b'|' => self.finish(after_line, 2 * length(number)?.unwrap_or(0) + 1),
                other => return Err(format!("no reply starts with {:?}", char::from(other))),
            }
        }
        Ok(Some(self.position))
    }

    fn finish(&mut self, position: usize, more_values: usize) {
        self.position = position;
        self.values_left = self.values_left - 1 + more_values;
    }
}

/// The count in a header line; None for -1.
fn length(digits: &[u8]) -> Result<Option<usize>, String> {
    if digits == b"-1" {
        return Ok(None);
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| format!("not a length: {:?}", String::from_utf8_lossy(digits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_at_every_split() {
        let reply = b"*3\r\n$3\r\na\r\n\r\n%1\r\n+k\r\n*-1\r\n|1\r\n+a\r\n:1\r\n=5\r\ntxt:x\r\n";
        for split in 0..reply.len() {
            let mut scan = FrameScan::default();
            assert_eq!(scan.advance(&reply[..split]), Ok(None), "at {split}");
            assert_eq!(scan.advance(reply), Ok(Some(reply.len())), "at {split}");
        }
    }

    #[test]
    fn refuses_what_is_not_resp() {
        assert!(FrameScan::default().advance(b"HTTP/1.1\r\n").is_err());
        assert!(FrameScan::default().advance(b"$x\r\n").is_err());
        assert!(FrameScan::default().advance(b"$1\r\nabc").is_err());
    }
}
