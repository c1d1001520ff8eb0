//! Containers, such as OBJECT and CLIENT: which subcommand a request names. Asked by the commands themselves, and by the front end
//! before it asks who the client is.

use crate::command::Spec;

/// How much of an unknown name an error repeats.
const NAME_SHOWN_BYTES: usize = 128;

/// The place of the subcommand that a request of at least two arguments names, among those of the container of this name.
///
/// # Errors
/// Redis's words for a name that does not exist, or that does not take this number of arguments.
pub fn find_subcommand<'a>(
    container: &str,
    subcommands: impl IntoIterator<Item = &'a Spec>,
    args: &[&[u8]],
) -> Result<usize, Vec<u8>> {
    let mut all = subcommands.into_iter().enumerate();
    let Some((place, spec)) =
        all.find(|(_, spec)| spec.name.as_bytes().eq_ignore_ascii_case(args[1]))
    else {
        let name = &args[1][..args[1].len().min(NAME_SHOWN_BYTES)];
        let hint = format!("'. Try {} HELP.", container.to_ascii_uppercase());
        return Err([b"ERR unknown subcommand '", name, hint.as_bytes()].concat());
    };
    if spec.accepts(args.len()) {
        return Ok(place);
    }
    let name = spec.name;
    Err(format!("ERR wrong number of arguments for '{container}|{name}' command").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_misused() {
        const SUBS: [Spec; 2] = [
            Spec {
                name: "help",
                arity: 2,
                ..Spec::NONE
            },
            Spec {
                name: "set",
                arity: -3,
                ..Spec::NONE
            },
        ];
        let find = |args: &[&[u8]]| {
            find_subcommand("box", &SUBS, args)
                .map_err(|text| String::from_utf8(text).expect("ASCII"))
        };
        assert_eq!(find(&[b"box", b"HELP"]), Ok(0));
        assert_eq!(find(&[b"box", b"set", b"1", b"2"]), Ok(1));
        let unknown = "ERR unknown subcommand 'get'. Try BOX HELP.";
        assert_eq!(find(&[b"box", b"get"]), Err(unknown.to_owned()));
        let misused = "ERR wrong number of arguments for 'box|set' command";
        assert_eq!(find(&[b"box", b"set"]), Err(misused.to_owned()));
    }
}
