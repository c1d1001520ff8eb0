//! How far a group has come: the number of entries that it has read, and how many are still to come.
//!
//! As Redis 7 does it: a count is kept while no deleted entry lies ahead, and guessed anew at the places where it can be known.

use super::entries::Entries;
use super::group::Group;
use super::id::StreamId;

impl Entries {
    /// Number of entries up to this id since the stream's beginning, where that can be known.
    #[must_use]
    pub fn count_up_to(&self, id: StreamId) -> Option<i64> {
        let added = self.added as i64;
        if self.added == 0 {
            return Some(0);
        }
        if (self.len == 0 && id <= self.last_id) || id == self.last_id {
            return Some(added);
        }
        if id > self.last_id {
            return None;
        }
        let is_whole = self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id;
        let before = added.wrapping_sub(self.len as i64);
        match id.cmp(&self.first_id) {
            std::cmp::Ordering::Less if is_whole => Some(before),
            std::cmp::Ordering::Equal if is_whole => Some(before.wrapping_add(1)),
            _ => None,
        }
    }

    /// Whether an entry deleted by XDEL lies at this id or behind it.
    fn has_deleted_from(&self, id: StreamId) -> bool {
        self.len > 0
            && self.max_deleted_id != StreamId::MIN
            && self.max_deleted_id >= self.first_id.max(id)
    }

    /// Number of entries that a group has still to read, where that can be known.
    #[must_use]
    pub fn lag(&self, group: &Group) -> Option<i64> {
        if self.added == 0 {
            return Some(0);
        }
        let read = group
            .entries_read
            .filter(|_| !self.has_deleted_from(group.last_id))
            .or_else(|| self.count_up_to(group.last_id))?;
        Some((self.added as i64).wrapping_sub(read))
    }

    /// Notes that a group reads this entry, which is behind all that it had read.
    pub fn note_read(&self, group: &mut Group, id: StreamId) {
        match group.entries_read {
            Some(read) if !self.has_deleted_from(id) => {
                group.entries_read = Some(read.wrapping_add(1))
            }
            _ if self.added > 0 => group.entries_read = self.count_up_to(id),
            _ => {}
        }
        group.last_id = id;
    }
}
