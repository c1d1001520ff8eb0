//! What /proc knows about a process on this machine: CPU time, memory, command line, allowed CPUs; and
//! the machine itself.

use std::fs;

use crate::error::BenchError;

/// Microseconds in a second.
const SECOND_US: u64 = 1_000_000;

/// A process on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// The process with this number, when there is one.
    #[must_use]
    pub fn find(pid: u32) -> Option<Self> {
        fs::metadata(format!("/proc/{pid}/stat"))
            .ok()
            .map(|_| Self { pid })
    }

    /// This process.
    #[must_use]
    pub fn own() -> Self {
        Self {
            pid: std::process::id(),
        }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// User and system time of all its threads so far, in microseconds; the kernel rounds to ticks of 10 ms.
    #[must_use]
    pub fn cpu_us(&self) -> Option<u64> {
        let ticks = cpu_ticks(&self.read("stat")?)?;
        Some(ticks * SECOND_US / rustix::param::clock_ticks_per_second())
    }

    /// Resident memory in bytes.
    #[must_use]
    pub fn rss_bytes(&self) -> Option<u64> {
        let status = self.read("status")?;
        let kilobytes = status_field(&status, "VmRSS")?.strip_suffix("kB")?.trim();
        Some(kilobytes.parse::<u64>().ok()? * 1024)
    }

    /// The CPUs it may run on, as the kernel lists them (`0-3,5`).
    #[must_use]
    pub fn cpus_allowed(&self) -> Option<String> {
        status_field(&self.read("status")?, "Cpus_allowed_list").map(str::to_owned)
    }

    /// The command line, words separated by blanks, paths cut to their last part.
    #[must_use]
    pub fn command_line(&self) -> Option<String> {
        let raw = self.read("cmdline")?;
        let words = raw
            .strip_suffix('\0')
            .unwrap_or(&raw)
            .split('\0')
            .map(quoted)
            .collect::<Vec<_>>();
        Some(without_path(words.join(" ")))
    }

    fn read(&self, file: &str) -> Option<String> {
        let bytes = fs::read(format!("/proc/{}/{file}", self.pid)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The words of a command line as a shell would need them.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+:./,@%*".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// A command line whose program has no folder: where it was built says nothing to a reader.
#[must_use]
pub fn without_path(line: String) -> String {
    let end = line.find(' ').unwrap_or(line.len());
    match line[..end].rfind('/') {
        Some(slash) => line[slash + 1..].to_owned(),
        None => line,
    }
}

/// CPU time this process has used, in nanoseconds.
#[must_use]
pub fn own_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * crate::clock::SECOND_NS + time.tv_nsec as u64
}

/// Time that all CPUs of this machine have been busy, in microseconds, whoever kept them so.
#[must_use]
pub fn machine_busy_us() -> Option<u64> {
    let ticks = busy_ticks(&fs::read_to_string("/proc/stat").ok()?)?;
    Some(ticks * SECOND_US / rustix::param::clock_ticks_per_second())
}

/// Memory that this machine can still give, in bytes.
#[must_use]
pub fn memory_available_bytes() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = status_field(&meminfo, "MemAvailable")?
        .strip_suffix("kB")?
        .trim();
    Some(kilobytes.parse::<u64>().ok()? * 1024)
}

/// How many CPUs this process may run on.
#[must_use]
pub fn own_cpus() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count() as usize)
}

/// Raises the limit of open files as far as the system allows and checks that `wanted` fit.
///
/// # Errors
/// With what to do, when they do not.
pub fn allow_open_files(wanted: u64) -> Result<(), BenchError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < maximum) {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            },
        )
        .map_err(|errno| {
            BenchError::system("cannot raise the limit of open files")(errno.into())
        })?;
    }
    if wanted > maximum {
        return Err(BenchError::Usage(format!(
            "{wanted} open files are needed and the hard limit is {maximum}: raise it (as root: `ulimit -Hn {wanted}` \
             in the shell that starts this, or LimitNOFILE= of the service), or use fewer connections"
        )));
    }
    Ok(())
}

/// `utime + stime` of a /proc/PID/stat line. The second field may hold blanks and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    // The state is field 3; utime and stime are 14 and 15.
    let utime: u64 = fields.nth(11)?.parse().ok()?;
    let stime: u64 = fields.next()?.parse().ok()?;
    Some(utime + stime)
}

/// Everything but idle and iowait of the first line of /proc/stat; guest time is part of user time.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line
        .split_ascii_whitespace()
        .map_while(|t| t.parse().ok())
        .collect();
    Some(ticks.get(..8)?.iter().sum::<u64>() - ticks[3] - ticks[4])
}

fn status_field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "12 (a b) c) S 1 2 3 4 5 6 7 8 9 10 70 30 0 0 20 0 1";
        assert_eq!(cpu_ticks(stat), Some(100));
        assert_eq!(cpu_ticks("12 (x) S 1"), None);
    }

    #[test]
    fn busy_time_leaves_idle_and_iowait_out() {
        let stat = "cpu  10 1 5 1000 500 2 3 4 7 8\ncpu0 1 1\n";
        assert_eq!(busy_ticks(stat), Some(25));
        assert!(machine_busy_us().is_some());
    }

    #[test]
    fn this_process_is_found() {
        let own = Process::own();
        assert_eq!(Process::find(own.pid()), Some(own));
        assert!(own.cpu_us().is_some());
        assert!(own.rss_bytes().unwrap() > 100_000);
        assert!(!own.cpus_allowed().unwrap().is_empty());
        assert!(!own.command_line().unwrap().contains("target/"));
        assert!(memory_available_bytes().unwrap() > 1_000_000);
        assert!(own_cpus() >= 1);
        assert!(own_cpu_ns() > 0);
        assert_eq!(Process::find(u32::MAX), None);
    }

    #[test]
    fn more_files_than_allowed_is_said_with_the_way_out() {
        let text = allow_open_files(u64::MAX).map_or_else(|e| e.to_string(), |()| String::new());
        assert!(text.is_empty() || text.contains("ulimit -Hn"), "{text}");
        assert!(allow_open_files(10).is_ok());
    }

    #[test]
    fn words_are_quoted_when_a_shell_needs_it() {
        assert_eq!(quoted("--save"), "--save");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a b's"), "'a b'\\''s'");
        assert_eq!(
            without_path("/a/b/server --port 1/2".to_owned()),
            "server --port 1/2"
        );
    }
}
