//! Comparing two replies to one command.

use super::known;
use super::step::{Judge, Step, Unit};
use crate::reply::Reply;

/// How far two remaining times may lie apart, in seconds: a busy machine may pause one server. All
/// times that are drawn are longer than that by far.
const APART_S: i64 = 60;

/// Whether the replies, as frames, are as good as equal; an error says why not.
pub fn compare(step: &Step, ours: &[u8], theirs: &[u8]) -> Result<(), String> {
    if ours == theirs {
        return Ok(());
    }
    let (ours, theirs) = (Reply::parse(ours), Reply::parse(theirs));
    let verdict = match (&ours, &theirs) {
        (Reply::Error(_), _) | (_, Reply::Error(_)) => Err("the errors differ".to_owned()),
        _ => by_judge(step, &ours, &theirs),
    };
    match verdict {
        Err(_) if known::reason(step, &ours, &theirs).is_some() => Ok(()),
        other => other,
    }
}

fn by_judge(step: &Step, ours: &Reply, theirs: &Reply) -> Result<(), String> {
    let holds = match step.judge {
        // Equal bytes were seen already.
        Judge::Exact | Judge::Walk | Judge::Vanish | Judge::Member => false,
        Judge::Unordered => kind(ours) == kind(theirs) && sorted(ours) == sorted(theirs),
        Judge::Remaining(unit) => near(ours, theirs, unit),
        Judge::Moment(unit) => {
            let absolute = super::draw::FUTURE_S..=super::draw::FUTURE_S_MAX;
            let relative = |reply: &Reply| matches!(reply, Reply::Int(n) if !absolute.contains(&(n / per_second(unit))));
            relative(ours) && relative(theirs) && near(ours, theirs, unit)
        }
        Judge::Kind => kind(ours) == kind(theirs),
        Judge::Positive => {
            matches!((ours, theirs), (Reply::Int(a), Reply::Int(b)) if *a > 0 && *b > 0)
        }
        Judge::Stream => timeless(ours) == timeless(theirs),
        Judge::CommandInfo => return command_info(ours, theirs),
        Judge::Hello => return hello(ours, theirs),
        Judge::ClientInfo => return client_info(ours, theirs),
    };
    if holds {
        Ok(())
    } else {
        Err(format!("not equal as {:?}", step.judge))
    }
}

fn per_second(unit: Unit) -> i64 {
    match unit {
        Unit::Seconds => 1,
        Unit::Milliseconds => 1000,
    }
}

fn near(ours: &Reply, theirs: &Reply, unit: Unit) -> bool {
    match (ours, theirs) {
        (Reply::Int(a), Reply::Int(b)) => {
            *a >= 0
                && *b >= 0
                && a.abs_diff(*b) <= APART_S.unsigned_abs() * per_second(unit).unsigned_abs()
        }
        _ => false,
    }
}

fn sorted(reply: &Reply) -> Option<Vec<Reply>> {
    match reply {
        Reply::Array(elements) | Reply::Set(elements) => {
            let mut elements = elements.clone();
            elements.sort();
            Some(elements)
        }
        Reply::Map(pairs) => {
            let pair =
                |(key, value): &(Reply, Reply)| Reply::Array(vec![key.clone(), value.clone()]);
            let mut elements: Vec<Reply> = pairs.iter().map(pair).collect();
            elements.sort();
            Some(elements)
        }
        _ => None,
    }
}

fn kind(reply: &Reply) -> std::mem::Discriminant<Reply> {
    std::mem::discriminant(reply)
}

/// Fields that tell a time; `active-time` and `inactive` came with Redis 7.2.
const TIMES: &[&str] = &["idle", "inactive", "seen-time", "active-time"];

/// What XINFO and XPENDING say, without times: those fields, and the time in what they tell of a pending entry.
fn timeless(reply: &Reply) -> Reply {
    let is_time = |name: &Reply| matches!(name, Reply::Bulk(name) if TIMES.iter().any(|time| time.as_bytes() == name));
    match reply {
        Reply::Array(elements) => match elements.as_slice() {
            [id, Reply::Int(_), count @ Reply::Int(_)] => {
                Reply::Array(vec![id.clone(), count.clone()])
            }
            [
                id,
                consumer @ Reply::Bulk(_),
                Reply::Int(_),
                count @ Reply::Int(_),
            ] => Reply::Array(vec![id.clone(), consumer.clone(), count.clone()]),
            elements => {
                let mut kept = Vec::new();
                let mut rest = elements.iter();
                while let Some(element) = rest.next() {
                    if is_time(element) {
                        rest.next();
                    } else {
                        kept.push(timeless(element));
                    }
                }
                Reply::Array(kept)
            }
        },
        Reply::Map(pairs) => {
            let kept = pairs.iter().filter(|(name, _)| !is_time(name));
            Reply::Map(
                kept.map(|(name, value)| (name.clone(), timeless(value)))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

/// Name, arity, flags, first key, last key, step and ACL categories of each.
fn command_info(ours: &Reply, theirs: &Reply) -> Result<(), String> {
    let (Reply::Array(ours), Reply::Array(theirs)) = (ours, theirs) else {
        return Err("not two arrays".to_owned());
    };
    if ours.len() != theirs.len() {
        return Err("not the same number of commands".to_owned());
    }
    for (ours, theirs) in ours.iter().zip(theirs) {
        let (Reply::Array(a), Reply::Array(b)) = (ours, theirs) else {
            if ours == theirs {
                continue;
            }
            return Err("one of them does not know a command".to_owned());
        };
        if a.len() != b.len() {
            return Err(format!("{} fields instead of {}", a.len(), b.len()));
        }
        for field in [0, 1, 3, 4, 5] {
            if a[field] != b[field] {
                return Err(format!(
                    "{}: field {field} is {} instead of {}",
                    b[0], a[field], b[field]
                ));
            }
        }
        for field in [2, 6] {
            if kind(&a[field]) != kind(&b[field]) || sorted(&a[field]) != sorted(&b[field]) {
                return Err(format!(
                    "{}: field {field} is {} instead of {}",
                    b[0], a[field], b[field]
                ));
            }
        }
    }
    Ok(())
}

fn hello(ours: &Reply, theirs: &Reply) -> Result<(), String> {
    if kind(ours) != kind(theirs) {
        return Err("not the same kind of reply".to_owned());
    }
    let (ours, theirs) = (ours.pairs(), theirs.pairs());
    for ((our_key, our_value), (key, value)) in ours.iter().zip(&theirs) {
        let free = key == "version" || key == "id";
        if our_key != key || (!free && our_value != value) || kind(our_value) != kind(value) {
            return Err(format!("{our_key} is {our_value} instead of {key} {value}"));
        }
    }
    if ours.len() == theirs.len() {
        Ok(())
    } else {
        Err("not the same fields".to_owned())
    }
}

/// The fields that do not depend on addresses, memory or the moment.
const CLIENT_FIELDS: &[&str] = &[
    "name", "db", "sub", "psub", "ssub", "multi", "cmd", "user", "resp", "flags", "redir", "events",
];

fn client_info(ours: &Reply, theirs: &Reply) -> Result<(), String> {
    let (Reply::Bulk(ours), Reply::Bulk(theirs)) = (ours, theirs) else {
        return Err("not two strings".to_owned());
    };
    let (ours, theirs) = (
        String::from_utf8_lossy(ours),
        String::from_utf8_lossy(theirs),
    );
    let field = |line: &str, name: &str| -> Option<String> {
        line.trim_end().split(' ').find_map(|part| {
            part.strip_prefix(name)?
                .strip_prefix('=')
                .map(str::to_owned)
        })
    };
    for name in CLIENT_FIELDS {
        let (a, b) = (field(&ours, name), field(&theirs, name));
        if a != b {
            return Err(format!("{name} is {a:?} instead of {b:?}"));
        }
    }
    // Redis 7.2 added fields at the end; the names up to there come in this order.
    let names = |line: &str| -> Vec<String> {
        let parts = line.trim_end().split(' ');
        parts
            .filter_map(|part| part.split('=').next().map(str::to_owned))
            .collect()
    };
    let (a, b) = (names(&ours), names(&theirs));
    if a.starts_with(&b) {
        Ok(())
    } else {
        Err(format!("the fields are {a:?} instead of {b:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(judge: Judge, ours: &str, theirs: &str) -> bool {
        compare(
            &Step::new(crate::command::words("X"), judge),
            ours.as_bytes(),
            theirs.as_bytes(),
        )
        .is_ok()
    }

    #[test]
    fn exact_is_exact() {
        assert!(judged(Judge::Exact, "+OK\r\n", "+OK\r\n"));
        assert!(!judged(Judge::Exact, "$2\r\nOK\r\n", "+OK\r\n"));
        assert!(!judged(Judge::Exact, "_\r\n", "$-1\r\n"));
    }

    #[test]
    fn errors_are_never_excused() {
        for judge in [Judge::Kind, Judge::Positive, Judge::Unordered, Judge::Hello] {
            assert!(!judged(judge, "-ERR a\r\n", "-ERR b\r\n"));
            assert!(!judged(judge, "-ERR a\r\n", ":1\r\n"));
        }
    }

    #[test]
    fn order_may_differ_and_nothing_else() {
        assert!(judged(
            Judge::Unordered,
            "*2\r\n+a\r\n+b\r\n",
            "*2\r\n+b\r\n+a\r\n"
        ));
        assert!(!judged(
            Judge::Unordered,
            "*2\r\n+a\r\n+a\r\n",
            "*2\r\n+b\r\n+a\r\n"
        ));
    }

    #[test]
    fn streams_are_compared_without_times() {
        let pending = |ms: u32, count: u32| {
            format!("*1\r\n*4\r\n$3\r\n1-0\r\n$1\r\nc\r\n:{ms}\r\n:{count}\r\n")
        };
        assert!(judged(Judge::Stream, &pending(5, 1), &pending(6, 1)));
        assert!(!judged(Judge::Stream, &pending(5, 1), &pending(5, 2)));
        let info = "%2\r\n$4\r\nname\r\n$1\r\nc\r\n$8\r\ninactive\r\n:-1\r\n";
        assert!(judged(
            Judge::Stream,
            info,
            "%1\r\n$4\r\nname\r\n$1\r\nc\r\n"
        ));
        assert!(!judged(
            Judge::Stream,
            info,
            "%1\r\n$4\r\nname\r\n$1\r\nd\r\n"
        ));
    }

    #[test]
    fn times_are_near_or_exact() {
        let remaining = Judge::Remaining(Unit::Seconds);
        assert!(judged(remaining, ":5000\r\n", ":5001\r\n"));
        assert!(!judged(remaining, ":5000\r\n", ":5100\r\n"));
        assert!(!judged(remaining, ":-1\r\n", ":-2\r\n"));
        assert!(!judged(remaining, ":-1\r\n", ":0\r\n"));
        let moment = Judge::Moment(Unit::Seconds);
        assert!(judged(moment, ":1800000000\r\n", ":1800000001\r\n"));
        assert!(!judged(moment, ":4000000000\r\n", ":4000000001\r\n"));
    }
}
