//! What a server has after a restart, compared with a server that has run on: the effects that the log has must do the same as the commands did.

use super::judge;
use super::step::{Judge, Step, Unit};
use crate::client::Client;
use crate::command::show_bytes;
use crate::reply::Reply;
use crate::server::Server;

/// Databases of a server.
const DATABASES: usize = 16;

/// Compares all keys of both. The error says which key differs, and how.
///
/// # Errors
/// The first difference: the key, and what was asked of it.
pub fn compare(restarted: &Server, other: &Server) -> Result<(), (Vec<u8>, String)> {
    let (mut ours, mut theirs) = (restarted.client(), other.client());
    for database in 0..DATABASES {
        let number = database.to_string();
        for client in [&mut ours, &mut theirs] {
            client.call(&["SELECT", &number]).expect_ok();
        }
        let (a, b) = (keys(&mut ours), keys(&mut theirs));
        let lone = a.iter().find(|key| !b.contains(key));
        if let Some(key) = lone.or_else(|| b.iter().find(|key| !a.contains(key))) {
            let text = format!(
                "database {database}: only one of them has {}",
                show_bytes(key)
            );
            return Err((key.clone(), text));
        }
        for key in &a {
            for step in about(key) {
                let said = [ask(&mut ours, &step), ask(&mut theirs, &step)];
                judge::compare(&step, &said[0], &said[1]).map_err(|why| {
                    let [a, b] = said.map(|bytes| show_bytes(&bytes));
                    let text = format!("database {database}: {}: {why}\n  {a}\n  {b}", step.show());
                    (key.clone(), text)
                })?;
            }
        }
    }
    let list = Step::new(vec![b"FUNCTION".to_vec(), b"LIST".to_vec()], Judge::Kind);
    let said = [ask(&mut ours, &list), ask(&mut theirs, &list)];
    match said[0].len() == said[1].len() {
        true => Ok(()),
        false => Err((
            Vec::new(),
            format!("FUNCTION LIST: {:?}", said.map(|it| show_bytes(&it))),
        )),
    }
}

fn keys(client: &mut Client) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = match client.call(&["KEYS", "*"]) {
        Reply::Array(keys) => keys.iter().map(|key| key.bytes().to_vec()).collect(),
        other => panic!("KEYS gave {other}"),
    };
    keys.sort();
    keys
}

fn ask(client: &mut Client, step: &Step) -> Vec<u8> {
    let (mut bytes, mut answer) = (Vec::new(), Vec::new());
    step.encode(&mut bytes);
    let asked = client.exchange(&bytes, |frame| {
        answer = frame;
        true
    });
    asked.unwrap_or_else(|error| panic!("a comparison broke: {error}"));
    answer
}

/// All that can be asked about a key, whatever its type: errors are compared, too.
fn about(key: &[u8]) -> Vec<Step> {
    let step = |words: [&str; 4], judge| {
        let words = words.into_iter().filter(|word| !word.is_empty());
        let words = words.map(|word| match word {
            "?" => key.to_vec(),
            word => word.as_bytes().to_vec(),
        });
        Step::new(words.collect(), judge)
    };
    let mut steps = vec![
        step(["TYPE", "?", "", ""], Judge::Exact),
        // A HyperLogLog notes its count when it is asked for it; that is no change that a log would have.
        step(["PFCOUNT", "?", "", ""], Judge::Exact),
        step(["GET", "?", "", ""], Judge::Exact),
        step(["HGETALL", "?", "", ""], Judge::Unordered),
        step(["SMEMBERS", "?", "", ""], Judge::Unordered),
        step(["LRANGE", "?", "0", "-1"], Judge::Exact),
        step(["XRANGE", "?", "-", "+"], Judge::Exact),
        step(["XINFO", "GROUPS", "?", ""], Judge::Stream),
        step(["XINFO", "STREAM", "?", ""], Judge::Kind),
        step(
            ["PEXPIRETIME", "?", "", ""],
            Judge::Moment(Unit::Milliseconds),
        ),
    ];
    let range: [&[u8]; 5] = [b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"];
    steps.push(Step::exact(range.map(<[u8]>::to_vec).to_vec()));
    steps
}
