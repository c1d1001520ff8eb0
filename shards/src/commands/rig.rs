//! A test rig: runs command lines against a shard and shows the replies as text.

use std::sync::Arc;

use tessera_core::resp::{Chain, Proto, Reply, split_args};

use crate::command::{Command, Cx, Registry};
use crate::commands::FAMILIES;
use crate::script::Commands;
use crate::shard::Shard;

/// Where the rig's clock starts: some day in 2023.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// One shard and a connection to it.
pub(crate) struct Rig {
    pub(crate) shard: Shard,
    pub(crate) db: usize,
    pub(crate) proto: Proto,
    registry: Registry<()>,
    /// Slices that the last command took as a task.
    pub(crate) slices: usize,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let mut shard = Shard::new(0, 16, 7, 11);
        shard.now_ms = START_MS;
        let registry = Registry::new(FAMILIES, &[]);
        shard.scripts.commands = Arc::new(Commands::of(&registry));
        Rig {
            shard,
            db: 0,
            proto: Proto::Resp2,
            registry,
            slices: 0,
        }
    }

    /// Runs a command to its end, and returns the reply's bytes.
    pub(crate) fn bytes(&mut self, args: &[&[u8]]) -> Vec<u8> {
        self.bytes_during(args, |_| {})
    }

    /// The same, with something that happens to the shard before each slice of a task.
    pub(crate) fn bytes_during(
        &mut self,
        args: &[&[u8]],
        mut meanwhile: impl FnMut(&mut Shard),
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let Command { spec, run, .. } = self.registry.find(args[0]).expect("a known command");
        let crate::command::Run::Keyspace { op, .. } = run else {
            panic!("not a keyspace command")
        };
        if !spec.accepts(args.len()) {
            Reply::new(&mut out, self.proto).error(format!(
                "ERR wrong number of arguments for '{}' command",
                spec.name
            ));
            return out;
        }
        let mut cx = Cx {
            shard: &mut self.shard,
            db: self.db,
            reply: Reply::new(&mut out, self.proto),
            reach: &|_| true,
            held: &[],
            is_alone: true,
            further: crate::command::Further::default(),
            task: None,
            may_block: false,
            waits_for: None,
            waits_as: None,
        };
        op(&mut cx, args);
        self.slices = 0;
        if let Some(mut task) = cx.task.take() {
            assert!(out.is_empty(), "a task's command writes nothing itself");
            let mut chain = Chain::default();
            loop {
                meanwhile(&mut self.shard);
                self.slices += 1;
                if task.step(&mut self.shard, &mut chain) {
                    break;
                }
            }
            chain.mend();
            return chain.into_bytes();
        }
        out
    }

    /// Runs a command line and shows the reply: bulks in quotes, `(nil)`, arrays in brackets, sets in parentheses, errors without their dash.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let (mut bytes, mut words) = (Vec::new(), Vec::new());
        split_args(line.as_bytes(), &mut bytes, &mut words).expect("balanced quotes");
        let args: Vec<&[u8]> = words
            .iter()
            .map(|&(start, end)| &bytes[start..end])
            .collect();
        show(&self.bytes(&args))
    }

    /// Runs command lines, each with the reply expected.
    #[track_caller]
    pub(crate) fn check(&mut self, lines: &[(&str, &str)]) {
        for (line, expected) in lines {
            assert_eq!(self.run(line), *expected, "{line}");
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.shard.now_ms += ms;
    }
}

/// A reply as text.
pub(crate) fn show(mut bytes: &[u8]) -> String {
    let shown = show_one(&mut bytes);
    assert!(
        bytes.is_empty(),
        "more than one reply: {}",
        bytes.escape_ascii()
    );
    shown
}

fn show_one(rest: &mut &[u8]) -> String {
    let end = rest
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .expect("a whole line");
    let line = String::from_utf8_lossy(&rest[1..end]).into_owned();
    let kind = rest[0];
    *rest = &rest[end + 2..];
    let length = line.parse::<i64>().unwrap_or(0);
    match kind {
        b'+' | b'-' | b':' | b',' | b'#' => line,
        b'$' | b'*' if length < 0 => "(nil)".into(),
        b'_' => "(null)".into(),
        b'$' => {
            let (bulk, tail) = rest.split_at(length as usize);
            *rest = &tail[2..];
            format!("\"{}\"", bulk.escape_ascii())
        }
        b'~' => {
            let elements: Vec<String> = (0..length).map(|_| show_one(rest)).collect();
            format!("({})", elements.join(" "))
        }
        b'*' => {
            let elements: Vec<String> = (0..length).map(|_| show_one(rest)).collect();
            format!("[{}]", elements.join(" "))
        }
        b'%' => {
            let elements: Vec<String> = (0..length * 2).map(|_| show_one(rest)).collect();
            format!("{{{}}}", elements.join(" "))
        }
        kind => panic!("a reply of type {}", kind as char),
    }
}
