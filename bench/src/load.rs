//! The load: which commands are sent in which proportion, with what in them, how many at a time and how
//! fast. Made from the flags once, shared by all threads, never changed.

use crate::clock::SECOND_NS;
use crate::keys::{KeySource, Pattern};
use crate::template::{Filling, Template};

/// A proportion longer than this is a mistake.
const CYCLE_MAX: u64 = 1_000_000;

/// One command of the load.
#[derive(Clone, Debug)]
pub struct Command {
    /// The request.
    pub template: Template,
    /// How often it is sent in one cycle.
    pub ratio: u64,
    /// Which keys it names.
    pub pattern: Pattern,
    /// What the tables call it.
    pub label: String,
    /// Index of the command that is sent with the same key when the reply is a null.
    pub on_miss: Option<u16>,
}

/// All that a worker must know to make requests.
#[derive(Clone, Debug)]
pub struct Load {
    /// The commands, in the order of the tables.
    pub commands: Vec<Command>,
    /// Indices of the commands in the order in which a connection sends them, over and over.
    pub cycle: Vec<u16>,
    /// Keys, values, expiry.
    pub filling: Filling,
    /// Requests in flight per connection.
    pub pipeline: u32,
    /// The pipeline is filled again only when it is empty, as client libraries do, instead of with every reply.
    pub batches: bool,
    /// Open loop: requests per second and connection.
    pub rate: Option<u64>,
    /// Whether the commands were given one by one, and are not memtier's SET and GET.
    pub free_commands: bool,
    /// What a connection does between a null and the command that is sent on a miss: nothing, for so long.
    pub miss_delay_ns: u64,
}

impl Load {
    /// A load of `commands`.
    ///
    /// # Errors
    /// A text for the user when nothing would ever be sent.
    pub fn new(commands: Vec<Command>, filling: Filling, pipeline: u32) -> Result<Self, String> {
        let total: u64 = commands
            .iter()
            .map(|c| c.ratio)
            .fold(0, u64::saturating_add);
        if total == 0 || total > CYCLE_MAX || commands.len() > usize::from(u16::MAX) {
            return Err(format!(
                "the ratios add up to {total}; they must be between 1 and {CYCLE_MAX}"
            ));
        }
        if pipeline == 0 {
            return Err("--pipeline must be at least 1".to_owned());
        }
        let mut cycle = Vec::new();
        for (index, command) in (0u16..).zip(&commands) {
            cycle.extend((0..command.ratio).map(|_| index));
        }
        Ok(Self {
            commands,
            cycle,
            filling,
            pipeline,
            batches: false,
            rate: None,
            free_commands: false,
            miss_delay_ns: 0,
        })
    }

    /// The load that writes every key of the range once, whatever else is asked for.
    #[must_use]
    pub fn populating(filling: Filling, pipeline: u32) -> Self {
        let command = Command {
            template: Template::set(&filling),
            ratio: 1,
            pattern: Pattern::Parallel,
            label: "Sets".to_owned(),
            on_miss: None,
        };
        Self {
            commands: vec![command],
            cycle: vec![0],
            filling,
            pipeline: pipeline.max(1),
            batches: false,
            rate: None,
            free_commands: false,
            miss_delay_ns: 0,
        }
    }

    /// The key sources of connection `index` of `connections`, one per command.
    #[must_use]
    pub fn sources(&self, index: u64, connections: u64) -> Vec<KeySource> {
        self.commands
            .iter()
            .map(|command| KeySource::new(command.pattern, &self.filling.keys, index, connections))
            .collect()
    }
}

/// When the requests of an open loop are due: every connection sends at the same rate, and the connections are
/// spread evenly over one interval, so the requests of all of them make one even stream.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start_ns: u64,
    rate: u64,
    connections: u64,
}

impl Schedule {
    /// A schedule of `connections` connections with `rate` requests per second each.
    #[must_use]
    pub fn new(start_ns: u64, rate: u64, connections: u64) -> Self {
        Self {
            start_ns,
            rate: rate.max(1),
            connections: connections.max(1),
        }
    }

    /// The moment at which request `number` (from 0) of connection `connection` is due.
    #[inline]
    #[must_use]
    pub fn due_ns(&self, connection: u64, number: u64) -> u64 {
        let place = u128::from(number) * u128::from(self.connections) + u128::from(connection);
        let per_second = u128::from(self.rate) * u128::from(self.connections);
        self.start_ns + (place * u128::from(SECOND_NS) / per_second) as u64
    }
}

/// When a phase ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// After so many nanoseconds.
    Time(u64),
    /// After so many requests of every connection.
    Requests(u64),
    /// After every connection has walked its part of the range once (or the whole range, when its pattern says so).
    AllKeys,
}

impl Limit {
    /// The line above memtier's table.
    #[must_use]
    pub fn in_memtiers_words(self) -> String {
        match self {
            Self::Time(duration_ns) => {
                format!("{:<9} Seconds", duration_ns as f64 / SECOND_NS as f64)
            }
            Self::Requests(count) => format!("{count:<9} Requests per client"),
            Self::AllKeys => format!("{:<9} Requests per client", "allkeys"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeySpace, Shape};
    use crate::values::Values;

    fn filling() -> Filling {
        Filling {
            keys: KeySpace::new(b"", 0, 9, None, Shape::default()).unwrap(),
            values: Values::new(1, 1, false).unwrap(),
            expiry: None,
        }
    }

    fn command(ratio: u64) -> Command {
        Command {
            template: Template::get(&filling()),
            ratio,
            pattern: Pattern::Uniform,
            label: String::new(),
            on_miss: None,
        }
    }

    #[test]
    fn the_cycle_holds_the_ratio() {
        let load = Load::new(vec![command(1), command(0), command(3)], filling(), 1).unwrap();
        assert_eq!(load.cycle, [0, 2, 2, 2]);
        assert!(Load::new(vec![command(0)], filling(), 1).is_err());
        assert!(Load::new(vec![command(u64::MAX), command(2)], filling(), 1).is_err());
        assert!(Load::new(vec![command(1)], filling(), 0).is_err());
    }

    #[test]
    fn an_open_loop_is_one_even_stream() {
        let schedule = Schedule::new(1000, 500, 4);
        let mut due: Vec<u64> = Vec::new();
        for number in 0..3 {
            for connection in 0..4 {
                due.push(schedule.due_ns(connection, number));
            }
        }
        assert_eq!(due[0], 1000);
        // 4 connections of 500 per second: one request each half millisecond.
        assert!(
            due.windows(2).all(|pair| pair[1] - pair[0] == 500_000),
            "{due:?}"
        );
    }
}
