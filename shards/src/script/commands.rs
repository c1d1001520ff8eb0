//! The commands that scripts can name, from the registry.

use crate::command::spec::flag;
use crate::command::{Names, Op, Registry, Run, Spec, Spread, find_subcommand};

/// A command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Its number in the registry.
    pub(crate) number: u16,
    pub(crate) spec: Spec,
    /// The number of its first subcommand, if it has any.
    pub(super) first_part: u16,
    /// How it runs over keys, if it does.
    pub(crate) run: Option<(Op, Spread)>,
}

/// Why a script cannot call a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    /// Under which number that counts, if the command exists.
    pub(crate) number: Option<u16>,
    /// Redis's words.
    pub(crate) text: &'static str,
}

/// Every command by name.
#[derive(Default)]
pub struct Commands {
    all: Vec<Known>,
    names: Names,
}

const UNKNOWN: &str = "ERR Unknown Redis command called from script";
const WRONG_ARITY: &str = "ERR Wrong number of args calling Redis command from script";
const NOT_ALLOWED: &str = "ERR This Redis command is not allowed from script";

impl Commands {
    /// The commands of a registry.
    #[must_use]
    pub fn of<S: Copy>(registry: &Registry<S>) -> Self {
        let known = |command: &crate::command::Command<S>| Known {
            number: command.number,
            spec: command.spec,
            first_part: registry.first_part(command.number),
            run: match command.run {
                Run::Keyspace { op, spread } => Some((op, spread)),
                Run::Session(_) => None,
            },
        };
        let all: Vec<Known> = registry.all().map(known).collect();
        let names = all.iter().map(|known| registry.called(known.number));
        let names = Names::of(&names.collect::<Vec<_>>());
        Commands { all, names }
    }

    /// The command of a request from a script, and the number under which it counts.
    ///
    /// # Errors
    /// Why it cannot be called: it does not exist, is called wrongly or is not for scripts.
    pub(crate) fn find(&self, args: &[&[u8]]) -> Result<(&Known, u16), Refused> {
        let unknown = Refused {
            number: None,
            text: UNKNOWN,
        };
        let known = self.lookup(args[0]).ok_or(unknown)?;
        let (mut flags, mut number) = (known.spec.flags, known.number);
        let refused = |number, text| {
            let number = Some(number);
            Err(Refused { number, text })
        };
        if !known.spec.accepts(args.len()) {
            return refused(number, WRONG_ARITY);
        }
        if !known.spec.subcommands.is_empty() && args.len() > 1 {
            let subs = known.spec.subcommands;
            let is_named = |sub: &Spec| sub.name.as_bytes().eq_ignore_ascii_case(args[1]);
            let at = subs.iter().position(is_named).ok_or(unknown)?;
            number = known.first_part + at as u16;
            if find_subcommand(known.spec.name, subs, args).is_err() {
                return refused(number, WRONG_ARITY);
            }
            flags = subs[at].flags;
        }
        if flags & flag::NOSCRIPT != 0 {
            return refused(number, NOT_ALLOWED);
        }
        Ok((known, number))
    }

    /// The command of this name.
    pub(crate) fn lookup(&self, name: &[u8]) -> Option<&Known> {
        let at = self.names.find(name)?;
        self.all.get(usize::from(at))
    }
}
