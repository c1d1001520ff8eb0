//! The registry: every command by name, in O(1), from the tables of all families.
//!
//! Built once at start; shared by reference. A command's number is its place in the registry and travels in messages between shards.

use std::borrow::Cow;

use crate::command::names::Names;
use crate::command::{KeyspaceRow, Run, Spec};

/// A command as the dispatch sees it.
#[derive(Clone, Copy, Debug)]
pub struct Command<S: 'static> {
    /// Number: index in the registry.
    pub number: u16,
    /// Its row.
    pub spec: Spec,
    /// How it runs.
    pub run: Run<S>,
    /// Which subcommand of its row this number stands for, in statistics; otherwise it is the same command.
    pub part: Option<u16>,
}

impl<S> Command<S> {
    /// Its name in statistics, with the subcommand.
    #[must_use]
    pub fn counted_name(&self) -> Cow<'static, str> {
        let sub = self
            .part
            .and_then(|part| self.spec.subcommands.get(usize::from(part)));
        match sub {
            Some(sub) => format!("{}|{}", self.spec.name, sub.name).into(),
            None => self.spec.name.into(),
        }
    }
}

/// All commands. A command keeps the name of its row, which its replies, its statistics and COMMAND tell, when it is called by another one
/// (`rename-command`): so Redis has it.
pub struct Registry<S: 'static> {
    commands: Vec<Command<S>>,
    /// The number of the first subcommand of each, if it has any; they follow each other.
    parts: Vec<u16>,
    /// By which name each is called, in lower case; empty: by none.
    called: Vec<&'static str>,
    is_renamed: bool,
    names: Names,
}

/// Numbers these commands, and then their subcommands.
fn add<S: Copy>(all: &mut Vec<Command<S>>, parts: &mut Vec<u16>, rows: Vec<(Spec, Run<S>)>) {
    let first = all.len();
    for (spec, run) in rows {
        let number = all.len() as u16;
        all.push(Command {
            number,
            spec,
            run,
            part: None,
        });
    }
    for place in first..all.len() {
        let command = all[place];
        parts.push(all.len() as u16);
        for part in 0..command.spec.subcommands.len() as u16 {
            all.push(Command {
                number: all.len() as u16,
                part: Some(part),
                ..command
            });
        }
    }
    parts.resize(all.len(), 0);
}

impl<S: Copy> Registry<S> {
    /// Puts the families' tables together.
    ///
    /// # Panics
    /// When two rows have the same name: a fault of the tables, found at start.
    #[must_use]
    pub fn new(keyspace: &[&'static [KeyspaceRow]], session: &[&'static [(Spec, S)]]) -> Self {
        let of_keys = keyspace.iter().copied().flatten().map(|row| {
            let run = Run::Keyspace {
                op: row.op,
                spread: row.spread,
            };
            (row.spec, run)
        });
        let of_sessions = session.iter().copied().flatten();
        let of_sessions = of_sessions.map(|(spec, run)| (*spec, Run::Session(*run)));
        let (mut commands, mut parts) = (Vec::new(), Vec::new());
        // The engine numbers the keyspace's in the same way.
        add(&mut commands, &mut parts, of_keys.collect());
        add(&mut commands, &mut parts, of_sessions.collect());
        let called = commands.iter().map(|command| match command.part {
            Some(_) => "",
            None => command.spec.name,
        });
        let called: Vec<&'static str> = called.collect();
        let names = Names::of(&called);
        Registry {
            commands,
            parts,
            called,
            is_renamed: false,
            names,
        }
    }

    /// Calls a command by another name, or by none: then nobody can call it. Numbers and rows stay. For `rename-command`, at start; the new name
    /// lives as long as the process.
    ///
    /// # Errors
    /// Redis's words for a name that does not exist or is taken.
    pub fn rename(&mut self, from: &[u8], to: &str) -> Result<(), &'static str> {
        let number = self
            .find(from)
            .ok_or("No such command in rename-command")?
            .number;
        if !to.is_empty() && self.find(to.as_bytes()).is_some() {
            return Err("Target command name already exists");
        }
        self.called[usize::from(number)] = Box::leak(to.to_ascii_lowercase().into_boxed_str());
        self.names = Names::of(&self.called);
        self.is_renamed = true;
        Ok(())
    }

    /// The name of a command's row, if it is called by another one.
    #[inline]
    #[must_use]
    pub fn name_behind(&self, command: &Command<S>) -> Option<&'static str> {
        let name = command.spec.name;
        (self.is_renamed && self.called(command.number) != name).then_some(name)
    }

    /// By which name a command is called: empty if nobody can call it.
    #[must_use]
    pub fn called(&self, number: u16) -> &'static str {
        self.called.get(usize::from(number)).copied().unwrap_or("")
    }

    /// The command whose row has this name, in any case, whatever it is called by. O(N) with N commands.
    #[must_use]
    pub fn find_row(&self, name: &[u8]) -> Option<&Command<S>> {
        self.all()
            .find(|command| command.spec.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The command of this name in any case.
    #[inline]
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Command<S>> {
        let number = self.names.find(name)?;
        self.commands.get(usize::from(number))
    }

    /// The number of the first subcommand of a command that has some; the others follow.
    pub(crate) fn first_part(&self, number: u16) -> u16 {
        self.parts[usize::from(number)]
    }

    /// The command with this number.
    #[must_use]
    pub fn get(&self, number: u16) -> Option<&Command<S>> {
        self.commands.get(usize::from(number))
    }

    /// What a request counts as: the subcommand that it names, if it names one.
    #[inline]
    #[must_use]
    pub fn part<'r>(&'r self, command: &'r Command<S>, args: &[&[u8]]) -> &'r Command<S> {
        if command.spec.subcommands.is_empty() {
            return command;
        }
        let named = |sub: &Spec| {
            let name = args.get(1).copied().unwrap_or_default();
            sub.name.as_bytes().eq_ignore_ascii_case(name)
        };
        let place = command.spec.subcommands.iter().position(named);
        let first = usize::from(self.parts[usize::from(command.number)]);
        place.map_or(command, |place| &self.commands[first + place])
    }

    /// The numbers under which a command, or a subcommand (`config|get`), counts; of a command its subcommands', too. O(N) with N commands.
    pub fn counted_as<'r>(&'r self, name: &'r [u8]) -> impl Iterator<Item = u16> + 'r {
        let is_it = move |command: &&Command<S>| {
            command.spec.name.as_bytes().eq_ignore_ascii_case(name)
                || command.counted_name().as_bytes().eq_ignore_ascii_case(name)
        };
        self.commands
            .iter()
            .filter(is_it)
            .map(|command| command.number)
    }

    /// All commands in the order of their numbers.
    pub fn all(&self) -> impl Iterator<Item = &Command<S>> {
        self.commands
            .iter()
            .filter(|command| command.part.is_none())
    }

    /// How many numbers there are, those of subcommands included.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.commands.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[(Spec, ())] = &[
        (
            Spec {
                name: "get",
                ..Spec::NONE
            },
            (),
        ),
        (
            Spec {
                name: "rather-long",
                ..Spec::NONE
            },
            (),
        ),
    ];

    #[test]
    fn commands_get_other_names_and_keep_their_rows() {
        let mut registry = Registry::new(&[], &[ROWS]);
        let number = |registry: &Registry<()>, name: &str| {
            registry.find(name.as_bytes()).map(|command| command.number)
        };
        assert_eq!(
            (number(&registry, "GET"), number(&registry, "Rather-Long")),
            (Some(0), Some(1))
        );
        assert_eq!(
            registry.rename(b"nosuch", "x"),
            Err("No such command in rename-command")
        );
        assert_eq!(
            registry.rename(b"get", "RATHER-LONG"),
            Err("Target command name already exists")
        );
        assert_eq!(registry.rename(b"GET", "Fetch-The-Value"), Ok(()));
        assert_eq!(registry.rename(b"rather-long", ""), Ok(()));
        assert_eq!(
            (
                number(&registry, "get"),
                number(&registry, "fetch-the-value")
            ),
            (None, Some(0))
        );
        assert_eq!(
            (number(&registry, "rather-long"), number(&registry, "")),
            (None, None)
        );
        assert_eq!((registry.all().count(), registry.numbers()), (2, 2));
        assert_eq!(
            (registry.called(0), registry.called(1)),
            ("fetch-the-value", "")
        );
        let row = |name: &[u8]| {
            registry
                .find_row(name)
                .map(|command| (command.number, command.spec.name))
        };
        assert_eq!(
            (row(b"GET"), row(b"Rather-Long"), row(b"fetch-the-value")),
            (Some((0, "get")), Some((1, "rather-long")), None)
        );
    }

    #[test]
    fn subcommands_have_numbers_behind_all_commands() {
        const SUBS: &[Spec] = &[
            Spec {
                name: "one",
                ..Spec::NONE
            },
            Spec {
                name: "two",
                ..Spec::NONE
            },
        ];
        const BOX: &[(Spec, ())] = &[(
            Spec {
                name: "box",
                subcommands: SUBS,
                ..Spec::NONE
            },
            (),
        )];
        let registry = Registry::new(&[], &[BOX, ROWS]);
        let counted = |words: &[&[u8]]| {
            let command = registry.find(words[0]).expect("it is there");
            let part = registry.part(command, words);
            (part.number, part.counted_name().into_owned())
        };
        assert_eq!(counted(&[b"BOX", b"Two"]), (4, "box|two".to_owned()));
        assert_eq!(counted(&[b"box", b"three"]), (0, "box".to_owned()));
        assert_eq!(counted(&[b"get", b"two"]), (1, "get".to_owned()));
        assert_eq!((registry.all().count(), registry.numbers()), (3, 5));
        assert_eq!(registry.get(4).map(|part| part.spec.name), Some("box"));
        let counted_as = |name: &[u8]| registry.counted_as(name).collect::<Vec<u16>>();
        assert_eq!(counted_as(b"Box"), [0, 3, 4]);
        assert_eq!(
            (counted_as(b"box|two"), counted_as(b"get")),
            (vec![4], vec![1])
        );
        assert_eq!(registry.called(4), "");
    }
}
