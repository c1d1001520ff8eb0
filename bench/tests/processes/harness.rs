//! Servers on free ports in folders of their own, ended by their process ids; and runs of the tool.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_tessera-bench");
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A folder that is removed with its content.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tessera-bench-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server that ends with this.
pub(crate) struct Server {
    process: Child,
    port: u16,
    pub(crate) folder: Folder,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    /// redis-server with further directives.
    pub(crate) fn redis(directives: &[&str]) -> Self {
        let program = std::env::var("TESSERA_ORACLE").unwrap_or_else(|_| "redis-server".to_owned());
        Self::start(Path::new(&program), directives)
    }

    /// Ours with further directives.
    pub(crate) fn tessera(directives: &[&str]) -> Self {
        let beside = Path::new(BENCH).ancestors().nth(2).unwrap();
        let built = beside.join("release/tessera-server");
        let program = std::env::var("TESSERA_SERVER").map_or(built, PathBuf::from);
        assert!(
            program.exists(),
            "{} is not there: cargo build --release -p tessera-server",
            program.display()
        );
        Self::start(&program, directives)
    }

    fn start(program: &Path, directives: &[&str]) -> Self {
        const ATTEMPTS: usize = 5;
        // Somebody else may take the port between the look and the start.
        let attempt = |_| Self::attempt(program, directives);
        (0..ATTEMPTS)
            .find_map(attempt)
            .unwrap_or_else(|| panic!("{} does not start", program.display()))
    }

    fn attempt(program: &Path, directives: &[&str]) -> Option<Self> {
        let folder = Folder::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let process = Command::new(program)
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
            ])
            .arg(&folder.0)
            .arg("--unixsocket")
            .arg(folder.file("socket"))
            .args(directives)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self {
            process,
            port,
            folder,
        };
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if server.ask("PING").is_some() {
                return Some(server);
            }
            if server.process.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(POLL);
        }
        None
    }

    /// The first bytes of the answer to one inline command.
    pub(crate) fn ask(&self, line: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(format!("{line}\r\n").as_bytes()).ok()?;
        let mut answer = [0u8; 16 * 1024];
        let got = stream.read(&mut answer).ok()?;
        (got > 0).then(|| String::from_utf8_lossy(&answer[..got]).into_owned())
    }

    pub(crate) fn socket(&self) -> String {
        self.folder.file("socket").display().to_string()
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Runs the tool against it with some flags.
    pub(crate) fn bench(&self, flags: &str) -> Run {
        Run::start(&format!("-p {} {flags}", self.port)).end()
    }

    /// Starts the tool and does not wait for it.
    pub(crate) fn begin(&self, flags: &str) -> Begun {
        Run::start(&format!("-p {} {flags}", self.port))
    }

    /// Waits until the server says so.
    pub(crate) fn wait_until(&self, line: &str, done: impl Fn(&str) -> bool) {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.ask(line).is_some_and(|answer| done(&answer)) {
                return;
            }
            std::thread::sleep(POLL);
        }
        panic!("{line}: nothing came of it");
    }
}

/// A run that has begun.
pub(crate) struct Begun {
    process: Child,
    folder: Folder,
}

impl Begun {
    pub(crate) fn end(self) -> Run {
        let output = self.process.wait_with_output().unwrap();
        let json = std::fs::read_to_string(self.folder.file("results.json"));
        Run {
            status: output.status.code().expect("no signal ended it"),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            json: json.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap()),
        }
    }
}

/// What a run said.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) json: Value,
}

impl Run {
    /// Starts the tool. Words are separated by blanks; `~` stands for a blank within a word.
    pub(crate) fn start(flags: &str) -> Begun {
        let folder = Folder::new();
        let process = Command::new(BENCH)
            .args(flags.split_whitespace().map(|word| word.replace('~', " ")))
            .arg("--json-out-file")
            .arg(folder.file("results.json"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Begun { process, folder }
    }

    pub(crate) fn number(&self, pointer: &str) -> f64 {
        let value = self.json.pointer(pointer);
        value
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("{pointer} is {value:?}\n{}", self.stderr))
    }

    /// Checks the exit status and shows what was said when it is another.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The one line that an error is.
    #[track_caller]
    pub(crate) fn error_line(&self) -> &str {
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "{}", self.stderr);
        lines[0]
    }
}
