//! The same words to our server and to the oracle: the replies must be the same bytes.

use tessera_tests::client::Client;
use tessera_tests::command::{show_bytes, words};
use tessera_tests::launch::Launch;
use tessera_tests::server::Server;

/// A connection to each.
pub(crate) struct Both {
    ours: Client,
    theirs: Client,
    // The servers live as long as the connections.
    _servers: [Server; 2],
}

impl Both {
    /// Starts both; ours on two shards.
    pub(crate) fn start() -> Self {
        Self::start_on(2)
    }

    /// Starts both.
    pub(crate) fn start_on(shards: usize) -> Self {
        let servers = [
            Launch::tessera().shards(shards).start(),
            Launch::oracle().start(),
        ];
        Self {
            ours: servers[0].client(),
            theirs: servers[1].client(),
            _servers: servers,
        }
    }

    /// Goes on in RESP3; the greetings differ in version and id.
    pub(crate) fn speak_resp3(&mut self) {
        for client in [&mut self.ours, &mut self.theirs] {
            assert!(!client.say("HELLO 3").is_error());
        }
    }

    /// Sends the words of each text to both and compares.
    #[track_caller]
    pub(crate) fn say(&mut self, texts: &[&str]) {
        for text in texts {
            self.call(&words(text));
        }
    }

    /// Sends one command to both and compares.
    #[track_caller]
    pub(crate) fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        let frame = |client: &mut Client| {
            client.send(args);
            client
                .read_frame()
                .expect("a reply")
                .expect("an open connection")
        };
        let (ours, theirs) = (frame(&mut self.ours), frame(&mut self.theirs));
        assert_eq!(
            show_bytes(&ours),
            show_bytes(&theirs),
            "our reply and the oracle's to {}",
            tessera_tests::command::show(args)
        );
    }

    /// Asks both the same in several words.
    pub(crate) fn each<T>(&mut self, ask: impl FnMut(&mut Client) -> T) -> [T; 2] {
        [&mut self.ours, &mut self.theirs].map(ask)
    }

    /// The ACL categories that both know, and the commands with their subcommands.
    pub(crate) fn names(&mut self) -> (Vec<String>, Vec<String>) {
        let [mut ours, theirs] = self.each(|client| {
            ["ACL CAT", "COMMAND LIST"].map(|asked| client.say(asked).sorted_texts())
        });
        for (ours, theirs) in ours.iter_mut().zip(&theirs) {
            ours.retain(|name| theirs.contains(name));
        }
        let [categories, commands] = ours;
        (categories, commands)
    }
}
