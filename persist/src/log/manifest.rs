//! The manifest: which files are the log, in Redis 7's lines `file <name> seq <number> type b|i|h`.
//!
//! At most one base, then the files with records in ascending order; those of type `h` were replaced by a base and wait to be removed.

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// All keys of one moment.
    Base,
    /// Records since.
    Records,
    /// What is not needed any more.
    History,
}

/// A file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// Its name in the folder.
    pub name: String,
    /// Its number among those of its role.
    pub number: u64,
    /// Its role.
    pub role: Role,
}

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The base.
    pub base: Option<LogPart>,
    /// The records, in order.
    pub records: Vec<LogPart>,
    /// Files to be removed.
    pub history: Vec<LogPart>,
    /// The highest number of a base so far.
    pub last_base: u64,
}

/// The words of a line, one of which may be in quotes.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut rest) = (Vec::new(), line.trim());
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (mut word, mut chars) = (String::new(), quoted.char_indices());
            loop {
                match chars.next()? {
                    (at, '"') => {
                        rest = quoted[at + 1..].trim_start();
                        break;
                    }
                    (_, '\\') => word.push(chars.next()?.1),
                    (_, letter) => word.push(letter),
                }
            }
            words.push(word);
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
        }
    }
    Some(words)
}

impl Manifest {
    /// Reads the text. The error is the line, from 1, and what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut manifest = Manifest::default();
        let mut lines = 0;
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let at = index + 1;
            lines += 1;
            let part = part_of(line).map_err(|why| (at, why))?;
            match part.role {
                Role::Base if manifest.base.is_some() => {
                    return Err((at, "there is a second base"));
                }
                Role::Base => manifest.base = Some(part),
                Role::Records => {
                    let last = manifest.records.last();
                    if last.is_some_and(|last| last.number >= part.number) {
                        return Err((at, "the files with records are not in ascending order"));
                    }
                    manifest.records.push(part);
                }
                Role::History => manifest.history.push(part),
            }
        }
        if lines == 0 {
            return Err((0, "it names no file"));
        }
        manifest.last_base = manifest.base.as_ref().map_or(0, |base| base.number);
        Ok(manifest)
    }

    /// The text.
    pub(super) fn text(&self) -> String {
        let base = self.base.iter().map(|part| (part, 'b'));
        let history = self.history.iter().map(|part| (part, 'h'));
        let records = self.records.iter().map(|part| (part, 'i'));
        let line = |(part, role): (&LogPart, char)| {
            let name = match part.name.contains([' ', '"', '\\', '\t']) {
                true => format!("{:?}", part.name),
                false => part.name.clone(),
            };
            format!("file {name} seq {} type {role}\n", part.number)
        };
        base.chain(history).chain(records).map(line).collect()
    }

    /// The number of the next file with records.
    pub(super) fn next_records(&self) -> u64 {
        self.records.last().map_or(1, |last| last.number + 1)
    }
}

fn part_of(line: &str) -> Result<LogPart, &'static str> {
    let words = words(line).ok_or("a quote is not closed")?;
    let (mut name, mut number, mut role) = (None, None, None);
    for pair in words.chunks(2) {
        let [key, value] = pair else {
            return Err("a word has no value");
        };
        match key.to_ascii_lowercase().as_str() {
            "file" => name = Some(value.clone()),
            "seq" => number = value.parse::<u64>().ok().filter(|number| *number > 0),
            "type" => {
                role = match value.as_str() {
                    "b" => Some(Role::Base),
                    "i" => Some(Role::Records),
                    "h" => Some(Role::History),
                    _ => None,
                }
            }
            // Redis skips what it does not know.
            _ => {}
        }
    }
    let name = name.filter(|name| !name.is_empty() && !name.contains('/'));
    Ok(LogPart {
        name: name.ok_or("it names no file, or one of another folder")?,
        number: number.ok_or("it has no number")?,
        role: role.ok_or("it has no type that is known")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_redis_writes_them() {
        let text = "file a.aof.2.base.rdb seq 2 type b\nfile a.aof.3.incr.aof seq 3 type h\n\
                    file \"a \\\"b\\\".aof.4.incr.aof\" seq 4 type i\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.base.as_ref().unwrap().number, 2);
        assert_eq!(manifest.records[0].name, "a \"b\".aof.4.incr.aof");
        assert_eq!((manifest.next_records(), manifest.last_base), (5, 2));
        assert_eq!(manifest.text(), text);
        assert_eq!(Manifest::parse(&format!("# x\n{text}")), Ok(manifest));
    }

    #[test]
    fn lines_that_are_none() {
        for (text, line) in [
            ("", 0),
            ("file a seq 1 type b\nfile b seq 2 type b\n", 2),
            ("file a seq 2 type i\nfile b seq 2 type i\n", 2),
            ("file a seq 0 type i\n", 1),
            ("file a seq 1 type x\n", 1),
            ("file a seq 1\n", 1),
            ("seq 1 type i\n", 1),
            ("file ../a seq 1 type i\n", 1),
            ("file \"a seq 1 type i\n", 1),
            ("file a seq 1 type\n", 1),
        ] {
            assert_eq!(Manifest::parse(text).unwrap_err().0, line, "{text}");
        }
    }
}
