//! Requests whose answers redis-server 7.0 gave over a raw socket, and what must hold however they are cut.

use super::*;

/// What a client's bytes amount to.
#[derive(Debug, PartialEq, Eq)]
struct Session {
    commands: Vec<Vec<Vec<u8>>>,
    error: Option<ProtocolError>,
    /// Bytes of the frame that is not whole.
    rest: usize,
}

/// Feeds `input` as it would arrive: the buffer grows to each of `cuts` in turn.
fn run(input: &[u8], cuts: &[usize], limits: &Limits) -> Session {
    let (mut parser, mut commands) = (Parser::new(), Vec::new());
    let mut start = 0;
    for &end in cuts.iter().chain([&input.len()]) {
        loop {
            let frame = &input[start..end];
            match parser.parse(frame, limits) {
                Ok(Parsed::Complete { consumed }) => {
                    let args = parser.args(&frame[..consumed]);
                    assert_eq!(args.len(), parser.len());
                    assert_eq!(parser.arg(frame, 0), Some(args[0]));
                    commands.push(args.iter().map(|arg| arg.to_vec()).collect());
                    start += consumed;
                }
                Ok(Parsed::Empty { consumed }) => start += consumed,
                Ok(Parsed::Incomplete) => break,
                Err(error) => {
                    return Session {
                        commands,
                        error: Some(error),
                        rest: 0,
                    };
                }
            }
        }
    }
    Session {
        commands,
        error: None,
        rest: input.len() - start,
    }
}

fn at_once(input: &[u8]) -> Session {
    let whole = run(input, &[], &Limits::default());
    if input.len() < 200 {
        let bytewise: Vec<usize> = (0..input.len()).collect();
        assert_eq!(run(input, &bytewise, &Limits::default()), whole);
    }
    whole
}

fn commands(input: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let session = at_once(input);
    assert_eq!(
        (session.error, session.rest),
        (None, 0),
        "{}",
        input.escape_ascii()
    );
    session.commands
}

fn error(input: &[u8]) -> String {
    let shown = input[..input.len().min(80)].escape_ascii();
    match at_once(input).error {
        Some(error) => error.text().escape_ascii().to_string(),
        None => panic!("no error: {shown}"),
    }
}

fn waits(input: &[u8]) -> bool {
    let session = at_once(input);
    session.error.is_none() && session.commands.is_empty() && session.rest == input.len()
}

#[test]
fn pipelines() {
    let ping = vec![b"PING".to_vec()];
    for skipped in [
        &b""[..],
        b"*-1\r\n",
        b"*0\r\n",
        b"*-5\r\n",
        b"\r\n\n\r\n  \r\n",
    ] {
        let input = [skipped, b"*1\r\n$4\r\nPING\r\nPING\r\nPING\n", skipped].concat();
        assert_eq!(commands(&input), vec![ping.clone(); 3]);
    }
    let set = commands(b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\n\r\n\x00345678*$9\r\n");
    assert_eq!(
        set,
        [[&b"SET"[..], b"", b"\r\n\x00345678*$9"].map(<[u8]>::to_vec)]
    );
}

#[test]
fn terminators_are_not_compared() {
    let session = commands(b"*1\rX$4\rYPINGZZ*1\r\n$4\r\nPING\r\n");
    assert_eq!(session, vec![vec![b"PING".to_vec()]; 2]);
}

#[test]
fn inline_after_empty_inline_and_back() {
    let session = commands(b"\r\n*1\r\n$4\r\nPING\r\n'a b' c\r\n*1\r\n$4\r\nPONG\r\n");
    assert_eq!(session[0], [b"PING"]);
    assert_eq!(session[1], [&b"a b"[..], b"c"]);
    assert_eq!(session[2], [b"PONG"]);
}

#[test]
fn lengths_that_are_refused() {
    let multibulk = "ERR Protocol error: invalid multibulk length";
    for input in [
        "*2147483648\r\n",
        "*01\r\n$4",
        "*+1\r\n",
        "*\r\n",
        "* 1\r\n",
        "*-0\r\n",
        "*1 \r\n",
    ] {
        assert_eq!(error(input.as_bytes()), multibulk);
    }
    let bulk = "ERR Protocol error: invalid bulk length";
    for length in [
        "-1",
        "536870913",
        "04",
        "4 ",
        "+4",
        "-0",
        "",
        "99999999999",
        "99999999999999999999",
    ] {
        assert_eq!(
            error(format!("*1\r\n${length}\r\n").as_bytes()),
            bulk,
            "{length}"
        );
    }
    for input in ["*2147483647\r\n", "*1048577\r\n", "*1\r\n$536870912\r\n"] {
        assert!(waits(input.as_bytes()), "{input}");
    }
}

#[test]
fn bytes_in_the_place_of_a_dollar() {
    for (input, shown) in [
        (&b"*1\r\nx\r\n"[..], "x"),
        (b"*1\r\n\r\n", " "),
        (b"*1\r\n\n\r\n", " "),
        (b"*1\r\n\xff5\r\n", "\\xff"),
        (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n+1\r\nv\r\n", "+"),
    ] {
        let expected = format!("ERR Protocol error: expected \\'$\\', got \\'{shown}\\'");
        assert_eq!(error(input), expected);
    }
    assert!(waits(b"*1\r\nx"));
}

#[test]
fn a_nul_hides_the_rest_of_a_line() {
    for input in [
        &b"*1\r\n\x00\r\n"[..],
        b"*1\r\n\x00\r",
        b"*\x001\r\n",
        b"*1\r\n$1\x00\r\n",
        b"PI\x00NG\r\nPING\r\n",
        b"ping \x00\r\n",
    ] {
        assert!(waits(input), "{}", input.escape_ascii());
    }
}

#[test]
fn unbalanced_quotes() {
    for input in ["ping \"a\"b\r\n", "ping 'a\r\n", "ping \"abc\\\r\n"] {
        assert_eq!(
            error(input.as_bytes()),
            "ERR Protocol error: unbalanced quotes in request"
        );
    }
}

#[test]
fn lines_without_end() {
    let long = |prefix: &str, length: usize, fill: u8| {
        let mut input = prefix.as_bytes().to_vec();
        input.resize(prefix.len() + length, fill);
        input
    };
    for (prefix, counted, text) in [
        ("*", 1, "too big mbulk count string"),
        ("*1\r\n$", 1, "too big bulk count string"),
        ("", 0, "too big inline request"),
    ] {
        let fits = long(prefix, 65_536 - counted, b'1');
        assert!(waits(&fits));
        for fill in [b'1', 0] {
            let too_long = long(prefix, 65_537 - counted, fill);
            assert_eq!(error(&too_long), format!("ERR Protocol error: {text}"));
            // The verdict on a line does not depend on whether its end came along.
            let ended = [&too_long[..], b"\r\n"].concat();
            assert_eq!(error(&ended), format!("ERR Protocol error: {text}"));
        }
    }
    let longest = [&long("echo ", 65_531, b'a')[..], b"\n"].concat();
    assert_eq!(commands(&longest)[0][1].len(), 65_531);
    let cuts: Vec<usize> = (0..70_000).step_by(7).collect();
    let session = run(&long("", 70_000, b'a'), &cuts, &Limits::default());
    assert_eq!(session.error, Some(ProtocolError::TooBigInline));
}

#[test]
fn before_authentication() {
    let limits = Limits {
        authenticated: false,
        ..Limits::default()
    };
    let error = |input: &[u8]| run(input, &[], &limits).error;
    assert_eq!(error(b"*10\r\n"), None);
    assert_eq!(
        error(b"*11\r\n"),
        Some(ProtocolError::UnauthenticatedMultibulkLength)
    );
    assert_eq!(
        error(b"*2147483648\r\n"),
        Some(ProtocolError::InvalidMultibulkLength)
    );
    assert_eq!(error(b"*1\r\n$16384\r\n"), None);
    assert_eq!(
        error(b"*1\r\n$16385\r\n"),
        Some(ProtocolError::UnauthenticatedBulkLength)
    );
    assert_eq!(
        error(b"*1\r\n$536870913\r\n"),
        Some(ProtocolError::InvalidBulkLength)
    );
}

#[test]
fn announced_lengths_cost_nothing() {
    let mut parser = Parser::new();
    let frame = b"*2147483647\r\n$536870912\r\nab";
    assert_eq!(
        parser.parse(frame, &Limits::default()),
        Ok(Parsed::Incomplete)
    );
    assert_eq!(parser.needs(frame.len()), 536_870_912);
    assert!(!parser.is_at_start());
    assert!(parser.args.capacity() <= 8);
}

#[test]
fn no_limit_for_the_primary() {
    let limits = Limits {
        bulk_bytes_max: i64::MAX,
        ..Limits::default()
    };
    let mut parser = Parser::new();
    let frame = b"*1\r\n$9223372036854775807\r\n";
    assert_eq!(parser.parse(frame, &limits), Ok(Parsed::Incomplete));
    assert_eq!(parser.parse(frame, &limits), Ok(Parsed::Incomplete));
}

#[test]
fn large_frames_give_their_memory_back() {
    let mut parser = Parser::new();
    let large = [&b"*5000\r\n"[..], &b"$1\r\nx\r\n".repeat(5000)].concat();
    let consumed = large.len();
    let limits = Limits::default();
    assert_eq!(
        parser.parse(&large, &limits),
        Ok(Parsed::Complete { consumed })
    );
    assert_eq!(parser.len(), 5000);
    assert!(parser.is_at_start());
    let small = b"PING\r\n";
    assert_eq!(
        parser.parse(small, &limits),
        Ok(Parsed::Complete { consumed: 6 })
    );
    assert!(parser.args.capacity() <= KEPT_ARGS_MAX);
    assert_eq!(parser.args(small).as_slice(), [b"PING"]);
}

#[test]
fn pieces_are_not_scanned_again() {
    // 4 MiB of tiny arguments byte by byte in 16 KiB steps: quadratic work would take minutes.
    let count = 600_000;
    let frame = [
        format!("*{count}\r\n").as_bytes(),
        &b"$1\r\nx\r\n".repeat(count),
    ]
    .concat();
    let cuts: Vec<usize> = (0..frame.len()).step_by(509).collect();
    let session = run(&frame, &cuts, &Limits::default());
    assert_eq!((session.commands[0].len(), session.rest), (count, 0));
}
