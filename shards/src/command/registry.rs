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

/// All commands. A command keeps the name of its row, which its replies, its statistics and COMMAND tell, when it is called by another one
/// (`rename-command`): so Redis has it.
pub struct Registry<S: 'static> {
    commands: Vec<Command<S>>,
    /// By which name each is called, in lower case; empty: by none.
    called: Vec<&'static str>,
    /// Open addressing by `Short::hash`; beside the name the number + 1, 0 is empty. At most a quarter full.
    short: ShortIndex,
    long: HashMap<Vec<u8>, u16>,
}

type ShortIndex = Box<[(Short, u16)]>;

/// Names up to this length are found by their packed form.
const SHORT_MAX: usize = 8;

/// A short name as it is compared.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Short {
    /// Its bytes, A to Z folded onto a to z, little endian.
    word: u64,
    len: u8,
}

impl Short {
    /// Of a name of at most [`SHORT_MAX`] bytes.
    #[inline]
    fn of(name: &[u8]) -> Self {
        let byte = |at: usize| u64::from(name[at]) << (8 * at);
        let word = match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            // Where the two overlap they agree.
            (Some(first), Some(last)) => {
                let last = u64::from(u32::from_le_bytes(*last)) << (8 * (name.len() - 4));
                u64::from(u32::from_le_bytes(*first)) | last
            }
            _ if name.is_empty() => 0,
            _ => byte(0) | byte(name.len() / 2) | byte(name.len() - 1),
        };
        Self {
            word: fold(word),
            len: name.len() as u8,
        }
    }

    #[inline]
    fn hash(self, mask: usize) -> usize {
        (self.word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize & mask
    }
}

/// Folds the bytes A to Z of a word onto a to z, all at once: the usual arithmetic on seven bits per byte.
#[inline]
fn fold(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let low = word & !HIGH;
    let from_a = low + (0x80 - u64::from(b'A')) * ONES;
    let beyond_z = low + (0x80 - u64::from(b'Z') - 1) * ONES;
    let is_upper = !word & (from_a ^ beyond_z) & HIGH;
    word | is_upper >> 2
}

/// The two ways to find a name, for commands that have one.
fn index(called: &[&str]) -> (ShortIndex, HashMap<Vec<u8>, u16>) {
    let slots = (called.len() * 4).next_power_of_two();
    let mut short = vec![(Short::default(), 0); slots].into_boxed_slice();
    let mut long = HashMap::new();
    let named = (0u16..).zip(called).filter(|(_, name)| !name.is_empty());
    for (number, name) in named {
        let known = long.insert(name.as_bytes().to_vec(), number);
        assert!(known.is_none(), "two commands named {name}");
        let name = name.as_bytes();
        if name.len() <= SHORT_MAX {
            let name = Short::of(name);
            let mut place = name.hash(slots - 1);
            while short[place].1 != 0 {
                place = (place + 1) & (slots - 1);
            }
            short[place] = (name, number + 1);
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
        let called: Vec<&'static str> = commands.iter().map(|command| command.spec.name).collect();
        let (short, long) = index(&called);
        Registry {
            commands,
            called,
            short,
            long,
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
        (self.short, self.long) = index(&self.called);
        Ok(())
    }

    /// By which name a command is called: empty if nobody can call it.
    #[must_use]
    pub fn called(&self, number: u16) -> &'static str {
        self.called.get(usize::from(number)).copied().unwrap_or("")
    }

    /// The command whose row has this name, in any case, whatever it is called by. O(N) with N commands.
    #[must_use]
    pub fn find_row(&self, name: &[u8]) -> Option<&Command<S>> {
        self.commands
            .iter()
            .find(|command| command.spec.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The command of this name in any case.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Command<S>> {
        if name.len() > SHORT_MAX {
            return self.find_long(name);
        }
        let mask = self.short.len() - 1;
        let wanted = Short::of(name);
        let mut place = wanted.hash(mask);
        loop {
            let (short, number) = self.short[place];
            if number == 0 {
                return None;
            }
            if short == wanted {
                return Some(&self.commands[usize::from(number) - 1]);
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
        assert_eq!(registry.all().len(), 2);
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
    fn short_names_are_compared_as_ascii_without_case() {
        for length in 0..=SHORT_MAX {
            for byte in 0..=u8::MAX {
                for at in 0..length {
                    let mut name: Vec<u8> = (0..length as u8).map(|place| b'a' + place).collect();
                    name[at] = byte;
                    let mut padded = name.to_ascii_lowercase();
                    padded.resize(SHORT_MAX, 0);
                    let word = u64::from_le_bytes(padded.try_into().expect("eight bytes"));
                    let short = Short::of(&name);
                    assert_eq!((short.word, usize::from(short.len)), (word, length));
                }
            }
        }
    }
}
