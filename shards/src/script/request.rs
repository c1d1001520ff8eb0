//! EVAL and its kin: what a request asks for.

use tessera_core::number::parse_i64;
use tessera_core::resp::Proto;

/// What runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A script by its text.
    Text,
    /// A script by its name.
    Sha,
    /// A function.
    Function,
}

impl Kind {
    /// What a command runs, by its name, and whether that may not write.
    pub(crate) fn of(name: &[u8]) -> (Self, bool) {
        const RO: &[u8] = b"_ro";
        let (name, is_read_only) = match name.split_last_chunk::<3>() {
            Some((name, end)) if end.eq_ignore_ascii_case(RO) => (name, true),
            _ => (name, false),
        };
        let kind = match name.len() {
            4 if name.eq_ignore_ascii_case(b"eval") => Kind::Text,
            7 if name.eq_ignore_ascii_case(b"evalsha") => Kind::Sha,
            _ => Kind::Function,
        };
        (kind, is_read_only)
    }
}

/// A request, taken apart.
pub(crate) struct Request<'a> {
    pub(crate) kind: Kind,
    /// Whether it may not write.
    pub(crate) is_read_only: bool,
    /// Text, SHA-1 or name.
    pub(crate) what: &'a [u8],
    pub(crate) keys: &'a [&'a [u8]],
    pub(crate) args: &'a [&'a [u8]],
    pub(crate) db: usize,
    pub(crate) proto: Proto,
}

impl<'a> Request<'a> {
    /// Reads a request of at least three words.
    ///
    /// # Errors
    /// Redis's words about the number of keys.
    pub(crate) fn parse(
        words: &'a [&'a [u8]],
        db: usize,
        proto: Proto,
    ) -> Result<Self, &'static str> {
        let (kind, is_read_only) = Kind::of(words[0]);
        let count = parse_i64(words[2]).ok_or(match kind {
            Kind::Function => "ERR Bad number of keys provided",
            _ => "ERR value is not an integer or out of range",
        })?;
        let rest = &words[3..];
        if count > rest.len() as i64 {
            return Err("ERR Number of keys can't be greater than number of args");
        }
        let count = usize::try_from(count).map_err(|_| "ERR Number of keys can't be negative")?;
        let (keys, args) = rest.split_at(count);
        Ok(Request {
            kind,
            is_read_only,
            what: words[1],
            keys,
            args,
            db,
            proto,
        })
    }
}
