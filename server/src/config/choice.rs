//! The directives whose value is one of a few words, as types.

use tessera_shards::shard::{Eviction, Rank, Tracks};

use crate::config::{Value, directive::Setting};

/// Makes an enum whose variants have the words of a directive, in the order in which Redis lists them in its errors.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The words, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
            const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word of this value.
            #[must_use]
            pub fn word(self) -> &'static str {
                Self::WORDS[self as usize]
            }
        }

        impl Setting for $name {
            fn to_value(&self) -> Value {
                Value::Choice(*self as usize)
            }

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Choice(place) => Self::ALL.get(*place).copied(),
                    _ => None,
                }
            }
        }
    };
}

choice! {
    /// `loglevel`.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// Much.
        Verbose = "verbose",
        /// What one wants in production.
        Notice = "notice",
        /// Only what is important.
        Warning = "warning",
    }
}

choice! {
    /// `snapshot-format`.
    SnapshotFormat {
        /// Redis's own.
        Rdb = "rdb",
        /// Ours.
        Native = "native",
    }
}

choice! {
    /// `maxmemory-policy`.
    Policy {
        /// Keys with a TTL, longest unused first.
        VolatileLru = "volatile-lru",
        /// Keys with a TTL, least often used first.
        VolatileLfu = "volatile-lfu",
        /// Keys with a TTL, at random.
        VolatileRandom = "volatile-random",
        /// Keys with a TTL, shortest TTL first.
        VolatileTtl = "volatile-ttl",
        /// All keys, longest unused first.
        AllkeysLru = "allkeys-lru",
        /// All keys, least often used first.
        AllkeysLfu = "allkeys-lfu",
        /// All keys, at random.
        AllkeysRandom = "allkeys-random",
        /// All keys, by S3-FIFO: what is used once passes through, what is used again stays. A policy of ours.
        AllkeysS3fifo = "allkeys-s3fifo",
        /// None: commands that need memory are refused.
        Noeviction = "noeviction",
    }
}

choice! {
    /// `appendfsync`: when the log is sent to the disk.
    LogSync {
        /// Once a second.
        EverySecond = "everysec",
        /// Before a reply that shows it.
        Always = "always",
        /// When the system likes.
        Never = "no",
    }
}

choice! {
    /// Who may do a dangerous thing: `enable-debug-command`, `enable-protected-configs`.
    Allowed {
        /// Nobody.
        No = "no",
        /// Everybody.
        Yes = "yes",
        /// Clients on this machine.
        Local = "local",
    }
}

choice! {
    /// `io-backend`: how the kernel is asked for network I/O.
    IoBackend {
        /// io_uring where the kernel allows it, else epoll.
        Auto = "auto",
        /// io_uring or nothing.
        Uring = "uring",
        /// epoll.
        Epoll = "epoll",
    }
}

choice! {
    /// `supervised`: which service manager to tell about the start.
    Supervised {
        /// None.
        No = "no",
        /// systemd.
        Systemd = "systemd",
        /// Upstart, which watches by itself.
        Upstart = "upstart",
        /// Whoever there is.
        Auto = "auto",
    }
}

impl Policy {
    /// Which keys go when memory is short.
    #[must_use]
    pub fn eviction(self) -> Option<Eviction> {
        let (only_expiring, rank) = match self {
            Policy::VolatileLru => (true, Rank::Idle),
            Policy::VolatileLfu => (true, Rank::Rare),
            Policy::VolatileRandom => (true, Rank::Random),
            Policy::VolatileTtl => (true, Rank::Soonest),
            Policy::AllkeysLru => (false, Rank::Idle),
            Policy::AllkeysLfu => (false, Rank::Rare),
            Policy::AllkeysRandom => (false, Rank::Random),
            Policy::AllkeysS3fifo => (false, Rank::Queues),
            Policy::Noeviction => return None,
        };
        Some(Eviction {
            only_expiring,
            rank,
        })
    }

    /// What is remembered of accesses.
    #[must_use]
    pub fn tracks(self) -> Tracks {
        match self {
            Policy::VolatileLfu | Policy::AllkeysLfu => Tracks::Counts,
            Policy::AllkeysS3fifo => Tracks::Queues,
            _ => Tracks::Times,
        }
    }
}

impl Allowed {
    /// Whether a client may, given whether it is on this machine.
    #[must_use]
    pub fn allows(self, is_local: bool) -> bool {
        match self {
            Allowed::No => false,
            Allowed::Yes => true,
            Allowed::Local => is_local,
        }
    }
}
