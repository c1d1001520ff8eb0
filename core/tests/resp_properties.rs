//! Properties of the RESP reader and writer over random commands and replies: no way of cutting the input changes what
//! is understood, and what is written reads back.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;
use tessera_core::number::{LongDouble, parse_double, parse_i64, write_double};
use tessera_core::resp::{
    Limits, Parsed, Parser, Proto, Reply, Skipper, Value, parse_reply, skip_reply, write_command,
};

/// One way to send a command.
#[derive(Clone, Debug)]
enum Sent {
    Bulks(Vec<Vec<u8>>),
    Inline(Vec<Vec<u8>>),
    Nothing(&'static [u8]),
}

impl Sent {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bulks(args) => write_command(out, args),
            Self::Nothing(bytes) => out.extend_from_slice(bytes),
            Self::Inline(args) => {
                for arg in args {
                    out.push(b'"');
                    arg.iter().for_each(|byte| {
                        out.extend_from_slice(format!("\\x{byte:02x}").as_bytes())
                    });
                    out.extend_from_slice(b"\" ");
                }
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    fn args(&self) -> Option<Vec<Vec<u8>>> {
        match self {
            Self::Bulks(args) | Self::Inline(args) => Some(args.clone()),
            Self::Nothing(_) => None,
        }
    }
}

fn arg() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..12),
        vec(any::<u8>(), 95..105),
        vec(any::<u8>(), 990..1010)
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        6 => vec(arg(), 1..12).prop_map(Sent::Bulks),
        2 => vec(vec(any::<u8>(), 0..12), 1..5).prop_map(Sent::Inline),
        1 => prop_oneof![Just(&b"\r\n"[..]), Just(&b"*0\r\n"[..]), Just(&b"*-1\r\n"[..])].prop_map(Sent::Nothing),
    ]
}

fn value() -> impl Strategy<Value = Value<'static>> {
    let bytes = || vec(any::<u8>(), 0..20).prop_map(Cow::Owned);
    let line = || "[ -~]{0,20}".prop_map(|text| Cow::Owned(text.into_bytes()));
    let leaf = prop_oneof![
        line().prop_map(Value::Simple),
        line().prop_map(Value::Error),
        any::<i64>().prop_map(Value::Integer),
        bytes().prop_map(Value::Bulk),
        Just(Value::Null),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |n| !n.is_nan())
            .prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        "-?[0-9]{1,40}".prop_map(|digits| Value::BigNumber(Cow::Owned(digits.into_bytes()))),
        bytes().prop_map(|text| Value::Verbatim {
            format: *b"txt",
            text
        }),
    ];
    leaf.prop_recursive(6, 60, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            vec(inner.clone(), 0..5).prop_map(Value::Set),
            vec(inner.clone(), 0..5).prop_map(Value::Push),
            vec((inner.clone(), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

fn written(value: &Value<'_>, proto: Proto) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut Reply::new(&mut out, proto));
    out
}

/// The value as a RESP2 client gets to see it.
fn flattened(value: Value<'static>) -> Value<'static> {
    let all =
        |values: Vec<Value<'static>>| Value::Array(values.into_iter().map(flattened).collect());
    match value {
        Value::Array(values) | Value::Set(values) | Value::Push(values) => all(values),
        Value::Map(pairs) => all(pairs
            .into_iter()
            .flat_map(|(key, value)| [key, value])
            .collect()),
        Value::Boolean(truth) => Value::Integer(truth.into()),
        Value::BigNumber(bytes) | Value::Verbatim { text: bytes, .. } => Value::Bulk(bytes),
        Value::Double(number) => {
            let mut text = Vec::new();
            write_double(&mut text, number);
            Value::Bulk(Cow::Owned(text))
        }
        other => other,
    }
}

proptest! {
    #[test]
    fn commands_survive_every_cut(pipeline in vec(sent(), 0..8), mut cuts in vec(0usize..8000, 0..20)) {
        let mut input = Vec::new();
        pipeline.iter().for_each(|sent| sent.write(&mut input));
        cuts.retain(|&cut| cut <= input.len());
        cuts.push(input.len());
        cuts.sort_unstable();

        let (mut parser, mut commands, mut start) = (Parser::new(), Vec::new(), 0);
        for end in cuts {
            loop {
                let frame = &input[start..end];
                match parser.parse(frame, &Limits::default()) {
                    Ok(Parsed::Complete { consumed }) => {
                        commands.push(parser.args(frame).iter().map(|arg| arg.to_vec()).collect::<Vec<_>>());
                        start += consumed;
                    }
                    Ok(Parsed::Empty { consumed }) => start += consumed,
                    Ok(Parsed::Incomplete) => break,
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
        }
        prop_assert_eq!(commands, pipeline.iter().filter_map(Sent::args).collect::<Vec<_>>());
        prop_assert_eq!(start, input.len());
        prop_assert!(parser.is_at_start());
    }

    #[test]
    fn replies_read_back(value in value(), behind in vec(any::<u8>(), 0..4)) {
        for (proto, expected) in [(Proto::Resp3, value.clone()), (Proto::Resp2, flattened(value.clone()))] {
            let mut bytes = written(&value, proto);
            let length = bytes.len();
            for end in 0..length {
                prop_assert_eq!(skip_reply(&bytes[..end]), Ok(None));
                prop_assert_eq!(parse_reply(&bytes[..end]), Ok(None));
            }
            bytes.extend_from_slice(&behind);
            prop_assert_eq!(skip_reply(&bytes), Ok(Some(length)));
            prop_assert_eq!(parse_reply(&bytes), Ok(Some((expected, length))));
        }
    }

    #[test]
    fn ends_are_found_piece_by_piece(values in vec(value(), 1..5), step in 1usize..40) {
        let replies: Vec<Vec<u8>> = values.iter().map(|value| written(value, Proto::Resp3)).collect();
        let stream = replies.concat();
        let (mut skipper, mut start, mut lengths) = (Skipper::new(), 0, Vec::new());
        for end in (0..stream.len()).step_by(step).chain([stream.len()]) {
            while start < end {
                match skipper.end(&stream[start..end]) {
                    Ok(Some(length)) => {
                        lengths.push(length);
                        start += length;
                    }
                    other => {
                        prop_assert_eq!(other, Ok(None));
                        break;
                    }
                }
            }
        }
        prop_assert_eq!(lengths, replies.iter().map(Vec::len).collect::<Vec<_>>());
    }

    #[test]
    fn integers_and_doubles_read_back(integer in any::<i64>(), double in any::<f64>()) {
        prop_assert_eq!(parse_i64(integer.to_string().as_bytes()), Some(integer));
        let mut text = Vec::new();
        write_double(&mut text, double);
        let back = parse_double(&text).map(f64::to_bits);
        prop_assert_eq!(back, (!double.is_nan()).then_some(double.to_bits()));
    }

    /// Integers are exact in 64 bits of mantissa, and so are sums that stay within it.
    #[test]
    fn whole_numbers_add_exactly(a in any::<i64>(), b in any::<i64>()) {
        let mut text = Vec::new();
        (LongDouble::from_i64(a) + LongDouble::from_i64(b)).write_human(&mut text);
        prop_assert_eq!(text, (i128::from(a) + i128::from(b)).to_string().into_bytes());
    }
}
