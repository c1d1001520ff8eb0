//! The text of a family: a command per paragraph.
//!
//! ```text
//! bitpos key#0 bit:integer [range{start:integer [end_unit_block{end:integer [unit(BYTE|BIT)@7.0.0]}]}]
//!   7.0.0 The range may count bits.
//! substr key#0 start:integer end:integer
//!   deprecated 2.0.0 `GETRANGE`
//! debug
//!   syscmd
//! ```
//!
//! A line that begins with the full name of a command (`config|get`) goes on with its arguments, see `syntax`. Indented lines below it are
//! its history, what replaces it, and the flag of commands that are not for users. The order is that of the reply.

use std::collections::HashMap;

/// What a paragraph says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Docs {
    /// The arguments as text.
    pub syntax: &'static str,
    /// Versions, and what changed.
    pub history: Vec<(&'static str, &'static str)>,
    /// Since when it should not be used, and what to use.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// Whether it is the business of servers and tests only.
    pub is_internal: bool,
}

/// All commands that some families tell of.
pub struct Sheets {
    commands: HashMap<&'static str, Docs>,
}

impl Sheets {
    /// Reads the texts.
    ///
    /// # Panics
    /// When a text is not as it should be. They are part of the program, and a test reads them all.
    #[must_use]
    pub fn new(texts: impl IntoIterator<Item = &'static str>) -> Self {
        let mut commands = HashMap::new();
        for text in texts {
            let mut current: Option<(&str, Docs)> = None;
            for line in text.lines() {
                if let Some(remark) = line.strip_prefix("  ") {
                    let (_, docs) = current.as_mut().expect("a remark is below its command");
                    docs.add(remark);
                } else {
                    commands.extend(current.take());
                    let (name, syntax) = line.split_once(' ').unwrap_or((line, ""));
                    let docs = Docs {
                        syntax,
                        ..Docs::default()
                    };
                    current = Some((name, docs));
                }
            }
            commands.extend(current);
        }
        Sheets { commands }
    }

    /// What is known of the command of this full name, in lower case.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Docs> {
        self.commands.get(name)
    }

    /// The full names of all commands here.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.commands.keys().copied()
    }
}

impl Docs {
    fn add(&mut self, remark: &'static str) {
        match remark.split_once(' ') {
            None if remark == "syscmd" => self.is_internal = true,
            Some(("deprecated", rest)) => self.deprecated = rest.split_once(' '),
            Some(change) => self.history.push(change),
            None => panic!("{remark} is no remark"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs() {
        let sheets = Sheets::new([
            "one key#0 value\n  1.2.0 More.\n  2.0.0 Less.\n",
            "two\n  deprecated 3.0.0 `ONE`\n  syscmd\nbox|three x",
        ]);
        let one = Docs {
            syntax: "key#0 value",
            history: vec![("1.2.0", "More."), ("2.0.0", "Less.")],
            ..Docs::default()
        };
        assert_eq!(sheets.of("one"), Some(&one));
        let two = Docs {
            deprecated: Some(("3.0.0", "`ONE`")),
            is_internal: true,
            ..Docs::default()
        };
        assert_eq!(sheets.of("two"), Some(&two));
        assert_eq!(sheets.of("box|three").map(|docs| docs.syntax), Some("x"));
        assert_eq!(sheets.of("three"), None);
        assert_eq!(sheets.names().count(), 3);
    }
}
