//! Draws of the HyperLogLog commands. Their strings are compared byte by byte.

use super::draw::Draw;
use super::step::{Command, Step};

/// The commands of this family.
pub const COMMANDS: &[&str] = &["PFADD", "PFCOUNT", "PFDEBUG", "PFMERGE"];

/// A key that mostly holds a HyperLogLog.
fn key(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(14) {
        0 => draw.key(),
        _ => format!("hll{}", draw.rng.below(6)).into_bytes(),
    }
}

fn element(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(10) {
        0 => draw.value(),
        1 => draw.rng.below(5).to_string().into_bytes(),
        _ => {
            let length = draw.rng.below(12);
            draw.rng.bytes(length)
        }
    }
}

/// One command of this family and a look at what it left.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    if draw.rng.one_in(30) {
        return vec![Step::exact(odd_string(draw))];
    }
    let name = draw.rng.pick(COMMANDS);
    let mut command = vec![draw.cased(name)];
    let key = key(draw);
    match name {
        "PFADD" => {
            command.push(key.clone());
            let most = if draw.rng.one_in(5) { 200 } else { 5 };
            for _ in 0..draw.rng.below(most) {
                command.push(element(draw));
            }
        }
        "PFCOUNT" | "PFMERGE" => {
            command.push(key.clone());
            for _ in 0..draw.rng.below(3) {
                command.push(self::key(draw));
            }
        }
        "PFDEBUG" => {
            let what = draw.rng.pick(&[
                "ENCODING", "ENCODING", "ENCODING", "DECODE", "DECODE", "DECODE", "TODENSE",
                "GETREG", "NONSENSE",
            ]);
            command.extend([draw.cased(what), key.clone()]);
        }
        other => unreachable!("{other} has no draw"),
    }
    let shown = vec![b"GET".to_vec(), key];
    vec![Step::exact(command), Step::exact(shown)]
}

/// A string that is nearly a HyperLogLog, in place of one; or none, so that small ones are seen again.
fn odd_string(draw: &mut Draw) -> Command {
    let key = key(draw);
    if draw.rng.one_in(2) {
        return vec![b"DEL".to_vec(), key];
    }
    let mut string = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80".to_vec();
    match draw.rng.below(4) {
        // No register, or too few.
        0 => {
            let zeros = draw.rng.below(4);
            string.resize(string.len() + zeros, 0x3F);
        }
        // A valid one of another making: two runs of zeros.
        1 => string.extend_from_slice(&[0x4F, 0xFF, 0x6F, 0xFF]),
        2 => string[4] = draw.rng.pick(&[0, 2, 255]),
        _ => string.truncate(12),
    }
    vec![b"SET".to_vec(), key, string]
}
