//! Reads configuration files: lines, quotes, `include`, and what a line asks for.
//!
//! The program's arguments come as lines too, so that there is one way in. Reading stops at the first mistake.

use std::io;
use std::path::{Path, PathBuf};

use tessera_core::glob::glob_match;
use tessera_core::resp::split_args;

use crate::config::{Config, ConfigError, Place, Rename, find};

/// How deep files may include each other: more is a circle.
const INCLUDE_DEPTH_MAX: usize = 16;

/// A directive as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Where.
    pub place: Place,
    /// The name and what follows it.
    pub words: Vec<Vec<u8>>,
}

/// What text is read from.
pub enum Source<'a> {
    /// A file.
    File(&'a Path),
    /// Standard input.
    Stdin,
}

impl Source<'_> {
    fn place(&self, line: usize) -> Place {
        match self {
            Source::File(path) => Place::File(path.to_path_buf(), line),
            Source::Stdin => Place::Stdin(line),
        }
    }
}

impl Line {
    /// The line with a cause.
    pub(super) fn error(&self, cause: impl Into<String>) -> ConfigError {
        let text = String::from_utf8_lossy(&self.words.join(&b' ')).into_owned();
        ConfigError {
            place: self.place.clone(),
            text,
            cause: cause.into(),
        }
    }

    fn is(&self, name: &str) -> bool {
        self.words[0].eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The words of one line; `None` for a blank line or a comment.
pub(super) fn split_line(line: &[u8]) -> Result<Option<Vec<Vec<u8>>>, &'static str> {
    let line = line.trim_ascii();
    if line.is_empty() || line[0] == b'#' {
        return Ok(None);
    }
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    split_args(line, &mut bytes, &mut ends)
        .map_err(|_| "Unbalanced quotes in configuration line")?;
    let words: Vec<Vec<u8>> = ends
        .iter()
        .map(|&(start, end)| bytes[start..end].to_vec())
        .collect();
    Ok(if words.is_empty() { None } else { Some(words) })
}

/// The directives of a text.
///
/// # Errors
/// A line whose quotes are not closed.
pub fn read_lines(text: &[u8], source: &Source<'_>) -> Result<Vec<Line>, ConfigError> {
    let mut lines = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let place = source.place(index + 1);
        match split_line(line) {
            Ok(Some(words)) => lines.push(Line { place, words }),
            Ok(None) => {}
            Err(cause) => {
                let text = String::from_utf8_lossy(line.trim_ascii()).into_owned();
                return Err(ConfigError {
                    place,
                    text,
                    cause: cause.to_owned(),
                });
            }
        }
    }
    Ok(lines)
}

/// Follows the directives one after the other.
///
/// # Errors
/// The first that cannot be followed; `config` then has what stood before it.
pub fn load_lines(lines: &[Line], config: &mut Config) -> Result<(), ConfigError> {
    load(lines, config, 0)
}

/// Follows a file.
///
/// # Errors
/// If it cannot be read, with the system's cause; otherwise as `load_lines`.
pub fn load_file(path: &Path, config: &mut Config) -> Result<(), ConfigError> {
    let text = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    load(&read_lines(&text, &Source::File(path))?, config, 0)
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError {
        place: Place::Arguments,
        text: path.display().to_string(),
        cause: format!("cannot read the configuration file: {error}"),
    }
}

fn load(lines: &[Line], config: &mut Config, depth: usize) -> Result<(), ConfigError> {
    for line in lines {
        if line.is("include") {
            include(line, config, depth)?;
        } else {
            follow(line, config).map_err(|cause| line.error(cause))?;
        }
    }
    Ok(())
}

/// Follows one directive that is not `include`.
fn follow(line: &Line, config: &mut Config) -> Result<(), String> {
    let words: Vec<&[u8]> = line.words[1..].iter().map(Vec::as_slice).collect();
    if line.is("rename-command") {
        return rename_command(line, &words, config);
    }
    if line.is("user") {
        return Err("not supported yet in this version".to_owned());
    }
    if line.is("loadmodule") {
        return Err("modules are not supported".to_owned());
    }
    let row = find(&line.words[0]).ok_or("unknown directive")?;
    let value = match words.as_slice() {
        // `save "3600 1"` is the same as `save 3600 1`.
        [one] if row.takes_words() => row.parse_one(one, config),
        // `save` alone is the same as `save ""`.
        [] if row.takes_words() => row.parse_one(b"", config),
        [] => Err("wrong number of arguments".to_owned()),
        words => row.parse(words, config),
    }?;
    row.put(config, value);
    Ok(())
}

fn rename_command(line: &Line, words: &[&[u8]], config: &mut Config) -> Result<(), String> {
    let &[from, to] = words else {
        return Err("wrong number of arguments".to_owned());
    };
    config.renames.push(Rename {
        from: from.to_ascii_lowercase(),
        to: to.to_ascii_lowercase(),
        place: line.place.clone(),
    });
    Ok(())
}

fn include(line: &Line, config: &mut Config, depth: usize) -> Result<(), ConfigError> {
    let [_, pattern] = line.words.as_slice() else {
        return Err(line.error("wrong number of arguments"));
    };
    if depth == INCLUDE_DEPTH_MAX {
        return Err(line.error("files include each other in a circle"));
    }
    let files =
        included(pattern).map_err(|error| line.error(format!("cannot include: {error}")))?;
    for path in files {
        let text =
            std::fs::read(&path).map_err(|error| line.error(format!("cannot include: {error}")))?;
        load(&read_lines(&text, &Source::File(&path))?, config, depth + 1)?;
    }
    Ok(())
}

/// The files an `include` names: one, or those of a directory that match a pattern, in the order of their names.
fn included(pattern: &[u8]) -> io::Result<Vec<PathBuf>> {
    let path = PathBuf::from(String::from_utf8_lossy(pattern).into_owned());
    let name = path
        .file_name()
        .map(|name| name.as_encoded_bytes().to_vec())
        .unwrap_or_default();
    if !name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
        return Ok(vec![path]);
    }
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if glob_match(&name, entry.file_name().as_encoded_bytes()) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogLevel;

    fn config_of(text: &str) -> Result<Config, String> {
        let mut config = Config::default();
        let lines = read_lines(text.as_bytes(), &Source::File(Path::new("t.conf")))
            .map_err(|e| e.to_string())?;
        load_lines(&lines, &mut config).map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn comments_quotes_and_cases() {
        let config = config_of(
            "# a comment\n\n   # another\n\tPORT 7000\r\nloglevel \"warning\"\nrequirepass 'a b'\nlogfile \"\"\nbind 127.0.0.1 ::1\n\
             save \"\"\nrename-command FLUSHALL \"\"\nrename-command CONFIG c0nf\nhash-max-ziplist-entries 9",
        )
        .unwrap();
        assert_eq!(config.port, 7000);
        assert_eq!(config.log_level, LogLevel::Warning);
        assert_eq!(config.password.as_deref(), Some(&b"a b"[..]));
        assert_eq!(config.bind, [b"127.0.0.1".to_vec(), b"::1".to_vec()]);
        assert_eq!(config.renames.len(), 2);
        assert_eq!(
            config.renames[1],
            Rename {
                from: b"config".to_vec(),
                to: b"c0nf".to_vec(),
                place: Place::File("t.conf".into(), 11),
            }
        );
        let row = find(b"hash-max-listpack-entries").unwrap();
        assert_eq!(row.show(&row.get(&config)), b"9");
    }

    #[test]
    fn one_line_says_where_and_why() {
        for (text, error) in [
            (
                "port 7000\nfoo bar",
                "t.conf:2: 'foo bar': unknown directive",
            ),
            (
                "port foo",
                "t.conf:1: 'port foo': argument couldn't be parsed into an integer",
            ),
            ("\nport", "t.conf:2: 'port': wrong number of arguments"),
            (
                "port 1 2",
                "t.conf:1: 'port 1 2': wrong number of arguments",
            ),
            (
                "logfile \"a",
                "t.conf:1: 'logfile \"a': Unbalanced quotes in configuration line",
            ),
            (
                "loadmodule x.so",
                "t.conf:1: 'loadmodule x.so': modules are not supported",
            ),
        ] {
            assert_eq!(config_of(text).unwrap_err(), error);
        }
    }

    #[test]
    fn files_include_files() {
        let dir = std::env::temp_dir().join(format!("tessera-include-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let at = |name: &str| dir.join(name).display().to_string();
        std::fs::write(dir.join("a.part"), "port 1\ntimeout 5").unwrap();
        std::fs::write(dir.join("b.part"), "port 2").unwrap();
        std::fs::write(dir.join("circle"), format!("include {}", at("circle"))).unwrap();
        let config = config_of(&format!("include {}\ntimeout 7", at("*.part"))).unwrap();
        assert_eq!((config.port, config.idle_timeout_s), (2, 7));
        assert!(
            config_of(&format!("include {}", at("circle")))
                .unwrap_err()
                .ends_with("in a circle")
        );
        let missing = config_of(&format!("include {}", at("none"))).unwrap_err();
        assert!(
            missing.contains("cannot include: No such file"),
            "{missing}"
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
