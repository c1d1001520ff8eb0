//! One step of the stream: a command, how its two replies are compared, what comes silently before.

use crate::command::{show, words};

/// A command's words.
pub type Command = Vec<Vec<u8>>;

/// How two replies are compared. Whatever the judge, an error must be the same error, byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// The same bytes.
    Exact,
    /// The same elements in any order.
    Unordered,
    /// Numbers that stand for a remaining time of this unit: the two servers got the command at
    /// slightly different moments.
    Remaining(Unit),
    /// Numbers that stand for a point in time: exact where the stream set it absolutely.
    Moment(Unit),
    /// The same kind of reply, any content.
    Kind,
    /// Both nothing, or both a number above 0.
    Positive,
    /// COMMAND INFO: without tips and key specifications, flags in any order.
    CommandInfo,
    /// HELLO: all but version and id.
    Hello,
    /// CLIENT INFO: the fields that say what the client did.
    ClientInfo,
    /// XINFO and XPENDING: without the times in them.
    Stream,
    /// Not one reply but a whole SCAN from cursor 0, compared as a set.
    Walk,
    /// RANDOMKEY: nothing on both sides, or a key that exists on its side.
    Member,
    /// The key in the last word goes away by itself: asked until it has.
    Vanish,
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As in TTL.
    Seconds,
    /// As in PTTL.
    Milliseconds,
}

/// A command and its judge.
#[derive(Debug, Clone)]
pub struct Step {
    /// Commands sent before, which give no reply.
    pub silent: Vec<Command>,
    /// Commands sent before in the same pipeline, each with one reply, which must be the same bytes: the begin of a transaction or of a subscription.
    pub spoken: Vec<Command>,
    /// The command.
    pub command: Command,
    /// Sent as an inline command instead of an array.
    pub inline: bool,
    /// How its replies are compared.
    pub judge: Judge,
}

impl Step {
    /// A step judged in this way.
    #[must_use]
    pub fn new(command: Command, judge: Judge) -> Self {
        Self {
            silent: Vec::new(),
            spoken: Vec::new(),
            command,
            inline: false,
            judge,
        }
    }

    /// A step with equal replies.
    #[must_use]
    pub fn exact(command: Command) -> Self {
        Self::new(command, Judge::Exact)
    }

    /// A step with equal replies, from text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::exact(words(text))
    }

    /// The command's name in capitals.
    #[must_use]
    pub fn name(&self) -> String {
        named(&self.command)
    }

    /// Whether it can stand in a pipeline; the others ask more than once.
    #[must_use]
    pub fn is_single(&self) -> bool {
        !matches!(self.judge, Judge::Walk | Judge::Member | Judge::Vanish)
    }

    /// Whether the connection is closed after its reply.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        self.name() == "QUIT"
    }

    /// Appends its bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for command in self.silent.iter().chain(&self.spoken) {
            crate::command::encode(command, out);
        }
        if self.inline {
            out.extend_from_slice(inline(&self.command).as_bytes());
            out.extend_from_slice(b"\r\n");
        } else {
            crate::command::encode(&self.command, out);
        }
    }

    /// The commands as one could type them.
    #[must_use]
    pub fn show(&self) -> String {
        let lines: Vec<String> = self
            .silent
            .iter()
            .chain(&self.spoken)
            .chain([&self.command])
            .map(|c| show(c))
            .collect();
        lines.join("\n")
    }
}

/// A command's name in capitals.
#[must_use]
pub fn named(command: &Command) -> String {
    let name = command.first().map_or(&[][..], Vec::as_slice);
    String::from_utf8_lossy(&name.to_ascii_uppercase()).into_owned()
}

/// The command in one line, each word quoted with escapes.
fn inline(command: &Command) -> String {
    let quoted = |word: &Vec<u8>| {
        let plain = !word.is_empty() && word.iter().all(u8::is_ascii_alphanumeric);
        if plain {
            return String::from_utf8_lossy(word).into_owned();
        }
        let escaped: String = word.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        format!("\"{escaped}\"")
    };
    command.iter().map(quoted).collect::<Vec<_>>().join(" ")
}
