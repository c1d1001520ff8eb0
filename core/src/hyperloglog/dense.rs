//! Registers of six bits, one after the other, each from the lowest free bit of its byte on.

/// Number of registers.
pub(super) const REGISTERS: usize = 1 << 14;
/// Bits of a register.
const REGISTER_BITS: usize = 6;
/// Largest value of a register.
const VALUE_MAX: u8 = (1 << REGISTER_BITS) - 1;
/// Bytes of all registers.
pub(super) const REGISTERS_BYTES: usize = REGISTERS * REGISTER_BITS / 8;

/// A register's value.
#[inline]
pub(super) fn get(registers: &[u8], index: usize) -> u8 {
    let (at, shift) = (index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
    let next = registers.get(at + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([registers[at], next]) >> shift) as u8 & VALUE_MAX
}

/// Sets a register.
#[inline]
pub(super) fn set(registers: &mut [u8], index: usize, value: u8) {
    let (at, shift) = (index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
    let (mask, bits) = (u16::from(VALUE_MAX) << shift, u16::from(value) << shift);
    let [low, high] = bits.to_le_bytes();
    let [low_mask, high_mask] = mask.to_le_bytes();
    registers[at] = registers[at] & !low_mask | low;
    if high_mask != 0 {
        registers[at + 1] = registers[at + 1] & !high_mask | high;
    }
}

/// Raises a register to a value and says whether it was lower.
#[inline]
pub(super) fn raise(registers: &mut [u8], index: usize, value: u8) -> bool {
    let is_raised = get(registers, index) < value;
    if is_raised {
        set(registers, index, value);
    }
    is_raised
}

/// Calls `visit` for every register in order.
pub(super) fn for_each(registers: &[u8], mut visit: impl FnMut(usize, u8)) {
    // Four registers are three bytes.
    for (index, three) in registers.as_chunks::<3>().0.iter().enumerate() {
        let bits = u32::from_le_bytes([three[0], three[1], three[2], 0]);
        for register in 0..4 {
            let value = (bits >> (register * REGISTER_BITS)) as u8 & VALUE_MAX;
            visit(4 * index + register, value);
        }
    }
}
