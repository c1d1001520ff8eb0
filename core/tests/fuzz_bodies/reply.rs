//! The reply reader: finding a reply's end and building its value must agree on every prefix, and a value written out
//! must read back as what is written the same.

use tessera_core::resp::{Proto, Reply, ReplyError, Skipper, Value, parse_reply, skip_reply};

/// The input is a stream of replies, or no RESP at all.
pub(crate) fn reply(data: &[u8]) {
    let parsed = parse_reply(data);
    let skipped = skip_reply(data);
    match &parsed {
        Ok(Some((value, length))) => {
            assert_eq!(skipped, Ok(Some(*length)));
            round_trip(value);
        }
        Ok(None) => assert_eq!(skipped, Ok(None)),
        // Values are checked more closely than ends, but never less.
        Err(ReplyError::TooDeep | ReplyError::BadNumber | ReplyError::Malformed) => {}
        Err(error) => assert!(skipped == Err(*error) || skipped == Ok(None)),
    }
    if let Err(error) = skipped {
        assert!(parsed == Err(error) || parsed == Err(ReplyError::TooDeep) || parsed.is_err());
    }
    // Piece by piece, with the state kept: the same verdict, and not before the last byte is there.
    let mut skipper = Skipper::new();
    for end in 0..=data.len() {
        match skipper.end(&data[..end]) {
            Ok(None) => continue,
            verdict => {
                assert_eq!(verdict, skipped);
                assert!(verdict.is_err() || verdict == Ok(Some(end)));
                return;
            }
        }
    }
    assert_eq!(skipped, Ok(None));
}

fn round_trip(value: &Value<'_>) {
    for proto in [Proto::Resp2, Proto::Resp3] {
        let first = written(value, proto);
        let (again, length) = parse_reply(&first)
            .ok()
            .flatten()
            .unwrap_or((Value::Null, 0));
        assert_eq!(length, first.len());
        assert_eq!(written(&again, proto), first);
    }
    assert_eq!(
        format!("{:?}", value.clone().into_owned()),
        format!("{value:?}")
    );
}

fn written(value: &Value<'_>, proto: Proto) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut Reply::new(&mut out, proto));
    out
}
