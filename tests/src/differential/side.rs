//! One of the two servers as the stream sees it: a connection in a known state, and the three sorts
//! of steps that take more than one reply.

use std::collections::BTreeSet;
use std::io;

use super::step::{Judge, Step};
use crate::client::Client;
use crate::command;
use crate::deadline::wait_for;
use crate::reply::Reply;
use crate::server::Server;

/// More calls than any SCAN here needs.
const SCAN_CALLS: usize = 100_000;
/// A remaining time above this, in milliseconds, is not the one that [`Judge::Vanish`] waits for.
const BRIEF_MS: i64 = 900_000;

/// A server and the connection to it.
#[derive(Debug)]
pub struct Side<'a> {
    server: &'a Server,
    client: Client,
    protocol: u8,
    batches: u64,
}

impl<'a> Side<'a> {
    /// A connection to `server` that speaks `protocol`.
    #[must_use]
    pub fn new(server: &'a Server, protocol: u8) -> Self {
        Self {
            server,
            client: open(server, protocol),
            protocol,
            batches: 0,
        }
    }

    /// The server behind it.
    #[must_use]
    pub fn server(&self) -> &'a Server {
        self.server
    }

    /// A new connection, and no keys.
    pub fn start_over(&mut self) {
        self.client = open(self.server, self.protocol);
        self.client.call(&["FLUSHALL"]).expect_ok();
        self.client.call(&["FUNCTION", "FLUSH"]).expect_ok();
    }

    /// Sends the steps as one pipeline; the replies up to a marker sent after them, or up to the end
    /// of the connection.
    pub fn batch(&mut self, steps: &[Step]) -> io::Result<Vec<Vec<u8>>> {
        self.batches += 1;
        let marker = format!("marker-{}", self.batches);
        let mut bytes = Vec::new();
        for step in steps {
            step.encode(&mut bytes);
        }
        command::encode(&["ECHO", &marker], &mut bytes);
        let end = format!("${}\r\n{marker}\r\n", marker.len());
        let mut frames = Vec::with_capacity(steps.len());
        let mut marked = false;
        self.client.exchange(&bytes, |frame| {
            marked = frame == end.as_bytes();
            if !marked {
                frames.push(frame);
            }
            marked
        })?;
        if !marked {
            self.client = open(self.server, self.protocol);
        }
        Ok(frames)
    }

    /// Runs a step that asks more than once; what it found, to be compared as text.
    pub fn ask(&mut self, step: &Step) -> Result<String, String> {
        match step.judge {
            Judge::Walk => self.walk(step),
            Judge::Member => self.member(step),
            Judge::Vanish => Ok(self.vanish(step)),
            other => unreachable!("{other:?} is asked once"),
        }
    }

    fn walk(&mut self, step: &Step) -> Result<String, String> {
        let mut command = step.command.clone();
        let mut seen = BTreeSet::new();
        for _ in 0..SCAN_CALLS {
            let reply = self
                .client
                .try_call(&command)
                .map_err(|error| error.to_string())?;
            let (cursor, keys) = match &reply {
                Reply::Error(_) => return Ok(reply.to_string()),
                Reply::Array(parts) => match parts.as_slice() {
                    [Reply::Bulk(cursor), Reply::Array(keys)] => (cursor.clone(), keys),
                    _ => return Err(format!("SCAN gave {reply}")),
                },
                other => return Err(format!("SCAN gave {other}")),
            };
            seen.extend(keys.iter().map(Reply::to_string));
            if cursor == b"0" {
                return Ok(format!("{seen:?}"));
            }
            command[1] = cursor;
        }
        Err(format!("SCAN did not end after {SCAN_CALLS} calls"))
    }

    fn member(&mut self, step: &Step) -> Result<String, String> {
        match self.client.call(&step.command) {
            Reply::Null => Ok("nothing".to_owned()),
            Reply::Bulk(key) => {
                let exists = self.client.call(&[b"EXISTS".to_vec(), key.clone()]);
                if exists == Reply::Int(1) {
                    Ok("a key".to_owned())
                } else {
                    Err(format!("{} is no key", command::show_bytes(&key)))
                }
            }
            other => Err(format!("RANDOMKEY gave {other}")),
        }
    }

    /// Whether the key went away, or has no brief time to live.
    fn vanish(&mut self, step: &Step) -> String {
        let key = step.command.last().expect("it has a key").clone();
        let client = &mut self.client;
        wait_for("the key has expired", || {
            if client.call(&step.command) == Reply::Int(0) {
                return Some("gone".to_owned());
            }
            let left = client.call(&[b"PTTL".to_vec(), key.clone()]).int();
            (left == -1 || left > BRIEF_MS).then(|| "stays".to_owned())
        })
    }
}

fn open(server: &Server, protocol: u8) -> Client {
    if protocol == 3 {
        server.client3()
    } else {
        server.client()
    }
}
