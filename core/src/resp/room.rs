//! Room at the end of buffers whose length clients decide: the allocator may refuse it, and that is no reason to end.
//!
//! A large buffer grows by doubling where that is granted, and by just what is needed where it is not. Called by the reply
//! writer, the batches between shards and the front end's client buffers.

/// What a client is told whose request or reply found no memory.
pub const OUT_OF_MEMORY: &[u8] = b"-ERR out of memory: the value cannot grow that large\r\n";

/// The longest buffer. Messages between shards say the length of a reply in 32 bits, and one client's wish is not to take all memory of the
/// machine.
pub(super) const BUFFER_BYTES_MAX: usize = 2 << 30;

/// Makes room for so many more bytes. Says false when the allocator refuses, or the buffer would become too long; it is then unchanged.
#[inline]
#[must_use]
pub fn make_room(buffer: &mut Vec<u8>, more: usize) -> bool {
    buffer.capacity() - buffer.len() >= more || enlarge(buffer, more)
}

#[cold]
fn enlarge(buffer: &mut Vec<u8>, more: usize) -> bool {
    if more > BUFFER_BYTES_MAX.saturating_sub(buffer.len()) {
        return false;
    }
    buffer.try_reserve(more).is_ok() || buffer.try_reserve_exact(more).is_ok()
}

/// Appends bytes, unless the allocator refuses the room.
#[inline]
#[must_use]
pub fn try_append(buffer: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let granted = make_room(buffer, bytes.len());
    if granted {
        buffer.extend_from_slice(bytes);
    }
    granted
}

/// A copy of bytes, unless the allocator refuses it.
#[must_use]
pub fn try_copy(bytes: &[u8]) -> Option<Box<[u8]>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).ok()?;
    copy.extend_from_slice(bytes);
    Some(copy.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut buffer = b"abc".to_vec();
        assert!(!make_room(&mut buffer, isize::MAX as usize));
        assert!(!make_room(&mut buffer, usize::MAX));
        assert!(!make_room(&mut buffer, BUFFER_BYTES_MAX));
        assert_eq!(buffer, b"abc");
        assert!(try_append(&mut buffer, b"de"));
        assert_eq!(buffer, b"abcde");
        assert_eq!(try_copy(b"xy").as_deref(), Some(&b"xy"[..]));
    }
}
