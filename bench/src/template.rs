//! Request templates: a command with `__key__` and `__data__` in it, compiled once into the bytes that never
//! change and the places that do, so that a request costs a few copies. A request may be several commands that
//! are sent and timed as one (`MULTI __then__ ... __then__ EXEC`).

use tessera_core::resp::split_args;

use crate::keys::{KeySource, KeySpace, append_decimal};
use crate::random::Random;
use crate::values::Values;

const KEY: &str = "__key__";
const DATA: &str = "__data__";
const EXPIRY: &str = "__expiry__";
/// The key drawn last, once more.
const SAME_KEY: &str = "__same_key__";
/// A random number below the number of keys.
const RANDOM: &str = "__rand__";
/// The word between the commands of one request.
const THEN: &[u8] = b"__then__";

/// What a request is filled in with.
#[derive(Clone, Debug)]
pub struct Filling {
    /// The keys.
    pub keys: KeySpace,
    /// The values.
    pub values: Values,
    /// Bounds of the seconds to live.
    pub expiry: Option<(u64, u64)>,
}

/// A piece of one argument.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Atom {
    Bytes(Vec<u8>),
    Key,
    Data,
    Expiry,
    SameKey,
    Random,
}

/// A piece of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// Bytes that are the same in every request.
    Bytes(Vec<u8>),
    /// An argument that is one key: the case that must be fast.
    Key,
    /// An argument of several atoms.
    Argument(Vec<Atom>),
}

/// A compiled command.
#[derive(Clone, Debug)]
pub struct Template {
    name: String,
    verbs: Vec<String>,
    reads: bool,
    pieces: Vec<Piece>,
}

impl Template {
    /// Compiles a command line. Words are separated by blanks and may be quoted as in redis-cli; the
    /// placeholders may stand inside a word (`user:__key__:name`), and each stands for a value of its own.
    ///
    /// # Errors
    /// A text for the user when the line is empty or a quote does not end.
    pub fn parse(line: &str, filling: &Filling) -> Result<Self, String> {
        Self::of_words(&split_words(line)?, filling)
            .ok_or_else(|| format!("an empty command in: {line}"))
    }

    fn of_words(words: &[Vec<u8>], filling: &Filling) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut verbs = Vec::new();
        for command in words.split(|word| word == THEN) {
            verbs.push(String::from_utf8_lossy(command.first()?).to_uppercase());
            push_bytes(&mut pieces, format!("*{}\r\n", command.len()).as_bytes());
            for word in command {
                push_argument(&mut pieces, atoms(word, filling));
            }
        }
        let name = verbs.first()?.clone();
        Some(Self {
            reads: verbs == ["GET"],
            name,
            verbs,
            pieces,
        })
    }

    /// SET of a key, with a time to live when the filling has one.
    #[must_use]
    pub fn set(filling: &Filling) -> Self {
        let line = match filling.expiry {
            Some(_) => "SET __key__ __data__ EX __expiry__",
            None => "SET __key__ __data__",
        };
        Self::fixed(line, filling)
    }

    /// GET of a key.
    #[must_use]
    pub fn get(filling: &Filling) -> Self {
        Self::fixed("GET __key__", filling)
    }

    /// A line of our own, without quotes.
    fn fixed(line: &str, filling: &Filling) -> Self {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.into()).collect();
        Self::of_words(&words, filling).expect("our own lines have a command")
    }

    /// The command's name in capitals.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of all its commands in capitals.
    #[must_use]
    pub fn verbs(&self) -> &[String] {
        &self.verbs
    }

    /// Replies to one request.
    #[inline]
    #[must_use]
    pub fn replies(&self) -> u32 {
        self.verbs.len() as u32
    }

    /// Whether its replies are hits and misses.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.reads
    }

    /// Appends one request.
    #[inline]
    pub fn append(
        &self,
        filling: &Filling,
        source: &mut KeySource,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) {
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => out.extend_from_slice(bytes),
                Piece::Key => {
                    let key = source.next(&filling.keys, random);
                    append_header(filling.keys.name_length(key), out);
                    filling.keys.append_name(key, out);
                    out.extend_from_slice(b"\r\n");
                }
                Piece::Argument(atoms) => append_argument(atoms, filling, source, random, out),
            }
        }
    }
}

/// `$<length>` and the end of its line.
#[inline]
fn append_header(length: usize, out: &mut Vec<u8>) {
    out.push(b'$');
    append_decimal(length as u64, 0, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends an argument whose length is known only when its atoms are drawn: the body goes to `out`
/// first and the header is rotated in front of it.
fn append_argument(
    atoms: &[Atom],
    filling: &Filling,
    source: &mut KeySource,
    random: &mut Random,
    out: &mut Vec<u8>,
) {
    if let [Atom::Data] = atoms {
        let value = filling.values.next(random);
        append_header(value.len(), out);
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
        return;
    }
    let start = out.len();
    for atom in atoms {
        match atom {
            Atom::Bytes(bytes) => out.extend_from_slice(bytes),
            Atom::Key => filling
                .keys
                .append_name(source.next(&filling.keys, random), out),
            Atom::Data => out.extend_from_slice(filling.values.next(random)),
            Atom::SameKey => filling.keys.append_name(source.last(), out),
            Atom::Random => append_decimal(random.below(filling.keys.count()), 0, out),
            Atom::Expiry => {
                let (low, high) = filling.expiry.unwrap_or((0, 0));
                append_decimal(low + random.below(high - low + 1), 0, out);
            }
        }
    }
    let body = out.len() - start;
    append_header(body, out);
    out[start..].rotate_left(body);
    out.extend_from_slice(b"\r\n");
}

/// Adds an argument to the pieces, merging what is constant with the constant bytes before it.
fn push_argument(pieces: &mut Vec<Piece>, atoms: Vec<Atom>) {
    let constant: Option<Vec<u8>> = atoms
        .iter()
        .map(|atom| match atom {
            Atom::Bytes(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
        .collect::<Option<Vec<&[u8]>>>()
        .map(|parts| parts.concat());
    match constant {
        Some(body) => {
            let mut bytes = Vec::new();
            append_header(body.len(), &mut bytes);
            bytes.extend_from_slice(&body);
            bytes.extend_from_slice(b"\r\n");
            push_bytes(pieces, &bytes);
        }
        None if atoms == [Atom::Key] => pieces.push(Piece::Key),
        None => pieces.push(Piece::Argument(atoms)),
    }
}

fn push_bytes(pieces: &mut Vec<Piece>, bytes: &[u8]) {
    match pieces.last_mut() {
        Some(Piece::Bytes(before)) => before.extend_from_slice(bytes),
        _ => pieces.push(Piece::Bytes(bytes.to_vec())),
    }
}

/// Splits a word at its placeholders. A value that never changes becomes bytes at once.
fn atoms(word: &[u8], filling: &Filling) -> Vec<Atom> {
    let mut atoms = Vec::new();
    let mut literal = Vec::new();
    let mut rest = word;
    while !rest.is_empty() {
        let found = [
            (KEY, Atom::Key),
            (DATA, Atom::Data),
            (EXPIRY, Atom::Expiry),
            (SAME_KEY, Atom::SameKey),
            (RANDOM, Atom::Random),
        ]
        .into_iter()
        .find(|(mark, _)| rest.starts_with(mark.as_bytes()));
        match found {
            Some((mark, atom)) => {
                rest = &rest[mark.len()..];
                match (&atom, filling.values.constant()) {
                    (Atom::Data, Some(value)) => literal.extend_from_slice(value),
                    _ => {
                        if !literal.is_empty() {
                            atoms.push(Atom::Bytes(std::mem::take(&mut literal)));
                        }
                        atoms.push(atom);
                    }
                }
            }
            None => {
                literal.push(rest[0]);
                rest = &rest[1..];
            }
        }
    }
    if !literal.is_empty() || atoms.is_empty() {
        atoms.push(Atom::Bytes(literal));
    }
    atoms
}

/// The words of a line, by the quoting rules of redis-cli.
fn split_words(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let (mut bytes, mut words) = (Vec::new(), Vec::new());
    split_args(line.as_bytes(), &mut bytes, &mut words)
        .map_err(|_| format!("unbalanced quotes in: {line}"))?;
    Ok(words
        .into_iter()
        .map(|(start, end)| bytes[start..end].to_vec())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Pattern, Shape};

    fn filling(length_min: usize, length_max: usize, expiry: Option<(u64, u64)>) -> Filling {
        Filling {
            keys: KeySpace::new(b"k", 9, 10, None, Shape::default()).unwrap(),
            values: Values::new(length_min, length_max, false).unwrap(),
            expiry,
        }
    }

    fn requests(template: &Template, filling: &Filling, count: usize) -> Vec<String> {
        let mut source = KeySource::new(Pattern::Sequential, &filling.keys, 0, 1);
        let mut random = Random::new(1);
        (0..count)
            .map(|_| {
                let mut out = Vec::new();
                template.append(filling, &mut source, &mut random, &mut out);
                String::from_utf8(out).unwrap()
            })
            .collect()
    }

    #[test]
    fn set_and_get_as_memtier_sends_them() {
        let filling = filling(3, 3, None);
        let set = requests(&Template::set(&filling), &filling, 2);
        assert_eq!(set[0], "*3\r\n$3\r\nSET\r\n$2\r\nk9\r\n$3\r\nxxx\r\n");
        assert_eq!(set[1], "*3\r\n$3\r\nSET\r\n$3\r\nk10\r\n$3\r\nxxx\r\n");
        let get = requests(&Template::get(&filling), &filling, 1);
        assert_eq!(get[0], "*2\r\n$3\r\nGET\r\n$2\r\nk9\r\n");
    }

    #[test]
    fn a_constant_value_is_compiled_away() {
        let template = Template::set(&filling(3, 3, None));
        assert_eq!(template.pieces.len(), 3);
        assert_eq!(template.pieces[1], Piece::Key);
        assert_eq!(template.pieces[2], Piece::Bytes(b"$3\r\nxxx\r\n".to_vec()));
    }

    #[test]
    fn expiry_and_varying_values() {
        let filling = filling(1, 2, Some((7, 7)));
        for request in requests(&Template::set(&filling), &filling, 20) {
            let tail = request.strip_prefix("*5\r\n$3\r\nSET\r\n").unwrap();
            assert!(tail.ends_with("\r\n$2\r\nEX\r\n$1\r\n7\r\n"), "{request}");
            assert!(
                tail.contains("\r\n$1\r\nx\r\n") || tail.contains("\r\n$2\r\nxx\r\n"),
                "{request}"
            );
        }
    }

    #[test]
    fn placeholders_inside_words_and_several_keys() {
        let filling = filling(2, 2, None);
        let template =
            Template::parse("mset a:__key__:b __data__ __key__ '1 2'", &filling).unwrap();
        assert_eq!(template.name(), "MSET");
        assert_eq!(
            requests(&template, &filling, 1)[0],
            "*5\r\n$4\r\nmset\r\n$6\r\na:k9:b\r\n$2\r\nxx\r\n$3\r\nk10\r\n$3\r\n1 2\r\n"
        );
    }

    #[test]
    fn one_request_of_several_commands_may_name_a_key_twice() {
        let filling = filling(1, 1, None);
        let line = "INCR r:__key__ __then__ EXPIRE r:__same_key__ 60";
        let template = Template::parse(line, &filling).unwrap();
        assert_eq!((template.replies(), template.name()), (2, "INCR"));
        assert_eq!(template.verbs(), ["INCR", "EXPIRE"]);
        assert_eq!(
            requests(&template, &filling, 1)[0],
            "*2\r\n$4\r\nINCR\r\n$4\r\nr:k9\r\n*3\r\n$6\r\nEXPIRE\r\n$4\r\nr:k9\r\n$2\r\n60\r\n"
        );
    }

    #[test]
    fn random_numbers_stay_below_the_number_of_keys() {
        let filling = filling(1, 1, None);
        let template = Template::parse("ZADD z __rand__ m", &filling).unwrap();
        let numbers: std::collections::BTreeSet<String> =
            requests(&template, &filling, 50).into_iter().collect();
        let expected =
            ["0", "1"].map(|n| format!("*4\r\n$4\r\nZADD\r\n$1\r\nz\r\n$1\r\n{n}\r\n$1\r\nm\r\n"));
        assert_eq!(numbers, expected.into());
    }

    #[test]
    fn lines_that_are_no_command_are_refused() {
        let filling = filling(1, 1, None);
        assert!(Template::parse("GET a __then__", &filling).is_err());
        assert!(Template::parse("   ", &filling).is_err());
        assert!(Template::parse("GET 'a", &filling).is_err());
    }

    #[test]
    fn only_get_has_hits_and_misses() {
        let filling = filling(1, 1, None);
        assert!(Template::parse("get __key__", &filling).unwrap().reads());
        assert!(!Template::parse("getdel __key__", &filling).unwrap().reads());
    }
}
