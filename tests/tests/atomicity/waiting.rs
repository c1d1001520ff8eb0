//! Waiting for lists with fifty connections: every element is delivered once, whoever gives up or is told to.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;

use tessera_tests::reply::Reply;

use crate::hammer::{Hammer, hammer, keys};

const TAKERS: usize = 38;
const GIVERS: usize = 10;
const LISTS: usize = 5;

/// How often each element came out.
type Taken = Mutex<BTreeMap<String, u64>>;

fn note(taken: &Taken, element: &Reply) {
    let mut taken = taken.lock().expect("no panic");
    *taken.entry(element.text()).or_default() += 1;
}

/// Takes in all the ways there are, with a time so short that it is often over.
fn take(h: &Hammer, number: usize, lists: &[String], taken: &Taken) {
    let mut client = h.client();
    let mut round = number;
    while h.goes_on() {
        round += 1;
        let (a, b) = (&lists[round % LISTS], &lists[(round * 3 + 1) % LISTS]);
        match round % 4 {
            0 => {
                let reply = client.call(&["BLMPOP", "0.01", "2", a, b, "RIGHT"]);
                if reply != Reply::Null {
                    reply.elements()[1]
                        .elements()
                        .iter()
                        .for_each(|element| note(taken, element));
                }
            }
            1 => drop(client.call(&["BLMOVE", a, b, "LEFT", "RIGHT", "0.005"])),
            way => {
                let reply = client.call(&[["BLPOP", "BRPOP"][way - 2], a, b, "0.01"]);
                if reply != Reply::Null {
                    note(taken, &reply.elements()[1]);
                }
            }
        }
    }
}

/// Gives one by one, several at once, and in transactions over several shards.
fn give(h: &Hammer, number: usize, lists: &[String], given: &AtomicU64) {
    let mut client = h.client();
    let mut round = 0;
    while h.another_round() {
        round += 1;
        let element = |n: usize| format!("{number}-{round}-{n}");
        let (a, b) = (&lists[(round + number) % LISTS], &lists[round % LISTS]);
        if round % 3 == 0 {
            let replies = client.pipeline(&[
                vec!["MULTI".to_owned()],
                vec!["RPUSH".to_owned(), a.clone(), element(0)],
                vec!["LPUSH".to_owned(), b.clone(), element(1)],
                vec!["EXEC".to_owned()],
            ]);
            assert_eq!(replies[3].elements().len(), 2);
        } else {
            let length = client.call(&["RPUSH", a, &element(0), &element(1)]).int();
            assert!(length >= 2);
        }
        given.fetch_add(2, Ordering::Relaxed);
    }
}

#[test]
fn elements_are_delivered_once() {
    hammer(|h| {
        let lists = keys("waited", LISTS);
        let (taken, given) = (Taken::default(), AtomicU64::new(0));
        scope(|s| {
            for number in 0..TAKERS {
                let (lists, taken) = (&lists, &taken);
                s.spawn(move || take(h, number, lists, taken));
            }
            for number in 0..GIVERS {
                let (lists, given) = (&lists, &given);
                s.spawn(move || give(h, number, lists, given));
            }
            // Who waits is told to stop, by name.
            s.spawn(|| {
                let mut client = h.client();
                let mut id = 0;
                while h.goes_on() {
                    id = id % 80 + 1;
                    let told = client.call(&["CLIENT", "UNBLOCK", &id.to_string()]).int();
                    assert!((0..=1).contains(&told));
                }
            });
        });
        let mut client = h.client();
        for list in &lists {
            let left = client.call(&["LRANGE", list, "0", "-1"]);
            left.elements()
                .iter()
                .for_each(|element| note(&taken, element));
        }
        let taken = taken.into_inner().expect("no panic");
        let twice: Vec<_> = taken.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "delivered twice: {twice:?}");
        assert_eq!(
            taken.len() as u64,
            given.into_inner(),
            "some element was lost"
        );
        let info = client.say("INFO clients").text();
        assert!(info.contains("blocked_clients:0\r"), "{info}");
    });
}
