//! The program's arguments, read as redis-server reads its own: an optional file, `-` for standard input, then directives as options.
//!
//! Options are followed after the files, so that they have the last word.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use tessera_core::resp::split_args;
use tessera_persist::snapshot::Format;

use crate::config::{Line, Place};
use crate::session::{REDIS_VERSION, VERSION};

/// What is asked of the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Print this and end.
    Print(String),
    /// Serve.
    Serve(Arguments),
    /// Verify a snapshot, and perhaps cut off what is damaged.
    Check {
        /// The file.
        path: PathBuf,
        /// Whether to repair it.
        fixes: bool,
    },
    /// Write a snapshot in another format, or a snapshot as a log, or a log as a snapshot.
    Convert {
        /// The file.
        from: PathBuf,
        /// The one that is made.
        to: PathBuf,
        /// In which format: the other one without this.
        format: Option<Format>,
        /// As a log.
        is_log: bool,
    },
}

/// Where the configuration comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Arguments {
    /// A file.
    pub file: Option<PathBuf>,
    /// Standard input is read too.
    pub reads_stdin: bool,
    /// Directives given as options.
    pub lines: Vec<Line>,
}

/// Reads the arguments behind the program's name.
///
/// # Errors
/// A line that says which argument cannot be understood.
pub fn parse(args: &[Vec<u8>]) -> Result<Request, String> {
    match args.first().map(Vec::as_slice) {
        Some(b"-v" | b"--version") => return Ok(Request::Print(version())),
        Some(b"-h" | b"--help") => return Ok(Request::Print(help())),
        Some(b"check") => return check(&args[1..]),
        Some(b"convert") => return convert(&args[1..]),
        _ => {}
    }
    let mut arguments = Arguments::default();
    let mut rest = args;
    if let [first, after @ ..] = args
        && first.first() != Some(&b'-')
    {
        arguments.file = Some(PathBuf::from(String::from_utf8_lossy(first).into_owned()));
        rest = after;
    }
    let mut open: Option<Line> = None;
    for (index, arg) in rest.iter().enumerate() {
        let is_last = index + 1 == rest.len();
        // What follows an option directly is its value, whatever it looks like.
        let expects_value = open.as_ref().is_some_and(|line| line.words.len() == 1);
        if arg == b"-" && (is_last || index == 0) && !expects_value {
            arguments.reads_stdin = true;
        } else if arg.starts_with(b"--") && (!expects_value || open.as_ref().is_some_and(is_save)) {
            close(&mut arguments.lines, open.take());
            open = Some(option(arg)?);
        } else if let Some(line) = &mut open {
            line.words.push(arg.clone());
        } else {
            return Err(format!(
                "'{}' is no option: options start with --",
                String::from_utf8_lossy(arg)
            ));
        }
    }
    close(&mut arguments.lines, open);
    Ok(Request::Serve(arguments))
}

fn path_of(arg: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(arg))
}

/// `check FILE|DIR [--fix]`.
fn check(args: &[Vec<u8>]) -> Result<Request, String> {
    let (path, fixes) = match args {
        [path] => (path, false),
        [path, fix] | [fix, path] if fix == b"--fix" => (path, true),
        _ => return Err("usage: tessera-server check FILE|DIR [--fix]".to_owned()),
    };
    Ok(Request::Check {
        path: path_of(path),
        fixes,
    })
}

/// `convert IN OUT [--to native|rdb|log]`.
fn convert(args: &[Vec<u8>]) -> Result<Request, String> {
    const USAGE: &str = "usage: tessera-server convert IN OUT [--to native|rdb|log]";
    let (from, to, format, is_log) = match args {
        [from, to] => (from, to, None, false),
        [from, to, option, format] if option == b"--to" => {
            let (format, is_log) = match format.as_slice() {
                b"native" => (Some(Format::Native), false),
                b"rdb" => (Some(Format::Rdb), false),
                b"log" => (None, true),
                _ => return Err(USAGE.to_owned()),
            };
            (from, to, format, is_log)
        }
        _ => return Err(USAGE.to_owned()),
    };
    Ok(Request::Convert {
        from: path_of(from),
        to: path_of(to),
        format,
        is_log,
    })
}

fn is_save(line: &Line) -> bool {
    line.words[0].eq_ignore_ascii_case(b"save")
}

/// `--name`, or `--name value` in one argument.
fn option(arg: &[u8]) -> Result<Line, String> {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let split = split_args(&arg[2..], &mut bytes, &mut ends);
    let words: Vec<Vec<u8>> = ends
        .iter()
        .map(|&(start, end)| bytes[start..end].to_vec())
        .collect();
    if split.is_err() || words.is_empty() {
        return Err(format!("'{}' is no option", String::from_utf8_lossy(arg)));
    }
    Ok(Line {
        place: Place::Arguments,
        words,
    })
}

/// Ends a directive. `--save` alone means no saving.
fn close(lines: &mut Vec<Line>, line: Option<Line>) {
    if let Some(mut line) = line {
        if line.words.len() == 1 && is_save(&line) {
            line.words.push(Vec::new());
        }
        lines.push(line);
    }
}

fn version() -> String {
    format!(
        "Tessera server v={VERSION} redis={REDIS_VERSION} malloc=jemalloc bits={}",
        usize::BITS
    )
}

fn help() -> String {
    "\
Usage: tessera-server [/path/to/redis.conf] [options] [-]
       tessera-server - (read config from stdin)
       tessera-server check FILE|DIR [--fix]
       tessera-server convert IN OUT [--to native|rdb|log]
       tessera-server -v or --version
       tessera-server -h or --help

Every directive of the configuration file is an option as well, and overrides the file.

check verifies a snapshot of either format; --fix cuts off what is damaged and keeps it in a file beside it.
convert writes a snapshot in the other format. A configuration file with one of these names is given as ./check or ./convert.

Examples:
       tessera-server                        (the defaults: port 6379, one shard per core)
       tessera-server --port 7777 --shards 4
       tessera-server /etc/tessera/6379.conf
       tessera-server /etc/tessera/6379.conf --loglevel verbose -
       echo 'maxclients 100' | tessera-server -

Directives of our own:
       --shards <n>             threads that own keys and serve clients; 0 for one per core (default)
       --io-backend <name>      auto (default), uring or epoll
       --receive-buffers <n>    receive buffers per shard
       --stall-warning-ms <n>   log turns of a shard's loop that take longer; 0 for never"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Result<Arguments, String> {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        match parse(&args)? {
            Request::Serve(arguments) => Ok(arguments),
            Request::Print(text) => Err(text),
            other => Err(format!("{other:?}")),
        }
    }

    fn lines(args: &[&str]) -> Vec<String> {
        let arguments = of(args).unwrap();
        arguments
            .lines
            .iter()
            .map(|line| String::from_utf8(line.words.join(&b'|')).unwrap())
            .collect()
    }

    #[test]
    fn files_and_options() {
        assert_eq!(of(&[]).unwrap(), Arguments::default());
        let arguments = of(&["a.conf", "--port", "7000", "-"]).unwrap();
        assert_eq!(arguments.file, Some(PathBuf::from("a.conf")));
        assert!(arguments.reads_stdin);
        assert!(of(&["-", "--port", "7000"]).unwrap().reads_stdin);
        assert_eq!(
            lines(&["--port", "7000", "--bind", "a", "b", "--dir", "/x y"]),
            ["port|7000", "bind|a|b", "dir|/x y"]
        );
        assert_eq!(lines(&["--port 7000", "--hz", "5"]), ["port|7000", "hz|5"]);
        assert!(
            of(&["a.conf", "7000"])
                .unwrap_err()
                .contains("'7000' is no option")
        );
        assert!(of(&["--"]).unwrap_err().contains("is no option"));
    }

    #[test]
    fn values_that_look_like_options_and_options_without_values() {
        assert_eq!(
            lines(&["--requirepass", "--secret", "--port", "1"]),
            ["requirepass|--secret", "port|1"]
        );
        assert_eq!(lines(&["--save", "--port", "1"]), ["save|", "port|1"]);
        assert_eq!(lines(&["--save", ""]), ["save|"]);
        assert_eq!(lines(&["--port", "1", "--save"]), ["port|1", "save|"]);
        assert_eq!(lines(&["--appendonly"]), ["appendonly"]);
        assert_eq!(
            lines(&["--logfile", "-", "--hz", "1"]),
            ["logfile|-", "hz|1"]
        );
    }

    #[test]
    fn files_are_checked_and_converted() {
        assert_eq!(
            of(&["check", "--fix", "a b"]).unwrap_err(),
            "Check { path: \"a b\", fixes: true }"
        );
        assert_eq!(
            of(&["convert", "a", "b", "--to", "rdb"]).unwrap_err(),
            "Convert { from: \"a\", to: \"b\", format: Some(Rdb), is_log: false }"
        );
        for wrong in [
            &["check"][..],
            &["check", "a", "--force"],
            &["convert", "a"],
            &["convert", "a", "b", "--to", "text"],
        ] {
            assert!(of(wrong).unwrap_err().starts_with("usage: "), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_printed() {
        assert!(of(&["-v"]).unwrap_err().starts_with("Tessera server v="));
        assert!(
            of(&["--help"])
                .unwrap_err()
                .starts_with("Usage: tessera-server ")
        );
    }
}
