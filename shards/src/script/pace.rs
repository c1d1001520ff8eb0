//! `Pace`: how the libraries that walk data of any size (`cjson`, `cmsgpack`) give way like any other code of a script. What they walk need not be large:
//! a table that holds another one twice is written twice.

use std::cell::Cell;

use mlua::{Lua, Result};

use super::machine::give_way;

/// Steps after which it is looked whether the slice is over: some 100 µs.
const STEPS_PER_TICK: usize = 1_000;
/// Bytes that cost as much as a step.
pub(super) const BYTES_PER_STEP: usize = 64;

/// Counts what a function of a library has done.
pub(super) struct Pace<'l> {
    lua: &'l Lua,
    steps: Cell<usize>,
}

impl<'l> Pace<'l> {
    /// A walk that begins.
    pub(super) fn new(lua: &'l Lua) -> Self {
        Pace {
            lua,
            steps: Cell::new(0),
        }
    }

    /// Notes a value, and so many bytes of its text.
    ///
    /// # Errors
    /// The script has to end.
    pub(super) fn step(&self, bytes: usize) -> Result<()> {
        let steps = self.steps.get() + 1 + bytes / BYTES_PER_STEP;
        if steps < STEPS_PER_TICK {
            self.steps.set(steps);
            return Ok(());
        }
        self.steps.set(0);
        give_way(self.lua)
    }
}
