//! A stable sort in slices: short runs first, then runs are merged by two, pass after pass.

use std::cmp::Ordering;

/// Elements of a run that is sorted at once.
const RUN: usize = 1024;
/// Elements merged per slice.
const MERGED_PER_SLICE: usize = 4096;

/// What is being sorted.
pub(super) struct Merge<T> {
    items: Vec<T>,
    /// What this pass has merged.
    merged: Vec<T>,
    /// Length of the sorted runs, 0 as long as there are none.
    run: usize,
    /// Where the pair of runs begins that is merged, or the run that is sorted next.
    base: usize,
    /// What comes next of the pair.
    left: usize,
    right: usize,
}

impl<T: Copy> Merge<T> {
    /// Nothing sorted yet. `None` when there is no memory to do it.
    pub(super) fn new(items: Vec<T>) -> Option<Self> {
        let mut merged = Vec::new();
        if items.len() > RUN {
            merged.try_reserve_exact(items.len()).ok()?;
        }
        Some(Self {
            items,
            merged,
            run: 0,
            base: 0,
            left: 0,
            right: 0,
        })
    }

    /// Does a slice; says whether all is sorted.
    pub(super) fn step(&mut self, compare: impl Fn(&T, &T) -> Ordering) -> bool {
        if self.run == 0 {
            self.sort_run(compare);
        } else {
            self.merge_some(compare);
        }
        self.run >= self.items.len()
    }

    /// What was sorted, in the order of now.
    pub(super) fn into_items(self) -> Vec<T> {
        self.items
    }

    fn sort_run(&mut self, compare: impl Fn(&T, &T) -> Ordering) {
        let end = self.items.len().min(self.base + RUN);
        self.items[self.base..end].sort_by(compare);
        self.base = end;
        if end == self.items.len() {
            self.begin_pass(RUN);
        }
    }

    fn begin_pass(&mut self, run: usize) {
        self.run = run;
        self.begin_pair(0);
    }

    fn begin_pair(&mut self, base: usize) {
        (self.base, self.left) = (base, base);
        self.right = self.items.len().min(base + self.run);
    }

    fn merge_some(&mut self, compare: impl Fn(&T, &T) -> Ordering) {
        let len = self.items.len();
        for _ in 0..MERGED_PER_SLICE {
            let middle = len.min(self.base + self.run);
            let end = len.min(middle + self.run);
            if self.left == middle && self.right == end {
                if end < len {
                    self.begin_pair(end);
                    continue;
                }
                std::mem::swap(&mut self.items, &mut self.merged);
                self.merged.clear();
                return self.begin_pass(self.run * 2);
            }
            // Of equal ones the left is the earlier one.
            let takes_left = self.right == end
                || self.left < middle
                    && compare(&self.items[self.left], &self.items[self.right]).is_le();
            let taken = if takes_left {
                &mut self.left
            } else {
                &mut self.right
            };
            self.merged.push(self.items[*taken]);
            *taken += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_stable_sort_of_the_library() {
        for len in [0, 1, 2, RUN - 1, RUN, RUN + 1, 3 * RUN, 4 * RUN + 7, 20_000] {
            let mut state = 1u32;
            let items: Vec<(u32, usize)> = (0..len)
                .map(|at| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 22, at)
                })
                .collect();
            let mut expected = items.clone();
            expected.sort_by_key(|(key, _)| *key);
            let mut merge = Merge::new(items).expect("little memory");
            let mut slices = 1;
            while !merge.step(|a, b| a.0.cmp(&b.0)) {
                slices += 1;
            }
            assert_eq!(merge.into_items(), expected);
            assert!(slices >= len / MERGED_PER_SLICE, "{slices}");
        }
    }
}
