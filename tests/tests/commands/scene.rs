//! Scenes: several connections that take turns, played before ours and before the oracle; all must hear the same, frame by frame.

use tessera_tests::client::Client;
use tessera_tests::command::{show_bytes, words};
use tessera_tests::launch::Launch;
use tessera_tests::server::Server;

/// Who says what, and who hears how many frames before the next one speaks; with no hearer the speaker waits. `one`, `two` and `publisher` speak RESP2, `three` speaks RESP3.
pub(crate) type Cue = (&'static str, &'static str, &'static [(&'static str, usize)]);

fn transcript(server: &Server, scene: &[Cue]) -> Vec<String> {
    let mut cast = [
        ("publisher", server.client()),
        ("one", server.client()),
        ("two", server.client()),
        ("three", server.client3()),
    ];
    let mut control = server.client();
    let mut told = Vec::new();
    for (speaker, line, hearers) in scene {
        let waiting = blocked(&mut control);
        client(&mut cast, speaker).send(&words(line));
        if hearers.is_empty() {
            while blocked(&mut control) == waiting {}
            // Each goes through all shards, behind what the waiting command sends to and fro.
            (0..MESSAGES_TO_WAIT).for_each(|_| drop(control.say("DBSIZE")));
        }
        for (hearer, frames) in *hearers {
            let mut heard: Vec<String> = (0..*frames)
                .map(|_| {
                    let frame = client(&mut cast, hearer).read_frame();
                    let frame = frame.unwrap_or_else(|error| {
                        panic!(
                            "{:?}: {speaker}: {line}; {hearer} hears nothing: {error}",
                            server.kind()
                        )
                    });
                    show_bytes(&frame.expect("an open connection"))
                })
                .collect();
            // Patterns are told in no order.
            heard.sort();
            told.push(format!("{speaker}: {line}; {hearer} hears {heard:?}"));
        }
    }
    told
}

/// Messages between shards, in a row, until a command waits.
const MESSAGES_TO_WAIT: usize = 5;

/// How many clients wait.
fn blocked(control: &mut Client) -> String {
    let info = control.say("INFO clients").text();
    let line = info
        .lines()
        .find(|line| line.starts_with("blocked_clients:"));
    line.expect("a line about those who wait").to_owned()
}

fn client<'a>(cast: &'a mut [(&str, Client)], name: &str) -> &'a mut Client {
    let known = cast.iter_mut().find(|(known, _)| *known == name);
    &mut known.expect("one of the cast").1
}

/// Plays a scene before the oracle and before ours on 1, 2 and 4 shards.
pub(crate) fn compare(scene: &[Cue]) {
    let expected = transcript(&Launch::oracle().start(), scene);
    for shards in [1, 2, 4] {
        let told = transcript(&Launch::tessera().shards(shards).start(), scene);
        for (told, expected) in told.iter().zip(&expected) {
            assert_eq!(told, expected, "{shards} shards");
        }
        assert_eq!(told.len(), expected.len());
    }
}
