//! A run: the stream of one seed against both servers, until it ends or a reply differs.

use super::generator::Generator;
use super::judge;
use super::recovery;
use super::shrink;
use super::side::Side;
use super::step::{Command, Judge, Step, Unit};
use crate::client::Client;
use crate::command::show_bytes;
use crate::deadline::wait_until;
use crate::launch::Launch;
use crate::reply::Reply;
use crate::server::Server;

/// Steps between two comparisons of everything the servers hold.
const AUDIT_EVERY: usize = 5_000;
/// Databases of a server.
const DATABASES: usize = 16;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// The seed of the stream.
    pub seed: u64,
    /// 2 or 3.
    pub protocol: u8,
    /// Shards of the server under test.
    pub shards: usize,
    /// How many steps.
    pub commands: usize,
}

/// The first difference of a run.
#[derive(Debug, Clone)]
pub struct Mismatch {
    /// Which step of those played.
    pub index: usize,
    /// The step as text.
    pub step: String,
    /// What our server said.
    pub ours: String,
    /// What the oracle said.
    pub theirs: String,
    /// Why that is not good enough.
    pub why: String,
}

impl Run {
    /// Plays the stream; panics with a short list of commands that shows the first difference.
    pub fn check(&self) {
        let tessera = start(Launch::tessera().shards(self.shards));
        let oracle = start(Launch::oracle());
        println!("differential: {self:?}");
        let mut pair = Pair::new(&tessera, &oracle, self.protocol);
        if let Err(mismatch) = self.play(&mut pair) {
            let steps: Vec<Step> = Generator::new(self.seed, self.protocol)
                .take(mismatch.index + 1)
                .collect();
            let report = shrink::report(&mut pair, steps, &mismatch);
            panic!("{self:?}\nTESSERA_SEED replays the run: see docs/TESTING.md\n{report}");
        }
    }

    /// Plays the stream to a server with the log on, kills it, starts it on another number of shards, and compares all that it has then; panics with the
    /// commands about the first key that differs.
    pub fn check_recovery(&self, shards_then: usize, rewrites: bool) {
        let logged = |shards: usize| {
            let launch = Launch::tessera().shards(shards);
            with_directives(
                launch
                    .with("appendonly", "yes")
                    .with("appendfsync", "everysec"),
            )
        };
        let tessera = logged(self.shards).start();
        let oracle = start(Launch::oracle());
        println!("differential, restarted: {self:?}");
        if let Err(mismatch) = self.play(&mut Pair::new(&tessera, &oracle, self.protocol)) {
            panic!("{self:?}: before the restart: {mismatch:?}");
        }
        let mut client = tessera.client();
        if rewrites {
            client.say("BGREWRITEAOF");
            wait_until("the rewrite", || {
                let text = client.say("INFO persistence").text();
                text.contains("aof_rewrite_in_progress:0")
                    && text.contains("aof_rewrite_scheduled:0")
            });
        }
        assert_eq!(client.say("WAITAOF 1 0 0").elements()[0].int(), 1);
        let tessera = tessera.crash(logged(shards_then));
        let Err((key, why)) = recovery::compare(&tessera, &oracle) else {
            return;
        };
        let stream = Generator::new(self.seed, self.protocol).take(self.commands + AUDIT_EVERY);
        let is_about = |step: &Step| step.command.contains(&key);
        let steps = stream.filter(is_about).map(|step| step.show());
        let steps: Vec<String> = steps.collect();
        let last = steps[steps.len().saturating_sub(60)..].join("\n");
        panic!(
            "{self:?}: after the restart: {why}\n{last}\n{}",
            tessera.log()
        );
    }

    fn play(&self, pair: &mut Pair) -> Result<(), Mismatch> {
        // Pipelines are cut by a second stream of choices, so that the steps do not depend on them.
        let mut lengths = Generator::new(self.seed ^ 0xC07, self.protocol);
        let mut stream = Generator::new(self.seed, self.protocol);
        let (mut played, mut audited) = (0, 0);
        while played < self.commands {
            let length = lengths.pipeline_length();
            let steps: Vec<Step> = stream.by_ref().take(length).collect();
            pair.play(&steps, length)
                .map_err(|mismatch| mismatch.moved(played))?;
            played += steps.len();
            if played - audited >= AUDIT_EVERY {
                audited = played;
                pair.audit()
                    .map_err(|mismatch| mismatch.moved(played - 1))?;
            }
        }
        pair.audit().map_err(|mismatch| mismatch.moved(played - 1))
    }
}

fn start(launch: Launch) -> Server {
    with_directives(launch).start()
}

fn with_directives(launch: Launch) -> Launch {
    // Small blocks, so that streams have several.
    let launch = launch.with("stream-node-max-entries", "10");
    launch.with("enable-debug-command", "yes")
}

impl Mismatch {
    fn moved(mut self, by: usize) -> Self {
        self.index += by;
        self
    }
}

/// Both servers.
#[derive(Debug)]
pub struct Pair<'a> {
    ours: Side<'a>,
    theirs: Side<'a>,
}

impl<'a> Pair<'a> {
    /// Connections to both.
    #[must_use]
    pub fn new(tessera: &'a Server, oracle: &'a Server, protocol: u8) -> Self {
        Self {
            ours: Side::new(tessera, protocol),
            theirs: Side::new(oracle, protocol),
        }
    }

    /// New connections and no keys on both.
    pub fn start_over(&mut self) {
        self.ours.start_over();
        self.theirs.start_over();
    }

    /// Plays the steps in pipelines of at most `length`.
    pub fn play(&mut self, steps: &[Step], length: usize) -> Result<(), Mismatch> {
        let mut start = 0;
        while start < steps.len() {
            let rest = &steps[start..];
            let count = pipeline(rest, length);
            let played = if rest[0].is_single() {
                self.batch(&rest[..count])
            } else {
                self.ask(&rest[0])
            };
            played.map_err(|mismatch| mismatch.moved(start))?;
            start += count;
        }
        Ok(())
    }

    fn batch(&mut self, steps: &[Step]) -> Result<(), Mismatch> {
        let theirs = self
            .theirs
            .batch(steps)
            .unwrap_or_else(|error| panic!("the oracle broke: {error}"));
        let ours = match self.ours.batch(steps) {
            Ok(frames) => frames,
            Err(error) => {
                return Err(different(
                    steps,
                    0,
                    &format!("{error}"),
                    "replies",
                    "no whole answer to this pipeline",
                ));
            }
        };
        // A step whose commands before it are replied to has several replies.
        let parts: Vec<(usize, Option<&Command>)> = steps
            .iter()
            .enumerate()
            .flat_map(|(index, step)| {
                let spoken = step.spoken.iter().map(Some).chain([None]);
                spoken.map(move |part| (index, part))
            })
            .collect();
        for (place, (index, part)) in parts.iter().copied().enumerate() {
            let (a, b) = (ours.get(place), theirs.get(place));
            let verdict = match (a, b) {
                (Some(a), Some(b)) => match part {
                    Some(command) => judge::compare(&Step::exact(command.clone()), a, b),
                    None => judge::compare(&steps[index], a, b),
                },
                (None, None) => Ok(()),
                _ => Err("only one of them replied".to_owned()),
            };
            if let Err(why) = verdict {
                return Err(different(
                    steps,
                    index,
                    &show_frame(a),
                    &show_frame(b),
                    &why,
                ));
            }
        }
        if ours.len() == theirs.len() {
            return Ok(());
        }
        let counts = (ours.len().to_string(), theirs.len().to_string());
        Err(different(
            steps,
            steps.len() - 1,
            &counts.0,
            &counts.1,
            "not as many replies",
        ))
    }

    fn ask(&mut self, step: &Step) -> Result<(), Mismatch> {
        let theirs = self
            .theirs
            .ask(step)
            .unwrap_or_else(|error| panic!("the oracle broke: {error}"));
        let steps = std::slice::from_ref(step);
        match self.ours.ask(step) {
            Ok(ours) if ours == theirs => Ok(()),
            Ok(ours) => Err(different(steps, 0, &ours, &theirs, "not equal")),
            Err(why) => Err(different(steps, 0, "", &theirs, &why)),
        }
    }

    /// Compares everything both servers hold, over connections of its own.
    pub fn audit(&self) -> Result<(), Mismatch> {
        let (mut ours, mut theirs) = (self.ours.server().client(), self.theirs.server().client());
        for database in 0..DATABASES {
            audit_database(&mut ours, &mut theirs, database)?;
        }
        Ok(())
    }
}

/// How many of the steps go into the next pipeline.
fn pipeline(steps: &[Step], length: usize) -> usize {
    let mut count = 0;
    for step in steps.iter().take(length.max(1)) {
        if !step.is_single() {
            break;
        }
        count += 1;
        if step.ends_connection() {
            break;
        }
    }
    count.max(1)
}

fn different(steps: &[Step], index: usize, ours: &str, theirs: &str, why: &str) -> Mismatch {
    Mismatch {
        index,
        step: steps[index].show(),
        ours: ours.to_owned(),
        theirs: theirs.to_owned(),
        why: why.to_owned(),
    }
}

fn show_frame(frame: Option<&Vec<u8>>) -> String {
    frame.map_or_else(|| "nothing".to_owned(), |bytes| show_bytes(bytes))
}

fn audit_database(ours: &mut Client, theirs: &mut Client, database: usize) -> Result<(), Mismatch> {
    let differs = |step: &str, ours: String, theirs: String, why: &str| Mismatch {
        index: 0,
        step: format!("{step} (audit of database {database})"),
        ours,
        theirs,
        why: why.to_owned(),
    };
    let number = database.to_string();
    for client in [&mut *ours, &mut *theirs] {
        client.call(&["SELECT", &number]).expect_ok();
    }
    let (a, b) = (sorted_keys(ours), sorted_keys(theirs));
    if a != b {
        let only = |x: &[Vec<u8>], y: &[Vec<u8>]| -> String {
            let keys: Vec<String> = x
                .iter()
                .filter(|key| !y.contains(key))
                .map(|key| show_bytes(key))
                .collect();
            format!("has {keys:?}, which the other has not")
        };
        return Err(differs(
            "KEYS *",
            only(&a, &b),
            only(&b, &a),
            "not the same keys",
        ));
    }
    let (sizes_a, sizes_b) = (ours.call(&["DBSIZE"]), theirs.call(&["DBSIZE"]));
    if sizes_a != sizes_b {
        return Err(differs(
            "DBSIZE",
            sizes_a.to_string(),
            sizes_b.to_string(),
            "not the same size",
        ));
    }
    let steps: Vec<Step> = a.iter().flat_map(|key| about(key)).collect();
    let mut bytes = Vec::new();
    steps.iter().for_each(|step| step.encode(&mut bytes));
    let frames = (
        frames(ours, &bytes, steps.len()),
        frames(theirs, &bytes, steps.len()),
    );
    for (step, (a, b)) in steps.iter().zip(frames.0.iter().zip(&frames.1)) {
        judge::compare(step, a, b)
            .map_err(|why| differs(&step.show(), show_bytes(a), show_bytes(b), &why))?;
    }
    Ok(())
}

/// All that can be asked about a key.
fn about(key: &[u8]) -> [Step; 8] {
    let step = |words: &[&str], judge| {
        let mut command: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        command.push(key.to_vec());
        Step::new(command, judge)
    };
    let range = [&b"ZRANGE"[..], key, b"0", b"-1", b"WITHSCORES"];
    let list = [&b"LRANGE"[..], key, b"0", b"-1"];
    let stream = [&b"XRANGE"[..], key, b"-", b"+"];
    [
        Step::exact(range.map(<[u8]>::to_vec).to_vec()),
        Step::exact(list.map(<[u8]>::to_vec).to_vec()),
        Step::exact(stream.map(<[u8]>::to_vec).to_vec()),
        step(&["SMEMBERS"], Judge::Unordered),
        step(&["GET"], Judge::Exact),
        step(&["HGETALL"], Judge::Unordered),
        step(&["OBJECT", "ENCODING"], Judge::Exact),
        step(&["PEXPIRETIME"], Judge::Moment(Unit::Milliseconds)),
    ]
}

fn sorted_keys(client: &mut Client) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = match client.call(&["KEYS", "*"]) {
        Reply::Array(keys) => keys.iter().map(|key| key.bytes().to_vec()).collect(),
        other => panic!("KEYS gave {other}"),
    };
    keys.sort();
    keys
}

fn frames(client: &mut Client, bytes: &[u8], count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::with_capacity(count);
    if count > 0 {
        let taken = client.exchange(bytes, |frame| {
            frames.push(frame);
            frames.len() == count
        });
        taken.unwrap_or_else(|error| panic!("an audit broke: {error}"));
    }
    frames
}
