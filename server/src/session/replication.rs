//! ROLE, REPLICAOF, SLAVEOF: this node is a primary without replicas.

use tessera_shards::command::Spec;
use tessera_shards::command::spec::{category, flag};

use crate::session::{Session, SessionFn};

const FOLLOWING: Spec = Spec {
    arity: 3,
    flags: flag::ADMIN | flag::NOSCRIPT | flag::STALE | flag::NO_ASYNC_LOADING,
    group: "server",
    complexity: "O(1)",
    ..Spec::NONE
};

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[
    (
        Spec {
            name: "role",
            arity: 1,
            flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST,
            categories: category::ADMIN | category::DANGEROUS,
            since: "2.8.12",
            group: "server",
            summary: "Returns whether the node is a primary or a replica, and of whom.",
            complexity: "O(1)",
            ..Spec::NONE
        },
        cmd_role,
    ),
    (
        Spec {
            name: "replicaof",
            since: "5.0.0",
            summary: "Makes the node a replica of another, or a primary again.",
            ..FOLLOWING
        },
        cmd_replicaof,
    ),
    (
        Spec {
            name: "slaveof",
            since: "1.0.0",
            summary: "The older name of REPLICAOF.",
            ..FOLLOWING
        },
        cmd_replicaof,
    ),
];

fn cmd_role(session: &mut Session<'_>, _: &[&[u8]]) {
    session.reply.array(3);
    session.reply.bulk(b"master");
    session.reply.integer(0);
    session.reply.array(0);
}

fn cmd_replicaof(session: &mut Session<'_>, args: &[&[u8]]) {
    if args[1].eq_ignore_ascii_case(b"no") && args[2].eq_ignore_ascii_case(b"one") {
        return session.reply.ok();
    }
    session.error("ERR Replication is not supported yet in this version");
}

#[cfg(test)]
mod tests {
    use crate::session::rig::Rig;

    #[test]
    fn a_primary_without_replicas() {
        let mut rig = Rig::new();
        rig.says("ROLE", "*3|$6|master|:0|*0|");
        rig.says("replicaof NO one", "+OK|");
        rig.says("SLAVEOF no ONE", "+OK|");
        rig.says(
            "REPLICAOF 127.0.0.1 6379",
            "-ERR Replication is not supported yet in this version|",
        );
        rig.says(
            "REPLICAOF no",
            "-ERR wrong number of arguments for 'replicaof' command|",
        );
    }
}
