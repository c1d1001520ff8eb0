//! What the tables say of a command: name, arity, flags, where its keys are, ACL categories, documentation.
//!
//! One row per command, in the table of its family; COMMAND, ACL, the router and the dispatch read these rows
//! and nothing else. A row's facts are those of Redis (`COMMAND INFO`, `COMMAND DOCS`).

use crate::command::KeyPlaces;

/// A set of `Flag`s or categories as bits.
pub type Bits = u32;

/// Command flags, named as COMMAND INFO names them.
pub mod flag {
    use super::Bits;
    /// Changes data.
    pub const WRITE: Bits = 1 << 0;
    /// Only reads data.
    pub const READONLY: Bits = 1 << 1;
    /// May need more memory: refused when memory is out.
    pub const DENYOOM: Bits = 1 << 2;
    /// An administrator's command.
    pub const ADMIN: Bits = 1 << 3;
    /// Belongs to publish and subscribe.
    pub const PUBSUB: Bits = 1 << 4;
    /// Not allowed in scripts.
    pub const NOSCRIPT: Bits = 1 << 5;
    /// May block its connection.
    pub const BLOCKING: Bits = 1 << 6;
    /// Allowed while data is loading.
    pub const LOADING: Bits = 1 << 7;
    /// Allowed on a replica with stale data.
    pub const STALE: Bits = 1 << 8;
    /// Not shown to MONITOR.
    pub const SKIP_MONITOR: Bits = 1 << 9;
    /// Not recorded by SLOWLOG.
    pub const SKIP_SLOWLOG: Bits = 1 << 10;
    /// Redirected by an importing cluster node only on request.
    pub const ASKING: Bits = 1 << 11;
    /// Runs in constant or logarithmic time.
    pub const FAST: Bits = 1 << 12;
    /// Allowed before authentication.
    pub const NO_AUTH: Bits = 1 << 13;
    /// May change something although it is no command that writes (PUBLISH, PFCOUNT, EVAL): it waits during CLIENT PAUSE WRITE. Shown to nobody.
    pub const MAY_REPLICATE: Bits = 1 << 14;
    /// The place of the keys depends on other arguments.
    pub const MOVABLEKEYS: Bits = 1 << 15;
    /// Not allowed inside MULTI.
    pub const NO_MULTI: Bits = 1 << 16;
    /// Not allowed in async loading.
    pub const NO_ASYNC_LOADING: Bits = 1 << 17;
    /// Allowed while a script or module is busy.
    pub const ALLOW_BUSY: Bits = 1 << 18;
    /// Its key arguments may be missing altogether.
    pub const NO_MANDATORY_KEYS: Bits = 1 << 19;
    /// Ours, shown to nobody: some of its subcommands concern the node, and run at the connection.
    pub const OF_NODE: Bits = 1 << 20;
    /// Ours, shown to nobody: it asks what earlier commands have come to, so it waits for the replies to those of its own connection.
    pub const AFTER_REPLIES: Bits = 1 << 21;
    /// Ours, shown to nobody: it runs at once although its client is in MULTI.
    pub const AT_ONCE: Bits = 1 << 22;

    /// Names in the order in which COMMAND INFO lists them.
    pub const NAMES: &[(Bits, &str)] = &[
        (WRITE, "write"),
        (READONLY, "readonly"),
        (DENYOOM, "denyoom"),
        (ADMIN, "admin"),
        (PUBSUB, "pubsub"),
        (NOSCRIPT, "noscript"),
        (BLOCKING, "blocking"),
        (LOADING, "loading"),
        (STALE, "stale"),
        (SKIP_MONITOR, "skip_monitor"),
        (SKIP_SLOWLOG, "skip_slowlog"),
        (ASKING, "asking"),
        (FAST, "fast"),
        (NO_AUTH, "no_auth"),
        (NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (NO_ASYNC_LOADING, "no_async_loading"),
        (NO_MULTI, "no_multi"),
        (MOVABLEKEYS, "movablekeys"),
        (ALLOW_BUSY, "allow_busy"),
    ];
}

/// ACL categories.
pub mod category {
    use super::Bits;
    /// Keys whatever their type.
    pub const KEYSPACE: Bits = 1 << 0;
    /// Reads data.
    pub const READ: Bits = 1 << 1;
    /// Writes data.
    pub const WRITE: Bits = 1 << 2;
    /// Sets.
    pub const SET: Bits = 1 << 3;
    /// Sorted sets.
    pub const SORTEDSET: Bits = 1 << 4;
    /// Lists.
    pub const LIST: Bits = 1 << 5;
    /// Hashes.
    pub const HASH: Bits = 1 << 6;
    /// Strings.
    pub const STRING: Bits = 1 << 7;
    /// Bitmaps.
    pub const BITMAP: Bits = 1 << 8;
    /// HyperLogLog.
    pub const HYPERLOGLOG: Bits = 1 << 9;
    /// Geo.
    pub const GEO: Bits = 1 << 10;
    /// Streams.
    pub const STREAM: Bits = 1 << 11;
    /// Publish and subscribe.
    pub const PUBSUB: Bits = 1 << 12;
    /// Administration.
    pub const ADMIN: Bits = 1 << 13;
    /// Fast commands.
    pub const FAST: Bits = 1 << 14;
    /// All others.
    pub const SLOW: Bits = 1 << 15;
    /// May block.
    pub const BLOCKING: Bits = 1 << 16;
    /// Dangerous in unskilled hands.
    pub const DANGEROUS: Bits = 1 << 17;
    /// The connection itself.
    pub const CONNECTION: Bits = 1 << 18;
    /// Transactions.
    pub const TRANSACTION: Bits = 1 << 19;
    /// Scripts.
    pub const SCRIPTING: Bits = 1 << 20;

    /// Names, without the `@`, in the order in which COMMAND INFO lists them.
    pub const NAMES: &[(Bits, &str)] = &[
        (KEYSPACE, "keyspace"),
        (READ, "read"),
        (WRITE, "write"),
        (SET, "set"),
        (SORTEDSET, "sortedset"),
        (LIST, "list"),
        (HASH, "hash"),
        (STRING, "string"),
        (BITMAP, "bitmap"),
        (HYPERLOGLOG, "hyperloglog"),
        (GEO, "geo"),
        (STREAM, "stream"),
        (PUBSUB, "pubsub"),
        (ADMIN, "admin"),
        (FAST, "fast"),
        (SLOW, "slow"),
        (BLOCKING, "blocking"),
        (DANGEROUS, "dangerous"),
        (CONNECTION, "connection"),
        (TRANSACTION, "transaction"),
        (SCRIPTING, "scripting"),
    ];
}

/// What a command does to the keys of one key specification.
pub mod access {
    use super::Bits;
    /// Reads the value.
    pub const RO: Bits = 1 << 0;
    /// Reads and changes it.
    pub const RW: Bits = 1 << 1;
    /// Overwrites it.
    pub const OW: Bits = 1 << 2;
    /// Removes it.
    pub const RM: Bits = 1 << 3;
    /// Returns, copies or uses the user data in it.
    pub const ACCESS: Bits = 1 << 4;
    /// Updates the user data in it.
    pub const UPDATE: Bits = 1 << 5;
    /// Adds data to it.
    pub const INSERT: Bits = 1 << 6;
    /// Removes data from it.
    pub const DELETE: Bits = 1 << 7;
    /// Not a key although it looks like one.
    pub const NOT_KEY: Bits = 1 << 8;
    /// The specification may miss keys.
    pub const INCOMPLETE: Bits = 1 << 9;
    /// The flags above depend on the arguments.
    pub const VARIABLE: Bits = 1 << 10;

    /// Names in the order in which COMMAND INFO lists them.
    pub const NAMES: &[(Bits, &str)] = &[
        (RO, "RO"),
        (RW, "RW"),
        (OW, "OW"),
        (RM, "RM"),
        (ACCESS, "access"),
        (UPDATE, "update"),
        (INSERT, "insert"),
        (DELETE, "delete"),
        (NOT_KEY, "not_key"),
        (INCOMPLETE, "incomplete"),
        (VARIABLE, "variable_flags"),
    ];
}

/// Where a key specification starts to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// At this argument (the name of the command is 0).
    Index(i32),
    /// After the first occurrence of a word, searched from this argument on (backwards if negative).
    Keyword(&'static str, i32),
    /// Not expressible.
    Unknown,
}

/// How keys are found from there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Find {
    /// Up to `last` (relative to the begin; negative: from the end), every `step`th, in the first 1/`limit` of the rest.
    Range {
        /// Last key, relative.
        last: i32,
        /// Distance between keys.
        step: i32,
        /// 0 or 1: no limit.
        limit: i32,
    },
    /// A count at `index`, keys from `first` on, every `step`th; all relative to the begin.
    KeyNum {
        /// Argument that holds the count.
        index: i32,
        /// First key.
        first: i32,
        /// Distance between keys.
        step: i32,
    },
    /// Not expressible.
    Unknown,
}

/// One rule that tells which arguments are keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySpec {
    /// `access` bits.
    pub access: Bits,
    /// Remark shown by COMMAND INFO, or empty.
    pub notes: &'static str,
    /// Where to begin.
    pub begin: Begin,
    /// What to take.
    pub find: Find,
}

impl KeySpec {
    /// The rule "arguments `first`, `first + step`, ... up to `last`" (`last` relative to `first`, or negative from the end).
    #[must_use]
    pub const fn range(access: Bits, first: i32, last: i32, step: i32) -> Self {
        KeySpec {
            access,
            notes: "",
            begin: Begin::Index(first),
            find: Find::Range {
                last,
                step,
                limit: 0,
            },
        }
    }
}

/// Says of a request whether it may need keys that no argument names.
pub type IsOpen = fn(&[&[u8]]) -> bool;

/// A row: everything that is known of a command except how to run it.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Lower case; of a subcommand, the part after the `|`.
    pub name: &'static str,
    /// Number of arguments with the name; negative: at least that many.
    pub arity: i32,
    /// `flag` bits.
    pub flags: Bits,
    /// `category` bits beyond those which follow from the flags.
    pub categories: Bits,
    /// Where the keys are.
    pub keys: &'static [KeySpec],
    /// Tips for clients and proxies.
    pub tips: &'static [&'static str],
    /// First Redis version that had it.
    pub since: &'static str,
    /// Group in the documentation.
    pub group: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Big-O in words.
    pub complexity: &'static str,
    /// Subcommands, if it is a container.
    pub subcommands: &'static [Spec],
    /// Finds the keys that no rule of `keys` can express.
    pub find_keys: Option<FindKeys>,
    /// Whether a request may turn out to need keys that no argument names.
    pub open_keys: Option<IsOpen>,
}

/// Adds the keys of a request to those that the rules have found.
pub type FindKeys = fn(&[&[u8]], &mut KeyPlaces);

impl Spec {
    /// A row to fill with `..Spec::NONE`.
    pub const NONE: Spec = Spec {
        name: "",
        arity: 0,
        flags: 0,
        categories: 0,
        keys: &[],
        tips: &[],
        since: "1.0.0",
        group: "generic",
        summary: "",
        complexity: "",
        subcommands: &[],
        find_keys: None,
        open_keys: None,
    };

    /// Whether a request with this many arguments (the name included) may run.
    #[must_use]
    pub const fn accepts(&self, argc: usize) -> bool {
        let argc = argc as i64;
        let arity = self.arity as i64;
        if arity >= 0 {
            argc == arity
        } else {
            argc >= -arity
        }
    }

    /// Whether all the given flags are set.
    #[must_use]
    pub const fn has(&self, flags: Bits) -> bool {
        self.flags & flags == flags
    }

    /// The categories with those that follow from flags, as Redis derives them.
    #[must_use]
    pub const fn all_categories(&self) -> Bits {
        let mut bits = self.categories;
        if self.has(flag::WRITE) {
            bits |= category::WRITE;
        }
        if self.has(flag::READONLY) && bits & category::SCRIPTING == 0 {
            bits |= category::READ;
        }
        if self.has(flag::ADMIN) {
            bits |= category::ADMIN | category::DANGEROUS;
        }
        if self.has(flag::PUBSUB) {
            bits |= category::PUBSUB;
        }
        if self.has(flag::FAST) {
            bits |= category::FAST;
        }
        if self.has(flag::BLOCKING) {
            bits |= category::BLOCKING;
        }
        if bits & category::FAST == 0 {
            bits |= category::SLOW;
        }
        bits
    }

    /// First key, last key and step as COMMAND INFO gives them; zeros without keys.
    #[must_use]
    pub fn key_range(&self) -> (i32, i32, i32) {
        let mut span: Option<(i32, i32, i32)> = None;
        for rule in self.keys {
            let (Begin::Index(first), Find::Range { last, step, .. }) = (rule.begin, rule.find)
            else {
                continue;
            };
            let last = if last >= 0 { first + last } else { last };
            span = Some(match span {
                None => (first, last, step),
                Some((f, l, s)) => (
                    f.min(first),
                    if l < 0 || last < 0 {
                        l.min(last)
                    } else {
                        l.max(last)
                    },
                    s,
                ),
            });
        }
        span.unwrap_or((0, 0, 0))
    }
}
