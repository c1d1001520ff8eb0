//! A model of the string and expiry commands: a map and a clock, against which random commands are checked.

use std::collections::HashMap;

use tessera_core::number::parse_i64;

use crate::commands::rig::{Rig, START_MS};
use crate::shard::Rng;

/// The keys of one database: value and expiry time.
#[derive(Default)]
struct Model {
    keys: HashMap<String, (String, Option<u64>)>,
    now_ms: u64,
}

fn quoted(value: Option<&str>) -> String {
    value.map_or("(nil)".into(), |value| format!("\"{value}\""))
}

impl Model {
    fn get(&mut self, key: &str) -> Option<&mut (String, Option<u64>)> {
        let now_ms = self.now_ms;
        self.keys
            .retain(|_, (_, at)| at.is_none_or(|at| at >= now_ms));
        self.keys.get_mut(key)
    }

    fn value(&mut self, key: &str) -> Option<String> {
        self.get(key).map(|(value, _)| value.clone())
    }

    fn put(&mut self, key: &str, value: &str, at: Option<u64>) {
        self.keys.insert(key.into(), (value.into(), at));
    }

    fn expire(&mut self, key: &str, ms: i64) -> String {
        let at = self.now_ms as i64 + ms;
        match self.get(key) {
            None => return "0".into(),
            Some(_) if ms <= 0 => _ = self.keys.remove(key),
            Some((_, expire)) => *expire = Some(at as u64),
        }
        "1".into()
    }

    fn add(&mut self, key: &str, by: i64) -> String {
        let old = self.value(key).unwrap_or("0".into());
        let Some(old) = parse_i64(old.as_bytes()) else {
            return "ERR value is not an integer or out of range".into();
        };
        let Some(sum) = old.checked_add(by) else {
            return "ERR increment or decrement would overflow".into();
        };
        let at = self.get(key).and_then(|(_, at)| *at);
        self.put(key, &sum.to_string(), at);
        sum.to_string()
    }

    fn append(&mut self, key: &str, tail: &str) -> String {
        let at = self.get(key).and_then(|(_, at)| *at);
        let value = self.value(key).unwrap_or_default() + tail;
        self.put(key, &value, at);
        value.len().to_string()
    }

    fn setrange(&mut self, key: &str, offset: usize, patch: &str) -> String {
        let at = self.get(key).and_then(|(_, at)| *at);
        let mut value = self.value(key).unwrap_or_default();
        if !patch.is_empty() {
            let end = offset + patch.len();
            while value.len() < end {
                value.push('.');
            }
            value.replace_range(offset..end, patch);
            self.put(key, &value, at);
        }
        value.len().to_string()
    }

    fn rename(&mut self, from: &str, to: &str) -> String {
        if self.get(from).is_none() {
            return "ERR no such key".into();
        }
        if let Some(value) = self.keys.remove(from) {
            self.keys.insert(to.into(), value);
        }
        "OK".into()
    }

    fn copy(&mut self, from: &str, to: &str) -> String {
        let Some(value) = self.get(from).cloned() else {
            return "0".into();
        };
        if self.get(to).is_some() {
            return "0".into();
        }
        self.keys.insert(to.into(), value);
        "1".into()
    }

    /// A random command line and the reply it should have.
    fn step(&mut self, rng: &mut Rng) -> (String, String) {
        let key = &format!("k{}", rng.below(12));
        match rng.below(3) {
            0 => self.step_set(rng, key),
            1 => self.step_string(rng, key),
            _ => self.step_key(rng, key),
        }
    }

    /// A random value.
    fn any_value(rng: &mut Rng) -> String {
        match rng.below(5) {
            0 => String::new(),
            1 => "7".into(),
            2 => i64::MAX.to_string(),
            3 => "text".into(),
            _ => "x".repeat(rng.below(600) as usize),
        }
    }

    fn step_set(&mut self, rng: &mut Rng, key: &str) -> (String, String) {
        let value = &Self::any_value(rng);
        let old = self.value(key);
        match rng.below(4) {
            0 => {
                self.put(key, value, None);
                (format!("SET {key} \"{value}\""), "OK".into())
            }
            1 => {
                let at = self.get(key).and_then(|(_, at)| *at);
                self.put(key, value, at);
                let line = format!("SET {key} \"{value}\" KEEPTTL GET");
                (line, quoted(old.as_deref()))
            }
            2 => {
                let ms = rng.below(4_000) + 1;
                self.put(key, value, Some(self.now_ms + ms));
                (format!("SET {key} \"{value}\" PX {ms}"), "OK".into())
            }
            _ => {
                let absent = old.is_none();
                if absent {
                    self.put(key, value, None);
                }
                let line = format!("SETNX {key} \"{value}\"");
                (line, i32::from(absent).to_string())
            }
        }
    }

    fn step_string(&mut self, rng: &mut Rng, key: &str) -> (String, String) {
        let old = self.value(key);
        let length = old.as_ref().map_or(0, String::len);
        let value = &Self::any_value(rng);
        match rng.below(6) {
            0 => (format!("GET {key}"), quoted(old.as_deref())),
            1 => (format!("STRLEN {key}"), length.to_string()),
            2 => (format!("APPEND {key} \"{value}\""), self.append(key, value)),
            3 => {
                let by = rng.below(4_000) as i64 - 2_000;
                (format!("INCRBY {key} {by}"), self.add(key, by))
            }
            4 => {
                self.keys.remove(key);
                (format!("GETDEL {key}"), quoted(old.as_deref()))
            }
            _ => {
                let offset = rng.below(length as u64 + 1) as usize;
                let line = format!("SETRANGE {key} {offset} \"{value}\"");
                (line, self.setrange(key, offset, value))
            }
        }
    }

    fn step_key(&mut self, rng: &mut Rng, key: &str) -> (String, String) {
        let other = &format!("k{}", rng.below(12));
        let exists = i32::from(self.get(key).is_some());
        let at = self.get(key).and_then(|(_, at)| *at);
        match rng.below(7) {
            0 => {
                let ms = rng.below(4_000) as i64 - 200;
                (format!("PEXPIRE {key} {ms}"), self.expire(key, ms))
            }
            1 => {
                if let Some((_, at)) = self.get(key) {
                    *at = None;
                }
                (
                    format!("PERSIST {key}"),
                    i32::from(at.is_some()).to_string(),
                )
            }
            2 => {
                let left = at.map_or(exists - 2, |at| (at - self.now_ms) as i32);
                (format!("PTTL {key}"), left.to_string())
            }
            3 => {
                let both = exists + i32::from(self.get(other).is_some() && key != other);
                self.keys.remove(key);
                self.keys.remove(other);
                (format!("DEL {key} {other}"), both.to_string())
            }
            4 if key != other => (format!("RENAME {key} {other}"), self.rename(key, other)),
            5 if key != other => (format!("COPY {key} {other}"), self.copy(key, other)),
            _ => (format!("EXISTS {key}"), exists.to_string()),
        }
    }
}

#[test]
fn random_commands_do_what_the_model_does() {
    for seed in 0..4 {
        let mut rng = Rng::new(seed);
        let mut rig = Rig::new();
        let mut model = Model {
            now_ms: START_MS,
            ..Model::default()
        };
        for step in 0..10_000 {
            let (line, expected) = model.step(&mut rng);
            assert_eq!(rig.run(&line), expected, "seed {seed}, step {step}: {line}");
            if rng.below(8) == 0 {
                let ms = rng.below(300);
                model.now_ms += ms;
                rig.wait(ms);
            }
            if rng.below(64) == 0 {
                rig.shard.expire_slice();
            }
        }
        model.get("");
        rig.wait(0);
        let live = rig.run("EXISTS k0 k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11");
        assert_eq!(live, model.keys.len().to_string());
    }
}
