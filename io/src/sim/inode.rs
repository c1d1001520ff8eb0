//! `Inode`: the content of one simulated file, as it is read and as a crash would leave it.
//!
//! Files grow, and may be cut. Invariants: what a successful sync covered survives every crash, but for pages
//! whose write-back had failed before (a kernel marks them clean, and no later sync writes them
//! again); what was not synced survives in any part, torn, zeroed or as rubbish, but the file is
//! never longer than what was written. Called by `volume`.

use std::ops::Range;

use super::prng::Prng;

/// Unit in which write-back fails.
const PAGE_BYTES: usize = 4_096;

/// Unit in which a tail that was not synced is torn.
const SECTOR_BYTES: usize = 512;

/// One file's content.
#[derive(Debug, Default)]
pub(super) struct Inode {
    data: Vec<u8>,
    /// So much was covered by a successful sync.
    synced: usize,
    /// So much was covered by any sync, failed ones included.
    attempted: usize,
    /// Parts which a failed sync did not write and which no later one will.
    lost: Vec<Range<usize>>,
    /// What was durable and has been cut off since the last sync: a crash may bring it back.
    cut: Vec<u8>,
    /// What is behind has been written once more since the last sync.
    refreshed: Option<usize>,
}

impl Inode {
    /// A file whose content is durable.
    pub(super) fn durable(data: Vec<u8>) -> Self {
        let synced = data.len();
        Self {
            data,
            synced,
            attempted: synced,
            lost: Vec::new(),
            cut: Vec::new(),
            refreshed: None,
        }
    }

    /// The content as read now.
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    /// How many bytes were given to `append`.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// Cuts off what is behind `length`, not durably.
    pub(super) fn truncate(&mut self, length: usize) {
        if length >= self.data.len() {
            return;
        }
        if length < self.synced {
            let mut cut = self.data[length..self.synced].to_vec();
            cut.append(&mut self.cut);
            self.cut = cut;
        }
        self.data.truncate(length);
        self.synced = self.synced.min(length);
        self.attempted = self.attempted.min(length);
        self.keep_lost_before(length);
    }

    /// Writes what is behind `from` once more: the next sync covers what had been lost there.
    pub(super) fn refresh(&mut self, from: usize) {
        self.refreshed = Some(self.refreshed.map_or(from, |before| before.min(from)));
    }

    fn keep_lost_before(&mut self, end: usize) {
        for lost in &mut self.lost {
            lost.end = lost.end.min(end);
        }
        self.lost.retain(|lost| lost.start < lost.end);
    }

    /// Appends, not durably.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        // What comes in its place makes the old end unlikely, and no longer than the new one.
        self.cut.clear();
        self.data.extend_from_slice(bytes);
    }

    /// A sync that succeeds.
    pub(super) fn sync(&mut self) {
        self.cut.clear();
        if let Some(from) = self.refreshed.take() {
            self.keep_lost_before(from);
        }
        self.synced = self.data.len();
        self.attempted = self.synced;
    }

    /// A sync that fails: all, none, or some pages of what was dirty reached the disk, and the
    /// others never will.
    pub(super) fn fail_sync(&mut self, prng: &mut Prng) {
        self.refreshed = None;
        let dirty = self.attempted.max(self.synced)..self.data.len();
        self.attempted = self.data.len();
        match prng.below(3) {
            0 => {}
            1 => self.lost.push(dirty),
            _ => {
                let mut start = dirty.start;
                while start < dirty.end {
                    let end = dirty.end.min((start / PAGE_BYTES + 1) * PAGE_BYTES);
                    if prng.chance(500_000) {
                        self.lost.push(start..end);
                    }
                    start = end;
                }
            }
        }
    }

    /// Leaves what a crash leaves.
    pub(super) fn crash(&mut self, prng: &mut Prng) {
        self.refreshed = None;
        for lost in std::mem::take(&mut self.lost) {
            self.data[lost].fill(0);
        }
        if !self.cut.is_empty() && prng.chance(500_000) {
            let cut = std::mem::take(&mut self.cut);
            self.data.extend_from_slice(&cut);
            self.synced = self.data.len();
        }
        self.tear(prng);
        self.sync();
    }

    /// Decides what becomes of the tail that no sync has covered.
    fn tear(&mut self, prng: &mut Prng) {
        let tail = self.data.len() - self.synced;
        if tail == 0 {
            return;
        }
        let kept = self.synced + prng.index(tail + 1);
        // The size of a file may reach the disk before its bytes do.
        let size = kept + prng.index(self.data.len() - kept + 1);
        match prng.below(6) {
            0 => self.data.truncate(self.synced),
            1 => {}
            2 => self.data.truncate(kept),
            3 => {
                self.data.truncate(size);
                self.data[kept..].fill(0);
            }
            4 => {
                self.data.truncate(size);
                self.data[kept..].fill_with(|| prng.bits() as u8);
            }
            _ => {
                self.data.truncate(size);
                let mut start = self.synced;
                while start < self.data.len() {
                    let end = self
                        .data
                        .len()
                        .min((start / SECTOR_BYTES + 1) * SECTOR_BYTES);
                    if prng.chance(300_000) {
                        self.data[start..end].fill(0);
                    }
                    start = end;
                }
            }
        }
    }

    /// Damages one byte, durably: for tests of checksums.
    pub(super) fn corrupt(&mut self, offset: usize, mask: u8) {
        if let Some(byte) = self.data.get_mut(offset) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synced_bytes_survive_and_the_tail_is_never_longer_than_written() {
        let (mut lengths, mut damaged) = (std::collections::BTreeSet::new(), 0);
        for seed in 0..2_000 {
            let mut prng = Prng::new(seed);
            let mut inode = Inode::default();
            inode.append(&[7; 1_000]);
            inode.sync();
            inode.append(&[9; 2_000]);
            inode.crash(&mut prng);
            assert_eq!([7; 1_000], inode.data()[..1_000]);
            assert!(inode.len() <= 3_000);
            lengths.insert(inode.len());
            damaged += usize::from(inode.data()[1_000..].iter().any(|&byte| byte != 9));
            let after = inode.data().to_vec();
            inode.crash(&mut prng);
            assert_eq!(after, inode.data(), "a second crash changes nothing");
        }
        assert!(lengths.contains(&1_000) && lengths.contains(&3_000) && lengths.len() > 500);
        assert!((500..1_500).contains(&damaged), "{damaged}");
    }

    #[test]
    fn what_was_cut_off_comes_back_or_not_and_what_is_written_once_more_stays() {
        let (mut back, mut lost) = (0, 0);
        for seed in 0..500 {
            let mut prng = Prng::new(seed);
            let mut inode = Inode::durable(vec![7; 1_000]);
            inode.truncate(400);
            inode.crash(&mut prng);
            assert!([400, 1_000].contains(&inode.len()));
            back += usize::from(inode.len() == 1_000);
            inode.truncate(300);
            inode.sync();
            inode.append(&[9; 5_000]);
            inode.fail_sync(&mut prng);
            inode.refresh(300);
            inode.sync();
            inode.crash(&mut prng);
            assert_eq!(inode.len(), 5_300);
            lost += usize::from(inode.data()[300..].iter().any(|byte| *byte != 9));
        }
        assert!(back > 100 && back < 400 && lost == 0, "{back} {lost}");
    }

    #[test]
    fn a_failed_sync_is_not_healed_by_a_later_one() {
        let (mut whole, mut holed) = (0, 0);
        for seed in 0..500 {
            let mut prng = Prng::new(seed);
            let mut inode = Inode::default();
            inode.append(&[7; 10_000]);
            inode.fail_sync(&mut prng);
            inode.append(&[9; 100]);
            inode.sync();
            assert!(
                inode.data()[..10_000].iter().all(|&byte| byte == 7),
                "still in the cache"
            );
            inode.crash(&mut prng);
            assert_eq!([9; 100], inode.data()[10_000..]);
            if inode.data()[..10_000].iter().all(|&byte| byte == 7) {
                whole += 1;
            } else {
                holed += 1;
            }
        }
        assert!(whole > 100 && holed > 100, "{whole} {holed}");
    }
}
