//! A child process that cannot outlive its owner: killed by pid and reaped on drop, also when the
//! test that owns it panics. Its two output streams go to files, to be read while it runs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::deadline::happens_within;

/// A running (or ended) child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// What to ask a process to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// The polite request to end.
    Terminate,
}

impl Process {
    /// Starts `command` with its output in files under `folder`.
    pub fn spawn(command: &mut Command, folder: &Path) -> std::io::Result<Self> {
        let stdout = folder.join("stdout.log");
        let stderr = folder.join("stderr.log");
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .spawn()?;
        Ok(Self {
            child,
            stdout,
            stderr,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it wrote to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("the child is ours to wait for")
    }

    /// Waits up to `limit` for it to end.
    pub fn wait_end(&mut self, limit: Duration) -> Option<ExitStatus> {
        happens_within(limit, || self.ended().is_some());
        self.ended()
    }

    /// Ends it at once, without a chance to do anything, and waits for that.
    pub fn kill(&mut self) {
        // One that has ended already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal, by pid.
    pub fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Interrupt => "INT",
            Signal::Terminate => "TERM",
        };
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {}", self.pid()))
            .status()
            .expect("sh runs");
        assert!(status.success(), "no process {} to signal", self.pid());
    }

    /// Resident memory in bytes, from /proc.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.memory_bytes("status", "VmRSS:")
    }

    /// Memory on huge pages in bytes, from /proc.
    #[must_use]
    pub fn huge_bytes(&self) -> u64 {
        self.memory_bytes("smaps_rollup", "AnonHugePages:")
    }

    fn memory_bytes(&self, file: &str, name: &str) -> u64 {
        let kib = text(Path::new(&format!("/proc/{}/{file}", self.pid())))
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|number| number.trim().parse::<u64>().ok())
            .unwrap_or_else(|| panic!("a live process has {name} in {file}"));
        kib * 1024
    }

    /// Processor time used so far by all its threads, in clock ticks (100 per second).
    #[must_use]
    pub fn cpu_ticks(&self) -> u64 {
        let stat = text(Path::new(&format!("/proc/{}/stat", self.pid())));
        let after_name = stat.rsplit(')').next().expect("stat has a name");
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<u64>().expect("a number of ticks");
        ticks(11) + ticks(12)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file's text as far as it exists; not every byte a server logs is UTF-8.
fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
