//! Lifetimes: how SET, GETEX, SETEX and EXPIRE say when a key ends, and which of their options go together.

use tessera_core::number::parse_i64;

use crate::command::Cx;
use crate::commands::args::{self, NOT_INTEGER};

/// What the number of an expiry option means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lifetime {
    /// Seconds, or milliseconds.
    pub(crate) in_seconds: bool,
    /// A moment since the Unix epoch, or a time from now on.
    pub(crate) absolute: bool,
}

impl Lifetime {
    /// Seconds from now.
    pub(crate) const EX: Lifetime = Lifetime {
        in_seconds: true,
        absolute: false,
    };
    /// Milliseconds from now.
    pub(crate) const PX: Lifetime = Lifetime {
        in_seconds: false,
        absolute: false,
    };
    /// Seconds since the epoch.
    pub(crate) const EXAT: Lifetime = Lifetime {
        in_seconds: true,
        absolute: true,
    };
    /// Milliseconds since the epoch.
    pub(crate) const PXAT: Lifetime = Lifetime {
        in_seconds: false,
        absolute: true,
    };

    /// The moment in milliseconds since the epoch, which may lie in the past; `None` where it does not fit.
    pub(crate) fn moment_ms(self, amount: i64, now_ms: u64) -> Option<i64> {
        let amount_ms = if self.in_seconds {
            amount.checked_mul(1000)?
        } else {
            amount
        };
        if self.absolute {
            Some(amount_ms)
        } else {
            amount_ms.checked_add(i64::try_from(now_ms).ok()?)
        }
    }

    /// The moment for a number that must be positive. Writes the error for `command` itself.
    pub(crate) fn deadline(self, cx: &mut Cx<'_>, arg: &[u8], command: &str) -> Option<u64> {
        let Some(amount) = parse_i64(arg) else {
            cx.error(NOT_INTEGER);
            return None;
        };
        let moment = if amount > 0 {
            self.moment_ms(amount, cx.shard.now_ms)
        } else {
            None
        };
        let deadline = moment.and_then(|at| u64::try_from(at).ok());
        if deadline.is_none() {
            invalid(cx, command);
        }
        deadline
    }
}

/// The error for a time that is not positive or does not fit.
pub(crate) fn invalid(cx: &mut Cx<'_>, command: &str) {
    cx.error(format!("ERR invalid expire time in '{command}' command"));
}

/// The one expiry option of a SET or GETEX.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExpireOption<'a> {
    /// None was given.
    Unset,
    /// KEEPTTL (SET).
    Keep,
    /// PERSIST (GETEX).
    Persist,
    /// EX, PX, EXAT, PXAT with the number's text, which is read when all options have been.
    At(Lifetime, &'a [u8]),
}

impl<'a> ExpireOption<'a> {
    /// Reads the option at the head of `args`. Returns how many arguments it took; `None` if there is no such option, its
    /// number is missing, or another one was given before. (The same one again is fine and the last number counts.)
    pub(crate) fn read(&mut self, args: &[&'a [u8]]) -> Option<usize> {
        let word = *args.first()?;
        let (next, taken) = if args::is(word, "KEEPTTL") {
            (ExpireOption::Keep, 1)
        } else if args::is(word, "PERSIST") {
            (ExpireOption::Persist, 1)
        } else {
            let lifetime = match word.len() {
                2 if args::is(word, "EX") => Lifetime::EX,
                2 if args::is(word, "PX") => Lifetime::PX,
                4 if args::is(word, "EXAT") => Lifetime::EXAT,
                4 if args::is(word, "PXAT") => Lifetime::PXAT,
                _ => return None,
            };
            (ExpireOption::At(lifetime, args.get(1)?), 2)
        };
        let compatible = match (*self, next) {
            (ExpireOption::Unset, _) => true,
            (ExpireOption::At(a, _), ExpireOption::At(b, _)) => a == b,
            (a, b) => a == b,
        };
        compatible.then(|| {
            *self = next;
            taken
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_option() {
        let mut option = ExpireOption::Unset;
        assert_eq!(option.read(&[b"ex", b"10", b"more"]), Some(2));
        assert_eq!(option.read(&[b"EX", b"20"]), Some(2));
        assert_eq!(option, ExpireOption::At(Lifetime::EX, b"20"));
        for words in [
            &[&b"PX"[..], b"1"][..],
            &[b"KEEPTTL"],
            &[b"PERSIST"],
            &[b"EX"],
            &[b"EXX", b"1"],
            &[],
        ] {
            assert_eq!(option.read(words), None);
        }
    }

    #[test]
    fn moments_at_the_ends() {
        assert_eq!(Lifetime::EX.moment_ms(10, 5), Some(10_005));
        assert_eq!(Lifetime::EXAT.moment_ms(10, 5), Some(10_000));
        assert_eq!(Lifetime::PX.moment_ms(-10, 5), Some(-5));
        assert_eq!(Lifetime::PX.moment_ms(i64::MAX, 0), Some(i64::MAX));
        assert_eq!(Lifetime::PX.moment_ms(i64::MAX, 1), None);
        assert_eq!(Lifetime::EX.moment_ms(i64::MAX / 1000 + 1, 0), None);
        assert_eq!(Lifetime::EX.moment_ms(i64::MIN / 1000 - 1, 0), None);
    }
}
