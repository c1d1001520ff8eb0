//! Threads that have time: what they do must not hold up a shard that runs on the same core.

/// Steps below the usual priority: a third of its weight.
const NICE: i32 = 5;
/// How long such a thread runs before another one that waits for its core gets a turn, where the kernel takes that from us.
const TURN_NS: u64 = 100_000;

/// The calling thread gives way: beside one other it gets a quarter of a core, in turns so short that whoever waits for their end hardly notices. Has no effect on
/// a core where nobody else wants to run. A kernel that does not allow it goes on as before, which is only slower for others.
pub fn give_way() {
    // SAFETY: numbers only. 0 means the calling thread. What this returns on failure is a possible priority, which is not raised then.
    let nice = NICE.max(unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) });
    let attributes = libc::sched_attr {
        size: std::mem::size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_BATCH as u32,
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: TURN_NS,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: `attributes` is a structure of this call's first version, whose length it says, and lives until the call returns. 0 means the calling thread.
    let set = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if set != 0 {
        // SAFETY: numbers only. 0 means the calling thread.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_calling_thread_gives_way() {
        // SAFETY: numbers only.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = nice();
        let patient = std::thread::spawn(move || {
            give_way();
            nice()
        });
        assert_eq!(patient.join().unwrap(), before.max(NICE));
        assert_eq!(nice(), before);
    }
}
