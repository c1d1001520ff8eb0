//! Listpacks: bytes from anywhere, and changes beside a vector.

use tessera_core::listpack::{Item, Listpack};

/// The bytes as a listpack, and the same bytes as changes of one.
pub(crate) fn listpack(data: &[u8]) {
    let (bytes, changes) = super::split::split(data);
    if let Ok(pack) = Listpack::from_bytes(&framed(bytes)) {
        check(&pack, &pack.iter().map(Item::to_vec).collect::<Vec<_>>());
    }
    if let Ok(pack) = Listpack::from_bytes(bytes) {
        assert_eq!(pack.as_bytes(), bytes);
    }
    change(changes);
}

/// With a header of the right length and an end, so that what lies between is looked at; the count is unknown.
fn framed(elements: &[u8]) -> Vec<u8> {
    let length = (elements.len() + 7) as u32;
    [&length.to_le_bytes()[..], &[0xFF; 2], elements, &[0xFF]].concat()
}

/// What is taken can be read in both directions and looked up, with the same elements.
fn check(pack: &Listpack, expected: &[Vec<u8>]) {
    assert_eq!(pack.len(), expected.len());
    assert_eq!(pack.is_empty(), expected.is_empty());
    let (mut pos, mut back) = (pack.last(), Vec::new());
    while let Some(at) = pos {
        back.push(pack.at(at).to_vec());
        pos = pack.prev(at);
    }
    back.reverse();
    assert_eq!(back, expected);
    for (index, element) in expected.iter().enumerate() {
        let first = expected.iter().position(|other| other == element);
        let found = pack.find(pack.first(), element, 1);
        // A number that was stored as text is another element than the number.
        if let Some(found) = found {
            assert_eq!(pack.at(found).to_vec(), *element);
            assert!(first.is_some_and(|first| first <= index));
        }
        let there = pack.nth(index as i64).map(|pos| pack.at(pos).to_vec());
        assert_eq!(there.as_ref(), Some(element));
    }
    assert_eq!(Listpack::from_bytes(pack.as_bytes()).as_ref(), Ok(pack));
}

/// Each change is two bytes, what and where, and the element behind them.
fn change(mut data: &[u8]) {
    let (mut pack, mut model) = (Listpack::new(), Vec::new());
    while let [what, at, rest @ ..] = data {
        let (element, rest) = rest.split_at(rest.len().min(usize::from(what >> 3)));
        data = rest;
        let place = usize::from(*at) % (model.len() + 1);
        let pos = pack.nth(place as i64);
        match (what & 7, pos) {
            (0 | 1, _) => {
                pack.push(element);
                model.push(element.to_vec());
            }
            (2, _) => {
                pack.push_front(element);
                model.insert(0, element.to_vec());
            }
            (3, pos) => {
                pack.insert(pos, &[Item::of(element)]);
                model.insert(place, element.to_vec());
            }
            (4, Some(pos)) => {
                pack.replace(pos, element);
                model[place] = element.to_vec();
            }
            (5, Some(pos)) => {
                let number = i64::from(*at) << element.len();
                pack.replace_integer(pos, number);
                model[place] = number.to_string().into_bytes();
            }
            (6, Some(pos)) => {
                let count = element.len().min(model.len() - place);
                pack.remove(pos, count);
                model.drain(place..place + count);
            }
            (7, Some(pos)) => {
                let tail = pack.split_off(pos, place);
                check(&tail, &model[place..]);
                pack.append(&tail);
            }
            _ => check(&pack.clone(), &model),
        }
    }
    check(&pack, &model);
}
