//! `Stage`: one server and a cast of connections; plays acts and writes down what each of the cast hears.
//!
//! After each act it waits until whoever was to act has: the speaker has its reply, or the server says that it waits. Then everybody who neither waits nor is in MULTI
//! sends a PING, whose answer comes behind all that was meant for them. What patterns and channels say of one message comes in no certain order, so the
//! frames between two answers are sorted.

use std::collections::BTreeSet;
use std::time::Duration;

use super::author::{Act, CAST};
use crate::client::Client;
use crate::command::words;
use crate::deadline::{PATIENCE, wait_for};
use crate::server::Server;

/// Messages to and fro between all shards, until a command that moves between shards has come to rest.
const ROUNDS_TO_REST: usize = 6;
/// How long to listen for a reply before the server is asked whether the speaker waits.
const BRIEF: Duration = Duration::from_millis(3);

struct Actor {
    client: Client,
    id: String,
    /// It has said MULTI: a PING would be queued.
    is_in_multi: bool,
}

/// See the head of this file.
pub struct Stage<'a> {
    server: &'a Server,
    control: Client,
    cast: Vec<Actor>,
    markers: usize,
}

impl<'a> Stage<'a> {
    /// An empty server's stage.
    #[must_use]
    pub fn new(server: &'a Server) -> Self {
        let mut control = server.client();
        control.call(&["FLUSHALL"]).expect_ok();
        let cast = (0..CAST.len()).map(|who| enter(server, who)).collect();
        Self {
            server,
            control,
            cast,
            markers: 0,
        }
    }

    /// Plays an act. Returns what was heard, a line each.
    pub fn play(&mut self, act: &Act) -> Vec<String> {
        let waiting = self.waiting();
        match act {
            // Whoever waits cannot speak.
            Act::Say(who, _) if waiting.contains(who) => vec!["waits".to_owned()],
            Act::Say(who, line) => {
                self.cast[*who].client.send(&words(line));
                self.hear(Some((*who, line)))
            }
            Act::Unblock(who, how) => {
                let id = self.cast[*who].id.clone();
                let reply = self.control.call(&["CLIENT", "UNBLOCK", &id, how]);
                let said = reply.to_string();
                std::iter::once(said).chain(self.hear(None)).collect()
            }
            Act::Return(who) => {
                let actor = enter(self.server, *who);
                let old = std::mem::replace(&mut self.cast[*who], actor);
                drop(old.client);
                let is_gone = |client: &mut Client| {
                    let list = client.call(&["CLIENT", "LIST", "ID", &old.id]).text();
                    list.trim().is_empty().then_some(())
                };
                wait_for("the server knows that it has gone", || {
                    is_gone(&mut self.control)
                });
                self.hear(None)
            }
        }
    }

    /// Who waits.
    fn waiting(&mut self) -> BTreeSet<usize> {
        let list = self.control.call(&["CLIENT", "LIST"]).text();
        let field = |line: &str, name: &str| {
            let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
            fields
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.to_owned())
        };
        let waits = |line: &str| field(line, "flags").is_some_and(|flags| flags.contains('b'));
        let ids: Vec<String> = list
            .lines()
            .filter(|line| waits(line))
            .filter_map(|line| field(line, "id"))
            .collect();
        let all = 0..self.cast.len();
        all.filter(|who| ids.contains(&self.cast[*who].id))
            .collect()
    }

    /// Waits until the speaker has its reply or waits for it.
    fn hear_speaker(&mut self, who: usize, line: &str) -> Vec<String> {
        let mut told = Vec::new();
        self.cast[who].client.set_patience(BRIEF);
        loop {
            match self.cast[who].client.read_frame() {
                Ok(Some(frame)) => {
                    let text = frame.escape_ascii().to_string();
                    let is_reply = !is_message(&text);
                    if is_reply {
                        self.note_multi(who, line, &text);
                    }
                    told.push(text);
                    if is_reply {
                        return told;
                    }
                }
                Ok(None) => panic!("{}: the server closed after {line}", CAST[who]),
                Err(_) => {
                    if self.waiting().contains(&who) {
                        return told;
                    }
                }
            }
        }
    }

    fn note_multi(&mut self, who: usize, line: &str, reply: &str) {
        match line {
            "MULTI" if reply.starts_with("+OK") => self.cast[who].is_in_multi = true,
            "EXEC" | "DISCARD" | "RESET" => self.cast[who].is_in_multi = false,
            _ => {}
        }
    }

    /// Reads what everybody hears.
    fn hear(&mut self, speaker: Option<(usize, &str)>) -> Vec<String> {
        let mut told = vec![Vec::new(); self.cast.len()];
        if let Some((who, line)) = speaker {
            told[who] = self.hear_speaker(who, line);
        }
        (0..ROUNDS_TO_REST).for_each(|_| drop(self.control.say("DBSIZE")));
        let waiting = self.waiting();
        for (who, actor) in self.cast.iter_mut().enumerate() {
            if waiting.contains(&who) || actor.is_in_multi {
                continue;
            }
            self.markers += 1;
            let marker = format!("marker-{}", self.markers);
            actor.client.send(&["PING", &marker]);
            actor.client.set_patience(PATIENCE);
            loop {
                let frame = actor.client.read_frame().unwrap_or_else(|error| {
                    panic!(
                        "{:?}: {} hears nothing: {error}",
                        self.server.kind(),
                        CAST[who]
                    )
                });
                let frame = frame.expect("an open connection");
                let text = frame.escape_ascii().to_string();
                if text.contains(&marker) {
                    break;
                }
                told[who].push(text);
            }
        }
        let mut lines = Vec::new();
        for (who, mut frames) in told.into_iter().enumerate() {
            frames.sort();
            let state = if waiting.contains(&who) {
                " (waits)"
            } else {
                ""
            };
            if !frames.is_empty() || waiting.contains(&who) {
                lines.push(format!("{}{state}: {frames:?}", CAST[who]));
            }
        }
        lines
    }
}

/// Whether a frame is a message, which may come at any time.
fn is_message(frame: &str) -> bool {
    let is_list = frame.starts_with('*') || frame.starts_with('>');
    let words = [r"\r\nmessage\r\n", r"\r\npmessage\r\n", r"\r\nsmessage\r\n"];
    is_list && words.iter().any(|word| frame.contains(word))
}

fn enter(server: &Server, who: usize) -> Actor {
    let mut client = if who + 1 == CAST.len() {
        server.client3()
    } else {
        server.client()
    };
    let id = client.say("CLIENT ID").int().to_string();
    Actor {
        client,
        id,
        is_in_multi: false,
    }
}
