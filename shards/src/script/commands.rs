//! The commands that scripts can name, from the registry.

use std::collections::HashMap;

use crate::command::spec::flag;
use crate::command::{Op, Registry, Run, Spec, Spread, find_subcommand};

/// A command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Its number in the registry.
    pub(crate) number: u16,
    pub(crate) spec: Spec,
    /// How it runs over keys, if it does.
    pub(crate) run: Option<(Op, Spread)>,
}

/// Every command by name.
#[derive(Default)]
pub struct Commands {
    all: Vec<Known>,
    names: HashMap<&'static str, usize>,
}

/// Why a script cannot call a command.
pub(crate) const UNKNOWN: &str = "ERR Unknown Redis command called from script";
const WRONG_ARITY: &str = "ERR Wrong number of args calling Redis command from script";
const NOT_ALLOWED: &str = "ERR This Redis command is not allowed from script";

impl Commands {
    /// The commands of a registry.
    #[must_use]
    pub fn of<S: Copy>(registry: &Registry<S>) -> Self {
        let known = |command: &crate::command::Command<S>| Known {
            number: command.number,
            spec: command.spec,
            run: match command.run {
                Run::Keyspace { op, spread } => Some((op, spread)),
                Run::Session(_) => None,
            },
        };
        let all: Vec<Known> = registry.all().map(known).collect();
        let names = all.iter().enumerate();
        let names = names
            .map(|(at, known)| (registry.called(known.number), at))
            .filter(|(name, _)| !name.is_empty())
            .collect();
        Commands { all, names }
    }

    /// The command of a request from a script.
    ///
    /// # Errors
    /// Redis's words for one that does not exist, is called wrongly or is not for scripts.
    pub(crate) fn find(&self, args: &[&[u8]]) -> Result<&Known, &'static str> {
        let known = self.lookup(args[0]).ok_or(UNKNOWN)?;
        let mut flags = known.spec.flags;
        if !known.spec.accepts(args.len()) {
            return Err(WRONG_ARITY);
        }
        if !known.spec.subcommands.is_empty() && args.len() > 1 {
            let is_named = |sub: &&Spec| sub.name.as_bytes().eq_ignore_ascii_case(args[1]);
            let sub = known
                .spec
                .subcommands
                .iter()
                .find(is_named)
                .ok_or(UNKNOWN)?;
            if find_subcommand(known.spec.name, known.spec.subcommands, args).is_err() {
                return Err(WRONG_ARITY);
            }
            flags = sub.flags;
        }
        if flags & flag::NOSCRIPT != 0 {
            return Err(NOT_ALLOWED);
        }
        Ok(known)
    }

    /// The command of this name.
    pub(crate) fn lookup(&self, name: &[u8]) -> Option<&Known> {
        let mut buffer = [0; 64];
        let lower = buffer.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let name = std::str::from_utf8(lower).ok()?;
        self.names.get(name).map(|at| &self.all[*at])
    }
}
