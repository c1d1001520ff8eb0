//! Lookups that know the type they want: what the commands of one type use.
//!
//! As the other lookups they apply expiry and count hits, misses and accesses. A key whose collection has become empty goes at once,
//! so that no command ever sees an empty one.

use tessera_core::entry::{Entry, ValueRef};
use tessera_core::object::{Collection, Object};
use tessera_core::table::EntryMut;

use super::{Shard, event};

/// The key holds another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType;

/// The entry's collection as this type.
fn typed<T: Collection>(entry: &Entry) -> Result<&T, WrongType> {
    entry.object().and_then(T::of).ok_or(WrongType)
}

impl Shard {
    /// The string under a key, for a command that reads it.
    ///
    /// # Errors
    /// [`WrongType`] if it is a collection.
    #[inline]
    pub fn read_string(
        &mut self,
        db: usize,
        key: &[u8],
    ) -> Result<Option<ValueRef<'_>>, WrongType> {
        match self.read(db, key) {
            None => Ok(None),
            Some(entry) => entry.string().map(Some).ok_or(WrongType),
        }
    }

    /// The entry of a string, to change it.
    ///
    /// # Errors
    /// [`WrongType`] if it is a collection.
    #[inline]
    pub fn write_string(
        &mut self,
        db: usize,
        key: &[u8],
    ) -> Result<Option<EntryMut<'_>>, WrongType> {
        match self.write(db, key) {
            Some(entry) if entry.is_object() => Err(WrongType),
            found => Ok(found),
        }
    }

    /// The collection under a key, for a command that reads it.
    ///
    /// # Errors
    /// [`WrongType`] if it is of another type.
    #[inline]
    pub fn read_object<T: Collection>(
        &mut self,
        db: usize,
        key: &[u8],
    ) -> Result<Option<&T>, WrongType> {
        self.read(db, key).map(typed).transpose()
    }

    /// Whether the key is free for this type or holds it. Counts nothing.
    ///
    /// # Errors
    /// [`WrongType`] if it is of another type.
    pub fn check_object<T: Collection>(
        &mut self,
        db: usize,
        key: &[u8],
    ) -> Result<bool, WrongType> {
        if !self.exists(db, key) {
            return Ok(false);
        }
        let entry = self.table(db).get(self.hash(key), key);
        entry.map_or(Ok(false), |entry| typed::<T>(entry).map(|_| true))
    }

    /// Changes the collection under a key, if there is one. Empty afterwards, the key goes. The caller reports the change with `changed`.
    ///
    /// # Errors
    /// [`WrongType`] if it is of another type.
    pub fn change_object<T: Collection, R>(
        &mut self,
        db: usize,
        key: &[u8],
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<Option<R>, WrongType> {
        let Some(mut entry) = self.write(db, key) else {
            return Ok(None);
        };
        typed::<T>(&entry)?;
        let changed = entry.change_object(|object| {
            let it = T::of_mut(object)?;
            let result = change(it);
            Some((result, it.is_void()))
        });
        let Some((result, is_void)) = changed.flatten() else {
            return Err(WrongType);
        };
        if is_void {
            self.take(db, key);
        }
        Ok(Some(result))
    }

    /// Changes the collection under a key; without one, makes one first, and keeps it unless it is empty afterwards.
    ///
    /// # Errors
    /// [`WrongType`] if it is of another type.
    pub fn change_or_create<T: Collection, R>(
        &mut self,
        db: usize,
        key: &[u8],
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, WrongType> {
        // A closure runs once: it is handed to whichever case holds.
        let mut change = Some(change);
        let found = self.change_object(db, key, |it| change.take().map(|change| change(it)))?;
        if let Some(result) = found.flatten() {
            return Ok(result);
        }
        let mut it = T::empty();
        let result = change
            .take()
            .expect("the key was not there, so it has not run")(&mut it);
        if !it.is_void() {
            self.create(db, key, it.into_object());
            self.note(db, key, event::NEW);
        }
        Ok(result)
    }

    /// Puts a collection under a key, whatever was there, without an expiry time. Counts nothing. An empty one removes the key.
    pub fn put_object<T: Collection>(&mut self, db: usize, key: &[u8], it: T) {
        let old = self.take(db, key);
        let existed = old.is_some();
        if let Some(old) = old {
            self.discard(old);
        }
        if !it.is_void() {
            self.create(db, key, it.into_object());
            if !existed {
                self.note(db, key, event::NEW);
            }
        }
    }

    fn create(&mut self, db: usize, key: &[u8], object: Object) {
        let entry = Entry::with_object(key, object, None);
        entry.set_access(self.fresh_access());
        self.insert(db, entry);
    }
}
