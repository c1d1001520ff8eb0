//! Commands that took long, noted where they ran, until the front end takes the notes for SLOWLOG and LATENCY.
//!
//! Nothing is noted of a command whose time was not measured (`coordinator::meter`), so what cannot be slow pays nothing. When even a short time
//! is long, everything is measured. Arguments are kept as Redis keeps them: at most 32, of each at most 128 bytes.

use crate::mesh::Origin;

/// Arguments that are kept.
const ARGS_MAX: usize = 32;
/// Bytes of an argument that are kept.
const ARG_BYTES_MAX: usize = 128;
/// Below this a command without loops is measured, too: it could be a switch of threads, or a page that had to be found.
const ALL_BELOW_NS: u64 = 1_000_000;

/// A command that took long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slow {
    /// Its number.
    pub command: u16,
    /// Who waits for its reply.
    pub origin: Origin,
    /// Its arguments, trimmed, its name included.
    pub args: Vec<Box<[u8]>>,
    /// How long it held the shard, all slices together.
    pub ns: u64,
}

impl Slow {
    /// A command that has not taken any time yet.
    pub fn new<A: AsRef<[u8]>>(command: u16, origin: Origin, args: &[A]) -> Self {
        Slow {
            command,
            origin,
            args: trimmed(args),
            ns: 0,
        }
    }
}

/// What one shard notes.
#[derive(Debug)]
pub struct SlowWatch {
    /// From which time on a command is noted; `u64::MAX`: none is.
    from_ns: u64,
    notes: Vec<Slow>,
}

impl Default for SlowWatch {
    fn default() -> Self {
        SlowWatch {
            from_ns: u64::MAX,
            notes: Vec::new(),
        }
    }
}

impl SlowWatch {
    /// Notes commands from this time on.
    pub fn set(&mut self, from_ns: Option<u64>) {
        self.from_ns = from_ns.unwrap_or(u64::MAX);
    }

    /// Whether any command could be noted.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.from_ns != u64::MAX
    }

    /// Whether commands without loops are to be measured, too.
    #[must_use]
    pub fn wants_all(&self) -> bool {
        self.from_ns < ALL_BELOW_NS
    }

    /// Whether so long is long.
    #[inline]
    #[must_use]
    pub fn is_slow(&self, ns: u64) -> bool {
        ns >= self.from_ns && self.is_on()
    }

    /// Notes a command if it took long.
    #[inline]
    pub fn note<A: AsRef<[u8]>>(&mut self, command: u16, origin: Origin, args: &[A], ns: u64) {
        if self.is_slow(ns) {
            let slow = Slow::new(command, origin, args);
            self.notes.push(Slow { ns, ..slow });
        }
    }

    /// Notes a command that ran in slices, if it took long.
    pub fn note_slices(&mut self, slow: Slow) {
        if self.is_slow(slow.ns) {
            self.notes.push(slow);
        }
    }

    /// Whether anything is noted.
    #[inline]
    #[must_use]
    pub fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// What is noted, from now on forgotten.
    #[must_use]
    pub fn take(&mut self) -> Vec<Slow> {
        std::mem::take(&mut self.notes)
    }
}

/// The arguments as SLOWLOG shows them.
fn trimmed<A: AsRef<[u8]>>(args: &[A]) -> Vec<Box<[u8]>> {
    let shown = if args.len() > ARGS_MAX {
        ARGS_MAX - 1
    } else {
        args.len()
    };
    let mut kept: Vec<Box<[u8]>> = args[..shown]
        .iter()
        .map(|arg| shortened(arg.as_ref()))
        .collect();
    if shown < args.len() {
        let more = args.len() - shown;
        kept.push(format!("... ({more} more arguments)").into_bytes().into());
    }
    kept
}

fn shortened(arg: &[u8]) -> Box<[u8]> {
    let Some(more) = arg
        .len()
        .checked_sub(ARG_BYTES_MAX)
        .filter(|more| *more > 0)
    else {
        return arg.into();
    };
    let end = format!("... ({more} more bytes)");
    [&arg[..ARG_BYTES_MAX], end.as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::Route;

    const ORIGIN: Origin = Origin {
        shard: 0,
        route: Route::Gather(1, 2),
    };

    #[test]
    fn only_what_is_slow_is_noted() {
        let mut watch = SlowWatch::default();
        watch.note(1, ORIGIN, &[b"get"], u64::MAX);
        assert!(!watch.has_notes() && !watch.wants_all());
        watch.set(Some(10_000_000));
        watch.note(1, ORIGIN, &[b"get"], 9_999_999);
        assert!(!watch.has_notes() && !watch.wants_all());
        watch.note(2, ORIGIN, &[b"keys"], 10_000_000);
        let mut slices = Slow::new(3, ORIGIN, &[b"sort"]);
        watch.note_slices(slices.clone());
        slices.ns = 20_000_000;
        watch.note_slices(slices);
        let noted: Vec<_> = watch.take().iter().map(|it| (it.command, it.ns)).collect();
        assert_eq!(noted, [(2, 10_000_000), (3, 20_000_000)]);
        watch.set(Some(0));
        assert!(watch.wants_all() && watch.is_slow(0) && !watch.has_notes());
    }

    #[test]
    fn long_requests_are_trimmed() {
        let long = vec![b'a'; 129];
        let args: Vec<&[u8]> = vec![&long; 33];
        let kept = trimmed(&args);
        assert_eq!(kept.len(), 32);
        assert_eq!(*kept[0], *[&long[..128], b"... (1 more bytes)"].concat());
        assert_eq!(&*kept[31], b"... (2 more arguments)");
        assert_eq!(trimmed(&args[..32]).len(), 32);
        assert_eq!(&*trimmed(&[&long[..128]])[0], &long[..128]);
    }
}
