//! `Counts`: what scripts have called, for INFO commandstats and errorstats. A run collects its own, so that one that is taken back leaves none; the front end
//! empties the shard's at the end of the turn.

/// What has been called of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Its number in the registry, or that of its subcommand.
    pub command: u16,
    /// Times it was carried out.
    pub calls: u64,
    /// Times it was refused before that.
    pub rejected: u64,
    /// Times it replied with an error.
    pub failed: u64,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Counts {
    /// Each command once.
    pub commands: Vec<Count>,
    /// The codes of errors, each once, and how often.
    pub errors: Vec<(Box<[u8]>, u64)>,
}

impl Counts {
    /// Whether nothing was called.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.errors.is_empty()
    }

    /// A command has been carried out, with this reply, or this text of an error.
    pub(super) fn called(&mut self, command: u16, reply: &Result<Vec<u8>, Vec<u8>>) {
        let count = self.of(command);
        count.calls += 1;
        let error = match reply {
            Ok(reply) => reply.strip_prefix(b"-"),
            Err(text) => Some(&text[..]),
        };
        if let Some(error) = error {
            count.failed += 1;
            *self.times(error) += 1;
        }
    }

    /// A command has been refused.
    pub(super) fn rejected(&mut self, command: Option<u16>, error: &[u8]) {
        if let Some(command) = command {
            self.of(command).rejected += 1;
        }
        *self.times(error) += 1;
    }

    /// The script replies with this error of a command: as its reply it is counted anyway.
    pub(super) fn hand_on(&mut self, error: &[u8]) {
        let times = self.times(error);
        *times = times.saturating_sub(1);
    }

    /// Adds those of a run that has ended.
    pub(super) fn add(&mut self, other: Counts) {
        for more in other.commands {
            let sum = self.of(more.command);
            sum.calls += more.calls;
            sum.rejected += more.rejected;
            sum.failed += more.failed;
        }
        for (code, times) in other.errors {
            *self.times(&code) += times;
        }
    }

    fn of(&mut self, command: u16) -> &mut Count {
        let known = self.commands.iter().position(|it| it.command == command);
        let at = known.unwrap_or_else(|| {
            self.commands.push(Count {
                command,
                ..Count::default()
            });
            self.commands.len() - 1
        });
        &mut self.commands[at]
    }

    fn times(&mut self, error: &[u8]) -> &mut u64 {
        let is_end = |byte: &u8| matches!(byte, b' ' | b'\r');
        let code = error.split(is_end).next().unwrap_or_default();
        let known = self.errors.iter().position(|(it, _)| **it == *code);
        let at = known.unwrap_or_else(|| {
            self.errors.push((code.into(), 0));
            self.errors.len() - 1
        });
        &mut self.errors[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_is_handed_on_counts_once() {
        let mut run = Counts::default();
        run.called(3, &Ok(b"+OK\r\n".to_vec()));
        run.called(3, &Ok(b"-WRONGTYPE Operation\r\n".to_vec()));
        run.called(4, &Err(b"ERR out of range".to_vec()));
        run.rejected(Some(4), b"ERR Wrong number");
        run.rejected(None, b"ERR Unknown");
        run.hand_on(b"WRONGTYPE Operation script: x");
        let mut all = Counts::default();
        assert!(all.is_empty());
        all.called(4, &Ok(b":1\r\n".to_vec()));
        all.add(run);
        let figures = all
            .commands
            .iter()
            .map(|it| (it.command, it.calls, it.rejected, it.failed));
        assert_eq!(figures.collect::<Vec<_>>(), [(4, 2, 1, 1), (3, 2, 0, 1)]);
        let errors = all.errors.iter().map(|(code, times)| (&**code, *times));
        assert_eq!(
            errors.collect::<Vec<_>>(),
            [(&b"WRONGTYPE"[..], 0), (b"ERR", 3)]
        );
    }
}
