//! The string as a whole: its header, and what the commands do with it in either layout.
//!
//! All functions but `check` and `empty` want a string that `check` has accepted; the runs of a sparse one may still be broken, which they report.

use super::dense::{self, REGISTERS, REGISTERS_BYTES};
use super::estimate::{Histogram, VALUE_BITS, estimate};
use super::hash::murmur_hash_64a;
use super::sparse::{self, Change};

const MAGIC: &[u8; 4] = b"HYLL";
const HEADER_BYTES: usize = 16;
/// Where the cached cardinality lies.
const CACHE: std::ops::Range<usize> = 8..16;
/// The bit of its last byte that says it is out of date.
const STALE: u8 = 0x80;
const HASH_SEED: u64 = 0xadc8_3b19;
/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = REGISTERS.trailing_zeros();

/// Bytes of a dense one.
pub const DENSE_BYTES: usize = HEADER_BYTES + REGISTERS_BYTES;

/// All registers, a byte each.
pub type Registers = [u8; REGISTERS];

/// How the registers lie in the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Six bits each.
    Dense,
    /// As runs.
    Sparse,
}

/// Why a string is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It has not the header or not the length.
    NotHyperLogLog,
    /// Its runs do not add up.
    Corrupt,
}

/// The layout of a string, by its header.
///
/// # Errors
/// [`Invalid::NotHyperLogLog`].
pub fn check(string: &[u8]) -> Result<Encoding, Invalid> {
    let encoding = match string.get(4) {
        Some(0) if string.len() == DENSE_BYTES => Encoding::Dense,
        Some(1) if string.len() >= HEADER_BYTES => Encoding::Sparse,
        _ => return Err(Invalid::NotHyperLogLog),
    };
    let is_marked = string.starts_with(MAGIC);
    is_marked.then_some(encoding).ok_or(Invalid::NotHyperLogLog)
}

/// One without elements: sparse.
#[must_use]
pub fn empty() -> Vec<u8> {
    let mut string = header(Encoding::Sparse);
    sparse::zeros(&mut string);
    string
}

fn header(encoding: Encoding) -> Vec<u8> {
    let mut string = Vec::with_capacity(HEADER_BYTES + 2);
    string.extend_from_slice(MAGIC);
    string.resize(HEADER_BYTES, 0);
    string[4] = u8::from(encoding == Encoding::Sparse);
    string
}

fn is_dense(string: &[u8]) -> bool {
    string[4] == 0
}

/// The register of an element, and the value it gives it.
#[must_use]
pub fn place_of(element: &[u8]) -> (usize, u8) {
    let hash = murmur_hash_64a(element, HASH_SEED);
    let rest = hash >> INDEX_BITS | 1 << VALUE_BITS;
    let index = hash as usize & (REGISTERS - 1);
    (index, rest.trailing_zeros() as u8 + 1)
}

/// Adds an element to a dense one, in place, and says whether that changed a register.
///
/// # Panics
/// If it is not dense.
pub fn add_dense(string: &mut [u8], element: &[u8]) -> bool {
    let (index, value) = place_of(element);
    let is_raised = dense::raise(&mut string[HEADER_BYTES..DENSE_BYTES], index, value);
    if is_raised {
        string[CACHE.end - 1] |= STALE;
    }
    is_raised
}

/// Adds an element and says whether that changed a register. A sparse one becomes dense above `sparse_bytes_max`.
///
/// # Errors
/// [`Invalid::Corrupt`].
pub fn add(string: &mut Vec<u8>, element: &[u8], sparse_bytes_max: usize) -> Result<bool, Invalid> {
    let (index, value) = place_of(element);
    raise(string, index, value, sparse_bytes_max)
}

/// Raises a register to a value and says whether it was lower.
///
/// # Errors
/// [`Invalid::Corrupt`].
pub fn raise(
    string: &mut Vec<u8>,
    index: usize,
    value: u8,
    sparse_bytes_max: usize,
) -> Result<bool, Invalid> {
    if !is_dense(string) {
        let change = sparse::raise(string, HEADER_BYTES, index, value, sparse_bytes_max);
        match change.ok_or(Invalid::Corrupt)? {
            Change::None => return Ok(false),
            Change::Raised => {
                string[CACHE.end - 1] |= STALE;
                return Ok(true);
            }
            Change::TooLarge => {
                to_dense(string)?;
            }
        }
    }
    let is_raised = dense::raise(&mut string[HEADER_BYTES..], index, value);
    if is_raised {
        string[CACHE.end - 1] |= STALE;
    }
    Ok(is_raised)
}

/// Makes a sparse one dense and says whether it was sparse. The cached cardinality stays.
///
/// # Errors
/// [`Invalid::Corrupt`]; the string is as before then.
pub fn to_dense(string: &mut Vec<u8>) -> Result<bool, Invalid> {
    if is_dense(string) {
        return Ok(false);
    }
    let mut fresh = header(Encoding::Dense);
    fresh[CACHE].copy_from_slice(&string[CACHE]);
    fresh.resize(DENSE_BYTES, 0);
    for_each_run(string, |index, value, len| {
        for index in index..index + len {
            dense::set(&mut fresh[HEADER_BYTES..], index, value);
        }
    })?;
    *string = fresh;
    Ok(true)
}

/// Calls `visit` for every run of a value: its first register, the value, the number of registers. Everything visited is in bounds.
fn for_each_run(string: &[u8], mut visit: impl FnMut(usize, u8, usize)) -> Result<(), Invalid> {
    let mut index = 0;
    for run in sparse::iter(&string[HEADER_BYTES..]) {
        if index + run.len > REGISTERS {
            return Err(Invalid::Corrupt);
        }
        if run.value != 0 {
            visit(index, run.value, run.len);
        }
        index += run.len;
    }
    (index == REGISTERS).then_some(()).ok_or(Invalid::Corrupt)
}

/// Raises `registers` to those of a string where they are lower.
///
/// # Errors
/// [`Invalid::Corrupt`].
pub fn merge_into(registers: &mut Registers, string: &[u8]) -> Result<(), Invalid> {
    if is_dense(string) {
        dense::for_each(&string[HEADER_BYTES..], |index, value| {
            registers[index] = registers[index].max(value);
        });
        return Ok(());
    }
    for_each_run(string, |index, value, len| {
        for register in &mut registers[index..index + len] {
            *register = value.max(*register);
        }
    })
}

/// The estimated number of distinct elements behind registers.
#[must_use]
pub fn estimate_of(registers: &Registers) -> u64 {
    let mut histogram: Histogram = [0; 64];
    for register in registers {
        histogram[usize::from(*register & 63)] += 1;
    }
    estimate(&histogram)
}

/// The estimated number of distinct elements, computed anew.
///
/// # Errors
/// [`Invalid::Corrupt`].
pub fn count(string: &[u8]) -> Result<u64, Invalid> {
    let mut histogram: Histogram = [0; 64];
    if is_dense(string) {
        dense::for_each(&string[HEADER_BYTES..], |_, value| {
            histogram[usize::from(value)] += 1;
        });
    } else {
        let mut counted = 0;
        for_each_run(string, |_, value, len| {
            histogram[usize::from(value)] += len as u32;
            counted += len as u32;
        })?;
        histogram[0] = REGISTERS as u32 - counted;
    }
    Ok(estimate(&histogram))
}

/// The cached cardinality, unless it is out of date.
#[must_use]
pub fn cached(string: &[u8]) -> Option<u64> {
    let bytes = string[CACHE].try_into().expect("the range has eight bytes");
    (string[CACHE.end - 1] & STALE == 0).then_some(u64::from_le_bytes(bytes))
}

/// Sets the cached cardinality; `None` says that it is out of date.
pub fn set_cached(string: &mut [u8], cardinality: Option<u64>) {
    match cardinality {
        Some(cardinality) => string[CACHE].copy_from_slice(&cardinality.to_le_bytes()),
        None => string[CACHE.end - 1] |= STALE,
    }
}

/// The runs of a sparse one as PFDEBUG DECODE shows them; `None` if it is dense.
#[must_use]
pub fn decode(string: &[u8]) -> Option<String> {
    if is_dense(string) {
        return None;
    }
    let shown = sparse::iter(&string[HEADER_BYTES..]).map(|run| match (run.value, run.bytes) {
        (0, 1) => format!("z:{}", run.len),
        (0, _) => format!("Z:{}", run.len),
        (value, _) => format!("v:{value},{}", run.len),
    });
    Some(shown.collect::<Vec<_>>().join(" "))
}
