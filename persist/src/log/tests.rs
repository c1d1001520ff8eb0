//! A log that is written, torn, damaged and read again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tessera_io::FsDisk;

use super::file::{LogFile, begin_block};
use super::*;

/// A folder that goes with the test.
struct Place(Folder);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("tessera-log-{name}-{}", std::process::id());
        // Thousands of syncs: in memory where that can be had.
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let path = root.join(name).join("appendonlydir");
        let _ = fs::remove_dir_all(path.parent().unwrap());
        fs::create_dir_all(&path).unwrap();
        Self(Folder {
            path,
            name: "appendonly.aof".to_owned(),
        })
    }

    /// A manifest that names these files with records.
    fn list(&self, numbers: &[u64]) {
        let lines = numbers
            .iter()
            .map(|it| format!("file appendonly.aof.{it}.incr.aof seq {it} type i\n"));
        fs::write(self.0.manifest_path(), lines.collect::<String>()).unwrap();
    }

    fn records(&self, number: u64) -> PathBuf {
        self.0.file(&format!("appendonly.aof.{number}.incr.aof"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.path.parent().unwrap());
    }
}

fn payload(words: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in words {
        put_command(&[b"SET", word.as_bytes(), b"value"], &mut out);
    }
    out
}

/// A block with these commands.
fn block_of(commands: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    begin_block(&mut block);
    block.extend_from_slice(commands);
    block
}

/// Writes blocks, each of which is synced.
fn write(path: &Path, blocks: &[Vec<u8>]) -> Vec<u64> {
    let mut disk = FsDisk::default();
    let mut file = LogFile::create(&mut disk, path).unwrap();
    let ends = blocks.iter().map(|block| {
        file.append(&mut disk, &mut block_of(block)).unwrap();
        file.sync(&mut disk).unwrap();
        file.length()
    });
    ends.collect()
}

fn recover(folder: &Folder, truncates: bool) -> Result<Option<Recovered>, LogError> {
    super::recover(&mut FsDisk::default(), folder, truncates)
}

/// The keys that a file sets.
fn keys(path: &Path) -> Vec<String> {
    let mut reader = Reader::open(path).unwrap();
    let mut keys = Vec::new();
    while let Some(command) = reader.next_command().unwrap() {
        keys.push(String::from_utf8(command[1].to_vec()).unwrap());
    }
    keys
}

fn numbered(count: usize) -> Vec<Vec<u8>> {
    let block = |it: usize| payload(&[&format!("a{it}"), &format!("b{it}")]);
    (0..count).map(block).collect()
}

#[test]
fn every_length_of_the_last_pages() {
    let place = Place::new("torn");
    place.list(&[1]);
    let path = place.records(1);
    let ends = write(&path, &numbered(40));
    let whole = fs::read(&path).unwrap();
    let from = whole.len().saturating_sub(4096);
    for length in from..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let kept = ends.iter().filter(|end| **end <= length as u64).count();
        let good = if kept == 0 { 0 } else { ends[kept - 1] };
        let is_torn = good != length as u64;
        if is_torn {
            let refused = recover(&place.0, false).unwrap_err();
            assert!(matches!(refused, LogError::Torn { offset, .. } if offset == good));
            assert_eq!(fs::read(&path).unwrap().len(), length, "untouched");
        }
        let recovered = recover(&place.0, true).unwrap().unwrap();
        assert_eq!(recovered.cut.is_some(), is_torn, "{length}");
        if let Some(cut) = recovered.cut {
            assert_eq!((cut.offset, cut.bytes), (good, length as u64 - good));
            assert_eq!(fs::read(&cut.kept).unwrap(), &whole[good as usize..length]);
            fs::remove_file(cut.kept).unwrap();
        }
        assert_eq!(keys(&path).len(), 2 * kept);
        assert!(recover(&place.0, false).unwrap().unwrap().cut.is_none());
    }
}

#[test]
fn a_flipped_bit_is_never_read() {
    let place = Place::new("flipped");
    place.list(&[1]);
    let path = place.records(1);
    let ends = write(&path, &numbered(6));
    let whole = fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let block = ends.iter().filter(|end| **end <= (bit / 8) as u64).count();
        let start = if block == 0 { 0 } else { ends[block - 1] };
        match recover(&place.0, true) {
            Err(LogError::Damaged { offset, .. }) => {
                assert!(block < 5, "the last block has no witness");
                assert_eq!(offset, start);
                assert_eq!(fs::read(&path).unwrap(), bytes, "untouched");
            }
            Ok(Some(Recovered { cut: Some(cut), .. })) => {
                assert_eq!((block, cut.offset), (5, start));
                fs::remove_file(cut.kept).unwrap();
            }
            other => panic!("bit {bit}: {other:?}"),
        }
    }
}

#[test]
fn pages_that_never_came() {
    let place = Place::new("zeros");
    place.list(&[1]);
    let path = place.records(1);
    let ends = write(&path, &numbered(3));
    let mut bytes = fs::read(&path).unwrap();
    bytes.resize(bytes.len() + 5000, 0);
    fs::write(&path, &bytes).unwrap();
    let recovered = recover(&place.0, true).unwrap().unwrap();
    assert_eq!(recovered.cut.map(|cut| cut.offset), ends.last().copied());
    fs::write(&path, [0; 100]).unwrap();
    let recovered = recover(&place.0, true).unwrap().unwrap();
    assert_eq!(recovered.cut.map(|cut| cut.offset), Some(0));
    // Unsynced blocks of which a later page came and an earlier one did not.
    let mut disk = FsDisk::default();
    let mut file = LogFile::create(&mut disk, &path).unwrap();
    let mut ends = Vec::new();
    for block in numbered(4) {
        file.append(&mut disk, &mut block_of(&block)).unwrap();
        ends.push(file.length());
    }
    let mut bytes = fs::read(&path).unwrap();
    bytes[ends[0] as usize..ends[1] as usize].fill(0);
    fs::write(&path, &bytes).unwrap();
    let recovered = recover(&place.0, true).unwrap().unwrap();
    assert_eq!(recovered.cut.map(|cut| cut.offset), Some(ends[0]));
}

#[test]
fn only_the_last_file_may_be_torn() {
    let place = Place::new("middle");
    place.list(&[1, 2]);
    for number in [1, 2] {
        write(&place.records(number), &numbered(2));
    }
    let path = place.records(1);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(
        recover(&place.0, true),
        Err(LogError::Damaged { .. })
    ));
    fs::remove_file(&path).unwrap();
    let error = recover(&place.0, true).unwrap_err();
    assert!(matches!(&error, LogError::Missing { file, .. } if *file == path));
    assert!(
        error
            .to_string()
            .contains("appendonly.aof.1.incr.aof, which is not there")
    );
    fs::remove_file(place.0.manifest_path()).unwrap();
    assert!(recover(&place.0, true).unwrap().is_none());
    fs::write(place.0.path.parent().unwrap().join("appendonly.aof"), "x").unwrap();
    assert!(matches!(recover(&place.0, true), Err(LogError::Old { .. })));
}

#[test]
fn what_redis_appends() {
    let place = Place::new("redis");
    place.list(&[1]);
    let path = place.records(1);
    let ends = write(&path, &numbered(2));
    let ours = fs::read(&path).unwrap();
    let mut theirs = b"#TS:1700000000\r\n".to_vec();
    for args in [&[&b"MULTI"[..]][..], &[b"SET", b"x", b"1"], &[b"EXEC"]] {
        put_command(args, &mut theirs);
    }
    fs::write(&path, [&ours[..], &theirs].concat()).unwrap();
    let recovered = recover(&place.0, true).unwrap().unwrap();
    assert!(recovered.cut.is_none());
    // A transaction that does not end is cut as a whole.
    let time = b"#TS:1700000000\r\n".len() as u64;
    for length in 1..theirs.len() {
        fs::write(&path, [&ours[..], &theirs[..length]].concat()).unwrap();
        let recovered = recover(&place.0, true).unwrap().unwrap();
        let good = *ends.last().unwrap() + if length as u64 >= time { time } else { 0 };
        assert_eq!(recovered.cut.as_ref().map_or(good, |cut| cut.offset), good);
        if let Some(cut) = recovered.cut {
            fs::remove_file(cut.kept).unwrap();
        }
        assert_eq!(keys(&path).len(), 4);
    }
    for damage in ["*1\r\n$4\r\nPINGxx", "*x\r\n", "*1\r\n:4\r\n", "*0\r\n"] {
        fs::write(&path, [damage.as_bytes(), &theirs].concat()).unwrap();
        let error = recover(&place.0, true).unwrap_err();
        assert!(
            matches!(error, LogError::Damaged { offset: 0, .. }),
            "{damage}"
        );
    }
    fs::write(&path, b"hello").unwrap();
    assert!(matches!(
        recover(&place.0, true),
        Err(LogError::Damaged { .. })
    ));
}

#[test]
fn what_no_manifest_names_is_not_written_over() {
    let place = Place::new("unlisted");
    let base = place.0.file("appendonly.aof.1.base.rdb");
    let fits = |snapshot: Option<u64>| {
        let refused = place.0.refuse_unlisted(&mut FsDisk::default(), snapshot);
        refused.map_err(|error| error.to_string())
    };
    let begun = |commands: &[u8]| {
        let disk = &mut FsDisk::default();
        let mut file = LogFile::create(disk, &place.records(1)).unwrap();
        file.mark(disk).unwrap();
        if !commands.is_empty() {
            file.append(disk, &mut block_of(commands)).unwrap();
        }
    };
    // What a first start leaves, and what CONFIG SET appendonly leaves before there is a base.
    assert_eq!(fits(None), Ok(()));
    begun(&payload(&["a"]));
    assert_eq!(fits(None), Ok(()));
    begun(b"");
    fs::write(&base, b"REDIS0010").unwrap();
    assert_eq!(fits(None), Ok(()));
    fs::write(&base, [b'k'; 100]).unwrap();
    assert_eq!(fits(Some(100)), Ok(()), "a copy of the snapshot");
    // Anything else may be all that there is.
    for snapshot in [None, Some(99)] {
        let said = fits(snapshot).unwrap_err();
        assert!(said.contains("appendonly.aof.1.base.rdb, but no"), "{said}");
    }
    fs::write(&base, b"REDIS0010").unwrap();
    begun(&payload(&["a"]));
    assert!(fits(Some(9)).unwrap_err().contains("no manifest"));
    fs::remove_file(&base).unwrap();
    assert_eq!(fits(None), Ok(()));
}

#[test]
fn a_file_of_a_newer_version() {
    let place = Place::new("newer");
    place.list(&[1]);
    let path = place.records(1);
    write(&path, &numbered(3));
    let whole = fs::read(&path).unwrap();
    let text = String::from_utf8(whole).unwrap();
    let newer = text.replace("#tessera-block 1 ", "#tessera-block 2 ");
    fs::write(&path, &newer).unwrap();
    let error = recover(&place.0, true).unwrap_err();
    assert!(matches!(error, LogError::Newer { version: 2, .. }));
    assert_eq!(fs::read(&path).unwrap(), newer.as_bytes());
}

struct Node {
    log: Arc<Log>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    fn start(place: &Place, shards: usize) -> Self {
        let log = Arc::new(Log::new(shards));
        log.set_policy(SyncPolicy::Always);
        let mut keeper = Keeper::new(Arc::clone(&log), place.0.clone(), FsDisk::default(), || 0);
        match recover(&place.0, true).unwrap() {
            Some(recovered) => keeper.resume(&recovered).unwrap(),
            None => {
                let disk = &mut FsDisk::default();
                place.0.create(disk).unwrap();
                let mut manifest = keeper.old_manifest().unwrap();
                let base = b"REDIS0010";
                place.0.begin_with(disk, base, &mut manifest).unwrap();
                keeper.begin(manifest, 9).unwrap();
            }
        }
        let thread = Some(std::thread::spawn(|| keeper.run()));
        Self { log, thread }
    }

    fn set(&self, generation: u64, key: &str) {
        let mut chunk = Chunk::default();
        chunk.choose(0);
        chunk.generation = generation;
        chunk.command(&[b"SET", key.as_bytes(), b"1"]);
        self.log.push(&mut chunk);
    }

    fn wait(&self, is_so: impl Fn(&Log) -> bool) {
        while !is_so(&self.log) {
            std::thread::yield_now();
        }
    }

    fn sync(&self) {
        let handed = self.log.handed();
        self.wait(|log| log.durable() >= handed);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.log.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn all_keys(place: &Place) -> Vec<String> {
    let recovered = recover(&place.0, true).unwrap().unwrap();
    let all = recovered.records.iter().flat_map(|path| keys(path));
    all.filter(|key| key != "0").collect()
}

#[test]
fn a_rewrite_holds_what_is_behind_its_position() {
    let place = Place::new("rewrite");
    let node = Node::start(&place, 2);
    node.set(0, "a");
    node.sync();
    assert!(node.log.must_wait().is_none());
    // The first shard has reached the position, the second one has not.
    node.log.switch(1);
    node.set(1, "c");
    node.set(0, "b");
    assert!(node.log.must_wait().is_some() && node.log.is_switching());
    node.log.switch(1);
    node.sync();
    assert_eq!(all_keys(&place), ["a", "b", "c"]);
    assert_eq!(keys(&place.records(1))[1..], ["a", "b"]);
    fs::write(
        place.0.path.join(place.0.unfinished_base()),
        b"REDIS0010new",
    )
    .unwrap();
    node.log.base_done(true);
    node.wait(|log| log.status().rewrites == 1);
    assert_eq!(all_keys(&place), ["c"]);
    assert!(!place.records(1).exists());
    let recovered = recover(&place.0, true).unwrap().unwrap();
    assert_eq!(fs::read(recovered.base.unwrap()).unwrap(), b"REDIS0010new");
    node.log.base_done(false);
    node.wait(|log| log.status().failed_rewrites == 1);
    drop(node);
    let node = Node::start(&place, 1);
    node.set(0, "d");
    node.sync();
    assert_eq!(all_keys(&place), ["c", "d"]);
}

#[test]
fn what_cannot_be_written_is_made_good() {
    let place = Place::new("full");
    let node = Node::start(&place, 1);
    node.set(0, "a");
    node.sync();
    // The next file cannot be made: a folder has its name.
    fs::create_dir(place.records(2)).unwrap();
    node.log.switch(1);
    node.set(1, "lost");
    node.wait(Log::has_failed);
    assert!(node.log.errno() != 0 && node.log.must_wait().is_none());
    assert!(node.log.durable() < node.log.handed());
    fs::remove_dir(place.records(2)).unwrap();
    node.log.switch(2);
    node.set(2, "b");
    node.wait(|log| log.queued_bytes() == 0);
    assert!(node.log.has_failed(), "there is a hole");
    assert!(node.log.durable() < node.log.handed());
    assert_eq!(all_keys(&place), ["a"]);
    fs::write(
        place.0.path.join(place.0.unfinished_base()),
        b"REDIS0010 lost",
    )
    .unwrap();
    node.log.base_done(true);
    node.wait(|log| !log.has_failed());
    assert_eq!(all_keys(&place), ["b"]);
}

#[test]
fn a_queue_that_is_too_long_is_told() {
    let place = Place::new("slow");
    let log = Arc::new(Log::new(1));
    let mut keeper = Keeper::new(Arc::clone(&log), place.0.clone(), FsDisk::default(), || 0);
    let mut manifest = keeper.old_manifest().unwrap();
    let disk = &mut FsDisk::default();
    let base = b"REDIS0010";
    place.0.begin_with(disk, base, &mut manifest).unwrap();
    keeper.begin(manifest, 9).unwrap();
    let value = vec![b'v'; 1 << 20];
    let push = |count| {
        for _ in 0..count {
            let mut chunk = Chunk::default();
            chunk.choose(0);
            chunk.command(&[b"SET", b"key", &value]);
            log.push(&mut chunk);
        }
    };
    push(63);
    assert!(!log.is_full() && log.queued_bytes() > 63 << 20);
    push(2);
    assert!(log.is_full());
    assert!(!keeper.step(), "nobody said stop");
    assert!(!log.is_full() && log.queued_bytes() == 0);
    // What is behind the position of a rewrite waits for the last shard.
    let mut chunk = Chunk::default();
    chunk.choose(0);
    chunk.generation = 1;
    chunk.command(&[b"SET", b"key", &value]);
    log.push(&mut chunk);
    keeper.step();
    assert!(log.queued_bytes() > 1 << 20);
    log.switch(1);
    keeper.step();
    assert_eq!(log.queued_bytes(), 0);
    assert_eq!(keys(&place.records(2)).len(), 2);
}
