//! The payloads of DUMP and RESTORE: type, value, version (u16), checksum of all before it (u64).

use super::error::RdbError;
use super::kind;
use crate::crc::{Checksum, checksum};

/// Bytes behind the value.
const FOOTER_BYTES: usize = 10;
/// Those of them that are the checksum.
const SUM_BYTES: usize = 8;

/// Appends what stands behind the value to a payload that begins with the value's type. O(bytes).
pub fn dump_footer(payload: &mut Vec<u8>) {
    let mut sum = PayloadSum::default();
    sum.cover(payload);
    payload.extend_from_slice(&sum.footer(payload.first().copied().unwrap_or_default()));
}

/// The footer of a payload that is written in pieces.
pub struct PayloadSum(Checksum);

impl Default for PayloadSum {
    fn default() -> Self {
        Self(checksum())
    }
}

impl PayloadSum {
    /// The next piece.
    pub fn cover(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// What stands behind a value of this type whose pieces were all covered.
    #[must_use]
    pub fn footer(&self, kind: u8) -> [u8; FOOTER_BYTES] {
        let version = match kind {
            kind::HASH_TTL => kind::VERSION_FIELD_TTL,
            _ => kind::VERSION,
        };
        let (mut sum, mut footer) = (self.0.clone(), [0; FOOTER_BYTES]);
        let (head, tail) = footer.split_at_mut(FOOTER_BYTES - SUM_BYTES);
        head.copy_from_slice(&version.to_le_bytes());
        sum.update(head);
        tail.copy_from_slice(&sum.finalize().to_le_bytes());
        footer
    }
}

/// Checks a payload, at once or in pieces.
pub struct PayloadCheck {
    sum: Checksum,
    at: usize,
    /// Whether any checksum will do.
    believes: bool,
}

impl Default for PayloadCheck {
    fn default() -> Self {
        Self {
            sum: checksum(),
            at: 0,
            believes: false,
        }
    }
}

impl PayloadCheck {
    /// A check of everything but the checksum, for tests with payloads that are wrong on purpose.
    #[must_use]
    pub fn without_checksum() -> Self {
        Self {
            believes: true,
            ..Self::default()
        }
    }

    /// Looks at so many bytes more of the payload, the same one each time. When it is right: its type and the value's bytes.
    ///
    /// # Errors
    /// [`RdbError::Version`] or [`RdbError::Checksum`]; Redis makes no difference between them.
    pub fn step<'a>(
        &mut self,
        payload: &'a [u8],
        bytes: usize,
    ) -> Result<Option<(u8, &'a [u8])>, RdbError> {
        let (value, version) = parts(payload)?;
        if version > kind::VERSION_MAX {
            return Err(RdbError::Version(version));
        }
        let (summed, sum) = payload.split_at(payload.len() - SUM_BYTES);
        if !self.believes {
            let end = self.at.saturating_add(bytes).min(summed.len());
            self.sum.update(&summed[self.at..end]);
            self.at = end;
            if end < summed.len() {
                return Ok(None);
            }
            if self.sum.clone().finalize().to_le_bytes() != sum {
                return Err(RdbError::Checksum);
            }
        }
        match value.split_first() {
            Some((kind, value)) => Ok(Some((*kind, value))),
            None => Err(RdbError::Truncated),
        }
    }
}

/// What is before the footer, and the version.
fn parts(payload: &[u8]) -> Result<(&[u8], u16), RdbError> {
    let at = payload
        .len()
        .checked_sub(FOOTER_BYTES)
        .ok_or(RdbError::Checksum)?;
    let (value, footer) = payload.split_at(at);
    Ok((value, u16::from_le_bytes([footer[0], footer[1]])))
}

/// The type and the value's bytes of a payload. O(bytes), for the checksum.
///
/// # Errors
/// As [`PayloadCheck::step`].
pub fn payload_of(payload: &[u8]) -> Result<(u8, &[u8]), RdbError> {
    let found = PayloadCheck::default().step(payload, usize::MAX)?;
    found.ok_or(RdbError::Checksum)
}
