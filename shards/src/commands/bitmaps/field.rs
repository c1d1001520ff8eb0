//! BITFIELD: integers of 1 to 64 bits at any place of a string.
//!
//! All subcommands are read before the first one runs, so that an error changes nothing. If one writes, the string is first made long enough for all of them.

use tessera_core::bits;

use super::{READS, ROW, WRITES, bit_offset, change_bytes};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, integer, is};
use crate::commands::strings::text;
use crate::shard::WrongType;

pub(super) const BITFIELD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "bitfield",
        arity: -2,
        flags: WRITES,
        keys: &[KeySpec {
            notes: "This command allows both access and modification of the key",
            ..KeySpec::range(
                access::RW | access::ACCESS | access::UPDATE | access::VARIABLE,
                1,
                0,
                1,
            )
        }],
        since: "3.2.0",
        summary: "Reads and changes integers of any width in a string.",
        complexity: "O(1) per subcommand",
        ..ROW
    },
    op: |cx, args| {
        if let Some(steps) = parse(cx, &args[2..]) {
            run(cx, args[1], &steps);
        }
    },
    spread: Spread::One,
};

pub(super) const BITFIELD_RO: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "bitfield_ro",
        flags: flag::READONLY | flag::FAST,
        keys: READS,
        since: "6.0.0",
        summary: "Reads integers of any width in a string.",
        ..BITFIELD.spec
    },
    op: |cx, args| {
        let Some(steps) = parse(cx, &args[2..]) else {
            return;
        };
        if steps.iter().all(|step| step.action == Action::Get) {
            run(cx, args[1], &steps);
        } else {
            cx.error("ERR BITFIELD_RO only supports the GET subcommand");
        }
    },
    spread: Spread::One,
};

/// An integer's place and form.
#[derive(Clone, Copy)]
struct Field {
    offset: u64,
    width: u32,
    is_signed: bool,
}

/// What to do with a result that does not fit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

/// A subcommand.
struct Step {
    field: Field,
    action: Action,
    overflow: Overflow,
}

/// Reads the subcommands; writes the error.
fn parse(cx: &mut Cx<'_>, mut args: &[&[u8]]) -> Option<Vec<Step>> {
    let (mut steps, mut overflow) = (Vec::new(), Overflow::Wrap);
    loop {
        let (name, rest) = match args {
            [] => return Some(steps),
            [name, rest @ ..] => (*name, rest),
        };
        match rest {
            [kind, rest @ ..] if is(name, "OVERFLOW") => {
                overflow = overflow_of(cx, kind)?;
                args = rest;
            }
            [form, offset, rest @ ..] if is(name, "GET") => {
                steps.push(Step {
                    field: field_of(cx, form, offset)?,
                    action: Action::Get,
                    overflow,
                });
                args = rest;
            }
            [form, offset, number, rest @ ..] if is(name, "SET") || is(name, "INCRBY") => {
                let field = field_of(cx, form, offset)?;
                let number = integer(cx, number)?;
                let action = if is(name, "SET") {
                    Action::Set(number)
                } else {
                    Action::Add(number)
                };
                steps.push(Step {
                    field,
                    action,
                    overflow,
                });
                args = rest;
            }
            _ => {
                cx.error(SYNTAX);
                return None;
            }
        }
    }
}

fn overflow_of(cx: &mut Cx<'_>, kind: &[u8]) -> Option<Overflow> {
    if is(kind, "WRAP") {
        Some(Overflow::Wrap)
    } else if is(kind, "SAT") {
        Some(Overflow::Saturate)
    } else if is(kind, "FAIL") {
        Some(Overflow::Fail)
    } else {
        cx.error("ERR Invalid OVERFLOW type specified");
        None
    }
}

/// A form such as `i16` or `u8`, and an offset; writes the error.
fn field_of(cx: &mut Cx<'_>, form: &[u8], offset: &[u8]) -> Option<Field> {
    let (is_signed, width_max) = match form.first() {
        Some(b'i') => (true, 64),
        _ => (false, 63),
    };
    let width = match form {
        [b'i' | b'u', width @ ..] => tessera_core::number::parse_i64(width),
        _ => None,
    };
    let Some(width) = width.filter(|width| (1..=width_max).contains(width)) else {
        cx.error(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        );
        return None;
    };
    let width = width as u32;
    let offset = bit_offset(cx, offset, Some(width))?;
    Some(Field {
        offset,
        width,
        is_signed,
    })
}

fn run(cx: &mut Cx<'_>, key: &[u8], steps: &[Step]) {
    let writes = steps.iter().filter(|step| step.action != Action::Get);
    let last = writes.map(|step| step.field.offset + u64::from(step.field.width) - 1);
    let values: Option<Vec<Option<i64>>> = match last.max() {
        Some(last) => change_bytes(cx, key, last, |bytes| {
            let mut is_changed = false;
            let mut run = |step: &Step| step.run(bytes, &mut is_changed);
            let values = steps.iter().map(&mut run).collect();
            (values, is_changed)
        }),
        None => match cx.shard.read_string(cx.db, key) {
            Ok(value) => {
                let mut digits = itoa::Buffer::new();
                let bytes = value.map_or(&b""[..], |value| text(value, &mut digits));
                let read = |step: &Step| Some(step.field.read(bytes) as i64);
                Some(steps.iter().map(read).collect())
            }
            Err(WrongType) => {
                cx.wrong_type();
                None
            }
        },
    };
    let Some(values) = values else {
        return;
    };
    cx.reply.array(values.len());
    for value in values {
        match value {
            Some(value) => cx.reply.integer(value),
            None => cx.reply.null(),
        }
    }
}

impl Field {
    /// The value, which fits an `i64`.
    fn read(self, bytes: &[u8]) -> i128 {
        let value = bits::field(bytes, self.offset, self.width);
        if self.is_signed {
            let shift = 64 - self.width;
            i128::from((value << shift) as i64 >> shift)
        } else {
            i128::from(value)
        }
    }

    /// The smallest and the greatest value.
    fn bounds(self) -> (i128, i128) {
        if self.is_signed {
            (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1)
        } else {
            (0, (1 << self.width) - 1)
        }
    }

    /// A value as it can be kept; `None` if it does not fit and must not be kept otherwise.
    fn fit(self, value: i128, overflow: Overflow) -> Option<i128> {
        let (least, greatest) = self.bounds();
        if (least..=greatest).contains(&value) {
            return Some(value);
        }
        match overflow {
            Overflow::Wrap => Some((value - least).rem_euclid(1 << self.width) + least),
            Overflow::Saturate => Some(value.clamp(least, greatest)),
            Overflow::Fail => None,
        }
    }
}

impl Step {
    /// Whether Redis saturates a number to be set at the upper bound although it is the most negative: its distance to that bound overflows there.
    fn seems_too_large(&self, number: i64) -> bool {
        let (_, greatest) = self.field.bounds();
        self.overflow == Overflow::Saturate
            && self.field.width < 64
            && greatest - i128::from(number) > i128::from(i64::MAX)
    }

    /// Carries it out and returns the value to reply.
    fn run(&self, bytes: &mut [u8], is_changed: &mut bool) -> Option<i64> {
        let old = self.field.read(bytes);
        let (new, shows_old) = match self.action {
            Action::Get => return Some(old as i64),
            // A negative number for an unsigned field counts as a huge one, as in Redis.
            Action::Set(number) if !self.field.is_signed => (i128::from(number as u64), true),
            Action::Set(number) if self.seems_too_large(number) => (i128::from(i64::MAX), true),
            Action::Set(number) => (i128::from(number), true),
            Action::Add(number) => (old + i128::from(number), false),
        };
        let new = self.field.fit(new, self.overflow)?;
        bits::set_field(bytes, self.field.offset, self.field.width, new as u64);
        *is_changed |= new != old;
        Some(if shows_old { old } else { new } as i64)
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn fields() {
        let mut rig = Rig::new();
        rig.check(&[
            ("BITFIELD k", "[]"),
            ("EXISTS k", "0"),
            ("BITFIELD k GET u8 0 GET i5 100", "[0 0]"),
            (
                "BITFIELD k SET u8 0 255 GET i8 0 GET u4 2 GET u4 6",
                "[0 -1 15 12]",
            ),
            ("BITFIELD k INCRBY i5 100 1 GET u4 0", "[1 15]"),
            ("STRLEN k", "14"),
            ("BITFIELD k SET u8 #1 -1", "[0]"),
            ("BITFIELD k GET u16 0", "[65535]"),
            (
                "BITFIELD k SET i64 3 -9223372036854775808 GET i64 3",
                "[-2251799813685248 -9223372036854775808]",
            ),
            ("BITFIELD_RO k GET i64 3", "[-9223372036854775808]"),
            ("SET n 1", "OK"),
            ("BITFIELD_RO n GET u8 0", "[49]"),
            ("OBJECT ENCODING n", "\"int\""),
        ]);
    }

    #[test]
    fn overflows() {
        let mut rig = Rig::new();
        rig.check(&[
            ("BITFIELD k SET u2 0 3 INCRBY u2 0 1 INCRBY u2 0 -1", "[0 0 3]"),
            ("BITFIELD k OVERFLOW SAT INCRBY u2 0 9 INCRBY i3 8 -9 INCRBY i3 8 100", "[3 -4 3]"),
            ("BITFIELD k OVERFLOW FAIL INCRBY u2 0 1 SET i3 8 4 OVERFLOW WRAP SET i3 8 4 GET i3 8", "[(nil) (nil) 3 -4]"),
            ("BITFIELD k SET i64 16 9223372036854775807 INCRBY i64 16 1", "[0 -9223372036854775808]"),
            ("BITFIELD k OVERFLOW SAT INCRBY i64 16 -1 SET u8 96 -1 GET u8 96", "[-9223372036854775808 0 255]"),
            (
                "BITFIELD n OVERFLOW SAT SET i18 96 -9223372036854775808 GET i18 96 SET i18 96 -9223372036854600000 GET i18 96",
                "[0 131071 131071 -131072]",
            ),
            ("BITFIELD k INCRBY u63 16 9223372036854775807", "[4611686018427387903]"),
            ("BITFIELD none OVERFLOW FAIL INCRBY u2 0 9", "[(nil)]"),
            ("GET none", "\"\\x00\""),
        ]);
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        const FORM: &str = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
        const RANGE: &str = "ERR bit offset is not an integer or out of range";
        let mut rig = Rig::new();
        rig.check(&[
            ("BITFIELD k SET u8 0 1 GET u64 0", FORM),
            ("BITFIELD k SET u8 0 1 GET i65 0", FORM),
            ("BITFIELD k SET u8 0 1 GET x8 0", FORM),
            ("BITFIELD k SET u8 0 1 GET i 0", FORM),
            ("BITFIELD k SET u8 0 1 GET u0 0", FORM),
            ("BITFIELD k SET u8 -1 1", RANGE),
            ("BITFIELD k SET u8 #-1 1", RANGE),
            ("BITFIELD k SET u8 4294967296 1", RANGE),
            ("BITFIELD k GET u8 #9223372036854775807", RANGE),
            (
                "BITFIELD k SET u8 0 x",
                "ERR value is not an integer or out of range",
            ),
            ("BITFIELD k SET u8 0", "ERR syntax error"),
            ("BITFIELD k OVERFLOW", "ERR syntax error"),
            (
                "BITFIELD k OVERFLOW NONE",
                "ERR Invalid OVERFLOW type specified",
            ),
            (
                "BITFIELD_RO k SET u8 0 1",
                "ERR BITFIELD_RO only supports the GET subcommand",
            ),
            (
                "BITFIELD_RO k INCRBY u8 0 x",
                "ERR value is not an integer or out of range",
            ),
            ("EXISTS k", "0"),
            ("SADD s 1", "1"),
            (
                "BITFIELD s GET u8 0",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            (
                "BITFIELD s SET u8 0 1",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ]);
    }
}
