//! Commands as bytes: the RESP request encoding, and a printable form that redis-cli understands.

/// Appends one command to `out` as an array of bulk strings.
pub fn encode<A: AsRef<[u8]>>(args: &[A], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Splits text at white space into arguments.
#[must_use]
pub fn words(text: &str) -> Vec<Vec<u8>> {
    text.split_whitespace()
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

/// The command as one could type it into redis-cli; long arguments are cut.
#[must_use]
pub fn show<A: AsRef<[u8]>>(args: &[A]) -> String {
    args.iter()
        .map(|arg| show_bytes(arg.as_ref()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Bytes in quotes where needed, cut after 120.
#[must_use]
pub fn show_bytes(bytes: &[u8]) -> String {
    const SHOWN: usize = 300;
    let plain = !bytes.is_empty()
        && bytes
            .iter()
            .all(|b| b.is_ascii_graphic() && !b"\"'\\".contains(b));
    let cut = &bytes[..bytes.len().min(SHOWN)];
    let mut text = if plain {
        String::from_utf8_lossy(cut).into_owned()
    } else {
        format!("\"{}\"", cut.escape_ascii())
    };
    if bytes.len() > SHOWN {
        text.push_str(&format!("...({} bytes)", bytes.len()));
    }
    text
}
