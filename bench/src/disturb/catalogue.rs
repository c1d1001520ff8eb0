//! The disturbances by name. Each is a workload of two rows: the bystanders alone, and beside what happens.

use super::action::Action;
use crate::workload::{Part, Workload};

/// The bystanders: 20 connections that read and write a range of their own at 5,000 requests a second, due at fixed
/// times, so that waiting counts in full.
pub const BYSTANDERS: &str = "-c 20 --key-prefix by: --key-minimum 0 --key-maximum 99999 -d 64 --ratio 1:10 --rate-limiting 250";

const MILLION: &str = "--key-minimum 0 --key-maximum 999999";

macro_rules! disturbances {
    ($($(#[doc = $line:literal])+ $name:literal => $parts:expr;)+) => {
        /// All of them.
        pub const DISTURBANCES: &[Workload] = &[$(Workload {
            name: concat!("disturb-", $name),
            about: concat!($($line, "\n"),+),
            parts: || $parts,
        }),+];
    };
}

disturbances! {
    /// KEYS * over 1 M keys.
    "keys" => beside(&[strings()], call("KEYS *"));
    /// SMEMBERS of 1 M members.
    "smembers" => beside(&[big("SADD big member:__key__")], call("SMEMBERS big"));
    /// HGETALL of 1 M fields.
    "hgetall" => beside(&[big("HSET big field:__key__ __data__")], call("HGETALL big"));
    /// FLUSHALL of 1 M keys; the bystanders' reads miss from then on.
    "flushall" => beside(&[strings()], call("FLUSHALL"));
    /// DEL of a set of 1 M members.
    "del" => beside(&[big("SADD big member:__key__")], call("DEL big"));
    /// BGSAVE with 1 M keys, until it is done.
    "bgsave" => beside(&[strings()], background("BGSAVE", "rdb_bgsave_in_progress"));
    /// The append-only file is switched on and rewritten (BGREWRITEAOF) with 1 M keys, until it is done.
    "rewrite" => beside(&[strings()], Action::RewriteLog);
    /// 1 M keys expire at the same moment.
    "expiry" => beside(&[strings()], Action::ExpiryStorm { keys: 1_000_000 });
    /// Writes of new keys of 1 KiB at the memory limit with allkeys-lru: every write evicts.
    "eviction" => beside(&[strings()], Action::Eviction { keys: 50_000 });
    /// 1,000 connections arrive at once; each is served a PING and stays.
    "connections" => beside(&[], Action::Connections { count: 1000 });
}

fn strings() -> String {
    format!("{MILLION} --key-prefix key: -d 64")
}

fn big(command: &str) -> String {
    format!("{MILLION} --key-prefix '' -d 32 --command '{command}' --command-key-pattern P")
}

fn call(command: &str) -> Action {
    Action::Call(command.to_owned())
}

fn background(command: &str, while_true: &'static str) -> Action {
    Action::Background {
        command: command.to_owned(),
        while_true,
    }
}

fn beside(fills: &[String], action: Action) -> Vec<Part> {
    let bystanders = |label: &str, action| Part::Disturbed {
        label: label.to_owned(),
        flags: BYSTANDERS.to_owned(),
        action,
    };
    let mut parts = vec![Part::Call("FLUSHALL".to_owned())];
    parts.extend(fills.iter().map(|flags| Part::Fill(flags.clone())));
    parts.push(Part::Fill(BYSTANDERS.to_owned()));
    parts.push(bystanders("nothing", Action::Nothing));
    let label = action.to_string();
    parts.push(bystanders(&label, action));
    parts
}
