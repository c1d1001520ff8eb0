//! Lists and sets over several shards with fifty connections: an element that moves is in one place, and an intersection is one of sets as they were together.

use std::thread::scope;

use tessera_tests::reply::Reply;

use crate::hammer::{hammer, keys, over};

const CONNECTIONS: usize = 50;
const LISTS: usize = 6;
const ELEMENTS: usize = 60;

#[test]
fn lmove_keeps_every_element() {
    hammer(|h| {
        let lists = keys("list", LISTS);
        let mut client = h.client();
        for n in 0..ELEMENTS {
            client.call(&["RPUSH", &lists[n % LISTS], &n.to_string()]);
        }
        scope(|s| {
            for mover in 0..CONNECTIONS - 2 {
                let lists = &lists;
                s.spawn(move || {
                    let mut client = h.client();
                    let mut round = mover;
                    while h.goes_on() {
                        round += 1;
                        let from = &lists[(round * 7) % LISTS];
                        let to = &lists[(round * 5 + mover) % LISTS];
                        let ends = [["LEFT", "RIGHT"], ["RIGHT", "LEFT"]][round % 2];
                        client.call(&["LMOVE", from, to, ends[0], ends[1]]);
                    }
                });
            }
            for _ in 0..2 {
                s.spawn(|| {
                    let mut client = h.client();
                    let look: Vec<Vec<String>> =
                        std::iter::once(vec!["MULTI".to_owned()])
                            .chain(lists.iter().map(|list| {
                                ["LRANGE", list, "0", "-1"].map(str::to_owned).to_vec()
                            }))
                            .chain([vec!["EXEC".to_owned()]])
                            .collect();
                    while h.another_round() {
                        let replies = client.pipeline(&look);
                        let seen = replies.last().expect("EXEC replies").elements();
                        let mut all: Vec<usize> = seen
                            .iter()
                            .flat_map(Reply::elements)
                            .map(|element| element.text().parse().expect("a number was pushed"))
                            .collect();
                        all.sort_unstable();
                        assert!(all.iter().copied().eq(0..ELEMENTS), "{all:?}");
                    }
                });
            }
        });
    });
}

#[test]
fn sinterstore_sees_sets_of_one_moment() {
    hammer(|h| {
        let sets = keys("set", 3);
        let mut client = h.client();
        let fill = |generation: usize| -> Vec<Vec<String>> {
            let member = generation.to_string();
            let add = |set: &String| vec!["SADD".to_owned(), set.clone(), member.clone()];
            let start = [vec!["MULTI".to_owned()], over("DEL", &sets)];
            let end = [vec!["EXEC".to_owned()]];
            start
                .into_iter()
                .chain(sets.iter().map(add))
                .chain(end)
                .collect()
        };
        client.pipeline(&fill(0));
        scope(|s| {
            for writer in 0..2 {
                let fill = &fill;
                s.spawn(move || {
                    let mut client = h.client();
                    let mut generation = writer;
                    while h.goes_on() {
                        generation += 2;
                        let replies = client.pipeline(&fill(generation));
                        let done = replies.last().expect("EXEC replies");
                        assert_eq!(done.elements()[0], Reply::Int(3), "{done}");
                    }
                });
            }
            for reader in 0..CONNECTIONS - 2 {
                let sets = &sets;
                s.spawn(move || {
                    let mut client = h.client();
                    let target = format!("target{reader}");
                    let store = over(
                        "SINTERSTORE",
                        &[std::slice::from_ref(&target), &sets[..]].concat(),
                    );
                    let mut last = [0; 2];
                    while h.another_round() {
                        assert_eq!(client.call(&store).int(), 1, "half a transaction was seen");
                        let members = client.call(&["SMEMBERS", &target]);
                        let seen: usize = members.elements()[0].text().parse().expect("a number");
                        assert!(seen >= last[seen % 2], "an older generation came back");
                        last[seen % 2] = seen;
                    }
                });
            }
        });
    });
}
