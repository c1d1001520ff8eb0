//! EVAL in the simulator: a script that runs its arguments as commands, one per line, whether it has declared their keys or not.
//!
//! To the oracle it is these commands, one after the other, with nothing between.

use super::command::{Command, Verb};
use super::model::Model;
use super::reply::Answer;
use super::word::Word;

/// Runs each argument as a command.
pub const CODE: &str = "local all = {} for i = 1, #ARGV do local words = {} for word in string.gmatch(ARGV[i], '%S+') do words[#words + 1] = word end all[i] = redis.pcall(unpack(words)) end return all";
/// The same, so slowly that it is paused before the last one.
pub const SLOW_CODE: &str = "local all = {} for i = 1, #ARGV do if i == #ARGV then for j = 1, 60000 do end end local words = {} for word in string.gmatch(ARGV[i], '%S+') do words[#words + 1] = word end all[i] = redis.pcall(unpack(words)) end return all";

/// What scripts call.
pub const CALLED: &[Verb] = &[
    Verb::Append,
    Verb::Copy,
    Verb::DbSize,
    Verb::Del,
    Verb::Exists,
    Verb::Get,
    Verb::HGetAll,
    Verb::HIncrBy,
    Verb::HSet,
    Verb::Incr,
    Verb::LLen,
    Verb::LMove,
    Verb::LPop,
    Verb::LPush,
    Verb::Mget,
    Verb::Mset,
    Verb::Rename,
    Verb::RPush,
    Verb::SAdd,
    Verb::Set,
    Verb::SInterStore,
    Verb::SMembers,
    Verb::SMove,
    Verb::XAdd,
    Verb::XLen,
    Verb::ZAdd,
    Verb::ZUnionStore,
];

/// The arguments of an EVAL.
#[must_use]
pub fn request(code: &str, declared: &[Word], called: &[Command]) -> Vec<Word> {
    let head = [Word::from(code), Word::from(declared.len().to_string())];
    let lines = called.iter().map(|command| Word::from(command.to_string()));
    head.into_iter()
        .chain(declared.iter().cloned())
        .chain(lines)
        .collect()
}

/// What a script is asked to call.
fn called(args: &[Word]) -> Vec<Command> {
    let declared = args[1].integer().and_then(|it| usize::try_from(it).ok());
    let lines = &args[2 + declared.unwrap_or(0)..];
    let parsed = |line: &Word| Command::parse(&String::from_utf8_lossy(line));
    lines.iter().map(parsed).collect()
}

/// The commands that a command is made of: those that a script calls, or itself.
#[must_use]
pub fn parts(command: &Command) -> Vec<Command> {
    match command.verb {
        Verb::Eval => called(&command.args),
        _ => vec![command.clone()],
    }
}

impl Model {
    /// EVAL.
    pub(super) fn run_script(&mut self, db: usize, args: &[Word]) -> Answer {
        let called = called(args);
        Answer::Each(
            called
                .iter()
                .map(|command| self.apply(db, command))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_after_the_other() {
        let lines = ["SET a 1", "INCR a", "RPUSH a x", "MGET a b"].map(Command::parse);
        let args = request(CODE, &[Word::from("a")], &lines);
        assert_eq!(args.len(), 3 + lines.len());
        let mut model = Model::default();
        let answer = model.apply(0, &Command::new(Verb::Eval, args)).to_string();
        assert!(
            answer.starts_with("[+OK, :2, -WRONGTYPE Operation against a "),
            "{answer}"
        );
        assert!(answer.ends_with(", [\"2\", null]]"), "{answer}");
    }
}
