//! Messages to many listeners on all shards: all hear the same in the same order, and who hears of a write sees it.

use std::thread::scope;

use tessera_tests::reply::Reply;

use crate::hammer::{Hammer, hammer};

const PUBLISHERS: usize = 4;
/// Two connections each.
const LISTENERS: usize = 22;

/// Writes two keys, then tells of it, in one go.
fn publish(h: &Hammer, number: usize) {
    let mut client = h.client();
    let mut round = 0;
    while h.another_round() {
        round += 1;
        let count = round.to_string();
        let (a, b) = (format!("told{number}"), format!("also{number}"));
        let message = format!("{number} {round}");
        let replies = client.pipeline(&[
            vec!["SET", &a, &count],
            vec!["SET", &b, &count],
            vec!["PUBLISH", "news", &message],
        ]);
        assert_eq!(replies[2], Reply::Int(LISTENERS as i64));
    }
}

/// Listens to the end. Returns what it heard.
fn listen(h: &Hammer, ready: &std::sync::Barrier) -> Vec<String> {
    let (mut ears, mut eyes) = (h.client(), h.client());
    ears.call(&["SUBSCRIBE", "news"]);
    ready.wait();
    let mut heard = Vec::new();
    let mut last = [0; PUBLISHERS];
    loop {
        let message = ears.read().elements()[2].text();
        let Some((number, round)) = message.split_once(' ') else {
            return heard;
        };
        let number: usize = number.parse().expect("a number");
        let round: u64 = round.parse().expect("a number");
        assert_eq!(round, last[number] + 1, "{message} after {}", last[number]);
        last[number] = round;
        if round % 16 == 1 {
            let seen = eyes.call(&["MGET", &format!("told{number}"), &format!("also{number}")]);
            for value in seen.elements() {
                let value: u64 = value.text().parse().expect("a number");
                assert!(value >= round, "{value} is there after hearing of {round}");
            }
        }
        heard.push(message);
    }
}

#[test]
fn all_hear_the_same_and_see_what_they_hear_of() {
    hammer(|h| {
        let ready = std::sync::Barrier::new(LISTENERS + 1);
        let all: Vec<Vec<String>> = scope(|s| {
            let ready = &ready;
            let listeners: Vec<_> = (0..LISTENERS)
                .map(|_| s.spawn(move || listen(h, ready)))
                .collect();
            ready.wait();
            let publishers: Vec<_> = (0..PUBLISHERS)
                .map(|number| s.spawn(move || publish(h, number)))
                .collect();
            for publisher in publishers {
                publisher.join().expect("no panic");
            }
            drop(h.client().call(&["PUBLISH", "news", "end"]));
            let heard = listeners.into_iter();
            heard
                .map(|listener| listener.join().expect("no panic"))
                .collect()
        });
        assert!(!all[0].is_empty());
        for heard in &all[1..] {
            let differs = all[0].iter().zip(heard).position(|(a, b)| a != b);
            assert_eq!(differs, None, "listeners do not agree on the order");
            assert_eq!(heard.len(), all[0].len());
        }
    });
}
