//! The request parser: the input cut into pieces must give the same commands as the input in one piece, and the
//! commands, written out properly, must come back as they are.

use tessera_core::resp::{Limits, Parsed, Parser, ProtocolError, write_command};

type Command = Vec<Vec<u8>>;

/// The first byte chooses limits and the sizes of pieces, the rest is what the client sent.
pub(crate) fn parser(data: &[u8]) {
    let Some((&choice, input)) = data.split_first() else {
        return;
    };
    let limits = Limits {
        bulk_bytes_max: if choice & 1 == 0 { 512 << 20 } else { 100 },
        authenticated: choice & 2 == 0,
    };
    let (commands, end) = run(input, &limits, &mut |rest| rest);
    let mut state = u32::from(choice) << 8 | 1;
    let mut random_piece = |rest: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let longest = 1 << (state >> 29);
        (state >> 16) as usize % longest % (rest + 1)
    };
    assert_eq!(
        run(input, &limits, &mut random_piece),
        (commands.clone(), end)
    );
    assert_eq!(
        run(input, &limits, &mut |rest| rest.min(1)),
        (commands.clone(), end)
    );

    // Inline commands know no limits, so what they said may be too much as bulks.
    let mut written = Vec::new();
    for command in &commands {
        write_command(&mut written, command);
    }
    let again = run(&written, &Limits::default(), &mut |rest| rest);
    assert_eq!(again, (commands, Ok(0)));
}

/// The commands in `input`, and what came last: an error, or the length of the frame that is not whole. `piece` says
/// how many of the bytes that are left arrive next.
fn run(
    input: &[u8],
    limits: &Limits,
    piece: &mut dyn FnMut(usize) -> usize,
) -> (Vec<Command>, Result<usize, ProtocolError>) {
    let (mut parser, mut commands) = (Parser::new(), Vec::new());
    let (mut start, mut end, mut idle) = (0, 0, 0);
    loop {
        let arrived = piece(input.len() - end);
        idle = if arrived == 0 { idle + 1 } else { 0 };
        end += if idle > 9 {
            (input.len() - end).min(1)
        } else {
            arrived
        };
        loop {
            let frame = &input[start..end];
            let needed = parser.needs(frame.len());
            match parser.parse(frame, limits) {
                Ok(Parsed::Complete { consumed }) => {
                    assert!(needed == 0 && consumed > 0 && !parser.is_empty());
                    let args = parser.args(&frame[..consumed]);
                    assert!((0..parser.len()).all(|at| parser.arg(frame, at) == Some(args[at])));
                    commands.push(args.iter().map(|arg| arg.to_vec()).collect());
                    start += consumed;
                }
                Ok(Parsed::Empty { consumed }) => {
                    assert!(needed == 0 && consumed > 0);
                    start += consumed;
                }
                Ok(Parsed::Incomplete) => break,
                Err(error) => {
                    assert!(error.text().starts_with(b"ERR Protocol error: "));
                    return (commands, Err(error));
                }
            }
        }
        if end == input.len() {
            return (commands, Ok(end - start));
        }
    }
}
