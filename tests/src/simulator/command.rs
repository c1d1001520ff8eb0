//! `Command`: what a simulated client sends.
//!
//! A verb and its arguments. Options are arguments like any other; the oracle reads them, so that the
//! client's side and the model's side of a command cannot drift apart.

use std::fmt;

use super::word::Word;

macro_rules! verbs {
    ($($name:ident $word:literal,)*) => {
        /// The commands that the simulator knows.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
        pub enum Verb {
            $(#[doc = $word] $name,)*
        }

        impl Verb {
            /// All of them.
            pub const ALL: &[Verb] = &[$(Verb::$name,)*];

            /// Its name on the wire.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Verb::$name => $word,)*
                }
            }
        }
    };
}

verbs! {
    Append "APPEND",
    BitOp "BITOP",
    Blmove "BLMOVE",
    Blmpop "BLMPOP",
    Blpop "BLPOP",
    Brpop "BRPOP",
    BzpopMin "BZPOPMIN",
    Copy "COPY",
    DbSize "DBSIZE",
    Del "DEL",
    Discard "DISCARD",
    Echo "ECHO",
    Eval "EVAL",
    Exec "EXEC",
    Expire "(its time comes)",
    Exists "EXISTS",
    FlushAll "FLUSHALL",
    FlushDb "FLUSHDB",
    Get "GET",
    GetDel "GETDEL",
    GetRange "GETRANGE",
    GetSet "GETSET",
    HDel "HDEL",
    HGet "HGET",
    HGetAll "HGETALL",
    HIncrBy "HINCRBY",
    HLen "HLEN",
    HSet "HSET",
    Identity "CLIENT",
    Incr "INCR",
    IncrBy "INCRBY",
    Keys "KEYS",
    Lcs "LCS",
    LLen "LLEN",
    LMove "LMOVE",
    LPop "LPOP",
    LPush "LPUSH",
    LRange "LRANGE",
    Mget "MGET",
    Move "MOVE",
    Mset "MSET",
    MsetNx "MSETNX",
    Multi "MULTI",
    Nonsense "NONSENSE",
    Persist "PERSIST",
    PexpireAt "PEXPIREAT",
    PexpireTime "PEXPIRETIME",
    Publish "PUBLISH",
    RandomKey "RANDOMKEY",
    Rename "RENAME",
    RenameNx "RENAMENX",
    RPop "RPOP",
    RPush "RPUSH",
    SAdd "SADD",
    Scan "SCAN",
    SCard "SCARD",
    Select "SELECT",
    Set "SET",
    SetNx "SETNX",
    SetRange "SETRANGE",
    SInterStore "SINTERSTORE",
    SMembers "SMEMBERS",
    SMove "SMOVE",
    Sort "SORT",
    SRem "SREM",
    StrLen "STRLEN",
    SUnionStore "SUNIONSTORE",
    SwapDb "SWAPDB",
    Touch "TOUCH",
    Unblock "CLIENT",
    Unlink "UNLINK",
    Unwatch "UNWATCH",
    Watch "WATCH",
    XAck "XACK",
    XAdd "XADD",
    XDel "XDEL",
    XGroup "XGROUP",
    XLen "XLEN",
    XRange "XRANGE",
    XRead "XREAD",
    XReadGroup "XREADGROUP",
    ZAdd "ZADD",
    ZRange "ZRANGE",
    ZUnionStore "ZUNIONSTORE",
}

/// A verb with its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// The verb.
    pub verb: Verb,
    /// What follows it.
    pub args: Vec<Word>,
}

impl Command {
    /// A command.
    #[must_use]
    pub fn new(verb: Verb, args: Vec<Word>) -> Self {
        Self { verb, args }
    }

    /// A command written as one line, for tests.
    ///
    /// # Panics
    /// When the first word is no verb.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let verb = Verb::named(name).unwrap_or_else(|| panic!("{name:?} is no verb"));
        Self::new(verb, words.map(Word::from).collect())
    }

    /// Appends the request as it goes over the wire.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("*{}\r\n", self.args.len() + 1).as_bytes());
        let verb = self.verb.word().as_bytes();
        for part in std::iter::once(verb).chain(self.args.iter().map(|arg| &**arg)) {
            out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
            out.extend_from_slice(part);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// The argument at this place as an integer.
    #[must_use]
    pub fn integer(&self, place: usize) -> Option<i64> {
        self.args.get(place)?.integer()
    }

    /// The argument at this place as the number of a database.
    #[must_use]
    pub fn database(&self, place: usize) -> Option<usize> {
        usize::try_from(self.integer(place)?).ok()
    }

    /// The value of the option `name value`, looked for from argument `from` on.
    #[must_use]
    pub fn option(&self, from: usize, name: &str) -> Option<&Word> {
        let at = self.flag_at(from, name)?;
        self.args.get(at + 1)
    }

    /// Whether the option `name` is given from argument `from` on.
    #[must_use]
    pub fn has(&self, from: usize, name: &str) -> bool {
        self.flag_at(from, name).is_some()
    }

    fn flag_at(&self, from: usize, name: &str) -> Option<usize> {
        let found = |arg: &Word| arg.eq_ignore_ascii_case(name.as_bytes());
        let rest = self.args.get(from..)?;
        rest.iter().position(found).map(|at| at + from)
    }
}

impl Verb {
    /// Whether commands of this verb never change anything.
    #[must_use]
    pub fn only_reads(self) -> bool {
        matches!(
            self,
            Verb::DbSize
                | Verb::Discard
                | Verb::Echo
                | Verb::Exists
                | Verb::Get
                | Verb::GetRange
                | Verb::HGet
                | Verb::HGetAll
                | Verb::HLen
                | Verb::Identity
                | Verb::Keys
                | Verb::Lcs
                | Verb::LLen
                | Verb::LRange
                | Verb::Mget
                | Verb::Multi
                | Verb::Nonsense
                | Verb::Publish
                | Verb::PexpireTime
                | Verb::RandomKey
                | Verb::Scan
                | Verb::SCard
                | Verb::Select
                | Verb::SMembers
                | Verb::StrLen
                | Verb::Touch
                | Verb::Unwatch
                | Verb::XLen
                | Verb::XRange
                | Verb::ZRange
        )
    }

    /// Whether commands of this verb wait when they find nothing.
    #[must_use]
    pub fn blocks(self) -> bool {
        matches!(
            self,
            Verb::Blmove | Verb::Blmpop | Verb::Blpop | Verb::Brpop | Verb::BzpopMin
        ) || self.reads_streams()
    }

    /// Whether commands of this verb read entries of streams behind others.
    #[must_use]
    pub fn reads_streams(self) -> bool {
        matches!(self, Verb::XRead | Verb::XReadGroup)
    }

    /// Whether commands of this verb are about hashes.
    #[must_use]
    pub fn is_about_hashes(self) -> bool {
        matches!(
            self,
            Verb::HDel | Verb::HGet | Verb::HGetAll | Verb::HIncrBy | Verb::HLen | Verb::HSet
        )
    }

    /// Whether commands of this verb are about streams.
    #[must_use]
    pub fn is_about_streams(self) -> bool {
        matches!(
            self,
            Verb::XAck | Verb::XAdd | Verb::XDel | Verb::XGroup | Verb::XLen | Verb::XRange
        ) || self.reads_streams()
    }

    /// Whether commands of this verb are about lists, sets, sorted sets, hashes, streams or bits.
    #[must_use]
    pub fn is_about_collections(self) -> bool {
        matches!(
            self,
            Verb::BitOp
                | Verb::LLen
                | Verb::LMove
                | Verb::LPop
                | Verb::LPush
                | Verb::LRange
                | Verb::RPop
                | Verb::RPush
                | Verb::SAdd
                | Verb::SCard
                | Verb::SInterStore
                | Verb::SMembers
                | Verb::SMove
                | Verb::Sort
                | Verb::SRem
                | Verb::SUnionStore
                | Verb::ZAdd
                | Verb::ZRange
                | Verb::ZUnionStore
        ) || self.blocks()
            || self.is_about_hashes()
            || self.is_about_streams()
    }

    /// The verb of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|verb| verb.word().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb.word())?;
        self.args.iter().try_for_each(|arg| write!(f, " {arg}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_on_the_wire() {
        let mut bytes = Vec::new();
        Command::parse("set k v").encode(&mut bytes);
        assert_eq!(bytes, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
    }

    #[test]
    fn options_are_found_behind_the_keys() {
        let command = Command::parse("COPY db replace DB 3");
        assert_eq!(command.option(2, "db"), Some(&Word::from("3")));
        assert_eq!(command.database(3), Some(3));
        assert!(!command.has(2, "REPLACE"));
        assert!(Command::parse("COPY a b REPLACE").has(2, "replace"));
    }
}
