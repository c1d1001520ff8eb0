//! SORT and SORT_RO.
//!
//! BY and GET patterns name keys which are known only when the elements are; they may lie on other shards. So the command runs in steps that change
//! nothing (elements, keys of BY, order, keys of GET), asks for all keys of a step at once, and starts anew when they have been fetched.
//! Without such patterns a long one goes on in slices (`slices`).

mod merge;
mod options;
mod order;
mod pattern;
mod slices;
mod texts;

use std::ops::Range;

use tessera_core::list::{End, List};
use tessera_core::object::Object;

use self::options::Options;
use self::order::{Rows, order};
use self::pattern::Pattern;
use crate::command::spec::{Begin, Find, KeySpec, access, category, flag};
use crate::command::{Cx, KeyPlaces, KeyspaceRow, Spec, Spread};
use crate::commands::args::is;
use crate::shard::{Shard, event};

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[SORT, SORT_RO];

const SORT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sort",
        arity: -2,
        flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS,
        keys: &[
            KeySpec::range(access::RO | access::ACCESS, 1, 0, 1),
            KeySpec {
                access: access::RO | access::ACCESS,
                notes: "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
                begin: Begin::Unknown,
                find: Find::Unknown,
            },
            KeySpec {
                access: access::OW | access::UPDATE,
                notes: "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array",
                begin: Begin::Unknown,
                find: Find::Unknown,
            },
        ],
        since: "1.0.0",
        summary: "Sorts the elements of a list, a set or a sorted set, and returns or stores them.",
        find_keys: Some(target),
        ..SORT_RO.spec
    },
    op: |cx, args| sort(cx, args, true),
    spread: Spread::Borrow,
};

const SORT_RO: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sort_ro",
        arity: -2,
        flags: flag::READONLY | flag::MOVABLEKEYS,
        categories: category::SET | category::SORTEDSET | category::LIST | category::DANGEROUS,
        keys: &[
            KeySpec::range(access::RO | access::ACCESS, 1, 0, 1),
            KeySpec {
                access: access::RO | access::ACCESS,
                notes: "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
                begin: Begin::Unknown,
                find: Find::Unknown,
            },
        ],
        since: "7.0.0",
        group: "generic",
        summary: "Sorts the elements of a list, a set or a sorted set and returns them.",
        complexity: "O(N+M*log(M)) with N elements and M of them sorted; O(N) without sorting",
        open_keys: Some(has_patterns),
        ..Spec::NONE
    },
    op: |cx, args| sort(cx, args, false),
    spread: Spread::Borrow,
};

const NOT_NUMBERS: &str = "ERR One or more scores can't be converted into double";

/// The options of a request with the values that follow them.
fn words<'a, 'b>(args: &'a [&'b [u8]]) -> impl Iterator<Item = (&'b [u8], usize)> + 'a {
    let mut at = 2;
    std::iter::from_fn(move || {
        let word = *args.get(at)?;
        let here = at;
        at += match word {
            word if is(word, "LIMIT") => 3,
            word if ["BY", "GET", "STORE"].iter().any(|name| is(word, name)) => 2,
            _ => 1,
        };
        Some((word, here))
    })
}

/// The key of the last STORE.
fn target(args: &[&[u8]], places: &mut KeyPlaces) {
    let found = words(args).filter(|(word, at)| is(word, "STORE") && at + 1 < args.len());
    if let Some((_, at)) = found.last() {
        places.push((at + 1, access::OW | access::UPDATE));
    }
}

/// Whether a pattern names keys.
fn has_patterns(args: &[&[u8]]) -> bool {
    words(args).any(|(word, at)| {
        let is_pattern = is(word, "BY") || is(word, "GET");
        is_pattern && args.get(at + 1).is_some_and(|text| text.contains(&b'*'))
    })
}

fn sort(cx: &mut Cx<'_>, args: &[&[u8]], may_store: bool) {
    let Some(mut options) = Options::parse(cx, &args[2..], may_store) else {
        return;
    };
    let is_there = cx.shard.read(cx.db, args[1]).is_some();
    if is_there && slices::begin(cx, args[1], &options) {
        return;
    }
    let hash = cx.shard.hash(args[1]);
    let entry = cx.shard.table(cx.db).get(hash, args[1]);
    let mut rows = match entry.filter(|_| is_there) {
        None => Rows::default(),
        Some(entry) => match entry
            .object()
            .and_then(|object| collect(object, &mut options))
        {
            Some(rows) => rows,
            None => return cx.wrong_type(),
        },
    };
    if let Some(by) = options.by.filter(|_| !options.is_unsorted)
        && !all_here(cx, &by, &rows, 0..rows.len())
    {
        // Without LIMIT the keys of GET are known too: one journey less.
        if options.has_no_limit() {
            get_all_here(cx, &options, &rows, 0..rows.len());
        }
        return;
    }
    if !options.is_unsorted && !order(cx, &mut rows, &options) {
        return cx.error(NOT_NUMBERS);
    }
    let range = options.range(rows.len());
    if !get_all_here(cx, &options, &rows, range.clone()) {
        return;
    }
    match options.store {
        Some(target) => store(cx, &options, &rows, range, target),
        None => answer(cx, &options, &rows, range),
    }
}

/// The elements of what is sorted; those that are not to be sorted in the order in which they will be returned. `None`: this type can't be.
fn collect(object: &Object, options: &mut Options<'_>) -> Option<Rows> {
    let mut rows = Rows::default();
    let mut digits = itoa::Buffer::new();
    if !object.each_sortable(&mut |item| rows.push(item.text(&mut digits))) {
        return None;
    }
    let is_set = object.type_name() == "set";
    if options.sorts_sets && is_set {
        options.sort_as_text();
    }
    if options.is_unsorted && options.is_descending && !is_set {
        rows.reverse();
    }
    Some(rows)
}

/// Whether the keys that a pattern makes of these rows are at hand; those that are not are asked for.
fn all_here(cx: &mut Cx<'_>, pattern: &Pattern<'_>, rows: &Rows, range: Range<usize>) -> bool {
    let mut key = Vec::new();
    let mut are_here = true;
    for row in range {
        if pattern.key(rows.text(row), &mut key) {
            are_here &= cx.reaches(&key);
        }
    }
    are_here
}

fn get_all_here(cx: &mut Cx<'_>, options: &Options<'_>, rows: &Rows, range: Range<usize>) -> bool {
    let mut are_here = true;
    for pattern in &options.get {
        are_here &= all_here(cx, pattern, rows, range.clone());
    }
    are_here
}

/// Calls `visit` for every value of the result.
fn each_value(
    cx: &mut Cx<'_>,
    options: &Options<'_>,
    rows: &Rows,
    range: Range<usize>,
    visit: &mut dyn FnMut(&mut Cx<'_>, Option<&[u8]>),
) {
    for row in range {
        if options.get.is_empty() {
            visit(cx, Some(rows.text(row)));
        }
        for pattern in &options.get {
            let value = pattern.value(cx, rows.text(row));
            visit(cx, value.as_deref());
        }
    }
}

fn answer(cx: &mut Cx<'_>, options: &Options<'_>, rows: &Rows, range: Range<usize>) {
    cx.reply.array(range.len() * options.get.len().max(1));
    each_value(cx, options, rows, range, &mut |cx, value| {
        cx.reply.bulk_or_null(value);
    });
}

fn store(cx: &mut Cx<'_>, options: &Options<'_>, rows: &Rows, range: Range<usize>, target: &[u8]) {
    let limits = cx.shard.list_limits();
    let mut list = List::new();
    each_value(cx, options, rows, range, &mut |_, value| {
        list.push(End::Back, &[value.unwrap_or(b"")], &limits);
    });
    let len = store_list(cx.shard, cx.db, target, list);
    cx.reply.integer(len);
}

/// Puts the result under a key, or removes the key if there is none; its length.
fn store_list(shard: &mut Shard, db: usize, target: &[u8], list: List) -> i64 {
    let len = list.len();
    if len == 0 {
        shard.remove(db, target);
    } else {
        shard.put_object(db, target, list);
        shard.changed_by(db, target, event::SORTSTORE);
    }
    len as i64
}

#[cfg(test)]
mod tests;
