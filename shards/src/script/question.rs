//! A question about the node or its connections that a script asks: INFO, SLOWLOG GET, PUBSUB NUMSUB, COMMAND, ... The front end answers it, with the help of the other
//! shards where it needs them; the script pauses until then, with its keys locked.

use std::sync::{Arc, OnceLock};

use tessera_core::resp::Proto;

use crate::command::Words;

/// Where the answer to a question comes. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub struct Answer(Arc<OnceLock<Vec<u8>>>);

impl Answer {
    /// The reply has come. A second one is dropped.
    pub fn give(&self, reply: &[u8]) {
        _ = self.0.set(reply.to_vec());
    }

    /// The reply, if it has come.
    #[must_use]
    pub fn get(&self) -> Option<&[u8]> {
        self.0.get().map(Vec::as_slice)
    }
}

/// See the head of this file.
#[derive(Debug)]
pub struct Question {
    /// Number of the command.
    pub command: u16,
    /// What the script has called.
    pub args: Words,
    /// In which protocol it wants the reply.
    pub proto: Proto,
    /// Where that comes.
    pub answer: Answer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_counts() {
        let answer = Answer::default();
        let other = answer.clone();
        assert_eq!(answer.get(), None);
        other.give(b"+OK\r\n");
        other.give(b"+NO\r\n");
        assert_eq!(answer.get(), Some(&b"+OK\r\n"[..]));
    }
}
