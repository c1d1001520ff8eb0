//! The registry: every command by name, in O(1), from the tables of all families.
//!
//! Built once at start; shared by reference. A command's number is its place in the registry and travels in messages between shards.

use std::collections::HashMap;

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
}

/// All commands.
pub struct Registry<S: 'static> {
    commands: Vec<Command<S>>,
    /// Open addressing by `short_hash`; entries are number + 1, 0 is empty. At most a quarter full.
    short: Box<[u16]>,
    long: HashMap<Vec<u8>, u16>,
}

/// Names up to this length are found by their packed form.
const SHORT_MAX: usize = 8;

/// Up to eight letters, upper case folded to lower, packed into a word.
fn pack(name: &[u8]) -> u64 {
    let mut bytes = [0u8; 8];
    bytes[..name.len()].copy_from_slice(name);
    // Sets bit 5 of each byte: folds A-Z onto a-z. Other bytes may collide with each other; `find` compares the name afterwards.
    u64::from_le_bytes(bytes) | 0x2020_2020_2020_2020
}

fn short_hash(word: u64, mask: usize) -> usize {
    (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize & mask
}

/// The two ways to find a name, for commands that have one.
fn index<S>(commands: &[Command<S>]) -> (Box<[u16]>, HashMap<Vec<u8>, u16>) {
    let slots = (commands.len() * 4).next_power_of_two();
    let mut short = vec![0u16; slots].into_boxed_slice();
    let mut long = HashMap::new();
    for command in commands
        .iter()
        .filter(|command| !command.spec.name.is_empty())
    {
        let name = command.spec.name.as_bytes();
        let known = long.insert(name.to_vec(), command.number);
        assert!(known.is_none(), "two commands named {}", command.spec.name);
        if name.len() <= SHORT_MAX {
            let mut place = short_hash(pack(name), slots - 1);
            while short[place] != 0 {
                place = (place + 1) & (slots - 1);
            }
            short[place] = command.number + 1;
        }
    }
    (short, long)
}

impl<S: Copy> Registry<S> {
    /// Puts the families' tables together.
    ///
    /// # Panics
    /// When two rows have the same name: a fault of the tables, found at start.
    #[must_use]
    pub fn new(keyspace: &[&'static [KeyspaceRow]], session: &[&'static [(Spec, S)]]) -> Self {
        let mut commands = Vec::new();
        for row in keyspace.iter().copied().flatten() {
            commands.push((
                row.spec,
                Run::Keyspace {
                    op: row.op,
                    spread: row.spread,
                },
            ));
        }
        for (spec, run) in session.iter().copied().flatten() {
            commands.push((*spec, Run::Session(*run)));
        }
        let commands: Vec<Command<S>> = commands
            .into_iter()
            .enumerate()
            .map(|(number, (spec, run))| Command {
                number: number as u16,
                spec,
                run,
            })
            .collect();
        let (short, long) = index(&commands);
        Registry {
            commands,
            short,
            long,
        }
    }

    /// Gives a command another name, or none: then nobody can call it. Numbers stay. For `rename-command`, at start; the new name
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
        self.commands[usize::from(number)].spec.name =
            Box::leak(to.to_ascii_lowercase().into_boxed_str());
        (self.short, self.long) = index(&self.commands);
        Ok(())
    }

    /// The command of this name in any case.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Command<S>> {
        if name.len() > SHORT_MAX {
            return self.find_long(name);
        }
        let mask = self.short.len() - 1;
        let mut place = short_hash(pack(name), mask);
        loop {
            let number = self.short[place];
            if number == 0 {
                return None;
            }
            let command = &self.commands[usize::from(number) - 1];
            if command.spec.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(command);
            }
            place = (place + 1) & mask;
        }
    }

    fn find_long(&self, name: &[u8]) -> Option<&Command<S>> {
        if name.len() > 64 {
            return None;
        }
        let number = self.long.get(&name.to_ascii_lowercase())?;
        self.commands.get(usize::from(*number))
    }

    /// The command with this number.
    #[must_use]
    pub fn get(&self, number: u16) -> Option<&Command<S>> {
        self.commands.get(usize::from(number))
    }

    /// All commands in the order of their numbers.
    #[must_use]
    pub fn all(&self) -> &[Command<S>] {
        &self.commands
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
    fn commands_get_other_names_and_keep_their_numbers() {
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
        assert_eq!(registry.all().len(), 2);
    }
}
