//! Draws of the commands on the connection itself.

use super::draw::Draw;
use super::step::{Command, Judge, Step};
use crate::command::words;

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "AUTH", "CLIENT", "ECHO", "HELLO", "PING", "QUIT", "RESET", "SELECT",
];

/// One command of this family; `protocol` is the one the run is about.
pub fn draw(draw: &mut Draw, protocol: u8) -> Vec<Step> {
    let name = draw.rng.pick(COMMANDS);
    let mut command = vec![draw.cased(name)];
    let mut judge = Judge::Exact;
    match name {
        "SELECT" => command.push(draw.database()),
        "ECHO" => command.push(draw.value()),
        "PING" => {
            if draw.rng.one_in(2) {
                command.push(draw.value());
            }
        }
        "AUTH" => {
            let text = draw
                .rng
                .pick(&["secret", "default secret", "nobody secret", "a b c"]);
            command.extend(words(text));
        }
        "HELLO" => {
            judge = Judge::Hello;
            command.extend(words(draw.rng.pick(HELLOS)));
        }
        "CLIENT" => return client(draw, command),
        "QUIT" if !draw.rng.one_in(8) => {
            return vec![Step::new(words("RANDOMKEY"), Judge::Member)];
        }
        "QUIT" => {}
        "RESET" => {
            // It goes back to RESP2 and database 0; the run goes on in its own protocol.
            let hello = words(&format!("HELLO {protocol}"));
            return vec![Step::exact(command), Step::new(hello, Judge::Hello)];
        }
        other => unreachable!("{other} has no draw"),
    }
    vec![Step::new(command, judge)]
}

const HELLOS: &[&str] = &[
    "",
    "2",
    "3",
    "3",
    "1",
    "4",
    "abc",
    "-1",
    "3 SETNAME me",
    "2 SETNAME",
    "3 AUTH default",
    "3 AUTH nobody secret",
    "3 AUTH default x SETNAME y",
    "3 NONSENSE",
    "99999999999999999999",
    "3 SETNAME \u{1}bad",
    "2 SETNAME you",
];

fn client(draw: &mut Draw, mut command: Command) -> Vec<Step> {
    let mut judge = Judge::Exact;
    let text = match draw.rng.below(17) {
        0 => {
            judge = Judge::Kind;
            "ID"
        }
        1 | 2 => {
            judge = Judge::ClientInfo;
            "INFO"
        }
        3 => {
            judge = Judge::Kind;
            "LIST"
        }
        4 => draw.rng.pick(LISTS),
        5 | 6 => draw.rng.pick(KILLS),
        7 => "GETNAME",
        8 => draw.rng.pick(&[
            "SETNAME one",
            "SETNAME two",
            "SETNAME with\nnewline",
            "SETNAME a\u{7f}",
            "SETNAME",
        ]),
        9 => {
            // An empty name is no word of a text.
            command.extend([draw.cased("SETNAME"), Vec::new()]);
            return vec![Step::exact(command)];
        }
        10 => draw
            .rng
            .pick(&["NO-EVICT ON", "NO-EVICT off", "NO-EVICT maybe", "NO-EVICT"]),
        11 => draw.rng.pick(&["REPLY ON", "REPLY maybe", "REPLY"]),
        12 => return vec![silence(draw)],
        13 | 14 => draw.rng.pick(OF_OTHERS),
        15 => {
            judge = Judge::Unordered;
            draw.rng.pick(&["TRACKINGINFO", "TRACKINGINFO x"])
        }
        _ => draw.rng.pick(&[
            "NONSENSE",
            "ID extra",
            "GETNAME extra",
            "INFO extra",
            "nonsense a b c",
        ]),
    };
    let mut parts = text.split(' ');
    if let Some(name) = parts.next() {
        command.push(draw.cased(name));
    }
    command.extend(parts.map(|part| part.as_bytes().to_vec()));
    vec![Step::new(command, judge)]
}

/// What concerns others, or tracking that is off: nothing is to change.
const OF_OTHERS: &[&str] = &[
    "UNBLOCK 99999999",
    "UNBLOCK 99999999 TIMEOUT",
    "UNBLOCK 99999999 ERROR",
    "UNBLOCK 99999999 NEVER",
    "UNBLOCK x",
    "UNBLOCK",
    "GETREDIR",
    "CACHING YES",
    "CACHING NO",
    "CACHING maybe",
    "TRACKING OFF",
    "TRACKING maybe",
    "TRACKING ON REDIRECT 99999999",
    "TRACKING ON REDIRECT x",
    "TRACKING ON OPTIN OPTOUT",
    "TRACKING ON PREFIX a",
    "TRACKING ON BCAST OPTIN",
    "TRACKING ON BCAST PREFIX a PREFIX ab",
    "TRACKING ON NONSENSE",
    "PAUSE",
    "PAUSE abc",
    "PAUSE -1",
    "PAUSE 10 NEVER",
    "UNPAUSE",
    "UNPAUSE x",
];

const LISTS: &[&str] = &[
    "LIST TYPE",
    "LIST TYPE nonsense",
    "LIST TYPE pubsub",
    "LIST TYPE replica",
    "LIST TYPE master",
    "LIST ID",
    "LIST ID abc",
    "LIST ID 0",
    "LIST ID 99999999",
    "LIST NONSENSE",
    "LIST ID 1x",
];

const KILLS: &[&str] = &[
    "KILL",
    "KILL 1.2.3.4:5",
    "KILL ID 99999999",
    "KILL ID abc",
    "KILL ID 0",
    "KILL ID -1",
    "KILL TYPE nonsense",
    "KILL TYPE pubsub",
    "KILL ADDR 1.2.3.4:5",
    "KILL LADDR 1.2.3.4:5",
    "KILL USER nobody",
    "KILL USER default ADDR 1.2.3.4:5",
    "KILL SKIPME maybe",
    "KILL ID 99999999 SKIPME no",
    "KILL ADDR",
    "KILL NONSENSE x",
    "KILL ADDR 1.2.3.4:5 TYPE normal",
];

/// Commands that get no reply, and the one that ends the silence.
fn silence(draw: &mut Draw) -> Step {
    let write = vec![b"SET".to_vec(), draw.key(), draw.value()];
    let skip = draw.rng.one_in(2);
    let mode = if skip { "SKIP" } else { "OFF" };
    let mut step = Step::text(if skip { "PING" } else { "CLIENT REPLY ON" });
    step.silent.push(vec![
        b"CLIENT".to_vec(),
        b"REPLY".to_vec(),
        draw.cased(mode),
    ]);
    step.silent.push(write);
    if !skip {
        step.silent.push(words("NONSENSE command"));
        step.silent.push(words("CLIENT REPLY SKIP"));
        step.silent.push(vec![b"GET".to_vec(), draw.key()]);
    }
    step
}
