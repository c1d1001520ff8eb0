//! The directives whose value is several words, each with rules of its own.

use std::fmt;

use tessera_core::number::{parse_bytes, parse_i64};
use tessera_shards::shard::event::class;

use crate::config::Value;

/// Classes of clients with limits of their own, as CONFIG GET names them.
pub const CLIENT_CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// Most addresses of `bind`.
const BIND_MAX: usize = 16;

/// `client-output-buffer-limit` of one class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutputLimit {
    /// A client with more than this is disconnected at once; 0 for no limit.
    pub hard_bytes: u64,
    /// A client with more than this for `soft_s` seconds is disconnected; 0 for no limit.
    pub soft_bytes: u64,
    /// See `soft_bytes`.
    pub soft_s: u64,
}

impl fmt::Display for OutputLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.hard_bytes, self.soft_bytes, self.soft_s)
    }
}

fn is_empty(words: &[&[u8]]) -> bool {
    words.is_empty() || words == [b""]
}

fn owned(words: &[&[u8]]) -> Value {
    Value::Words(words.iter().map(|word| word.to_vec()).collect())
}

/// What a title may name, and whether that always says something.
const TITLE_NAMES: [(&[u8], bool); 7] = [
    (b"title", false),
    (b"listen-addr", true),
    (b"server-mode", false),
    (b"port", true),
    (b"tls-port", true),
    (b"unixsocket", false),
    (b"config-file", true),
];

/// `proc-title-template`: whether it names only what there is, and would never be empty. `{{` is a brace.
pub(super) fn is_title(template: &[u8]) -> bool {
    let mut rest = template;
    let mut says_something = false;
    while let Some(at) = rest.iter().position(|byte| *byte == b'{') {
        says_something |= rest[..at].iter().any(|byte| *byte != b' ');
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(b"{") {
            (says_something, rest) = (true, after);
            continue;
        }
        let Some(end) = rest.iter().position(|byte| *byte == b'}') else {
            return false;
        };
        let mut names = TITLE_NAMES.iter();
        let Some((_, is_said)) = names.find(|(name, _)| *name == &rest[..end]) else {
            return false;
        };
        says_something |= is_said;
        rest = &rest[end + 1..];
    }
    says_something || rest.iter().any(|byte| *byte != b' ')
}

/// `bind`: addresses, each with an optional `-` in front (no error if the machine does not have it), `*` and `-::*`.
pub(super) fn bind(_: &Value, words: &[&[u8]]) -> Result<Value, String> {
    if words.len() > BIND_MAX {
        return Err("Too many bind addresses specified.".to_owned());
    }
    Ok(if is_empty(words) {
        Value::Words(Vec::new())
    } else {
        owned(words)
    })
}

/// `save`: pairs of seconds and changes. Several lines add up; an empty one removes those before it.
pub(super) fn save(before: &Value, words: &[&[u8]]) -> Result<Value, String> {
    if is_empty(words) {
        return Ok(Value::Words(Vec::new()));
    }
    let number = |word: &[u8], min: i64| parse_i64(word).is_some_and(|number| number >= min);
    if !words.len().is_multiple_of(2)
        || words
            .chunks_exact(2)
            .any(|pair| !number(pair[0], 1) || !number(pair[1], 0))
    {
        return Err("Invalid save parameters".to_owned());
    }
    let mut all = if let Value::Words(before) = before {
        before.clone()
    } else {
        Vec::new()
    };
    all.extend(words.iter().map(|word| word.to_vec()));
    Ok(Value::Words(all))
}

/// `client-output-buffer-limit`: class, hard limit, soft limit, seconds; once per class, the others stay.
pub(super) fn output_limits(before: &Value, words: &[&[u8]]) -> Result<Value, String> {
    if words.is_empty() || !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    let mut limits = if let Value::Limits(before) = before {
        *before
    } else {
        Default::default()
    };
    for part in words.chunks_exact(4) {
        let class = if part[0].eq_ignore_ascii_case(b"replica") {
            b"slave"
        } else {
            part[0]
        };
        let class = CLIENT_CLASSES
            .iter()
            .position(|name| name.as_bytes().eq_ignore_ascii_case(class))
            .ok_or("Invalid client class specified in buffer limit configuration.")?;
        let seconds = parse_i64(part[3]).and_then(|seconds| u64::try_from(seconds).ok());
        let (Some(hard_bytes), Some(soft_bytes), Some(soft_s)) =
            (parse_bytes(part[1]), parse_bytes(part[2]), seconds)
        else {
            return Err(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                    .to_owned(),
            );
        };
        limits[class] = OutputLimit {
            hard_bytes,
            soft_bytes,
            soft_s,
        };
    }
    Ok(Value::Limits(limits))
}

/// `notify-keyspace-events`: the bits of the letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Events(pub u32);

impl Events {
    /// The letters, in Redis's order.
    pub(super) fn letters(self) -> Vec<u8> {
        let mut bits = self.0;
        let mut shown = Vec::new();
        if bits & class::ALL == class::ALL {
            // Redis does not show then that new keys are told of too.
            shown.push(b'A');
            bits &= !(class::ALL | class::NEW);
        }
        let letters = class::LETTERS.iter().enumerate();
        let set = letters.filter(|(bit, _)| bits >> bit & 1 != 0);
        shown.extend(set.map(|(_, letter)| *letter));
        shown
    }

    /// The classes that a shard has to tell of: none if they are told on no channel.
    #[must_use]
    pub fn told(self) -> u32 {
        const CHANNELS: u32 = class::KEYSPACE | class::KEYEVENT;
        if self.0 & CHANNELS == 0 {
            0
        } else {
            self.0 & !CHANNELS
        }
    }
}

/// `notify-keyspace-events`: letters in any order.
pub(super) fn notify_events(_: &Value, words: &[&[u8]]) -> Result<Value, String> {
    let letters = words.join(&b' ');
    let mut bits = 0;
    for letter in &letters {
        bits |= match class::LETTERS.iter().position(|class| class == letter) {
            Some(bit) => 1 << bit,
            None if *letter == b'A' => class::ALL,
            None => return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned()),
        };
    }
    Ok(Value::Events(Events(bits)))
}

/// `oom-score-adj-values`: three numbers.
pub(super) fn oom_values(_: &Value, words: &[&[u8]]) -> Result<Value, String> {
    if words.len() != 3 {
        return Err("wrong number of arguments".to_owned());
    }
    if words
        .iter()
        .any(|word| !parse_i64(word).is_some_and(|number| (-2000..=2000).contains(&number)))
    {
        return Err(
            "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".to_owned(),
        );
    }
    Ok(owned(words))
}

/// `latency-tracking-info-percentiles`: numbers from 0 to 100.
pub(super) fn percentiles(_: &Value, words: &[&[u8]]) -> Result<Value, String> {
    if is_empty(words) {
        return Ok(Value::Words(Vec::new()));
    }
    for word in words {
        let percent: Option<f64> = std::str::from_utf8(word)
            .ok()
            .and_then(|text| text.parse().ok());
        match percent {
            None => return Err("Invalid latency-tracking-info-percentiles parameters".to_owned()),
            Some(percent) if !(0.0..=100.0).contains(&percent) => {
                return Err(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                        .to_owned(),
                );
            }
            Some(_) => {}
        }
    }
    Ok(owned(words))
}

/// `replicaof`: host and port, or `no one`.
pub(super) fn replica_of(_: &Value, words: &[&[u8]]) -> Result<Value, String> {
    match words {
        [] | [b""] => Ok(Value::Words(Vec::new())),
        [no, one] if no.eq_ignore_ascii_case(b"no") && one.eq_ignore_ascii_case(b"one") => {
            Ok(Value::Words(Vec::new()))
        }
        [_, _] => Ok(owned(words)),
        _ => Err("wrong number of arguments".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles() {
        // As redis-server 7.0 takes and refuses them.
        for good in [
            "{listen-addr}",
            "{port}",
            "{tls-port}",
            "{config-file}",
            "x",
            "{{",
            "}",
            "{title} {listen-addr} {server-mode}",
        ] {
            assert!(is_title(good.as_bytes()), "{good}");
        }
        for bad in [
            "{title}",
            "{server-mode}",
            "{unixsocket}",
            "",
            "  ",
            "{",
            "{x}",
            "a {title",
            "{title} {server-mode}",
        ] {
            assert!(!is_title(bad.as_bytes()), "{bad}");
        }
    }
}
