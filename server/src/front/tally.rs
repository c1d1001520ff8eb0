//! What the clients of this shard called, per command, and which errors they got: INFO commandstats and errorstats.
//!
//! A call is counted where its client is, its time where it runs. Errors are counted when their reply passes; they are not on the path of a
//! command that succeeds.

use std::collections::BTreeMap;

use tessera_shards::script::Counts;

/// Different error codes that are told apart; a client can make up codes only where a later version lets it.
const CODES_MAX: usize = 128;
/// Longest error code that is told apart, bytes.
const CODE_BYTES_MAX: usize = 32;

/// Figures of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandTally {
    /// Times it was carried out.
    pub calls: u64,
    /// Times it was refused before that: arity, authentication.
    pub rejected: u64,
    /// Times it replied with an error.
    pub failed: u64,
    /// Nanoseconds it took.
    pub spent_ns: u64,
}

/// Figures of all commands, by their number, and of all error codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By number in the registry.
    pub commands: Vec<CommandTally>,
    /// Replies per error code.
    pub errors: BTreeMap<String, u64>,
}

impl Tally {
    /// Zeros for so many commands.
    #[must_use]
    pub fn new(commands: usize) -> Self {
        Tally {
            commands: vec![CommandTally::default(); commands],
            errors: BTreeMap::new(),
        }
    }

    /// A command is carried out.
    #[inline]
    pub(super) fn call(&mut self, command: u16) {
        self.commands[usize::from(command)].calls += 1;
    }

    /// So many of a command are carried out.
    pub(super) fn call_times(&mut self, command: u16, times: u32) {
        self.commands[usize::from(command)].calls += u64::from(times);
    }

    /// Commands took so long, each of them.
    #[inline]
    pub(super) fn spend_each(&mut self, commands: &[u16], ns: u64) {
        for command in commands {
            self.commands[usize::from(*command)].spent_ns += ns;
        }
    }

    /// A command was refused with this error, without the leading `-`.
    #[cold]
    pub(super) fn reject(&mut self, command: Option<u16>, error: &[u8]) {
        if let Some(command) = command {
            self.commands[usize::from(command)].rejected += 1;
        }
        self.count(error);
    }

    /// A command replied with this error, without the leading `-`.
    #[cold]
    pub(super) fn fail(&mut self, command: u16, error: &[u8]) {
        self.commands[usize::from(command)].failed += 1;
        self.count(error);
    }

    fn count(&mut self, error: &[u8]) {
        self.count_times(error, 1);
    }

    fn count_times(&mut self, error: &[u8], times: u64) {
        let end = error
            .iter()
            .position(|byte| matches!(byte, b' ' | b'\r'))
            .unwrap_or(error.len())
            .min(CODE_BYTES_MAX);
        let code = String::from_utf8_lossy(&error[..end]);
        if let Some(count) = self.errors.get_mut(code.as_ref()) {
            *count += times;
        } else if self.errors.len() < CODES_MAX && times > 0 {
            self.errors.insert(code.into_owned(), times);
        }
    }

    /// Scripts have called commands, each of which took so long.
    pub(super) fn add_of_scripts(&mut self, counts: &Counts, each_ns: u64) {
        for count in &counts.commands {
            let sum = &mut self.commands[usize::from(count.command)];
            sum.calls += count.calls;
            sum.rejected += count.rejected;
            sum.failed += count.failed;
            sum.spent_ns += count.calls * each_ns;
        }
        for (code, times) in &counts.errors {
            self.count_times(code, *times);
        }
    }

    /// Adds another shard's figures.
    pub fn add(&mut self, other: &Tally) {
        self.commands.resize_with(
            self.commands.len().max(other.commands.len()),
            Default::default,
        );
        for (sum, more) in self.commands.iter_mut().zip(&other.commands) {
            sum.calls += more.calls;
            sum.rejected += more.rejected;
            sum.failed += more.failed;
            sum.spent_ns += more.spent_ns;
        }
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_code() {
        let mut tally = Tally::new(2);
        tally.call(1);
        tally.spend_each(&[1], 7);
        tally.fail(1, b"WRONGTYPE Operation\r\n");
        tally.reject(None, b"ERR unknown command");
        tally.reject(Some(0), b"ERR wrong number");
        let mut sum = Tally::default();
        sum.add(&tally);
        sum.add(&tally);
        assert_eq!(
            sum.commands[1],
            CommandTally {
                calls: 2,
                rejected: 0,
                failed: 2,
                spent_ns: 14,
            }
        );
        assert_eq!(sum.commands[0].rejected, 2);
        let errors: Vec<_> = sum
            .errors
            .iter()
            .map(|(code, count)| (code.as_str(), *count))
            .collect();
        assert_eq!(errors, [("ERR", 4), ("WRONGTYPE", 2)]);
    }
}
