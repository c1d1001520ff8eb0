//! Lists against deques, in both encodings; and the moments at which Redis 7.2 changes the encoding.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::{End, List, ListLimits, NodeRef};
use crate::listpack::{Item, Listpack};

type Model = VecDeque<Vec<u8>>;

#[derive(Clone, Debug)]
enum Change {
    Push(End, Vec<Vec<u8>>),
    Pop(End),
    Insert(usize, Vec<u8>),
    Set(usize, Vec<u8>),
    Cut(usize, usize),
    Remove(usize, usize, End),
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (-9i64..9).prop_map(|number| number.to_string().into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (0usize..9000).prop_map(|length| vec![b'x'; length]),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Front), Just(End::Back)]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (end(), prop::collection::vec(element(), 1..12)).prop_map(|(end, all)| Change::Push(end, all)),
        2 => end().prop_map(Change::Pop),
        2 => (any::<usize>(), element()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        2 => (any::<usize>(), element()).prop_map(|(at, bytes)| Change::Set(at, bytes)),
        1 => (any::<usize>(), 0usize..30).prop_map(|(at, count)| Change::Cut(at, count)),
        1 => (any::<usize>(), 1usize..5, end()).prop_map(|(at, most, end)| Change::Remove(at, most, end)),
    ]
}

fn shown(list: &List) -> Model {
    list.iter().map(Item::to_vec).collect()
}

/// Removes from list and model, over all nodes, as LREM does.
fn remove(list: &mut List, model: &mut Model, wanted: &[u8], most: usize, from: End) {
    let (mut left, mut visited) = (most, 0);
    let mut node = match from {
        End::Front => 0,
        End::Back => list.node_count(),
    };
    while left > 0 && visited < 10_000 {
        visited += 1;
        if from == End::Back {
            if node == 0 {
                break;
            }
            node -= 1;
        }
        if node >= list.node_count() {
            break;
        }
        let (removed, is_gone) = list.remove_equal(node, wanted, left, from);
        left -= removed;
        if from == End::Front && !is_gone {
            node += 1;
        }
    }
    for _ in 0..most {
        let found = match from {
            End::Front => model.iter().position(|element| element == wanted),
            End::Back => model.iter().rposition(|element| element == wanted),
        };
        let Some(at) = found else { break };
        model.remove(at);
    }
}

fn apply(list: &mut List, model: &mut Model, change: Change, limits: &ListLimits) {
    let len = model.len();
    match change {
        Change::Push(end, all) => {
            list.push(
                end,
                &all.iter().map(Vec::as_slice).collect::<Vec<_>>(),
                limits,
            );
            for element in all {
                match end {
                    End::Front => model.push_front(element),
                    End::Back => model.push_back(element),
                }
            }
        }
        Change::Pop(end) => {
            list.pop(end, limits);
            match end {
                End::Front => model.pop_front(),
                End::Back => model.pop_back(),
            };
        }
        Change::Insert(at, bytes) => {
            list.insert(at % (len + 1), &bytes, limits);
            model.insert(at % (len + 1), bytes);
        }
        Change::Set(at, bytes) => {
            let at = at % (len + 1);
            assert_eq!(list.set(at, &bytes, limits), at < len);
            if at < len {
                model[at] = bytes;
            }
        }
        Change::Cut(at, count) => {
            let at = at % (len + 1);
            let gone = list.cut(at, count, limits);
            let expected: Model = model.drain(at..(at + count).min(len)).collect();
            assert_eq!(shown(&gone), expected);
            check_sums(&gone);
        }
        Change::Remove(at, most, from) if len > 0 => {
            let wanted = model[at % len].clone();
            remove(list, model, &wanted, most, from);
            list.shrunk(limits);
        }
        Change::Remove(..) => {}
    }
}

/// The totals are those of the nodes.
fn check_sums(list: &List) {
    let len: usize = (0..list.node_count()).map(|at| list.node_len(at)).sum();
    assert_eq!(list.len(), len);
    let bytes: usize = list
        .nodes()
        .map(|node| match node {
            NodeRef::Pack(pack) => pack.heap_bytes(),
            NodeRef::Plain(bytes) => crate::entry::size_class(bytes.len()),
        })
        .sum();
    assert!(
        list.heap_bytes() >= bytes && list.heap_bytes() <= bytes + 800 + 160 * list.node_count()
    );
    if list.encoding() == "quicklist" {
        assert!((0..list.node_count()).all(|at| list.node_len(at) > 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn like_a_deque(
        directive in prop_oneof![Just(-1), Just(-2), Just(4), Just(1), Just(128)],
        changes in prop::collection::vec(change(), 0..60),
    ) {
        let limits = ListLimits::of(directive);
        let (mut list, mut model) = (List::new(), Model::new());
        for change in changes {
            apply(&mut list, &mut model, change, &limits);
            prop_assert_eq!(&shown(&list), &model);
            check_sums(&list);
            let backwards: Model = list
                .elements(list.end(End::Back), End::Front)
                .map(Item::to_vec)
                .collect();
            prop_assert!(backwards.iter().eq(model.iter().rev()));
            for (index, element) in model.iter().enumerate() {
                prop_assert_eq!(&list.get(index).unwrap().to_vec(), element);
            }
            prop_assert!(list.get(model.len()).is_none());
        }
        let mut copy = List::new();
        for node in list.nodes() {
            match node {
                NodeRef::Pack(pack) => copy.load_pack(pack.clone(), &limits),
                NodeRef::Plain(bytes) => copy.load_plain(bytes.into()),
            }
        }
        copy.loaded(&limits);
        prop_assert_eq!(shown(&copy), model);
        check_sums(&copy);
    }
}

fn numbers(count: usize, limits: &ListLimits) -> List {
    let mut list = List::new();
    for number in 0..count {
        list.push(End::Back, &[number.to_string().as_bytes()], limits);
    }
    list
}

#[test]
fn encodings_change_where_redis_changes_them() {
    let limits = ListLimits::of(128);
    let mut list = numbers(128, &limits);
    assert_eq!(list.encoding(), "listpack");
    list.push(End::Front, &[b"one more"], &limits);
    assert_eq!((list.encoding(), list.node_count()), ("quicklist", 2));
    for _ in 0..64 {
        list.pop(End::Back, &limits);
    }
    assert_eq!((list.encoding(), list.len()), ("quicklist", 65));
    list.pop(End::Front, &limits);
    assert_eq!((list.encoding(), list.len()), ("listpack", 64));

    let limits = ListLimits::of(-1);
    let mut list = List::new();
    list.push(End::Back, &[&[b'x'; 4089]], &limits);
    assert_eq!(list.encoding(), "listpack", "7 + 4089 bytes are 4096");
    let mut list = List::new();
    list.push(End::Back, &[&[b'x'; 4090]], &limits);
    assert_eq!(list.encoding(), "quicklist");
    assert!(list.set(0, b"small", &limits));
    assert_eq!(list.encoding(), "listpack");
}

#[test]
fn large_elements_get_nodes_of_their_own() {
    let limits = ListLimits::of(-2);
    let mut list = List::new();
    let large = vec![b'y'; 10_000];
    list.push(End::Back, &[b"a", &large, b"b"], &limits);
    let kinds: Vec<bool> = list
        .nodes()
        .map(|node| matches!(node, NodeRef::Plain(_)))
        .collect();
    assert_eq!(kinds, [false, true, false]);
    assert_eq!(list.get(1).unwrap().text_len(), 10_000);
    assert_eq!(list.cut(1, 1, &limits).len(), 1);
    assert_eq!(shown(&list), [b"a".to_vec(), b"b".to_vec()]);
}

#[test]
fn a_listpack_from_elsewhere() {
    let mut pack = Listpack::new();
    (0..70_000).for_each(|_| pack.push(b"7"));
    let list = List::from_listpack(pack, &ListLimits::of(-2));
    assert_eq!((list.len(), list.encoding()), (70_000, "quicklist"));
    assert!(list.node_count() > 10);
    let list = List::from_listpack(Listpack::new(), &ListLimits::of(-2));
    assert_eq!((list.len(), list.encoding()), (0, "listpack"));
}

#[test]
fn ten_million_elements_are_no_larger_than_in_redis() {
    let limits = ListLimits::of(-2);
    let (mut list, count) = (List::new(), 1_000_000);
    for number in 0..count {
        list.push(End::Back, &[format!("{number:010}").as_bytes()], &limits);
    }
    // 12 bytes each in blocks of 8,192: Redis has a node of 32 bytes per block, we a place of 32.
    let per_element = list.heap_bytes() as f64 / f64::from(count);
    assert!(per_element < 12.1, "{per_element}");
    assert!(!list.free_some(100_000));
    assert!(list.len() > 800_000);
    while !list.free_some(100_000) {}
    assert_eq!(list.len(), 0);
}
