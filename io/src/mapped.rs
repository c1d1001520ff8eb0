//! A file as memory: what a snapshot is loaded from.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// The bytes of a file, read when they are looked at. Nobody may shorten the file meanwhile: who looks at what is gone is killed by the kernel.
#[derive(Debug)]
pub struct Mapped {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is read-only and private, and belongs to this value alone.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps a whole file.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of(file: &File) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if len == 0 {
            return Ok(Self {
                at: NonNull::dangling(),
                len,
            });
        }
        // SAFETY: a fresh mapping at a place of the kernel's choice touches no other memory; the descriptor is open.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range was mapped just now. It is advice, and may be refused.
        unsafe { libc::madvise(at, len, libc::MADV_SEQUENTIAL) };
        let at = NonNull::new(at.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { at, len })
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes are mapped for reading as long as this value lives, or there are none.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the range is the one that was mapped, and nobody can borrow it any more. There is nothing to do about an error.
            unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_bytes() {
        let path = std::env::temp_dir().join(format!("tessera-mapped-{}", std::process::id()));
        for text in ["", "some bytes"] {
            std::fs::write(&path, text).unwrap();
            let mapped = Mapped::of(&File::open(&path).unwrap()).unwrap();
            assert_eq!(&*mapped, text.as_bytes());
        }
        std::fs::remove_file(&path).unwrap();
    }
}
