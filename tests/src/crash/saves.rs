//! Snapshots on a disk that fails, run by a seed: shards that go on changing their keys, saves whose position they reach one after the other, and a file that is
//! written a piece at a time, until the power or the process goes; then a start, and the judge.
//!
//! The code under test is that of the node: the shards' part of a save, the saver, and what writes the file and puts it in place. The file that is found must be whole,
//! and hold one moment: that of the last save that was said to be in place, or of one that was tried since.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tessera_core::entry::{Entry, StrValue, ValueRef};
use tessera_core::table::ExpireChange;
use tessera_io::sim::{DiskFaults, Prng, SimDisk};
use tessera_persist::native::{NativeFile, Taker, is_native};
use tessera_persist::rdb::{FileReader, Limits, Record};
use tessera_persist::snapshot::{Format, Outcome, Purpose, SaveTask, Saver, Target};
use tessera_shards::shard::Shard;

use super::lies::{Lie, LyingDisk};
use super::state::State;
use super::world::Account;

const DATABASES: usize = 2;
/// Names of keys in most worlds, and in those whose walks take several steps.
const NAMES: usize = 40;
const NAMES_MANY: usize = 3_000;
/// Crashes of a seed.
const EPOCHS_MAX: usize = 5;
const STEPS_MAX: usize = 300;
/// Steps after which a save on a disk that is well has ended.
const STEPS_OF_SAVE: usize = 10_000;
/// One number in so many is written so long that it goes to the file in pieces.
const LARGE_EVERY: i64 = 61;
const LARGE_BYTES: usize = 150_000;

/// A save under way.
struct Running {
    /// Shards that have reached its position.
    begun: usize,
    number: u64,
    /// The keys when the first of them did, and what the others have done before they did.
    state: State,
}

/// See the head of this file.
pub struct Saves {
    prng: Prng,
    disk: SimDisk,
    lie: Option<Lie>,
    writer: LyingDisk,
    shards: Vec<Shard>,
    saver: Arc<Saver>,
    /// The file that is to be written.
    task: Arc<Mutex<Option<SaveTask>>>,
    names: usize,
    state: State,
    running: Option<Running>,
    /// What may be found: `None` is no file.
    may: Vec<Option<State>>,
    /// Nothing of it is in the system's memory only.
    is_certain: bool,
    account: Account,
}

/// Runs a seed.
///
/// # Errors
/// What the judge has noticed.
pub fn run_seed(seed: u64, lie: Option<Lie>) -> Result<Account, String> {
    Saves::new(seed, lie).run()
}

fn path() -> PathBuf {
    PathBuf::from("sim/dump.rdb")
}

impl Saves {
    fn new(seed: u64, lie: Option<Lie>) -> Self {
        let mut prng = Prng::new(seed);
        let disk = SimDisk::new(prng.bits(), DiskFaults::none());
        let names = match prng.chance(100_000) {
            true => NAMES_MANY,
            false => NAMES,
        };
        let mut it = Self {
            writer: LyingDisk::new(disk.clone(), lie),
            prng,
            disk,
            lie,
            shards: Vec::new(),
            saver: Arc::new(Saver::new(1, || 7)),
            task: Arc::default(),
            names,
            state: State::new(),
            running: None,
            may: vec![None],
            is_certain: true,
            account: Account::default(),
        };
        it.begin();
        it
    }

    /// A node with the keys that there are, on a new number of shards.
    fn begin(&mut self) {
        let count = 1 + self.prng.index(3);
        let saver = Arc::new(Saver::new(count, || 7));
        saver.set_target(Target {
            dir: PathBuf::from("sim"),
            name: PathBuf::from("dump.rdb"),
            format: match self.prng.chance(500_000) {
                true => Format::Native,
                false => Format::Rdb,
            },
            compresses: self.prng.chance(500_000),
            sums: true,
            about: vec![("redis-ver", "7.0.15".to_owned())],
            functions: Vec::new(),
            key_delay: 0,
        });
        self.task = Arc::default();
        let task = Arc::clone(&self.task);
        saver.set_runner(Box::new(move |begun| {
            *task.lock().expect("nobody panics with it") = Some(begun);
            Ok(())
        }));
        self.shards = (0..count)
            .map(|id| {
                let mut shard = Shard::new(id, DATABASES, 1, 1 + id as u64);
                shard.set_saver(Arc::clone(&saver));
                shard
            })
            .collect();
        self.saver = saver;
        for ((db, name), number) in std::mem::take(&mut self.state) {
            self.set(db, &name, number);
        }
        if self.state.is_empty() {
            for name in 0..self.names {
                self.set(0, &format!("k{name}"), 1);
            }
        }
    }

    fn run(mut self) -> Result<Account, String> {
        for epoch in 0..1 + self.prng.index(EPOCHS_MAX) {
            let told = |why: String| format!("epoch {epoch}: {why}");
            self.live();
            if self.prng.chance(300_000) {
                self.heal().map_err(told)?;
            }
            self.fall();
            self.start_again().map_err(told)?;
        }
        Ok(self.account)
    }

    /// Everybody does something, for a while.
    fn live(&mut self) {
        let faults = DiskFaults::from_seed(&mut self.prng);
        self.disk.set_faults(faults);
        if self.prng.chance(700_000) {
            self.disk.light_fuse(self.prng.below(60));
        }
        for _ in 0..20 + self.prng.index(STEPS_MAX) {
            self.act();
            if self.disk.is_dead() {
                return;
            }
        }
    }

    fn act(&mut self) {
        match self.prng.below(100) {
            0..40 => self.change(),
            40..42 => self.change_database(),
            42..55 => self.reach_position(),
            55..75 => self.walk(),
            75..95 => self.write_file(),
            95..97 => {
                let room = self.prng.below(2_000);
                self.disk.set_capacity(self.disk.used_bytes() + room);
            }
            _ => self.disk.set_capacity(u64::MAX),
        }
    }

    fn set(&mut self, db: usize, name: &str, number: i64) {
        let home = home_of(name, self.shards.len());
        let text = text_of(number);
        let value = match text.len() {
            LARGE_BYTES => StrValue::Bytes(&text),
            _ => StrValue::Int(number),
        };
        let set = self.shards[home].set(db, name.as_bytes(), value, ExpireChange::Clear);
        set.expect("there is memory");
        self.state.insert((db, name.to_owned()), number);
    }

    /// A key gets a number, or goes.
    fn put(&mut self, db: usize, name: &str, number: Option<i64>) {
        match number {
            Some(number) => self.set(db, name, number),
            None => {
                let home = home_of(name, self.shards.len());
                self.shards[home].remove(db, name.as_bytes());
                self.state.remove(&(db, name.to_owned()));
            }
        }
    }

    /// Between the positions of two shards nothing is done that concerns several of them.
    fn is_settled(&self) -> bool {
        let all = self.shards.len();
        let is_between = |running: &Running| running.begun < all;
        self.lie == Some(Lie::Unsettled) || !self.running.as_ref().is_some_and(is_between)
    }

    /// A transaction over some keys.
    fn change(&mut self) {
        let home = self.prng.index(self.shards.len());
        let is_settled = self.is_settled();
        for _ in 0..1 + self.prng.index(4) {
            let mut name = self.prng.index(self.names);
            if !is_settled {
                name = name / self.shards.len() * self.shards.len() + home;
            }
            let (db, name) = (self.prng.index(DATABASES), format!("k{name}"));
            let number = match self.prng.chance(200_000) {
                true => None,
                false => Some(self.prng.below(1_000) as i64),
            };
            self.put(db, &name, number);
            // A transaction is whole: it belongs to the shard whose it is, wherever its keys are.
            let running = self.running.as_mut();
            let shards = self.shards.len();
            if let Some(running) = running.filter(|it| it.begun < shards && it.begun <= home) {
                match number {
                    Some(number) => _ = running.state.insert((db, name), number),
                    None => _ = running.state.remove(&(db, name)),
                }
            }
            self.account.units += 1;
        }
    }

    /// A whole database is emptied, or two change places.
    fn change_database(&mut self) {
        if !self.is_settled() {
            return;
        }
        if self.prng.chance(500_000) {
            let db = self.prng.index(DATABASES);
            self.shards.iter_mut().for_each(|it| _ = it.flush(db));
            self.state.retain(|(of, _), _| *of != db);
        } else {
            self.shards.iter_mut().for_each(|it| it.swap(0, 1));
            let state = std::mem::take(&mut self.state);
            let swapped = state.into_iter();
            self.state = swapped
                .map(|((db, name), number)| ((1 - db, name), number))
                .collect();
        }
    }

    /// One more shard reaches the position of a save.
    fn reach_position(&mut self) {
        let shards = self.shards.len();
        let mut running = match self.running.take() {
            None => Running {
                begun: 0,
                number: 0,
                state: self.state.clone(),
            },
            Some(running) if running.begun < shards => running,
            busy => {
                self.running = busy;
                return;
            }
        };
        let begun = self.shards[running.begun].begin_save(Purpose::Snapshot);
        running.number = begun.expect("none is under way");
        running.begun += 1;
        self.running = Some(running);
    }

    /// A shard goes on with its part, and frees what is left over.
    fn walk(&mut self) {
        let home = self.prng.index(self.shards.len());
        self.shards[home].step_save(&|| true);
        if self.prng.chance(200_000) {
            self.shards[home].collect_garbage();
        }
    }

    fn write_file(&mut self) {
        let mut task = self.task.lock().expect("nobody panics with it");
        let Some(writing) = task.as_mut() else { return };
        if !writing.step(&mut self.writer, false) {
            return;
        }
        *task = None;
        drop(task);
        let Some(running) = self.running.take() else {
            return;
        };
        match self.saver.outcome(running.number) {
            Outcome::Saved => {
                self.may = vec![Some(running.state)];
                self.account.rewrites += 1;
            }
            // It may have failed behind the rename.
            _ => {
                self.may.push(Some(running.state));
                self.account.failures += 1;
            }
        }
    }

    /// The disk is well again: the next save must succeed without a restart.
    fn heal(&mut self) -> Result<(), String> {
        if self.disk.is_dead() {
            return Ok(());
        }
        self.disk.set_faults(DiskFaults::none());
        let had_failed = self.saver.has_failed();
        let before = self.account.rewrites;
        let mut is_new = self.running.is_none();
        for _ in 0..STEPS_OF_SAVE {
            let was_running = self.running.is_some();
            self.reach_position();
            self.walk();
            self.write_file();
            if self.disk.is_dead() {
                return Ok(());
            }
            let has_ended = was_running && self.running.is_none();
            if has_ended && is_new {
                let is_saved = self.account.rewrites > before && !self.saver.has_failed();
                self.account.made_good += u64::from(had_failed);
                return match is_saved {
                    true => Ok(()),
                    false => Err("a disk that is well again is not written".to_owned()),
                };
            }
            is_new |= has_ended;
        }
        Err("a save does not end".to_owned())
    }

    /// The power goes, or the process.
    fn fall(&mut self) {
        self.account.crashes += 1;
        if let Some(running) = self.running.take() {
            self.account.torn += 1;
            if running.begun == self.shards.len() {
                self.may.push(Some(running.state));
            }
        }
        let has_power = !self.disk.is_dead() && self.prng.chance(300_000);
        match has_power {
            true => self.disk.close_all(),
            false => self.disk.crash(),
        }
        self.disk.set_faults(DiskFaults::none());
        self.is_certain = !has_power;
        self.writer = LyingDisk::new(self.disk.clone(), self.lie);
    }

    /// Reads what is there, compares, and goes on with it.
    fn start_again(&mut self) -> Result<(), String> {
        let found = match self.disk.peek(path()) {
            None => None,
            Some(bytes) => Some(read(&bytes)?),
        };
        if !self.may.contains(&found) {
            let told = |state: &Option<State>| state.as_ref().map(State::len);
            let may: Vec<_> = self.may.iter().map(told).collect();
            return Err(format!(
                "no moment of the past: {:?} keys, and there may be {may:?}",
                told(&found)
            ));
        }
        // Without a loss of power, what is found may still be in the system's memory alone.
        if self.is_certain {
            self.may = vec![found.clone()];
        }
        self.state = found.unwrap_or_default();
        self.begin();
        Ok(())
    }
}

fn home_of(name: &str, shards: usize) -> usize {
    let number: usize = name[1..].parse().unwrap_or(0);
    number % shards
}

/// How a number is written.
fn text_of(number: i64) -> Vec<u8> {
    let mut text = number.to_string().into_bytes();
    if number % LARGE_EVERY == LARGE_EVERY - 1 {
        text.push(b'x');
        text.resize(LARGE_BYTES, b'x');
    }
    text
}

fn number_of(text: &[u8]) -> Result<i64, String> {
    let digits = text.iter().take_while(|it| it.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[..digits]).unwrap_or_default();
    let number = number.parse().map_err(|_| "no number".to_owned())?;
    match text_of(number) == text {
        true => Ok(number),
        false => Err(format!("a value that nobody wrote: {} bytes", text.len())),
    }
}

/// What a file holds.
fn read(bytes: &[u8]) -> Result<State, String> {
    let mut state = State::new();
    let mut take = |db: usize, entry: &Entry| {
        let text = match entry.string() {
            Some(ValueRef::Int(number)) => number.to_string().into_bytes(),
            Some(ValueRef::Bytes(bytes)) => bytes.to_vec(),
            None => return Err("no string".to_owned()),
        };
        let name = String::from_utf8_lossy(entry.key()).into_owned();
        match state.insert((db, name), number_of(&text)?) {
            None => Ok(()),
            Some(_) => Err("a key is there twice".to_owned()),
        }
    };
    match is_native(bytes) {
        true => read_native(bytes, &mut take)?,
        false => read_rdb(bytes, &mut take)?,
    }
    Ok(state)
}

type Take<'a> = &'a mut dyn FnMut(usize, &Entry) -> Result<(), String>;

fn limits() -> Limits {
    Shard::new(0, 1, 1, 1).limits()
}

fn read_native(bytes: &[u8], take: Take<'_>) -> Result<(), String> {
    let told = |error: tessera_persist::native::NativeError| error.to_string();
    let mut file = NativeFile::open(bytes).map_err(told)?;
    let mut taker = Taker::new(limits(), 0);
    while let Some(chunk) = file.next_chunk().map_err(told)? {
        let mut taken = Vec::new();
        let mut put = |it| taken.push(it);
        let all = taker.take(&chunk, 0, usize::MAX, &|_| true, &mut put);
        all.map_err(told)?;
        for it in taken {
            take(it.db as usize, &it.entry)?;
        }
    }
    match taker.is_whole() {
        true => Ok(()),
        false => Err("the end of a large value is missing".to_owned()),
    }
}

fn read_rdb(bytes: &[u8], take: Take<'_>) -> Result<(), String> {
    let told = |error: tessera_persist::rdb::RdbError| error.to_string();
    let mut reader = FileReader::new(bytes, limits(), 0).map_err(told)?;
    let mut db = 0;
    while let Some(record) = reader.next_record().map_err(told)? {
        match record {
            Record::Database(number) => db = number as usize,
            Record::Key(key) => {
                let value = key.value.ok_or("a key without a value")?;
                let entry = value.into_entry(&key.name, key.expire_at);
                take(db, &entry.map_err(|_| "no memory")?)?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_their_texts() {
        for number in [0, 7, LARGE_EVERY - 1, 999] {
            assert_eq!(number_of(&text_of(number)), Ok(number));
        }
        assert_eq!(text_of(LARGE_EVERY - 1).len(), LARGE_BYTES);
        assert!(number_of(b"60").is_err() && number_of(b"x").is_err());
    }
}
