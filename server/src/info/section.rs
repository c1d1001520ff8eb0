//! The sections of INFO and how a request chooses among them.

/// A section, in the order in which they are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Section {
    /// The process.
    Server,
    /// Connections.
    Clients,
    /// Memory.
    Memory,
    /// Snapshots and the log.
    Persistence,
    /// Counters.
    Stats,
    /// Primary or replica.
    Replication,
    /// Time on processors.
    Cpu,
    /// Modules: there are none.
    Modules,
    /// Per command: not counted yet.
    Commandstats,
    /// Per kind of error: not counted yet.
    Errorstats,
    /// Latency per command: not measured yet.
    Latencystats,
    /// Cluster mode.
    Cluster,
    /// Keys per database.
    Keyspace,
    /// Ours: figures per shard.
    Shards,
    /// Ours: the largest keys.
    Bigkeys,
    /// Ours: the hottest keys.
    Hotkeys,
}

impl Section {
    /// All of them.
    pub const ALL: [Section; 16] = [
        Section::Server,
        Section::Clients,
        Section::Memory,
        Section::Persistence,
        Section::Stats,
        Section::Replication,
        Section::Cpu,
        Section::Modules,
        Section::Commandstats,
        Section::Errorstats,
        Section::Latencystats,
        Section::Cluster,
        Section::Keyspace,
        Section::Shards,
        Section::Bigkeys,
        Section::Hotkeys,
    ];

    /// Its title.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Section::Server => "Server",
            Section::Clients => "Clients",
            Section::Memory => "Memory",
            Section::Persistence => "Persistence",
            Section::Stats => "Stats",
            Section::Replication => "Replication",
            Section::Cpu => "CPU",
            Section::Modules => "Modules",
            Section::Commandstats => "Commandstats",
            Section::Errorstats => "Errorstats",
            Section::Latencystats => "Latencystats",
            Section::Cluster => "Cluster",
            Section::Keyspace => "Keyspace",
            Section::Shards => "Shards",
            Section::Bigkeys => "Bigkeys",
            Section::Hotkeys => "Hotkeys",
        }
    }

    /// Whether INFO shows it when asked for nothing in particular.
    fn is_default(self) -> bool {
        !matches!(
            self,
            Section::Commandstats
                | Section::Latencystats
                | Section::Shards
                | Section::Bigkeys
                | Section::Hotkeys
        )
    }

    /// The sections that the arguments of INFO ask for, in order; unknown names ask for nothing.
    #[must_use]
    pub fn chosen(names: &[&[u8]]) -> Vec<Section> {
        let names: Vec<Vec<u8>> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let asks = |section: Section| {
            let title = section.title().to_ascii_lowercase();
            names.is_empty() && section.is_default()
                || names.iter().any(|name| match name.as_slice() {
                    b"all" => section != Section::Modules,
                    b"everything" => true,
                    b"default" => section.is_default(),
                    name => name == title.as_bytes(),
                })
        };
        Section::ALL
            .into_iter()
            .filter(|section| asks(*section))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices() {
        assert_eq!(
            Section::chosen(&[b"cpu", b"SERVER", b"nosuch", b"cpu"]),
            [Section::Server, Section::Cpu]
        );
        assert_eq!(Section::chosen(&[b"nosuch"]), []);
        assert_eq!(Section::chosen(&[]), Section::chosen(&[b"default"]));
        assert!(Section::chosen(&[]).contains(&Section::Modules));
        assert!(!Section::chosen(&[b"all"]).contains(&Section::Modules));
        assert_eq!(Section::chosen(&[b"everything"]), Section::ALL);
    }
}
