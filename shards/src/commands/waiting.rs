//! What all blocking commands share: the timeout's form, and what happens when there is nothing.
//!
//! The connection looks after the time (`front::blocked` in the server); here the argument is only checked.

use tessera_core::number::LongDouble;

use crate::command::Cx;

/// Whether an argument is a timeout in seconds; writes the error otherwise.
pub(crate) fn is_timeout(cx: &mut Cx<'_>, arg: &[u8]) -> bool {
    let Some(seconds) = LongDouble::parse(arg).filter(|seconds| !seconds.is_nan()) else {
        cx.error("ERR timeout is not a float or out of range");
        return false;
    };
    let ms =
        tessera_core::number::parse_double(arg).map_or(f64::INFINITY, |seconds| seconds * 1000.0);
    if ms < 0.0 {
        cx.error("ERR timeout is negative");
    } else if !seconds.is_finite() || ms >= i64::MAX as f64 {
        cx.error("ERR timeout is out of range");
    } else {
        return true;
    }
    false
}

/// As `wait_for`, for a request that is to be run again in another form.
pub(crate) fn wait_as(
    cx: &mut Cx<'_>,
    keys: &[&[u8]],
    request: Vec<Box<[u8]>>,
    nothing: fn(&mut Cx<'_>),
) {
    cx.waits_as = Some(request);
    wait_for(cx, keys, nothing);
}

/// The command found nothing: it waits for these keys, or replies as if its time had run out where it may not wait.
pub(crate) fn wait_for(cx: &mut Cx<'_>, keys: &[&[u8]], nothing: fn(&mut Cx<'_>)) {
    if cx.may_block {
        cx.waits_for = Some(keys.iter().map(|key| Box::from(*key)).collect());
    } else {
        nothing(cx);
    }
}
