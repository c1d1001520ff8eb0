//! The first line of a script or library: `#!lua name=... flags=...`.

use tessera_core::resp::split_args;

/// What a script or function says of itself.
pub mod flags {
    /// It never writes.
    pub const NO_WRITES: u32 = 1 << 0;
    /// It runs although memory is out.
    pub const ALLOW_OOM: u32 = 1 << 1;
    /// It runs on a replica with stale data.
    pub const ALLOW_STALE: u32 = 1 << 2;
    /// It does not run in cluster mode.
    pub const NO_CLUSTER: u32 = 1 << 3;
    /// Its keys may lie in several slots.
    pub const ALLOW_CROSS_SLOT_KEYS: u32 = 1 << 4;
}

/// Names in the order in which FUNCTION LIST tells them.
pub const FLAGS: &[(u32, &str)] = &[
    (flags::NO_WRITES, "no-writes"),
    (flags::ALLOW_OOM, "allow-oom"),
    (flags::ALLOW_STALE, "allow-stale"),
    (flags::NO_CLUSTER, "no-cluster"),
    (flags::ALLOW_CROSS_SLOT_KEYS, "allow-cross-slot-keys"),
];

/// Redis's words for a name with other characters.
pub(super) const BAD_NAME: &str = "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

/// The bit of a flag.
pub(super) fn flag(name: &[u8]) -> Option<u32> {
    let found = FLAGS.iter().find(|(_, known)| known.as_bytes() == name);
    found.map(|(bit, _)| *bit)
}

/// Whether a library or function may have this name.
pub(super) fn is_name(name: &[u8]) -> bool {
    let is_fine = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !name.is_empty() && name.iter().all(is_fine)
}

/// The words of the first line, and what follows it, its end included. `None`: it has no end or unbalanced quotes.
fn split(code: &[u8]) -> Option<(Vec<Vec<u8>>, &[u8])> {
    let end = code.iter().position(|byte| *byte == b'\n')?;
    let (line, body) = code.split_at(end);
    let (mut bytes, mut places) = (Vec::new(), Vec::new());
    split_args(line, &mut bytes, &mut places).ok()?;
    let words = places.iter().map(|&(from, to)| bytes[from..to].to_vec());
    Some((words.collect(), body))
}

/// The flags of a script, if it has that line, and its code without it.
pub(super) fn of_script(code: &[u8]) -> Result<(Option<u32>, &[u8]), Vec<u8>> {
    if !code.starts_with(b"#!") {
        return Ok((None, code));
    }
    let (words, body) = split(code).ok_or_else(|| b"ERR Invalid script shebang".to_vec())?;
    let (engine, options) = words
        .split_first()
        .ok_or_else(|| b"ERR Invalid script shebang".to_vec())?;
    if engine != b"#!lua" {
        return Err([b"ERR Unexpected engine in script shebang: ", &engine[..]].concat());
    }
    let mut bits = 0;
    for option in options {
        let Some(list) = option.strip_prefix(b"flags=") else {
            return Err([b"ERR Unknown lua shebang option: ", &option[..]].concat());
        };
        for name in list.split(|byte| *byte == b',') {
            if name.is_empty() && list.is_empty() {
                continue;
            }
            bits |= flag(name)
                .ok_or_else(|| [b"ERR Unexpected flag in script shebang: ", name].concat())?;
        }
    }
    Ok((Some(bits), body))
}

/// A name, and code.
type Named<'c> = (Box<[u8]>, &'c [u8]);

/// The name of a library, and its code without the line.
pub(super) fn of_library(code: &[u8]) -> Result<Named<'_>, Vec<u8>> {
    if !code.starts_with(b"#!") {
        return Err(b"ERR Missing library metadata".to_vec());
    }
    let invalid = || b"ERR Invalid library metadata".to_vec();
    let (words, body) = split(code).ok_or_else(invalid)?;
    let (engine, options) = words.split_first().ok_or_else(invalid)?;
    let mut name: Option<Box<[u8]>> = None;
    for option in options {
        match option.get(..5) {
            Some(word) if word.eq_ignore_ascii_case(b"name=") => {
                if name.is_some() {
                    let text = "ERR Invalid metadata value, name argument was given multiple times";
                    return Err(text.into());
                }
                name = Some(option[5..].into());
            }
            _ => return Err([b"ERR Invalid metadata value given: ", &option[..]].concat()),
        }
    }
    let name = name.ok_or_else(|| b"ERR Library name was not given".to_vec())?;
    if !is_name(&name) {
        return Err(BAD_NAME.into());
    }
    let engine = &engine[2..];
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err([b"ERR Engine '", engine, b"' not found"].concat());
    }
    Ok((name, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_scripts() {
        assert_eq!(of_script(b"return 1"), Ok((None, &b"return 1"[..])));
        let flagged = of_script(b"#!lua flags=no-writes,allow-oom\nreturn 1");
        assert_eq!(flagged, Ok((Some(3), &b"\nreturn 1"[..])));
        for (code, text) in [
            ("#!lua", "ERR Invalid script shebang"),
            (
                "#!python\nx",
                "ERR Unexpected engine in script shebang: #!python",
            ),
            (
                "#!lua flags=foo\nx",
                "ERR Unexpected flag in script shebang: foo",
            ),
            (
                "#!lua name=foo\nx",
                "ERR Unknown lua shebang option: name=foo",
            ),
        ] {
            assert_eq!(of_script(code.as_bytes()), Err(text.as_bytes().to_vec()));
        }
    }

    #[test]
    fn lines_of_libraries() {
        let (name, body) = of_library(b"#!LUA NAME=lib_1\ncode").expect("a good line");
        assert_eq!((&*name, body), (&b"lib_1"[..], &b"\ncode"[..]));
        for (code, text) in [
            ("abc", "ERR Missing library metadata"),
            ("#!lua name=a", "ERR Invalid library metadata"),
            ("#!lua\n", "ERR Library name was not given"),
            ("#!foo name=a\n", "ERR Engine 'foo' not found"),
            ("#!lua foo=a\n", "ERR Invalid metadata value given: foo=a"),
            ("#!lua name=a-b\n", BAD_NAME),
        ] {
            assert_eq!(of_library(code.as_bytes()), Err(text.as_bytes().to_vec()));
        }
    }
}
