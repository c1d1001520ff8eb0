//! How much memory the process uses, as the allocator and the kernel count it.

use tessera_core::slab::free_bytes;
use tikv_jemalloc_ctl::{epoch, stats};

/// One look at the memory of the process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Given out: by the allocator, but for what entries' blocks have free.
    pub allocated: u64,
    /// Pages with something given out in them.
    pub active: u64,
    /// Pages that the allocator holds.
    pub resident: u64,
    /// Resident set of the process.
    pub rss: u64,
    /// Memory of the machine.
    pub system: u64,
}

impl Memory {
    /// Looks. What cannot be learned is zero.
    #[must_use]
    pub fn now() -> Self {
        // The allocator's counters stand still between epochs.
        let _ = epoch::advance();
        let count = |read: Result<usize, _>| read.map_or(0, |bytes: usize| bytes as u64);
        let machine = rustix::system::sysinfo();
        Memory {
            allocated: given_out().unwrap_or(0),
            active: count(stats::active::read()),
            resident: count(stats::resident::read()),
            rss: resident_set(),
            system: machine.totalram as u64 * u64::from(machine.mem_unit),
        }
    }
}

/// [`Memory::allocated`] as of the allocator's last epoch.
#[must_use]
pub(crate) fn given_out() -> Option<u64> {
    let bytes = stats::allocated::read().ok()?;
    Some(bytes.saturating_sub(free_bytes()) as u64)
}

/// Bytes that are given out, as [`Memory::allocated`]; 0 if that cannot be learned. A few microseconds.
#[must_use]
pub fn allocated() -> u64 {
    // The allocator's counters stand still between epochs.
    let _ = epoch::advance();
    given_out().unwrap_or(0)
}

/// The second field of `statm`, in pages.
fn resident_set() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_some() {
        let memory = Memory::now();
        assert!(memory.rss > 1 << 20);
        assert!(memory.system > memory.rss);
    }
}
