//! What all shards share: scripts and libraries by name, and which scripts run for long.
//!
//! Reached once per EVALSHA or FCALL and when something changes; machines keep what they have compiled and look at two counters.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::audience::Audience;
use super::library::{Function, Library};
use super::machine::{Stop, sha1_hex};
use super::shebang::{self, flags};

/// A script.
#[derive(Debug)]
pub struct Script {
    /// SHA-1 of its text, 40 hex digits.
    pub sha: Box<str>,
    /// Its text without the `#!` line.
    pub code: Box<[u8]>,
    /// Its flags, if it has that line.
    pub flags: Option<u32>,
}

impl Script {
    /// A script that has not been compiled.
    ///
    /// # Errors
    /// Redis's words about the `#!` line.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<u8>> {
        let (flags, code) = shebang::of_script(text)?;
        Ok(Script {
            sha: sha1_hex(text),
            code: code.into(),
            flags,
        })
    }

    /// Whether it says that it never writes.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.flags.is_some_and(|bits| bits & flags::NO_WRITES != 0)
    }
}

/// A script that has run for more than a slice.
#[derive(Debug)]
pub struct Busy {
    /// The name of the function, if it is one.
    pub function: Option<Box<[u8]>>,
    /// The command that runs it.
    pub command: Vec<Box<[u8]>>,
    /// When it began, milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Its keys, in order.
    pub(crate) keys: Vec<Box<[u8]>>,
    /// It holds all keys there are.
    pub(crate) has_all: bool,
    has_written: AtomicBool,
    /// It is past `busy-reply-threshold`.
    is_late: AtomicBool,
    kill: AtomicBool,
}

impl Busy {
    /// What FUNCTION STATS calls it: the function, or the command's argument.
    #[must_use]
    pub fn name(&self) -> Box<[u8]> {
        let argument = || self.command.get(1).cloned().unwrap_or_default();
        self.function.clone().unwrap_or_else(argument)
    }

    pub(crate) fn wrote(&self) {
        self.has_written.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stop(&self) -> Option<Stop> {
        self.kill.load(Ordering::Relaxed).then_some(Stop::Kill)
    }
}

/// Who wants to end scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kill {
    /// SCRIPT KILL.
    Script,
    /// FUNCTION KILL.
    Function,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Killed {
    /// They will end.
    Yes,
    /// None runs.
    NotBusy,
    /// They have written.
    Unkillable,
    /// Functions run, not scripts.
    AreFunctions,
    /// Scripts run, not functions.
    AreScripts,
}

#[derive(Default)]
struct Libraries {
    all: BTreeMap<Box<[u8]>, Arc<Library>>,
    /// By the names in small letters: FCALL does not tell them from large ones.
    functions: HashMap<Vec<u8>, Arc<Function>>,
}

impl Libraries {
    fn index(&mut self) {
        self.functions.clear();
        for library in self.all.values() {
            for what in &library.functions {
                let function = Function {
                    what: what.clone(),
                    library: library.name.clone(),
                };
                let name = what.name.to_ascii_lowercase();
                self.functions.insert(name, Arc::new(function));
            }
        }
    }
}

/// See the head of this file.
#[derive(Default)]
pub struct Node {
    /// Who listens to messages.
    pub audience: Audience,
    scripts: RwLock<HashMap<Box<str>, Arc<Script>>>,
    /// How often all scripts were forgotten.
    flushes: AtomicU64,
    libraries: RwLock<Libraries>,
    /// How often libraries changed.
    changes: AtomicU64,
    running: Mutex<Vec<Arc<Busy>>>,
    /// How many of these are late.
    late: AtomicUsize,
}

impl Node {
    pub(crate) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    pub(crate) fn library_changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// A script by its name, in any case.
    #[must_use]
    pub fn script(&self, sha: &[u8]) -> Option<Arc<Script>> {
        let name = std::str::from_utf8(sha).ok()?.to_ascii_lowercase();
        let scripts = self.scripts.read().unwrap_or_else(PoisonError::into_inner);
        scripts.get(&*name).cloned()
    }

    /// Keeps a script that could be compiled.
    pub fn keep(&self, script: Arc<Script>) {
        let mut scripts = self.scripts.write().unwrap_or_else(PoisonError::into_inner);
        scripts.insert(script.sha.clone(), script);
    }

    /// Forgets all scripts.
    pub fn flush_scripts(&self) {
        let mut scripts = self.scripts.write().unwrap_or_else(PoisonError::into_inner);
        scripts.clear();
        self.flushes.fetch_add(1, Ordering::Release);
    }

    /// Number of scripts and bytes of their texts.
    #[must_use]
    pub fn script_figures(&self) -> (usize, usize) {
        let scripts = self.scripts.read().unwrap_or_else(PoisonError::into_inner);
        let bytes =
            |script: &Arc<Script>| script.code.len() + script.sha.len() * 2 + size_of::<Script>();
        (scripts.len(), scripts.values().map(bytes).sum())
    }

    /// A function by its name.
    #[must_use]
    pub fn function(&self, name: &[u8]) -> Option<Arc<Function>> {
        let libraries = self
            .libraries
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        libraries.functions.get(&name.to_ascii_lowercase()).cloned()
    }

    /// All libraries, by name.
    #[must_use]
    pub fn libraries(&self) -> Vec<Arc<Library>> {
        let libraries = self
            .libraries
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        libraries.all.values().cloned().collect()
    }

    /// Number of libraries and functions, and bytes of the code.
    #[must_use]
    pub fn library_figures(&self) -> (usize, usize, usize) {
        let libraries = self
            .libraries
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let bytes = libraries.all.values().map(|library| library.source.len());
        (libraries.all.len(), libraries.functions.len(), bytes.sum())
    }

    /// Whether there is a library of this name.
    #[must_use]
    pub fn has_library(&self, name: &[u8]) -> bool {
        let libraries = self.libraries.read();
        libraries
            .unwrap_or_else(PoisonError::into_inner)
            .all
            .contains_key(name)
    }

    /// Adds libraries, all or none; `replaces`: in place of those of the same name; `flushes`: of all.
    ///
    /// # Errors
    /// Redis's words, those of FUNCTION RESTORE, for names that are taken.
    pub fn add_libraries(
        &self,
        new: Vec<Library>,
        replaces: bool,
        flushes: bool,
    ) -> Result<(), Vec<u8>> {
        let mut libraries = self
            .libraries
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut all = if flushes {
            BTreeMap::new()
        } else {
            libraries.all.clone()
        };
        for library in new {
            if !replaces && all.contains_key(&library.name) {
                return Err([b"ERR Library ", &library.name[..], b" already exists"].concat());
            }
            all.remove(&library.name);
            let names = all.values().flat_map(|library| &library.functions);
            let taken: Vec<&[u8]> = names.map(|function| &*function.name).collect();
            for function in &library.functions {
                let is_same = |name: &&[u8]| name.eq_ignore_ascii_case(&function.name);
                if taken.iter().any(is_same) {
                    return Err([b"ERR Function ", &function.name[..], b" already exists"].concat());
                }
            }
            all.insert(library.name.clone(), Arc::new(library));
        }
        libraries.all = all;
        libraries.index();
        self.changes.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Removes a library. Says whether it was there.
    pub fn remove_library(&self, name: &[u8]) -> bool {
        let mut libraries = self
            .libraries
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let was_there = libraries.all.remove(name).is_some();
        libraries.index();
        self.changes.fetch_add(1, Ordering::Release);
        was_there
    }

    /// Removes all libraries.
    pub fn flush_libraries(&self) {
        let mut libraries = self
            .libraries
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *libraries = Libraries::default();
        self.changes.fetch_add(1, Ordering::Release);
    }

    fn running(&self) -> MutexGuard<'_, Vec<Arc<Busy>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a script that goes on after its first slice.
    pub(crate) fn enter(
        &self,
        function: Option<Box<[u8]>>,
        command: Vec<Box<[u8]>>,
        started_ms: u64,
        keys: Option<Vec<Box<[u8]>>>,
    ) -> Arc<Busy> {
        let busy = Arc::new(Busy {
            function,
            command,
            started_ms,
            has_all: keys.is_none(),
            keys: keys.unwrap_or_default(),
            has_written: AtomicBool::new(false),
            is_late: AtomicBool::new(false),
            kill: AtomicBool::new(false),
        });
        self.running().push(busy.clone());
        busy
    }

    /// It has ended.
    pub(crate) fn leave(&self, busy: &Arc<Busy>) {
        self.running().retain(|other| !Arc::ptr_eq(other, busy));
        if busy.is_late.load(Ordering::Relaxed) {
            self.late.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// It is past `busy-reply-threshold`.
    pub(crate) fn is_late(&self, busy: &Busy) {
        if !busy.is_late.swap(true, Ordering::Relaxed) {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Scripts that have run for more than a slice, the oldest first.
    #[must_use]
    pub fn busy(&self) -> Vec<Arc<Busy>> {
        self.running().clone()
    }

    /// Whether some script is past `busy-reply-threshold`.
    #[must_use]
    pub fn has_late(&self) -> bool {
        self.late.load(Ordering::Relaxed) > 0
    }

    /// What everybody is told meanwhile, without the leading `-`.
    #[must_use]
    pub fn late_refusal(&self) -> Option<&'static str> {
        let running = self.running();
        let late = running
            .iter()
            .find(|busy| busy.is_late.load(Ordering::Relaxed));
        late.map(|busy| busy_text(busy))
    }

    /// The reply to a command that would have to wait for a late script. `keys`: its own; `None`: all there are.
    pub(crate) fn refusal(&self, keys: Option<&[&[u8]]>) -> Option<&'static str> {
        if !self.has_late() {
            return None;
        }
        let holds = |busy: &&Arc<Busy>| {
            let is_held =
                |key: &&[u8]| busy.keys.binary_search_by(|held| (**held).cmp(key)).is_ok();
            let is_one = match keys {
                None => busy.has_all || !busy.keys.is_empty(),
                Some(keys) => busy.has_all || keys.iter().any(is_held),
            };
            busy.is_late.load(Ordering::Relaxed) && is_one
        };
        let running = self.running();
        running.iter().find(holds).map(|busy| busy_text(busy))
    }

    /// Ends all scripts, or functions, that have not written.
    pub fn kill(&self, kill: Kill) -> Killed {
        let running = self.running();
        let is_its = |busy: &&Arc<Busy>| busy.function.is_some() == (kill == Kill::Function);
        let mut killed = None;
        for busy in running.iter().filter(is_its) {
            if busy.has_written.load(Ordering::Relaxed) {
                killed = killed.or(Some(Killed::Unkillable));
                continue;
            }
            busy.kill.store(true, Ordering::Relaxed);
            killed = Some(Killed::Yes);
        }
        match (killed, running.is_empty(), kill) {
            (Some(killed), ..) => killed,
            (None, true, _) => Killed::NotBusy,
            (None, false, Kill::Script) => Killed::AreFunctions,
            (None, false, Kill::Function) => Killed::AreScripts,
        }
    }
}

fn busy_text(busy: &Busy) -> &'static str {
    if busy.function.is_some() {
        "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
    } else {
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_that_have_not_written_are_killed() {
        let node = Node::default();
        assert_eq!(node.kill(Kill::Script), Killed::NotBusy);
        let busy = node.enter(None, Vec::new(), 0, Some(vec![b"k"[..].into()]));
        assert_eq!(node.kill(Kill::Function), Killed::AreScripts);
        assert_eq!(
            (node.kill(Kill::Script), busy.stop()),
            (Killed::Yes, Some(Stop::Kill))
        );
        let other = node.enter(Some(b"f"[..].into()), Vec::new(), 0, None);
        other.wrote();
        assert_eq!(node.kill(Kill::Function), Killed::Unkillable);
        node.leave(&busy);
        assert_eq!(node.kill(Kill::Script), Killed::AreFunctions);
        node.leave(&other);
        assert!(node.busy().is_empty());
    }

    #[test]
    fn who_waits_for_a_late_script_is_told() {
        let node = Node::default();
        let busy = node.enter(None, Vec::new(), 0, Some(vec![b"k"[..].into()]));
        assert!(node.refusal(Some(&[b"k"])).is_none());
        assert!(!node.has_late() && node.late_refusal().is_none());
        node.is_late(&busy);
        assert!(node.has_late() && node.late_refusal().is_some());
        assert!(
            node.refusal(Some(&[b"k"]))
                .is_some_and(|text| text.contains("SCRIPT KILL"))
        );
        assert!(node.refusal(Some(&[b"j"])).is_none() && node.refusal(None).is_some());
        node.leave(&busy);
        assert!(node.refusal(Some(&[b"k"])).is_none());
    }

    #[test]
    fn libraries_come_together_or_not_at_all() {
        let library = |name: &str, function: &str| Library {
            name: name.as_bytes().into(),
            source: (*b"").into(),
            code: (*b"").into(),
            functions: vec![super::super::library::Registered {
                name: function.as_bytes().into(),
                description: None,
                flags: 0,
            }],
        };
        let node = Node::default();
        node.add_libraries(vec![library("a", "f")], false, false)
            .expect("free names");
        let taken = node.add_libraries(vec![library("b", "g"), library("c", "f")], false, false);
        assert_eq!(taken, Err(b"ERR Function f already exists".to_vec()));
        assert!(node.function(b"g").is_none());
        let taken = node.add_libraries(vec![library("a", "h")], false, false);
        assert_eq!(taken, Err(b"ERR Library a already exists".to_vec()));
        node.add_libraries(vec![library("a", "h")], true, false)
            .expect("replaced");
        assert!(node.function(b"f").is_none() && node.function(b"h").is_some());
        assert!(node.remove_library(b"a") && !node.remove_library(b"a"));
        assert_eq!(node.library_figures(), (0, 0, 0));
    }
}
