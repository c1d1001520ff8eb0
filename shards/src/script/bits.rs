//! The `bit` library: operations on 32 bits, as LuaJIT's BitOp has them.

use mlua::{Lua, Table, Value, Variadic};

use super::api::{kind, raise};

/// The bits of an argument: rounded, modulo 2^32.
fn bits(lua: &Lua, args: &[Value], at: usize, name: &str) -> mlua::Result<i32> {
    let value = args.get(at).unwrap_or(&Value::Nil);
    let number = match lua.coerce_number(value.clone())? {
        Some(number) => number,
        None => {
            let found = args.get(at).map_or("no value", kind);
            let text = format!(
                "bad argument #{} to '{name}' (number expected, got {found})",
                at + 1
            );
            return Err(raise(lua, text));
        }
    };
    // The sum has the bits of the rounded number at the end of its fraction.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    Ok((number + SHIFT).to_bits() as u32 as i32)
}

type Single = fn(i32) -> i32;
type Pair = fn(i32, i32) -> i32;
type Shift = fn(i32, u32) -> i32;

/// The library.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let single: [(&str, Single); 3] = [
        ("tobit", |it| it),
        ("bnot", |it| !it),
        ("bswap", i32::swap_bytes),
    ];
    for (name, act) in single {
        let function = lua.create_function(move |lua, args: Variadic<Value>| {
            bits(lua, &args, 0, name).map(act).map(f64::from)
        })?;
        table.raw_set(name, function)?;
    }
    let many: [(&str, Pair); 3] = [
        ("band", |a, b| a & b),
        ("bor", |a, b| a | b),
        ("bxor", |a, b| a ^ b),
    ];
    for (name, act) in many {
        let function = lua.create_function(move |lua, args: Variadic<Value>| {
            let mut all = bits(lua, &args, 0, name)?;
            for at in 1..args.len() {
                all = act(all, bits(lua, &args, at, name)?);
            }
            Ok(f64::from(all))
        })?;
        table.raw_set(name, function)?;
    }
    let shifts: [(&str, Shift); 5] = [
        ("lshift", |it, by| it << by),
        ("rshift", |it, by| ((it as u32) >> by) as i32),
        ("arshift", |it, by| it >> by),
        ("rol", i32::rotate_left),
        ("ror", i32::rotate_right),
    ];
    for (name, act) in shifts {
        let function = lua.create_function(move |lua, args: Variadic<Value>| {
            let it = bits(lua, &args, 0, name)?;
            let by = bits(lua, &args, 1, name)? as u32 & 31;
            Ok(f64::from(act(it, by)))
        })?;
        table.raw_set(name, function)?;
    }
    let hex = lua.create_function(|lua, args: Variadic<Value>| {
        let it = bits(lua, &args, 0, "tohex")?;
        let digits = if args.len() > 1 {
            bits(lua, &args, 1, "tohex")?
        } else {
            8
        };
        let shown = digits.unsigned_abs().min(8) as usize;
        let text = if digits < 0 {
            format!("{it:08X}")
        } else {
            format!("{it:08x}")
        };
        Ok(text[8 - shown..].to_owned())
    })?;
    table.raw_set("tohex", hex)?;
    Ok(table)
}
