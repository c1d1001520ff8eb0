//! Arguments that many commands read alike, and the errors they share, byte for byte Redis's.
//!
//! A reader that fails has written the error already; its caller only returns.

use tessera_core::number::parse_i64;

use crate::command::Cx;

/// An unknown or misplaced option.
pub(crate) const SYNTAX: &str = "ERR syntax error";
/// Text that is not a 64-bit integer, in an argument or in a value.
pub(crate) const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
/// A database number that the server does not have.
pub(crate) const DB_RANGE: &str = "ERR DB index is out of range";
/// The allocator refused a large buffer.
pub(crate) const OUT_OF_MEMORY: &str = "ERR out of memory: the value cannot grow that large";

/// Whether an argument is this word (given in upper case), whatever its case.
#[inline]
pub(crate) fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// A 64-bit integer.
#[inline]
pub(crate) fn integer(cx: &mut Cx<'_>, arg: &[u8]) -> Option<i64> {
    let number = parse_i64(arg);
    if number.is_none() {
        cx.error(NOT_INTEGER);
    }
    number
}

/// A 32-bit integer, which Redis reads as a 64-bit one with a narrower range.
pub(crate) fn int(cx: &mut Cx<'_>, arg: &[u8]) -> Option<i32> {
    let number = i32::try_from(integer(cx, arg)?).ok();
    if number.is_none() {
        cx.error(format!(
            "ERR value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        ));
    }
    number
}

/// The number of a database that exists.
pub(crate) fn database(cx: &mut Cx<'_>, arg: &[u8]) -> Option<usize> {
    let number = int(cx, arg)?;
    let db = usize::try_from(number)
        .ok()
        .filter(|&db| db < cx.shard.databases());
    if db.is_none() {
        cx.error(DB_RANGE);
    }
    db
}

/// The error for a number of arguments that the arity cannot tell. `command` is the full name: `mset`, `object|freq`.
pub(crate) fn wrong_arity(cx: &mut Cx<'_>, command: &str) {
    cx.error(format!(
        "ERR wrong number of arguments for '{command}' command"
    ));
}
