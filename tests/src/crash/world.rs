//! One seed: shards that hand records over, a keeper, rewrites, an operator, and a disk that fails, until the power or the process goes; then a start, and the judge.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tessera_io::sim::{DiskFaults, Prng, SimDisk};
use tessera_io::{Disk, FileId};
use tessera_persist::log::{Chunk, Folder, Keeper, Log, Reader, SyncPolicy, recover};

use super::lies::{Lie, LyingDisk};
use super::state::{Deed, Past, State, Unit, run};

/// Names of keys per database.
const NAMES: usize = 12;
const DATABASES: usize = 2;
/// Crashes of a seed.
const EPOCHS_MAX: usize = 6;
const STEPS_MAX: usize = 160;
/// Steps in which a healthy disk must have made everything good.
const RECOVERY_STEPS: usize = 200;
/// Tries to start on a disk that fails while it is read.
const STARTS_MAX: usize = 20;
/// A base ends with it.
const END: &str = "END";

/// What a seed has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Times that the power or the process went.
    pub crashes: u64,
    /// Starts whose file was torn.
    pub torn: u64,
    /// Units handed over, and those acknowledged.
    pub units: u64,
    /// See `units`.
    pub acked: u64,
    /// Rewrites that ended well.
    pub rewrites: u64,
    /// Failures that latched.
    pub failures: u64,
    /// Failures that were made good without a restart.
    pub made_good: u64,
}

impl Account {
    /// Adds another one.
    pub fn add(&mut self, other: &Account) {
        self.crashes += other.crashes;
        self.torn += other.torn;
        self.units += other.units;
        self.acked += other.acked;
        self.rewrites += other.rewrites;
        self.failures += other.failures;
        self.made_good += other.made_good;
    }
}

/// A base that is being written.
struct Base {
    /// Which shards are behind its position.
    switched: Vec<bool>,
    text: String,
    file: Option<FileId>,
    written: usize,
}

/// See the head of this file.
pub struct World {
    prng: Prng,
    disk: SimDisk,
    lie: Option<Lie>,
    folder: Folder,
    clock: Arc<AtomicU64>,
    policy: SyncPolicy,
    shards: usize,
    log: Arc<Log>,
    keeper: Keeper<LyingDisk>,
    /// A second way to the disk, of the thread that writes bases.
    writer: LyingDisk,
    generations: Vec<u64>,
    state: State,
    past: Past,
    /// The first start has come to its end.
    has_begun: bool,
    base: Option<Base>,
    had_failed: bool,
    account: Account,
}

/// Runs a seed.
///
/// # Errors
/// What a judge has noticed.
pub fn run_seed(seed: u64, lie: Option<Lie>) -> Result<Account, String> {
    World::new(seed, lie).run()
}

impl World {
    fn new(seed: u64, lie: Option<Lie>) -> Self {
        let mut prng = Prng::new(seed);
        let disk = SimDisk::new(prng.bits(), DiskFaults::none());
        let folder = Folder {
            path: PathBuf::from("sim/appendonlydir"),
            name: "appendonly.aof".to_owned(),
        };
        let clock = Arc::new(AtomicU64::new(1_000));
        let policy = match prng.below(3) {
            0 => SyncPolicy::EverySecond,
            _ => SyncPolicy::Always,
        };
        let shards = 1 + prng.index(3);
        let (log, keeper) = node(&disk, lie, &folder, &clock, shards, policy);
        Self {
            writer: LyingDisk::new(disk.clone(), lie),
            prng,
            disk,
            lie,
            folder,
            clock,
            policy,
            shards,
            log,
            keeper,
            generations: vec![0; shards],
            state: State::new(),
            past: Past::default(),
            has_begun: false,
            base: None,
            had_failed: false,
            account: Account::default(),
        }
    }

    fn run(mut self) -> Result<Account, String> {
        if self.prng.chance(250_000) {
            self.disk.light_fuse(self.prng.below(25));
        }
        let begun = self.begin();
        if self.disk.is_dead() {
            self.disk.crash();
            self.start_again()
                .map_err(|why| format!("first start: {why}"))?;
        } else {
            begun?;
        }
        for epoch in 0..1 + self.prng.index(EPOCHS_MAX) {
            self.live();
            if self.prng.chance(300_000) {
                self.heal().map_err(|why| format!("epoch {epoch}: {why}"))?;
            }
            self.fall();
            self.start_again()
                .map_err(|why| format!("epoch {epoch}: {why}"))?;
        }
        Ok(self.account)
    }

    /// The first start, on an empty disk.
    fn begin(&mut self) -> Result<(), String> {
        let mut manifest = self.keeper.old_manifest().map_err(|it| it.to_string())?;
        let disk = self.keeper.disk();
        let text = format!("REDIS\n{END}\n");
        let begun = self
            .folder
            .create(disk)
            .and_then(|()| self.folder.begin_with(disk, text.as_bytes(), &mut manifest));
        begun
            .and_then(|()| self.keeper.begin(manifest, text.len() as u64))
            .map_err(|error| error.to_string())?;
        self.has_begun = true;
        Ok(())
    }

    /// Everybody does something, for a while.
    fn live(&mut self) {
        let faults = DiskFaults::from_seed(&mut self.prng);
        self.disk.set_faults(faults);
        if self.prng.chance(700_000) {
            self.disk.light_fuse(self.prng.below(200));
        }
        let steps = 10 + self.prng.index(STEPS_MAX);
        for _ in 0..steps {
            self.act();
            if self.disk.is_dead() {
                return;
            }
        }
    }

    fn act(&mut self) {
        match self.prng.below(100) {
            0..50 => self.hand_over(),
            50..75 => _ = self.step(),
            75..82 => {
                let ms = self.prng.below(1_500);
                self.clock.fetch_add(ms, Ordering::Relaxed);
            }
            82..86 => self.reply(),
            86..88 => self.begin_rewrite(),
            88..96 => self.go_on_with_rewrite(),
            96..98 => {
                let room = self.prng.below(500);
                self.disk.set_capacity(self.disk.used_bytes() + room);
            }
            _ => {
                self.disk.set_capacity(u64::MAX);
                if self.log.has_failed() {
                    self.begin_rewrite();
                }
            }
        }
    }

    /// A shard's turn.
    fn hand_over(&mut self) {
        // Who has heard of a failure writes nothing; what was under way comes nevertheless.
        if self.log.has_failed() && self.prng.chance(800_000) {
            return;
        }
        let home = self.prng.index(self.shards);
        let is_settled = self.generations.iter().all(|it| *it == self.generations[0]);
        let mut chunk = Chunk::default();
        for _ in 0..1 + self.prng.index(2) {
            let unit = self.draw(home, is_settled);
            put(&unit, &mut chunk);
            unit.apply(&mut self.state);
            self.past.units.push(unit);
            self.account.units += 1;
        }
        chunk.generation = self.generations[home];
        self.log.push(&mut chunk);
        // A chunk is one position: what follows of it is not shown alone.
        let handed = self.log.handed();
        self.positions_note(handed);
    }

    fn draw(&mut self, home: usize, is_settled: bool) -> Unit {
        let count = if self.prng.chance(300_000) {
            1 + self.prng.index(4)
        } else {
            1
        };
        let mut deeds = Vec::new();
        for _ in 0..count {
            let mut name = self.prng.index(NAMES);
            // While shards stand on either side of a rewrite's position, no transaction is over several of them.
            if !is_settled || self.prng.chance(500_000) {
                name = name / self.shards * self.shards + home;
            }
            let deed = match self.prng.below(10) {
                0 => Deed::Del,
                1..5 => Deed::Set(self.prng.below(1_000) as i64),
                _ => Deed::Incr,
            };
            deeds.push((format!("k{name}"), deed));
        }
        Unit {
            db: self.prng.index(DATABASES),
            deeds,
            generation: self.generations[home],
        }
    }

    fn positions_note(&mut self, handed: u64) {
        debug_assert!(handed > 0, "something was handed over");
        self.past.positions.push((handed, self.past.units.len()));
    }

    /// The keeper's turn, and what is acknowledged by it.
    fn step(&mut self) -> bool {
        let is_over = self.keeper.step();
        if self.log.has_failed() && !self.had_failed {
            self.account.failures += 1;
        }
        self.had_failed = self.log.has_failed();
        self.past.acknowledge(self.log.durable());
        is_over
    }

    /// Somebody is told what there is, if nothing has to wait.
    fn reply(&mut self) {
        if self.policy == SyncPolicy::Always
            && !self.log.has_failed()
            && self.log.must_wait().is_none()
        {
            self.past.acknowledge(self.log.handed());
        }
    }

    fn begin_rewrite(&mut self) {
        if self.base.is_none() && !self.log.status().is_finishing {
            self.base = Some(Base {
                switched: vec![false; self.shards],
                text: "REDIS\n".to_owned(),
                file: None,
                written: 0,
            });
        }
    }

    /// One more shard reaches the position, or the base gets a piece.
    fn go_on_with_rewrite(&mut self) {
        let Some(mut base) = self.base.take() else {
            return;
        };
        let waiting = base.switched.iter().position(|it| !it);
        if let Some(shard) = waiting {
            base.switched[shard] = true;
            self.generations[shard] += 1;
            for ((db, name), number) in &self.state {
                if home_of(name, self.shards) == shard {
                    base.text += &format!("{db} {name} {number}\n");
                }
            }
            if shard + 1 == self.shards {
                base.text += &format!("{END}\n");
            }
            self.log.switch(self.generations[shard]);
            self.base = Some(base);
            return;
        }
        match self.write_base(&mut base) {
            Ok(false) => self.base = Some(base),
            Ok(true) => {
                self.account.rewrites += 1;
                self.log.base_done(true);
            }
            Err(_) => self.log.base_done(false),
        }
    }

    /// Says whether the base is whole.
    fn write_base(&mut self, base: &mut Base) -> std::io::Result<bool> {
        let name = self.folder.unfinished_base();
        let path = self.folder.file(&name.to_string_lossy());
        let Some(file) = base.file else {
            match self.writer.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            base.file = Some(self.writer.open_append(&path)?);
            return Ok(false);
        };
        let text = base.text.as_bytes();
        if base.written < text.len() {
            let end = text.len().min(base.written + 1 + self.prng.index(200));
            self.writer.append(file, &text[base.written..end])?;
            base.written = end;
            return Ok(false);
        }
        let synced = self.writer.sync(file);
        self.writer.close(file);
        synced.map(|()| true)
    }

    /// The disk is well again and the operator says so: everything must be good without a restart.
    fn heal(&mut self) -> Result<(), String> {
        if self.disk.is_dead() {
            return Ok(());
        }
        self.disk.set_faults(DiskFaults::none());
        let was_bad = self.log.has_failed();
        for _ in 0..RECOVERY_STEPS {
            if self.disk.is_dead() {
                return Ok(());
            }
            self.step();
            if self.log.has_failed() {
                self.begin_rewrite();
            }
            self.go_on_with_rewrite();
        }
        self.clock.fetch_add(2_000, Ordering::Relaxed);
        self.step();
        if self.disk.is_dead() {
            return Ok(());
        }
        if self.log.has_failed() || self.log.durable() < self.log.handed() {
            return Err("a disk that is well again is not written".to_owned());
        }
        self.account.made_good += u64::from(was_bad);
        Ok(())
    }

    /// The power goes, or the process.
    fn fall(&mut self) {
        self.account.crashes += 1;
        self.account.acked += self.past.acked as u64;
        if self.disk.is_dead() || self.prng.chance(600_000) {
            self.disk.crash();
        } else {
            self.disk.close_all();
        }
        self.disk.set_faults(DiskFaults::none());
    }

    /// Starts, perhaps with the power going once more, and compares.
    fn start_again(&mut self) -> Result<(), String> {
        for _ in 0..STARTS_MAX {
            if self.prng.chance(200_000) {
                self.disk.light_fuse(self.prng.below(20));
            }
            self.policy = match self.prng.below(3) {
                0 => SyncPolicy::EverySecond,
                _ => SyncPolicy::Always,
            };
            self.shards = 1 + self.prng.index(3);
            let (log, keeper) = node(
                &self.disk,
                self.lie,
                &self.folder,
                &self.clock,
                self.shards,
                self.policy,
            );
            (self.log, self.keeper) = (log, keeper);
            self.writer = LyingDisk::new(self.disk.clone(), self.lie);
            let found = self.find();
            if self.disk.is_dead() {
                self.disk.crash();
                continue;
            }
            let found = found?;
            self.past.judge(&found)?;
            self.past = Past {
                before: found.clone(),
                ..Past::default()
            };
            self.state = found;
            self.generations = vec![0; self.shards];
            self.base = None;
            self.had_failed = false;
            return Ok(());
        }
        // The power went each time.
        self.disk.crash();
        Ok(())
    }

    /// What a start finds.
    fn find(&mut self) -> Result<State, String> {
        let told = |error: tessera_persist::log::LogError| error.to_string();
        let recovered = recover(self.keeper.disk(), &self.folder, true).map_err(told)?;
        let Some(recovered) = recovered else {
            if self.has_begun {
                return Err("there is no log".to_owned());
            }
            // What the first start has left is in nobody's way.
            let left = self.folder.refuse_unlisted(self.keeper.disk(), None);
            left.map_err(told)?;
            return self.begin().map(|()| State::new());
        };
        self.has_begun = true;
        self.account.torn += u64::from(recovered.cut.is_some());
        let mut state = State::new();
        if let Some(path) = &recovered.base {
            let bytes = self.keeper.disk().read(path);
            let bytes = bytes.map_err(|error| error.to_string())?;
            read_base(&String::from_utf8_lossy(&bytes), &mut state)?;
        }
        for path in &recovered.records {
            let mut reader = Reader::open_on(self.keeper.disk(), path).map_err(told)?;
            let mut db = 0;
            while let Some(command) = reader.next_command().map_err(told)? {
                match &*command[0] {
                    b"SELECT" => db = usize::from(command[1][0] - b'0'),
                    b"MULTI" | b"EXEC" => {}
                    _ => run(&mut state, db, &command)?,
                }
            }
        }
        self.keeper.resume(&recovered).map_err(told)?;
        Ok(state)
    }
}

fn node(
    disk: &SimDisk,
    lie: Option<Lie>,
    folder: &Folder,
    clock: &Arc<AtomicU64>,
    shards: usize,
    policy: SyncPolicy,
) -> (Arc<Log>, Keeper<LyingDisk>) {
    let log = Arc::new(Log::new(shards));
    log.set_policy(policy);
    let disk = LyingDisk::new(disk.clone(), lie);
    let clock = Arc::clone(clock);
    let keeper = Keeper::new(Arc::clone(&log), folder.clone(), disk, move || {
        clock.load(Ordering::Relaxed)
    });
    (log, keeper)
}

fn home_of(name: &str, shards: usize) -> usize {
    let number: usize = name[1..].parse().unwrap_or(0);
    number % shards
}

/// Records a unit as a shard does.
fn put(unit: &Unit, chunk: &mut Chunk) {
    chunk.choose(unit.db);
    let is_several = unit.deeds.len() > 1;
    if is_several {
        chunk.command(&[b"MULTI"]);
    }
    for (name, deed) in &unit.deeds {
        let name = name.as_bytes();
        match deed {
            Deed::Set(number) => chunk.command(&[b"SET", name, number.to_string().as_bytes()]),
            Deed::Incr => chunk.command(&[b"INCR", name]),
            Deed::Del => chunk.command(&[b"DEL", name]),
        }
    }
    if is_several {
        chunk.command(&[b"EXEC"]);
    }
}

fn read_base(text: &str, state: &mut State) -> Result<(), String> {
    let mut lines = text.lines();
    if lines.next() != Some("REDIS") || text.lines().last() != Some(END) {
        return Err(format!("a base that is not whole: {text:?}"));
    }
    for line in lines.filter(|line| *line != END) {
        let words: Vec<&str> = line.split(' ').collect();
        let [db, name, number] = words.as_slice() else {
            return Err(format!("a base that is not whole: {text:?}"));
        };
        let (Ok(db), Ok(number)) = (db.parse(), number.parse()) else {
            return Err(format!("a base that is not whole: {text:?}"));
        };
        state.insert((db, (*name).to_owned()), number);
    }
    Ok(())
}
